//! What people change with forms, who may, what is said of every mistake, and what the audit log keeps of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

mod site;

use axum::http::StatusCode;
use koschei_db::entities::{self, Environment, GroupName};
use koschei_web::State;
use site::{Browser, Site, check_html, site_with, with_login};

async fn site() -> Site {
    site_with(with_login(), include_str!("world.sql")).await
}

/// The newest entries of the audit log by people with a browser, oldest first.
async fn log(site: &Site) -> Vec<String> {
    let mut entries = entities::log_entries(site.database.pool(), None, 100).await.unwrap();
    entries.retain(|entry| entry.environment == Environment::Frontend);
    entries.reverse();
    assert!(entries.iter().all(|entry| entry.user_id.is_some()));
    entries.into_iter().map(|entry| entry.message).collect()
}

async fn package(site: &Site, name: &str, collection: i32) -> entities::Package {
    let names = [name.to_owned()];
    let found = entities::packages_by_name(site.database.pool(), collection, &names).await;
    found.unwrap().remove(0)
}

async fn group(site: &Site, name: &str) -> Option<(Vec<String>, Vec<String>)> {
    let pool = site.database.pool();
    let group = entities::group(pool, &GroupName::from(name)).await.unwrap()?;
    let packages = entities::group_packages(pool, group.id).await.unwrap();
    Some((packages, entities::group_owners(pool, group.id).await.unwrap()))
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_led_to_the_login_and_back() {
    let site = site().await;
    let mut nobody = Browser::new(&site);
    for (address, next) in [
        ("/package/bash/edit?collection=f45", "%2Fpackage%2Fbash%2Fedit%3Fcollection%3Df45"),
        ("/add-packages", "%2Fadd-packages"),
        ("/add-group", "%2Fadd-group"),
        ("/groups/python-sig/edit", "%2Fgroups%2Fpython-sig%2Fedit"),
        ("/groups/zbyszek/mine/delete", "%2Fgroups%2Fzbyszek%2Fmine%2Fdelete"),
        ("/user/zbyszek", "%2Fuser%2Fzbyszek"),
    ] {
        let answer = nobody.get(address).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{address}");
        assert_eq!(answer.header("location"), format!("/login?next={next}"));
    }
    for address in [
        "/package/bash/edit",
        "/add-packages",
        "/add-group",
        "/groups/python-sig/edit",
        "/groups/python-sig/delete",
        "/groups/zbyszek/mine/edit",
        "/groups/zbyszek/mine/delete",
        "/build/18/cancel",
    ] {
        let answer = nobody.post_bare(address, &[("collection_id", "1")]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{address}");
        assert!(answer.text().contains("You have to log in first"), "{address}");
    }
    let mut somebody = Browser::of(&site, "zbyszek").await;
    for address in
        ["/package/bash/edit", "/add-packages", "/add-group", "/groups/zbyszek/mine/edit"]
    {
        let answer = somebody.post_bare(address, &[("collection_id", "1")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{address} without a token");
    }
    assert_eq!(log(&site).await, [""; 0]);
}

#[tokio::test]
async fn a_package_is_changed_as_far_as_the_form_says() {
    let site = site().await;
    let mut browser = Browser::of(&site, "zbyszek").await;
    let page = browser.get("/package/bash/edit?collection=f45").await;
    check_html("/package/bash/edit", &page.body);
    assert!(page.text().contains("Edit bash in Fedora 45"));
    assert!(page.text().contains("zbyszek/mine") && page.text().contains("rust-sig"));
    assert!(!page.text().contains("python-sig") && !page.body.contains("static_priority"));
    let answer = browser
        .post(
            "/package/bash/edit",
            &[
                ("collection_id", "2"),
                ("tracked__present", "1"),
                ("manual_priority", " -25 "),
                ("arch_override", "^x86_64, ^i386"),
                ("skip_resolution__present", "1"),
                ("skip_resolution", "1"),
                ("group-prev-4", "false"),
                ("group-4", "1"),
                ("group-prev-2", "false"),
            ],
        )
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert_eq!(answer.header("location"), "/package/bash?collection=f45");
    let bash = package(&site, "bash", 2).await;
    assert!(!bash.tracked && bash.skip_resolution);
    assert_eq!((bash.manual_priority, bash.resolved), (-25, None));
    assert_eq!(bash.arch_override.as_deref(), Some("^x86_64 i386"));
    assert!(group(&site, "zbyszek/mine").await.unwrap().0.contains(&"bash".to_owned()));
    let said = [
        "Package bash (f45): untracked",
        "Package bash (f45): manual priority set to -25",
        "Package bash (f45): architectures set to ^x86_64 i386",
        "Package bash (f45): dependencies no longer resolved",
        "Group zbyszek/mine modified: package bash added",
    ];
    assert_eq!(log(&site).await, said);
    let page = browser.get("/package/bash?collection=f45").await;
    assert!(page.text().contains(&format!("Done. {}.", said.join("; "))), "{}", page.text());
    // Other collections have it as it was.
    assert!(package(&site, "bash", 1).await.tracked);

    // The same once more changes nothing; a box that is not in the form neither.
    let again = [
        ("collection_id", "2"),
        ("manual_priority", "-25"),
        ("arch_override", "^x86_64 ^i386"),
        ("group-prev-4", "true"),
        ("group-4", "1"),
    ];
    browser.post("/package/bash/edit", &again).await;
    assert!(browser.get("/package/bash").await.text().contains("Done. Nothing was different."));
    assert_eq!(log(&site).await.len(), said.len());
    assert!(package(&site, "bash", 2).await.skip_resolution);

    // And back.
    let back = [
        ("collection_id", "2"),
        ("tracked__present", "1"),
        ("tracked", "1"),
        ("skip_resolution__present", "1"),
        ("arch_override", ""),
        ("group-prev-4", "true"),
    ];
    browser.post("/package/bash/edit", &back).await;
    let bash = package(&site, "bash", 2).await;
    assert!(bash.tracked && !bash.skip_resolution && bash.arch_override.is_none());
    assert_eq!(
        log(&site).await.split_off(said.len()),
        [
            "Package bash (f45): tracked",
            "Package bash (f45): architectures no longer set",
            "Package bash (f45): dependencies resolved again",
            "Group zbyszek/mine modified: package bash removed",
        ]
    );
}

#[tokio::test]
async fn what_is_not_resolved_any_more_has_no_changes_waiting() {
    let site = site().await;
    let mut browser = Browser::of(&site, "zbyszek").await;
    let count = async || -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM unapplied_change u JOIN package p ON p.id = u.package_id WHERE p.name = 'gtk4'",
        )
        .fetch_one(site.database.pool())
        .await
        .unwrap()
    };
    assert!(count().await > 0);
    let fields =
        [("collection_id", "1"), ("skip_resolution__present", "1"), ("skip_resolution", "1")];
    browser.post("/package/gtk4/edit", &fields).await;
    assert_eq!(count().await, 0);
    let gtk4 = package(&site, "gtk4", 1).await;
    assert_eq!((gtk4.resolved, gtk4.dependency_priority), (None, 0));
}

#[tokio::test]
async fn every_mistake_in_the_form_of_a_package_is_told_and_nothing_is_changed() {
    let site = site().await;
    let mut browser = Browser::of(&site, "zbyszek").await;
    let answer = browser
        .post(
            "/package/bash/edit",
            &[
                ("collection_id", "1"),
                ("tracked__present", "1"),
                ("manual_priority", "much<b>"),
                ("arch_override", "x86_64 ^s390x"),
                ("group-prev-4", "false"),
                ("group-4", "1"),
            ],
        )
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    check_html("mistakes", &answer.body);
    for part in [
        "Nothing was changed The manual priority has to be a whole number between",
        "Put ^ before all architectures, or before none",
    ] {
        assert!(answer.text().contains(part), "{part} is not in {}", answer.text());
    }
    // What was typed is still there.
    assert!(answer.body.contains("much&#60;b&#62;"), "{}", answer.body);
    assert!(answer.body.contains("x86_64 ^s390x"));
    for (arches, words) in [
        (
            "s390x",
            "s390x is not one of the architectures that Koschei builds for: i386, x86_64, armhfp.",
        ),
        ("^x86_64 <i>", "Put ^ before all architectures"),
        ("<i>", "<i> is not one of the architectures"),
    ] {
        let fields = [("collection_id", "1"), ("arch_override", arches)];
        let answer = browser.post("/package/bash/edit", &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text().contains(words), "{arches}: {}", answer.text());
    }
    for (fields, status, words) in [
        (vec![], StatusCode::BAD_REQUEST, "does not say which collection"),
        (vec![("collection_id", "77")], StatusCode::NOT_FOUND, "No collection is called 77"),
        (vec![("collection_id", "x")], StatusCode::NOT_FOUND, "No collection is called x"),
        (
            vec![("collection_id", "1"), ("static_priority", "5")],
            StatusCode::FORBIDDEN,
            "Only administrators set the static priority",
        ),
        (
            vec![("collection_id", "1"), ("group-prev-1", "false"), ("group-1", "1")],
            StatusCode::FORBIDDEN,
            "This group is not yours",
        ),
        (
            vec![("collection_id", "1"), ("group-prev-99", "true")],
            StatusCode::FORBIDDEN,
            "This group is not yours",
        ),
        (
            vec![("collection_id", "1"), ("group-prev-x", "true")],
            StatusCode::BAD_REQUEST,
            "The form names a group that cannot exist",
        ),
        (
            vec![("collection_id", "1"), ("manual_priority", "99999999999")],
            StatusCode::BAD_REQUEST,
            "has to be a whole number",
        ),
    ] {
        let answer = browser.post("/package/bash/edit", &fields).await;
        assert_eq!(answer.status, status, "{fields:?}: {}", answer.text());
        assert!(answer.text().contains(words), "{fields:?}: {}", answer.text());
    }
    let answer = browser.post("/package/zig/edit", &[("collection_id", "2")]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text().contains("zig is not in Fedora 45"));
    assert_eq!(log(&site).await, [""; 0]);
    assert!(package(&site, "bash", 1).await.tracked);
}

#[tokio::test]
async fn administrators_set_static_priorities_and_change_all_global_groups() {
    let site = site().await;
    let mut browser = Browser::of(&site, "churchyard").await;
    let page = browser.get("/package/bash/edit?collection=f46").await;
    assert!(page.body.contains("name=\"static_priority\"") && page.text().contains("kde-sig"));
    let fields = [
        ("collection_id", "1"),
        ("static_priority", "40"),
        ("group-prev-3", "false"),
        ("group-3", "1"),
    ];
    let answer = browser.post("/package/bash/edit", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert_eq!(package(&site, "bash", 1).await.static_priority, 40);
    assert!(group(&site, "kde-sig").await.unwrap().0.contains(&"bash".to_owned()));
    // Groups of others, too, although there are too many to offer them; and one that is gone is none.
    let fields = [
        ("collection_id", "1"),
        ("group-prev-4", "false"),
        ("group-4", "1"),
        ("group-prev-99", "false"),
        ("group-99", "1"),
    ];
    let answer = browser.post("/package/bash/edit", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert!(group(&site, "zbyszek/mine").await.unwrap().0.contains(&"bash".to_owned()));
    // Others may send it along as it is.
    let mut other = Browser::of(&site, "zbyszek").await;
    let fields = [("collection_id", "1"), ("static_priority", "40"), ("manual_priority", "1")];
    let answer = other.post("/package/bash/edit", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    // A form that wants to go on elsewhere does so on this site only.
    let fields = [("collection_id", "1"), ("next", "//evil.example/")];
    let answer = other.post("/package/bash/edit", &fields).await;
    assert_eq!(answer.header("location"), "/package/bash?collection=f46");
}

#[tokio::test]
async fn packages_are_added_all_or_none() {
    let site = site().await;
    let mut browser = Browser::of(&site, "zbyszek").await;
    let page = browser.get("/add-packages?collection=f45").await;
    check_html("/add-packages", &page.body);
    assert!(page.body.contains("<option value=\"f45\" selected>"));
    let fields = [
        ("packages", "abcde,zstd\r\n zstd bash"),
        ("collection", "f45"),
        ("group", "zbyszek/mine"),
    ];
    let answer = browser.post("/add-packages", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert_eq!(answer.header("location"), "/packages?collection=f45");
    assert!(package(&site, "abcde", 2).await.tracked && package(&site, "zstd", 2).await.tracked);
    assert!(!package(&site, "abcde", 3).await.tracked);
    assert_eq!(
        log(&site).await,
        [
            "Package abcde (f45): tracked",
            "Package zstd (f45): tracked",
            "Group zbyszek/mine modified: package bash added",
            "Group zbyszek/mine modified: package zstd added",
        ]
    );
    let page = browser.get("/packages?collection=f45").await;
    assert!(page.text().contains("Done. 2 packages are tracked now: abcde and zstd."));

    for (fields, status, words) in [
        (
            vec![("packages", "Zope nothing nowhere"), ("collection", "f45")],
            StatusCode::BAD_REQUEST,
            "nothing and nowhere are not known in f45.",
        ),
        (
            vec![("packages", "Zope <b>x</b>"), ("collection", "f45")],
            StatusCode::BAD_REQUEST,
            "No package can be called <b>x</b>.",
        ),
        (
            vec![("packages", " , "), ("collection", "f45")],
            StatusCode::BAD_REQUEST,
            "Name at least one package.",
        ),
        (vec![("packages", "Zope")], StatusCode::BAD_REQUEST, "Choose a collection."),
        (
            vec![("packages", "Zope"), ("collection", "f99")],
            StatusCode::NOT_FOUND,
            "No collection is called f99",
        ),
        (
            vec![("packages", "Zope"), ("collection", "f45"), ("group", "python-sig")],
            StatusCode::BAD_REQUEST,
            "The group python-sig is not yours",
        ),
        (
            vec![("packages", "Zope"), ("collection", "f45"), ("group", "no/group")],
            StatusCode::NOT_FOUND,
            "No group is called no/group",
        ),
    ] {
        let answer = browser.post("/add-packages", &fields).await;
        assert_eq!(answer.status, status, "{fields:?}: {}", answer.text());
        assert!(answer.text().contains(words), "{fields:?}: {}", answer.text());
        check_html("/add-packages", &answer.body);
        assert!(!package(&site, "Zope", 2).await.tracked);
    }
    assert_eq!(log(&site).await.len(), 4);
}

#[tokio::test]
async fn groups_belong_to_who_makes_them() {
    let site = site().await;
    let mut browser = Browser::of(&site, "zbyszek").await;
    assert!(browser.get("/groups").await.text().contains("Yours Group Packages rust-sig"));
    let page = browser.get("/add-group").await;
    check_html("/add-group", &page.body);
    assert!(page.text().contains("zbyszek/"));
    let fields = [("name", "new"), ("packages", "bash gcc"), ("owners", "zbyszek, newbie")];
    let answer = browser.post("/add-group", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert_eq!(answer.header("location"), "/groups/zbyszek/new");
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        group(&site, "zbyszek/new").await,
        Some((names(&["bash", "gcc"]), names(&["newbie", "zbyszek"])))
    );
    let page = browser.get("/groups/zbyszek/new").await;
    assert!(page.text().contains("Owners: newbie and zbyszek"));
    assert!(page.body.contains("<a href=\"/groups/zbyszek/new/edit\">Edit</a>"));

    // The other owner renames it, swaps a package and leaves.
    let mut other = Browser::of(&site, "newbie").await;
    let page = other.get("/groups/zbyszek/new/edit").await;
    check_html("edit", &page.body);
    assert!(page.body.contains("bash\ngcc</textarea>"), "{}", page.body);
    let fields = [("name", "tools"), ("packages", "gcc\nmeson"), ("owners", "zbyszek")];
    let answer = other.post("/groups/zbyszek/new/edit", &fields).await;
    assert_eq!(answer.header("location"), "/groups/zbyszek/tools", "{}", answer.text());
    assert_eq!(
        group(&site, "zbyszek/tools").await,
        Some((names(&["gcc", "meson"]), names(&["zbyszek"])))
    );
    assert_eq!(group(&site, "zbyszek/new").await, None);
    let mut said = log(&site).await;
    said.sort();
    assert_eq!(
        said,
        [
            "Group zbyszek/new created",
            "Group zbyszek/new is called zbyszek/tools now",
            "Group zbyszek/tools modified: owners set to zbyszek",
            "Group zbyszek/tools modified: package bash removed",
            "Group zbyszek/tools modified: package meson added",
        ]
    );
    // It is theirs no longer.
    for address in ["/groups/zbyszek/tools/edit", "/groups/zbyszek/tools/delete"] {
        let answer = other.get(address).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text().contains("It belongs to zbyszek."), "{}", answer.text());
        assert_eq!(other.post(address, &fields).await.status, StatusCode::FORBIDDEN);
    }
    assert!(!other.get("/groups/zbyszek/tools").await.body.contains("/edit"));

    // To delete it takes a question and an answer.
    let page = browser.get("/groups/zbyszek/tools/delete").await;
    assert!(page.text().contains("Delete the group zbyszek/tools?"));
    assert!(group(&site, "zbyszek/tools").await.is_some());
    let answer = browser.post("/groups/zbyszek/tools/delete", &[]).await;
    assert_eq!(answer.header("location"), "/groups");
    assert_eq!(group(&site, "zbyszek/tools").await, None);
    assert_eq!(log(&site).await.last().unwrap(), "Group zbyszek/tools deleted");
    assert_eq!(
        browser.post("/groups/zbyszek/tools/delete", &[]).await.status,
        StatusCode::NOT_FOUND
    );
    // Administrators may do it with any group.
    let mut admin = Browser::of(&site, "churchyard").await;
    assert_eq!(admin.post("/groups/zbyszek/mine/delete", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(group(&site, "zbyszek/mine").await, None);
}

#[tokio::test]
async fn every_mistake_in_the_form_of_a_group_is_told() {
    let site = site().await;
    let mut browser = Browser::of(&site, "zbyszek").await;
    let right = [("name", "new"), ("packages", "bash"), ("owners", "zbyszek")];
    for (field, value, words) in [
        ("name", "", "The group needs a name."),
        ("name", "a/b", "A group cannot be called a/b"),
        ("name", "<script>", "A group cannot be called <script>"),
        ("name", "delete", "its address would mean something else"),
        ("name", "mine", "There is a group zbyszek/mine already."),
        ("packages", " ", "The group needs at least one package."),
        ("packages", "bash nothing", "nothing is not known."),
        ("packages", "a/b", "No package can be called a/b."),
        ("owners", "", "The group needs at least one owner"),
        ("owners", "a:b", "Nobody can be called a:b."),
    ] {
        let mut fields = right;
        fields.iter_mut().find(|(name, _)| *name == field).unwrap().1 = value;
        for address in ["/add-group", "/groups/rust-sig/edit"] {
            if value == "mine" && address != "/add-group" {
                continue;
            }
            let answer = browser.post(address, &fields).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{address} {field} {value}");
            assert!(answer.text().contains(words), "{address} {field} {value}: {}", answer.text());
            check_html(address, &answer.body);
        }
    }
    let mut fields = right;
    fields[0].1 = "python-sig";
    let answer = browser.post("/groups/rust-sig/edit", &fields).await;
    assert!(answer.text().contains("There is a group python-sig already."), "{}", answer.text());
    assert_eq!(log(&site).await, [""; 0]);
    assert!(group(&site, "rust-sig").await.unwrap().0.len() > 1);
}

#[tokio::test]
async fn administrators_cancel_running_builds() {
    let site = site().await;
    let running: i32 =
        sqlx::query_scalar("SELECT id FROM build WHERE state = 2 ORDER BY id LIMIT 1")
            .fetch_one(site.database.pool())
            .await
            .unwrap();
    let address = format!("/build/{running}");
    let cancel = format!("/build/{running}/cancel");
    let mut user = Browser::of(&site, "zbyszek").await;
    assert!(!user.get(&address).await.text().contains("Cancel this build"));
    let answer = user.post(&cancel, &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("Only administrators cancel builds"));
    let mut admin = Browser::of(&site, "churchyard").await;
    let page = admin.get(&address).await;
    assert!(page.text().contains("Cancel this build"));
    check_html(&address, &page.body);
    let answer = admin.post(&cancel, &[]).await;
    assert_eq!(answer.header("location"), address, "{}", answer.text());
    let page = admin.get(&address).await;
    assert!(page.text().contains("Done. The build will be cancelled in Koji"), "{}", page.text());
    assert!(page.text().contains("The next one waits for six hours"), "{}", page.text());
    assert!(page.text().contains("its cancellation was requested"));
    assert!(!page.text().contains("Cancel this build"));
    admin.post(&cancel, &[]).await;
    assert!(admin.get(&address).await.text().contains("Somebody had asked for that already."));
    let said = log(&site).await;
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with(&format!("Build {running} (task ")), "{said:?}");
    let over: i32 = sqlx::query_scalar("SELECT id FROM build WHERE state = 3 LIMIT 1")
        .fetch_one(site.database.pool())
        .await
        .unwrap();
    let answer = admin.post(&format!("/build/{over}/cancel"), &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("This build is over"));
    for id in ["999999999", "x", "-1"] {
        let answer = admin.post(&format!("/build/{id}/cancel"), &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test]
async fn what_was_cancelled_is_not_built_again_at_once_unless_somebody_wants_it() {
    let site = site().await;
    let sql = async |statement: &'static str| {
        sqlx::raw_sql(statement).execute(site.database.pool()).await.unwrap();
    };
    let waits = async || -> (i32, Option<i64>) {
        sqlx::query_as(
            "SELECT manual_priority,
                    round(extract(epoch FROM not_before - timezone('UTC', now())) / 3600)::bigint
               FROM package WHERE name = 'ceph' AND collection_id = 1",
        )
        .fetch_one(site.database.pool())
        .await
        .unwrap()
    };
    // Somebody wanted another build after this one.
    sql("UPDATE package SET manual_priority = 5000, fault_streak = 2 WHERE name = 'ceph'").await;
    let build: i32 = sqlx::query_scalar(
        "SELECT last_build_id FROM package WHERE name = 'ceph' AND collection_id = 1",
    )
    .fetch_one(site.database.pool())
    .await
    .unwrap();
    let mut admin = Browser::of(&site, "churchyard").await;
    admin.get(&format!("/build/{build}")).await;
    admin.post(&format!("/build/{build}/cancel"), &[]).await;
    assert_eq!(waits().await, (0, Some(6)));
    // What polling does then.
    sqlx::query("DELETE FROM build WHERE id = $1")
        .bind(build)
        .execute(site.database.pool())
        .await
        .unwrap();
    let page = admin.get("/package/ceph?collection=f46").await.text();
    assert!(
        page.contains(
            "Not schedulable: last build was cancelled, the next one waits unless the manual priority is raised"
        ),
        "{page}"
    );
    assert!(page.contains("Not built before"), "{page}");
    let mut user = Browser::of(&site, "zbyszek").await;
    user.get("/package/ceph/edit?collection=f46").await;
    let edit = async |user: &mut Browser<'_>, value: &str| {
        let fields = [("collection_id", "1"), ("manual_priority", value)];
        let answer = user.post("/package/ceph/edit", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    };
    edit(&mut user, "-5").await;
    assert_eq!(waits().await, (-5, Some(6)), "that is no wish for a build");
    edit(&mut user, "500").await;
    assert_eq!(waits().await, (500, None));
    // Trouble of Koji does not go away by wishing.
    sql("UPDATE package SET fault_streak = 2, not_before = timezone('UTC', now()) + interval '1 hour'
          WHERE name = 'ceph'")
    .await;
    edit(&mut user, "600").await;
    assert_eq!(waits().await, (600, Some(1)));
}

#[tokio::test]
async fn nonsense_in_forms_is_never_a_fault_of_ours() {
    let site = site().await;
    let nonsense = [
        "",
        "\u{0}",
        "-1",
        "9999999999999",
        "NaN",
        "%",
        "\u{1f980}",
        "'\"<b>",
        "\r\n",
        "^",
        "^^^",
        ",",
        "a/b/c",
    ];
    let fields = [
        "collection_id",
        "tracked__present",
        "manual_priority",
        "static_priority",
        "arch_override",
        "group-prev-1",
        "group-prev--1",
        "packages",
        "collection",
        "group",
        "next",
        "name",
        "owners",
    ];
    let addresses = [
        "/package/bash/edit",
        "/add-packages",
        "/add-group",
        "/groups/rust-sig/edit",
        "/groups/a/b/edit",
        "/groups/x/delete",
        "/build/18/cancel",
        "/theme",
        "/logout",
    ];
    let others = [
        "csrf_token",
        "theme",
        "tracked",
        "skip_resolution",
        "skip_resolution__present",
        "group-1",
    ];
    // The test of pages and the API has these.
    let queries = [
        "order_by",
        "untracked",
        "page",
        "last_seen_ts",
        "last_seen_id",
        "last_seen_change",
        "q",
        "state",
        "running",
        "since",
        "longer",
        "priority",
        "limit",
        "after",
        "kind",
        "order",
        "code",
        "error",
        "epoch1",
    ];
    for name in site::parameters() {
        let known = [&fields[..], &others[..], &queries[..]].concat().contains(&name.as_str());
        assert!(known, "neither this test nor that of pages knows {name}");
    }
    for (number, value) in nonsense.into_iter().enumerate() {
        // Each in a login of its own, so that no limit stops the test; and for each, all fields at once and one by one.
        let mut browser = Browser::of(&site, &format!("tester{number}")).await;
        let all: Vec<(&str, &str)> = fields.iter().map(|name| (*name, value)).collect();
        for address in addresses {
            if address == "/logout" {
                continue;
            }
            let answer = browser.post(address, &all).await;
            assert!(!answer.status.is_server_error(), "{address} {value:?}: {}", answer.text());
        }
        // One by one in forms that are right otherwise, sent by somebody who may. Another process, so that no limit stops it.
        let state = State { pool: site.database.pool().clone(), config: with_login() };
        let site = Site { database: site.database.clone(), router: koschei_web::router(state) };
        let mut browser = Browser::of(&site, "churchyard").await;
        type Sound<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
        let right: [Sound<'_>; 5] = [
            (
                "/package/bash/edit",
                &[("collection_id", "1")],
                &[
                    "collection_id",
                    "tracked",
                    "tracked__present",
                    "manual_priority",
                    "static_priority",
                    "arch_override",
                    "skip_resolution",
                    "skip_resolution__present",
                    "group-prev-1",
                    "group-1",
                    "next",
                ],
            ),
            (
                "/add-packages",
                &[("packages", "bash"), ("collection", "f46")],
                &["packages", "collection", "group", "next"],
            ),
            (
                "/add-group",
                &[("name", "new"), ("packages", "bash"), ("owners", "zbyszek")],
                &["name", "packages", "owners"],
            ),
            (
                "/groups/rust-sig/edit",
                &[("name", "rust-sig"), ("packages", "bash"), ("owners", "zbyszek")],
                &["name", "packages", "owners"],
            ),
            ("/theme", &[("theme", "dark"), ("next", "/")], &["theme", "next"]),
        ];
        for (address, base, names) in right {
            for name in names {
                let mut form: Vec<(&str, &str)> =
                    base.iter().copied().filter(|(other, _)| other != name).collect();
                form.push((name, value));
                let answer = browser.post(address, &form).await;
                assert!(
                    !answer.status.is_server_error()
                        && answer.status != StatusCode::TOO_MANY_REQUESTS,
                    "{address} {name}={value:?}: {}",
                    answer.text()
                );
            }
        }
        let answer = browser.post_bare("/package/bash/edit", &[("csrf_token", value)]).await;
        let refused = matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST);
        assert!(refused, "{value:?}: {}", answer.text());
    }
}
