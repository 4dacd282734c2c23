//! A struct for each table, and plain look-ups.
//!
//! These are for whoever needs a row as it is: administration, tests, and services between their bulk statements. What a
//! page shows, or a service does in one go for thousands of rows, has a statement of its own in another module.

mod audit;
mod build;
mod collection;
mod dependency;
mod group;
mod notice;
mod package;
mod resolution;
mod user;

pub use audit::{Environment, LogEntry, log, log_all, log_entries};
pub use build::{Build, KojiTask, build, build_by_task, builds_of, dependencies_of, tasks_of};
pub use collection::{
    Collection, CollectionGroup, NewCollection, collection, collection_by_name, collection_groups,
    collections, create_collection, set_collection_group,
};
pub use dependency::{Dependency, dependencies};
pub use group::{
    Group, GroupName, create_group, group, group_owners, group_packages, set_group_owners,
    set_group_packages,
};
pub use notice::{clear_notice, notice, set_notice};
pub use package::{BasePackage, Package, base_packages, package, packages_by_name};
pub use resolution::{ResolutionChange, resolution_changes_of};
pub use user::{User, admins, ensure_user, ensure_user_as, set_admin, user};
