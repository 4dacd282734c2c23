//! Architectures, builds at once, and admins.

use crate::operator::Operator;

#[tokio::test]
async fn architectures_are_set_for_packages_and_groups() {
    let operator = Operator::with_packages().await;
    sqlx::raw_sql(
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
         VALUES ('f28', 'Fedora 28', 'f28', 'f28', 'f28-build');
         INSERT INTO package (base_id, name, collection_id)
         SELECT base_package.id, base_package.name, collection.id FROM base_package, collection
          WHERE base_package.name = 'foo' AND collection.name = 'f28';",
    )
    .execute(operator.database.pool())
    .await
    .unwrap();
    let set = "SELECT package.name || ' ' || collection.name || ' ' || arch_override FROM package
                 JOIN collection ON collection.id = collection_id WHERE arch_override IS NOT NULL ORDER BY 1";
    operator.types_line("koschei-admin set-arch-override foo 'x86_64, aarch64'");
    assert_eq!(operator.texts(set).await, ["foo f27 x86_64 aarch64", "foo f28 x86_64 aarch64"]);
    operator.types_line("koschei-admin set-arch-override foo ^s390x --collection f27");
    assert_eq!(operator.texts(set).await, ["foo f27 ^s390x", "foo f28 x86_64 aarch64"]);
    operator.types_line("koschei-admin add-group some foo bar pkg1");
    assert_eq!(
        operator.types_line("koschei-admin set-arch-override some x86_64 --group -c f27"),
        "Architectures of bar (f27), foo (f27): x86_64"
    );
    assert_eq!(
        operator.texts(set).await,
        ["bar f27 x86_64", "foo f27 x86_64", "foo f28 x86_64 aarch64"]
    );
    for (line, expected) in [
        ("set-arch-override pkg1 x86_64", "there is no package called pkg1"),
        ("set-arch-override bar x86_64 -c f28", "no package called bar in collection f28"),
        ("set-arch-override none x86_64 --group", "there is no group none"),
        ("set-arch-override some x86_64 --group -c f99", "there is no collection f99"),
        ("set-arch-override foo x86_64;", "cannot be an architecture"),
        ("set-arch-override foo x86_64 -c f27 -c f28", "one collection at a time"),
    ] {
        let words: Vec<&str> = ["koschei-admin"].into_iter().chain(line.split(' ')).collect();
        let said = operator.fails(&words);
        assert!(said.contains(expected), "{line}: {said}");
    }
    operator.types_line("koschei-admin set-arch-override foo ''");
    assert_eq!(operator.texts(set).await, ["bar f27 x86_64"]);
    assert!(
        operator.types_line("koschei-admin set-arch-override foo ''").starts_with("Nothing to do")
    );
    let log = operator.log().await;
    assert_eq!(log[0], "mizdebsk admin: Package foo (f28): architectures set to x86_64 aarch64");
    assert_eq!(
        log.last().unwrap(),
        "mizdebsk admin: Package foo (f27): architectures no longer set"
    );
    assert_eq!(log.len(), 8, "{log:?}");
}

#[tokio::test]
async fn admins_are_named_and_listed() {
    let operator = Operator::with_packages().await;
    assert_eq!(operator.types_line("koschei-admin list-admins"), "There are no admins");
    operator.types_line("koschei-admin set-admin msimacek");
    operator.types_line("koschei-admin set-admin alice");
    assert_eq!(
        operator.types_line("koschei-admin set-admin alice"),
        "Nothing to do: alice is an admin already"
    );
    assert_eq!(operator.types_line("koschei-admin list-admins"), "alice\nmsimacek");
    operator.types_line("koschei-admin unset-admin alice");
    assert_eq!(operator.types_line("koschei-admin list-admins"), "msimacek");
    let said = operator.fails(&["koschei-admin", "unset-admin", "bob"]);
    assert!(said.contains("there is no user bob"), "{said}");
    assert_eq!(
        operator.log().await,
        [
            "mizdebsk admin: User msimacek is an admin now",
            "mizdebsk admin: User alice is an admin now",
            "mizdebsk admin: User alice is no admin any more",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_submitted_at_once() {
    let operator = Operator::with(koschei_db::testing::database().await).await.and_koji().await;
    operator.types_line("koschei-admin create-collection f28 -d 'Fedora 28' -t f28 --dest-tag f28");
    let polling = crate::support::koschei(&operator.configuration())
        .args(["polling", "--once"])
        .output()
        .unwrap();
    assert!(polling.status.success(), "{}", crate::support::stderr(&polling));
    operator.types_line("koschei-admin add-pkg libyaml nano -c f28");
    let said = operator.fails(&["koschei-admin", "submit-build", "libyaml", "-c", "f28"]);
    assert!(said.contains("no repo of collection f28 was resolved yet"), "{said}");
    let said = operator.fails(&["koschei-admin", "submit-build", "libyaml"]);
    assert!(said.contains("not known, or blocked") && said.contains("libyaml"), "{said}");
    sqlx::query("UPDATE collection SET latest_repo_id = 1, latest_repo_resolved = true")
        .execute(operator.database.pool())
        .await
        .unwrap();
    let said = operator.fails(&["koschei-admin", "submit-build", "libyaml", "nope"]);
    assert!(said.contains("nope; nothing was submitted"), "{said}");
    let others = operator.koji().tasks_of("build");

    // Its priority is far below the threshold.
    let said = operator.types_line("koschei-admin submit-build libyaml -c f28");
    let mut tasks = operator.koji().tasks_of("build");
    tasks.retain(|task| !others.contains(task));
    assert_eq!(tasks.len(), 1, "{said}");
    assert_eq!(said, format!("Submitted: libyaml (f28): task {}", tasks[0]));
    let running = "SELECT name || ' ' || task_id || ' ' || state FROM build
                     JOIN package ON package.id = package_id WHERE NOT \"real\"";
    assert_eq!(operator.texts(running).await, [format!("libyaml {} 2", tasks[0])]);
    let said = operator.fails(&["koschei-admin", "submit-build", "libyaml"]);
    assert!(said.contains("a build of it is running"), "{said}");
    assert_eq!(
        operator.log().await.last().unwrap(),
        &format!("mizdebsk admin: Package libyaml (f28): build submitted, task {}", tasks[0])
    );
    let page = operator.page("/package/libyaml?collection=f28").await;
    assert!(page.contains("running"), "{page}");
}
