//! The pages in a real browser: nothing is cut off on a phone, axe finds nothing serious in either theme, and the forms work
//! for a person with a mouse, a keyboard, or without JavaScript.
//!
//! `KOSCHEI_SHOTS=DIR cargo test -p koschei-web --test browser` keeps a picture of every page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

#[path = "../../koschei/tests/support/browser.rs"]
#[allow(dead_code, reason = "shared with the tests of the executable")]
mod browser;
mod site;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use browser::Browser;
use koschei_web::{Login, State, WebConfig};
use serde_json::{Value, json};

/// What axe is asked for from the registry of npm.
const AXE: &str = "axe-core@4.10.3";

/// Pages as everybody sees them, and as an administrator does.
const PUBLIC: [(&str, &str); 32] = [
    ("front", "/"),
    ("front-all", "/?collection="),
    ("packages", "/packages?collection=f46"),
    ("packages-several", "/packages"),
    ("failing", "/package/python-lxml"),
    ("unresolved", "/package/rust-sequoia-sq"),
    ("ok", "/package/gtk4"),
    ("unknown", "/package/zig"),
    ("times", "/package/python-lxml/times?collection=f46"),
    ("build", "/build/17"),
    ("broken", "/broken?collection=f46"),
    ("collections", "/collections"),
    ("collection", "/collection/f46"),
    ("groups", "/groups"),
    ("group", "/groups/python-sig"),
    ("search", "/search?q=rust"),
    (
        "affected",
        "/affected-by/libxml2-devel?epoch1=0&version1=2.14.6&release1=1.fc46&epoch2=0&version2=2.15.1&release2=1.fc46&collection=f46",
    ),
    ("stats", "/stats"),
    ("documentation", "/documentation"),
    ("missing", "/package/pyhton-lxml"),
    ("packages-narrowed", "/packages?collection=f46&state=failing&since=7d&group=python-sig"),
    ("packages-none", "/packages?collection=f44&state=failing&since=1d"),
    ("packages-untracked", "/packages?collection=f45&untracked=1&order_by=-name"),
    ("search-none", "/search?q=nothing-is-called-so"),
    ("broken-all", "/broken?collection="),
    ("held", "/package/python-cython"),
    ("untracked", "/package/Zope"),
    ("blocked", "/package/thunderbird"),
    ("stale", "/packages?collection=f44"),
    ("buildroot", "/collection/epel10"),
    ("running", "/package/libsigc%2B%2B20?collection=f45"),
    ("wrong", "/packages?page=x"),
];
/// Pages of things that are longer, or more, than usual (`shapes.sql`).
const SHAPES: [(&str, &str); 6] = [
    ("long-packages", "/packages?collection=f46"),
    ("long-package", LONG),
    ("long-build", "/build/5500114"),
    (
        "long-times",
        "/package/a_package_name_without_a_single_hyphen_that_goes_on_for_longer_than_anybody_would_like/times",
    ),
    ("many-problems", "/package/manyproblems"),
    ("many-buildroot-problems", "/collection/epel10"),
];
const LONG: &str = "/package/rust-this-is-an-extraordinarily-long-package-name-with-features%2Band-more%2Bdefault%2Breally-\
                    everything-devel-compat-0.1";
const PRIVATE: [(&str, &str); 8] = [
    ("edit-package", "/package/python-lxml/edit?collection=f46"),
    ("add-packages", "/add-packages"),
    ("add-group", "/add-group"),
    ("edit-group", "/groups/python-sig/edit"),
    ("delete-group", "/groups/python-sig/delete"),
    ("user", "/user/developer"),
    ("log", "/package/bash/log"),
    ("logout", "/logout"),
];

/// The site at an address of this machine, where whoever logs in is an administrator.
async fn serve() -> (koschei_db::testing::Database, String) {
    serve_for("developer").await
}

/// The site, where whoever logs in is this one.
async fn serve_for(name: &str) -> (koschei_db::testing::Database, String) {
    let database = koschei_db::testing::database().await;
    sqlx::raw_sql(include_str!("world.sql")).execute(database.pool()).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO \"user\" (name, admin) VALUES ('developer', true), ('newbie', false);
         INSERT INTO hold (group_id, until, reason) VALUES (1, now() + interval '2 days', 'Python 3.15 is being rebuilt.');
         INSERT INTO log_entry (user_id, environment, message, base_id)
           SELECT u.id, 'admin', 'Package bash (f46): manual priority set to 500', b.id
           FROM \"user\" u, base_package b WHERE u.name = 'developer' AND b.name = 'bash'",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let login = Login {
        secret: Some("secret".to_owned()),
        bypass: Some(name.to_owned()),
        ..Login::default()
    };
    let config = WebConfig { login, ..site::config() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let state = State { pool: database.pool().clone(), config };
    tokio::spawn(koschei_web::serve(listener, state, std::future::pending()));
    (database, address)
}

/// The source of axe, fetched once.
fn axe() -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(AXE);
    let file = directory.join("package/axe.min.js");
    if !file.exists() {
        std::fs::create_dir_all(&directory).unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(&directory).output();
            let output = output.unwrap_or_else(|error| {
                panic!("{program} cannot be started ({error}): install it with scripts/install-deps test")
            });
            let problem = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{program} {arguments:?}: {problem}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let archive = run("npm", &["pack", "--silent", AXE]);
        run("tar", &["-xzf", &archive]);
    }
    std::fs::read_to_string(file).unwrap()
}

/// Waits until a script gives something; what it gives.
fn until(browser: &Browser, what: &str, script: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let value = browser.evaluate(script);
        if !value.is_null() && value != false {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} does not happen:\n{}", browser.text());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What is seriously wrong with the page for people who cannot see it as others do.
fn serious(browser: &Browser, axe: &str) -> Vec<String> {
    browser.evaluate(axe);
    browser.evaluate(
        "window.found = null; axe.run(document, {resultTypes: ['violations']}).then(r => { window.found = r.violations; })",
    );
    let found = until(browser, "the end of axe", "return window.found");
    found
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["impact"] == "serious" || one["impact"] == "critical")
        .map(|one| format!("{}: {} {}", one["id"], one["help"], one["nodes"][0]["html"]))
        .collect()
}

/// A window of this size and theme.
fn look(browser: &Browser, width: u32, theme: &str) {
    let phone = width < 600;
    browser.devtools(
        "Emulation.setDeviceMetricsOverride",
        &json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": phone }),
    );
    let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
    browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
}

fn keep(browser: &Browser, name: &str) {
    if let Some(directory) = std::env::var_os("KOSCHEI_SHOTS") {
        let picture =
            browser.devtools("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        let picture =
            base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap());
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(Path::new(&directory).join(format!("{name}.png")), picture.unwrap())
            .unwrap();
    }
}

/// As on paper.
fn keep_print(browser: &Browser, name: &str) {
    if let Some(directory) = std::env::var_os("KOSCHEI_SHOTS") {
        let paper = json!({ "printBackground": false, "paperWidth": 8.27, "paperHeight": 11.69 });
        let printed = browser.devtools("Page.printToPDF", &paper);
        let printed =
            base64::engine::general_purpose::STANDARD.decode(printed["data"].as_str().unwrap());
        std::fs::write(Path::new(&directory).join(format!("{name}.pdf")), printed.unwrap())
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_read_by_everybody_on_everything() {
    let (database, site) = serve().await;
    let pool = database.pool().clone();
    tokio::task::spawn_blocking(move || {
        let axe = axe();
        let browser = Browser::start(1280, 900);
        let wrong = std::cell::RefCell::new(Vec::new());
        let check = |name: &str, path: &str| {
            // Shape and words are the same in the other combinations, which are for looking at only.
            let combinations = [(1280, "light"), (360, "dark"), (1280, "dark"), (360, "light")];
            let tried = if std::env::var_os("KOSCHEI_SHOTS").is_some() { 4 } else { 2 };
            for (width, theme) in combinations.into_iter().take(tried) {
                look(&browser, width, theme);
                browser.open(&format!("{site}{path}"));
                keep(&browser, &format!("{name}-{width}-{theme}"));
                let page = format!("{path} at {width} {theme}");
                let too_wide = |width: u32| {
                    look(&browser, width, theme);
                    let scroll = browser.evaluate(
                        "const e = document.documentElement; return e.scrollWidth - e.clientWidth",
                    );
                    if scroll != 0 {
                        let told = format!("{page} is {scroll} pixels too wide at {width}");
                        wrong.borrow_mut().push(told);
                    }
                    let top =
                        browser.evaluate("return document.querySelector('.top').offsetHeight");
                    if width > 960 && top.as_i64().is_none_or(|top| top > 70) {
                        let told = format!("{page} has more than a line at its top at {width}");
                        wrong.borrow_mut().push(told);
                    }
                };
                // The smallest phones there are, and tablets.
                let widths: &[u32] =
                    if width < 600 { &[320, 360] } else { &[720, 800, 1000, 1280] };
                for narrower in widths {
                    too_wide(*narrower);
                }
                if (width == 1280) == (theme == "light") {
                    let found = serious(&browser, &axe);
                    wrong.borrow_mut().extend(found.iter().map(|one| format!("{page}: {one}")));
                }
            }
        };
        for (name, path) in PUBLIC {
            check(name, path);
        }
        for (name, path) in PUBLIC {
            if ["front", "packages", "failing", "unresolved", "broken", "build"].contains(&name) {
                browser.open(&format!("{site}{path}"));
                keep_print(&browser, name);
            }
        }
        browser.open(&format!("{site}/login"));
        for (name, path) in PRIVATE {
            check(name, path);
        }
        let shapes = sqlx::raw_sql(include_str!("shapes.sql")).execute(&pool);
        tokio::runtime::Handle::current().block_on(shapes).unwrap();
        for (name, path) in SHAPES {
            check(name, path);
        }
        tokio::runtime::Handle::current().block_on(pool.close());
        check("database-away", "/packages?collection=f46");
        assert!(browser.text().contains("The database does not answer"));
        assert!(wrong.borrow().is_empty(), "{}", wrong.borrow().join("\n"));
    })
    .await
    .unwrap();
}

fn click(browser: &Browser, selector: &str) {
    let script = format!("document.querySelector({}).click()", json!(selector));
    browser.evaluate(&script);
}

/// Types into a field, as a keyboard does.
fn type_into(browser: &Browser, selector: &str, text: &str) {
    let script =
        format!("const e = document.querySelector({}); e.focus(); e.select()", json!(selector));
    browser.evaluate(&script);
    browser.devtools("Input.insertText", &json!({ "text": text }));
}

fn press(browser: &Browser, key: &str, code: u32) {
    for kind in ["rawKeyDown", "keyUp"] {
        browser.devtools(
            "Input.dispatchKeyEvent",
            &json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code }),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_changes_things_and_logs_out() {
    let (database, site) = serve().await;
    let running: i32 =
        sqlx::query_scalar("SELECT id FROM build WHERE state = 2 ORDER BY id LIMIT 1")
            .fetch_one(database.pool())
            .await
            .unwrap();
    tokio::task::spawn_blocking(move || {
        let browser = Browser::start(1280, 900);
        let says = |what: &str| says(&browser, what);
        // All of it without JavaScript. Who has not logged in is offered to read, and led back after the login.
        browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        browser.open(&format!("{site}/package/bash?collection=f45"));
        assert!(!browser.text().contains("Log out"));
        click(&browser, "a[href*='/package/bash/edit']");
        says("Edit bash in Fedora 45");
        assert!(browser.text().contains("developer"));
        type_into(&browser, "#manual", "12");
        type_into(&browser, "#static", "30");
        click(&browser, "form.edit button");
        says("manual priority set to 12");
        says("static priority set to 30");
        assert!(
            browser
                .evaluate("return location.pathname")
                .as_str()
                .unwrap()
                .ends_with("/package/bash")
        );

        browser.open(&format!("{site}/package/bash/edit?collection=f45"));
        type_into(&browser, "#arches", "vax");
        click(&browser, "form.edit button");
        says("vax is not one of the architectures");

        browser.open(&format!("{site}/add-group"));
        type_into(&browser, "#name", "tools");
        type_into(&browser, "#packages", "bash gcc");
        click(&browser, "form.edit button");
        says("The group tools has 2 packages.");
        click(&browser, "a[href$='/groups/developer/tools/edit']");
        says("Edit the group developer/tools");
        click(&browser, "a[href$='/delete']");
        says("Delete the group developer/tools?");
        click(&browser, "main form button");
        says("The group developer/tools is deleted.");

        browser.open(&format!("{site}/add-packages?collection=f45"));
        type_into(&browser, "#packages", "zstd");
        click(&browser, "form.edit button");
        says("zstd is tracked now.");

        browser.open(&format!("{site}/build/{running}"));
        click(&browser, "main form button");
        says("its cancellation was requested");

        click(&browser, "header .who button");
        says("You are logged out.");
        assert!(browser.text().contains("Log in"));
    })
    .await
    .unwrap();
}

/// Whether the page says something once it is there.
fn says(browser: &Browser, what: &str) {
    let script = format!(
        "return document.readyState === 'complete' && document.body.innerText.includes({})",
        json!(what)
    );
    until(browser, what, &script);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_changes_nothing_and_a_user_what_everybody_may() {
    let (database, site) = serve_for("newbie").await;
    let running: i32 =
        sqlx::query_scalar("SELECT id FROM build WHERE state = 2 ORDER BY id LIMIT 1")
            .fetch_one(database.pool())
            .await
            .unwrap();
    tokio::task::spawn_blocking(move || {
        let browser = Browser::start(1280, 900);
        browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        let forms = || browser.evaluate("return document.querySelectorAll('main form').length");
        // Logged out: nothing to press but what finds, and every form leads to the login.
        for path in ["/", "/packages", "/package/bash", "/groups/rust-sig", "/broken"] {
            browser.open(&format!("{site}{path}"));
            assert_eq!(forms(), 0, "{path}");
            assert!(browser.text().contains("Log in"), "{path}");
            assert!(!browser.text().contains("Add packages"), "{path}");
        }
        browser.open(&format!("{site}/build/{running}"));
        assert_eq!(forms(), 0);
        browser.open(&format!("{site}/add-packages?collection=f45"));
        says(&browser, "newbie");
        says(&browser, "Add packages");

        // A user: priorities by hand, packages, groups of their own; not what is left to others.
        browser.open(&format!("{site}/package/bash/edit?collection=f46"));
        assert!(!browser.text().contains("Static priority"));
        type_into(&browser, "#manual", "7");
        click(&browser, "form.edit button");
        says(&browser, "manual priority set to 7");
        browser.open(&format!("{site}/build/{running}"));
        assert!(!browser.text().contains("Cancel this build"));
        browser.open(&format!("{site}/groups/rust-sig"));
        assert_eq!(browser.evaluate("return document.querySelectorAll('main a[href$=edit]').length"), 0);
        browser.open(&format!("{site}/groups/rust-sig/edit"));
        says(&browser, "This group is not yours");
        keep(&browser, "forbidden-1280-light");
        browser.open(&format!("{site}/groups"));
        browser.open(&format!("{site}/user/newbie"));
        says(&browser, "You own no group");

        // A login that ended while a form was open: nothing is lost but a step.
        browser.open(&format!("{site}/package/bash/edit?collection=f46"));
        browser.devtools("Network.clearBrowserCookies", &json!({}));
        type_into(&browser, "#manual", "9");
        click(&browser, "form.edit button");
        says(&browser, "You have to log in first");
        keep(&browser, "expired-1280-light");
        click(&browser, "main a.btn.main");
        says(&browser, "newbie");

        // Who sends more forms than a person does waits.
        browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": false }));
        // On a busy machine so much time may pass after the flood that one more is taken; then once more.
        let deadline = Instant::now() + Duration::from_secs(300);
        loop {
            browser.open(&format!("{site}/package/bash/edit?collection=f46"));
            browser.evaluate(
                "window.over = null; const form = new URLSearchParams(new FormData(document.querySelector('form.edit')));
                 Promise.all([...Array(40)].map(() => fetch(location.href.split('?')[0], {method: 'POST', body: form})))
                   .then(all => { window.over = all.some(one => one.status === 429); })",
            );
            assert_eq!(until(&browser, "an end", "return window.over"), true);
            click(&browser, "form.edit button");
            until(
                &browser,
                "an answer",
                "return /Too many forms at once|Nothing was different/.test(document.body.innerText)",
            );
            if browser.text().contains("Too many forms at once") {
                break;
            }
            assert!(Instant::now() < deadline, "{}", browser.text());
        }
        keep(&browser, "too-many-1280-light");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_looks_after_a_group() {
    let (_database, site) = serve_for("zbyszek").await;
    tokio::task::spawn_blocking(move || {
        let browser = Browser::start(1280, 900);
        browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        browser.open(&format!("{site}/login?next=/groups"));
        says(&browser, "Yours");
        keep(&browser, "groups-mine-1280-light");
        click(&browser, "main a[href$='/groups/rust-sig']");
        says(&browser, "Owners: decathorpe and zbyszek");
        click(&browser, "main a[href$=edit]");
        says(&browser, "Edit the group rust-sig");
        type_into(&browser, "#packages", "rust-nettle bash no-such-package");
        type_into(&browser, "#owners", " ");
        // The browser itself asks for owners; a server that is asked all the same says it, too.
        browser.evaluate("document.querySelector('form.edit').noValidate = true");
        click(&browser, "form.edit button");
        says(&browser, "The group needs at least one owner");
        for (width, theme) in [(1280, "light"), (360, "dark")] {
            look(&browser, width, theme);
            keep(&browser, &format!("mistakes-{width}-{theme}"));
        }
        look(&browser, 1280, "light");
        type_into(&browser, "#owners", "decathorpe zbyszek");
        browser.evaluate("document.querySelector('form.edit').noValidate = true");
        click(&browser, "form.edit button");
        says(&browser, "no-such-package is not known");
        type_into(&browser, "#packages", "rust-nettle bash");
        click(&browser, "form.edit button");
        says(&browser, "The group is changed.");
        says(&browser, "2 packages in this group");

        // The other way round: from the package.
        browser.open(&format!("{site}/package/bash/edit?collection=f46"));
        says(&browser, "Groups that you may change");
        click(&browser, "#group-2");
        click(&browser, "form.edit button");
        says(&browser, "Done.");
        keep(&browser, "done-1280-light");
        browser.open(&format!("{site}/groups/rust-sig"));
        says(&browser, "1 package in this group");
        browser.open(&format!("{site}/package/rust-nettle/log"));
        browser.open(&format!("{site}/groups/kde-sig/edit"));
        says(&browser, "This group is not yours");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_with_the_keyboard_alone() {
    let (_database, site) = serve().await;
    tokio::task::spawn_blocking(move || {
        let browser = Browser::start(1280, 900);
        browser.open(&format!("{site}/documentation"));
        press(&browser, "/", 191);
        assert_eq!(browser.evaluate("return document.activeElement.id"), "q");
        browser.devtools("Input.insertText", &json!({ "text": "rust-seq" }));
        until(
            &browser,
            "a suggestion",
            "return document.querySelectorAll('#found li').length >= 3",
        );
        press(&browser, "ArrowDown", 40);
        press(&browser, "ArrowDown", 40);
        let chosen = until(
            &browser,
            "a choice",
            "return document.querySelector('#found [aria-selected=true]')?.textContent",
        );
        assert_eq!(
            browser.evaluate(
                "return document.querySelector('#q').getAttribute('aria-activedescendant')"
            ),
            "found-1"
        );
        press(&browser, "Escape", 27);
        assert_eq!(browser.evaluate("return document.querySelector('#found').hidden"), true);
        browser.devtools("Input.insertText", &json!({ "text": "u" }));
        until(&browser, "a suggestion", "return !document.querySelector('#found').hidden");
        press(&browser, "ArrowDown", 40);
        press(&browser, "ArrowDown", 40);
        press(&browser, "Enter", 13);
        until(&browser, "the page", "return location.pathname.startsWith('/package/')");
        let path = browser.evaluate("return location.pathname");
        assert_eq!(path.as_str().unwrap(), format!("/package/{}", chosen.as_str().unwrap()));
    })
    .await
    .unwrap();
}
