//! The main job, end to end: a packager's update breaks another package, and Koschei finds out, says what did it, and sees
//! it recover. Real processes, real XML-RPC, real rpm-md, a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod support;

use kojisim::{Options, Push, Sim};
use koschei_db::testing::database;
use support::{
    browser::Browser,
    installation::{Installation, SERVICES},
    koschei, stderr,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_update_breaks_a_package_and_its_fix_mends_it() {
    let directory = tempfile::tempdir().unwrap();
    let koji = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    let database = database().await;
    let mut installation = Installation::new(&koji, database.config());

    // The operator adds a collection; a target that Koji does not know is an error that changes nothing.
    let refused = koschei(&installation.configuration())
        .args(["admin", "create-collection", "b9", "-d", "Buyan 9", "-t", "buyan9"])
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("has no build target buyan9"), "{}", stderr(&refused));
    let created = installation.admin(&[
        "create-collection",
        "buyan2",
        "-d",
        "Buyan 2",
        "-t",
        "buyan2",
        "--dest-tag",
        "buyan2",
    ]);
    assert!(created.contains("buyan2-build"), "{created}");
    installation.start(&SERVICES);

    // Polling registers the packages that Koji lists.
    let known = || async {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM package WHERE name LIKE 'python-%'")
                .fetch_one(database.pool())
                .await
                .unwrap();
        count > 0
    };
    installation.wait("polling finds packages", known).await;
    installation.admin(&["add-pkg", "python-pyyaml", "libyaml", "-c", "buyan2"]);
    installation.wait_for_state("python-pyyaml", "buyan2", "ok").await;
    let processed = || async {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM build JOIN package ON package.id = package_id
              WHERE tracked AND deps_resolved IS NULL OR tracked AND resolved IS NULL",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        waiting == 0
    };
    installation.wait("both resolvers have looked at everything", processed).await;

    // A packager pushes a libyaml that python-pyyaml does not know yet, and Koji makes a repo with it.
    let push = Push::of("libyaml")
        .version("0.2.6")
        .breaking("python-pyyaml", "error: too few arguments to function 'yaml_parser_set_input'");
    let task = koji.push(&push).expect("libyaml is in the world");
    assert_eq!(koji.wait_for_task(task).await, Some(2), "libyaml itself builds");
    let repo = koji.new_repo("buyan2-build").expect("the build tag exists");
    assert_eq!(koji.wait_for_task(repo).await, Some(2));

    // Its dependency changed, so it is built again, and fails.
    installation.wait_for_state("python-pyyaml", "buyan2", "failing").await;
    let (real, state, task): (bool, i32, i32) = sqlx::query_as(
        r#"SELECT "real", state, task_id FROM build JOIN package ON package.last_build_id = build.id
            WHERE package.name = 'python-pyyaml'"#,
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert!(!real && state == 5, "the failure is that of a scratch build of ours");
    assert_eq!(koji.task_state(i64::from(task)), Some(5));

    // The change that did it is on record, and on the page.
    let culprits = || async {
        let changes: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT curr.name, prev.version, curr.version
               FROM applied_change
               JOIN build ON build.id = build_id
               JOIN package ON package.last_build_id = build.id
               JOIN dependency AS curr ON curr.id = curr_dep_id
               LEFT JOIN dependency AS prev ON prev.id = prev_dep_id
              WHERE package.name = 'python-pyyaml'",
        )
        .fetch_all(database.pool())
        .await
        .unwrap();
        changes.iter().any(|(name, before, now)| {
            name == "libyaml-devel"
                && before.as_deref() == Some("0.2.5")
                && now.as_deref() == Some("0.2.6")
        })
    };
    installation.wait("the change of libyaml-devel is on record", culprits).await;
    let page = installation.page("/package/python-pyyaml?collection=buyan2").unwrap();
    assert!(page.contains("libyaml-devel"), "{page}");

    // The packager of python-pyyaml pushes a version that copes; the real build is good news by itself.
    let fix = Push::of("python-pyyaml").version("6.0.2").adapting("libyaml");
    let task = koji.push(&fix).expect("python-pyyaml is in the world");
    assert_eq!(koji.wait_for_task(task).await, Some(2));
    installation.wait_for_state("python-pyyaml", "buyan2", "ok").await;

    // Nothing that was asked of Koji is unaccounted for.
    let submitted = support::accounts::submitted(&koji.url()).await.unwrap();
    let recorded = support::accounts::recorded(database.pool()).await;
    let tasks: Vec<i64> = submitted.keys().copied().collect();
    assert_eq!(recorded.keys().copied().collect::<Vec<_>>(), tasks);
    assert!(recorded.values().all(|count| *count == 1));
}

/// What somebody asks for on a page happens in Koji.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_cancels_a_build_on_its_page_and_it_ends_in_koji() {
    let directory = tempfile::tempdir().unwrap();
    let koji = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    let database = database().await;
    let mut installation = Installation::new(&koji, database.config());
    let file = installation.configuration();
    let configuration = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("bypass_login = 'me'\n{configuration}")).unwrap();
    installation.admin(&[
        "create-collection",
        "buyan2",
        "-d",
        "Buyan 2",
        "-t",
        "buyan2",
        "--dest-tag",
        "buyan2",
    ]);
    installation.start(&SERVICES);
    let number = async |statement: &'static str| -> i64 {
        sqlx::query_scalar(statement).fetch_one(database.pool()).await.unwrap()
    };
    let known = async || number("SELECT count(*) FROM package WHERE name = 'zlib'").await > 0;
    installation.wait("polling finds zlib", known).await;
    installation.admin(&["add-pkg", "zlib", "-c", "buyan2"]);
    installation.wait_for_state("zlib", "buyan2", "ok").await;
    koji.hold_builds(true);

    // They want it built at once.
    let browser = tokio::task::block_in_place(|| {
        let browser = Browser::start(1280, 900);
        browser.open(&installation.address("/package/zlib/edit?collection=buyan2"));
        browser.evaluate(
            "document.querySelector('#manual').value = '10000';
             document.querySelector('form.edit button').click()",
        );
        browser
    });
    const RUNNING: &str = "SELECT count(*) FROM build JOIN package ON package.id = package_id
                            WHERE name = 'zlib' AND state = 2";
    installation.wait("a build of zlib runs", async || number(RUNNING).await == 1).await;
    let (id, task): (i32, i32) = sqlx::query_as("SELECT id, task_id FROM build WHERE state = 2")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert!(matches!(koji.task_state(i64::from(task)), Some(0 | 1 | 4)));

    // And then not.
    tokio::task::block_in_place(|| {
        browser.open(&installation.address(&format!("/build/{id}")));
        browser.evaluate("document.querySelector('main form button').click()");
    });
    let over = async || koji.task_state(i64::from(task)) == Some(3);
    installation.wait("the task is canceled in Koji", over).await;
    let gone = async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM build WHERE task_id = $1")
            .bind(task)
            .fetch_one(database.pool())
            .await
            .unwrap();
        left == 0
    };
    installation.wait("the build is gone", gone).await;
    let deeds = number("SELECT count(*) FROM log_entry WHERE message LIKE '%cancel%'").await;
    assert_eq!(deeds, 1, "who did it is written down");
}
