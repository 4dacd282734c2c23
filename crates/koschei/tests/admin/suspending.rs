//! Suspending the scheduler, holding groups, and cleaning up.

use crate::operator::Operator;

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduler_is_suspended_and_everybody_sees_it() {
    let operator = Operator::with_packages().await;
    let said = operator.types_line(
        "koschei-admin suspend --until 2126-11-23T06:00 --reason 'Koji moves, see https://status.example.org/1'",
    );
    assert_eq!(
        said,
        "Submitting builds is suspended everywhere until 2126-11-23 06:00 UTC; running builds go on"
    );
    operator.types_line("koschei-admin --collection f27 suspend --reason 'Mass rebuild'");
    operator.types_line("koschei-admin add-group quiet foo");
    operator.types_line("koschei-admin hold quiet --until 2d --reason 'a rebase'");
    let status = operator.types_line("koschei-admin status");
    let lines: Vec<&str> = status.lines().collect();
    assert!(lines[0].starts_with("Submitting builds is suspended since "), "{status}");
    assert!(
        lines[0]
            .ends_with(" until 2126-11-23 06:00 UTC: Koji moves, see https://status.example.org/1"),
        "{status}"
    );
    assert!(
        lines[1].starts_with("Submitting builds in f27 is suspended since ")
            && lines[1].ends_with("UTC: Mass rebuild"),
        "{status}"
    );
    assert!(lines[2].starts_with("Packages of group quiet are held since "), "{status}");
    assert!(lines[3].starts_with("f27 (Fedora 27): "), "{status}");
    for address in ["/", "/packages", "/package/foo?collection=f27", "/groups"] {
        let page = operator.page(address).await;
        for expected in [
            "No builds are submitted until 23 November 2126. Koji moves, see https://status.example.org/1",
            "No builds are submitted in Fedora 27. Mass rebuild",
            "No builds of the packages of group quiet are submitted until ",
        ] {
            assert!(page.contains(expected), "{address}: {page}");
        }
    }
    for (line, expected) in [
        ("suspend --reason ' '", "the reason is empty"),
        ("suspend --reason x -c f99", "there is no collection f99"),
        ("hold none --until 2d", "there is no group none"),
        ("resume -c f99", "there is no collection f99"),
        ("release none", "there is no group none"),
    ] {
        let words = crate::operator::words(&format!("koschei-admin {line}"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = operator.fails(&words);
        assert!(said.contains(expected), "{line}: {said}");
    }
    for line in [
        "suspend",
        "suspend --reason x --until 2020-01-01",
        "hold quiet",
        "hold quiet --until soon",
    ] {
        let words: Vec<&str> = ["koschei-admin"].into_iter().chain(line.split(' ')).collect();
        operator.fails(&words);
    }
    assert_eq!(
        operator.types_line("koschei-admin resume -c f27"),
        "Builds are submitted again in f27; it is suspended everywhere, see koschei-admin status"
    );
    assert_eq!(operator.types_line("koschei-admin resume"), "Builds are submitted again");
    assert_eq!(
        operator.types_line("koschei-admin resume"),
        "Nothing to do: submitting builds is not suspended"
    );
    operator.types_line("koschei-admin release quiet");
    assert!(operator.types_line("koschei-admin release quiet").starts_with("Nothing to do"));
    let page = operator.page("/").await;
    assert!(!page.contains("are submitted"), "{page}");
    let log = operator.log().await;
    assert_eq!(
        log[0],
        "mizdebsk admin: Submitting builds suspended until 2126-11-23 06:00 UTC: Koji moves, see \
         https://status.example.org/1"
    );
    assert_eq!(
        log[1],
        "mizdebsk admin: Submitting builds suspended in collection f27: Mass rebuild"
    );
    assert!(log[3].starts_with("mizdebsk admin: Packages of group quiet held until "), "{log:?}");
    assert_eq!(
        log[4..],
        [
            "mizdebsk admin: Submitting builds resumed in collection f27",
            "mizdebsk admin: Submitting builds resumed",
            "mizdebsk admin: Packages of group quiet released",
        ]
    );
}

#[tokio::test]
async fn old_builds_are_cleaned_up() {
    let operator = Operator::with_packages().await;
    sqlx::raw_sql(
        "INSERT INTO build (package_id, state, task_id, started, version, release, repo_id, last_complete)
         SELECT package.id, 3, month, now() - month * interval '1 month' - interval '1 day', '1', '1', 1, false
           FROM package, generate_series(0, 8) AS month WHERE package.name = 'foo';
         INSERT INTO resolution_change (package_id, resolved, \"timestamp\")
         SELECT id, true, now() - interval '1 year' FROM package;",
    )
    .execute(operator.database.pool())
    .await
    .unwrap();
    for months in ["1", "0", "-3", "many"] {
        let said = operator.fails(&["koschei-admin", "cleanup", "--older-than", months]);
        assert!(said.contains("at least 2 months are kept") || said.contains("'-3'"), "{said}");
    }
    assert_eq!(operator.number("SELECT count(*) FROM build").await, 9);
    assert_eq!(
        operator.types_line("koschei-admin cleanup"),
        "Deleted 3 builds and 3 resolution changes older than 6 months"
    );
    assert_eq!(operator.number("SELECT count(*) FROM build").await, 6);
    assert_eq!(
        operator.types_line("koschei-admin cleanup --older-than 2"),
        "Deleted 4 builds and 0 resolution changes older than 2 months"
    );
    assert_eq!(operator.number("SELECT count(*) FROM build").await, 2);
    let log = operator.log().await;
    assert!(
        log[0].starts_with(
            "mizdebsk admin: Cleanup: deleted 3 builds and 3 resolution changes from before "
        ),
        "{log:?}"
    );
    assert_eq!(log.len(), 2);
}
