//! `submit-build`: a scratch build at once, whatever the priority, the limit and Koji's load.

use std::time::{Duration, Instant};

use clap::Args;
use koschei_backend::choice::{BuildTags, Buildable, Choice};
use koschei_backend::submission::{Submitted, submit};
use koschei_backend::{Context, Stop, adoption};
use koschei_db::entities::Collection;
use koschei_db::locks::SchedulerLock;
use koschei_db::scheduling::{self, Submittable};
use koschei_db::{administration, submissions};

use super::{Session, collections::known};
use crate::failure::Failure;

/// How long the scheduler, or another operator, may be in the middle of a round.
const PATIENCE: Duration = Duration::from_secs(300);

/// `submit-build NAME... [-c COLLECTION]`
#[derive(Debug, Args)]
pub(super) struct SubmitBuild {
    /// Names of packages
    #[arg(required = true, value_name = "PACKAGE")]
    names: Vec<String>,
}

impl SubmitBuild {
    pub(super) async fn run(mut self, session: &mut Session) -> Result<String, Failure> {
        let collection = match session.collection_if_named()? {
            Some(name) => Some(usable(known(session, &name).await?)?.id),
            None => None,
        };
        self.names.sort();
        self.names.dedup();
        let packages = scheduling::submittable(&mut session.connection, &self.names, collection)
            .await
            .map_err(Failure::new)?;
        let missing: Vec<String> = self
            .names
            .iter()
            .filter(|name| packages.iter().all(|package| package.name != **name))
            .cloned()
            .collect();
        if !missing.is_empty() {
            return Err(Failure::new(format_args!(
                "not known, or blocked, in {}: {}; nothing was submitted",
                match session.collections.as_slice() {
                    [one] => format!("collection {one}"),
                    _ => "every collection whose build group can be installed".to_owned(),
                },
                missing.join(", ")
            )));
        }
        let config = &session.config;
        let address = crate::database::configured(config, "koschei-admin");
        let pool = koschei_db::connect(&address).await.map_err(Failure::new)?;
        let context = Context::new(config.clone(), pool, Stop::never()).map_err(Failure::usage)?;
        let mut lock = wait_for_lock(&context).await?;
        let outcome = submit_all(session, &context, &mut lock, packages).await;
        lock.release().await;
        outcome
    }
}

fn usable(collection: Collection) -> Result<Collection, Failure> {
    match collection.latest_repo_resolved {
        Some(true) => Ok(collection),
        Some(false) => Err(Failure::new(format_args!(
            "the build group of collection {} cannot be installed, so nothing can be built in it",
            collection.name
        ))),
        None => Err(Failure::new(format_args!(
            "no repo of collection {} was resolved yet, so nothing can be built in it",
            collection.name
        ))),
    }
}

async fn wait_for_lock(context: &Context) -> Result<SchedulerLock, Failure> {
    let begun = Instant::now();
    loop {
        if let Some(lock) = SchedulerLock::try_acquire(&context.db).await.map_err(Failure::new)? {
            return Ok(lock);
        }
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(
                "the scheduler has been in the middle of a round for five minutes; nothing was submitted",
            ));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn submit_all(
    session: &mut Session,
    context: &Context,
    lock: &mut SchedulerLock,
    packages: Vec<Submittable>,
) -> Result<String, Failure> {
    // As at the beginning of the scheduler's rounds: Koji may have builds of ours that nobody knows.
    adoption::adopt(context, lock).await.map_err(Failure::new)?;
    let begun = submissions::begun(&mut session.connection).await.map_err(Failure::new)?;
    let mut koji = BuildTags::default();
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for package in packages {
        let about = format!("{} ({})", package.name, package.collection);
        lock.check().await.map_err(Failure::new)?;
        if begun.contains(&package.package_id) {
            refused.push(format!("{about}: Koji may just be getting a build of it; try again"));
            continue;
        }
        match submit_one(session, context, lock, &mut koji, &package).await {
            Ok(task_id) => {
                let message = format!(
                    "Package {} ({}): build submitted, task {task_id}",
                    package.name, package.collection
                );
                administration::note_about(
                    &mut session.connection,
                    &session.actor,
                    &message,
                    package.base_id,
                )
                .await
                .map_err(Failure::new)?;
                done.push(format!("{about}: task {task_id}"));
            }
            Err(why) => refused.push(format!("{about}: {why}")),
        }
    }
    match (done.is_empty(), refused.is_empty()) {
        (_, true) => Ok(format!("Submitted: {}", done.join(", "))),
        (true, _) => Err(Failure::new(format_args!("not submitted: {}", refused.join("; ")))),
        (false, false) => {
            println!("Submitted: {}", done.join(", "));
            Err(Failure::new(format_args!("not submitted: {}", refused.join("; "))))
        }
    }
}

/// Submits one build; its task, or why not.
async fn submit_one(
    session: &mut Session,
    context: &Context,
    lock: &SchedulerLock,
    koji: &mut BuildTags,
    package: &Submittable,
) -> Result<i32, String> {
    let (Some(version), Some(release)) = (&package.version, &package.release) else {
        return Err("no build of it is known".to_owned());
    };
    if package.is_running {
        return Err("a build of it is running".to_owned());
    }
    let collection =
        koschei_db::entities::collection(&mut session.connection, package.collection_id)
            .await
            .map_err(|error| error.to_string())?
            .ok_or("its collection was deleted")?;
    let build = Buildable {
        name: &package.name,
        version,
        release,
        arch_override: package.arch_override.as_deref(),
    };
    let choice =
        koji.choose(context, &collection, &build).await.map_err(|error| error.to_string())?;
    let arches = match choice {
        Choice::NoSrpm => return Err("Koji has no source package of it".to_owned()),
        Choice::Of { arches, .. } if arches.is_empty() => {
            return Err("it can be built on none of the allowed architectures".to_owned());
        }
        Choice::Of { arches, .. } => arches,
    };
    let submitted =
        submit(context, lock, &collection, package.package_id, &package.name, &arches).await;
    match submitted.map_err(|error| error.to_string())? {
        Submitted::Build { task_id, .. } => Ok(task_id),
        Submitted::NoSrpm => Err("Koji has no source package of it".to_owned()),
        Submitted::PackageGone => Err("it was deleted meanwhile".to_owned()),
    }
}
