//! Numbers for monitoring: how many packages are in which state, how much is under way.

use koschei_core::states::{BuildState, PackageFacts, PackageState};
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};

/// What monitoring wants to know of the database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// How many packages are in which state.
    pub packages: Vec<InState>,
    /// Scratch builds that run in Koji.
    pub running_builds: i64,
    /// Messages that wait to be sent.
    pub outbox: i64,
    /// How long the oldest of them has waited, in seconds.
    pub outbox_age: f64,
}

/// How many packages of a collection are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InState {
    /// The name of the collection.
    pub collection: String,
    /// The state.
    pub state: PackageState,
    /// So many.
    pub packages: i64,
}

#[derive(FromRow)]
struct Counted {
    collection: String,
    blocked: bool,
    tracked: bool,
    resolved: Option<bool>,
    last_complete_build_state: Option<i32>,
    packages: i64,
}

/// The numbers as they are now.
pub async fn now(conn: &mut PgConnection) -> Result<Figures> {
    let counted: Vec<Counted> = sqlx::query_as(
        "SELECT collection.name AS collection, blocked, tracked, resolved, last_complete_build_state,
                count(*) AS packages
           FROM package JOIN collection ON collection.id = package.collection_id
          GROUP BY collection.id, blocked, tracked, resolved, last_complete_build_state
          ORDER BY collection.id",
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let mut packages: Vec<InState> = Vec::new();
    for row in counted {
        let state = PackageState::of(PackageFacts {
            blocked: row.blocked,
            tracked: row.tracked,
            resolved: row.resolved,
            last_complete_build: row.last_complete_build_state.and_then(BuildState::from_number),
        });
        let same =
            |known: &&mut InState| known.collection == row.collection && known.state == state;
        match packages.iter_mut().find(same) {
            Some(known) => known.packages += row.packages,
            None => {
                packages.push(InState { collection: row.collection, state, packages: row.packages })
            }
        }
    }
    let (running_builds, outbox, outbox_age) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM build WHERE state = 2),
                (SELECT count(*) FROM outbox),
                (SELECT coalesce(extract(epoch FROM clock_timestamp()::timestamp - min(created)), 0)
                   FROM outbox)::float8",
    )
    .fetch_one(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(Figures { packages, running_builds, outbox, outbox_age })
}
