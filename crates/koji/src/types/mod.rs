//! What Koji's calls answer with, as typed structures (spec: the answers of a real hub, version 1.35).
//!
//! Members have Koji's names. An `Option` is what a hub may leave nil, or what older hubs do not send at all; members that
//! are not named here are passed over, because they grow with every version of the hub. Every structure can be written
//! back to a [`crate::xmlrpc::Value`], which is how a simulated hub answers.

mod build;
mod host;
mod repo;
mod rpm;
mod tag;
mod task;
mod time;

pub use build::{Build, BuildState, TagPackage, TaggedBuild};
pub use host::{Channel, Host, User};
pub use repo::{Repo, RepoState};
pub use rpm::{ArchHeaders, DepType, Nvra, Rpm, RpmDep, RpmIdent};
pub use tag::{
    BuildConfig, BuildTarget, ExternalRepo, GroupPackage, GroupPackageType, Tag, TagExternalRepo,
    TagGroup,
};
pub use task::{
    BuildArchResult, BuildRequest, NewRepoResult, RebuildSrpmResult, Task, TaskOutcome, TaskState,
    method,
};
pub use time::{TextTime, Timestamp};

/// The number of a task.
pub type TaskId = i64;
/// The number of a repo: one generation of a build tag's repository. It only grows.
pub type RepoId = i64;
/// The number of an event: a point in the hub's history.
pub type EventId = i64;

/// An enumeration that travels as a number.
macro_rules! numbered {
    (
        $(#[$about:meta])*
        $name:ident, $what:literal {
            $($(#[$about_variant:meta])* $variant:ident = $number:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub enum $name {
            $($(#[$about_variant])* $variant,)*
        }

        impl From<$name> for i64 {
            fn from(value: $name) -> i64 {
                match value {
                    $($name::$variant => $number,)*
                }
            }
        }

        impl TryFrom<i64> for $name {
            type Error = String;

            fn try_from(number: i64) -> Result<$name, String> {
                match number {
                    $($number => Ok($name::$variant),)*
                    _ => Err(format!(concat!("{} is no ", $what, " that this program knows"), number)),
                }
            }
        }
    };
}
pub(crate) use numbered;
