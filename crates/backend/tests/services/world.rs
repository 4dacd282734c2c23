//! The world that most tests begin with: the simulated Koji with its distribution, a database, and a collection that
//! follows the release in development.

use std::time::{Duration, Instant};

use koji::calls;
use koji::types::Task;
use kojisim::{Ending, KOSCHEI_USER, Options, Push, Sim};
use koschei_backend::{
    Context, Outcome, Stop, Stopper, build_resolver, polling, repo_resolver, scheduler,
};
use koschei_core::config::{Config, FreeForm, LoginMethod};
use koschei_db::entities::{self, NewCollection};
use koschei_db::testing::{self, Database};
use koschei_db::{DatabaseConfig, PgConnection, Pool};

pub(crate) const TAG: &str = "buyan2";
pub(crate) const BUILD_TAG: &str = "buyan2-build";

/// Builds that run.
pub(crate) const RUNNING: &str = "SELECT count(*) FROM build WHERE state = 2";

pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) db: Pool,
    pub(crate) config: Config,
    pub(crate) ctx: Context,
    pub(crate) collection: i32,
    _directories: [tempfile::TempDir; 2],
    _database: Option<Database>,
}

impl World {
    /// Koji as it is, and nothing but an empty collection in the database.
    pub(crate) async fn empty() -> Self {
        let database = testing::database().await;
        let pool = database.pool().clone();
        let mut world = Self::on(pool).await;
        world._database = Some(database);
        world
    }

    /// The same on another database.
    pub(crate) async fn on(db: Pool) -> Self {
        Self::with(db, |_| ()).await
    }

    /// The same with other options of Koji.
    pub(crate) async fn with(db: Pool, change: impl FnOnce(&mut Options)) -> Self {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut options = Options::for_tests(directories[0].path());
        change(&mut options);
        let sim = Sim::start(options).await.unwrap();
        let mut config = Config::default();
        config.directories.cachedir = directories[1].path().to_str().unwrap().to_owned();
        let koji = &mut config.koji_config;
        koji.server = sim.url();
        koji.topurl = sim.topurl();
        koji.weburl = sim.weburl();
        koji.login_method = LoginMethod::Login;
        koji.login_args = FreeForm::from_iter([("user", KOSCHEI_USER), ("password", KOSCHEI_USER)]);
        koji.session_opts = FreeForm::from_iter([
            ("max_retries", serde_json::Value::from(1)),
            ("retry_interval", 0.01.into()),
            ("offline_retry", false.into()),
        ]);
        koji.build_arches = vec!["x86_64".into(), "aarch64".into()];
        config.dependency.persist_chunk_size = 20;
        let ctx = Context::new(config.clone(), db.clone(), Stop::never()).unwrap();
        let new = NewCollection {
            name: "buyan2".into(),
            display_name: "Buyan 2".into(),
            order: 100,
            secondary_mode: false,
            target: TAG.into(),
            dest_tag: TAG.into(),
            build_tag: BUILD_TAG.into(),
            bugzilla_product: None,
            bugzilla_version: None,
            priority_coefficient: 1.0,
            build_group: "build".into(),
            poll_untracked: true,
        };
        let collection = entities::create_collection(&db, &new).await.unwrap().unwrap();
        Self { sim, db, config, ctx, collection, _directories: directories, _database: None }
    }

    /// Every package is tracked, has its real build, and everything was resolved.
    pub(crate) async fn settled() -> Self {
        let world = Self::empty().await;
        world.settle().await;
        world
    }

    pub(crate) async fn settle(&self) {
        clean(polling::step(&self.ctx).await.unwrap());
        self.execute("UPDATE package SET tracked = true").await;
        clean(build_resolver::step(&self.ctx).await.unwrap());
        clean(repo_resolver::step(&self.ctx).await.unwrap());
    }

    /// So many processes on other hosts, each with connections of its own.
    pub(crate) async fn processes(
        &self,
        database: &DatabaseConfig,
        count: usize,
        change: impl Fn(&mut Config),
    ) -> Vec<(Context, Stopper)> {
        let mut processes = Vec::with_capacity(count);
        for _ in 0..count {
            let mut config = self.config.clone();
            change(&mut config);
            let few = DatabaseConfig { max_connections: 3, ..database.clone() };
            let pool = koschei_db::connect(&few).await.unwrap();
            let (stopper, stop) = Stopper::new();
            processes.push((Context::new(config, pool, stop).unwrap(), stopper));
        }
        processes
    }

    /// Its database, unless it is one of the test's own.
    pub(crate) fn database_handle(&self) -> &Database {
        self._database.as_ref().unwrap()
    }

    /// Where its database is.
    pub(crate) fn database(&self) -> &DatabaseConfig {
        self.database_handle().config()
    }

    /// A context as another process would have it, with changes of the configuration.
    pub(crate) fn other(&self, change: impl FnOnce(&mut Config)) -> Context {
        let mut config = self.config.clone();
        change(&mut config);
        Context::new(config, self.db.clone(), Stop::never()).unwrap()
    }

    /// The Koji that builds.
    pub(crate) async fn koji(&self) -> &koji::Client {
        self.ctx.koji_that_builds().await.unwrap()
    }

    pub(crate) async fn connection(&self) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
        self.db.acquire().await.unwrap()
    }

    pub(crate) async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.db).await.unwrap();
    }

    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.db).await.unwrap()
    }

    pub(crate) async fn texts(&self, query: &'static str) -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(&self.db).await.unwrap()
    }

    /// The state of a package, in one word.
    pub(crate) async fn state(&self, name: &str) -> String {
        let mut conn = self.connection().await;
        let id = self.package(&mut conn, name).await;
        let locked = koschei_db::packages::lock(&mut conn, &[id]).await.unwrap();
        locked.get(id).unwrap().state.to_string()
    }

    pub(crate) async fn package(&self, conn: &mut PgConnection, name: &str) -> i32 {
        sqlx::query_scalar("SELECT id FROM package WHERE name = $1 AND collection_id = $2")
            .bind(name)
            .bind(self.collection)
            .fetch_one(conn)
            .await
            .unwrap()
    }

    /// Makes these packages so urgent that they are next.
    pub(crate) async fn make_urgent(&self, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        sqlx::query("UPDATE package SET manual_priority = 10000 WHERE name = ANY($1)")
            .bind(names)
            .execute(&self.db)
            .await
            .unwrap();
    }

    /// Keeps everything from being urgent but what a test makes so.
    pub(crate) async fn calm(&self) {
        self.execute("UPDATE package SET manual_priority = -100000").await;
    }

    /// A packager pushes an update, which is built, tagged, and in the next repo. Returns that repo.
    pub(crate) async fn push(&self, push: &Push) -> i64 {
        let task = self.sim.push(push).expect("the world has this source package");
        if self.sim.wait_for_task(task).await != Some(2) {
            let result = self.koji().await.call(calls::get_task_result(task)).await;
            panic!("the real build of {} fails: {result:?}", push.source);
        }
        self.new_repo().await
    }

    pub(crate) async fn new_repo(&self) -> i64 {
        let task = self.sim.new_repo(BUILD_TAG).unwrap();
        assert_eq!(self.sim.wait_for_task(task).await, Some(2), "the repo is made");
        self.sim.latest_repo(BUILD_TAG).unwrap()
    }

    /// Scratch builds in Koji.
    pub(crate) async fn scratch_tasks(&self) -> Vec<Task> {
        let user = self.koji().await.call(calls::get_logged_in_user()).await.unwrap().unwrap();
        let what = calls::ListTasks {
            owner: Some(user.id),
            method: Some("build"),
            ..calls::ListTasks::default()
        };
        self.koji().await.call(calls::list_tasks(what)).await.unwrap()
    }

    /// Every task of ours in Koji has exactly one build or a reason to have none, and every scratch build has its task.
    pub(crate) async fn check_tasks(&self) {
        let tasks: Vec<i32> =
            self.scratch_tasks().await.iter().map(|task| i32::try_from(task.id).unwrap()).collect();
        let wrong: Vec<i32> = sqlx::query_scalar(
            "SELECT task.id FROM unnest($1::integer[]) AS task(id)
              WHERE (SELECT count(*) FROM build WHERE task_id = task.id AND NOT \"real\")
                  + (SELECT count(*) FROM task_without_build WHERE task_id = task.id) <> 1
             UNION ALL
             SELECT task_id FROM build WHERE NOT \"real\" AND NOT task_id = ANY($1)",
        )
        .bind(&tasks)
        .fetch_all(&self.db)
        .await
        .unwrap();
        assert!(wrong.is_empty(), "tasks that are lost or doubled: {wrong:?}");
    }

    /// Polls until the builders have taken all running builds, so that their parts name a repo.
    pub(crate) async fn until_repos_are_known(&self) {
        let waiting = "SELECT count(*) FROM build WHERE state = 2 AND repo_id IS NULL";
        let deadline = Instant::now() + PATIENCE;
        while self.number(waiting).await > 0 {
            assert!(Instant::now() < deadline, "no builder takes the running builds");
            clean(polling::builds_step(&self.ctx).await.unwrap());
        }
    }

    /// Waits until all scratch builds in Koji are finished; fails when one of them does not end.
    pub(crate) async fn builds_end(&self) {
        for task in self.scratch_tasks().await {
            self.sim.wait_for_task(task.id).await;
        }
    }

    /// Submits a scratch build of zlib, ends it, and lets polling find that.
    pub(crate) async fn end_zlib(&self, ending: Ending) {
        self.sim.hold_builds(true);
        let task = self.submit(&["zlib"]).await[0];
        self.until_repos_are_known().await;
        self.sim.finish_task(task, ending);
        self.sim.hold_builds(false);
        self.sim.wait_for_task(task).await;
        clean(polling::builds_step(&self.ctx).await.unwrap());
        assert_eq!(self.number(RUNNING).await, 0);
        self.check_tasks().await;
    }

    /// One scheduler round that submits exactly these packages. Returns their tasks, in the order of the names.
    pub(crate) async fn submit(&self, names: &[&str]) -> Vec<i64> {
        self.calm().await;
        self.make_urgent(names).await;
        let outcome = clean(scheduler::step(&self.ctx).await.unwrap());
        assert_eq!(outcome.done, names.len());
        let mut tasks = Vec::new();
        for name in names {
            let task: i32 = sqlx::query_scalar(
                "SELECT task_id FROM build JOIN package ON package.id = package_id
                  WHERE name = $1 AND state = 2",
            )
            .bind(name)
            .fetch_one(&self.db)
            .await
            .unwrap();
            tasks.push(task.into());
        }
        tasks
    }
}

/// An outcome without failures.
#[track_caller]
pub(crate) fn clean(outcome: Outcome) -> Outcome {
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    outcome
}

/// A time within which everything here is over, on any machine.
pub(crate) const LONG: Duration = Duration::from_secs(240);

/// How long a test waits for builders.
const PATIENCE: Duration = Duration::from_secs(240);
