//! A site over a populated database, and small tools to look at its answers.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use koschei_db::testing::{self, Database};
use koschei_web::{Link, Login, State, WebConfig};
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

/// The proxy that the sites of these tests trust.
pub(crate) const PROXY: &str = "10.0.0.1:4711";

/// A configuration with logins by a proxy.
pub(crate) fn with_login() -> WebConfig {
    let login = Login {
        secret: Some("the secret of all processes".to_owned()),
        proxies: vec!["10.0.0.0/24".parse().unwrap()],
        ..Login::default()
    };
    WebConfig { login, ..config() }
}

/// What somebody with a browser does: it keeps cookies and knows the pages that it was on.
pub(crate) struct Browser<'a> {
    pub(crate) site: &'a Site,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Token of the forms of the page that was opened last.
    pub(crate) token: String,
    /// Where its requests come from.
    pub(crate) peer: &'static str,
    /// What the proxy adds to its requests.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(site: &'a Site) -> Self {
        Self {
            site,
            cookies: BTreeMap::new(),
            token: String::new(),
            peer: PROXY,
            headers: Vec::new(),
        }
    }

    /// A browser of somebody who logged in by way of the proxy.
    pub(crate) async fn of(site: &'a Site, name: &str) -> Self {
        // Each at a place of its own, so that the limit for logins from one place holds nobody up.
        static PLACES: std::sync::atomic::AtomicU32 =
            std::sync::atomic::AtomicU32::new(0xcb00_7100);
        let place = PLACES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let place = std::net::Ipv4Addr::from(place).to_string();
        let mut browser = Self::new(site);
        browser.headers = vec![("REMOTE_USER", name.to_owned()), ("X-Forwarded-For", place)];
        let answer = browser.get("/login").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        browser.headers.clear();
        browser.get("/documentation").await;
        browser
    }

    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        for (name, value) in &self.headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let peer: SocketAddr = self.peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = self.site.ask(request).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some((_, rest)) = answer.body.split_once("name=\"csrf_token\" value=\"") {
            self.token = rest.split('"').next().unwrap().to_owned();
        }
        answer
    }

    pub(crate) async fn get(&mut self, address: &str) -> Answer {
        self.send(Request::get(address).body(Body::empty()).unwrap()).await
    }

    /// Sends a form of exactly these fields.
    pub(crate) async fn post_bare(&mut self, address: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields.iter().copied())
            .finish();
        let request = Request::post(address)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }

    /// Sends a form as a page of the site would.
    pub(crate) async fn post(&mut self, address: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token.clone();
        let mut all = vec![("csrf_token", token.as_str())];
        all.extend_from_slice(fields);
        self.post_bare(address, &all).await
    }
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

/// The text of all files that the site is made of.
fn sources() -> String {
    fn collect(directory: &std::path::Path, text: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    text
}

/// What stands between quotes right behind each of these beginnings in the sources.
fn quoted(beginnings: &[&str]) -> std::collections::BTreeSet<String> {
    let sources = sources();
    let mut found = std::collections::BTreeSet::new();
    for beginning in beginnings {
        for rest in sources.split(beginning).skip(1) {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix("&format!(").unwrap_or(rest);
            if let Some(rest) = rest.trim_start().strip_prefix('"') {
                found.insert(rest.split('"').next().unwrap().to_owned());
            }
        }
    }
    found
}

/// Every address that the site has, as it is written in the sources, those for forms only included.
pub(crate) fn routes() -> Vec<String> {
    let groups = quoted(&["group_routes("]);
    let mut routes: Vec<String> = groups.iter().cloned().collect();
    for route in quoted(&[".route("]) {
        if route.contains("{address}") {
            routes.extend(groups.iter().map(|group| route.replace("{address}", group)));
        } else {
            routes.push(route);
        }
    }
    assert!(groups.len() == 2 && routes.len() > 50, "routes are written otherwise now: {routes:?}");
    routes
}

/// Whether an address, with or without query, is one of a route.
pub(crate) fn belongs(address: &str, route: &str) -> bool {
    let path = address.split('?').next().unwrap();
    let (path, route): (Vec<&str>, Vec<&str>) =
        (path.split('/').collect(), route.split('/').collect());
    path.len() == route.len()
        && path.iter().zip(&route).all(|(part, wanted)| wanted.starts_with('{') || part == wanted)
}

/// Every parameter of addresses and field of forms that the sources ask for by its name.
pub(crate) fn parameters() -> std::collections::BTreeSet<String> {
    let mut names = quoted(&[
        ".value(",
        ".flag(",
        "form.text(",
        "form.checked(",
        "*key == ",
        "|(key, _)| key == ",
        "const LAST_BUILD: &str = ",
        "const LAST_CHANGE: &str = ",
    ]);
    // Made from another one.
    names.retain(|name| !name.contains('{'));
    assert!(names.len() > 20, "parameters are read otherwise now: {names:?}");
    names
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
