//! What has to be true at every moment, and what when everything is over.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;

use fedora_messaging::Consumer;
use koji::calls::{self, ListTagged, ListTasks};
use koji::types::TaskState;
use koschei_backend::{build_resolver, polling, repo_resolver, scheduler};
use serde_json::json;

use super::{Chaos, LAST, MAX_BUILDS};
use crate::world::{LONG, TAG, clean};

impl Chaos {
    /// The scheduler never has more than so many builds in Koji, whatever it lost sight of.
    pub(super) async fn check_limit(&self) {
        let running = self.world.number("SELECT count(*) FROM build WHERE state = 2").await;
        assert!(running <= i64::from(MAX_BUILDS), "{running} builds run at once");
        let koji = self.world.koji().await;
        let user = koji.call(calls::get_logged_in_user()).await.unwrap().unwrap();
        let what = ListTasks {
            owner: Some(user.id),
            method: Some("build"),
            states: &[TaskState::Free, TaskState::Open, TaskState::Assigned],
            ..ListTasks::default()
        };
        let in_koji = koji.call(calls::list_tasks(what)).await.unwrap().len();
        assert!(in_koji <= MAX_BUILDS as usize, "{in_koji} builds run in Koji at once");
    }

    /// The weather is good again; services do what is left to do. Nothing new begins.
    pub(super) async fn calm_down(&mut self) {
        let deadline = Instant::now() + 2 * LONG;
        let ctx = self.world.ctx.clone();
        loop {
            assert!(Instant::now() < deadline, "it does not come to rest");
            self.world.calm().await;
            // A submission of which Koji never heard is waited for, in case that it is still on its way.
            self.world.execute("UPDATE submission SET begun = begun - interval '1 minute'").await;
            self.world
                .execute("UPDATE untold_build_requires SET ask_again = now() - interval '3 days'")
                .await;
            let scheduled = scheduler::step(&ctx).await;
            self.world.builds_end().await;
            let results = [
                scheduled,
                polling::step(&ctx).await,
                build_resolver::step(&ctx).await,
                repo_resolver::step(&ctx).await,
            ];
            let mut left = 0;
            for result in results {
                match result {
                    Ok(outcome) => left += outcome.done + outcome.failures.len(),
                    Err(error) => {
                        self.diary.note(error);
                        left += 1;
                    }
                }
            }
            let submissions = self.world.number("SELECT count(*) FROM submission").await;
            let messages = self.world.number(OUTBOX).await;
            self.diary.note(format_args!(
                "coming to rest: {left} things, {submissions} submissions, {messages} messages"
            ));
            if left == 0 && submissions == 0 && messages == 0 {
                break;
            }
        }
        for (_, process) in self.beside.drain(..) {
            process.stopper.stop();
            process.task.await.unwrap();
        }
    }

    /// What has to be true however bad the days were.
    pub(super) async fn check(&mut self) {
        let world = &self.world;
        world.check_tasks().await;
        for (what, query) in NOTHING {
            assert_eq!(world.number(query).await, 0, "{what}");
        }
        let verdicts: Vec<(i32, i32)> =
            sqlx::query_as("SELECT task_id, state FROM build WHERE NOT \"real\"")
                .fetch_all(&world.db)
                .await
                .unwrap();
        for (task, state) in verdicts {
            let koji = world.sim.task_state(task.into());
            let same = matches!((koji, state), (Some(2), 3) | (Some(5), 5));
            assert!(same, "task {task} is {koji:?} in Koji and {state} in the database");
        }
        self.check_real_builds().await;
        self.check_states().await;
        self.check_messages().await;
    }

    /// What Koji names as latest is the newest real build that we have.
    async fn check_real_builds(&self) {
        let what = ListTagged { latest: true, inherit: true, ..ListTagged::default() };
        let latest = self.world.koji().await.call(calls::list_tagged(TAG, what)).await.unwrap();
        assert!(latest.len() > 20);
        let known: HashSet<String> = self
            .world
            .texts(
                "SELECT package.name || '-' || version || '-' || release FROM build
                   JOIN package ON package.id = package_id WHERE NOT untagged",
            )
            .await
            .into_iter()
            .collect();
        let blocked: HashSet<String> =
            self.world.texts("SELECT name FROM package WHERE blocked").await.into_iter().collect();
        for build in latest {
            let nvr = format!("{}-{}-{}", build.package_name, build.version, build.release);
            if !blocked.contains(&build.package_name) && !known.contains(&nvr) {
                let here: Vec<String> = sqlx::query_scalar(
                    "SELECT row_to_json(build)::text FROM build JOIN package ON package.id = package_id
                      WHERE name = $1 ORDER BY build.started",
                )
                .bind(&build.package_name)
                .fetch_all(&self.world.db)
                .await
                .unwrap();
                panic!("{build:?} is the latest in Koji and not here: {here:#?}");
            }
        }
    }

    /// Everything that the resolvers and triggers concluded is concluded again from nothing.
    async fn check_states(&self) {
        let world = &self.world;
        let before = world.texts(STATES).await;
        assert!(before.len() > 50);
        let history = world.number("SELECT count(*) FROM resolution_change").await;
        // What the resolver looks at.
        let packages = "tracked AND NOT blocked AND last_complete_build_id IS NOT NULL";
        for statement in [
            format!(
                "DELETE FROM unapplied_change USING package WHERE package.id = package_id AND {packages}"
            ),
            format!(
                "UPDATE package SET resolved_repo_id = NULL, dependency_priority = 0 WHERE {packages}"
            ),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&world.db).await.unwrap();
        }
        clean(repo_resolver::step(&world.ctx).await.unwrap());
        // Without a source package the scheduler has put its builds out of sight (reason 1).
        world
            .execute(
                "SELECT update_last_build(id) FROM package
                  WHERE scheduler_skip_reason IS DISTINCT FROM 1",
            )
            .await;
        same(&before, &world.texts(STATES).await);
        let now = world.number("SELECT count(*) FROM resolution_change").await;
        assert_eq!(now, history, "nothing has changed, so nothing is news");
        self.check_install_sets().await;
    }

    /// The install sets of last builds are made again, where Koji still has the repos.
    async fn check_install_sets(&self) {
        let world = &self.world;
        let sets = async || -> Vec<(i32, String)> {
            sqlx::query_as(SETS).fetch_all(&world.db).await.unwrap()
        };
        let mut before = sets().await;
        let mut there = self.usable(&before).await;
        sqlx::query(
            "UPDATE build SET deps_resolved = NULL, dependency_keys = NULL
              WHERE id IN (SELECT last_build_id FROM package) AND repo_id = ANY($1)",
        )
        .bind(&there)
        .execute(&world.db)
        .await
        .unwrap();
        clean(build_resolver::step(&world.ctx).await.unwrap());
        let mut now = sets().await;
        // The simulator deletes old ones at any time.
        there = self.usable(&now).await;
        for list in [&mut before, &mut now] {
            list.retain(|(repo, _)| there.contains(repo));
        }
        assert!(!now.is_empty());
        let texts = |list: Vec<(i32, String)>| -> Vec<String> {
            list.into_iter().map(|(_, text)| text).collect()
        };
        same(&texts(before), &texts(now));
    }

    /// Those of the repos that can be used.
    async fn usable(&self, of: &[(i32, String)]) -> Vec<i32> {
        let all: BTreeSet<i32> = of.iter().map(|(repo, _)| *repo).collect();
        let mut usable = Vec::new();
        for repo in all {
            let known = self.world.koji().await.call(calls::repo_info(repo.into())).await.unwrap();
            if known.is_some_and(|repo| repo.state.is_usable()) {
                usable.push(repo);
            }
        }
        usable
    }

    /// Every change of every package was told, in order, from the first to the word of now.
    async fn check_messages(&self) {
        let mut consumer = Consumer::connect(&self.consumer, "test").await.unwrap();
        let mut words: BTreeMap<String, String> = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut repos = Vec::new();
        // Behind everything that was told.
        self.sender.send(LAST, json!({})).await;
        loop {
            let delivery = tokio::time::timeout(LONG, consumer.next()).await.unwrap().unwrap();
            if delivery.topic == LAST {
                break;
            }
            if !seen.insert(delivery.id.clone().unwrap()) {
                // At least once.
                delivery.done().await.unwrap();
                continue;
            }
            let body = delivery.body().unwrap();
            let text = |key: &str| body[key].as_str().unwrap().to_owned();
            if delivery.topic == "koschei.collection.state.change" {
                repos.push(text("repo_id").parse::<i64>().unwrap());
            } else {
                let (name, old, new) = (text("name"), text("old"), text("new"));
                let last = words.insert(name.clone(), new);
                let last = last.unwrap_or_else(|| "ignored".to_owned());
                assert_eq!(old, last, "{name}: a message is missing or in the wrong place");
            }
            delivery.done().await.unwrap();
        }
        assert!(repos.is_sorted(), "{repos:?}");
        assert!(words.len() > 20, "{}", words.len());
        // spec/services.md, "Words": the first that holds.
        let now: Vec<(String, String)> = sqlx::query_as(
            "SELECT name, CASE WHEN blocked OR NOT tracked THEN 'ignored'
                               WHEN NOT resolved THEN 'unresolved'
                               WHEN last_complete_build_state = 3 THEN 'ok'
                               WHEN last_complete_build_state = 5 THEN 'failing'
                               ELSE 'ignored' END
               FROM package",
        )
        .fetch_all(&self.world.db)
        .await
        .unwrap();
        for (name, word) in now {
            let told = words.get(&name).map_or("ignored", String::as_str);
            assert_eq!(told, word, "the last word about {name}");
        }
    }
}

const OUTBOX: &str = "SELECT count(*) FROM outbox";

/// What there has to be none of.
const NOTHING: [(&str, &str); 7] = [
    ("running builds", "SELECT count(*) FROM build WHERE state = 2"),
    (
        "packages with two builds of one task",
        "SELECT count(*) FROM (SELECT FROM build GROUP BY package_id, task_id HAVING count(*) > 1) AS twice",
    ),
    (
        "parts of builds stored twice",
        "SELECT count(*) FROM (SELECT FROM koji_task GROUP BY build_id, task_id HAVING count(*) > 1) AS twice",
    ),
    ("builds never looked at", "SELECT count(*) FROM build WHERE deps_resolved IS NULL"),
    (
        "packages never resolved in the newest repo",
        "SELECT count(*) FROM package JOIN collection ON collection.id = collection_id
          WHERE resolved_repo_id IS DISTINCT FROM latest_repo_id AND tracked AND NOT blocked
            AND latest_repo_resolved AND last_complete_build_id IS NOT NULL",
    ),
    ("messages that were not sent", OUTBOX),
    (
        "locks that nobody can hold any more",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
           (SELECT oid FROM pg_database WHERE datname = current_database())",
    ),
];

/// What is concluded about packages.
const STATES: &str = "
    SELECT concat_ws(' ', name, 'resolved', resolved::text, 'priority', dependency_priority,
                     'builds', last_build_id, last_complete_build_id, last_complete_build_state,
                     (SELECT string_agg(concat_ws(' ', prev_dep_id, curr_dep_id, distance), ', '
                                        ORDER BY prev_dep_id, curr_dep_id)
                        FROM unapplied_change WHERE package_id = package.id))
      FROM package ORDER BY name COLLATE \"C\"";

/// The install sets of the last builds.
const SETS: &str = "
    SELECT repo_id, concat_ws(' ', name, deps_resolved::text, encode(dependency_keys, 'hex'))
      FROM package JOIN build ON build.id = last_build_id
     WHERE repo_id IS NOT NULL ORDER BY name COLLATE \"C\"";

#[track_caller]
fn same(before: &[String], now: &[String]) {
    assert_eq!(before.len(), now.len());
    for (before, now) in before.iter().zip(now) {
        assert_eq!(before, now, "concluded before, and again from nothing");
    }
}
