//! A Koji hub and builders in miniature, for demonstrations and tests.
//!
//! [`Sim::start`] gives a running hub: XML-RPC at `/kojihub` as the real one speaks it, repositories and logs at
//! `/kojifiles`, a page for each task and build at `/koji`. Behind it is a small distribution ([`World`]) with packagers
//! who push updates, builders whose results follow from what is in the buildroot, and repositories that are really
//! there as rpm-md. Its state is durable: after `kill -9` it goes on.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let sim = kojisim::Sim::start(kojisim::Options::for_tests("/tmp/sim")).await?;
//! let task = sim.push(&kojisim::Push::of("libyaml").version("0.2.6").breaking("python-pyyaml", "error: …"));
//! sim.wait_for_task(task.ok_or("no such package")?).await;
//! println!("koji -s {} list-tagged --latest buyan2 libyaml", sim.url());
//! # Ok(())
//! # }
//! ```

mod builders;
mod building;
mod buildroot;
mod content;
mod control;
mod crowds;
mod engine;
mod history;
mod hub;
mod imported;
mod life;
mod logs;
mod pages;
mod repo_tasks;
mod repos;
mod rows;
mod server;
mod sim;
mod store;
mod weather;
mod wire;
mod world;

pub use control::{Ending, Push};
pub use engine::News;
pub use sim::{Clock, KOSCHEI_USER, Options, Script, Sim, StartError, run};
pub use store::StoreError;
pub use weather::Mishap;
pub use world::{Life, World, WorldError};

/// The version of Koji whose hub this one imitates.
pub const KOJI_VERSION: &str = "1.35.3";
