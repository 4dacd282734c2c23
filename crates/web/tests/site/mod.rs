//! A site over a populated database, and small tools to look at its answers.
#![allow(dead_code, reason = "each test binary uses a part")]

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use koschei_db::testing::{self, Database};
use koschei_web::{Link, State, WebConfig};
use tower::ServiceExt as _;

/// The site; its database lives as long.
pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) router: Router,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

pub(crate) fn config() -> WebConfig {
    WebConfig {
        links: vec![
            Link {
                name: "Dist-git".to_owned(),
                url: "https://src.example.org/rpms/{package.name}.git".to_owned(),
            },
            Link {
                name: "Bugzilla".to_owned(),
                url: "https://bugs.example.org/?product={package.collection.bugzilla_product}&component={package.name}"
                    .to_owned(),
            },
        ],
        ..WebConfig::default()
    }
}

/// A site over the world of `tests/world.sql`.
pub(crate) async fn site() -> Site {
    site_with(config(), include_str!("../world.sql")).await
}

/// A site over what this SQL makes.
pub(crate) async fn site_with(config: WebConfig, sql: &'static str) -> Site {
    let database = testing::database().await;
    sqlx::raw_sql(sql).execute(database.pool()).await.unwrap();
    let router = koschei_web::router(State { pool: database.pool().clone(), config });
    Site { database, router }
}

impl Site {
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, address: &str) -> Answer {
        self.ask(Request::get(address).body(Body::empty()).unwrap()).await
    }

    /// The body of a page that is there.
    pub(crate) async fn page(&self, address: &str) -> String {
        let answer = self.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.text());
        answer.body
    }

    /// What a reader sees of a page that is there.
    pub(crate) async fn text(&self, address: &str) -> String {
        text(&self.page(address).await)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        text(&self.body)
    }
}

/// The text of an HTML page, with single spaces.
pub(crate) fn text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let end = rest[at..].find('>').expect("a tag ends");
        // Inline elements do not part words, blocks do.
        let tag = rest[at + 1..at + end].trim_start_matches('/');
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if !matches!(name, "wbr" | "b" | "a" | "code" | "span" | "strong" | "time" | "use" | "svg")
        {
            text.push(' ');
        }
        rest = &rest[at + end + 1..];
    }
    text.push_str(rest);
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
        .replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Addresses of this site that a page links to, without fragments, unescaped.
pub(crate) fn links(html: &str) -> Vec<String> {
    html.split(" href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|address| address.starts_with('/'))
        .map(|address| {
            let address = address.replace("&#38;", "&").replace("&amp;", "&").replace("&#39;", "'");
            address.split('#').next().unwrap_or_default().to_owned()
        })
        .collect()
}

/// Panics unless every element that begins also ends, in order, and every `id` is there once.
pub(crate) fn check_html(address: &str, html: &str) {
    const VOID: [&str; 7] = ["meta", "link", "br", "wbr", "input", "img", "hr"];
    let mut open: Vec<String> = Vec::new();
    let mut ids = std::collections::HashSet::new();
    let mut rest = html.strip_prefix("<!doctype html>").expect("a doctype");
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop().as_deref(),
                Some(name),
                "{address}: {name} ends before it begins"
            );
            continue;
        }
        let name = tag.split([' ', '\n', '/']).next().unwrap_or_default();
        for attribute in tag.split(' ').skip(1) {
            let attribute_name = attribute.split('=').next().unwrap_or_default();
            assert!(!attribute_name.starts_with("on"), "{address}: inline handler in {tag}");
            assert_ne!(attribute_name, "style", "{address}: inline style in {tag}");
            if let Some(id) = attribute.strip_prefix("id=") {
                assert!(ids.insert(id.to_owned()), "{address}: the id {id} is there twice");
            }
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{address}: {open:?} never end");
    for reference in html.split(" href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(
            ids.contains(&format!("\"{reference}\"")),
            "{address}: nothing has the id {reference}"
        );
    }
}
