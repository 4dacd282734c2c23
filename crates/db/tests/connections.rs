//! Every session works in UTC and says which service it is, whatever the server, the database or the role prefer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use std::task::Poll;
use std::time::Duration;

use koschei_db::locks::SchedulerLock;
use koschei_db::{Address, DatabaseConfig, connect, testing};

#[tokio::test]
async fn every_session_is_in_utc_and_carries_the_name_of_its_service() {
    let database = testing::database().await;
    let name: String = sqlx::query_scalar("SELECT quote_ident(current_database())")
        .fetch_one(database.pool())
        .await
        .unwrap();
    for setting in [
        format!("ALTER DATABASE {name} SET timezone = 'America/New_York'"),
        format!("ALTER ROLE koschei IN DATABASE {name} SET timezone = 'Asia/Tokyo'"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(setting)).execute(database.pool()).await.unwrap();
    }

    let config = database.config().clone().with_application_name("koschei-polling");
    let pool = connect(&config).await.unwrap();
    let mut first = pool.acquire().await.unwrap();
    let mut second = pool.acquire().await.unwrap();
    for connection in [&mut first, &mut second] {
        let session: (String, String, bool) = sqlx::query_as(
            "SELECT current_setting('TimeZone'), current_setting('application_name'),
                    now()::timestamp = now() AT TIME ZONE 'UTC'",
        )
        .fetch_one(&mut **connection)
        .await
        .unwrap();
        assert_eq!(session, ("UTC".into(), "koschei-polling".into(), true));
    }
}

/// Polls a future so many times and then drops it. Whether it came to its end.
async fn dropped_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_nobody_waits_for_any_more_leaves_no_trace() {
    let database = testing::database().await;
    let mut config = database.config().clone();
    config.max_connections = 1;
    let pool = connect(&config).await.unwrap();
    for polls in 1.. {
        let ended = dropped_after(polls, koschei_db::begin(&pool)).await;
        // The only connection is given back, and what is written on it stands without a commit.
        sqlx::query("INSERT INTO admin_notice VALUES ($1, 'here')")
            .bind(polls.to_string())
            .execute(&pool)
            .await
            .unwrap();
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM admin_notice")
            .fetch_one(database.pool())
            .await
            .unwrap();
        assert_eq!(seen, polls as i64, "dropped after {polls} polls");
        if ended && polls > 5 {
            break;
        }
        assert!(polls < 1000, "it never begins");
    }
}

/// A server that takes connections and never says anything, as one whose machine has vanished behind a firewall.
fn silent_server() -> (std::net::TcpListener, DatabaseConfig) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Parts {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
        database: "koschei".into(),
        username: Some("koschei".into()),
        password: None,
    };
    let mut config = DatabaseConfig::new(address, "koschei-test");
    config.acquire_timeout = Duration::from_millis(100);
    (listener, config)
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let (_listener, config) = silent_server();
    let error = connect(&config).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("did not answer"), "{error}");
    let error = koschei_db::connect_one(&config).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let pool = koschei_db::connect_lazy(&config).unwrap();
    let error = SchedulerLock::try_acquire(&pool).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}
