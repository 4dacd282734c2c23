//! Statements of the services about builds: new, finished, untagged, adopted.
//!
//! Rows are locked in the order build, package. The trigger on `build` and the resolver touch older builds of the same
//! package, so whoever locks one build locks all builds of its package, by ascending ids, and only then the package: two
//! that meet at a package take turns at its first build. (`tests/concurrency.rs` lets them meet.)
//!
//! * `running`: scratch builds that Koji has not finished, and how they end;
//! * `submitted`: new scratch builds, ours or adopted;
//! * `real`: builds made by packagers;
//! * `tagging`: what is untagged and tagged again.

mod real;
mod running;
mod submitted;
mod tagging;

use sqlx::postgres::PgConnection;

pub use real::{LastBuild, RealBuild, known_tasks, last_builds, register_real, skip_tasks};
pub use running::{
    Ending, LockedBuild, Progress, RunningBuild, Subtask, count_running, lock_running, note_untold,
    remember_task_without_build, running, store_progress,
};
pub use submitted::{
    AdoptionCandidate, ScratchBuild, adoption_candidates, epoch_of, insert_scratch,
    newest_scratch_start, unknown_scratch_tasks,
};
pub use tagging::{TaggedVersion, Untagged, clear_untagged, mark_untagged, packages_with_version};

use crate::error::{Error, Result};

/// Locks all builds of packages, in the order of their ids.
pub(crate) async fn lock_builds_of(conn: &mut PgConnection, package_ids: &[i32]) -> Result<()> {
    sqlx::query("SELECT FROM build WHERE package_id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(package_ids)
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
    Ok(())
}
