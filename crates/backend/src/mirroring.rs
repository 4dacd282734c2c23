//! Secondary mode: repos of the secondary Koji are mirrored on the primary one, where scratch builds are made.
//!
//! The plugin repo_regen asks the primary Koji for the mirrors; here is what the services have to know of them.

use koji::calls;
use koji::types::TaskState;
use koschei_core::tasks::{Standing, standing};
use koschei_db::repo_mapping;

use crate::context::Context;
use crate::error::{Result, stored_id};
use crate::resolving::acquire;

/// Looks at the newRepo tasks of mappings whose primary repo is not known yet.
pub(crate) async fn refresh(ctx: &Context) -> Result<()> {
    let mut conn = acquire(ctx).await?;
    let open = repo_mapping::open(&mut conn).await?;
    drop(conn);
    if open.is_empty() {
        return Ok(());
    }
    let koji = ctx.koji_that_builds().await?;
    for mapping in open {
        let task_id = i64::from(mapping.task_id);
        let task = koji.call(calls::get_task_info(task_id)).await?;
        let failed = task.is_some_and(|task| {
            matches!(standing(task.state), Standing::Failed | Standing::Canceled)
        });
        if failed {
            let mut conn = acquire(ctx).await?;
            repo_mapping::forget(&mut conn, mapping.secondary_id).await?;
            continue;
        }
        let children = koji.call(calls::get_task_children(task_id)).await?;
        if let Some(repo_id) = children.iter().find_map(koji::types::Task::created_repo_id) {
            let repo_id = stored_id("a repo id", repo_id)?;
            let mut conn = acquire(ctx).await?;
            repo_mapping::complete(&mut conn, mapping.secondary_id, repo_id).await?;
        }
    }
    Ok(())
}

/// Whether a repo of the secondary Koji is ready on the primary one.
pub(crate) async fn is_mirrored(ctx: &Context, secondary_id: i32) -> Result<bool> {
    refresh(ctx).await?;
    let mut conn = acquire(ctx).await?;
    let mapping = repo_mapping::of_secondary(&mut conn, secondary_id).await?;
    drop(conn);
    let Some(mapping) = mapping.filter(|mapping| mapping.primary_id.is_some()) else {
        return Ok(false);
    };
    let koji = ctx.koji_that_builds().await?;
    let task = koji.call(calls::get_task_info(mapping.task_id.into())).await?;
    Ok(task.is_some_and(|task| task.state == TaskState::Closed))
}

/// The repo of the primary Koji that mirrors a repo of the secondary one.
pub(crate) async fn primary_repo(ctx: &Context, secondary_id: i32) -> Result<Option<i32>> {
    let mut conn = acquire(ctx).await?;
    let mapping = repo_mapping::of_secondary(&mut conn, secondary_id).await?;
    Ok(mapping.and_then(|mapping| mapping.primary_id))
}

/// The repo of the secondary Koji that a repo of the primary one mirrors.
pub(crate) async fn secondary_repo(ctx: &Context, primary_id: i32) -> Result<Option<i32>> {
    refresh(ctx).await?;
    let mut conn = acquire(ctx).await?;
    let mapping = repo_mapping::of_primary(&mut conn, primary_id).await?;
    Ok(mapping.map(|mapping| mapping.secondary_id))
}
