//! Groups of packages, and where their content comes from.

use std::fs;
use std::process::Command;

use crate::operator::Operator;
use crate::support::{stderr, stdout};

const MEMBERS: &str = "SELECT concat_ws(' ', concat_ws('/', g.namespace, g.name),
           (SELECT string_agg(b.name, ',' ORDER BY b.name) FROM package_group_relation r
              JOIN base_package b ON b.id = r.base_id WHERE r.group_id = g.id))
      FROM package_group g ORDER BY 1";

#[tokio::test]
async fn a_group_is_created_changed_and_deleted() {
    let operator = Operator::with_packages().await;
    let file = operator.directory.path().join("list");
    fs::write(&file, "foo bar\n\tbaz\n").unwrap();
    let file = file.to_str().unwrap();
    let create = ["koschei-admin", "create-group", "java", "--content-from-file", file];
    assert_eq!(operator.succeeds(&create), "Group java created with 3 packages");
    operator.types_line("koschei-admin create-group alice/java");
    let edit = ["koschei-admin", "edit-group", "java", "--content-from-file", "-"];
    let output = operator.types_with_input(&edit, "foo pkg1\n");
    assert_eq!(stdout(&output), "Group java: 1 package added, 2 packages removed");
    let output = operator.types_with_input(&[&edit[..], &["--append"]].concat(), "bar foo");
    assert_eq!(stdout(&output), "Group java: 1 package added");
    assert_eq!(operator.texts(MEMBERS).await, ["alice/java", "java bar,foo,pkg1"]);
    let page = operator.page("/groups/java?untracked=1").await;
    assert!(page.contains("foo") && page.contains("bar") && !page.contains("baz"), "{page}");

    for (input, expected) in
        [("foo nope", "no package called nope; nothing was changed"), (" ", "names no packages")]
    {
        let output = operator.types_with_input(&edit, input);
        assert!(
            !output.status.success() && stderr(&output).contains(expected),
            "{}",
            stderr(&output)
        );
    }
    for (line, expected) in [
        ("create-group java", "there is a group java already"),
        ("create-group a/b/c", "cannot be a name"),
        ("create-group new --content-from-file /no/where", "/no/where cannot be read"),
        ("edit-group perl --new-name x", "there is no group perl"),
        ("edit-group alice/java --make-global", "there is a group java already"),
        ("edit-group java --new-name x/y", "cannot be a name"),
        ("delete-group bob/java", "there is no group bob/java"),
    ] {
        let words: Vec<&str> = ["koschei-admin"].into_iter().chain(line.split(' ')).collect();
        let said = operator.fails(&words);
        assert!(said.contains(expected), "{line}: {said}");
    }
    assert_eq!(operator.texts(MEMBERS).await, ["alice/java", "java bar,foo,pkg1"]);

    operator.types_line("koschei-admin edit-group alice/java --new-name jvm --new-namespace bob");
    assert_eq!(
        operator.types_line("koschei-admin edit-group bob/jvm --make-global"),
        "Group bob/jvm: called jvm now"
    );
    operator.types_line("koschei-admin delete-group java");
    assert_eq!(operator.texts(MEMBERS).await, ["jvm"]);
    assert_eq!(operator.number("SELECT count(*) FROM base_package").await, 6);
    assert_eq!(
        operator.log().await,
        [
            "mizdebsk admin: Group java created",
            "mizdebsk admin: Group alice/java created",
            "mizdebsk admin: Group java modified: package pkg1 added",
            "mizdebsk admin: Group java modified: package bar removed",
            "mizdebsk admin: Group java modified: package baz removed",
            "mizdebsk admin: Group java modified: package bar added",
            "mizdebsk admin: Group alice/java is called bob/jvm now",
            "mizdebsk admin: Group bob/jvm is called jvm now",
            "mizdebsk admin: Group java deleted",
        ]
    );
}

#[tokio::test]
async fn a_group_is_tracked_in_all_collections() {
    let operator = Operator::with_packages().await;
    sqlx::raw_sql(
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
         VALUES ('f28', 'Fedora 28', 'f28', 'f28', 'f28-build');
         INSERT INTO package (base_id, name, collection_id)
         SELECT base_package.id, base_package.name, collection.id FROM base_package, collection
          WHERE base_package.name IN ('foo', 'pkg1') AND collection.name = 'f28';",
    )
    .execute(operator.database.pool())
    .await
    .unwrap();
    operator.types_line("koschei-admin add-group mine foo pkg1 pkg2");
    assert_eq!(
        operator.types_line("koschei-track-group mine"),
        "Tracked: foo (f27), foo (f28), pkg1 (f28)"
    );
    let tracked = "SELECT package.name || ' ' || collection.name FROM package
                     JOIN collection ON collection.id = collection_id WHERE tracked ORDER BY 1";
    assert_eq!(operator.texts(tracked).await, ["foo f27", "foo f28", "pkg1 f28"]);
    let said = operator.types_line("koschei-admin track-group mine");
    assert!(said.starts_with("Nothing to do"), "{said}");
    let said = operator.fails(&["koschei-track-group", "none"]);
    assert!(said.contains("there is no group none"), "{said}");
    let said = operator.fails(&["koschei-track-group", "alice/mine"]);
    assert!(said.contains("not a global group"), "{said}");
    assert_eq!(
        operator.log().await[1..],
        [
            "mizdebsk admin: Package foo (f27): tracked",
            "mizdebsk admin: Package foo (f28): tracked",
            "mizdebsk admin: Package pkg1 (f28): tracked",
        ]
    );
}

#[tokio::test]
async fn groups_are_refreshed_from_lists_that_others_keep() {
    let operator = Operator::with_packages().await;
    let list = |name: &str, text: &str| {
        let file = operator.directory.path().join(name);
        fs::write(&file, text).unwrap();
        format!("file://{}", file.display())
    };
    let sources = list(
        "pkglist",
        "toplink/packages/foo/1/1.fc42/src/foo-1-1.fc42.src.rpm\n\
         toplink/packages/pkg1/1/1.fc42/src/pkg1-1-1.fc42.src.rpm\n\
         toplink/packages/pkg2/1/1.fc42/src/pkg2-1-1.fc42.src.rpm\n",
    );
    let maintainers = list(
        "maintainers.json",
        r#"{"rpms": {"foo": ["alice", "@java-sig"], "bar": ["bob"], "pkg3": ["@java-sig", "alice"]}, "other": 1}"#,
    );
    operator.types_line("koschei-admin add-group mine baz");
    let refresh = |regex: &'static str| {
        ["koschei-refresh-group", "mine", regex, "--url", &sources].map(str::to_owned)
    };
    let line = refresh("^pkg[0-9]+$");
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    assert_eq!(operator.succeeds(&line), "Group mine: 2 packages added");
    assert_eq!(operator.texts(MEMBERS).await, ["mine baz,pkg1,pkg2"]);
    for (regex, expected) in
        [("nothing", "none of 3 source packages"), ("(", "no regular expression")]
    {
        let line = refresh(regex);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let said = operator.fails(&line);
        assert!(said.contains(expected), "{said}");
    }
    let user = ["koschei-refresh-user-group", "mine", "alice", "--url", &maintainers];
    assert_eq!(operator.succeeds(&user), "Group mine: 2 packages added, 3 packages removed");
    assert_eq!(operator.texts(MEMBERS).await, ["mine foo,pkg3"]);
    let user =
        ["koschei-admin", "refresh-user-group", "mine", "bob", "--append", "--url", &maintainers];
    operator.succeeds(&user);
    let group = [
        "koschei-refresh-distgit-group",
        "mine",
        "java-sig",
        "--new-name",
        "java",
        "--url",
        &maintainers,
    ];
    assert_eq!(operator.succeeds(&group), "Group mine: called java now, 1 package removed");
    assert_eq!(operator.texts(MEMBERS).await, ["java foo,pkg3"]);
    // The addresses are configured; --url is for a list that somebody has at hand.
    let configured = fs::read_to_string(operator.configuration()).unwrap();
    fs::write(
        operator.configuration(),
        format!("{configured}[refresh]\nsource_packages_url = {sources:?}\nmaintainers_url = {maintainers:?}\n"),
    )
    .unwrap();
    assert_eq!(
        operator.types_line("koschei-refresh-group java '^pkg1'"),
        "Group java: 1 package added"
    );
    assert_eq!(
        operator.types_line("koschei-refresh-user-group java alice"),
        "Group java: 1 package removed"
    );
    // A variable comes before that, and an option before the variable.
    let other = list(
        "other.json",
        r#"{"rpms": {"foo": ["alice"], "pkg1": ["alice"], "pkg3": ["alice"]}, "other": 1}"#,
    );
    let refresh = |variable: &str, options: &[&str]| {
        let output = Command::new(operator.directory.path().join("koschei-refresh-user-group"))
            .env("KOSCHEI_CONFIG", operator.configuration())
            .env("KOSCHEI_MAINTAINERS_URL", variable)
            .env("SUDO_USER", "mizdebsk")
            .args(["java", "alice"])
            .args(options)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(refresh(&other, &[]).trim(), "Group java: 1 package added");
    let said = refresh("file:///no/where", &["--url", &maintainers]);
    assert_eq!(said.trim(), "Group java: 1 package removed");
    let output = Command::new(operator.directory.path().join("koschei-refresh-group"))
        .env("KOSCHEI_CONFIG", operator.configuration())
        .env("KOSCHEI_SOURCES_URL", "file:///no/where")
        .args(["java", "^pkg1"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("file:///no/where cannot be fetched"), "{said}");
    fs::write(operator.configuration(), configured).unwrap();
    let nobody = ["koschei-refresh-user-group", "java", "nobody", "--url", &maintainers];
    let said = operator.fails(&nobody);
    assert!(
        said.contains("nobody maintains no package") && said.contains("nothing was changed"),
        "{said}"
    );
    let away = ["koschei-refresh-user-group", "java", "alice", "--url", "file:///no/where"];
    let said = operator.fails(&away);
    assert!(said.contains("file:///no/where cannot be fetched"), "{said}");
    let broken = ["koschei-refresh-user-group", "java", "alice", "--url", &sources];
    let said = operator.fails(&broken);
    assert!(said.contains("is no list of maintainers"), "{said}");
    assert_eq!(operator.texts(MEMBERS).await, ["java foo,pkg3"]);
    let log = operator.log().await;
    assert_eq!(log.last().unwrap(), "mizdebsk admin: Group java modified: package pkg1 removed");
}
