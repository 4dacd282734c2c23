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
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    types.iter().any(|one| one == kind)
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

#[tokio::test]
async fn the_description_says_what_the_answers_are() {
    let site = small().await;
    let read = async |address: &str| -> serde_json::Value {
        serde_json::from_str(&site.page(address).await).unwrap()
    };
    let description = read("/api/v1/openapi.json").await;
    assert_eq!(description["servers"][0]["url"], "");
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 2);
    for (path, address) in [
        ("/api/v1/packages", "/api/v1/packages"),
        ("/api/v1/collections/diff/{a}/{b}", "/api/v1/collections/diff/f46/f45"),
    ] {
        let schema =
            &paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let answer = read(address).await;
        assert!(!answer.as_array().unwrap().is_empty());
        assert!(fits(&description, schema, &answer), "{address}: {answer}");
    }
    let problem = site.get("/api/v1/packages?collection=x").await.body;
    let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
    let schema = serde_json::json!({ "$ref": "#/components/schemas/Problem" });
    assert!(fits(&description, &schema, &problem));
    assert!(!fits(&description, &schema, &serde_json::json!({ "error": "x" })), "the judge judges");
}
