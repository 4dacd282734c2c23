//! Installs sets of RPM packages on paper: libsolv's answers, faster.
//!
//! Given a repository and a list of relations, which packages would dnf install on an empty system? That is
//! the question that decides whether a source package can be built, and with what.
//!
//! ```
//! use depsolve::{Request, Solver, Universe};
//! use rpm::md::Package;
//! use rpm::{Dep, Nevra, Relation};
//!
//! let bash = Package { nevra: Nevra::new("bash", 0, "5.2", "1", "x86_64"), ..Package::default() };
//! let make = Package {
//!     nevra: Nevra::new("make", 1, "4.4", "2", "x86_64"),
//!     requires: vec![Relation::any("bash").into()],
//!     ..Package::default()
//! };
//! let universe = Universe::from_packages([bash, make], "x86_64", []);
//! let mut solver = Solver::new(&universe);
//! let build_requires: Vec<Dep> = vec!["make >= 4".parse()?];
//! let resolution = solver.resolve(&Request {
//!     build_group: &[],
//!     build_requires: &build_requires,
//!     weak_deps: true,
//! });
//! assert!(resolution.resolved());
//! let installed: Vec<String> =
//!     resolution.installs.iter().map(|install| universe.package(install.package).to_string()).collect();
//! assert_eq!(installed, ["bash-0:5.2-1.x86_64", "make-1:4.4-2.x86_64"]);
//! assert_eq!(resolution.installs[0].distance, Some(2));
//! # Ok::<(), rpm::ParseError>(())
//! ```

mod arch;
mod arrays;
mod cache;
mod distance;
mod explain;
mod learn;
mod loader;
mod offers;
mod policy;
mod problem;
mod propagate;
mod rich;
mod solver;
mod universe;
mod weak;

pub use cache::CacheError;
pub use loader::Loader;
pub use problem::{Problem, Reason};
pub use solver::{Install, Request, Resolution, Solver};
pub use universe::{PackageId, PackageRef, Universe};
