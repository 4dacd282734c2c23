//! People who logged in, or were named as owners of groups. Only their names are known.

use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgExecutor};

use crate::error::Result;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct User {
    /// Their id.
    pub id: i32,
    /// Their name.
    pub name: String,
    /// Whether they may do everything.
    pub admin: bool,
}

/// The user of this name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn user(executor: impl PgExecutor<'_>, name: &str) -> Result<Option<User>> {
    let statement = "SELECT id, name, admin FROM \"user\" WHERE name = $1";
    Ok(sqlx::query_as(statement).bind(name).fetch_optional(executor).await?)
}

/// The user of this name, registered if they were not.
///
/// # Errors
/// When the database cannot be changed.
pub async fn ensure_user(connection: &mut PgConnection, name: &str) -> Result<User> {
    ensure_user_as(connection, name, false).await
}

/// The user of this name, registered if they were not; `admin` says what somebody new is. Who is known stays what they are.
///
/// # Errors
/// When the database cannot be changed.
pub async fn ensure_user_as(
    connection: &mut PgConnection,
    name: &str,
    admin: bool,
) -> Result<User> {
    loop {
        if let Some(user) = user(&mut *connection, name).await? {
            return Ok(user);
        }
        // Somebody else may be registering them; then it waits for that, and finds the row at the next turn.
        sqlx::query(
            "INSERT INTO \"user\" (name, admin) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(admin)
        .execute(&mut *connection)
        .await?;
    }
}

/// Makes somebody an admin, or takes it from them.
///
/// # Errors
/// When the database cannot be changed.
pub async fn set_admin(connection: &mut PgConnection, name: &str, admin: bool) -> Result<()> {
    let user = ensure_user(connection, name).await?;
    sqlx::query("UPDATE \"user\" SET admin = $2 WHERE id = $1")
        .bind(user.id)
        .bind(admin)
        .execute(connection)
        .await?;
    Ok(())
}

/// All admins, by name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn admins(executor: impl PgExecutor<'_>) -> Result<Vec<User>> {
    let statement = "SELECT id, name, admin FROM \"user\" WHERE admin ORDER BY name COLLATE \"C\"";
    Ok(sqlx::query_as(statement).fetch_all(executor).await?)
}
