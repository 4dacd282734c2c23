//! What stands beside the pages: badges, bug reports, feeds, the audit log, build times; and how answers are packed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

mod site;

use std::io::Read as _;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use koschei_web::WebConfig;
use site::{Browser, check_html, site, site_with, with_login};

#[tokio::test]
async fn badges_exist_as_png_too() {
    let site = site().await;
    for address in
        ["/badge/f46/python-lxml.png", "/badge/f46/Zope.png", "/badge/f46/libsigc%2B%2B20.png"]
    {
        let request = Request::get(address).body(Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(site.router.clone(), request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{address}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "image/png");
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        assert!(body.starts_with(b"\x89PNG\r\n\x1a\n"), "{address}");
    }
    for address in
        ["/badge/f46/nothing.png", "/badge/f46/bash.gif", "/badge/f46/bash", "/badge/f9/bash.png"]
    {
        assert_eq!(site.get(address).await.status, StatusCode::NOT_FOUND, "{address}");
    }
}

#[tokio::test]
async fn a_bug_report_is_filled_in() {
    let config = WebConfig {
        external_url: Some("https://koschei.example.org".to_owned()),
        path_prefix: "/k".to_owned(),
        ..site::config()
    };
    let site = site_with(config, include_str!("world.sql")).await;
    let answer = site.get("/bugreport/python-lxml").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let (form, query) = answer.header("location").split_once('?').unwrap();
    assert_eq!(form, "https://bugzilla.redhat.com/enter_bug.cgi");
    let fields: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let url = "https://koschei.example.org/k/package/python-lxml?collection=f46";
    let expected = [
        ("product", "Fedora"),
        ("component", "python-lxml"),
        ("version", "rawhide"),
        ("short_desc", "python-lxml: FTBFS in Rawhide"),
        ("bug_file_loc", url),
    ];
    for ((name, value), (field, text)) in expected.iter().zip(&fields) {
        assert_eq!((*name, *value), (field.as_str(), text.as_str()));
    }
    let comment = &fields[5].1;
    assert!(comment.starts_with("Package python-lxml does not build"), "{comment}");
    assert!(
        comment.contains("koji build --scratch f46 python-lxml-6.0.2-2.fc46.src.rpm"),
        "{comment}"
    );
    assert!(comment.ends_with(url), "{comment}");
    let hostile = site.get("/bugreport/x%3Cscript%3Ealert(1)%3C%2Fscript%3Ey?collection=f45").await;
    assert!(!hostile.header("location").contains('<'));
    // Blocked, never built, unknown, not there.
    for address in [
        "/bugreport/thunderbird",
        "/bugreport/zig",
        "/bugreport/nothing",
        "/bugreport/zig?collection=f45",
    ] {
        assert_eq!(site.get(address).await.status, StatusCode::NOT_FOUND, "{address}");
    }
    // It is offered where the tracker knows the collection.
    assert!(
        site.page("/package/python-lxml").await.contains("/k/bugreport/python-lxml?collection=f46")
    );
    assert!(!site.page("/package/python-lxml?collection=epel10").await.contains("/bugreport/"));
    assert!(!site.page("/package/zig").await.contains("/bugreport/"));
}

#[tokio::test]
async fn what_people_changed_is_there_for_everybody() {
    let site = site_with(with_login(), include_str!("world.sql")).await;
    let text = site.text("/package/bash/log").await;
    assert!(text.contains("Nobody has changed anything of it yet"), "{text}");
    let mut browser = Browser::of(&site, "zbyszek").await;
    browser.post("/package/bash/edit", &[("collection_id", "2"), ("manual_priority", "7")]).await;
    sqlx::raw_sql(
        "INSERT INTO log_entry (user_id, environment, message, base_id)
           SELECT 2, 'admin', 'Old <b>' || n, b.id FROM generate_series(1, 120) n, base_package b WHERE b.name = 'bash';
         INSERT INTO log_entry (environment, message, base_id)
           SELECT 'backend', 'By a service', id FROM base_package WHERE name = 'bash'",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let page = site.page("/package/bash/log").await;
    check_html("/package/bash/log", &page);
    let text = site::text(&page);
    assert!(text.contains("122 changes newest first"), "{text}");
    assert!(text.contains("Koschei By a service"), "{text}");
    assert!(text.contains("churchyard with koschei-admin Old <b>120"), "{text}");
    assert!(page.len() < 100_000);
    let last = site.text("/package/bash/log?page=3").await;
    assert!(last.contains("zbyszek Package bash (f45): manual priority set to 7"), "{last}");
    assert_eq!(site.get("/package/bash/log?page=4").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.get("/package/nothing/log").await.status, StatusCode::NOT_FOUND);
    assert!(site.page("/package/bash").await.contains("/package/bash/log"));
}

#[tokio::test]
async fn build_times_are_told_by_architecture() {
    let site = site().await;
    let page = site.page("/package/python-lxml/times?collection=f46").await;
    check_html("times", &page);
    let text = site::text(&page);
    for part in [
        "How long builds of python-lxml take",
        "in Rawhide",
        "aarch64",
        "ppc64le",
        "s390x",
        "x86_64",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(page.contains("class=\"f-failing\""), "what failed is red");
    assert!(!page.contains("NaN"));
    let none = site.text("/package/zig/times").await;
    assert!(none.contains("No finished build of it is known"), "{none}");
    assert_eq!(site.get("/package/zig/times?collection=f45").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn feeds_tell_what_turned() {
    let config = WebConfig {
        external_url: Some("https://koschei.example.org".to_owned()),
        ..site::config()
    };
    let site = site_with(config, include_str!("world.sql")).await;
    for (address, titles) in [
        ("/feeds/collection/f46", &["python-xmlsec is failing in Rawhide"][..]),
        ("/feeds/group/python-sig", &["python-lxml is failing in Rawhide"]),
        ("/feeds/group/zbyszek/mine", &[]),
        ("/feeds/user/churchyard", &["python-lxml is failing in Rawhide"]),
        ("/feeds/package/python-lxml", &["python-lxml is failing in Rawhide"]),
        ("/feeds/package/python-lxml?collection=f45", &[]),
    ] {
        let answer = site.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}");
        assert_eq!(answer.header("content-type"), "application/atom+xml; charset=utf-8");
        // Somebody else's reader of XML is the judge of its form.
        let mut reader = std::process::Command::new("python3")
            .args(["-c", READER])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python3 can be started: install it with scripts/install-deps test");
        std::io::Write::write_all(&mut reader.stdin.take().unwrap(), answer.body.as_bytes())
            .unwrap();
        let output = reader.wait_with_output().unwrap();
        assert!(output.status.success(), "{address}: {}", answer.body);
        let read = String::from_utf8(output.stdout).unwrap();
        for title in titles {
            assert!(
                read.contains(&format!("{title}|https://koschei.example.org/package/")),
                "{address}: {read}"
            );
        }
        if titles.is_empty() {
            assert_eq!(read, "", "{address}");
        }
        let again = site.get(address).await;
        assert_eq!(again.header("etag"), answer.header("etag"), "{address} changes by itself");
    }
    for address in [
        "/feeds/collection/x",
        "/feeds/group/x",
        "/feeds/group/x/y",
        "/feeds/user/x",
        "/feeds/package/x",
    ] {
        assert_eq!(site.get(address).await.status, StatusCode::NOT_FOUND, "{address}");
    }
    for (page, feed) in [
        ("/", "/feeds/collection/f46"),
        ("/package/libsigc%2B%2B20", "/feeds/package/libsigc%2B%2B20"),
        ("/groups/zbyszek/mine", "/feeds/group/zbyszek/mine"),
    ] {
        let html = site.page(page).await;
        assert_eq!(html.matches(&format!("href=\"{feed}\"")).count(), 2, "{page}");
    }
}

/// Prints title and link of each entry of a feed that has all that RFC 4287 demands.
const READER: &str = r#"
import sys, xml.etree.ElementTree as tree
a = "{http://www.w3.org/2005/Atom}"
feed = tree.fromstring(sys.stdin.buffer.read())
assert feed.tag == a + "feed"
ids = set()
for one in [feed] + feed.findall(a + "entry"):
    for name in ["id", "title", "updated"]:
        assert len(one.findall(a + name)) == 1 and one.find(a + name).text, name
    assert one.find(a + "id").text.startswith("https://") and one.find(a + "id").text not in ids
    ids.add(one.find(a + "id").text)
    assert one.find(a + "updated").text.endswith("Z")
for entry in feed.findall(a + "entry"):
    print(entry.find(a + "title").text + "|" + entry.find(a + "link").get("href"))
"#;

#[tokio::test]
async fn answers_are_packed_for_those_who_understand_it() {
    let site = site_with(with_login(), include_str!("world.sql")).await;
    let plain = site.get("/api/v1/packages").await;
    assert_eq!(plain.header("content-encoding"), "");
    let ask = async |address: &str, encodings: &str, cookie: &str| {
        let request = Request::get(address)
            .header(header::ACCEPT_ENCODING, encodings)
            .header(header::COOKIE, cookie)
            .body(Body::empty())
            .unwrap();
        let answer = tower::ServiceExt::oneshot(site.router.clone(), request).await.unwrap();
        let (parts, body) = answer.into_parts();
        (parts.headers, axum::body::to_bytes(body, usize::MAX).await.unwrap())
    };
    for (encodings, name) in [("gzip, deflate", "gzip"), ("gzip, br, zstd", "zstd")] {
        let (headers, body) = ask("/api/v1/packages", encodings, "").await;
        assert_eq!(headers[header::CONTENT_ENCODING], name);
        assert!(headers[header::VARY].to_str().unwrap().contains("Accept-Encoding"));
        assert_eq!(headers[header::ETAG].to_str().unwrap(), plain.header("etag"));
        let mut text = String::new();
        match name {
            "gzip" => flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap(),
            _ => zstd::Decoder::new(&body[..]).unwrap().read_to_string(&mut text).unwrap(),
        };
        assert_eq!(text, plain.body);
        assert!(body.len() * 4 < text.len(), "{} of {}", body.len(), text.len());
    }
    // Pages of those who are logged in have a secret in them, whose length packing would tell.
    let (headers, _) = ask("/packages", "gzip", "").await;
    assert!(headers.contains_key(header::CONTENT_ENCODING));
    let browser = Browser::of(&site, "zbyszek").await;
    let cookie = format!("koschei_session={}", browser.cookies["koschei_session"]);
    let (headers, _) = ask("/packages", "gzip", &cookie).await;
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
    // Nothing is gained by packing very little.
    let (headers, _) = ask("/robots.txt", "gzip", "").await;
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn every_page_says_how_fresh_it_is() {
    let site = site().await;
    let sql = async |statement: &'static str| {
        sqlx::raw_sql(statement).execute(site.database.pool()).await.unwrap();
    };
    assert!(site.text("/packages?collection=f46").await.contains("Fresh: Koji repo 6390112"));
    sql("UPDATE collection_freshness SET trouble = 'the tag f45-build is <gone>', trouble_since = now() - interval '3 hours'
           WHERE collection_id = 2;
         UPDATE collection_freshness SET looked = now() - interval '2 hours' WHERE collection_id = 4")
        .await;
    let fresh_site = |site: &site::Site| site::Site {
        // Another process, which has kept no answer.
        router: koschei_web::router(koschei_web::State {
            pool: site.database.pool().clone(),
            config: site::config(),
        }),
        database: site.database.clone(),
    };
    let site = fresh_site(&site);
    let text = site.text("/packages?collection=f45").await;
    assert!(
        text.contains("Stale. Since") && text.contains("(3 hours): the tag f45-build is <gone>"),
        "{text}"
    );
    let text = site.text("/packages?collection=epel10").await;
    assert!(text.contains("Stale. Nobody has asked Koji for newer repos since"), "{text}");
    let text = site.text("/packages").await;
    assert!(
        text.contains("Stale: Fedora 45, Fedora 44 and EPEL 10; choose one to see why"),
        "{text}"
    );
}

#[tokio::test]
async fn names_are_suggested_while_they_are_typed() {
    let site = site().await;
    let names = async |query: &str| {
        let answer: serde_json::Value =
            serde_json::from_str(&site.page(&format!("/suggest?{query}")).await).unwrap();
        let all = answer.as_array().unwrap().clone();
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("q=XML").await[0], "libxml2", "shorter ones first");
    assert_eq!(names("q=XML").await.len(), 4);
    assert_eq!(names("q=gcc").await, ["gcc"]);
    assert_eq!(names("q=rust-sequoia").await[0], "rust-sequoia-sq", "shorter ones first");
    assert_eq!(names("q=rust*sq").await, ["rust-sequoia-sq"]);
    assert_eq!(names("q=%25").await, [""; 0]);
    assert_eq!(names("q=").await, [""; 0]);
    assert_eq!(names("").await, [""; 0]);
    let answer = site.page("/suggest?q=libsigc&collection=f45").await;
    assert!(answer.contains("/package/libsigc%2B%2B20?collection=f45"), "{answer}");
}

#[tokio::test]
async fn the_front_page_has_the_trend_of_its_collection() {
    let site = site().await;
    let page = site.page("/?collection=f46").await;
    check_html("/", &page);
    assert!(page.contains("<title id=\"tr\">In 30 days failing went from "), "{page}");
    let text = site::text(&page);
    let today = chrono::Utc::now().date_naive();
    // What the table says of today is what the summary says.
    let failing = text.split("Package summary").nth(1).unwrap();
    let row = text.split(&format!(" {today} ")).nth(1).unwrap_or_else(|| panic!("{text}"));
    let today: Vec<&str> = row.split_whitespace().take(2).collect();
    // There a count stands before its share, and both before the word.
    let count = |word: &str| failing.split(word).next().unwrap().split_whitespace().rev().nth(2);
    assert_eq!(count("failing"), Some(today[0]), "{failing}");
    assert_eq!(count("unresolved"), Some(today[1]), "{failing}");
    assert!(!site.page("/?collection=").await.contains("id=\"tr\""));
}

/// Answers are remembered; nobody may notice.
#[tokio::test]
async fn what_is_committed_is_seen_by_whoever_asks_next_and_not_before() {
    let site = site().await;
    let addresses =
        ["/badge/f46/bash.svg", "/api/v1/packages?collection=f46&name=bash", "/package/bash"];
    let read = async || {
        let mut answers = Vec::new();
        for address in addresses {
            answers.push(site.page(address).await);
        }
        answers
    };
    let before = read().await;
    // The last one tells times relative to now.
    assert_eq!(read().await[..2], before[..2]);
    let mut transaction = site.database.pool().begin().await.unwrap();
    sqlx::query("UPDATE package SET tracked = NOT tracked WHERE name = 'bash'")
        .execute(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(read().await[..2], before[..2], "nothing is committed yet");
    transaction.commit().await.unwrap();
    let after = read().await;
    for (address, (before, after)) in addresses.iter().zip(before.iter().zip(&after)) {
        assert_ne!(before, after, "{address}");
    }
    // The theme belongs to the question.
    let request = Request::get("/stats").header("cookie", "theme=dark").body(Body::empty());
    let dark = tower::ServiceExt::oneshot(site.router.clone(), request.unwrap()).await.unwrap();
    let dark = axum::body::to_bytes(dark.into_body(), 1 << 20).await.unwrap();
    assert!(String::from_utf8_lossy(&dark).contains("data-theme=\"dark\""));
    assert!(!site.page("/stats").await.contains("data-theme=\"dark\""));
}
