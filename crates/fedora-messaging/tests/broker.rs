//! The client against a real RabbitMQ, and against the original client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::sync::LazyLock;
use std::time::Duration;

use fedora_messaging::testing::{Broker, OriginalReceiver, Shortage};
use fedora_messaging::{Consumer, Delivery, Error, Message, Publisher, Severity};
use serde_json::json;

/// One broker for all tests that do not kill it.
fn broker() -> &'static Broker {
    static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);
    &BROKER
}

fn message(topic: &str, id: &str) -> Message {
    Message {
        topic: topic.to_owned(),
        schema: "koschei.package.state.change".to_owned(),
        schema_package: "koschei_messages".to_owned(),
        severity: Severity::Info,
        packages: ["eclipse".to_owned()].into(),
        groups: ["rhn-devel/java".to_owned()].into(),
        users: Default::default(),
        id: id.to_owned(),
        body: json!({
            "name": "eclipse", "old": "ok", "new": "failing", "koji_instance": "primary",
            "repo": "f40", "collection": "f40", "collection_name": "Fedora 40",
            "groups": ["rhn-devel/java"],
        }),
    }
}

/// What comes next; a test fails rather than wait for ever.
async fn next(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(Duration::from_secs(60), consumer.next())
        .await
        .expect("a message")
        .expect("a connection")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_received_once_and_in_order() {
    let config = broker().with_queue("order", &["order.#"]);
    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    let publisher = Publisher::connect(&config, "test").await.unwrap();
    for number in 0..50 {
        publisher.publish(&message("order.one", &number.to_string())).await.unwrap();
    }
    for number in 0..50 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.topic, "order.one");
        assert_eq!(delivery.id, Some(number.to_string()));
        assert!(!delivery.redelivered);
        assert_eq!(delivery.body().unwrap()["name"], "eclipse");
        delivery.done().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_answered_comes_again_and_what_is_refused_never() {
    let config = broker().with_queue("answers", &["answers"]);
    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    let publisher = Publisher::connect(&config, "test").await.unwrap();
    for id in ["done", "refused", "dropped", "last"] {
        publisher.publish(&message("answers", id)).await.unwrap();
    }
    next(&mut consumer).await.done().await.unwrap();
    next(&mut consumer).await.refuse().await.unwrap();
    drop(next(&mut consumer).await);
    drop(consumer);

    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    for id in ["dropped", "last"] {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.id.as_deref(), Some(id));
        delivery.done().await.unwrap();
    }
    let more = tokio::time::timeout(Duration::from_millis(300), consumer.next()).await;
    assert!(more.is_err(), "nothing else is in the queue: {more:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_is_noticed_although_there_is_another_one() {
    let mut config = broker().with_queue("stays", &["stays"]);
    let other = broker().with_queue("goes", &["goes"]);
    config.queues.extend(other.queues);
    config.bindings.extend(other.bindings);
    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    tokio::task::block_in_place(|| broker().control(&["delete_queue", "goes"]));
    let next = tokio::time::timeout(Duration::from_secs(60), consumer.next()).await;
    let error = next.expect("it is noticed").expect_err("nothing was sent");
    assert!(error.is_transient(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_topics_that_were_asked_for_come_in() {
    let config = broker().with_queue("topics", &["wanted.*"]);
    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    let publisher = Publisher::connect(&config, "test").await.unwrap();
    for topic in ["unwanted.a", "wanted.a.b", "wanted.a"] {
        publisher.publish(&message(topic, topic)).await.unwrap();
    }
    assert_eq!(next(&mut consumer).await.topic, "wanted.a");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_for_which_there_is_no_room_stay_in_the_body_alone() {
    let config = broker().with_queue("long", &["long"]);
    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    let publisher = Publisher::connect(&config, "test").await.unwrap();
    // Header names have 255 bytes in AMQP, and all headers together one frame.
    let groups = (0..5000).map(|number| format!("{number}/{}", "x".repeat(100)));
    let sent =
        Message { groups: groups.chain(["g".repeat(500)]).collect(), ..message("long", "1") };
    publisher.publish(&sent).await.unwrap();
    assert_eq!(next(&mut consumer).await.body().unwrap()["name"], "eclipse");
    let error = publisher.publish(&message(&"long.".repeat(60), "2")).await.unwrap_err();
    assert!(matches!(error, Error::Unsendable { .. }) && !error.is_transient(), "{error}");
    // The connection is as good as before.
    publisher.publish(&message("long", "3")).await.unwrap();
    next(&mut consumer).await.done().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_object_is_told_in_words() {
    let config = broker().with_queue("garbage", &["garbage"]);
    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    let publisher = Publisher::connect(&config, "test").await.unwrap();
    publisher.publish(&Message { body: json!([1]), ..message("garbage", "1") }).await.unwrap();
    let error = next(&mut consumer).await.body().unwrap_err();
    assert!(error.starts_with("the body is no JSON object: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_takes_the_place_of_name_and_password() {
    let config = broker().with_certificate();
    let publisher = Publisher::connect(&config, "test").await.unwrap();
    publisher.publish(&message("nobody.listens", "1")).await.unwrap();

    let mut without = config.clone();
    without.tls.keyfile = None;
    without.tls.certfile = None;
    assert!(Publisher::connect(&without, "test").await.is_err(), "the broker wants one");

    let mut stranger = config.clone();
    stranger.tls.ca_cert = None;
    let error = Publisher::connect(&stranger, "test").await.unwrap_err().to_string();
    assert!(error.contains("certificate verify failed"), "{error}");

    let mut missing = config;
    missing.tls.keyfile = Some("/nowhere/key.pem".into());
    let error = Publisher::connect(&missing, "test").await.unwrap_err();
    assert!(!error.is_transient());
    assert!(error.to_string().starts_with("/nowhere/key.pem: cannot be read, as tls.keyfile: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_named_and_not_tried_for_ever() {
    let wrong = broker().config("").amqp_url.to_string();
    let mut config = broker().config("");
    config.amqp_url = format!("amqp://koschei:wrong@{wrong}/%2F").parse().unwrap();
    let error = Publisher::connect(&config, "test").await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().contains("ACCESS_REFUSED"), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong"));

    let mut config = broker().with_queue("absent", &["#"]);
    config.passive_declares = true;
    let error = Consumer::connect(&config, "test").await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().contains("refuses the queue \"absent\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_may_come_back_with_everything_in_durable_queues() {
    let mut broker = Broker::start();
    let config = broker.with_queue("durable", &["durable"]);
    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    let publisher = Publisher::connect(&config, "test").await.unwrap();
    publisher.publish(&message("durable", "1")).await.unwrap();
    let unanswered = next(&mut consumer).await;
    broker.kill();
    let error = publisher.publish(&message("durable", "2")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let error = consumer.next().await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }) && error.is_transient(), "{error}");
    drop(unanswered);
    let error = Publisher::connect(&config, "test").await.unwrap_err();
    assert!(error.is_transient(), "{error}");

    broker.run();
    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.id.as_deref(), Some("1"));
    assert!(delivery.redelivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_short_of_memory_or_disk_is_waited_for_and_gets_one_copy() {
    let broker = Broker::start();
    let config = broker.with_queue("short", &["short"]);
    let mut consumer = Consumer::connect(&config, "test").await.unwrap();
    let publisher = Publisher::connect(&config, "test").await.unwrap();
    let set = |shortage| tokio::task::block_in_place(|| broker.set_shortage(shortage));
    for (shortage, id) in [(Shortage::Memory, "memory"), (Shortage::Disk, "disk")] {
        set(Some(shortage));
        // Longer than a broker may take that does not say why.
        let message = message("short", id);
        let mut sending = std::pin::pin!(publisher.publish(&message));
        let waited = tokio::time::timeout(Duration::from_secs(35), &mut sending).await;
        assert!(waited.is_err(), "{shortage:?}: {waited:?}");
        set(None);
        sending.await.unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.id.as_deref(), Some(id));
        delivery.done().await.unwrap();
    }
    publisher.publish(&message("short", "last")).await.unwrap();
    assert_eq!(next(&mut consumer).await.id.as_deref(), Some("last"), "no copies between them");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_client_understands_what_we_send() {
    let mut receiver =
        tokio::task::block_in_place(|| OriginalReceiver::start(&broker().settings("")));
    let mut config = broker().config("topic_prefix = 'org.fedoraproject.prod.'");
    config.publish_priority = Some(2);
    let publisher = Publisher::connect(&config, "test").await.unwrap();
    let id = "c5a2f4b1-3a57-4e2c-9a3e-0d8d8f8a4b11";
    let sent = Message {
        users: ["akurtakov".to_owned()].into(),
        ..message("koschei.package.state.change", id)
    };
    publisher.publish(&sent).await.unwrap();
    // It dropped it if it did not satisfy the schema.
    let got = tokio::task::block_in_place(|| {
        loop {
            let got = receiver.receive();
            if got["id"] == id {
                break got;
            }
        }
    });
    assert_eq!(got["class"], "PackageStateChange");
    assert_eq!(got["topic"], "org.fedoraproject.prod.koschei.package.state.change");
    assert_eq!(got["summary"], "eclipse's builds started to fail in f40");
    assert_eq!(got["severity"], 20);
    assert_eq!(got["content_type"], "application/json");
    assert_eq!(got["content_encoding"], "utf-8");
    assert_eq!(got["delivery_mode"], 2);
    assert_eq!(got["priority"], 2);
    assert_eq!(got["body"], sent.body);
    let headers = got["headers"].as_object().unwrap();
    assert_eq!(headers["fedora_messaging_schema"], "koschei.package.state.change");
    assert_eq!(headers["fedora_messaging_schema_package"], "koschei_messages");
    assert_eq!(headers["fedora_messaging_severity"], 20);
    assert_eq!(headers["fedora_messaging_rpm_eclipse"], true);
    assert_eq!(headers["fedora_messaging_group_rhn-devel/java"], true);
    assert_eq!(headers["fedora_messaging_user_akurtakov"], true);
    let sent_at = headers["sent-at"].as_str().unwrap();
    assert!(sent_at.ends_with("+00:00") && !sent_at.contains('.'), "{sent_at}");
    chrono::DateTime::parse_from_rfc3339(sent_at).unwrap();
}
