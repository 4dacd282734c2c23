//! Whether a package can be built next, and how urgently: the same for its page and for programs.

use chrono::{DateTime, Utc};
use koschei_core::priorities;
use koschei_core::scheduling::{Pause, Reason, SchedulingFacts, SkipReason, reasons};
use koschei_db::pages::{CollectionRow, PackageRow};

use crate::site::Site;

/// Why a package is not schedulable; nothing where it is.
pub(crate) fn reasons_of(
    package: &PackageRow,
    collection: &CollectionRow,
    now: DateTime<Utc>,
) -> Vec<Reason> {
    reasons(&SchedulingFacts {
        blocked: package.blocked,
        tracked: package.tracked,
        resolved: package.resolved,
        skip_resolution: package.skip_resolution,
        last_build_id: package.last_build_id,
        last_complete_build_id: package.last_complete_build_id,
        skip_reason: package.scheduler_skip_reason.and_then(SkipReason::from_number),
        build_group_resolved: collection.latest_repo_resolved,
        pause: Pause::at(now, package.not_before, package.fault_streak),
    })
}

/// The current priority of a package that was built before.
pub(crate) fn current_priority(
    site: &Site,
    package: &PackageRow,
    collection: &CollectionRow,
    now: DateTime<Utc>,
) -> Option<f64> {
    let weights = priorities::Weights {
        static_: package.static_priority,
        manual: package.manual_priority,
        build: package.build_priority,
        dependency: package.dependency_priority,
    };
    let hours = hours_since(package.last_started?, now);
    Some(site.config.priorities.current(&weights, hours, collection.priority_coefficient))
}

/// Hours since the last build was started.
pub(crate) fn hours_since(started: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - started).num_seconds() as f64 / 3600.0
}
