//! The API, byte by byte: programs rely on names, order and the form of times (spec/web.md).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

mod site;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use site::{Site, site_with};

async fn small() -> Site {
    site_with(
        site::config(),
        r#"
        INSERT INTO collection (id, "order", name, display_name, target, dest_tag, build_tag) VALUES
            (1, 100, 'f46', 'Rawhide', 't', 'd', 'b'), (2, 90, 'f45', 'Fedora 45', 't', 'd', 'b');
        INSERT INTO base_package (id, name) VALUES (1, 'bash'), (2, 'Zope'), (3, 'a'), (4, 'A"b');
        INSERT INTO package (id, base_id, name, collection_id, tracked, blocked, resolved) VALUES
            (1, 1, 'bash', 1, true, false, true), (2, 2, 'Zope', 1, false, false, NULL), (3, 3, 'a', 1, true, true, NULL),
            (4, 4, 'A"b', 1, true, false, NULL), (5, 1, 'bash', 2, true, false, true), (6, 2, 'Zope', 2, false, false, NULL),
            (7, 3, 'a', 2, true, false, false);
        INSERT INTO build (package_id, state, task_id, started, finished, epoch, version, release, repo_id, last_complete) VALUES
            (1, 3, 10, '2026-11-22 03:31:00', '2026-11-22 03:40:00.120300', NULL, '5.3', '1.fc46', 1, false),
            (1, 2, 11, '2026-11-22 04:00:00', NULL, NULL, NULL, NULL, NULL, false),
            (5, 5, 12, '2025-01-02 03:04:05.5', '2025-01-02 03:04:10.000001', 2, '5.2', '1.fc45', 1, false);
        "#,
    )
    .await
}

#[tokio::test]
async fn all_packages_in_the_promised_form() {
    let site = small().await;
    let expected = concat!(
        r#"[{"name":"A\"b","collection":"f46","state":"unknown","last_complete_build":null},"#,
        r#"{"name":"Zope","collection":"f46","state":"untracked","last_complete_build":null},"#,
        r#"{"name":"Zope","collection":"f45","state":"untracked","last_complete_build":null},"#,
        r#"{"name":"a","collection":"f46","state":"blocked","last_complete_build":null},"#,
        r#"{"name":"a","collection":"f45","state":"unresolved","last_complete_build":null},"#,
        r#"{"name":"bash","collection":"f46","state":"ok","last_complete_build":{"task_id":10,"#,
        r#""time_started":"2026-11-22T03:31:00","time_finished":"2026-11-22T03:40:00.1203","epoch":null,"#,
        r#""version":"5.3","release":"1.fc46"}},"#,
        r#"{"name":"bash","collection":"f45","state":"failing","last_complete_build":{"task_id":12,"#,
        r#""time_started":"2025-01-02T03:04:05.5","time_finished":"2025-01-02T03:04:10.000001","epoch":2,"#,
        r#""version":"5.2","release":"1.fc45"}}]"#,
    );
    assert_eq!(site.page("/api/v1/packages").await, expected);
}

/// PostgreSQL is the judge of its own form of times.
#[tokio::test]
async fn times_are_written_as_postgresql_writes_them_in_json() {
    let site = small().await;
    let judge: Vec<String> = sqlx::query_scalar(
        "SELECT trim(both '\"' from to_json(started)::text) FROM build WHERE state <> 2
         UNION ALL SELECT trim(both '\"' from to_json(finished)::text) FROM build WHERE state <> 2",
    )
    .fetch_all(site.database.pool())
    .await
    .unwrap();
    let answer = site.page("/api/v1/packages").await;
    assert_eq!(judge.len(), 4);
    for time in judge {
        assert!(answer.contains(&format!("\"{time}\"")), "{time} is not in {answer}");
    }
}

#[tokio::test]
async fn names_and_collections_narrow_the_list() {
    let site = small().await;
    let count = async |address: &str| {
        let answer: serde_json::Value = serde_json::from_str(&site.page(address).await).unwrap();
        answer.as_array().unwrap().len()
    };
    assert_eq!(count("/api/v1/packages?collection=f46").await, 4);
    assert_eq!(count("/api/v1/packages?collection=f46&collection=f45").await, 7);
    assert_eq!(count("/api/v1/packages?collection=f46,f45&name=bash").await, 2);
    assert_eq!(count("/api/v1/packages?name=bash&name=a&collection=f45").await, 2);
    assert_eq!(count("/api/v1/packages?name=nothing").await, 0);
    let answer = site.get("/api/v1/packages?collection=nowhere").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.body.contains("No collection is called nowhere"));
}

#[tokio::test]
async fn differences_are_packages_of_both_whose_states_differ() {
    let site = small().await;
    assert_eq!(
        site.page("/api/v1/collections/diff/f46/f45").await,
        concat!(
            r#"[{"name":"a","state":{"f46":"blocked","f45":"unresolved"}},"#,
            r#"{"name":"bash","state":{"f46":"ok","f45":"failing"}}]"#
        )
    );
    assert_eq!(site.page("/api/v1/collections/diff/f46/f46").await, "[]");
    assert_eq!(site.get("/api/v1/collections/diff/f46/x").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn whatever_is_asked_for_the_answer_is_json() {
    let site = small().await;
    for accept in ["text/plain", "text/html", "*/*", "application/xml"] {
        for address in ["/api/v1/packages", "/api/v1/packages?collection=x", "/api/v1/nothing"] {
            let request =
                Request::get(address).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
            let answer = site.ask(request).await;
            assert_eq!(answer.header("content-type"), "application/json", "{accept} {address}");
            serde_json::from_str::<serde_json::Value>(&answer.body).unwrap();
        }
    }
}

/// The schemas of the description that this API uses, checked against its answers: types, keys, nothing left out.
fn fits(
    description: &serde_json::Value,
    schema: &serde_json::Value,
    value: &serde_json::Value,
) -> bool {
    use serde_json::Value;
    if let Some(reference) = schema["$ref"].as_str() {
        let target = description.pointer(reference.strip_prefix('#').unwrap()).expect(reference);
        return fits(description, target, value);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().filter(|choice| fits(description, choice, value)).count() == 1;
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    types.iter().any(|one| one == kind || one == "number" && kind == "integer")
        && schema["enum"].as_array().is_none_or(|all| all.contains(value))
        && value
            .as_array()
            .is_none_or(|all| all.iter().all(|one| fits(description, &schema["items"], one)))
        && value.as_object().is_none_or(|all| {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            required.iter().all(|name| all.contains_key(name.as_str().unwrap()))
                && all.iter().all(|(name, value)| {
                    let further = &schema["additionalProperties"];
                    match schema["properties"].get(name) {
                        Some(schema) => fits(description, schema, value),
                        None => further.is_object() && fits(description, further, value),
                    }
                })
        })
}

/// What is described, with addresses that show all of it.
const DESCRIBED: [(&str, &[&str]); 15] = [
    (
        "/api/v1/packages",
        &["/api/v1/packages", "/api/v1/packages?limit=2", "/api/v1/packages?state=failing"],
    ),
    (
        "/api/v1/packages/{name}",
        &[
            "/api/v1/packages/bash",
            "/api/v1/packages/python-lxml",
            "/api/v1/packages/zig",
            "/api/v1/packages/thunderbird",
            "/api/v1/packages/systemd",
        ],
    ),
    ("/api/v1/packages/{name}/builds", &["/api/v1/packages/python-lxml/builds"]),
    ("/api/v1/packages/{name}/changes", &["/api/v1/packages/gtk4/changes"]),
    (
        "/api/v1/packages/{name}/problems",
        &[
            "/api/v1/packages/rust-sequoia-sq/problems",
            "/api/v1/packages/nodejs-electron-builder/problems",
        ],
    ),
    ("/api/v1/builds/{id}", &["/api/v1/builds/17"]),
    ("/api/v1/builds/{id}/changes", &["/api/v1/builds/17/changes"]),
    ("/api/v1/problems", &["/api/v1/problems", "/api/v1/problems?collection=f46"]),
    ("/api/v1/collections", &["/api/v1/collections"]),
    ("/api/v1/collections/{name}", &["/api/v1/collections/f46", "/api/v1/collections/epel10"]),
    ("/api/v1/collections/diff/{a}/{b}", &["/api/v1/collections/diff/f46/f45"]),
    ("/api/v1/freshness", &["/api/v1/freshness", "/api/v1/freshness?collection=f44,epel10"]),
    ("/api/v1/groups", &["/api/v1/groups"]),
    ("/api/v1/groups/{name}", &["/api/v1/groups/python-sig"]),
    ("/api/v1/groups/{namespace}/{name}", &["/api/v1/groups/zbyszek/mine"]),
];

#[tokio::test]
async fn the_description_says_what_the_answers_are() {
    let site = site::site().await;
    let read = async |address: &str| -> serde_json::Value {
        serde_json::from_str(&site.page(address).await).unwrap()
    };
    let description = read("/api/v1/openapi.json").await;
    assert_eq!(description["servers"][0]["url"], "");
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), DESCRIBED.len());
    for (path, addresses) in DESCRIBED {
        let responses = &paths[path]["get"]["responses"];
        let schema = &responses["200"]["content"]["application/json"]["schema"];
        for address in addresses {
            let answer = read(address).await;
            let is_empty = answer.as_array().is_some_and(Vec::is_empty);
            assert!(!is_empty, "{address} tells nothing");
            assert!(fits(&description, schema, &answer), "{address}: {answer:#}");
        }
        // What cannot be found is told in the form that is promised.
        let problem = &responses["404"]["$ref"];
        let wrong = path.replace("{name}", "nothing").replace("{namespace}", "nobody");
        let wrong = wrong.replace("{id}", "999999999").replace("{a}", "x").replace("{b}", "y");
        let answer = site.get(&format!("{wrong}?collection=x")).await;
        if problem.is_string() {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{wrong}");
            let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            let schema = serde_json::json!({ "$ref": "#/components/schemas/Problem" });
            assert!(fits(&description, &schema, &answer), "{wrong}: {answer}");
        } else {
            assert_eq!(answer.status, StatusCode::OK, "{wrong}");
        }
    }
    let problem = site.get("/api/v1/packages?collection=x").await.body;
    let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
    let schema = serde_json::json!({ "$ref": "#/components/schemas/Problem" });
    assert!(fits(&description, &schema, &problem));
    assert!(!fits(&description, &schema, &serde_json::json!({ "error": "x" })), "the judge judges");
}

#[tokio::test]
async fn parts_of_the_list_are_the_list() {
    let site = small().await;
    let read = async |address: &str| {
        let answer = site.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.body);
        let next = answer.header("link").to_owned();
        let entries: Vec<serde_json::Value> = serde_json::from_str(&answer.body).unwrap();
        (entries, next)
    };
    for filter in
        ["", "&collection=f45", "&collection=f46,f45&state=untracked", "&name=bash&name=a"]
    {
        let (whole, next) =
            read(&format!("/api/v1/packages?{}", filter.trim_start_matches('&'))).await;
        assert_eq!(next, "", "one answer");
        for limit in 1..=8 {
            let mut parts: Vec<serde_json::Value> = Vec::new();
            let mut address = format!("/api/v1/packages?limit={limit}{filter}");
            loop {
                let (part, next) = read(&address).await;
                assert!(part.len() <= limit, "{address}");
                parts.extend(part);
                if next.is_empty() {
                    break;
                }
                let rest = next.strip_prefix('<').unwrap();
                rest.strip_suffix(">; rel=\"next\"").unwrap().clone_into(&mut address);
            }
            assert_eq!(parts, whole, "limit {limit}{filter}");
        }
    }
    // Where a part begins does not depend on what is there.
    let (behind, _) = read("/api/v1/packages?after=a/f46").await;
    assert_eq!(behind.len(), 3, "{behind:?}");
    let (behind, _) = read("/api/v1/packages?limit=5&after=aa/f45").await;
    assert_eq!(behind.len(), 2, "{behind:?}");
    for (wrong, words) in [
        ("limit=0", "from 1 to 10000"),
        ("limit=10001", "from 1 to 10000"),
        ("limit=x", "from 1 to 10000"),
        ("after=bash", "Follow the header"),
        ("after=bash/f99", "from its beginning"),
        ("state=nothing", "States are blocked, untracked"),
    ] {
        let answer = site.get(&format!("/api/v1/packages?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(answer.body.contains(words), "{wrong}: {}", answer.body);
    }
    assert_eq!(site.get("/api/v1/packages?group=x").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_state_chosen_gives_the_packages_of_that_state() {
    let site = site::site().await;
    let read = async |address: &str| -> Vec<serde_json::Value> {
        serde_json::from_str(&site.page(address).await).unwrap()
    };
    let all = read("/api/v1/packages").await;
    let mut seen = 0;
    for state in ["ok", "failing", "unresolved", "unknown", "untracked", "blocked"] {
        let found = read(&format!("/api/v1/packages?state={state}")).await;
        let expected: Vec<_> = all.iter().filter(|one| one["state"] == state).cloned().collect();
        assert_eq!(found, expected, "{state}");
        seen += found.len();
    }
    assert_eq!(seen, all.len());
    let group = read("/api/v1/packages?group=python-sig&collection=f46").await;
    let names: Vec<&str> = group.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["python-cython", "python-lxml", "python-xmlsec", "python3.14"]);
    assert_eq!(read("/api/v1/packages?group=zbyszek/mine&collection=f46").await.len(), 3);
}

#[tokio::test]
async fn what_the_pages_show_is_there_for_programs() {
    let site = site::site().await;
    sqlx::raw_sql(
        "INSERT INTO hold (group_id, until, reason) VALUES (1, now() + interval '1 day', 'the new Python');
         INSERT INTO suspension (collection_id, reason) VALUES (2, 'freeze')",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let read = async |address: &str| -> serde_json::Value {
        serde_json::from_str(&site.page(address).await).unwrap()
    };
    let lxml = read("/api/v1/packages/python-lxml").await;
    assert_eq!(lxml["groups"], serde_json::json!(["python-sig"]));
    let names: Vec<&serde_json::Value> =
        lxml["collections"].as_array().unwrap().iter().map(|one| &one["collection"]).collect();
    assert_eq!(names, ["f46", "f45", "f44", "epel10"]);
    let rawhide = &lxml["collections"][0];
    assert_eq!(
        (&rawhide["state"], &rawhide["last_build"]["state"]),
        (&"failing".into(), &"running".into())
    );
    assert_eq!(rawhide["last_complete_build"]["task_id"], 106_204_411);
    assert!(rawhide["current_priority"].is_null());
    let why = rawhide["not_schedulable"].as_array().unwrap();
    assert_eq!(why[0], "Package has a running build");
    let held = why[1].as_str().unwrap();
    assert!(held.starts_with("packages of the group python-sig are held until"), "{held}");
    assert!(held.ends_with("(the new Python)"), "{held}");
    let frozen = lxml["collections"][1]["not_schedulable"].to_string();
    assert!(frozen.contains("no builds are submitted in Fedora 45 (freeze)"), "{frozen}");
    let one = read("/api/v1/packages/systemd?collection=f46").await;
    assert!(one["collections"][0]["current_priority"].as_f64().unwrap() > 400.0, "{one}");
    assert_eq!(one["collections"][0]["not_schedulable"], serde_json::json!([]));

    // Some were started at the very same time.
    sqlx::raw_sql(
        "WITH oldest AS (
             SELECT id, started FROM build
              WHERE package_id = (SELECT id FROM package WHERE name = 'python-lxml' AND collection_id = 1)
              ORDER BY started LIMIT 3)
         UPDATE build SET started = (SELECT min(started) FROM oldest) WHERE id IN (SELECT id FROM oldest)",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let builds = read("/api/v1/packages/python-lxml/builds?collection=f46").await;
    let builds = builds.as_array().unwrap();
    assert_eq!(builds[1]["task_id"], 106_204_411);
    assert_eq!((&builds[0]["state"], &builds[1]["state"]), (&"running".into(), &"failed".into()));
    // In parts, newest first, nothing twice.
    let mut parts = Vec::new();
    let mut address = "/api/v1/packages/python-lxml/builds?limit=1".to_owned();
    loop {
        let answer = site.get(&address).await;
        parts.extend(serde_json::from_str::<Vec<serde_json::Value>>(&answer.body).unwrap());
        match answer.header("link").strip_prefix('<') {
            Some(next) => address = next.split('>').next().unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(&parts, builds);
    let id = &builds[1]["id"];
    let build = read(&format!("/api/v1/builds/{id}")).await;
    assert_eq!((&build["package"], &build["collection"]), (&"python-lxml".into(), &"f46".into()));
    let tasks = build["tasks"].as_array().unwrap();
    assert_eq!(
        (tasks.len(), &tasks[0]["arch"], &tasks[0]["state"]),
        (4, &"aarch64".into(), &"failed".into())
    );

    let changes = read("/api/v1/packages/gtk4/changes?collection=f46").await;
    let first = &changes[0]["changes"][0];
    assert_eq!(first["distance"], 1);
    assert_eq!(first["change"], "up");
    assert!(first["previous"]["version"].is_string() && first["current"]["version"].is_string());

    let problems = read("/api/v1/packages/rust-sequoia-sq/problems").await;
    assert_eq!(problems[0]["collection"], "f46");
    assert_eq!(problems[0]["problems"][0]["kind"], "missing");
    let causes = read("/api/v1/problems?collection=f46").await;
    assert_eq!(causes[0]["packages"].as_array().unwrap().len(), 5, "the largest first");
    assert_eq!(causes[0]["cause"], problems[0]["problems"][0]["cause"]);

    let rawhide = read("/api/v1/collections/f46").await;
    assert_eq!(read("/api/v1/collections").await[0], rawhide);
    let failing = read("/api/v1/packages?collection=f46&state=failing").await;
    assert_eq!(rawhide["packages"]["failing"], failing.as_array().unwrap().len());
    assert_eq!(rawhide["collection_groups"], serde_json::json!(["fedora"]));
    let fresh = read("/api/v1/freshness").await;
    assert_eq!((&fresh[0]["fresh"], &fresh[2]["fresh"]), (&true.into(), &false.into()));
    assert_eq!(fresh[3]["problems"].as_array().unwrap().len(), 1);
    assert!(fresh[2]["reason"].as_str().unwrap().contains("No Koji repo is newer"), "{fresh:#}");
    let group = read("/api/v1/groups/python-sig").await;
    assert_eq!(group["owners"], serde_json::json!(["churchyard"]));
    assert_eq!(group["packages"].as_array().unwrap().len(), 4);
    // What is told of one package is not from a list that is kept for a while.
    sqlx::raw_sql("UPDATE package SET resolved = true WHERE name = 'rust-sequoia-sq'")
        .execute(site.database.pool())
        .await
        .unwrap();
    let problems = read("/api/v1/packages/rust-sequoia-sq/problems").await;
    assert_eq!(problems, serde_json::json!([]));
}

#[tokio::test]
async fn a_bot_asks_for_the_headers_and_for_what_is_new() {
    let site = small().await;
    for address in ["/api/v1/packages", "/badge/f46/bash.svg", "/stats", "/api/v1/openapi.json"] {
        let whole = site.get(address).await;
        let ask = async |method: &str, tag: &str| {
            let request = Request::builder()
                .method(method)
                .uri(address)
                .header(header::IF_NONE_MATCH, tag)
                .body(Body::empty());
            site.ask(request.unwrap()).await
        };
        let bare = ask("HEAD", "").await;
        assert_eq!((bare.status, bare.body.as_str()), (StatusCode::OK, ""), "{address}");
        for name in ["etag", "cache-control", "content-type", "vary"] {
            assert_eq!(bare.header(name), whole.header(name), "{address}: {name}");
        }
        assert_eq!(bare.header("content-length"), whole.body.len().to_string(), "{address}");
        let tag = whole.header("etag");
        let strong = tag.strip_prefix("W/").unwrap();
        for known in [tag, strong, "*", &format!("\"x\", {tag}")] {
            for method in ["GET", "HEAD"] {
                let answer = ask(method, known).await;
                assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{method} {address} {known}");
                assert_eq!(answer.header("etag"), tag);
            }
        }
        assert_eq!(ask("GET", "W/\"other\"").await.status, StatusCode::OK);
    }
    for name in
        ["/api/v1/packages?page=1&limit=x", "/api/v1/nothing", "/api/v1/packages?collection=x"]
    {
        // A fault of a moment must not be taken for the answer of later.
        assert_eq!(site.get(name).await.header("cache-control"), "no-store", "{name}");
    }
    let request = Request::head("/package/nothing").body(Body::empty()).unwrap();
    assert_eq!(site.ask(request).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_answer_has_a_tag_is_packed_and_does_not_care_for_accept() {
    let site = site::site().await;
    for (_, addresses) in DESCRIBED {
        let address = addresses[0];
        let ask = async |name: header::HeaderName, value: &str| {
            let request = Request::get(address).header(name, value).body(Body::empty()).unwrap();
            tower::ServiceExt::oneshot(site.router.clone(), request).await.unwrap()
        };
        let plain = site.get(address).await;
        assert_eq!(plain.header("content-type"), "application/json", "{address}");
        let tag = plain.header("etag").to_owned();
        assert_eq!(
            ask(header::IF_NONE_MATCH, &tag).await.status(),
            StatusCode::NOT_MODIFIED,
            "{address}"
        );
        for encoding in ["gzip", "zstd"] {
            let packed = ask(header::ACCEPT_ENCODING, encoding).await;
            let found = packed.headers().get(header::CONTENT_ENCODING);
            assert_eq!(found.is_some(), plain.body.len() >= 1024, "{address} {encoding}");
        }
        let text = ask(header::ACCEPT, "text/plain").await;
        assert_eq!(text.headers()[header::CONTENT_TYPE], "application/json", "{address}");
        let post = Request::post(address).body(Body::empty()).unwrap();
        assert_eq!(site.ask(post).await.status, StatusCode::METHOD_NOT_ALLOWED, "{address}");
    }
}
