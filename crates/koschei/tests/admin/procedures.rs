//! The operating procedure (seed/koschei-sop.adoc): each command of it, exactly as written, on a database that the
//! original software left, with its effect in the database and on the page.

use std::path::PathBuf;

use koschei_db::testing::original_database;

use crate::operator::Operator;

/// The commands of the procedure, in its order.
fn commands() -> Vec<String> {
    let data = std::env::var_os("KOSCHEI_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = data.join("../seed/koschei-sop.adoc");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "this test runs the commands of the operating procedure, which is not at {} ({error}): set KOSCHEI_DATA to \
             the directory shared/data",
            path.display()
        )
    });
    let commands: Vec<String> =
        text.lines().filter(|line| line.starts_with("koschei-admin ")).map(str::to_owned).collect();
    assert_eq!(commands.len(), 8, "{commands:?}");
    commands
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_procedure_works_as_written_on_a_database_of_the_original_software() {
    let database = original_database(120).await;
    // What the procedure takes for granted.
    sqlx::raw_sql(
        "UPDATE collection SET name = 'f27', display_name = 'Fedora Rawhide', target = 'f27' WHERE id = 4;
         UPDATE base_package SET name = 'foo' WHERE name = 'bash';
         UPDATE package SET name = 'foo' WHERE name = 'bash';
         INSERT INTO base_package (name) VALUES ('pkg1'), ('pkg2'), ('pkg3');
         INSERT INTO package (base_id, name, collection_id, tracked)
         SELECT id, name, 4, true FROM base_package WHERE name IN ('pkg1', 'pkg2', 'pkg3');",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let operator = Operator::with(database).await.and_koji().await;
    let commands = commands();
    let [upgrade, outage, rebuild, clear, empty_group, group, priority, branch] = &commands[..]
    else {
        panic!("{commands:?}");
    };

    let said = operator.types_line(upgrade);
    assert!(said.starts_with("The schema is up to date now. Done: 1. "), "{said}");

    operator.types_line(outage);
    let page = operator.page("/").await;
    assert!(page.contains("suspended due to scheduled Koji outage"), "{page}");
    operator.types_line(rebuild);
    let page = operator.page("/").await;
    assert!(page.contains("disabled due to Fedora 23 mass rebuild"), "{page}");
    operator.types_line(clear);
    let page = operator.page("/").await;
    assert!(!page.contains("mass rebuild"), "{page}");

    operator.types_line(empty_group);
    assert!(operator.page("/groups").await.contains("mynewgroup"));
    // The procedure has one name for both examples.
    operator.types_line("koschei-admin delete-group mynewgroup");
    operator.types_line(group);
    let page = operator.page("/groups/mynewgroup").await;
    for name in ["pkg1", "pkg2", "pkg3"] {
        assert!(page.contains(name), "{page}");
    }

    operator.types_line(priority);
    let set =
        "SELECT static_priority::bigint FROM package WHERE name = 'foo' AND collection_id = 4";
    assert_eq!(operator.number(set).await, 100);
    let page = operator.page("/package/foo?collection=f27").await;
    assert!(page.contains("Set by administrators 100"), "{page}");

    let packages = operator.number("SELECT count(*) FROM package WHERE collection_id = 4").await;
    operator.types_line(branch);
    let collections = "SELECT concat_ws(' | ', name, display_name, target, build_tag, bugzilla_version, \"order\")
                         FROM collection WHERE name IN ('f27', 'f28') ORDER BY name";
    assert_eq!(
        operator.texts(collections).await,
        [
            "f27 | Fedora 27 | f27 | f27-build | 27 | 100",
            "f28 | Fedora Rawhide | f28 | f28-build | rawhide | 101"
        ]
    );
    let copied = "SELECT count(*) FROM package JOIN collection ON collection.id = collection_id
                   WHERE collection.name = 'f27'";
    assert_eq!(operator.number(copied).await, packages);
    // "Then you can optionally verify that the collection configuration is correct by visiting /collections".
    let page = operator.page("/collections").await;
    assert!(page.contains("Fedora 27") && page.contains("Fedora Rawhide"), "{page}");
    let page = operator.page("/collection/f27").await;
    assert!(page.contains("f27-build"), "{page}");
    let page = operator.page("/package/foo?collection=f27").await;
    assert!(page.contains("foo is ok in Fedora 27") && page.contains("scratch build"), "{page}");
    let set = "SELECT static_priority::bigint FROM package JOIN collection ON collection.id = collection_id
                WHERE package.name = 'foo' AND collection.name = 'f27'";
    assert_eq!(operator.number(set).await, 100, "the copy has the static priority");

    let log = operator.texts("SELECT message FROM log_entry WHERE environment = 'admin' AND
                              user_id = (SELECT id FROM \"user\" WHERE name = 'mizdebsk') ORDER BY id").await;
    assert_eq!(log.len(), 8, "{log:?}");
    assert_eq!(log.last().unwrap(), "Collection f28 branched from f27");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_forked_and_mistakes_of_both_commands_change_nothing() {
    let database = original_database(60).await;
    let operator = Operator::with(database).await.and_koji().await;
    operator.types_line("koschei-admin alembic upgrade head");
    let refuse = async || {
        for (line, expected) in [
            ("branch-collection f99 f28 -d x -t f28", "there is no collection f99"),
            ("branch-collection rawhide f28 -d x -t f28", "has no build target rawhide"),
            ("fork-collection rawhide side -d x -t f99", "has no build target f99"),
            ("fork-collection rawhide f41 -d x -t f28", "there is a collection f41 already"),
            ("fork-collection rawhide a/b -d x -t f28", "cannot be a name"),
        ] {
            let words: Vec<&str> = ["koschei-admin"].into_iter().chain(line.split(' ')).collect();
            let said = operator.fails(&words);
            assert!(said.contains(expected), "{line}: {said}");
        }
        assert_eq!(operator.number("SELECT count(*) FROM collection").await, 4);
    };
    refuse().await;
    let said =
        operator.types_line("koschei-admin fork-collection rawhide side -d 'A side tag' -t f28");
    assert!(
        said.starts_with("Collection rawhide forked: side (A side tag) has 60 packages and "),
        "{said}"
    );
    let fork =
        "SELECT concat_ws(' | ', name, display_name, target, dest_tag, build_tag, bugzilla_version)
                  FROM collection WHERE name IN ('rawhide', 'side') ORDER BY name";
    assert_eq!(
        operator.texts(fork).await,
        [
            "rawhide | Fedora Rawhide | rawhide | rawhide | f43-build | rawhide",
            "side | A side tag | f28 | f28-build | f28-build | rawhide"
        ]
    );
    let page = operator.page("/packages?collection=side").await;
    assert!(page.contains("A side tag") && page.contains("bash"), "{page}");
}
