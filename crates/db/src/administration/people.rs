//! Who may do everything in the web interface.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::{Actor, Result, log};
use crate::entities;

/// Makes somebody an admin, or takes it from them. Whether that is different from before.
///
/// # Errors
/// When the database cannot be asked.
pub async fn set_admin(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &str,
    admin: bool,
) -> Result<bool> {
    let mut transaction = conn.begin().await?;
    let is_one =
        entities::user(&mut *transaction, name).await?.is_some_and(|somebody| somebody.admin);
    if is_one == admin {
        return Ok(false);
    }
    entities::set_admin(&mut transaction, name, admin).await?;
    let what = if admin { "is an admin now" } else { "is no admin any more" };
    log(&mut transaction, actor, &format!("User {name} {what}")).await?;
    transaction.commit().await?;
    Ok(true)
}
