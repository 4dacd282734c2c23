//! The service polling: finds everything new in Koji, in the order of spec/services.md: running scratch builds, package
//! lists, real builds, statistics. Messages make it faster; nothing depends on them.

use koji::calls;
use koschei_db::clocks;
use koschei_db::entities::{self, Collection};
use koschei_db::locks::SchedulerLock;
use koschei_db::packages::{self, PackageListChanges};
use koschei_db::statistics;
use tracing::{Instrument, info, info_span};

use crate::context::{Context, primary_first};
use crate::driver::Outcome;
use crate::error::Result;
use crate::resolving::{acquire, begin, commit};
use crate::{adoption, finishing, real_builds};

/// One step: everything.
///
/// # Errors
/// When the database is away. What goes wrong with one collection is part of the outcome.
pub async fn step(ctx: &Context) -> Result<Outcome> {
    let mut outcome = builds_step(ctx).await?;
    let mut conn = acquire(ctx).await?;
    let collections = primary_first(entities::collections(&mut *conn).await?);
    drop(conn);
    for collection in &collections {
        let span = info_span!("of", collection = collection.name);
        let result = packages(ctx, collection).instrument(span).await;
        outcome.take(&collection.name, result)?;
    }
    for collection in &collections {
        if ctx.stop.is_requested() {
            return Ok(outcome);
        }
        let span = info_span!("of", collection = collection.name);
        let result = real_builds::follow_tag(ctx, collection, None).instrument(span).await;
        outcome.take(&collection.name, result)?;
    }
    let mut transaction = begin(ctx).await?;
    statistics::refresh(&mut transaction).await?;
    commit(transaction).await?;
    Ok(outcome)
}

/// The part of a step that looks at our own builds: lost ones are adopted, running ones followed.
///
/// # Errors
/// When the database is away.
pub async fn builds_step(ctx: &Context) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut transaction = begin(ctx).await?;
    let shortened = clocks::shorten_waits(&mut transaction).await?;
    commit(transaction).await?;
    if shortened > 0 {
        info!("{shortened} waits begin anew, because the clock was put back");
    }
    // While the scheduler is at work it looks after its submissions itself.
    if let Some(lock) = SchedulerLock::try_acquire(&ctx.db).await? {
        let result = adoption::adopt(ctx, &lock).await;
        lock.release().await;
        outcome.take("adoption of builds", result)?;
    }
    outcome.take("running builds", finishing::update_all(ctx).await)?;
    Ok(outcome)
}

/// Brings a collection's packages in line with Koji's list. Returns how many are new, blocked, or blocked no longer.
///
/// # Errors
/// When Koji or the database is away, or Koji does not know the tag.
pub async fn packages(ctx: &Context, collection: &Collection) -> Result<usize> {
    let koji = ctx.koji_of(collection.secondary_mode).await?;
    let listed = koji.call(calls::list_packages(&collection.dest_tag, true)).await?;
    let (names, blocked): (Vec<String>, Vec<bool>) =
        listed.into_iter().map(|package| (package.package_name, package.blocked)).unzip();
    let mut transaction = begin(ctx).await?;
    let changes = packages::refresh_list(&mut transaction, collection.id, &names, &blocked).await?;
    commit(transaction).await?;
    let PackageListChanges { added, blocked, unblocked } = changes;
    for (what, names) in
        [("are new", &added), ("are blocked now", &blocked), ("are blocked no longer", &unblocked)]
    {
        if !names.is_empty() {
            info!("{} packages {what}: {}", names.len(), shorten(names));
        }
    }
    Ok(added.len() + blocked.len() + unblocked.len())
}

/// The first names of a list.
fn shorten(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}
