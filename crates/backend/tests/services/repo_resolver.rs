//! The newest repo: states, problems, changes, and what is done again or not.

use kojisim::{Mishap, Push};
use koschei_backend::{Outcome, build_resolver, polling, repo_resolver};

use crate::world::{BUILD_TAG, World, clean};

/// How many packages are resolved in a repo: all that Koji does not block.
const RESOLVABLE: &str = "SELECT count(*) FROM package WHERE NOT blocked";

async fn resolve(world: &World) -> Outcome {
    clean(repo_resolver::step(&world.ctx).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_resolved_once_in_a_repo() {
    let world = World::settled().await;
    let repo = world.sim.latest_repo(BUILD_TAG).unwrap();
    assert_eq!(
        world
            .number("SELECT latest_repo_id::bigint FROM collection WHERE latest_repo_resolved")
            .await,
        repo
    );
    let broken = "SELECT name || ': ' || problem FROM package JOIN resolution_change AS change
                    ON change.package_id = package.id JOIN resolution_problem ON resolution_id = change.id";
    assert_eq!(world.texts(broken).await, [""; 0]);
    assert_eq!(world.state("zlib").await, "ok");
    assert_eq!(resolve(&world).await.done, 0);
    world.execute("UPDATE package SET resolved = NULL WHERE name = 'zlib'").await;
    assert_eq!(resolve(&world).await.done, 1, "only what is not known");
    let requires = "SELECT count(*) FROM build_requires WHERE NOT secondary";
    assert!(world.number(requires).await >= world.number(RESOLVABLE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_shows_as_a_change_where_it_is_used() {
    let world = World::settled().await;
    world.execute("UPDATE package SET dependency_priority = -1").await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    let total = world.number(RESOLVABLE).await;
    assert_eq!(resolve(&world).await.done as i64, total);
    // gcc requires zlib-devel itself.
    let changes = world
        .texts(
            "SELECT prev.name || ' ' || prev.version || ' > ' || curr.version || ' @' || change.distance
               FROM unapplied_change AS change
               JOIN package ON package.id = package_id
               JOIN dependency AS prev ON prev.id = prev_dep_id
               JOIN dependency AS curr ON curr.id = curr_dep_id
              WHERE package.name = 'gcc' AND curr.version = '2.2.0' ORDER BY 1",
        )
        .await;
    assert_eq!(changes, ["zlib 2.1.7 > 2.2.0 @2", "zlib-devel 2.1.7 > 2.2.0 @1"]);
    let priority = "SELECT dependency_priority::bigint FROM package WHERE name = 'gcc'";
    assert!(world.number(priority).await >= 256 + 128);
    let untouched = "SELECT count(*) FROM package WHERE dependency_priority = -1 AND NOT blocked";
    assert_eq!(world.number(untouched).await, 0, "every package was looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soname_bump_breaks_its_users_until_they_are_rebuilt() {
    let world = World::settled().await;
    world.push(&Push::of("libmpc").version("2.0.0").abi("4")).await;
    resolve(&world).await;
    let unresolved =
        world.texts("SELECT name FROM package WHERE resolved = false ORDER BY name").await;
    assert!(
        unresolved.contains(&"glibc".to_owned()),
        "needs gcc, which needs the old libmpc: {unresolved:?}"
    );
    assert_eq!(world.state("glibc").await, "unresolved");
    let history = "SELECT DISTINCT problem FROM resolution_problem JOIN resolution_change AS change
                     ON change.id = resolution_id JOIN package ON package.id = package_id
                    WHERE package.name = 'glibc'";
    let problems = world.texts(history).await;
    assert!(problems.iter().any(|problem| problem.contains("libmpc.so")), "{problems:?}");
    let changes = "SELECT count(*) FROM unapplied_change JOIN package ON package.id = package_id
                    WHERE package.resolved = false";
    assert_eq!(world.number(changes).await, 0, "what cannot be installed cannot be compared");
    let entries = "SELECT count(*) FROM resolution_change";
    let before = world.number(entries).await;
    world.new_repo().await;
    resolve(&world).await;
    assert_eq!(world.number(entries).await, before, "the same problems are no news");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_group_that_cannot_be_installed_is_told_and_nothing_else_is_resolved() {
    let world = World::settled().await;
    let before = world.number("SELECT count(*) FROM package WHERE resolved").await;
    world.push(&Push::of("readline").version("9.0").abi("9")).await;
    assert_eq!(resolve(&world).await.done, 0);
    assert_eq!(
        world.number("SELECT count(*) FROM collection WHERE latest_repo_resolved = false").await,
        1
    );
    let problems = world.texts("SELECT problem FROM buildroot_problem").await;
    assert!(problems.iter().any(|problem| problem.contains("libreadline.so")), "{problems:?}");
    assert_eq!(world.number("SELECT count(*) FROM package WHERE resolved").await, before);
}

/// What resolving the newest repo changes: packages that came, changed or went.
const CHANGES: &str = "SELECT count(*) FROM unapplied_change";

#[tokio::test(flavor = "multi_thread")]
async fn the_build_group_is_that_of_the_time_when_the_repo_was_made() {
    let world = World::settled().await;
    world.new_repo().await;
    assert!(world.sim.set_group(BUILD_TAG, "build", &["bash".to_owned()]));
    assert!(resolve(&world).await.done > 0);
    assert_eq!(world.number(CHANGES).await, 0, "it was changed later");
    world.new_repo().await;
    assert!(resolve(&world).await.done > 0);
    assert!(world.number(CHANGES).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_dependencies_count_unless_told_otherwise() {
    let world = World::settled().await;
    world.new_repo().await;
    assert!(resolve(&world).await.done > 0);
    assert_eq!(world.number(CHANGES).await, 0);
    let gone = "SELECT count(*) FROM unapplied_change WHERE curr_dep_id IS NULL";
    world.new_repo().await;
    let without = world.other(|config| config.dependency.ignore_weak_deps = true);
    assert!(clean(repo_resolver::step(&without).await.unwrap()).done > 0);
    assert!(world.number(gone).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_one_collection_is_told_and_does_not_stop_the_others() {
    let world = World::empty().await;
    world
        .execute(
            "INSERT INTO collection (name, display_name, target, dest_tag, build_tag, build_group, \"order\")
             VALUES ('no-tag', '1', 'x', 'x', 'no-such-tag', 'build', 1000),
                    ('no-group', '2', 'buyan2', 'buyan2', 'buyan2-build', 'no-such-group', 900)",
        )
        .await;
    let outcome = repo_resolver::step(&world.ctx).await.unwrap();
    let texts: Vec<String> =
        outcome.failures.iter().map(|(about, error)| format!("{about}: {error}")).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].starts_with("no-tag: ") && texts[0].contains("no-such-tag"), "{texts:?}");
    assert!(texts[1].starts_with("no-group: ") && texts[1].contains("no-such-group"), "{texts:?}");
    let good = "SELECT count(*) FROM collection WHERE name = 'buyan2' AND latest_repo_resolved";
    assert_eq!(world.number(good).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repo_that_vanished_is_told_and_the_next_one_is_taken() {
    let world = World::settled().await;
    world.execute("UPDATE package SET resolved = NULL").await;
    world.sim.delete_repo(world.sim.latest_repo(BUILD_TAG).unwrap());
    let outcome = repo_resolver::step(&world.ctx).await.unwrap();
    assert!(outcome.failures[0].1.to_string().contains("is gone"), "{:?}", outcome.failures);
    world.new_repo().await;
    resolve(&world).await;
    assert_eq!(
        world.number("SELECT count(*) FROM package WHERE resolved IS NULL AND NOT blocked").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_resolve_everything_once() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    let other = world.other(|_| {});
    let (one, two) = tokio::join!(repo_resolver::step(&world.ctx), repo_resolver::step(&other));
    let done = clean(one.unwrap()).done + clean(two.unwrap()).done;
    assert_eq!(done as i64, world.number(RESOLVABLE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_was_built_anew_is_compared_with_that_build() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    resolve(&world).await;
    let changes = "SELECT count(*) FROM unapplied_change JOIN package ON package.id = package_id
                    WHERE package.name = 'gzip'";
    let before = world.number(changes).await;
    world.push(&Push::of("gzip")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.number(changes).await, 0, "deleted with the new build");
    clean(build_resolver::step(&world.ctx).await.unwrap());
    resolve(&world).await;
    let after = world.number(changes).await;
    assert!(after <= before, "{before} {after}");
    let repo = world.sim.latest_repo(BUILD_TAG).unwrap();
    assert_eq!(
        world.number("SELECT resolved_repo_id::bigint FROM package WHERE name = 'gzip'").await,
        repo
    );
}

/// Nobody knows any more what zlib requires, and it is looked at again.
async fn forget_requires_of_zlib(world: &World) {
    world.execute("DELETE FROM build_requires WHERE nvr LIKE 'zlib-%'").await;
    world.execute("UPDATE package SET resolved_repo_id = NULL WHERE name = 'zlib'").await;
}

async fn problems_of_zlib(world: &World) -> Vec<String> {
    world
        .texts(
            "SELECT problem FROM resolution_problem JOIN resolution_change AS change ON change.id = resolution_id
               JOIN package ON package.id = package_id WHERE package.name = 'zlib' ORDER BY change.id DESC",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn build_requires_that_koji_refuses_are_a_problem_that_people_see() {
    let world = World::settled().await;
    forget_requires_of_zlib(&world).await;
    let refusal = Mishap::Fault(1000, "invalid dependency flags".into());
    world.sim.mishap(Some("getRPMDeps"), refusal.clone());
    assert_eq!(resolve(&world).await.done, 1);
    assert_eq!(world.state("zlib").await, "unresolved");
    let problems = problems_of_zlib(&world).await;
    assert!(
        problems[0].starts_with("Koji does not tell BuildRequires of zlib-2.1.7-")
            && problems[0].contains("invalid dependency flags"),
        "{problems:?}"
    );
    assert_eq!(resolve(&world).await.done, 0, "nobody asks at every turn");
    world
        .execute("UPDATE untold_build_requires SET ask_again = ask_again - interval '1 minute'")
        .await;
    assert_eq!(resolve(&world).await.done, 1, "but later somebody does");
    assert_eq!(world.state("zlib").await, "ok");
    assert_eq!(world.number("SELECT count(*) FROM untold_build_requires").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_of_the_hub_is_no_problem_of_the_package_unless_it_stays() {
    let world = World::settled().await;
    forget_requires_of_zlib(&world).await;
    let asked = "SELECT coalesce(max(attempts), 0)::bigint FROM untold_build_requires";
    for attempt in 1..=3 {
        world.sim.mishap(Some("getRPMDeps"), Mishap::Fault(1, "<class 'KeyError'>".into()));
        for _ in 0..2 {
            let outcome = repo_resolver::step(&world.ctx).await.unwrap();
            assert_eq!(outcome.failures.len(), 1, "it is told about");
            assert!(outcome.failures[0].1.to_string().contains("zlib"), "{:?}", outcome.failures);
        }
        assert_eq!(world.number(asked).await, attempt, "asked once for two turns");
        assert_eq!(world.state("zlib").await, "ok");
        world.execute("UPDATE untold_build_requires SET ask_again = timezone('UTC', now())").await;
    }
    let trouble = world.texts("SELECT trouble FROM collection_freshness").await;
    assert!(trouble[0].contains("KeyError"), "{trouble:?}");
    world.sim.mishap(Some("getRPMDeps"), Mishap::Fault(1, "<class 'KeyError'>".into()));
    resolve(&world).await;
    assert_eq!(world.state("zlib").await, "unresolved");
    let no_trouble = "SELECT count(*) FROM collection_freshness WHERE trouble IS NULL";
    assert_eq!(world.number(no_trouble).await, 1, "it is the package's now");
}

#[tokio::test(flavor = "multi_thread")]
async fn build_requires_that_nobody_can_understand_are_a_problem_that_people_see() {
    let world = World::settled().await;
    world
        .execute(
            "UPDATE build_requires SET requires = requires || '(gcc or'::text WHERE nvr LIKE 'zlib-%'",
        )
        .await;
    world.execute("UPDATE package SET resolved_repo_id = NULL WHERE name = 'zlib'").await;
    resolve(&world).await;
    assert_eq!(world.state("zlib").await, "unresolved");
    let problems = problems_of_zlib(&world).await;
    assert!(
        problems[0].contains("cannot be understood") && problems[0].contains("(gcc or"),
        "{problems:?}"
    );
    assert_eq!(resolve(&world).await.done, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_says_why_it_may_be_stale() {
    let world = World::settled().await;
    let fresh = async || {
        let mut conn = world.connection().await;
        koschei_db::freshness::of_all(&mut conn).await.unwrap().remove(0)
    };
    let now = fresh().await;
    assert_eq!(now.repo_id.map(i64::from), world.sim.latest_repo(BUILD_TAG));
    assert!(now.looked.is_some() && now.repo_made.is_some() && now.since.is_some());
    assert_eq!((now.trouble, now.waiting), (None, 0));

    world.sim.set_offline(Some("Server disabled for maintenance"));
    let away = repo_resolver::step(&world.ctx).await.unwrap();
    assert_eq!(away.failures.len(), 1);
    let trouble = fresh().await.trouble.unwrap();
    assert!(trouble.contains("disabled for maintenance"), "{trouble}");
    world.sim.set_offline(None);
    resolve(&world).await;
    assert_eq!(fresh().await.trouble, None);

    world.push(&Push::of("readline").version("9.0").abi("9")).await;
    resolve(&world).await;
    let broken = fresh().await;
    assert_eq!(broken.resolved, Some(false));
    assert!(broken.problem.unwrap().contains("libreadline.so"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_build_group_nothing_is_resolved_until_the_next_repo() {
    let world = World::settled().await;
    world.push(&Push::of("readline").version("9.0").abi("9")).await;
    resolve(&world).await;
    world.execute("UPDATE package SET resolved = NULL WHERE name = 'zlib'").await;
    assert_eq!(resolve(&world).await.done, 0);
    let known = "SELECT count(*) FROM package WHERE name = 'zlib' AND resolved IS NOT NULL";
    assert_eq!(world.number(known).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_package_requires_is_asked_of_koji_once_by_whoever_comes_first() {
    let world = World::settled().await;
    let kept = "SELECT count(*) FROM build_requires";
    let before = world.number(kept).await;
    assert!(before >= world.number(RESOLVABLE).await);
    world.new_repo().await;
    world.execute("UPDATE build SET deps_resolved = NULL, dependency_keys = NULL").await;
    // Whoever asked would meet this.
    world.sim.mishap(Some("getRPMDeps"), Mishap::Fault(1014, "asked again".into()));
    clean(build_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(resolve(&world).await.done as i64, world.number(RESOLVABLE).await);
    assert_eq!(world.number(kept).await, before);
}
