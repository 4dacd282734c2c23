//! Serves the pages over a made-up world, for looking at them while they are changed:
//!
//!     cargo run -p koschei-web --example look -- 8080 [PREFIX]
//!
//! The database lives as long as the program. With `KOSCHEI_LOOK_URL=postgres://...` the pages show that database instead;
//! an empty one gets the schema. "Log in" makes you an administrator.
#![allow(clippy::expect_used, reason = "a tool for developers, which ends when something is wrong")]

use koschei_web::{Link, Login, State, WebConfig};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned());
    let path_prefix = arguments.next().unwrap_or_default();
    let pool = match std::env::var("KOSCHEI_LOOK_URL") {
        Ok(url) => {
            let pool = koschei_db::Pool::connect(&url).await.expect("the database can be reached");
            let tables =
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
            let tables: i64 =
                sqlx::query_scalar(tables).fetch_one(&pool).await.expect("it answers");
            if tables == 0 {
                let mut connection = pool.acquire().await.expect("it can be reached");
                koschei_db::schema::create_baseline(&mut connection).await.expect("it is empty");
                koschei_db::schema::upgrade(&mut connection, None)
                    .await
                    .expect("it can be upgraded");
            }
            pool
        }
        Err(_) => {
            let database = koschei_db::testing::database().await;
            let world = include_str!("../tests/world.sql");
            sqlx::raw_sql(world).execute(database.pool()).await.expect("the world can be made");
            database.pool().clone()
        }
    };
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
        // Whoever looks is an administrator, with everything that only those see.
        login: Login { bypass: Some("developer".to_owned()), ..Login::default() },
        ..WebConfig::default()
    };
    let listener =
        tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the port is free");
    println!("http://127.0.0.1:{port}{}/", config.path_prefix);
    let state = State { pool, config };
    koschei_web::serve(listener, state, async {
        tokio::signal::ctrl_c().await.ok();
    })
    .await
    .expect("the server runs");
}
