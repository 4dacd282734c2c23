//! Installs sets of RPM packages on paper: libsolv's answers, faster.
//!
//! Given a repository and a list of relations, which packages would dnf install on an empty system? That is
//! the question that decides whether a source package can be built, and with what. Install sets are compared with each
//! other, so a valid answer is not enough: it has to be *the* answer, the one that dnf would give. libsolv
//! is the judge in the tests.
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
//! let universe = Universe::from_packages([bash, make], "x86_64", [])?;
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
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The problem
//!
//! Installing packages is a question of propositional logic. Each package is a variable: installed or not. Everything
//! that packages say about each other is a *clause*, a list of literals of which at least one must hold:
//!
//! | what | clause |
//! | --- | --- |
//! | p requires something that a, b and c provide | ¬p ∨ a ∨ b ∨ c |
//! | p conflicts with (or obsoletes, or is another version of) q | ¬p ∨ ¬q |
//! | p requires `(a if b)` | ¬p ∨ ¬b ∨ a |
//! | something is asked for that a and b provide | a ∨ b |
//!
//! A solver decides one package after the other. After each decision it draws the conclusions: where all literals
//! of a clause but one are false, that one must be true (*unit propagation*). Where all are false it has come to a dead
//! end, learns why, goes back and tries something else. This is what SAT solvers do, and what libsolv does.
//!
//! # Why this one is fast
//!
//! libsolv writes down every clause that could ever matter: on Debian 12 that is 62,000 for an average source package,
//! to install 440 packages, of which 378 are forced, 53 are recommended and some 10 are choices. Dead ends
//! hardly ever happen. So the time goes into preparing for alternatives that nobody looks at.
//!
//! Here, whatever does not depend on the question is computed once, for all questions, in the [`Universe`]: strings and
//! relations are numbers, every requirement is a number of a *provider list*, and equal lists are stored once (Debian's
//! 264,000 requirements are 50,000 lists). Packages that can never be installed are found at that time, too.
//! The [`Solver`] never writes clauses down. It keeps counters for lists (members installed, members excluded,
//! requirers installed), which are raised when a package is decided and lowered when that is taken back; so
//! a question costs what it touches, and asking needs no memory that was not there before (but for rich requests, and
//! where packages obsolete each other or lack their better half).
//! What an installation touches lies together in one record for each package, and what follows from a build group that many
//! questions have in common is decided once; without weak dependencies also what a question has in common with the one
//! before. `docs/performance.md` tells what that comes to, beside libsolv and others.
//!
//! # An example, and the order of decisions
//!
//! Several answers are possible as a rule, and which one it is depends on the order in which decisions are made. The
//! order is libsolv's; it is part of the specification. Take this repository, and `app` and `mta` being asked for:
//!
//! ```text
//! app      requires lib, recommends spell
//! lib-1    lib-2
//! exim     provides mta
//! postfix  provides mta
//! spell    requires dictionary
//! de-dict  provides dictionary
//! en-dict  provides dictionary
//! ```
//!
//! 1. *What has no alternative*: `app`. Its requirement `lib` has two candidates and stays open. Everything so far
//!    is level 1: it follows from the question alone.
//! 2. *What was asked for*, in the order of the request: `mta`. The candidates go through the policy: best
//!    architecture; best version of each name; no obsoleted ones; recommended ones, if any are. Two are
//!    left, and the alphabet decides for `exim`. That `postfix` would have done as well is remembered.
//! 3. *Open requirements*, by package in falling order of the repository and then by list, round and round. A first
//!    pass decides those which policy reduces to one candidate: `lib-2` for `app`. A second pass takes the rest.
//! 4. *Weak dependencies*: what supplements something installed, then what is recommended, in the order in which
//!    the recommenders were installed: `spell`. Back to 3, for the requirements of what is new: `de-dict`.
//! 5. *Minimisation*: had `postfix` come in by another way in the meantime, then `exim` would be superfluous. The
//!    earliest such decision is taken back and decided the other way, and everything after it is done again.
//!
//! Requirements come before weak dependencies, so that what is only nice to have does not decide what must be. Forced
//! things come before choices, so that choices see as much as possible. The rest is convention; it could be otherwise,
//! but dnf does it so.
//!
//! # Why there is no answer
//!
//! Let `de-dict` and `en-dict` require `words`, which nothing provides, and `spell` be asked for. That neither dictionary
//! can ever be installed is known from the start, so `spell`, which has to be, fails at level 1, where nothing was
//! chosen: no decision is to blame, only what was asked for and what packages say. The reasons of everything on
//! level 1 lead back from the clause that fails to the request. They are a proof that it cannot be done, and told in the
//! words of dnf they are the explanation:
//!
//! ```text
//! Problem: conflicting requests
//!  - package spell-1-1.x86_64 requires dictionary, but none of the providers can be installed
//!  - nothing provides words needed by de-dict-1-1.noarch
//!  - nothing provides words needed by en-dict-1-1.noarch
//! ```
//!
//! Each line is a [`Link`]: the request has the candidate `spell`, which is ruled out by the second line, whose candidates
//! are the dictionaries, each ruled out by a line of its own. A proof may go a long way round; so every link is
//! left out on trial, and only those are told without which it could be done. Here that is all: without the last line,
//! `en-dict` would do. At the bottom of it is that nothing provides `words`. That is the [`Cause`], which this
//! problem shares with everything else that needs a dictionary, and by which [`group_by_cause`] puts them together.
//!
//! # Where to read on
//!
//! | module | what |
//! | --- | --- |
//! | `loader` and below | from metadata to the universe: everything that can be known beforehand |
//! | `offers` | who provides what; matching of versions |
//! | `rich` | rich dependencies as clauses |
//! | `universe`, `arrays`, `walk`, `cache` | the arrays that it all is, in memory and on disk |
//! | `solver` | the main loop and the order of decisions |
//! | `jobs` | what is asked for, as clauses; the build group, prepared once |
//! | `shared` | what a request has in common with the last one, kept where it makes no difference |
//! | `choices` | open requirements, and in which order they are decided |
//! | `branches` | minimisation |
//! | `orphans`, `hopes` | packages of an inferior architecture without a better half |
//! | `propagate` | conclusions, and taking them back |
//! | `exclude`, `watch` | conclusions from exclusions, in libsolv's order, which decides what is learnt |
//! | `policy` | which of several candidates |
//! | `weak` | weak dependencies |
//! | `learn` | dead ends |
//! | `explain`, `problem`, `cause` | why there is no answer |
//! | `distance` | how far each package is from what was asked for |
//!
//! `tests/tour.rs` shows what each kind of relation means; `tests/golden.rs` compares with libsolv's answers for
//! thousands of real packages, `tests/differential.rs` with libsolv itself on random repositories; `tests/explain.rs` shows
//! that what explanations say is true, is enough, and is not too much.
//!
//! # Where the answer is not libsolv's
//!
//! In two cases libsolv is wrong and is not followed. It gives no rules to packages that a request, or a weak
//! dependency, can lead to only through a condition (`(a if b else c)` can lead to b), and installs them
//! with broken requirements. And it looks for a path within a rich request among provides only, but for a path
//! that stands alone among files, too. `tests/excuses` says so for each difference, and proves it: a change of the
//! repository that means nothing makes libsolv answer as we do.
//!
//! Where nobody could tell what is right it is not followed to the last detail, either: in what a version means that says
//! less than its form promises (`1-` and `rel=""`, a release within `ver`), in rich dependencies among Provides and Obsoletes, in
//! how a rich recommendation that rpm itself meets (`(rpmlib(Foo) <= 1 or a)`) makes a preferable, and
//! in which of several contradictions is noticed first where one requirement has more than 32 candidates, or more than 128
//! requirements fail at once.
//!
//! One thing that libsolv can do is left out on purpose: its flag `URPM_REORDER`, which prefers kernels' and locales'
//! packages that go with installed ones. dnf's library sets it only when it is built for Mageia; it was off where
//! the answers were recorded that we are held to, and is off in Fedora and RHEL.

mod arch;
mod arrays;
mod branches;
mod cache;
mod cause;
mod choices;
mod distance;
mod exclude;
mod explain;
mod hopes;
mod jobs;
mod learn;
mod loader;
mod offers;
mod orphans;
mod policy;
mod problem;
mod propagate;
mod rich;
mod shared;
mod solver;
mod universe;
mod walk;
mod watch;
mod weak;

pub use arch::ARCHITECTURES;
pub use cache::CacheError;
#[doc(hidden)]
pub use cache::sealed_cache;
pub use cause::{Cause, Group, group_by_cause};
pub use loader::{LeftOut, LoadError, Loader};
pub use problem::{Candidate, Conflict, Extent, GaveUp, Link, Problem, Statement};
pub use solver::{Install, Limits, Request, Resolution, Solver};
pub use universe::{PackageId, PackageRef, Universe};
