//! Who is let in and who is not; and what a form has to have before anything is done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

mod provider;
mod site;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use koschei_db::entities;
use koschei_web::{Login, Network, Oidc, State, WebConfig};
use provider::{Provider, Trick};
use site::{Browser, PROXY, Site, check_html, site_with, with_login};

async fn site() -> Site {
    site_with(with_login(), include_str!("world.sql")).await
}

#[tokio::test]
async fn a_trusted_proxy_says_who_somebody_is_and_the_first_login_registers_them() {
    let site = site().await;
    let mut browser = Browser::new(&site);
    assert!(!browser.get("/").await.body.contains("Log out"));
    browser.headers = vec![("REMOTE_USER", "newcomer".to_owned())];
    let answer = browser.get("/login?next=/packages?collection%3Df46").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), "/packages?collection=f46");
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax") && cookie.contains("Path=/;"), "{cookie}");
    assert!(!cookie.contains("Secure"), "the proxy did not say https");
    let user = entities::user(site.database.pool(), "newcomer").await.unwrap().unwrap();
    assert!(!user.admin);
    // From now on the cookie counts, whatever the proxy says.
    browser.headers.clear();
    let page = browser.get("/packages?collection=f46").await;
    assert!(page.text().contains("newcomer Log out"), "{}", page.text());
    assert_eq!(page.header("cache-control"), "private, no-cache");
    check_html("/packages", &page.body);
    // Logging in again makes no second one.
    Browser::of(&site, "newcomer").await;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM \"user\" WHERE name = 'newcomer'")
        .fetch_one(site.database.pool())
        .await
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let site = site().await;
    let mut browser = Browser::new(&site);
    browser.headers = vec![("REMOTE_USER", "churchyard".to_owned())];
    browser.peer = "203.0.113.9:1";
    let answer = browser.get("/login").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text().contains("did not come through the server that knows who you are"));
    assert!(browser.cookies.is_empty());
    check_html("/login", &answer.body);
    browser.peer = PROXY;
    for headers in [
        vec![],
        vec![("REMOTE_USER", String::new())],
        vec![("REMOTE_USER", "me".to_owned()), ("REMOTE_USER", "churchyard".to_owned())],
        vec![("REMOTE-USER", "churchyard".to_owned())],
        vec![("X-Remote-User", "churchyard".to_owned())],
    ] {
        browser.headers = headers;
        let answer = browser.get("/login").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{:?}", browser.headers);
        assert!(answer.text().contains("Your identity is not known"));
    }
    assert!(browser.cookies.is_empty());
}

#[tokio::test]
async fn the_identity_is_turned_into_a_name_as_configured() {
    let mut config = with_login();
    config.login.name = regex::Regex::new(r"\A(?:(.+)@FEDORAPROJECT\.ORG)\z").unwrap();
    config.login.header = "x-identity".parse().unwrap();
    config.path_prefix = "/koschei".to_owned();
    config.external_url = Some("https://apps.example.org".to_owned());
    let site = site_with(config, include_str!("world.sql")).await;
    let mut browser = Browser::new(&site);
    browser.headers = vec![("X-Identity", "zbyszek@FEDORAPROJECT.ORG".to_owned())];
    let answer = browser.get("/koschei/login?next=/koschei/groups").await;
    assert_eq!(answer.header("location"), "/koschei/groups");
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("Path=/koschei/;") && cookie.ends_with("; Secure"), "{cookie}");
    browser.headers = vec![("X-Identity", "<b>zbyszek@EVIL.ORG".to_owned())];
    let answer = browser.get("/koschei/login").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("You are known as <b>zbyszek@EVIL.ORG, which is not"));
}

#[tokio::test]
async fn after_a_login_nobody_leaves_this_site() {
    let site = site().await;
    let mut browser = Browser::new(&site);
    browser.headers = vec![("REMOTE_USER", "zbyszek".to_owned())];
    for next in [
        "https://evil.example/",
        "//evil.example",
        "/%5Cevil.example",
        "javascript:alert(1)",
        "",
        "/a%0d%0aX:y",
    ] {
        let answer = browser.get(&format!("/login?next={next}")).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, "/"),
            "{next}"
        );
    }
}

#[tokio::test]
async fn several_processes_with_one_secret_know_the_same_people() {
    let site = site().await;
    let browser = Browser::of(&site, "zbyszek").await;
    let state = |config| State { pool: site.database.pool().clone(), config };
    let other = Site {
        database: koschei_db::testing::database().await,
        router: koschei_web::router(state(with_login())),
    };
    let mut there = Browser { cookies: browser.cookies.clone(), ..Browser::new(&other) };
    assert!(there.get("/documentation").await.text().contains("zbyszek Log out"));
    assert!(there.token == browser.token, "its forms, too");
    let mut config = with_login();
    config.login.secret = Some("another".to_owned());
    let stranger = Site {
        database: koschei_db::testing::database().await,
        router: koschei_web::router(state(config)),
    };
    let mut there = Browser { cookies: browser.cookies.clone(), ..Browser::new(&stranger) };
    assert!(there.get("/documentation").await.text().contains("Log in"));
    // Somebody whose row is gone is nobody.
    sqlx::raw_sql("DELETE FROM group_acl WHERE user_id = 3; DELETE FROM \"user\" WHERE id = 3")
        .execute(site.database.pool())
        .await
        .unwrap();
    let mut browser = browser;
    assert!(browser.get("/documentation").await.text().contains("Log in"));
}

#[tokio::test]
async fn a_form_needs_the_token_of_its_session() {
    let site = site().await;
    let mut browser = Browser::of(&site, "zbyszek").await;
    let token = browser.token.clone();
    let other = Browser::of(&site, "zbyszek").await.token;
    assert_ne!(token, other);
    for wrong in ["", "x", other.as_str()] {
        let answer = browser.post_bare("/logout", &[("csrf_token", wrong)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{wrong}");
        assert!(answer.text().contains("This form does not belong to your login"));
    }
    assert_eq!(browser.post_bare("/logout", &[]).await.status, StatusCode::FORBIDDEN);
    // A browser says where a form comes from.
    browser.headers = vec![("Sec-Fetch-Site", "cross-site".to_owned())];
    let answer = browser.post_bare("/logout", &[("csrf_token", &token)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("sent by another site"));
    // An address that others may link to asks first.
    browser.headers.clear();
    assert!(browser.get("/logout").await.text().contains("Log out?"));
    browser.headers = vec![("Sec-Fetch-Site", "same-origin".to_owned())];
    let answer = browser.post_bare("/logout", &[("csrf_token", &token)]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"));
    assert!(!browser.cookies.contains_key("koschei_session"));
    let page = browser.get("/documentation").await;
    assert!(page.text().contains("Done. You are logged out."), "{}", page.text());
    assert!(!browser.get("/documentation").await.text().contains("Done."), "it is told once");
    let nobody = browser.post_bare("/logout", &[("csrf_token", &token)]).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert!(nobody.text().contains("You have to log in first"));
    assert_eq!(browser.get("/logout").await.header("location"), "/");
}

#[tokio::test]
async fn forms_have_bounds() {
    let site = site().await;
    let mut browser = Browser::of(&site, "zbyszek").await;
    let token = browser.token.clone();
    let large = "x".repeat(1 << 20);
    let answer = browser.post_bare("/logout", &[("csrf_token", &token), ("more", &large)]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.text().contains("This form is too large"));
    let no_form = Request::post("/logout").body(Body::from("x")).unwrap();
    assert_eq!(browser.send(no_form).await.status, StatusCode::BAD_REQUEST);
    let zero = browser.post("/logout", &[("a", "\0")]).await;
    assert_eq!(zero.status, StatusCode::BAD_REQUEST);
    let mut last = StatusCode::OK;
    for _ in 0..40 {
        let answer = browser.post_bare("/logout", &[]).await;
        last = answer.status;
        if last == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.text().contains("Too many forms at once"), "{}", answer.text());
            assert!(answer.header("retry-after").parse::<u64>().unwrap() <= 2);
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    // Others are not held up, not even from the same address.
    let mut other = Browser::of(&site, "churchyard").await;
    assert_eq!(other.post("/logout", &[]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn at_this_very_machine_a_name_can_be_configured() {
    let login = Login { bypass: Some("developer".to_owned()), ..Login::default() };
    let site = site_with(WebConfig { login, ..site::config() }, "").await;
    let mut browser = Browser::new(&site);
    browser.peer = "127.0.0.1:1";
    for headers in [
        vec![("host", "koschei.example.org".to_owned())],
        vec![("host", "localhost".to_owned()), ("x-forwarded-for", "203.0.113.1".to_owned())],
    ] {
        browser.headers = headers;
        assert_eq!(browser.get("/login").await.status, StatusCode::UNAUTHORIZED);
    }
    browser.headers = vec![("host", "localhost:8080".to_owned())];
    assert_eq!(browser.get("/login").await.status, StatusCode::SEE_OTHER);
    let user = entities::user(site.database.pool(), "developer").await.unwrap().unwrap();
    assert!(user.admin, "whom it creates is an administrator");
    let mut connection = site.database.connection().await;
    entities::set_admin(&mut connection, "developer", false).await.unwrap();
    browser.get("/login").await;
    assert!(!entities::user(site.database.pool(), "developer").await.unwrap().unwrap().admin);
    // Where there is no login, none is offered.
    let without = site_with(site::config(), "").await;
    assert!(!without.text("/").await.contains("Log in"));
    assert_eq!(without.get("/login").await.status, StatusCode::UNAUTHORIZED);
    assert!(without.get("/login").await.text().contains("has no login set up"));
}

fn oidc(provider: &Provider) -> WebConfig {
    let oidc = Oidc {
        issuer: provider.issuer(),
        client_id: "koschei".to_owned(),
        client_secret: Some("s%cret/+".to_owned()),
        claim: "nickname".to_owned(),
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        redirect_uri: "http://koschei.example.org/koschei/login/oidc".to_owned(),
    };
    let login = Login {
        secret: Some("secret".to_owned()),
        oidc: Some(oidc),
        // The proxy is trusted for addresses; who somebody is, the provider says.
        proxies: vec!["10.0.0.1".parse::<Network>().unwrap()],
        ..Login::default()
    };
    WebConfig { login, path_prefix: "/koschei".to_owned(), ..site::config() }
}

/// Logs in at the provider. Where it sends the browser back to, without the host.
async fn at_the_provider(provider: &Provider, browser: &mut Browser<'_>, next: &str) -> String {
    let answer = browser.get(&format!("/koschei/login?next={next}")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    let back = provider.log_in(answer.header("location")).await;
    back.strip_prefix("http://koschei.example.org").unwrap().to_owned()
}

#[tokio::test]
async fn a_provider_of_openid_connect_says_who_somebody_is() {
    let provider = Provider::start().await;
    for trick in [Trick::None, Trick::NameOnlyAtUserinfo, Trick::SecretInForm] {
        provider.play(trick);
        // The description of a provider is asked for once.
        let site = site_with(oidc(&provider), include_str!("world.sql")).await;
        let mut browser = Browser::new(&site);
        browser.headers = vec![("REMOTE_USER", "churchyard".to_owned())];
        let back = at_the_provider(&provider, &mut browser, "/groups").await;
        let answer = browser.get(&back).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{trick:?}: {}", answer.text());
        assert_eq!(answer.header("location"), "/koschei/groups");
        let page = browser.get("/koschei/documentation").await;
        assert!(page.text().contains("packager Log out"), "{trick:?}: {}", page.text());
        assert!(!browser.cookies.contains_key("koschei_login"), "the attempt is over");
        // The code is used up, and the attempt is forgotten.
        assert_eq!(browser.get(&back).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn what_a_provider_says_is_checked() {
    let provider = Provider::start().await;
    let site = site_with(oidc(&provider), include_str!("world.sql")).await;
    for trick in [
        Trick::OtherNonce,
        Trick::OtherAudience,
        Trick::OtherIssuer,
        Trick::Expired,
        Trick::OtherSubjectAtUserinfo,
        Trick::NoName,
        Trick::CodeRefused,
        Trick::NoToken,
    ] {
        provider.play(trick);
        let mut browser = Browser::new(&site);
        let back = at_the_provider(&provider, &mut browser, "/").await;
        let answer = browser.get(&back).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{trick:?}: {}", answer.text());
        assert!(answer.text().contains("The login did not succeed"), "{trick:?}");
        assert!(!browser.cookies.contains_key("koschei_session"), "{trick:?}");
        check_html("/login/oidc", &answer.body);
    }
    provider.play(Trick::Broken);
    let mut browser = Browser::new(&site);
    let back = at_the_provider(&provider, &mut browser, "/").await;
    let answer = browser.get(&back).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
    assert!(answer.text().contains("The login provider does not answer"));
}

#[tokio::test]
async fn a_login_ends_in_the_browser_that_began_it() {
    let provider = Provider::start().await;
    let site = site_with(oidc(&provider), include_str!("world.sql")).await;
    let mut attacker = Browser::new(&site);
    let back = at_the_provider(&provider, &mut attacker, "/").await;
    // The attacker's code in the browser of somebody else, who began nothing or something else.
    let mut victim = Browser::new(&site);
    let answer = victim.get(&back).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text().contains("This login was not begun here, or too long ago"));
    at_the_provider(&provider, &mut victim, "/").await;
    assert_eq!(victim.get(&back).await.status, StatusCode::UNAUTHORIZED);
    // Whoever refuses at the provider is told so.
    let begun = victim.get("/koschei/login").await;
    let state = begun.header("location").split("state=").nth(1).unwrap();
    let state = state.split('&').next().unwrap();
    let refused = format!("/koschei/login/oidc?error=access_denied&state={state}");
    let answer = victim.get(&refused).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text().contains("The login was cancelled"));
    assert!(!victim.cookies.contains_key("koschei_session"));
}

#[tokio::test]
async fn logged_in_pages_are_sound_and_have_their_headers() {
    let site = site().await;
    let mut browser = Browser::of(&site, "churchyard").await;
    for address in
        ["/", "/package/python-lxml", "/groups", "/logout", "/nothing", "/user/churchyard"]
    {
        let answer = browser.get(address).await;
        check_html(address, &answer.body);
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("form-action 'self'") && !policy.contains("unsafe"), "{address}");
        assert!(answer.header("vary").contains("Cookie"), "{address}");
        assert!(answer.body.contains("churchyard"), "{address}");
    }
    let request = Request::get("/").header(header::COOKIE, "koschei_session=x.y; koschei_said=a.b");
    let answer = browser.site.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "a cookie that we did not make is none");
}
