//! What the web pages read: one module per page, one or a few statements each.
//!
//! Everything here only reads. A page asks for exactly what it shows, so that its cost does not
//! grow with the database: lists come cut to one page, details of a list (reasons, groups,
//! dependency changes) come for all of its rows in one further statement, never one per row.
//!
//! All times are stored as UTC without zone and leave this module as `DateTime<Utc>`.

mod affected;
mod api;
mod build;
mod bulk;
mod causes;
mod front;
mod groups;
mod package;
mod packages;
mod site;
mod stats;

pub use affected::{Affected, DependencyInterval, affected_by};
pub use api::{
    ApiBuild, ApiDifference, ApiPackage, ApiPart, api_difference, api_packages, api_packages_part,
};
pub(crate) use build::COMPARED;
pub use build::{
    BuildRow, ChangeRow, Evr, TaskRow, applied_changes, build, tasks_of, unapplied_changes,
    unapplied_changes_of,
};
pub use bulk::{BuildInBulk, PackageInBulk, PackagesInBulk, packages_in_bulk};
pub use causes::{UnresolvedPackage, problems_of, unresolved_packages};
pub use front::{Counts, Turn, Turned, counts, counts_of, turned, turned_of, turns};
pub use groups::{
    GroupChoice, GroupPage, GroupRow, editable_groups, group, groups, groups_of, packages_of_groups,
};
pub use package::{
    BuildOutcome, CulpritCount, Deed, HistoryBuild, HistoryResolution, PackageRow, TaskTime,
    Trouble, culprit_counts, deeds, history_builds, history_resolutions, package, similar_names,
    suggested_names, task_times, trouble,
};
pub use packages::{
    Changed, Filter, GroupName, ListedPackage, MatrixCell, MatrixRow, Order, OrderKey, PackageSet,
    Scope, matrix, package_groups, package_list, package_total,
};
pub use site::{
    CollectionGroup, CollectionRow, admin_notice, buildroot_problems, collection_groups,
    collections, running_builds, snapshot, waiting_packages,
};
pub use stats::{ArchUse, Totals, resource_use, resource_use_count, totals};

use sqlx::PgExecutor;

/// SQL for that operators have stopped no builds of the package `p`: as the scheduler has it, nothing is due where its
/// collection is suspended or one of its groups is held.
const GOING: &str = "p.collection_id NOT IN (
        SELECT stopped.id FROM collection stopped
        JOIN suspension s ON s.collection_id IS NULL OR s.collection_id = stopped.id
        WHERE s.until IS NULL OR s.until > clock_timestamp() AT TIME ZONE 'UTC')
    AND p.base_id NOT IN (
        SELECT member.base_id
        FROM hold JOIN package_group_relation member ON member.group_id = hold.group_id
        WHERE hold.until > clock_timestamp() AT TIME ZONE 'UTC')";

/// Anything a query can run on: a pool, a connection, a transaction.
pub trait Database<'c>: PgExecutor<'c> {}
impl<'c, T: PgExecutor<'c>> Database<'c> for T {}
