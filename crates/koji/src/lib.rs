//! Client of Koji, the build system: XML-RPC, sessions, typed calls.
//!
//! Useful without knowing Koschei. [`xmlrpc`] is the wire format in both directions (a client and a hub need the same
//! one), [`types`] is what calls answer with, [`calls`] has one function per call of a hub, and a [`Client`] sends them.
//!
//! ```no_run
//! use koji::{Client, ClientConfig, calls};
//!
//! # async fn example() -> Result<(), koji::Error> {
//! let client = Client::new(ClientConfig::anonymous("https://koji.example.org/kojihub"));
//! let target = client.call(calls::get_build_target("f40")).await?;
//!
//! let mut tasks = client.multicall([1, 2, 3].map(calls::get_task_info));
//! while let Some(chunk) = tasks.next_chunk().await {
//!     for task in chunk? {
//!         println!("{:?}", task?);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod arch;
pub mod calls;
mod client;
mod config;
mod error;
pub mod types;
pub mod xmlrpc;

pub use calls::Call;
pub use client::{Client, Multicall};
pub use config::{ClientConfig, Login, Secret, SessionOptions};
pub use error::{Error, FaultKind};
