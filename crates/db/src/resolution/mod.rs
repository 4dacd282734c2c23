//! Statements of the resolvers: what to resolve, and what came out of it.
//!
//! Install sets are kept as packed lists of ids of the table `dependency` ([`crate::dependency_keys`]); rows of that
//! table are shared by everybody and never change, so they are inserted outside of the big transactions.
//!
//! * `interning`: packages of install sets as rows of that table;
//! * `requires`: BuildRequires, kept for both resolvers;
//! * `repos`: the newest repo of a collection;
//! * `packages`: packages in the newest repo;
//! * `builds`: builds in the repo that they were made in.

mod builds;
mod interning;
mod packages;
mod repos;
mod requires;

pub use builds::{BuildResolution, BuildToResolve, Installed, builds_to_resolve, store_builds};
pub(crate) use builds::{compare_again, drop_earlier_sets};
pub use interning::{intern, names_of};
pub use packages::{
    PackageResolution, PackageToResolve, Stored, packages_to_resolve, store_packages,
};
pub use repos::{CollectionChange, set_latest_repo};
pub use requires::{
    Origin, Untold, build_requires, forget_untold, keep_build_requires, note_untold, untold,
};
