//! Inserting without the checks that what is referred to exists.
//!
//! For each inserted row PostgreSQL looks up every row that it refers to, one after the other. Where a hundred thousand
//! rows refer to a few thousand others that the transaction holds anyway, this is most of the work, and says nothing new.
//! PostgreSQL lets those leave it out whom it has trusted with the parameter `session_replication_role`: superusers, and
//! from version 15 on whoever was granted it. Triggers are left out as well.

use sqlx::postgres::PgConnection;

/// Lets the rest of the transaction insert without these checks, if we may; whether we may.
pub(crate) async fn leave_out_checks(conn: &mut PgConnection) -> sqlx::Result<bool> {
    // An attempt that is refused would be an error in the server's log each time.
    let right = if conn.server_version_num().is_some_and(|version| version >= 150_000) {
        "SELECT has_parameter_privilege('session_replication_role', 'SET')"
    } else {
        "SELECT current_setting('is_superuser')::boolean"
    };
    let trusted = sqlx::query_scalar(right).fetch_one(&mut *conn).await?;
    if trusted {
        sqlx::query("SET LOCAL session_replication_role = replica").execute(conn).await?;
    }
    Ok(trusted)
}

/// Ends [`leave_out_checks`] before the transaction does.
pub(crate) async fn check_again(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SET LOCAL session_replication_role TO DEFAULT").execute(conn).await?;
    Ok(())
}
