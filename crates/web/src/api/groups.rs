//! Groups of packages, as their pages show them.

use axum::extract::{Path, State};
use axum::response::Response;
use koschei_db::entities;
use koschei_db::pages as db;
use serde::Serialize;

use super::json;
use crate::error::Error;
use crate::pages::groups::Named;
use crate::site::SharedSite;

/// A group in the list.
#[derive(Serialize)]
struct Listed<'a> {
    namespace: Option<&'a str>,
    name: &'a str,
    package_count: i64,
}

/// The global groups; those of people have addresses of their own.
pub(super) async fn list(State(site): State<SharedSite>) -> Result<Response, Error> {
    let groups = db::groups(&site.pool).await?;
    let listed: Vec<Listed<'_>> = groups
        .iter()
        .map(|group| Listed {
            namespace: group.namespace.as_deref(),
            name: &group.name,
            package_count: group.packages,
        })
        .collect();
    json(&listed)
}

#[derive(Serialize)]
struct Group<'a> {
    namespace: Option<&'a str>,
    name: &'a str,
    owners: &'a [String],
    packages: &'a [String],
}

/// A group.
pub(super) async fn one(
    State(site): State<SharedSite>,
    Path(named): Path<Named>,
) -> Result<Response, Error> {
    let group = named.find(&site).await?;
    let packages = entities::group_packages(&site.pool, group.id).await?;
    json(&Group {
        namespace: group.namespace.as_deref(),
        name: &group.name,
        owners: &group.owners,
        packages: &packages,
    })
}
