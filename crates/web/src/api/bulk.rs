//! The list of all packages, or of all of some collections: as quickly as 100,000 of them can be written.

use std::collections::HashMap;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{Datelike, NaiveDateTime, Timelike};
use koschei_db::pages::{CollectionRow, PackageInBulk, PackagesInBulk};
use serde::Serialize;
use serde::ser::Serializer;

use crate::error::Error;
use crate::pages::state;

/// A package of `/api/v1/packages`; the order of the fields is that of the answer.
#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
    collection: &'a str,
    state: &'static str,
    last_complete_build: Option<Build<'a>>,
}

#[derive(Serialize)]
struct Build<'a> {
    task_id: i32,
    time_started: Option<Time>,
    time_finished: Option<Time>,
    epoch: Option<i32>,
    version: Option<&'a str>,
    release: Option<&'a str>,
}

/// PostgreSQL's JSON form of a timestamp without zone: `2026-11-22T03:31:00.5`, trailing zeros of the fraction trimmed.
struct Time(NaiveDateTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = self.0;
        let Ok(year @ 1000..=9999) = u32::try_from(time.year()) else {
            return serializer.collect_str(&time.format("%Y-%m-%dT%H:%M:%S"));
        };
        // The usual way of formatting is a third of the time that a list of 100,000 packages takes.
        let mut text = *b"2026-11-22T03:31:00.000000";
        let mut put = |at: usize, digits: usize, mut number: u32| {
            for digit in text.iter_mut().skip(at).take(digits).rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, time.month());
        put(8, 2, time.day());
        put(11, 2, time.hour());
        put(14, 2, time.minute());
        put(17, 2, time.second());
        put(20, 6, time.nanosecond() / 1000);
        let text = str::from_utf8(&text).unwrap_or_default();
        serializer.serialize_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl<'a> Package<'a> {
    fn new(row: &PackageInBulk<'a>, collections: &HashMap<i32, &'a str>) -> Self {
        Self {
            name: row.name,
            collection: collections.get(&row.collection_id).copied().unwrap_or_default(),
            state: state(row.blocked, row.tracked, row.resolved, row.last_complete_build_state)
                .word(),
            last_complete_build: row.last_complete_build.map(|build| Build {
                task_id: build.task_id,
                time_started: build.time_started.map(Time),
                time_finished: build.time_finished.map(Time),
                epoch: build.epoch,
                version: build.version,
                release: build.release,
            }),
        }
    }
}

/// The answer with these packages.
pub(super) fn answer(
    rows: &PackagesInBulk,
    collections: &[CollectionRow],
) -> Result<Response, Error> {
    let ids: Vec<i32> = collections.iter().map(|one| one.id).collect();
    let names: HashMap<i32, &str> =
        collections.iter().map(|one| (one.id, one.name.as_str())).collect();
    let sorted = rows.sorted(&ids)?;
    let mut body = Vec::with_capacity(sorted.len() * 230);
    let mut serializer = serde_json::Serializer::new(&mut body);
    serializer.collect_seq(sorted.iter().map(|row| Package::new(row, &names)))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_elsewhere() {
        for time in [
            "2026-11-22T03:31:00",
            "2026-11-22T03:30:00.5",
            "2026-11-22T10:00:10.120300",
            "2026-11-22T10:00:10.000001",
            "2000-10-20T10:20:30",
            "0900-01-02T03:04:00",
        ] {
            let time: NaiveDateTime = time.parse().expect("a time");
            let written = serde_json::to_string(&Time(time)).expect("text");
            assert_eq!(written, format!("\"{}\"", super::super::timestamp(time)));
        }
    }
}
