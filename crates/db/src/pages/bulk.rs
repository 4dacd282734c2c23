//! The list of all packages for programs. It is by far the largest answer, and some programs ask for it every few minutes:
//! so it comes in the form in which PostgreSQL copies tables, and is taken apart in place.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime};
use futures_util::StreamExt as _;
use sqlx::postgres::PgConnection;

use crate::error::Error;

/// A package as the API tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageInBulk<'a> {
    /// Name.
    pub name: &'a str,
    /// Id of its collection.
    pub collection_id: i32,
    /// Blocked in Koji.
    pub blocked: bool,
    /// Tracked by Koschei.
    pub tracked: bool,
    /// Whether its dependencies can be installed.
    pub resolved: Option<bool>,
    /// State number of the last complete build.
    pub last_complete_build_state: Option<i32>,
    /// The last complete build.
    pub last_complete_build: Option<BuildInBulk<'a>>,
}

/// A build as the API tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildInBulk<'a> {
    /// Koji task.
    pub task_id: i32,
    /// Start; `None` for times that no calendar has.
    pub time_started: Option<NaiveDateTime>,
    /// End, likewise.
    pub time_finished: Option<NaiveDateTime>,
    /// Epoch.
    pub epoch: Option<i32>,
    /// Version.
    pub version: Option<&'a str>,
    /// Release.
    pub release: Option<&'a str>,
}

/// Packages as PostgreSQL sent them, in no order. A row of its own for each of 100,000 packages would take five times as
/// much memory, and most of the time.
#[derive(Debug, Default)]
pub struct PackagesInBulk {
    /// In the binary format of COPY.
    rows: Vec<u8>,
}

/// All packages, blocked and untracked ones too; of these collections only, when given. What `api_packages` gives, for
/// lists that are long.
pub async fn packages_in_bulk(
    pool: &crate::Pool,
    collections: Option<&[i32]>,
) -> crate::Result<PackagesInBulk> {
    let mut connection = pool.acquire().await?;
    // COPY takes no parameters.
    let condition = match collections {
        Some(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!("p.collection_id = ANY('{{{}}}')", ids.join(","))
        }
        None => "true".to_owned(),
    };
    // The mark of the last complete builds says no more than the package does, but there is an index of those.
    let statement = format!(
        "COPY (SELECT p.name, p.collection_id, p.blocked, p.tracked, p.resolved,
                      p.last_complete_build_state, b.task_id, b.started, b.finished, b.epoch,
                      b.version, b.release
               FROM package p
               LEFT JOIN build b ON b.id = p.last_complete_build_id AND b.last_complete
               WHERE {condition}) TO STDOUT (FORMAT binary)"
    );
    // Whoever asked may go away. A connection on which half of a COPY is still to come must not go back to the pool, so a
    // task of its own reads it to the end, or throws it away.
    let copied = tokio::spawn(async move {
        let copied = copy_out(&mut connection, statement).await;
        if copied.is_err() {
            drop(connection.detach());
        }
        copied
    });
    let rows =
        copied.await.unwrap_or_else(|error| Err(sqlx::Error::Io(std::io::Error::other(error))))?;
    Ok(PackagesInBulk { rows })
}

async fn copy_out(connection: &mut PgConnection, statement: String) -> sqlx::Result<Vec<u8>> {
    let mut rows = Vec::new();
    let mut stream = connection.copy_out_raw(&statement).await?;
    while let Some(piece) = stream.next().await {
        rows.extend_from_slice(&piece?);
    }
    Ok(rows)
}

impl PackagesInBulk {
    /// The packages, by the bytes of their names, and those of one name in the order of these collections. Packages of
    /// other collections are left out.
    ///
    /// # Errors
    /// When PostgreSQL has sent something else than packages.
    pub fn sorted(&self, collections: &[i32]) -> crate::Result<Vec<PackageInBulk<'_>>> {
        let places: HashMap<i32, usize> =
            collections.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let mut packages = Vec::with_capacity(self.rows.len() / 100);
        let mut reader = Reader { rest: &self.rows };
        reader.header()?;
        while let Some(package) = reader.package()? {
            if let Some(place) = places.get(&package.collection_id) {
                packages.push((*place, package));
            }
        }
        packages.sort_unstable_by(|(a, left), (b, right)| {
            left.name.as_bytes().cmp(right.name.as_bytes()).then(a.cmp(b))
        });
        Ok(packages.into_iter().map(|(_, package)| package).collect())
    }
}

/// Reads the binary format of COPY (PostgreSQL's manual, COPY, "Binary Format").
struct Reader<'a> {
    rest: &'a [u8],
}

/// What every file in this format begins with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> crate::Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(wrong)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> crate::Result<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| wrong())
    }

    fn header(&mut self) -> crate::Result<()> {
        if self.bytes(SIGNATURE.len())? != SIGNATURE {
            return Err(wrong());
        }
        let _flags: [u8; 4] = self.array()?;
        let extension = u32::from_be_bytes(self.array()?);
        self.bytes(usize::try_from(extension).map_err(|_| wrong())?)?;
        Ok(())
    }

    /// A column; `None` for NULL.
    fn column(&mut self) -> crate::Result<Option<&'a [u8]>> {
        match i32::from_be_bytes(self.array()?) {
            -1 => Ok(None),
            length => self.bytes(usize::try_from(length).map_err(|_| wrong())?).map(Some),
        }
    }

    fn number(&mut self) -> crate::Result<Option<i32>> {
        let Some(bytes) = self.column()? else { return Ok(None) };
        Ok(Some(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)))
    }

    fn flag(&mut self) -> crate::Result<Option<bool>> {
        Ok(self.column()?.map(|bytes| bytes != [0]))
    }

    fn text(&mut self) -> crate::Result<Option<&'a str>> {
        let Some(bytes) = self.column()? else { return Ok(None) };
        std::str::from_utf8(bytes).map(Some).map_err(|_| wrong())
    }

    /// Microseconds since 2000.
    fn time(&mut self) -> crate::Result<Option<NaiveDateTime>> {
        let Some(bytes) = self.column()? else { return Ok(None) };
        let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
        Ok(TWO_THOUSAND
            .checked_add(micros)
            .and_then(DateTime::from_timestamp_micros)
            .map(|time| time.naive_utc()))
    }

    /// The next row; `None` after the last.
    fn package(&mut self) -> crate::Result<Option<PackageInBulk<'a>>> {
        match i16::from_be_bytes(self.array()?) {
            -1 => return Ok(None),
            12 => {}
            _ => return Err(wrong()),
        }
        let mut package = PackageInBulk {
            name: self.text()?.ok_or_else(wrong)?,
            collection_id: self.number()?.ok_or_else(wrong)?,
            blocked: self.flag()?.ok_or_else(wrong)?,
            tracked: self.flag()?.ok_or_else(wrong)?,
            resolved: self.flag()?,
            last_complete_build_state: self.number()?,
            last_complete_build: None,
        };
        let task_id = self.number()?;
        let (time_started, time_finished) = (self.time()?, self.time()?);
        let (epoch, version, release) = (self.number()?, self.text()?, self.text()?);
        package.last_complete_build = task_id.map(|task_id| BuildInBulk {
            task_id,
            time_started,
            time_finished,
            epoch,
            version,
            release,
        });
        Ok(Some(package))
    }
}

/// 2000-01-01 in microseconds since 1970.
const TWO_THOUSAND: i64 = 946_684_800_000_000;

fn wrong() -> Error {
    Error::Statement(sqlx::Error::Protocol("the server sent something else than packages".into()))
}
