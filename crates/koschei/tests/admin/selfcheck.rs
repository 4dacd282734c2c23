//! `koschei-selfcheck`: what is wrong is said, each thing in a line.

use std::fs;

use koschei_db::testing::{database, empty_database};

use crate::operator::Operator;
use crate::support::{stderr, stdout};

/// What it says, and whether all is well.
fn looks(operator: &Operator) -> (bool, String) {
    let output = operator.types(&["koschei-selfcheck"]);
    let said = stderr(&output);
    assert!(said.lines().count() <= 1, "{said}");
    (output.status.success(), format!("{}\n{said}", stdout(&output)))
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_looked_at_and_whatever_is_wrong_is_named() {
    let operator = Operator::with(database().await).await.and_koji().await;
    fs::create_dir_all(operator.directory.path().join("cache/repodata")).unwrap();
    operator.types_line("koschei-admin create-collection f28 -d 'Fedora 28' -t f28 --dest-tag f28");
    let (well, said) = looks(&operator);
    assert!(well, "{said}");
    for expected in [
        "ok     configuration: ",
        "ok     database: the PostgreSQL database ",
        "the schema is up to date, no services run",
        "ok     Koji: http://127.0.0.1",
        "answers, logged in as koschei",
        "ok     collection f28: built from f28-build, whose newest repo ",
        "ok     message bus: not used: fedmsg is not among the plugins",
        "ok     cache directory: ",
        "Everything that was looked at is in order",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(
        operator.log().await.len() == 1,
        "looking leaves no trace but that of create-collection"
    );

    // As many things as possible go wrong.
    fs::remove_dir_all(operator.directory.path().join("cache")).unwrap();
    sqlx::raw_sql(
        "UPDATE collection SET build_tag = 'f27-build';
         INSERT INTO collection (name, display_name, target, dest_tag, build_tag) VALUES ('old', 'Old', 'gone', 't', 't');
         INSERT INTO collection (name, display_name, target, dest_tag, build_tag, secondary_mode)
         VALUES ('arm', 'Arm', 'f28', 't', 't', true)",
    )
    .execute(operator.database.pool())
    .await
    .unwrap();
    let configured = fs::read_to_string(operator.configuration()).unwrap();
    let bus = operator.directory.path().join("bus.toml");
    fs::write(&bus, "amqp_url = 'amqp://127.0.0.1:1'\n").unwrap();
    let wrong = configured.replace("password = 'koschei'", "password = 'guessed'");
    fs::write(operator.configuration(), format!("plugins = ['fedmsg']\n{wrong}")).unwrap();
    let output = crate::support::koschei(&operator.configuration())
        .args(["admin", "selfcheck"])
        .env("FEDORA_MESSAGING_CONF", &bus)
        .output()
        .unwrap();
    let said = stdout(&output);
    for expected in [
        "ok     database: ",
        "WRONG  Koji: ",
        "(see koji_config.server, koji_config.login_method and koji_config.login_args)",
        "WRONG  collection f28: the build tag of Koji's target f28 is f28-build, but the collection has f27-build",
        "WRONG  collection old: ",
        "has no build target gone",
        "WRONG  collection arm: it is in secondary mode, but there is no secondary_koji_config",
        "WRONG  message bus: ",
        "WRONG  cache directory: ",
        "cache/repodata is no directory",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "koschei: 6 things are wrong, see above");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_schema_a_database_or_a_hub_the_rest_is_looked_at_nevertheless() {
    let operator = Operator::with(empty_database().await).await;
    let configured = fs::read_to_string(operator.configuration()).unwrap();
    let rest = "[koji_config]\nserver = 'http://127.0.0.1:1/kojihub'\n";
    fs::write(operator.configuration(), format!("{configured}{rest}")).unwrap();
    let (well, said) = looks(&operator);
    assert!(!well);
    assert!(
        said.contains("WRONG  database: the database is empty: create the schema with `koschei-admin create-db`"),
        "{said}"
    );
    assert!(said.contains("WRONG  Koji: ") && said.contains("cache directory: "), "{said}");

    let nowhere = operator.directory.path().join("nowhere");
    fs::write(operator.configuration(), format!("[database_config]\nhost = {nowhere:?}\n{rest}"))
        .unwrap();
    let (well, said) = looks(&operator);
    assert!(!well && said.contains("WRONG  database: cannot connect to "), "{said}");

    fs::write(operator.configuration(), "x = 1\n[frontend]\nlisten = 'y'\n").unwrap();
    let (well, said) = looks(&operator);
    assert!(!well);
    let wrong: Vec<&str> =
        said.lines().filter(|line| line.starts_with("WRONG  configuration: ")).collect();
    assert_eq!(wrong.len(), 2, "{said}");
    assert!(said.ends_with("koschei: 2 things are wrong, see above"), "{said}");
}
