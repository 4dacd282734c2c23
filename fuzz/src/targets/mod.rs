//! The targets, by what they read.

mod metadata;
mod neighbours;
mod solving;
mod texts;

pub(crate) use metadata::{comps, decompress, filelists, primary, repomd};
pub(crate) use neighbours::{config, dependency_keys, xmlrpc};
pub(crate) use solving::{cache, resolve, solve};
pub(crate) use texts::{evr, relation};

/// An error is one clear sentence: it says something, on one line, and not at endless length.
fn is_clear(error: &dyn std::error::Error) {
    let text = error.to_string();
    assert!(!text.trim().is_empty(), "an error that says nothing: {error:?}");
    assert!(text.len() < 2000, "an error of {} bytes: {}…", text.len(), &text[..200]);
}
