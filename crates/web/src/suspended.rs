//! Why no builds are submitted: what operators have suspended or hold, on every page that it concerns, and in the words
//! of the package that waits.

use koschei_db::suspensions::{self, Hold, Suspension};

use crate::site::{Notice, linked};
use crate::text::Clock;

/// The notices about the shown collections.
///
/// With `all_holds`, those about groups as well; on the page of a package only those of its groups concern anybody.
pub(crate) async fn notices(
    pool: &koschei_db::Pool,
    shown: &[i32],
    all_holds: bool,
    clock: &Clock,
) -> koschei_db::Result<Vec<Notice>> {
    let suspended = suspensions::suspensions(pool).await?;
    let held = if all_holds { suspensions::holds(pool).await? } else { Vec::new() };
    let concerns = |one: &&Suspension| one.collection_id.is_none_or(|id| shown.contains(&id));
    let suspended = suspended.iter().filter(concerns).map(|one| suspension(one, clock));
    Ok(suspended.chain(held.iter().map(|one| hold(one, clock))).collect())
}

/// What keeps builds of one package from being submitted.
#[derive(Debug)]
pub(crate) struct Stopped {
    suspensions: Vec<Suspension>,
    holds: Vec<Hold>,
}

/// What is suspended, and what is held of the groups of a package.
pub(crate) async fn of_package(
    pool: &koschei_db::Pool,
    base_id: i32,
) -> koschei_db::Result<Stopped> {
    let (suspensions, holds) =
        tokio::try_join!(suspensions::suspensions(pool), suspensions::holds_of(pool, base_id))?;
    Ok(Stopped { suspensions, holds })
}

impl Stopped {
    /// The lines about its groups, for the top of the page.
    pub(crate) fn holds(&self, clock: &Clock) -> Vec<Notice> {
        self.holds.iter().map(|one| hold(one, clock)).collect()
    }

    /// Why no builds of it are submitted in a collection, as parts of a sentence.
    pub(crate) fn sentences(&self, collection_id: i32, clock: &Clock) -> Vec<String> {
        let until = |until| format!(" until {}", clock.long(until));
        let suspended = self
            .suspensions
            .iter()
            .filter(|one| one.collection_id.is_none_or(|id| id == collection_id))
            .map(|one| {
                let place = match &one.display_name {
                    Some(name) => format!("in {name}"),
                    None => "at all".to_owned(),
                };
                let until = one.until.map(until).unwrap_or_default();
                with_reason(format!("no builds are submitted {place}{until}"), &one.reason)
            });
        let held = self.holds.iter().map(|one| {
            let start = format!("packages of the group {} are held{}", one.group, until(one.until));
            with_reason(start, &one.reason)
        });
        suspended.chain(held).collect()
    }
}

fn with_reason(sentence: String, reason: &str) -> String {
    match reason.trim().trim_end_matches('.') {
        "" => sentence,
        reason => format!("{sentence} ({reason})"),
    }
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
