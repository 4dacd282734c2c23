//! Serves the pages over a made-up world, for looking at them while they are changed:
//!
//!     cargo run -p koschei-web --example look -- 8080 [PREFIX]
//!
//! The database lives as long as the program.
#![allow(clippy::expect_used, reason = "a tool for developers, which ends when something is wrong")]

use koschei_web::{Link, State, WebConfig};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned());
    let path_prefix = arguments.next().unwrap_or_default();
    let database = koschei_db::testing::database().await;
    let world = include_str!("../tests/world.sql");
    sqlx::raw_sql(world).execute(database.pool()).await.expect("the world can be made");
    let link = |name: &str, url: &str| Link { name: name.to_owned(), url: url.to_owned() };
    let config = WebConfig {
        path_prefix,
        links: vec![
            link("Dist-git", "https://src.fedoraproject.org/rpms/{package.name}.git"),
            link(
                "Bugzilla",
                "https://bugzilla.redhat.com/buglist.cgi?product={package.collection.bugzilla_product}&component={package.name}",
            ),
        ],
        ..WebConfig::default()
    };
    let listener =
        tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the port is free");
    println!("http://127.0.0.1:{port}{}/", config.path_prefix);
    let state = State { pool: database.pool().clone(), config };
    koschei_web::serve(listener, state, async {
        tokio::signal::ctrl_c().await.ok();
    })
    .await
    .expect("the server runs");
}
