//! The announcement that admins put on every page.

use sqlx::postgres::PgExecutor;

use crate::error::Result;

/// The only key that is used.
const KEY: &str = "global_notice";

/// The announcement, if there is one. Old installations may have HTML in it: it is text, and shown as such.
///
/// # Errors
/// When the database cannot be asked.
pub async fn notice(executor: impl PgExecutor<'_>) -> Result<Option<String>> {
    let statement = "SELECT content FROM admin_notice WHERE key = $1";
    Ok(sqlx::query_scalar(statement).bind(KEY).fetch_optional(executor).await?)
}

/// Sets the announcement.
///
/// # Errors
/// When the database cannot be changed.
pub async fn set_notice(executor: impl PgExecutor<'_>, text: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO admin_notice (key, content) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET content = excluded.content",
    )
    .bind(KEY)
    .bind(text)
    .execute(executor)
    .await?;
    Ok(())
}

/// Takes the announcement away. Gives whether there was one.
///
/// # Errors
/// When the database cannot be changed.
pub async fn clear_notice(executor: impl PgExecutor<'_>) -> Result<bool> {
    let statement = "DELETE FROM admin_notice WHERE key = $1";
    Ok(sqlx::query(statement).bind(KEY).execute(executor).await?.rows_affected() > 0)
}
