//! A database that the original software left, taken over, and then everything run on it: each service, the pages, every
//! command. Ids, history and what links point to are afterwards what they were.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};
use std::time::Instant;

use fedora_messaging::testing::Broker;
use koschei_db::testing::original_database;

use crate::operator::{Operator, words};
use crate::support::installation::{PATIENCE, free_port, get};
use crate::support::{koschei, stderr, stdout};

/// What must never change: of each table what history and links are made of. Running builds end, and what is only of the
/// moment (priorities, states, unapplied changes) is there to change.
const HISTORY: [(&str, &str); 17] = [
    ("base_package", "SELECT concat_ws(' ', id, name) FROM base_package"),
    ("package", "SELECT concat_ws(' ', id, base_id, name, collection_id) FROM package"),
    (
        "build",
        "SELECT concat_ws(' ', id, package_id, task_id, state, started, finished, epoch, version, release, repo_id, \"real\")
           FROM build WHERE state <> 2",
    ),
    ("koji_task", "SELECT t::text FROM koji_task t JOIN build ON build.id = build_id WHERE build.state <> 2"),
    ("applied_change", "SELECT c::text FROM applied_change c JOIN build ON build.id = build_id WHERE build.state <> 2"),
    ("dependency", "SELECT t::text FROM dependency t"),
    ("resolution_change", "SELECT concat_ws(' ', id, package_id, resolved, \"timestamp\") FROM resolution_change"),
    ("resolution_problem", "SELECT t::text FROM resolution_problem t"),
    ("package_group", "SELECT concat_ws(' ', id, namespace, name) FROM package_group"),
    ("package_group_relation", "SELECT t::text FROM package_group_relation t"),
    ("group_acl", "SELECT t::text FROM group_acl t"),
    ("user", "SELECT concat_ws(' ', id, name) FROM \"user\""),
    ("log_entry", "SELECT t::text FROM log_entry t"),
    ("collection", "SELECT concat_ws(' ', id, name, display_name, target, dest_tag, build_tag) FROM collection"),
    ("collection_group", "SELECT t::text FROM collection_group t"),
    ("collection_group_relation", "SELECT t::text FROM collection_group_relation t"),
    ("copr_rebuild_request", "SELECT concat_ws(' ', id, user_id, collection_id, repo_source) FROM copr_rebuild_request"),
];

struct History(Vec<(&'static str, BTreeSet<String>)>);

impl History {
    async fn of(operator: &Operator) -> Self {
        let mut tables = Vec::new();
        for (table, query) in HISTORY {
            let rows: Vec<String> =
                sqlx::query_scalar(query).fetch_all(operator.database.pool()).await.unwrap();
            tables.push((table, rows.into_iter().collect()));
        }
        Self(tables)
    }

    /// Whether everything of it is there, whatever came to it.
    async fn assert_kept(&self, operator: &Operator, by: &str, except: &[&str]) {
        for ((table, before), (_, now)) in self.0.iter().zip(Self::of(operator).await.0) {
            let lost: Vec<&String> = before.difference(&now).take(3).collect();
            assert!(
                lost.is_empty() || except.contains(table),
                "{by} has changed {table}: {lost:#?}"
            );
        }
    }
}

/// The web interface, which ends with the test.
struct Web(Child, String);

impl Web {
    async fn start(operator: &Operator, port: u16) -> Self {
        let child = koschei(&operator.configuration())
            .arg("web")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let web = Self(child, format!("http://127.0.0.1:{port}"));
        let deadline = Instant::now() + PATIENCE;
        while get(&format!("{}/robots.txt", web.1)).is_none() {
            assert!(Instant::now() < deadline, "the web interface does not answer");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        web
    }

    fn page(&self, path: &str) -> String {
        get(&format!("{}{path}", self.1)).unwrap_or_else(|| panic!("{path} is no page"))
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Addresses that people have in their bookmarks and mails, each with what it shows.
async fn links(operator: &Operator) -> Vec<(String, Vec<String>)> {
    let mut links: Vec<(String, Vec<String>)> = Vec::new();
    let builds = "SELECT concat_ws(' ', id, task_id, version || '-' || release) FROM build
                   WHERE state <> 2 AND version IS NOT NULL ORDER BY id % 97, id LIMIT 6";
    for build in operator.texts(builds).await {
        let words: Vec<&str> = build.split(' ').collect();
        links
            .push((format!("/build/{}", words[0]), vec![words[1].to_owned(), words[2].to_owned()]));
    }
    for name in ["bash", "glibc", "kernel"] {
        for suffix in ["?collection=f28", "?collection=f40", "/log", "/times"] {
            links.push((format!("/package/{name}{suffix}"), vec![name.to_owned()]));
        }
        links.push((format!("/affected-by/{name}?epoch1=0&version1=1&release1=1&epoch2=0&version2=2&release2=1&collection=f40"), vec![]));
        links.push((format!("/badge/f28/{name}.svg"), vec!["<svg".to_owned()]));
    }
    for (query, prefix) in [
        (
            "SELECT concat_ws('/', namespace, name) FROM package_group ORDER BY id LIMIT 5",
            "/groups/",
        ),
        ("SELECT name FROM collection ORDER BY id", "/collection/"),
    ] {
        for name in operator.texts(query).await {
            let shown = name.rsplit('/').next().unwrap().to_owned();
            // A collection shows the name for people.
            let shown =
                if prefix == "/collection/" { vec!["Fedora".to_owned()] } else { vec![shown] };
            links.push((format!("{prefix}{name}"), shown));
        }
    }
    for path in [
        "/",
        "/packages",
        "/packages?collection=f40",
        "/collections",
        "/groups",
        "/stats",
        "/broken",
        "/search?q=bash",
        "/documentation",
        "/api/v1/packages?name=bash&collection=f40",
        "/suggest?q=ba",
    ] {
        links.push((path.to_owned(), vec![]));
    }
    links
}

/// Every command, in an order that makes sense; `{}` is the directory of the test.
const COMMANDS: &str = "\
db status
create-db
alembic upgrade head
psql -c 'SELECT count(*) FROM build'
selfcheck
status
config check
config show
config convert {}/old.cfg
set-notice 'We are moving'
clear-notice
create-collection f27b -d 'Fedora 27b' -t f27
edit-collection f27b -o 5 --bugzilla-version 27
delete-collection f27b -f
create-collection-group moved -d Moved -c f27 f28
edit-collection-group moved -d 'Moved here'
delete-collection-group moved
add-pkg bash -c f28
add-group mine bash glibc
create-group alice/mine
edit-group alice/mine --content-from-file {}/list
delete-group alice/mine
track-group mine
refresh-group mine '^make$' --url file://{}/pkglist
refresh-user-group mine alice --append --url file://{}/maintainers.json
refresh-distgit-group mine java-sig --append --url file://{}/maintainers.json
set-priority -c f28 --static bash 10
set-arch-override bash ^s390x -c f28
hold mine --until 2d
release mine
suspend --reason x
resume
submit-build bash -c f28
set-admin alice
unset-admin alice
list-admins
cache list
cache clear
fork-collection f28 side -d 'A side tag' -t f27
branch-collection f28 f29 -d 'Fedora 28' -t f27
cleanup --older-than 2";

#[tokio::test(flavor = "multi_thread")]
async fn everything_runs_on_a_database_that_was_taken_over_and_what_was_there_stays() {
    let database = original_database(120).await;
    // Two of its collections are in the simulated Koji, as of a repo that is not the newest; those of Koji's that are
    // gone are nobody's fault.
    sqlx::raw_sql(
        "UPDATE collection SET name = 'f27', target = 'f27', dest_tag = 'f27', build_tag = 'f27-build', latest_repo_id = 0 WHERE id = 3;
         UPDATE collection SET name = 'f28', target = 'f28', dest_tag = 'f28', build_tag = 'f28-build', latest_repo_id = 0 WHERE id = 4;
         UPDATE package SET static_priority = 5000 WHERE name = 'bash' AND collection_id = 4;",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let operator = Operator::with(database).await.and_koji().await;
    let history = History::of(&operator).await;
    let links = links(&operator).await;
    assert!(history.0.iter().filter(|(_, rows)| !rows.is_empty()).count() >= 15);
    operator.types_line("koschei-admin alembic upgrade head");
    history.assert_kept(&operator, "taking over", &[]).await;

    let broker = Broker::start();
    let bus = operator.directory.path().join("bus.toml");
    let queue = "[queues.koschei]\ndurable = true\nauto_delete = false\nexclusive = false\narguments = {}\n[[bindings]]\nqueue = 'koschei'\nexchange = 'amq.topic'\nrouting_keys = ['#']\n";
    fs::write(&bus, broker.settings(queue)).unwrap();
    let port = free_port();
    let configured = fs::read_to_string(operator.configuration()).unwrap();
    fs::write(
        operator.configuration(),
        format!("plugins = ['fedmsg']\nfedmsg-publisher.enabled = true\n{configured}[frontend]\nlisten = '127.0.0.1:{port}'\n"),
    )
    .unwrap();
    let web = Web::start(&operator, port).await;
    let look = |when: &str| {
        for (address, shown) in &links {
            let page = web.page(address);
            for text in shown {
                assert!(page.contains(text.as_str()), "{when}: {text} on {address}");
            }
        }
    };
    look("after taking over");
    let newest = operator.number("SELECT max(id)::bigint FROM build").await;
    for service in ["polling", "repo-resolver", "build-resolver", "scheduler", "watcher", "polling"]
    {
        let output = koschei(&operator.configuration())
            .args([service, "--once"])
            .env("FEDORA_MESSAGING_CONF", &bus)
            .env("KOSCHEI__KOJI_CONFIG__LOAD_THRESHOLD", "1")
            .output()
            .unwrap();
        for line in stderr(&output).lines().filter(|line| line.starts_with("koschei: ")) {
            assert!(line.contains("f40") || line.contains("f41"), "{service}: {line}");
        }
        history.assert_kept(&operator, service, &[]).await;
    }
    // New builds of both kinds came to those that were there, behind them.
    let new = "SELECT concat_ws(' ', count(*) FILTER (WHERE \"real\") > 0, count(*) FILTER (WHERE NOT \"real\") > 0,
                                min(id) FILTER (WHERE task_id < 100000) > $1) FROM build WHERE task_id < 100000";
    let new: String =
        sqlx::query_scalar(new).bind(newest).fetch_one(operator.database.pool()).await.unwrap();
    assert_eq!(new, "t t t");
    let resolved = "SELECT count(*) FROM collection WHERE name IN ('f27', 'f28') AND latest_repo_id > 0 AND latest_repo_resolved";
    assert_eq!(operator.number(resolved).await, 2);
    look("after the services");

    for (name, text) in [
        ("old.cfg", "config = {'koji_config': {'max_builds': 5}}\n"),
        ("list", "bash make"),
        ("pkglist", "packages/make/4/1/src/make-4-1.src.rpm\n"),
        ("maintainers.json", r#"{"rpms": {"make": ["alice"], "glibc": ["@java-sig"]}}"#),
    ] {
        fs::write(operator.directory.path().join(name), text).unwrap();
    }
    let directory = operator.directory.path().display().to_string();
    fs::create_dir_all(operator.directory.path().join("cache/repodata")).unwrap();
    let mut done = BTreeSet::new();
    for line in COMMANDS.lines() {
        let line = line.replace("{}", &directory);
        let all = words(&line);
        let output = koschei(&operator.configuration())
            .arg("admin")
            .args(&all)
            .env("FEDORA_MESSAGING_CONF", &bus)
            .env("SUDO_USER", "mizdebsk")
            .output()
            .unwrap();
        if all[0] == "selfcheck" {
            // Two collections are gone from Koji; nothing else is wrong.
            assert_eq!(
                stderr(&output),
                "koschei: 2 things are wrong, see above",
                "{}",
                stdout(&output)
            );
        } else if all[0] == "alembic" {
            assert!(
                stderr(&output).contains("are running on this database (koschei-web): stop"),
                "{}",
                stderr(&output)
            );
        } else {
            assert!(output.status.success(), "{line}: {}", stderr(&output));
        }
        done.insert(all[0].clone());
        // What a command is there to change.
        let except: &[&str] = match all[0].as_str() {
            "branch-collection" => &["collection"],
            "cleanup" => &[
                "collection",
                "build",
                "koji_task",
                "applied_change",
                "resolution_change",
                "resolution_problem",
            ],
            _ => &[],
        };
        history.assert_kept(&operator, &line, except).await;
    }
    let help = koschei(&operator.configuration()).args(["admin", "-h"]).output().unwrap();
    let help = stdout(&help);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    for line in commands.lines().take_while(|line| line.starts_with("  ")) {
        // What follows at more than two spaces is explanation.
        let Some(name) = line[2..].split(' ').next().filter(|name| !name.is_empty()) else {
            continue;
        };
        assert!(done.contains(name), "{name} was not run");
    }
    // What cleaning up leaves is what it was.
    let now = History::of(&operator).await;
    let (_, before) = &history.0[2];
    let kept = now.0[2].1.intersection(before).count();
    assert!(kept > 480 && kept < before.len(), "{kept} of {}", before.len());
    let page = web.page("/package/bash?collection=f29");
    assert!(page.contains("Fedora Rawhide"), "the master goes on under its new name");
}
