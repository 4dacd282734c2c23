//! Why packages cannot be built: by package, and by root cause, the largest first.

use axum::extract::{Path, State};
use axum::response::Response;
use koschei_db::pages as db;
use serde::Serialize;

use super::packages::find;
use super::{json, moment};
use crate::error::Error;
use crate::pages::broken;
use crate::problems::{Problem, slug};
use crate::request::Ask;
use crate::site::SharedSite;

/// What the solver says, with what is the matter in short.
#[derive(Serialize)]
struct Told<'a> {
    cause: String,
    kind: &'static str,
    problem: &'a str,
}

#[derive(Serialize)]
struct OfPackage<'a> {
    collection: &'a str,
    since: Option<String>,
    problems: Vec<Told<'a>>,
}

/// The problems of a package, in each chosen collection where it has any.
pub(super) async fn of_package(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let packages = find(&site, &selection, &name).await?;
    // Not from the list of all, which is kept for a while.
    let ids: Vec<i32> = packages.iter().map(|(_, package)| package.id).collect();
    let unresolved = db::problems_of(&site.pool, &ids).await?;
    let answer: Vec<OfPackage<'_>> = packages
        .iter()
        .filter_map(|(collection, package)| {
            let found = unresolved.iter().find(|one| one.package_id == package.id)?;
            Some(OfPackage {
                collection: &collection.name,
                since: found.since.map(moment),
                problems: found
                    .problems
                    .iter()
                    .map(|text| {
                        let cause = Problem::read(text).cause;
                        Told { cause: cause.to_string(), kind: slug(&cause), problem: text }
                    })
                    .collect(),
            })
        })
        .collect();
    json(&answer)
}

/// A root cause with the packages that wait for it.
#[derive(Serialize)]
struct OfCause<'a> {
    cause: String,
    kind: &'static str,
    since: Option<String>,
    packages: Vec<Waiting<'a>>,
}

#[derive(Serialize)]
struct Waiting<'a> {
    name: &'a str,
    collection: &'a str,
}

/// All root causes of the chosen collections.
pub(super) async fn by_cause(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let unresolved = site.unresolved(&selection.ids()).await?;
    let answer: Vec<OfCause<'_>> = broken::causes(&unresolved)
        .into_iter()
        .map(|found| OfCause {
            cause: found.cause.to_string(),
            kind: slug(&found.cause),
            since: found.began.map(moment),
            packages: found
                .packages
                .iter()
                .map(|package| Waiting {
                    name: &package.name,
                    collection: selection
                        .by_id(package.collection_id)
                        .map_or("", |one| one.name.as_str()),
                })
                .collect(),
        })
        .collect();
    json(&answer)
}
