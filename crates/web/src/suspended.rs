//! Why no builds are submitted: what operators have suspended or hold, on every page that it concerns.

use koschei_db::suspensions::{self, Hold, Suspension};

use crate::site::{Notice, linked};
use crate::text::Clock;

/// The notices about the shown collections.
pub(crate) async fn notices(
    pool: &koschei_db::Pool,
    shown: &[i32],
    clock: &Clock,
) -> koschei_db::Result<Vec<Notice>> {
    let suspended = suspensions::suspensions(pool).await?;
    let held = suspensions::holds(pool).await?;
    let concerns = |one: &&Suspension| one.collection_id.is_none_or(|id| shown.contains(&id));
    let suspended = suspended.iter().filter(concerns).map(|one| suspension(one, clock));
    Ok(suspended.chain(held.iter().map(|one| hold(one, clock))).collect())
}

fn suspension(one: &Suspension, clock: &Clock) -> Notice {
    let where_ = one.display_name.as_deref().map(|name| format!(" in {name}")).unwrap_or_default();
    let until = one.until.map(|until| format!(" until {}", clock.long(until))).unwrap_or_default();
    Notice {
        lead: format!("No builds are submitted{where_}{until}."),
        pieces: linked(&one.reason),
        details: Vec::new(),
    }
}

fn hold(one: &Hold, clock: &Clock) -> Notice {
    Notice {
        lead: format!(
            "No builds of the packages of group {} are submitted until {}.",
            one.group,
            clock.long(one.until)
        ),
        pieces: linked(&one.reason),
        details: Vec::new(),
    }
}
