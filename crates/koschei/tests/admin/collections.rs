//! Collections and groups of them.

use crate::operator::Operator;

const COLLECTION: &str = "SELECT concat_ws(' | ', name, display_name, target, dest_tag, build_tag, \"order\",
        priority_coefficient, build_group, poll_untracked, bugzilla_product, bugzilla_version, latest_repo_id)
   FROM collection ORDER BY id";

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_created_changed_and_deleted() {
    let operator = Operator::with(koschei_db::testing::database().await).await.and_koji().await;
    // Options may stand before the command.
    let said =
        operator.types_line("koschei-admin -d 'Fedora 27' --target=f27 create-collection f27");
    assert_eq!(
        said,
        "Collection f27 created: Fedora 27, built from f27-build, real builds from f27-build"
    );
    let created = "f27 | Fedora 27 | f27 | f27-build | f27-build | 100 | 1 | build | t";
    assert_eq!(operator.texts(COLLECTION).await, [created]);
    for (line, expected) in [
        ("create-collection f27 -d x -t f27", "there is a collection f27 already"),
        ("create-collection f99 -d x -t f99", "has no build target f99"),
        ("create-collection f/9 -d x -t f27", "cannot be a name"),
        ("create-collection f28 -d x -t f28 -p -1", "not negative"),
        ("create-collection f28 -d x -t f28 -m secondary", "secondary_koji_config"),
        ("create-collection f28 -d= -t f28", "'--display-name <NAME>': it must not be empty"),
        ("create-collection f28 -d x -t=", "'--target <TARGET>': it must not be empty"),
        ("edit-collection f27 -d=", "it must not be empty"),
        ("edit-collection f99 -d x", "there is no collection f99"),
        ("edit-collection f27 -t f99", "has no build target f99"),
        ("edit-collection f27 --poll-untracked perhaps", "perhaps"),
    ] {
        let words: Vec<&str> = ["koschei-admin"].into_iter().chain(line.split(' ')).collect();
        let said = operator.fails(&words);
        assert!(said.contains(expected), "{line}: {said}");
    }
    assert_eq!(operator.texts(COLLECTION).await, [created]);

    sqlx::raw_sql(
        "UPDATE collection SET latest_repo_id = 7, latest_repo_resolved = false;
         INSERT INTO buildroot_problem (collection_id, problem) SELECT id, 'x' FROM collection",
    )
    .execute(operator.database.pool())
    .await
    .unwrap();
    operator.types_line(
        "koschei-admin edit-collection f27 -d 'Fedora XXVII' --dest-tag f27-updates -p 0.5 -o -3 \
         --build-group live --poll-untracked false --bugzilla-product Fedora --bugzilla-version 27",
    );
    let edited = "f27 | Fedora XXVII | f27 | f27-updates | f27-build | -3 | 0.5 | live | f | Fedora | 27 | 7";
    assert_eq!(operator.texts(COLLECTION).await, [edited]);
    assert_eq!(
        operator.types_line("koschei-admin edit-collection f27 -o -3"),
        "Nothing to do: collection f27 is like that"
    );
    // Another target has another build tag, and other repos; the destination tag stays.
    let said = operator.types_line(
        "koschei-admin edit-collection f27 --new-name f28 -t f28 --bugzilla-version ''",
    );
    assert_eq!(said, "Collection f28 changed, built from f28-build");
    assert_eq!(
        operator.texts(COLLECTION).await,
        ["f28 | Fedora XXVII | f28 | f27-updates | f28-build | -3 | 0.5 | live | f | Fedora"]
    );
    assert_eq!(operator.number("SELECT count(*) FROM buildroot_problem").await, 0);
    let page = operator.page("/collection/f28").await;
    assert!(page.contains("f28-build") && page.contains("f27-updates"), "{page}");

    operator.types_line("koschei-admin delete-collection f28");
    assert!(operator.texts(COLLECTION).await.is_empty());
    let said = operator.fails(&["koschei-admin", "delete-collection", "f28"]);
    assert!(said.contains("there is no collection f28"), "{said}");
    assert_eq!(
        operator.log().await,
        [
            "mizdebsk admin: Collection f27 created",
            "mizdebsk admin: Collection f27 modified",
            "mizdebsk admin: Collection f27 modified, and is called f28 now",
            "mizdebsk admin: Collection f28 deleted",
        ]
    );
}

#[tokio::test]
async fn a_collection_with_packages_is_deleted_by_force() {
    let operator = Operator::with_packages().await;
    let said = operator.fails(&["koschei-admin", "delete-collection", "f27"]);
    assert!(said.contains("has 3 packages") && said.contains("--force"), "{said}");
    assert_eq!(operator.number("SELECT count(*) FROM package").await, 3);
    assert_eq!(
        operator.types_line("koschei-admin delete-collection f27 -f"),
        "Collection f27 deleted, with 3 packages"
    );
    assert_eq!(operator.number("SELECT count(*) FROM package").await, 0);
}

#[tokio::test]
async fn collections_are_grouped() {
    let operator = Operator::with_packages().await;
    sqlx::raw_sql(
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
         VALUES ('f28', 'Fedora 28', 'f28', 'f28', 'f28-build')",
    )
    .execute(operator.database.pool())
    .await
    .unwrap();
    let groups = "SELECT concat_ws(' ', g.name, g.display_name,
                         (SELECT string_agg(c.name, ',' ORDER BY c.name) FROM collection_group_relation r
                            JOIN collection c ON c.id = r.collection_id WHERE r.group_id = g.id))
                    FROM collection_group g ORDER BY 1";
    operator.types_line("koschei-admin create-collection-group fedora -d Fedora -c f27 f28");
    operator.types_line("koschei-admin create-collection-group old -d Old");
    assert_eq!(operator.texts(groups).await, ["fedora Fedora f27,f28", "old Old"]);
    operator.types_line("koschei-admin edit-collection-group old -c f27 -d Older");
    operator.types_line("koschei-admin edit-collection-group fedora --contents f28");
    assert_eq!(operator.texts(groups).await, ["fedora Fedora f28", "old Older f27"]);
    operator.types_line("koschei-admin edit-collection-group fedora -d Hat");
    let page = operator.page("/collections").await;
    assert!(page.contains("Hat") && page.contains("Older"), "{page}");
    for (line, expected) in [
        ("create-collection-group old -d x", "there is a group of collections old already"),
        (
            "create-collection-group new -d x -c f27 f99 f98",
            "no collections called f98, f99; nothing",
        ),
        ("edit-collection-group old -c f99", "no collection called f99"),
        ("edit-collection-group none -d x", "there is no group of collections none"),
        ("edit-collection-group old", "--display-name"),
        ("delete-collection-group none", "there is no group of collections none"),
    ] {
        let words: Vec<&str> = ["koschei-admin"].into_iter().chain(line.split(' ')).collect();
        let said = operator.fails(&words);
        assert!(said.contains(expected), "{line}: {said}");
    }
    operator.types_line("koschei-admin edit-collection-group fedora -c ''");
    operator.types_line("koschei-admin delete-collection-group old");
    assert_eq!(operator.texts(groups).await, ["fedora Hat"]);
    assert_eq!(operator.number("SELECT count(*) FROM collection").await, 2);
    let log = operator.log().await;
    assert_eq!(log.first().unwrap(), "mizdebsk admin: Collection group fedora created");
    assert_eq!(log.last().unwrap(), "mizdebsk admin: Collection group old deleted");
    assert_eq!(log.len(), 7, "{log:?}");
}
