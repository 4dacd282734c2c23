//! The message bus, with a real broker and the original client at the other end: what Koji tells is followed at once, what
//! changes here is told.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fedora_messaging::testing::{Broker, OriginalPublisher, OriginalReceiver, Shortage};
use fedora_messaging::{Config, Consumer};
use kojisim::{Ending, Push};
use koschei_backend::driver::{self, Ended};
use koschei_backend::{
    Context, Received, Service, Stopper, build_resolver, polling, publisher, repo_resolver,
    scheduler, watcher,
};
use koschei_db::administration::{self, Actor};
use koschei_db::testing;
use koschei_db::wake::{Alarm, Sleeper};
use serde_json::{Value, json};

use crate::messages::Sender;
use crate::world::{BUILD_TAG, RUNNING, TAG, World, clean};

const OUTBOX: &str = "SELECT count(*) FROM outbox";

/// One broker for all tests that do not kill it. Each has topics of its own.
fn broker() -> &'static Broker {
    static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);
    &BROKER
}

/// A watcher that hears what is said with a prefix of its own.
struct Watcher {
    bus: Config,
    stopper: Stopper,
    task: tokio::task::JoinHandle<Ended>,
}

impl Watcher {
    fn start(world: &World, prefix: &str) -> Self {
        let bus = broker().with_queue(prefix, &[&format!("{prefix}.#")]);
        let (stopper, stop) = Stopper::new();
        let mut ctx = world.other(|config| config.fedmsg.topic = format!("{prefix}.buildsys"));
        ctx.stop = stop;
        let task = tokio::spawn({
            let bus = bus.clone();
            async move { watcher::run(&ctx, &bus).await }
        });
        Self { bus, stopper, task }
    }

    async fn stop(self) -> Config {
        self.stopper.stop();
        assert_eq!(self.task.await.unwrap(), Ended::Stopped);
        self.bus
    }
}

/// Waits until a query gives a number.
async fn until(world: &World, query: &'static str, number: i64) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let now = world.number(query).await;
        if now == number {
            return;
        }
        assert!(Instant::now() < deadline, "{query} is {now} and does not become {number}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn task_changed(task: i64, instance: &str) -> Value {
    json!({
        "id": task, "method": "build", "attribute": "state", "old": "OPEN", "new": "CLOSED",
        "owner": "koschei", "srpm": "zlib-2.1.7-1.src.rpm", "instance": instance,
        "base_url": "https://koji.example.org/koji", "files_base_url": "https://koji.example.org",
        "info": {
            "id": task, "method": "build", "parent": null, "state": 2, "owner": 7,
            "owner_name": "koschei", "owner_type": 0, "host_id": 1, "arch": "noarch",
            "label": null, "priority": 30, "weight": 0.2, "channel_id": 1, "awaited": null,
            "waiting": false, "children": [], "request": [], "result": null, "start_time": null,
            "create_time": 1767225600.0, "completion_time": null,
        },
    })
}

fn tagged(name: &str) -> Value {
    json!({
        "name": name, "version": "1", "release": "1", "tag": "some-candidate", "tag_id": 3,
        "build_id": 1, "user": "bodhi", "owner": "somebody", "instance": "primary",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_koji_tells_is_seen_without_polling() {
    let world = World::settled().await;
    let task = world.submit(&["zlib"]).await[0];
    let watcher = Watcher::start(&world, "test.seen");
    let settings = broker().settings("topic_prefix = 'test.seen'");
    let mut koji = tokio::task::block_in_place(|| OriginalPublisher::start(&settings));
    let mut tell =
        |class: &str, body: Value| tokio::task::block_in_place(|| koji.publish(class, &body));

    world.sim.wait_for_task(task).await;
    tell("TaskStateChangeV1", task_changed(task, "primary"));
    until(&world, RUNNING, 0).await;
    assert_eq!(world.state("zlib").await, "ok");

    let built = "SELECT count(*) FROM build WHERE \"real\" AND version = '2.1.8'";
    world.push(&Push::of("zlib").version("2.1.8")).await;
    assert_eq!(world.number(built).await, 0);
    tell("TagV1", tagged("zlib"));
    until(&world, built, 1).await;

    let untagged = "SELECT count(*) FROM build WHERE untagged";
    let nvr = world
        .texts("SELECT 'zlib-' || version || '-' || release FROM build WHERE version = '2.1.8'");
    assert!(world.sim.set_tagged(&nvr.await[0], TAG, false));
    tell("UntagV1", tagged("zlib"));
    until(&world, untagged, 1).await;

    // A resolver that would look by itself in an hour.
    let (stopper, stop) = Stopper::new();
    let mut ctx = world.other(|config| config.services.repo_resolver.interval = 3600.0);
    ctx.stop = stop;
    let vitals = ctx.vitals.clone();
    let resolver = tokio::spawn(async move { driver::run(Service::RepoResolver, &ctx).await });
    let behind =
        "SELECT count(*) FROM collection WHERE latest_repo_id < (SELECT max(repo_id) FROM build)";
    until(&world, behind, 0).await;
    let repo = world.new_repo().await;
    tell(
        "DoneV1",
        json!({ "instance": "primary", "repo_id": repo, "tag": BUILD_TAG, "tag_id": 1 }),
    );
    let deadline = Instant::now() + Duration::from_secs(120);
    while world.number("SELECT latest_repo_id::bigint FROM collection").await < repo {
        assert!(Instant::now() < deadline, "the resolver is not woken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The step that the message led to, and what it waited for meanwhile.
    let mut steps = vitals.now().steps_clean;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = vitals.now().steps_clean;
        if now > 0 && now == steps {
            break;
        }
        steps = now;
    }
    // From the message to the end of a step that finds nothing new, beside what this machine needs at the same moment for
    // the same without us: to carry a message through the broker and to make such a step.
    let echo = broker().with_queue("test.seen.echo", &["test.echo"]);
    let mut heard = Consumer::connect(&echo, "test").await.unwrap();
    let sender = Sender::on(broker()).await;
    let by_hand = world.other(|_| ());
    clean(repo_resolver::step(&by_hand).await.unwrap());
    let mut late: Vec<Duration> = Vec::new();
    for _ in 0..9 {
        let begun = Instant::now();
        sender.send("test.echo", json!({})).await;
        heard.next().await.unwrap().done().await.unwrap();
        clean(repo_resolver::step(&by_hand).await.unwrap());
        let by_hand = begun.elapsed();

        let before = vitals.now().steps_clean;
        let body = json!({ "instance": "primary", "repo_id": repo, "tag": BUILD_TAG, "tag_id": 1 });
        tell("DoneV1", body);
        let told = Instant::now();
        while vitals.now().steps_clean == before {
            assert!(told.elapsed() < Duration::from_secs(120), "the resolver is not woken");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        late.push(told.elapsed().saturating_sub(by_hand));
    }
    late.sort();
    assert!(late[late.len() / 2] < Duration::from_secs(1), "mostly it takes too long: {late:?}");
    stopper.stop();
    resolver.await.unwrap();
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_others_or_not_understood_is_dropped_and_the_rest_goes_on() {
    let world = World::settled().await;
    let task = world.submit(&["zlib"]).await[0];
    world.sim.wait_for_task(task).await;
    let watcher = Watcher::start(&world, "test.dropped");
    let sender = Sender::on(broker()).await;
    let topic = |kind: &str| format!("test.dropped.buildsys.{kind}");
    let changed = topic("task.state.change");
    sender.send(&changed, task_changed(task, "secondary")).await;
    let mut other = task_changed(task, "primary");
    other["attribute"] = "priority".into();
    sender.send(&changed, other).await;
    sender.send(&topic("build.state.change"), task_changed(task, "primary")).await;
    sender.send("test.dropped.bodhi.task.state.change", task_changed(task, "primary")).await;
    for wrong in [
        json!("text"),
        json!([1, 2]),
        json!({}),
        json!({ "instance": 3 }),
        json!({ "instance": "primary", "attribute": "state" }),
        json!({ "instance": "primary", "attribute": "state", "id": "1" }),
        json!({ "instance": "primary", "attribute": "state", "id": 1e30 }),
        json!({ "instance": "primary", "attribute": "state", "id": i64::MAX }),
    ] {
        sender.send(&changed, wrong).await;
    }
    sender.send(&topic("tag"), json!({ "instance": "primary", "name": null })).await;
    sender.send(&topic("tag"), tagged("no-such-package'; DROP TABLE build")).await;
    sender.send(&topic("repo.done"), json!({ "instance": "primary", "tag": "other" })).await;

    // The last one tells when all others are through.
    let built = "SELECT count(*) FROM build WHERE \"real\" AND version = '9.9'";
    world.push(&Push::of("xz").version("9.9")).await;
    sender.send(&topic("tag"), tagged("xz")).await;
    until(&world, built, 1).await;
    assert_eq!(world.number(RUNNING).await, 1, "none of them was about our task");
    sender.send(&changed, task_changed(task, "primary")).await;
    until(&world, RUNNING, 0).await;

    let bus = watcher.stop().await;
    let mut rest = Consumer::connect(&bus, "test").await.unwrap();
    let left = tokio::time::timeout(Duration::from_millis(500), rest.next()).await;
    assert!(left.is_err(), "something was not answered: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_effect_was_not_safe_comes_again() {
    let world = World::settled().await;
    // It must not end by itself while it is waited for its repo.
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world.until_repos_are_known().await;
    world.sim.finish_task(task, Ending::Fault(1005, "error building package".into()));
    world.sim.hold_builds(false);
    world.sim.wait_for_task(task).await;
    assert_eq!(world.number(RUNNING).await, 1);
    let sender = Sender::on(broker()).await;
    let watcher = Watcher::start(&world, "test.again");

    // While somebody holds the build, its end cannot be stored.
    let mut holder = world.db.begin().await.unwrap();
    sqlx::query("SELECT id FROM build WHERE state = 2 FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    // The queue is there once somebody listens to it.
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(120);
    while world.number(waits).await == 0 {
        assert!(Instant::now() < deadline, "nobody follows the message");
        sender.send("test.again.buildsys.task.state.change", task_changed(task, "primary")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    watcher.task.abort();
    holder.rollback().await.unwrap();
    assert_eq!(world.number(RUNNING).await, 1);

    let watcher = Watcher::start(&world, "test.again");
    until(&world, RUNNING, 0).await;
    assert_eq!(world.state("zlib").await, "failing");
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_away_for_a_moment_is_waited_for() {
    let world = World::settled().await;
    let task = world.submit(&["zlib"]).await[0];
    world.sim.wait_for_task(task).await;
    let watcher = Watcher::start(&world, "test.away");
    let sender = Sender::on(broker()).await;
    // Makes sure that the queue is there.
    world.push(&Push::of("xz").version("9.9")).await;
    let built = "SELECT count(*) FROM build WHERE \"real\" AND version = '9.9'";
    let deadline = Instant::now() + Duration::from_secs(120);
    while world.number(built).await == 0 {
        assert!(Instant::now() < deadline, "nobody listens");
        sender.send("test.away.buildsys.tag", tagged("xz")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    world.sim.set_offline(Some("Server disabled for maintenance"));
    sender.send("test.away.buildsys.task.state.change", task_changed(task, "primary")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.number(RUNNING).await, 1);
    world.sim.set_offline(None);
    until(&world, RUNNING, 0).await;
    watcher.stop().await;
}

/// A world whose changes are told on the bus. The database lives as long as what comes with it.
async fn telling_world() -> (World, testing::Database) {
    let database = testing::database().await;
    let config = database.config().clone().publishing(true);
    let pool = koschei_db::connect(&config).await.unwrap();
    (World::on(pool).await, database)
}

fn publish_on(ctx: &Context, bus: &Config) -> tokio::task::JoinHandle<()> {
    let (ctx, bus) = (ctx.clone(), bus.clone());
    tokio::spawn(async move { publisher::run(&ctx, &bus).await })
}

fn failure() -> Ending {
    Ending::Fault(1005, "error building package".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_once_in_order_and_to_the_letter() {
    let (world, _database) = telling_world().await;
    let settings = broker().settings("");
    let mut receiver = tokio::task::block_in_place(|| OriginalReceiver::start(&settings));
    let bus = broker().config("topic_prefix = 'test.told'");
    // Two processes that publish.
    let publishers = [publish_on(&world.ctx, &bus), publish_on(&world.other(|_| ()), &bus)];
    world.settle().await;
    world
        .execute(
            "WITH groups AS (INSERT INTO package_group (namespace, name)
                             VALUES (NULL, 'core'), ('ann', 'libs') RETURNING id)
             INSERT INTO package_group_relation (group_id, base_id)
             SELECT groups.id, base_package.id FROM groups, base_package WHERE name = 'zlib'",
        )
        .await;
    world.end_zlib(failure()).await;
    world.end_zlib(Ending::Natural).await;
    world.end_zlib(failure()).await;
    until(&world, OUTBOX, 0).await;

    let mut next = || loop {
        let message = tokio::task::block_in_place(|| receiver.receive());
        if message["topic"].as_str().unwrap().starts_with("test.told.") {
            break message;
        }
    };
    let repo = world.number("SELECT latest_repo_id::bigint FROM collection").await;
    let collection = next();
    assert_eq!(collection["class"], "CollectionStateChange");
    assert_eq!(collection["topic"], "test.told.koschei.collection.state.change");
    assert_eq!(collection["summary"], "Buyan 2 added to Koschei");
    let expected = json!({
        "old": "unknown", "new": "ok", "koji_instance": "primary", "collection": "buyan2",
        "collection_name": "Buyan 2", "repo_id": repo.to_string(),
    });
    assert_eq!(collection["body"], expected);
    for (old, new) in [("ok", "failing"), ("failing", "ok"), ("ok", "failing")] {
        let package = next();
        assert_eq!(package["class"], "PackageStateChange");
        assert_eq!(package["topic"], "test.told.koschei.package.state.change");
        let expected = json!({
            "name": "zlib", "old": old, "new": new, "koji_instance": "primary",
            "repo": "buyan2", "collection": "buyan2", "collection_name": "Buyan 2",
            "groups": ["ann/libs", "core"],
        });
        assert_eq!(package["body"], expected);
        assert_eq!(package["packages"], json!(["zlib"]));
    }
    for publisher in publishers {
        publisher.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_broker_away_messages_wait_and_then_come_in_order() {
    let (world, _database) = telling_world().await;
    world.settle().await;
    let mut broker = Broker::start();
    let bus = broker.with_queue("waiting", &["koschei.package.#"]);
    drop(Consumer::connect(&bus, "test").await.unwrap());
    broker.kill();
    let publisher = publish_on(&world.ctx, &bus);
    world.end_zlib(failure()).await;
    world.end_zlib(Ending::Natural).await;
    assert_eq!(world.number(OUTBOX).await, 3, "with the one about the collection");
    broker.run();
    until(&world, OUTBOX, 0).await;
    let mut consumer = Consumer::connect(&bus, "test").await.unwrap();
    for new in ["failing", "ok"] {
        let delivery = consumer.next().await.unwrap();
        assert_eq!(delivery.body().unwrap()["new"], new);
    }
    publisher.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_short_of_memory_or_disk_keeps_messages_waiting_and_the_watcher_goes_on() {
    let (world, _database) = telling_world().await;
    world.settle().await;
    let broker = Broker::start();
    let bus = broker.with_queue("short", &["koschei.package.#"]);
    let mut consumer = Consumer::connect(&bus, "test").await.unwrap();
    let heard = broker.with_queue("short.heard", &["short.#"]);
    drop(Consumer::connect(&heard, "test").await.unwrap());
    let sender = Sender::on(&broker).await;
    let publisher = publish_on(&world.ctx, &bus);
    until(&world, OUTBOX, 0).await;
    let set = |shortage| tokio::task::block_in_place(|| broker.set_shortage(shortage));
    for (shortage, version) in [(Shortage::Memory, "9.1"), (Shortage::Disk, "9.2")] {
        // What Koji told before is followed now.
        world.push(&Push::of("xz").version(version)).await;
        sender.send("short.buildsys.tag", tagged("xz")).await;
        set(Some(shortage));
        world.end_zlib(failure()).await;
        world.end_zlib(Ending::Natural).await;
        let (stopper, stop) = Stopper::new();
        let mut ctx = world.other(|config| config.fedmsg.topic = "short.buildsys".into());
        ctx.stop = stop;
        let watcher = tokio::spawn({
            let heard = heard.clone();
            async move { watcher::run(&ctx, &heard).await }
        });
        let built = "SELECT count(*) FROM build JOIN package ON package.last_build_id = build.id
                      WHERE name = 'xz' AND version IN ('9.1', '9.2')";
        until(&world, built, 1).await;
        stopper.stop();
        assert_eq!(watcher.await.unwrap(), Ended::Stopped);
        assert_eq!(world.number(OUTBOX).await, 2, "{shortage:?}: they wait");
        set(None);
        until(&world, OUTBOX, 0).await;
        // The update of xz changes no word.
        for new in ["failing", "ok"] {
            let delivery = consumer.next().await.unwrap();
            assert_eq!(delivery.body().unwrap()["new"], new, "{shortage:?}");
            delivery.done().await.unwrap();
        }
    }
    let more = tokio::time::timeout(Duration::from_millis(500), consumer.next()).await;
    assert!(more.is_err(), "told twice: {more:?}");
    publisher.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_publish_writes_no_messages() {
    let world = World::settled().await;
    world.end_zlib(failure()).await;
    assert_eq!(world.state("zlib").await, "failing");
    assert_eq!(world.number(OUTBOX).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_do_not_stay_take_what_waits_and_send_what_there_is() {
    let (world, _database) = telling_world().await;
    world.settle().await;
    let bus = broker().with_queue("test.once", &["test.once.#"]);
    drop(Consumer::connect(&bus, "test").await.unwrap());
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world.until_repos_are_known().await;
    world.sim.finish_task(task, failure());
    world.sim.hold_builds(false);
    world.sim.wait_for_task(task).await;
    let sender = Sender::on(broker()).await;
    sender.send("test.once.buildsys.task.state.change", task_changed(task, "primary")).await;
    sender.send("test.once.buildsys.tag", json!(["nonsense"])).await;
    let ctx = world.other(|config| {
        config.fedmsg.topic = "test.once.buildsys".into();
        config.fedmsg_publisher.modname = "test.once".into();
    });
    assert_eq!(watcher::once(&ctx, &bus).await.unwrap(), 2);
    assert_eq!(world.number(RUNNING).await, 0);
    let signs = ctx.vitals.now();
    assert_eq!(signs.messages[&Received::Followed], 1);
    assert_eq!(signs.messages[&Received::NotUnderstood], 1);

    // One that can never be sent does not keep back the others.
    world
        .execute(
            "INSERT INTO outbox (topic, body) VALUES (repeat('x', 300), '{}'), ('text', '\"text\"')",
        )
        .await;
    assert_eq!(world.number(OUTBOX).await, 4);
    publisher::once(&ctx, &bus).await.unwrap();
    assert_eq!(world.number(OUTBOX).await, 0);
    let signs = ctx.vitals.now();
    assert_eq!((signs.published, signs.unsendable), (2, 2));
    let mut consumer = Consumer::connect(&bus, "test").await.unwrap();
    for kind in ["collection", "package"] {
        let topic = consumer.next().await.unwrap().topic;
        assert_eq!(topic, format!("test.once.{kind}.state.change"));
    }
}

/// The changes of packages that wait to be told, which are taken out.
async fn told(world: &World) -> Vec<String> {
    let told = "SELECT concat_ws(' ', body->>'name', body->>'old', body->>'new') FROM outbox
                 WHERE topic = 'package.state.change' ORDER BY id";
    let told = world.texts(told).await;
    world.execute("DELETE FROM outbox").await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_told_about_when_its_state_changes_and_not_with_every_repo() {
    let (world, _database) = telling_world().await;
    world.settle().await;
    let told = async || {
        let told = "SELECT concat_ws(' ', body->>'old', body->>'new', body->>'repo_id') FROM outbox
                     WHERE topic = 'collection.state.change' ORDER BY id";
        let told = world.texts(told).await;
        world.execute("DELETE FROM outbox").await;
        told
    };
    let latest = async || world.number("SELECT latest_repo_id::bigint FROM collection").await;
    assert_eq!(told().await, [format!("unknown ok {}", latest().await)]);
    let before = latest().await;
    let same = world.new_repo().await;
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert!(latest().await == same && same > before);
    assert_eq!(told().await, [""; 0], "ok as before");
    let broken = world.push(&Push::of("readline").version("9.0").abi("9")).await;
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(told().await, [format!("ok unresolved {broken}")]);
    world.new_repo().await;
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(told().await, [""; 0], "unresolved as before");
    let nvr = "SELECT version FROM dependency WHERE name = 'readline' ORDER BY id LIMIT 1";
    let version = world.texts(nvr).await.remove(0);
    assert_ne!(version, "9.0");
    assert!(world.sim.set_tagged("readline-9.0-1.by2", TAG, false));
    let mended = world.new_repo().await;
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(told().await, [format!("unresolved ok {mended}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_leads_only_to_what_it_is_about() {
    let world = World::settled().await;
    // A new repo wakes the resolver of collections with that build tag.
    for (tag, concerned) in [(BUILD_TAG, 1), (TAG, 0)] {
        let mut alarm = Alarm::set(&world.db, Sleeper::RepoResolver).await.unwrap();
        let event = watcher::Event::RepoDone(tag.to_owned());
        assert_eq!(event.follow(&world.ctx).await.unwrap(), concerned, "{tag}");
        let rung = tokio::time::timeout(Duration::from_secs(2), alarm.ring()).await;
        assert_eq!(rung.is_ok(), concerned == 1, "{tag}");
    }
    // What was tagged is asked of Koji for collections that follow the package.
    world.execute("UPDATE collection SET poll_untracked = false").await;
    world.execute("UPDATE package SET tracked = false WHERE name = 'xz'").await;
    for name in ["xz", "zlib", "sed"] {
        world.push(&Push::of(name).version("99")).await;
    }
    for name in ["xz", "zlib"] {
        watcher::Event::Tagged(name.to_owned()).follow(&world.ctx).await.unwrap();
    }
    let built =
        "SELECT name FROM build JOIN package ON package.id = package_id WHERE version = '99'";
    assert_eq!(world.texts(built).await, ["zlib"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_packages_word_is_told_whatever_caused_it() {
    let (world, _database) = telling_world().await;
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(told(&world).await, [""; 0], "nothing is tracked yet");

    // Tracking.
    let mut conn = world.connection().await;
    let actor = Actor::administrator("me");
    let names = ["zlib".to_owned()];
    administration::track(&mut conn, &actor, "buyan2", &names).await.unwrap();
    drop(conn);
    assert_eq!(told(&world).await, ["zlib ignored ok"]);
    world.execute("UPDATE package SET tracked = true WHERE name <> 'zlib'").await;
    clean(build_resolver::step(&world.ctx).await.unwrap());
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(told(&world).await, [""; 0], "nothing changed");

    // A scratch build, a real one, and that it is untagged and tagged again.
    world.end_zlib(failure()).await;
    assert_eq!(told(&world).await, ["zlib ok failing"]);
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(told(&world).await, ["zlib failing ok"]);
    for (tagged, change) in [(false, "zlib ok failing"), (true, "zlib failing ok")] {
        assert!(world.sim.set_tagged("zlib-2.2.0-1.by2", TAG, tagged));
        clean(polling::step(&world.ctx).await.unwrap());
        assert_eq!(told(&world).await, [change]);
    }

    // Blocking.
    for (blocked, change) in [(true, "zlib ok ignored"), (false, "zlib ignored ok")] {
        assert!(world.sim.set_blocked("zlib", TAG, blocked));
        clean(polling::step(&world.ctx).await.unwrap());
        assert_eq!(told(&world).await, [change]);
    }

    // Resolution.
    world.push(&Push::of("libmpc").version("2.0.0").abi("4")).await;
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    let told_now = told(&world).await;
    assert!(told_now.contains(&"glibc ok unresolved".to_owned()), "{told_now:?}");

    // No source package.
    world
        .execute(
            "UPDATE build SET version = '0.0' FROM package
              WHERE package.last_build_id = build.id AND name = 'xz'",
        )
        .await;
    world.calm().await;
    world.make_urgent(&["xz"]).await;
    world.execute("UPDATE package SET resolved = true WHERE name = 'xz'").await;
    clean(scheduler::step(&world.ctx).await.unwrap());
    assert_eq!(told(&world).await, ["xz ok ignored"]);
}
