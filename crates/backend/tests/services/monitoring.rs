//! What monitoring asks: the numbers are what the database says, in a form that Prometheus' own reader understands.

use std::process::Command;

use fedora_messaging::testing::python;
use koschei_backend::{Service, Stopper, driver, monitoring};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::World;

/// Reads metrics as Prometheus does and prints them as JSON: name and labels, and the value.
const READ: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families as families
print(json.dumps({
    sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
    for family in families(sys.argv[1]) for sample in family.samples
}))
"#;

/// A service's own page: status and body.
async fn page(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn a_moment() {
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
}

async fn metrics(address: std::net::SocketAddr) -> Value {
    let (status, text) = page(address, "/metrics").await;
    assert_eq!(status, 200);
    let output = tokio::task::block_in_place(|| {
        Command::new(python()).args(["-c", READ, &text]).output().unwrap()
    });
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_tells_how_it_is_and_how_fresh_collections_are() {
    let world = World::settled().await;
    world.new_repo().await;
    world.settle().await;
    world.sim.hold_builds(true);
    world.submit(&["zlib"]).await;
    let (stopper, stop) = Stopper::new();
    let mut ctx = world.other(|config| config.services.repo_resolver.interval = 0.05);
    ctx.stop = stop;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn({
        let ctx = ctx.clone();
        async move { monitoring::serve_on(&ctx, "repo-resolver", listener).await }
    });
    let service = tokio::spawn({
        let ctx = ctx.clone();
        async move { driver::run(Service::RepoResolver, &ctx).await }
    });
    while ctx.vitals.now().steps_clean < 2 {
        a_moment().await;
    }

    let told = metrics(address).await;
    let repo = world.number("SELECT latest_repo_id::bigint FROM collection").await;
    let ok = "SELECT count(*) FROM package WHERE last_complete_build_state = 3 AND NOT blocked";
    let ok = world.number(ok).await;
    assert!(ok > 20);
    for (name, value) in [
        ("koschei_collection_repo_id collection=buyan2", repo),
        ("koschei_collection_repo_resolved collection=buyan2", 1),
        ("koschei_collection_waiting_packages collection=buyan2", 0),
        ("koschei_packages collection=buyan2 state=ok", ok),
        ("koschei_running_builds", 1),
        ("koschei_outbox_messages", 0),
        ("koschei_database_up", 1),
        ("koschei_in_trouble", 0),
        ("koschei_steps_total result=failed", 0),
    ] {
        assert_eq!(told[name].as_f64(), Some(value as f64), "{name} in {told:#}");
    }
    assert!(told["koschei_steps_total result=clean"].as_f64().unwrap() >= 2.0);
    assert!(told["process_resident_memory_bytes"].as_f64().unwrap() > 1e6);
    let now = chrono::Utc::now().timestamp() as f64;
    for name in ["looked", "repo_since", "repo_made"] {
        let name = format!("koschei_collection_{name}_timestamp_seconds collection=buyan2");
        let age = now - told[&name].as_f64().unwrap();
        assert!((-60.0..3600.0).contains(&age), "{name}: {age}");
    }
    let reasons = |told: &Value| -> Vec<String> {
        let all = told.as_object().unwrap().keys();
        all.filter(|name| name.starts_with("koschei_collection_stale")).cloned().collect()
    };
    assert!(reasons(&told).is_empty(), "{told:#}");
    let (status, words) = page(address, "/health").await;
    assert_eq!(status, 200);
    assert!(words.starts_with("repo-resolver: Last step at "), "{words}");

    world.sim.set_offline(Some("Server disabled for maintenance"));
    let stale = "koschei_collection_stale collection=buyan2 reason=trouble";
    while metrics(address).await[stale].is_null() {
        a_moment().await;
    }
    world.sim.set_offline(None);
    while !reasons(&metrics(address).await).is_empty() {
        a_moment().await;
    }

    stopper.stop();
    service.await.unwrap();
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_a_service_is_not_well_and_still_answers() {
    let (mut cluster, database) = koschei_db::testing::cluster().await;
    let mut few = database.clone();
    few.acquire_timeout = std::time::Duration::from_secs(1);
    let world = World::on(koschei_db::connect(&few).await.unwrap()).await;
    let (stopper, stop) = Stopper::new();
    let mut ctx = world.other(|_| ());
    ctx.stop = stop;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn({
        let ctx = ctx.clone();
        async move { monitoring::serve_on(&ctx, "scheduler", listener).await }
    });
    cluster.stop().await.unwrap();
    let service = tokio::spawn({
        let ctx = ctx.clone();
        async move { driver::run(Service::Scheduler, &ctx).await }
    });
    while ctx.vitals.now().steps_failed == 0 {
        a_moment().await;
    }
    let (status, words) = page(address, "/health").await;
    assert_eq!(status, 503);
    assert!(words.starts_with("scheduler: In trouble: "), "{words}");
    let told = metrics(address).await;
    assert_eq!(told["koschei_database_up"], 0.0);
    assert_eq!(told["koschei_in_trouble"], 1.0);

    cluster.restart().await.unwrap();
    while ctx.vitals.now().steps_clean == 0 {
        a_moment().await;
    }
    assert_eq!(page(address, "/health").await.0, 200);
    stopper.stop();
    service.await.unwrap();
    server.abort();
}
