//! Koji tells times twice: `*_ts` as seconds since 1970, and `*_time` as text in the zone of the hub's database.

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// A time from a member named `*_ts`: a double of seconds since 1970, kept to the microsecond as the hub has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Timestamp(pub DateTime<Utc>);

impl TryFrom<f64> for Timestamp {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Timestamp, String> {
        let microseconds = (seconds * 1e6).round();
        // Beyond 2^53 a double no longer counts microseconds; that is the year 2255.
        if !(-9.0e15..=9.0e15).contains(&microseconds) {
            return Err(format!("{seconds} is no time of this age"));
        }
        match Utc.timestamp_micros(microseconds as i64).single() {
            Some(time) => Ok(Timestamp(time)),
            None => Err(format!("{seconds} is no time of this age")),
        }
    }
}

impl From<Timestamp> for f64 {
    fn from(time: Timestamp) -> f64 {
        time.0.timestamp_micros() as f64 / 1e6
    }
}

/// A time from a member named `*_time`: `YYYY-MM-DD HH:MM:SS[.ffffff][+HH:MM]`. Without an offset (older hubs) it is taken
/// as UTC, which is what the databases of public hubs run in; `*_ts` leaves no doubt and is to be preferred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TextTime(pub DateTime<Utc>);

impl TryFrom<String> for TextTime {
    type Error = String;

    fn try_from(text: String) -> Result<TextTime, String> {
        if let Ok(time) = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f") {
            return Ok(TextTime(time.and_utc()));
        }
        match DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f%#z") {
            Ok(time) => Ok(TextTime(time.to_utc())),
            Err(_) => Err("a time that is not of the form YYYY-MM-DD HH:MM:SS".to_owned()),
        }
    }
}

impl From<TextTime> for String {
    fn from(time: TextTime) -> String {
        let fraction = if time.0.timestamp_subsec_micros() == 0 { "" } else { "%.6f" };
        time.0.format(&format!("%Y-%m-%d %H:%M:%S{fraction}+00:00")).to_string()
    }
}

/// The time told twice: the number is exact, the text stands in for it where a hub does not send it.
pub(super) fn either(ts: Option<Timestamp>, text: Option<TextTime>) -> Option<DateTime<Utc>> {
    ts.map(|time| time.0).or(text.map(|time| time.0))
}
