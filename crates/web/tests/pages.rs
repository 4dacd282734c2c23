//! The pages through the real router, over the world of `tests/world.sql`: what they say, where they lead, what they
//! answer to nonsense.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

mod site;

use std::collections::{BTreeSet, VecDeque};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use koschei_web::{Frontpage, State, WebConfig};
use site::{Browser, check_html, links, site, site_with, with_login};

const AFFECTED: &str = "/affected-by/libxml2-devel?epoch1=0&version1=2.14.6&release1=1.fc46&epoch2=0&version2=2.15.1\
                        &release2=1.fc46&collection=f46";

#[tokio::test]
async fn every_link_of_every_page_leads_to_a_sound_page() {
    let site = site().await;
    let mut queue: VecDeque<String> = VecDeque::from(["/".to_owned(), AFFECTED.to_owned()]);
    let mut seen: BTreeSet<String> = queue.iter().cloned().collect();
    let mut pages = 0;
    while let Some(address) = queue.pop_front() {
        let answer = site.get(&address).await;
        if address.starts_with("/bugreport/") {
            // On to somebody else's form.
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{address}");
            continue;
        }
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.text());
        assert!(answer.body.len() < 100_000, "{address} weighs {} bytes", answer.body.len());
        assert!(!answer.body.contains("<script>alert"), "{address} does not escape");
        if answer.header("content-type").starts_with("text/html") {
            check_html(&address, &answer.body);
            assert_eq!(answer.body.matches("<h1").count(), 1, "{address}");
            pages += 1;
            for link in links(&answer.body) {
                // One sort order and one page further is enough of the endless.
                if link.matches('?').count() + link.matches('&').count() <= 2
                    && seen.insert(link.clone())
                {
                    queue.push_back(link);
                }
            }
        }
    }
    assert!(pages > 250, "only {pages} pages were reached");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let site = site().await;
    for address in [
        "/",
        "/nothing",
        "/robots.txt",
        "/api/v1/packages?name=bash",
        "/badge/f46/bash.svg",
        "/search?q=",
    ] {
        let answer = site.get(address).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{address}: {policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{address}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{address}");
    }
}

#[tokio::test]
async fn the_front_page_counts_and_tells_what_changed() {
    let site = site().await;
    let text = site.text("/").await;
    assert!(text.contains("Package summary"), "monitoring looks for these words");
    for part in [
        "76.3 % of the tracked packages build. In the last 24 hours 7 turned red and 4 turned green.",
        "60 packages; 1 blocked one is not counted",
        "python-xmlsec gcc 16.2.1 and 10 other changes; on aarch64, ppc64le and x86_64",
        "R-Rcpp official build",
        "5 packages Nothing provides (crate(gmp/default) >= 2.0.0 with crate(gmp/default) < 3.0.0~).",
        "nodejs22-libs and nodejs24-libs cannot be installed together.",
        "Fresh: Koji repo 6390112",
        "3 builds running",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let all = site.text("/?collection=").await;
    assert!(all.contains("Package summary: Fedora 44") && all.contains("Package summary: EPEL 10"));
}

#[tokio::test]
async fn notices_are_text_with_links_and_a_broken_buildroot_is_told_where_it_is_shown() {
    let site = site().await;
    let page = site.page("/packages?collection=f46").await;
    assert!(page.contains(r#"<a href="https://status.example.org/koji" rel="noopener">"#));
    assert!(page.contains("&#60;b&#62;Builds wait.") || page.contains("&lt;b&gt;Builds wait."));
    assert!(!page.contains("base buildroot is not installable"));
    let text = site.text("/packages?collection=epel10").await;
    assert!(text.contains("The base buildroot is not installable."));
    assert!(text.contains("nothing provides gcc = 14.3 needed by annobin-plugin-gcc"));
    let stale = site.text("/packages?collection=f44").await;
    assert!(stale.contains("Stale. No Koji repo is newer than 6390064"), "{stale}");
}

#[tokio::test]
async fn a_failing_package_is_told_from_verdict_to_history() {
    let site = site().await;
    let text = site.text("/package/python-lxml").await;
    let order = [
        "python-lxml is failing in Rawhide",
        "Fails since",
        "(2 days), on all four architectures.",
        "The likely cause is libxml2-devel 2.14.6 \u{2192} 2.15.1.",
        "A new build is under way.",
        "Read build.log What to do next File a bug",
        "Where it fails",
        "failed aarch64 106204412",
        "Likely culprits of 11 changes since the last good build",
        "Very likely: libxml2-devel",
        "3 of 5 other packages built with it broke, too",
        "What changed when it began to fail",
        "redhat-rpm-config",
        "What to do next",
        "koji build --scratch f46 python-lxml-6.0.2-2.fc46.src.rpm",
        "File a bug if somebody else has to mend it; the form is filled in.",
        "Next build Not schedulable: package has a running build.",
        "python-sig",
        "History",
        "running: scratch build",
        "failing: scratch build 106204411",
        "turned failing: scratch build",
        "resolved again: all build dependencies can be installed",
        "turned unresolved: nothing provides python3.15dist(cython) >= 3.2",
        "ok: 6 scratch builds Show the 6 builds",
        "ok: scratch build 106001060",
        "ok: scratch build 106001010",
        "ok: official build python-lxml-1.1.0-1.fc46",
    ];
    let mut at = 0;
    for part in order {
        match text[at..].find(part) {
            Some(found) => at += found,
            None => panic!("{part} is not there, or not in its place: {text}"),
        }
    }
    let page = site.page("/package/python-lxml").await;
    assert!(page.contains("https://koji.fedoraproject.org/koji/taskinfo?taskID=106204412"));
    assert!(
        page.contains("https://kojipkgs.fedoraproject.org/work/tasks/4412/106204412/build.log")
    );
    assert!(page.contains("https://src.example.org/rpms/python-lxml.git"));
    assert!(page.contains("product=Fedora&#38;component=python-lxml"));
    let epel = site.page("/package/python-lxml?collection=epel10").await;
    assert!(!epel.contains("bugs.example.org"), "a link whose value is missing is not shown");
}

#[tokio::test]
async fn an_unresolved_package_shows_the_chain_to_its_root_cause() {
    let site = site().await;
    let text = site.text("/package/rust-sequoia-sq").await;
    for part in [
        "rust-sequoia-sq is unresolved in Rawhide",
        "(10 hours), because nothing provides (crate(gmp/default) >= 2.0.0 with crate(gmp/default) < 3.0.0~).",
        "1 rust-sequoia-sq pulls in rust-sequoia-openpgp+default-devel 2.1.0-1.fc46.noarch, which needs",
        "2 rust-nettle+default-devel 7.5.0-1.fc46.noarch needs",
        "Root cause: Nothing provides",
        "4 other packages wait for the same.",
        "What the solver said Problem: package rust-sequoia-openpgp+default-devel-2.1.0-1.fc46.noarch requires",
        "Not schedulable: package dependencies cannot be resolved.",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let hostile = site.page("/package/x%3Cscript%3Ealert(1)%3C%2Fscript%3Ey?collection=f45").await;
    check_html("hostile", &hostile);
    assert!(!hostile.contains("<script>alert") && !hostile.contains("<b>bold"));
}

#[tokio::test]
async fn where_nothing_is_broken_there_are_ways_on() {
    let site = site().await;
    let text = site.text("/broken?collection=f44").await;
    assert!(
        text.contains(
            "The build dependencies of every package in Fedora 44 can be installed. Packages that fail All packages"
        ),
        "{text}"
    );
    let text = site.text("/broken?collection=f46&kind=nonsense").await;
    assert!(text.contains("There is no root cause of this kind All root causes"), "{text}");
}

#[tokio::test]
async fn hundreds_of_problems_make_no_heavy_page() {
    let sql = concat!(include_str!("world.sql"), include_str!("shapes.sql"));
    let site = site_with(site::config(), sql).await;
    for address in [
        "/package/manyproblems",
        "/collection/epel10",
        "/packages?collection=epel10",
        "/broken?collection=f46",
    ] {
        let page = site.page(address).await;
        check_html(address, &page);
        assert!(page.len() < 100_000, "{address} weighs {} bytes", page.len());
    }
    let page = site.page("/package/manyproblems").await;
    let text = site::text(&page);
    assert!(text.contains("There are 499 problems more."), "{text}");
    assert_eq!(page.matches("class=\"chain\"").count(), 10);
    assert!(text.contains("490 more problems, as the solver said it"), "{text}");
    assert!(text.contains("\u{2026} and 440 more"), "{text}");
    let all = site.page("/api/v1/packages/manyproblems/problems").await;
    let told =
        |number: i32| all.contains(&format!("long-name-{number}) >= 1.2.{number} needed by"));
    assert!((1..=500).all(told), "programs get all of them");
    let text = site.text("/packages?collection=f46").await;
    assert!(text.contains("a-group-with-quite-a-long-name-11 and 27 more"), "{text}");
}

#[tokio::test]
async fn the_other_states_have_their_sentences() {
    let site = site().await;
    for (address, sentence) in [
        ("/package/bash", "bash is ok in Rawhide Builds since"),
        ("/package/zig", "zig is unknown in Rawhide Not tried yet: no build of it is known."),
        ("/package/Zope", "Zope is untracked in Rawhide Not watched, because nobody asked for it."),
        (
            "/package/thunderbird",
            "thunderbird is blocked in Rawhide Not watched, because Koji blocks it in f46.",
        ),
        (
            "/package/golang-github-cifo-locale-filesystem-devel",
            "nothing changed but glibc 2.43-4.fc46",
        ),
        ("/package/389-ds-base?collection=f45", "No dependency changed since the last good build;"),
        ("/package/qemu", "Not schedulable: package is built for no allowed architecture."),
        ("/package/systemd", "By changed dependencies 416"),
        ("/package/systemd", "Set by hand 100"),
        ("/package/ghc-pandoc", "Not built for s390x"),
        ("/package/kernel", "Dependencies not resolved, on request"),
        ("/package/gtk4", "What changed since the last build"),
    ] {
        let text = site.text(address).await;
        assert!(text.contains(sentence), "{sentence} is not in {address}: {text}");
        assert!(!text.contains("None") && !text.contains("False"), "{address}");
    }
}

#[tokio::test]
async fn nothing_is_said_about_changes_that_nobody_compared() {
    let site = site().await;
    let sql = async |statement: &'static str| {
        sqlx::raw_sql(statement).execute(site.database.pool()).await.unwrap();
    };
    sql("DELETE FROM applied_change a USING build b JOIN package p ON p.id = b.package_id
           WHERE b.id = a.build_id AND p.name = 'curl';
         UPDATE build SET state = 5 FROM package p
           WHERE p.id = build.package_id AND p.name = 'curl' AND p.collection_id = 1 AND build.id % 10 = 7;")
        .await;
    let first: i32 = sqlx::query_scalar(
        "SELECT b.id FROM build b JOIN package p ON p.id = b.package_id
         WHERE p.name = 'curl' AND p.collection_id = 1 AND b.id % 10 = 7",
    )
    .fetch_one(site.database.pool())
    .await
    .unwrap();
    let both = async |of_package: &str, of_build: &str| {
        let text = site.text("/package/curl").await;
        assert!(text.contains(of_package), "{of_package} is not in {text}");
        let text = site.text(&format!("/build/{first}")).await;
        assert!(text.contains(of_build), "{of_build} is not in {text}");
    };
    // Compared with the build right before, and equal.
    both("No dependency changed since the last good build;", "No dependency changed.").await;
    let text = site.text(&format!("/build/{first}")).await;
    assert!(text.contains("compared with 1060"), "{text}");

    // Of the last good build nothing is known; an older one was compared with.
    sql("UPDATE build SET deps_resolved = false FROM package p
           WHERE p.id = build.package_id AND p.name = 'curl' AND p.collection_id = 1 AND build.id % 10 = 6;")
        .await;
    both("Which dependencies changed before it began is not known.", "No dependency changed. A")
        .await;
    sql("INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
           SELECT b.id, c.prev, c.curr, 3 FROM build b JOIN package p ON p.id = b.package_id
           CROSS JOIN (VALUES (21, 22), (25, 26)) c (prev, curr)
           WHERE p.name = 'curl' AND p.collection_id = 1 AND b.id % 10 = 7;")
    .await;
    let text = site.text("/package/curl").await;
    assert!(
        text.contains("Since the build of ") && text.contains(" 2 dependencies changed;"),
        "{text}"
    );
    assert!(!text.contains("the last good build"), "{text}");
    sql("DELETE FROM applied_change a USING build b JOIN package p ON p.id = b.package_id
           WHERE b.id = a.build_id AND p.name = 'curl';")
    .await;

    // A build that was started later was resolved first: the set before this build was dropped, its own is kept.
    sql("UPDATE build SET dependency_keys = '' FROM package p
           WHERE p.id = build.package_id AND p.name = 'curl' AND p.collection_id = 1 AND build.id % 10 = 7;
         INSERT INTO build (id, package_id, state, task_id, started, finished, version, release, repo_id,
             last_complete, deps_resolved)
           SELECT 999000, p.id, 5, 106999000, now(), now(), '1', '1', 6390112, false, true
           FROM package p WHERE p.name = 'curl' AND p.collection_id = 1;")
        .await;
    both(
        "Which dependencies changed before it began is not known.",
        "What changed is not known: a build that was started later was looked at first",
    )
    .await;
    // It could not be resolved, was not looked at yet, and there is nothing before it.
    sql("UPDATE build SET deps_resolved = false, dependency_keys = NULL FROM package p
           WHERE p.id = build.package_id AND p.name = 'curl' AND p.collection_id = 1 AND build.id % 10 = 7;")
        .await;
    both("before it began is not known.", "they could not be installed from its Koji repo").await;
    sql("UPDATE build SET deps_resolved = NULL FROM package p
           WHERE p.id = build.package_id AND p.name = 'curl' AND p.collection_id = 1 AND build.id % 10 = 7;")
        .await;
    both("before it began is not known.", "Its dependencies have not been looked at yet.").await;
    sql("UPDATE build SET deps_resolved = build.id % 10 = 7 OR build.id = 999000 FROM package p
           WHERE p.id = build.package_id AND p.name = 'curl' AND p.collection_id = 1;")
    .await;
    both("before it began is not known.", "There is nothing to compare it with").await;
}

#[tokio::test]
async fn the_repo_that_is_told_is_the_one_the_package_was_checked_with() {
    let site = site().await;
    // The newest repo of EPEL has no base buildroot, so that packages are as an older one left them.
    let text = site.text("/package/bash?collection=epel10").await;
    assert!(text.contains("Dependencies checked with Koji repo 6389980."), "{text}");
    let text = site.text("/package/bash?collection=f46").await;
    assert!(text.contains("Dependencies checked with Koji repo 6390112."), "{text}");
}

#[tokio::test]
async fn what_was_red_before_does_not_turn_red_and_reasons_belong_to_their_turn() {
    let site = site().await;
    sqlx::raw_sql(
        // python-xmlsec fails for some hours; now it cannot be resolved either.
        "INSERT INTO resolution_change (resolved, \"timestamp\", package_id)
           SELECT v.resolved, now() - v.age, p.id FROM package p
           CROSS JOIN (VALUES (true, interval '9 days'), (false, interval '1 hour')) v (resolved, age)
           WHERE p.name = 'kf6-kdoctools' AND p.collection_id = 1;
         UPDATE package SET resolved = false WHERE name = 'kf6-kdoctools' AND collection_id = 1;
         -- boost builds again although nothing changed.
         DELETE FROM applied_change a USING build b JOIN package p ON p.id = b.package_id
           WHERE b.id = a.build_id AND p.name = 'boost' AND p.collection_id = 1;",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let text = site.text("/").await;
    let turned = "In the last 24 hours 7 turned red and 4 turned green.";
    assert!(text.contains(turned), "{turned} is not in {text}");
    assert!(!text.contains("dependencies install again"), "{text}");
}

#[tokio::test]
async fn names_sort_by_bytes_whatever_the_locale() {
    let site = site().await;
    sqlx::raw_sql(
        "INSERT INTO \"user\" (id, name) VALUES (90, 'Zoe'), (91, 'adam');
         INSERT INTO group_acl VALUES (1, 90), (1, 91);
         INSERT INTO collection (id, \"order\", name, display_name, target, dest_tag, build_tag, priority_coefficient)
           VALUES (90, 5, 'a1', 'Lower', 'a1', 'a1', 'a1-build', 1), (91, 5, 'B1', 'Upper', 'B1', 'B1', 'B1-build', 1);",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let text = site.text("/groups/python-sig").await;
    assert!(text.contains("Zoe, adam and churchyard"), "{text}");
    let text = site.text("/packages").await;
    let place = |name: &str| text.find(name).unwrap_or_else(|| panic!("{name} is not in {text}"));
    assert!(place("Lower") < place("Upper"), "names of collections fall");
}

#[tokio::test]
async fn an_empty_table_says_of_what() {
    let site = site().await;
    for (address, words) in [
        (
            "/groups/kde-sig?collection=f46&state=unknown",
            "No package of this group is unknown in Rawhide",
        ),
        (
            "/search?q=bash&collection=f46&state=failing",
            "No tracked package in Rawhide has \u{201c}bash\u{201d} in its name and matches the filters Search without the filters",
        ),
    ] {
        let text = site.text(address).await;
        assert!(text.contains(words), "{words} is not in {text}");
    }
}

#[tokio::test]
async fn what_was_not_looked_at_does_not_clear_the_rest() {
    let site = site().await;
    // Forty changes, of which only the nearest are held against other packages; of those, all but one are fine.
    sqlx::raw_sql(
        "DELETE FROM applied_change a USING build b WHERE b.id = a.build_id AND b.state = 5;
         UPDATE build SET state = 5 FROM package p
            WHERE p.id = build.package_id AND p.name = 'curl' AND p.collection_id = 1 AND build.id % 10 = 7;
         INSERT INTO dependency (id, name, epoch, version, release, arch)
            SELECT 1000 + n, 'far' || n / 2, 0, '1.' || n, '1', 'x86_64' FROM generate_series(0, 79) n;
         INSERT INTO dependency (id, name, epoch, version, release, arch) VALUES
            (90, 'libnew-devel', 0, '1.0', '1', 'x86_64'), (91, 'libnew-devel', 0, '2.0', '1', 'x86_64');
         INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
            SELECT b.id, 90, 91, 1 FROM build b JOIN package p ON p.id = b.package_id
            WHERE p.name = 'curl' AND p.collection_id = 1 AND b.id % 10 = 7;
         INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
            SELECT b.id, 1000 + 2 * n, 1001 + 2 * n, 2 FROM generate_series(0, 39) n, build b JOIN package p ON p.id = b.package_id
            WHERE p.collection_id = 1 AND b.id % 10 = 7
              AND (p.name = 'curl' OR n < 32 AND p.name IN ('git', 'meson', 'cmake', 'xz'));",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let text = site.text("/package/curl").await;
    assert!(!text.contains("with everything else that changed"), "{text}");
    assert!(text.contains("dependencies changed; none of them stands out."), "{text}");
}

#[tokio::test]
async fn what_other_packages_build_with_is_not_the_cause() {
    let site = site().await;
    // Nothing else failed with what changed here: others build with the new gcc and glibc, nobody with the new library.
    sqlx::raw_sql(
        "DELETE FROM applied_change a USING build b WHERE b.id = a.build_id AND b.state = 5;
         UPDATE build SET state = 5 FROM package p
            WHERE p.id = build.package_id AND p.name = 'curl' AND p.collection_id = 1 AND build.id % 10 = 7;
         INSERT INTO dependency (id, name, epoch, version, release, arch) VALUES
            (90, 'libnew-devel', 0, '1.0', '1', 'x86_64'), (91, 'libnew-devel', 0, '2.0', '1', 'x86_64'),
            (92, 'libnew', 0, '1.0', '1', 'x86_64'), (93, 'libnew', 0, '2.0', '1', 'x86_64');
         INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
            SELECT b.id, c.prev, c.curr, c.distance FROM build b JOIN package p ON p.id = b.package_id
            CROSS JOIN (VALUES (92, 93, 2), (90, 91, 1)) c (prev, curr, distance)
            WHERE p.name = 'curl' AND p.collection_id = 1 AND b.id % 10 = 7;",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let text = site.text("/package/curl").await;
    for part in [
        "The likely cause is libnew-devel 1.0 \u{2192} 2.0; with everything else that changed other packages build.",
        "Possible: libnew-devel 1.0 \u{2192} 2.0 with libnew no other package was built with it yet",
        "Unlikely: ",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[tokio::test]
async fn a_package_is_shown_in_the_first_chosen_collection_that_has_it() {
    let site = site().await;
    assert!(
        site.text("/package/abcde?collection=f45")
            .await
            .contains("abcde is untracked in Fedora 45")
    );
    assert!(site.text("/package/abcde").await.contains("abcde is ok in Rawhide"));
    let answer = site.get("/package/zig?collection=f45").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(
        answer.text().contains("zig is not in Fedora 45")
            && answer.text().contains("zig in Rawhide")
    );
}

#[tokio::test]
async fn history_goes_on_where_it_ended() {
    let config = WebConfig { builds_per_page: 4, ..site::config() };
    let site = site_with(config, include_str!("world.sql")).await;
    let mut address = "/package/python-lxml".to_owned();
    let mut tasks: Vec<String> = Vec::new();
    for _ in 0..10 {
        let page = site.page(&address).await;
        let history = page.split("id=\"h-his\"").nth(1).unwrap();
        tasks.extend(
            history
                .split("scratch build <a")
                .skip(1)
                .map(|rest| rest.split(['>', '<']).nth(1).unwrap().to_owned()),
        );
        match links(history).into_iter().find(|link| link.contains("last_seen_ts")) {
            Some(older) => address = older,
            None => break,
        }
    }
    let mut once = tasks.clone();
    once.dedup();
    assert_eq!(tasks.len(), 9, "{tasks:?}");
    assert_eq!(tasks, once);
    // Many things at one time: each is shown once, builds before what happened to the dependencies.
    sqlx::raw_sql(
        "INSERT INTO build (package_id, state, task_id, started, finished, version, release, repo_id, real, last_complete)
           SELECT id, 3, 990000 + n, '2020-01-01', '2020-01-02', '1', '1', 1, false, false FROM package, generate_series(1, 11) n
            WHERE name = 'python-lxml' AND collection_id = 1;
         INSERT INTO resolution_change (package_id, resolved, timestamp)
           SELECT id, n % 2 = 0, '2020-01-01' FROM package, generate_series(1, 7) n
            WHERE name = 'python-lxml' AND collection_id = 1",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let mut address =
        "/package/python-lxml?collection=f46&last_seen_ts=1577836800.000001".to_owned();
    let (mut builds, mut changes) = (Vec::new(), 0);
    for _ in 0..10 {
        let page = site.page(&address).await;
        let history = page.split("id=\"h-his\"").nth(1).unwrap();
        builds.extend(history.split(">9900").skip(1).map(|rest| rest[..2].to_owned()));
        changes += site::text(history).matches("resolved again:").count()
            + history.matches("turned unresolved</b>").count();
        match links(history).into_iter().find(|link| link.contains("last_seen_ts")) {
            Some(older) => address = older,
            None => break,
        }
    }
    let expected: Vec<String> = (1..=11).rev().map(|n| format!("{n:02}")).collect();
    assert_eq!(builds, expected);
    assert_eq!(changes, 7);
    // Links of old, with whole seconds.
    assert!(site.text("/package/bash?last_seen_ts=1").await.contains("There is nothing older."));
}

#[tokio::test]
async fn tables_take_orders_filters_and_pages() {
    let config = WebConfig { packages_per_page: 20, ..site::config() };
    let site = site_with(config, include_str!("world.sql")).await;
    let names = async |address: &str| {
        let page = site.page(address).await;
        page.split("class=nm><a")
            .skip(1)
            .map(|rest| site::text(&format!("<a{}", rest.split("</a>").next().unwrap())))
            .collect::<Vec<_>>()
    };
    let usual = names("/packages?collection=f46").await;
    assert_eq!(usual.get(..5).unwrap(), ["python-lxml", "ceph", "kernel", "calibre", "mozc"]);
    assert_eq!(usual.len(), 20);
    let by_name = names("/packages?collection=f46&order_by=name").await;
    assert_eq!(by_name.get(..3).unwrap(), ["389-ds-base", "R-Rcpp", "abcde"]);
    assert_eq!(names("/packages?collection=f46&order_by=nonsense").await, usual);
    assert_eq!(names("/packages?collection=f46&state=failing").await.len(), 5);
    let last = names("/packages?collection=f46&order_by=name&page=3").await;
    assert!(last.iter().all(|name| !by_name.contains(name)));
    assert_eq!(site.get("/packages?collection=f46&page=4").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.get("/packages?collection=f46&page=x").await.status, StatusCode::BAD_REQUEST);
    let several = site.text("/packages").await;
    assert!(
        several.contains("Rawhide")
            && several.contains("running first, then failing or unresolved anywhere")
    );
    assert!(
        names("/packages?untracked=1&order_by=-name&page=1").await.contains(&"zstd".to_owned())
    );
    assert!(
        names("/packages?collection=f46&untracked=1&order_by=name")
            .await
            .contains(&"Zope".to_owned())
    );
    assert!(!by_name.contains(&"Zope".to_owned()) && !by_name.contains(&"thunderbird".to_owned()));
    let first = names("/packages?collection=f46&order_by=current_priority").await;
    assert_eq!(first.get(..2).unwrap(), ["glibc", "systemd"]);
    let last = site.text("/packages?collection=f46&order_by=current_priority&page=3").await;
    assert!(
        last.contains("n/s") && last.contains("n/s: not schedulable"),
        "no priority is ever called 0: {last}"
    );
    let empty = site.text("/packages?collection=f44&state=unknown").await;
    assert!(empty.contains("No package is unknown in Fedora 44 All packages"));
}

#[tokio::test]
async fn tables_are_narrowed_by_chips_that_keep_each_other() {
    let site = site().await;
    let names = async |address: &str| {
        let page = site.page(address).await;
        check_html(address, &page);
        let names: Vec<String> = page
            .split("class=nm><a")
            .skip(1)
            .map(|rest| site::text(&format!("<a{}", rest.split("</a>").next().unwrap())))
            .collect();
        names
    };
    // Those that turned red in the last day are those that the front page tells.
    let red = names("/packages?collection=f46&state=failing&since=1d").await;
    let front = site.text("/").await;
    assert!(!red.is_empty());
    for name in &red {
        assert!(front.contains(name), "{name} is not in {front}");
    }
    let newest = names("/packages?collection=f46&state=failing&order_by=since").await;
    assert_eq!(
        newest.get(..red.len()).unwrap().iter().collect::<BTreeSet<_>>(),
        red.iter().collect()
    );
    let oldest = names("/packages?collection=f46&state=failing&order_by=-since").await;
    assert_eq!(oldest.first(), newest.last());
    let of_group = names("/packages?collection=f46&group=python-sig&order_by=name").await;
    assert_eq!(of_group, ["python-cython", "python-lxml", "python-xmlsec", "python3.14"]);
    assert_eq!(names("/packages?collection=f46&group=zbyszek/mine").await.len(), 3);
    assert_eq!(names("/packages?group=python-sig").await.len(), 4, "in several collections, too");
    assert_eq!(names("/packages?state=unresolved&group=rust-sig").await.len(), 5);
    // What is due comes first when ordered by priority.
    let due = names("/packages?collection=f46&priority=600&order_by=current_priority").await;
    let all = names("/packages?collection=f46&order_by=current_priority").await;
    assert!(due.len() > 1 && due.len() < 40, "{due:?}");
    assert_eq!(due, all[..due.len()]);
    assert!(!due.contains(&"python-lxml".to_owned()), "a build of it is running");

    // Each chip keeps what the other rows chose, and goes back to the first page.
    let address = "/packages?collection=f46&state=failing&since=7d&group=python-sig&order_by=name";
    let page = site.page(address).await;
    for link in [
        "/packages?collection=f46&since=7d&group=python-sig&order_by=name&state=ok",
        "/packages?collection=f46&since=7d&group=python-sig&order_by=name&running=1",
        "/packages?collection=f46&since=7d&group=python-sig&order_by=name&priority=256",
        "/packages?collection=f46&since=7d&group=python-sig&order_by=name",
        "/packages?collection=f46&state=failing&group=python-sig&order_by=name&longer=365d",
        "/packages?collection=f46&state=failing&since=7d&order_by=name&group=rust-sig",
        "/packages?collection=f46&state=failing&since=7d&order_by=name",
    ] {
        assert!(links(&page).contains(&link.to_owned()), "{link} is not in {:?}", links(&page));
    }
    assert_eq!(page.matches("aria-current=\"true\"").count(), 3, "one of each row");
    assert!(
        site::text(&page).contains("failing 2 "),
        "counted are those of the group and the week: {}",
        site::text(&page)
    );
    for (address, words) in [
        ("/packages?collection=f44&state=failing&since=1d", "turned failing in Fedora 44 since"),
        (
            "/packages?collection=f46&longer=3650d",
            "Every such package in Rawhide changed its state since",
        ),
        (
            "/packages?collection=f46&priority=1000000",
            "No package in Rawhide has such a priority All packages",
        ),
        ("/packages?collection=f46&since=2026-01-02", "since 2 January"),
        ("/packages?collection=f46&priority=12.5", "priority from 12.5"),
    ] {
        let text = site.text(address).await;
        assert!(text.contains(words), "{words} is not in {address}: {text}");
    }
    for wrong in ["since=yesterday", "longer=1", "priority=high", "priority=inf"] {
        let answer = site.get(&format!("/packages?collection=f46&{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(site.get("/packages?group=nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_package_says_that_it_is_held_and_why() {
    let site = site().await;
    sqlx::raw_sql(
        "INSERT INTO hold (group_id, until, reason) VALUES (1, now() + interval '2 days', 'The new Python lands.');
         INSERT INTO suspension (collection_id, reason) VALUES (2, 'Freeze.')",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let text = site.text("/package/python-cython").await;
    assert!(
        text.contains("No builds of the packages of group python-sig are submitted until"),
        "{text}"
    );
    assert!(
        text.contains("Not schedulable: packages of the group python-sig are held until"),
        "{text}"
    );
    assert!(text.contains("(The new Python lands)."), "{text}");
    assert!(!text.contains("High enough"), "{text}");
    // What holds others does not concern this one; what is suspended elsewhere neither.
    let text = site.text("/package/bash").await;
    assert!(
        !text.contains("held") && !text.contains("Freeze") && !text.contains("Not schedulable"),
        "{text}"
    );
    let text = site.text("/package/bash?collection=f45").await;
    assert!(
        text.contains("Not schedulable: no builds are submitted in Fedora 45 (Freeze)."),
        "{text}"
    );
    // Nor does it count as waiting, or stand among those of high priority.
    let waiting = async |collection: &str| -> String {
        let text = site.text(&format!("/packages?collection={collection}")).await;
        let words: Vec<&str> = text.split(" waiting").next().unwrap().split(' ').collect();
        words[words.len() - 1].to_owned()
    };
    assert_eq!(waiting("f45").await, "0");
    assert_ne!(waiting("f46").await, "0");
    let text = site.text("/packages?collection=f46&order_by=current_priority").await;
    let place = |name: &str| {
        text.find(&format!(" {name} ")).unwrap_or_else(|| panic!("{name} is not in {text}"))
    };
    assert!(place("python-cython") > place("R-Rcpp"), "{text}");
    let row = text[place("python-cython")..].split(" python-sig").next().unwrap();
    assert!(row.ends_with(" n/s"), "{row}");
    let none = site.text("/packages?collection=f45&priority=0").await;
    assert!(none.contains("No package in Fedora 45 has such a priority"), "{none}");
    let text = site.text("/package/python-lxml?collection=f45").await;
    assert!(
        text.contains(
            "Not schedulable: no builds are submitted in Fedora 45 (Freeze) packages of the group"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn searches_find_parts_of_names_in_any_case_and_take_only_the_star_specially() {
    let site = site().await;
    assert!(site.text("/search?q=%20xmL%20").await.contains("python-lxml"));
    let starred = site.text("/search?q=p*xml").await;
    assert!(starred.contains("python-xmlsec") && starred.contains("perl-XML-LibXML"));
    assert!(
        site.text("/search?q=%25")
            .await
            .contains("No tracked package has \u{201c}%\u{201d} in its name")
    );
    assert!(site.text("/search?q=Zope").await.contains("Search untracked packages, too"));
    assert!(site.text("/search?q=Zope&untracked=1").await.contains("1 package"));
    let empty = site.get("/search?q=%20").await;
    assert_eq!((empty.status, empty.header("location")), (StatusCode::SEE_OTHER, "/"));
}

#[tokio::test]
async fn builds_tell_their_tasks_and_logs() {
    let site = site().await;
    let id: i32 = sqlx::query_scalar("SELECT id FROM build WHERE task_id = 106204411")
        .fetch_one(site.database.pool())
        .await
        .unwrap();
    let text = site.text(&format!("/build/{id}")).await;
    assert!(text.contains("python-lxml 6.0.2-2.fc46 in Rawhide failed"));
    assert!(text.contains(
        "A scratch build by Koschei. It failed after 11 min. The build before it failed, too."
    ));
    let official: i32 = sqlx::query_scalar(
        "SELECT b.id FROM build b JOIN package p ON p.id = b.package_id WHERE b.real AND p.name = 'git' AND collection_id = 1",
    )
    .fetch_one(site.database.pool())
    .await
    .unwrap();
    let page = site.page(&format!("/build/{official}")).await;
    assert!(site::text(&page).contains("An official build by a packager."));
    assert!(page.contains(
        "https://kojipkgs.fedoraproject.org/packages/git/1.3.0/1.fc46/data/logs/x86_64/build.log"
    ));
    for address in ["/build/999999999", "/build/99999999999999", "/build/x"] {
        assert_eq!(site.get(address).await.status, StatusCode::NOT_FOUND, "{address}");
    }
}

#[tokio::test]
async fn affected_by_needs_all_its_values() {
    let site = site().await;
    let text = site.text(AFFECTED).await;
    assert!(text.contains(
        "4 builds in Rawhide failed after a good build, with a change of libxml2-devel between 2.14.6-1.fc46 and 2.15.1-1.fc46."
    ));
    assert!(text.contains("failing kf6-kdoctools"));
    assert!(!text.contains("again; look at how"), "{text}");
    sqlx::raw_sql(
        "UPDATE package SET last_complete_build_state = 3 WHERE name = 'kf6-kdoctools' AND collection_id = 1",
    )
    .execute(site.database.pool())
    .await
    .unwrap();
    let text = site.text(AFFECTED).await;
    assert!(text.contains("One of them builds again; look at how it was mended."), "{text}");
    for wrong in [
        AFFECTED.replace("epoch1=0&", ""),
        AFFECTED.replace("epoch2=0", "epoch2=x"),
        AFFECTED.replace("&collection=f46", ""),
        AFFECTED.replace("collection=f46", "collection=f46,f45"),
        AFFECTED.replace("release2", "r"),
    ] {
        let answer = site.get(&wrong).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(answer.text().contains("This address needs a dependency, exactly one collection"));
    }
}

#[tokio::test]
async fn badges_are_pictures_of_the_state() {
    let site = site().await;
    for (address, word) in [
        ("/badge/f46/python-lxml.svg", "failing"),
        ("/badge/f46/bash.svg", "ok"),
        ("/badge/f46/Zope.svg", "untracked"),
        ("/badge/f46/libsigc%2B%2B20.svg", "ok"),
    ] {
        let answer = site.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}");
        assert!(answer.header("content-type").starts_with("image/svg+xml"));
        assert!(
            answer.body.contains(&format!("<title>koschei: {word}</title>")),
            "{}",
            answer.body
        );
    }
    for address in ["/badge/f46/nothing.svg", "/badge/nowhere/bash.svg", "/badge/f46/bash.gif"] {
        assert_eq!(site.get(address).await.status, StatusCode::NOT_FOUND, "{address}");
    }
}

#[tokio::test]
async fn unknown_things_are_named_and_ways_out_offered() {
    let site = site().await;
    for (address, words) in [
        ("/package/pyhton-lxml", "No package is called pyhton-lxml"),
        ("/groups/nothing", "No group is called nothing"),
        ("/groups/nobody/mine", "No group is called nobody/mine"),
        ("/collection/f99", "No collection is called f99"),
        ("/packages?collection=f99", "No collection is called f99"),
        ("/no/such/page", "There is no page at this address"),
        ("/package/%3Cscript%3Ealert(1)", "No package is called <script>alert(1)"),
    ] {
        let answer = site.get(address).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{address}");
        assert!(answer.text().contains(words), "{address}: {}", answer.text());
        check_html(address, &answer.body);
    }
    assert!(
        site.get("/package/pyhton-lxml")
            .await
            .text()
            .contains("Did you mean one of these? python-lxml")
    );
    for address in ["/package/%ff", "/badge/f46/%ff.svg", "/affected-by/%ff"] {
        let answer = site.get(address).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{address}");
        check_html(address, &answer.body);
    }
    let program = site.get("/api/v1/collections/diff/%ff/f46").await;
    assert_eq!(program.status, StatusCode::BAD_REQUEST);
    assert_eq!(program.header("content-type"), "application/json");
    let post = site.ask(Request::post("/packages").body(Body::empty()).unwrap()).await;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    check_html("post", &post.body);
}

#[tokio::test]
async fn nonsense_in_parameters_is_never_a_fault_of_ours() {
    let site = site().await;
    let nonsense = [
        "",
        "0",
        "-1",
        "1e9",
        "99999999999999999999",
        "NaN",
        "%00",
        "%ff%fe",
        "%",
        "%F0%9F%A6%80",
        "'%22;--",
        "f46",
        "f46,,f45,",
        ",",
        "name,-name,state-f46,-current_priority,running",
        "%25_%5C",
        "%0d%0aX:%20y",
        "..%2f..%2f",
        "2026-13-45",
        "1.99999999999",
        "-1.5",
        "9223372036854775807",
        "*****************************",
        "7d",
        "-7d",
        "65535d",
        "65535h",
        "%C2%B2d",
        "0001-01-01",
        "inf",
        "bash/f46",
        "%00/f46",
    ];
    let paths = [
        "/",
        "/packages",
        "/package/bash",
        "/package/python-lxml",
        "/build/18",
        "/broken",
        "/collections",
        "/collection/f46",
        "/groups",
        "/groups/rust-sig",
        "/search",
        "/affected-by/gcc",
        "/stats",
        "/documentation",
        "/badge/f46/bash.svg",
        "/package/bash/log",
        "/package/bash/times",
        "/bugreport/bash",
        "/suggest",
        "/feeds/collection/f46",
        "/feeds/group/rust-sig",
        "/feeds/group/zbyszek/mine",
        "/feeds/user/churchyard",
        "/feeds/package/bash",
        "/groups/zbyszek/mine",
        "/groups/rust-sig/edit",
        "/groups/rust-sig/delete",
        "/groups/zbyszek/mine/edit",
        "/groups/zbyszek/mine/delete",
        "/api/v1/groups/zbyszek/mine",
        "/login/oidc",
        "/login",
        "/user/churchyard",
        "/package/bash/edit",
        "/add-packages",
        "/add-group",
        "/api/v1/packages",
        "/api/v1/packages/bash",
        "/api/v1/packages/bash/builds",
        "/api/v1/packages/bash/changes",
        "/api/v1/packages/bash/problems",
        "/api/v1/builds/18",
        "/api/v1/builds/18/changes",
        "/api/v1/problems",
        "/api/v1/collections",
        "/api/v1/collections/f46",
        "/api/v1/collections/diff/f46/f45",
        "/api/v1/freshness",
        "/api/v1/groups",
        "/api/v1/groups/rust-sig",
        "/api/v1/openapi.json",
    ];
    let names = [
        "collection",
        "order_by",
        "untracked",
        "page",
        "last_seen_ts",
        "last_seen_id",
        "last_seen_change",
        "q",
        "epoch1",
        "version1",
        "release1",
        "epoch2",
        "version2",
        "release2",
        "state",
        "running",
        "since",
        "longer",
        "priority",
        "group",
        "limit",
        "after",
        "kind",
        "order",
        "name",
        "next",
        "code",
        "error",
    ];
    for route in site::routes() {
        // The forms' test has those that take forms only.
        let forms = ["/build/{id}/cancel", "/theme", "/logout"];
        // Nothing of a query is read there, or the provider of the login says what is in it.
        let others = ["/robots.txt", "/favicon.svg", "/static/{name}"];
        let known = paths.iter().any(|path| site::belongs(path, &route));
        assert!(
            known || forms.contains(&route.as_str()) || others.contains(&route.as_str()),
            "this test does not know {route}"
        );
    }
    for path in paths {
        for value in nonsense {
            let all = names.map(|name| format!("{name}={value}")).join("&");
            let mut addresses = vec![format!("{path}?{all}")];
            // One by one where there are many: a wrong one hides those that are read after it.
            let one_by_one: &[&str] = match path {
                "/packages" => &[
                    "collection",
                    "order_by",
                    "untracked",
                    "page",
                    "state",
                    "running",
                    "since",
                    "longer",
                    "priority",
                    "group",
                ],
                "/api/v1/packages" => &["collection", "name", "state", "group", "limit", "after"],
                "/package/bash" => {
                    &["collection", "last_seen_ts", "last_seen_id", "last_seen_change"]
                }
                "/api/v1/packages/bash/builds" => {
                    &["collection", "last_seen_ts", "last_seen_id", "limit"]
                }
                "/groups/rust-sig" => &["collection", "untracked", "state", "priority", "page"],
                "/broken" => &["collection", "kind", "order", "page"],
                "/search" => &["q", "page"],
                "/stats" | "/package/bash/log" => &["page"],
                _ => &[],
            };
            addresses.extend(one_by_one.iter().map(|name| format!("{path}?{name}={value}")));
            if path.starts_with("/affected-by/") {
                // What is sound otherwise.
                let sound = [
                    ("epoch1", "0"),
                    ("version1", "1"),
                    ("release1", "1"),
                    ("epoch2", "0"),
                    ("version2", "2"),
                    ("release2", "1"),
                    ("collection", "f46"),
                ];
                addresses.extend((0..sound.len()).map(|wrong| {
                    let pairs = sound.iter().enumerate();
                    let pairs = pairs.map(|(at, (name, right))| {
                        format!("{name}={}", if at == wrong { value } else { right })
                    });
                    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
                }));
            }
            if path.ends_with("/builds") || path == "/package/bash" {
                addresses.push(format!("{path}?last_seen_ts=1790000000&last_seen_id={value}"));
                addresses.push(format!("{path}?last_seen_ts=1790000000&last_seen_change={value}"));
            }
            for address in addresses {
                let status = site.get(&address).await.status;
                assert!(!status.is_server_error(), "{address}: {status}");
            }
        }
    }
    for path in [
        "/package/",
        "/build/",
        "/groups/",
        "/collection/",
        "/affected-by/",
        "/badge/f46/",
        "/static/",
        "/bugreport/",
        "/feeds/collection/",
        "/feeds/group/",
        "/feeds/group/x/",
        "/feeds/user/",
        "/feeds/package/",
        "/user/",
        "/api/v1/packages/",
        "/api/v1/builds/",
        "/api/v1/collections/",
        "/api/v1/collections/diff/f46/",
        "/api/v1/groups/",
        "/api/v1/groups/x/",
    ] {
        for value in nonsense {
            let address = format!("{path}{value}");
            let status = site.get(&address).await.status;
            assert!(!status.is_server_error(), "{address}: {status}");
        }
    }
}

#[tokio::test]
async fn everything_lies_below_the_prefix() {
    let config = WebConfig { path_prefix: "/koschei".to_owned(), ..site::config() };
    let site = site_with(config, include_str!("world.sql")).await;
    for address in [
        "/koschei/",
        "/koschei/packages?collection=f46",
        "/koschei/package/python-lxml",
        "/koschei/nothing",
    ] {
        let answer = site.get(address).await;
        for link in links(&answer.body) {
            assert!(link.starts_with("/koschei/"), "{address} links to {link}");
        }
        for action in answer.body.split(" action=\"").skip(1) {
            assert!(action.starts_with("/koschei/"), "{address}");
        }
    }
    let bare = site.get("/koschei").await;
    assert_eq!((bare.status, bare.header("location")), (StatusCode::SEE_OTHER, "/koschei/"));
    assert_eq!(site.get("/koschei/search?q=").await.header("location"), "/koschei/");
    // Some proxies strip the prefix themselves; what only begins alike is something else.
    assert_eq!(site.get("/packages").await.status, StatusCode::OK);
    assert_eq!(site.get("/koscheipackages").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_reader_who_has_the_page_gets_it_not_again() {
    let site = site().await;
    let first = site.get("/documentation").await;
    let tag = first.header("etag").to_owned();
    assert!(!tag.is_empty());
    let again = Request::get("/documentation")
        .header(header::IF_NONE_MATCH, &tag)
        .body(Body::empty())
        .unwrap();
    let again = site.ask(again).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    let other =
        Request::get("/stats").header(header::IF_NONE_MATCH, &tag).body(Body::empty()).unwrap();
    assert_eq!(site.ask(other).await.status, StatusCode::OK);
    let wrong = Request::delete("/stats").body(Body::empty()).unwrap();
    let wrong = site.ask(wrong).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(wrong.header("allow").contains("GET"), "{}", wrong.header("allow"));
    let head =
        Request::builder().method(Method::HEAD).uri("/documentation").body(Body::empty()).unwrap();
    let head = site.ask(head).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn style_and_script_have_addresses_that_name_their_content() {
    let site = site().await;
    let page = site.page("/").await;
    let asset = |mark: &str| {
        let at = page.find(mark).unwrap() + mark.len();
        page[at..].split('"').next().unwrap().to_owned()
    };
    for (address, kind) in
        [(asset("stylesheet\" href=\""), "text/css"), (asset("<script src=\""), "text/javascript")]
    {
        let answer = site.get(&address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}");
        assert!(answer.header("content-type").starts_with(kind));
        assert!(answer.header("cache-control").contains("immutable"));
    }
    let style = site.page(&asset("stylesheet\" href=\"")).await;
    assert!(style.len() < 15_000, "design/ui.md: {} bytes are too many", style.len());
    assert_eq!(site.get("/static/style.0000000000000000.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_theme_is_kept_in_a_cookie_and_leads_back_to_this_site_only() {
    let site = site().await;
    let post = |body: &'static str| {
        Request::post("/theme")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap()
    };
    let answer = site.ask(post("theme=dark&next=%2Fpackages%3Fcollection%3Df46")).await;
    assert_eq!(answer.header("location"), "/packages?collection=f46");
    assert!(answer.header("set-cookie").starts_with("theme=dark; Path=/;"));
    assert_eq!(site.ask(post("theme=dark&next=%2F%2Fevil.example")).await.header("location"), "/");
    assert!(site.ask(post("theme=x&next=%2F")).await.header("set-cookie").contains("Max-Age=0"));
    let dark =
        Request::get("/").header(header::COOKIE, "a=b; theme=dark").body(Body::empty()).unwrap();
    assert!(site.ask(dark).await.body.contains(r#"data-theme="dark""#));
    let odd = Request::get("/").header(header::COOKIE, "theme=\"><b>").body(Body::empty()).unwrap();
    assert!(!site.ask(odd).await.body.contains("data-theme"));
}

#[tokio::test]
async fn an_empty_database_has_pages_that_say_what_is_missing() {
    let site = site_with(site::config(), "").await;
    for (address, words) in [
        ("/", "There is no collection yet."),
        ("/", "Package summary"),
        ("/packages", "There is no collection yet"),
        ("/collections", "There is no collection yet"),
        ("/groups", "There is no global group yet"),
        ("/stats", "Nothing was counted yet."),
        ("/broken", "can be installed"),
    ] {
        let page = site.page(address).await;
        check_html(address, &page);
        assert!(site::text(&page).contains(words), "{address}: {}", site::text(&page));
    }
    assert_eq!(site.page("/api/v1/packages").await, "[]");
}

#[tokio::test]
async fn the_front_page_can_be_another_one() {
    for (frontpage, words) in [
        (Frontpage::CollectionList, "A collection is a set of packages"),
        (Frontpage::GroupsOverview, "A group gathers packages"),
        (Frontpage::Statistics, "Builder time by package"),
    ] {
        let config = WebConfig { frontpage, ..site::config() };
        let site = site_with(config, include_str!("world.sql")).await;
        assert!(site.text("/").await.contains(words), "{frontpage:?}");
    }
}

#[tokio::test]
async fn with_the_login_as_front_page_everybody_logs_in_first() {
    let config = WebConfig { frontpage: Frontpage::Login, ..with_login() };
    let site = site_with(config, include_str!("world.sql")).await;
    let answer = site.get("/").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), "/login?next=%2F");
    let mut browser = Browser::of(&site, "zbyszek").await;
    assert!(browser.get("/").await.text().contains("Package summary"), "and nobody twice");
    // Where nobody can log in there is nothing to wait for.
    let config = WebConfig { frontpage: Frontpage::Login, ..site::config() };
    let site = site_with(config, include_str!("world.sql")).await;
    assert!(site.text("/").await.contains("Package summary"));
}

#[tokio::test]
async fn without_a_database_there_is_a_page_that_says_so() {
    let database = koschei_db::testing::database().await;
    let pool = database.pool().clone();
    pool.close().await;
    let router = koschei_web::router(State { pool, config: site::config() });
    let site = site::Site { database, router };
    for address in ["/", "/packages", "/package/bash", "/stats"] {
        let answer = site.get(address).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{address}");
        assert!(answer.text().contains("The database does not answer"), "{address}");
        assert_eq!(answer.header("retry-after"), "30");
        check_html(address, &answer.body);
    }
    let api = site.get("/api/v1/packages").await;
    assert_eq!(api.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(api.header("content-type").starts_with("application/json"));
    assert_eq!(site.get("/documentation").await.status, StatusCode::OK, "it needs no database");
}
