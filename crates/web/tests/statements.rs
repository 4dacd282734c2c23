//! No query per row: each page and each answer for programs takes as many statements for a large world as for a small one.
//! They are counted where they are executed, by what the driver logs of each. And a page stays light however much there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

mod site;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use koschei_web::State;
use site::{Browser, Site, site_with, with_login};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// Everything that shows rows of the database, public or not.
const ADDRESSES: [&str; 43] = [
    "/",
    "/?collection=",
    "/packages",
    "/packages?collection=f46",
    "/packages?collection=f46&state=failing&since=7d&group=rust-sig&order_by=-since",
    "/packages?collection=f46&priority=1&untracked=1&order_by=current_priority",
    "/package/python-lxml",
    "/package/rust-sequoia-sq",
    "/package/bash",
    "/package/bash/log",
    "/package/bash/edit",
    "/package/python-lxml/times?collection=f46",
    "/bugreport/python-lxml",
    "/add-packages",
    "/add-group",
    "/build/17",
    "/broken",
    "/broken?collection=",
    "/collections",
    "/collection/f46",
    "/groups",
    "/groups/rust-sig?collection=f46",
    "/groups/rust-sig",
    "/groups/rust-sig/edit",
    "/groups/rust-sig/delete",
    "/user/churchyard",
    "/search?q=u",
    "/search?q=u&collection=f46",
    "/suggest?q=ru",
    "/affected-by/gcc?epoch1=0&version1=1&release1=1&epoch2=0&version2=99&release2=1&collection=f46",
    "/stats",
    "/badge/f46/bash.svg",
    "/feeds/collection/f46",
    "/feeds/group/rust-sig",
    "/feeds/user/churchyard",
    "/feeds/package/python-lxml",
    "/api/v1/packages",
    "/api/v1/packages?limit=1000&state=ok&group=rust-sig",
    "/api/v1/packages/python-lxml",
    "/api/v1/packages/python-lxml/builds",
    "/api/v1/packages/gtk4/changes",
    "/api/v1/packages/rust-sequoia-sq/problems",
    "/api/v1/builds/17/changes",
];

/// The same for programs only.
const FOR_PROGRAMS: [&str; 7] = [
    "/api/v1/builds/17",
    "/api/v1/problems",
    "/api/v1/collections",
    "/api/v1/collections/diff/f46/f45",
    "/api/v1/freshness",
    "/api/v1/groups",
    "/api/v1/groups/rust-sig",
];

/// No answer needs more, whatever it shows.
const MOST: usize = 25;

/// Twenty times as many packages, builds, changes, problems, groups, deeds, times.
const GROWTH: &str = r#"
    INSERT INTO base_package (id, name) SELECT 5000 + n, 'rust-bulk-' || n FROM generate_series(1, 1200) n;
    INSERT INTO package (id, base_id, name, collection_id, tracked, blocked, resolved)
        SELECT 100000 + b.id * 10 + c.id, b.id, b.name, c.id, true, false, true
        FROM base_package b CROSS JOIN collection c WHERE b.id > 5000;
    INSERT INTO build (id, package_id, state, task_id, started, finished, version, release, repo_id, last_complete, deps_resolved)
        SELECT 3000000 + p.id * 3 + n, p.id, CASE WHEN n = 2 AND p.id % 4 = 0 THEN 5 ELSE 3 END, 200000000 + p.id * 3 + n,
               now() - interval '1 hour' * (20 - n * 5), now() - interval '1 hour' * (19 - n * 5), '1', '1', 6390112, false, true
        FROM package p CROSS JOIN generate_series(0, 2) n WHERE p.base_id > 5000;
    -- And of the packages whose pages are opened.
    INSERT INTO build (id, package_id, state, task_id, started, finished, version, release, repo_id, last_complete, deps_resolved)
        SELECT 7000000 + p.id * 100 + n, p.id, 3, 300000000 + p.id * 100 + n, now() - interval '1 hour' * (1000 + n),
               now() - interval '1 hour' * (1000 + n), '1', '1', 6390112, false, true
        FROM package p CROSS JOIN generate_series(0, 60) n WHERE p.name IN ('python-lxml', 'bash', 'rust-sequoia-sq', 'gtk4');
    INSERT INTO koji_task (build_id, task_id, arch, state, started, finished)
        SELECT id, task_id * 2, 'x86_64', state, started, finished FROM build WHERE id > 3000000;
    INSERT INTO dependency (id, name, epoch, version, release, arch)
        SELECT 2000 + n, 'bulk-devel-' || n / 2, 0, '1.' || n, '1', 'x86_64' FROM generate_series(0, 199) n;
    INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
        SELECT b.id, 2000 + n * 2, 2001 + n * 2, 1 + n % 4 FROM generate_series(0, 99) n, build b JOIN package p ON p.id = b.package_id
        WHERE b.id IN (17) OR b.id > 3000000 AND p.collection_id = 1 AND p.id % 40 = 1
           OR b.last_complete AND p.name = 'python-lxml';
    INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
        SELECT b.id, 3, 4, 1 FROM build b WHERE b.id > 3000000 AND b.state = 5;
    INSERT INTO unapplied_change (package_id, prev_dep_id, curr_dep_id, distance)
        SELECT p.id, 2000 + n * 2, 2001 + n * 2, 1 + n % 4 FROM package p CROSS JOIN generate_series(0, 99) n
        WHERE p.name IN ('gtk4', 'bash', 'python-lxml');
    UPDATE package SET resolved = false WHERE base_id > 5000 AND id % 3 = 0;
    INSERT INTO resolution_change (id, resolved, "timestamp", package_id)
        SELECT 900000 + id, false, now(), id FROM package WHERE base_id > 5000 AND id % 3 = 0;
    INSERT INTO resolution_problem (resolution_id, problem)
        SELECT 900000 + id, 'No package found for: bulk' || n FROM package CROSS JOIN generate_series(1, 3) n
        WHERE base_id > 5000 AND id % 3 = 0;
    INSERT INTO resolution_problem (resolution_id, problem)
        SELECT (SELECT max(c.id) FROM resolution_change c WHERE c.package_id = p.id), 'No package found for: bulk' || n
        FROM package p CROSS JOIN generate_series(1, 20) n WHERE p.name = 'rust-sequoia-sq' AND p.collection_id = 1;
    INSERT INTO package_group (id, name) SELECT 2000 + n, 'bulk-sig-' || n FROM generate_series(1, 100) n;
    INSERT INTO package_group_relation SELECT 2000 + b.id % 100, b.id FROM base_package b WHERE b.id > 5000 AND b.id % 100 > 0;
    INSERT INTO package_group_relation SELECT 2, b.id FROM base_package b WHERE b.id > 5000;
    INSERT INTO package_group_relation SELECT 2000 + n, b.id FROM generate_series(1, 100) n, base_package b WHERE b.name = 'bash';
    INSERT INTO group_acl SELECT g.id, u.id FROM package_group g, "user" u WHERE g.id > 2000 AND u.name = 'churchyard';
    INSERT INTO hold (group_id, until, reason) SELECT id, now() + interval '1 day', 'wait' FROM package_group WHERE id > 2090;
    INSERT INTO log_entry (user_id, environment, message, base_id)
        SELECT 2, 'frontend', 'Deed ' || n, b.id FROM generate_series(1, 90) n, base_package b WHERE b.name = 'bash';
    INSERT INTO resource_consumption_stats SELECT name, 'x86_64', interval '1 hour', 0.001 FROM base_package WHERE id > 5000;
    INSERT INTO buildroot_problem (collection_id, problem) SELECT 4, 'No package found for: ' || n FROM generate_series(1, 30) n;
"#;

/// Counts the statements that are executed in its thread.
struct Counter {
    statements: Arc<AtomicUsize>,
    last: Arc<Mutex<Vec<String>>>,
}

struct Summary<'a>(&'a mut String);

impl Visit for Summary<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "summary" {
            *self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        self.statements.fetch_add(1, Ordering::SeqCst);
        let mut summary = String::new();
        event.record(&mut Summary(&mut summary));
        self.last.lock().unwrap().push(summary);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// How many statements each address takes: with nothing kept from others, and then once more.
async fn count(site: &Site, counter: &Counter) -> Vec<(&'static str, usize, Vec<String>)> {
    let mut counted = Vec::new();
    for address in ADDRESSES.into_iter().chain(FOR_PROGRAMS) {
        // Another process, which has kept no answer.
        let state = State { pool: site.database.pool().clone(), config: with_login() };
        let site = Site { database: site.database.clone(), router: koschei_web::router(state) };
        let mut browser = Browser::of(&site, "churchyard").await;
        counter.statements.store(0, Ordering::SeqCst);
        counter.last.lock().unwrap().clear();
        let answer = browser.get(address).await;
        let statements = counter.statements.load(Ordering::SeqCst);
        assert!(
            matches!(answer.status, StatusCode::OK | StatusCode::SEE_OTHER),
            "{address}: {}",
            answer.text()
        );
        let for_programs = ["/api/", "/feeds/"].iter().any(|start| address.starts_with(start));
        assert!(
            for_programs || answer.body.len() < 100_000,
            "{address} weighs {} bytes",
            answer.body.len()
        );
        let last = counter.last.lock().unwrap().clone();
        counted.push((address, statements, last));
    }
    counted
}

/// One thread, so that everything that is executed is seen by the subscriber of this thread.
#[tokio::test(flavor = "current_thread")]
async fn every_answer_takes_as_many_statements_for_many_rows_as_for_few() {
    let site = site_with(with_login(), include_str!("world.sql")).await;
    let counter = || Counter { statements: Arc::default(), last: Arc::default() };
    let counting = counter();
    let shared = Counter { statements: counting.statements.clone(), last: counting.last.clone() };
    let _guard = tracing::subscriber::set_default(shared);

    // The judge judges.
    sqlx::query("SELECT 1").execute(site.database.pool()).await.unwrap();
    assert_eq!(counting.statements.load(Ordering::SeqCst), 1);

    let small = count(&site, &counting).await;
    sqlx::raw_sql(GROWTH).execute(site.database.pool()).await.unwrap();
    let large = count(&site, &counting).await;
    let mut wrong = Vec::new();
    for ((address, few, _), (_, many, statements)) in small.iter().zip(&large) {
        println!("{few:3} {many:3} {address}");
        if many > few || *many > MOST {
            wrong.push(format!("{address}: {few}, then {many}: {statements:#?}"));
        }
    }
    assert!(small.iter().all(|(_, few, _)| *few > 0), "each of them reads the database");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
