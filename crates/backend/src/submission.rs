//! Sends one scratch build to Koji and records it. Used by the scheduler and by `koschei-admin submit-build`.
//!
//! Koji's answer and our commit cannot be one: when the process dies between the two, or the answer is lost, Koji has a
//! build that the database does not know. An entry in the table `submission` tells every process that this may have
//! happened; the build is found by [`crate::adoption`], which runs before the next submission.

use chrono::Utc;
use koji::calls::{self, ListTagged};
use koji::types::{BuildRequest, Rpm, TaggedBuild};
use koji::xmlrpc::{Struct, Value};
use koschei_core::architectures::koji_arch_override;
use koschei_core::config::FreeForm;
use koschei_core::sources::build_source;
use koschei_db::builds::{self, ScratchBuild};
use koschei_db::entities::Collection;
use koschei_db::locks::SchedulerLock;
use koschei_db::submissions;
use tracing::{info, warn};

use crate::context::Context;
use crate::error::{Error, Result, stored_id};
use crate::mirroring;
use crate::resolving::{acquire, begin, commit};

/// What came of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// Koji has the build, and so has the database.
    Build {
        /// Its id in the database.
        build_id: i32,
        /// Its task in Koji.
        task_id: i32,
    },
    /// Koji has no source package of it in the destination tag.
    NoSrpm,
    /// The package was deleted meanwhile; the build was cancelled, or not even asked for.
    PackageGone,
}

/// Submits a scratch build of the latest build in the collection's destination tag, for these architectures, and
/// records it. The lock shows that nobody else submits.
///
/// # Errors
/// When Koji or the database is away or refuses. If Koji may have taken the build, it will be adopted.
pub async fn submit(
    ctx: &Context,
    _lock: &SchedulerLock,
    collection: &Collection,
    package_id: i32,
    name: &str,
    arches: &[String],
) -> Result<Submitted> {
    let Some((tagged, srpm)) = latest_srpm(ctx, collection, name).await? else {
        return Ok(Submitted::NoSrpm);
    };
    let (request, repo_id) = request(ctx, collection, &tagged, arches).await?;
    let priority = ctx.config.koji_config.task_priority;
    // Before anything is written down: a Koji that does not answer is not even asked.
    let koji = ctx.koji_that_builds().await?;
    // From here to the commit a crash leaves a build that nobody knows; the entry tells whoever is next to look for it.
    let mut conn = acquire(ctx).await?;
    if !submissions::begin(&mut conn, package_id).await? {
        return Ok(Submitted::PackageGone);
    }
    drop(conn);
    ctx.require_adoption();
    let task_id = match koji.call(calls::build(&request, Some(priority))).await {
        Ok(task_id) => stored_id("a task id", task_id)?,
        Err(error) => {
            if !error.may_have_taken_effect() {
                ctx.adoption_done();
                let mut conn = acquire(ctx).await?;
                submissions::end(&mut conn, package_id).await?;
            } else {
                // Koji may have kept us waiting for long: until it does what it took counts from now.
                let mut conn = acquire(ctx).await?;
                submissions::begin(&mut conn, package_id).await?;
            }
            return Err(error.into());
        }
    };
    let mut transaction = begin(ctx).await?;
    let build = ScratchBuild {
        package_id,
        task_id,
        started: Utc::now(),
        epoch: srpm.epoch.map(|epoch| stored_id("an epoch", epoch)).transpose()?,
        version: srpm.version,
        release: srpm.release,
        repo_id,
    };
    let inserted = builds::insert_scratch(&mut transaction, &build).await?;
    if inserted.is_none() {
        let why = "its package was deleted while it was submitted";
        builds::remember_task_without_build(&mut transaction, task_id, why).await?;
    }
    commit(transaction).await?;
    ctx.adoption_done();
    let Some(build_id) = inserted else {
        if let Err(error) = koji.call(calls::cancel_task(task_id.into())).await {
            warn!(task = task_id, "the build of a deleted package cannot be cancelled: {error}");
        }
        return Ok(Submitted::PackageGone);
    };
    info!(
        package = name,
        collection = collection.name,
        build = build_id,
        task = task_id,
        "a scratch build of {} is submitted",
        tagged.nvr
    );
    Ok(Submitted::Build { build_id, task_id })
}

/// The latest build of a package in the collection's destination tag, with its source package.
async fn latest_srpm(
    ctx: &Context,
    collection: &Collection,
    name: &str,
) -> Result<Option<(TaggedBuild, Rpm)>> {
    let koji = ctx.koji_of(collection.secondary_mode).await?;
    let what =
        ListTagged { latest: true, inherit: true, package: Some(name), ..ListTagged::default() };
    let latest = koji.call(calls::list_tagged(&collection.dest_tag, what)).await?;
    let Some(tagged) = latest.into_iter().next() else { return Ok(None) };
    let sources = koji.call(calls::list_rpms(tagged.build_id, "src")).await?;
    Ok(sources.into_iter().next().map(|srpm| (tagged, srpm)))
}

/// What to ask Koji for, and the repo of the collection that it will be built in, if that is decided now.
async fn request(
    ctx: &Context,
    collection: &Collection,
    tagged: &TaggedBuild,
    arches: &[String],
) -> Result<(BuildRequest, Option<i32>)> {
    let root = &ctx.koji_config_of(collection.secondary_mode).srpm_relative_path_root;
    let mut options = options_of(&ctx.config.koji_config.build_opts)?;
    if let Some(arch_override) = koji_arch_override(arches) {
        options.insert("arch_override", arch_override);
    }
    options.insert("scratch", true);
    let (mut target, mut repo_id) = (Some(collection.target.clone()), None);
    if ctx.config.koji_config.build_from_repo_id {
        let latest = collection.latest_repo_id.ok_or_else(|| {
            Error::Collection(format!("no repo of collection {} is known yet", collection.name))
        })?;
        let wanted = if collection.secondary_mode {
            mirroring::primary_repo(ctx, latest).await?.ok_or_else(|| {
                Error::Collection(format!("repo {latest} is not mirrored on the primary Koji"))
            })?
        } else {
            latest
        };
        options.insert("repo_id", i64::from(wanted));
        target = None;
        repo_id = Some(latest);
    }
    let source = build_source(root, &tagged.srpm_path());
    Ok((BuildRequest { source, target, options }, repo_id))
}

/// The configured options of builds as Koji wants them.
fn options_of(build_opts: &FreeForm) -> Result<Struct> {
    build_opts
        .as_map()
        .iter()
        .map(|(key, value)| Ok((key.clone(), value_of(key, value)?)))
        .collect()
}

fn value_of(key: &str, value: &serde_json::Value) -> Result<Value> {
    use serde_json::Value as Json;
    let unfit = || {
        Error::Configuration(format!(
            "koji_config.build_opts.{key} holds a number that Koji cannot take"
        ))
    };
    Ok(match value {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => return Err(unfit()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => {
            Value::from(items.iter().map(|item| value_of(key, item)).collect::<Result<Vec<_>>>()?)
        }
        Json::Object(members) => Value::Struct(
            members
                .iter()
                .map(|(name, member)| Ok((name.clone(), value_of(key, member)?)))
                .collect::<Result<Struct>>()?,
        ),
    })
}
