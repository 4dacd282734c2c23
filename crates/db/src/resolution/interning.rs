//! Packages of install sets as rows of the table `dependency`.

use std::collections::HashMap;

use rpm::Nevra;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};

/// Ids of packages in the table `dependency`, in the order asked for; unknown ones are added.
///
/// To be called outside of long transactions: two processes that add the same package wait for each other.
pub async fn intern(conn: &mut PgConnection, packages: &[&Nevra]) -> Result<Vec<i32>> {
    let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let epochs: Vec<i32> =
        packages.iter().map(|package| i32::try_from(package.epoch).unwrap_or(i32::MAX)).collect();
    let versions: Vec<&str> = packages.iter().map(|package| package.version.as_str()).collect();
    let releases: Vec<&str> = packages.iter().map(|package| package.release.as_str()).collect();
    let arches: Vec<&str> = packages.iter().map(|package| package.arch.as_str()).collect();
    for attempt in 0..2 {
        let found: Vec<(i64, i32)> = sqlx::query_as(
            "SELECT wanted.position, known.id
               FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY
                    AS wanted(name, epoch, version, release, arch, position)
               JOIN dependency AS known ON known.name = wanted.name AND known.epoch = wanted.epoch
                AND known.version = wanted.version AND known.release = wanted.release AND known.arch = wanted.arch",
        )
        .bind(&names)
        .bind(&epochs)
        .bind(&versions)
        .bind(&releases)
        .bind(&arches)
        .fetch_all(&mut *conn)
        .await
        .map_err(Error::Statement)?;
        let mut ids = vec![0; packages.len()];
        for (position, id) in found {
            if let Some(slot) = usize::try_from(position - 1).ok().and_then(|at| ids.get_mut(at)) {
                *slot = id;
            }
        }
        if !ids.contains(&0) {
            return Ok(ids);
        }
        if attempt == 0 {
            // Conflicts consume ids of the sequence, so only what is missing is inserted.
            let missing: Vec<usize> =
                (0..ids.len()).filter(|at| ids.get(*at) == Some(&0)).collect();
            fn pick<T: Copy>(from: &[T], at: &[usize]) -> Vec<T> {
                at.iter().filter_map(|at| from.get(*at).copied()).collect()
            }
            sqlx::query(
                "INSERT INTO dependency (name, epoch, version, release, arch)
                 SELECT DISTINCT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[])
                  ORDER BY 1, 2, 3, 4, 5
                 ON CONFLICT DO NOTHING",
            )
            .bind(pick(&names, &missing))
            .bind(pick(&epochs, &missing))
            .bind(pick(&versions, &missing))
            .bind(pick(&releases, &missing))
            .bind(pick(&arches, &missing))
            .execute(&mut *conn)
            .await
            .map_err(Error::Statement)?;
        }
    }
    Err(Error::Corrupt {
        what: "the table dependency".into(),
        reason: "a package that was just added cannot be found".into(),
    })
}

/// Names and architectures of packages of the table `dependency`.
pub async fn names_of(
    conn: &mut PgConnection,
    ids: &[i32],
) -> Result<HashMap<i32, (String, String)>> {
    let rows: Vec<(i32, String, String)> =
        sqlx::query_as("SELECT id, name, arch FROM dependency WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(conn)
            .await
            .map_err(Error::Statement)?;
    Ok(rows.into_iter().map(|(id, name, arch)| (id, (name, arch))).collect())
}
