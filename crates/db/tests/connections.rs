//! Every session works in UTC and says which service it is, whatever the server, the database or the role prefer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use koschei_db::{connect, testing};

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
