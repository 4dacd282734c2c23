//! The service polling.

use crate::context::Context;
use crate::driver::Outcome;
use crate::error::Result;

/// One step.
///
/// # Errors
/// When nothing could be done.
pub async fn step(_ctx: &Context) -> Result<Outcome> {
    Ok(Outcome::default())
}

/// The part of a step that looks at running builds.
///
/// # Errors
/// When nothing could be done.
pub async fn builds_step(_ctx: &Context) -> Result<Outcome> {
    Ok(Outcome::default())
}
