//! `suspend`, `resume`, `hold`, `release`: when the scheduler is to keep still.

use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use clap::Args;
use koschei_db::administration;
use koschei_db::locks::SchedulerLock;
use koschei_db::suspensions::{Hold, Suspension};

use super::{Session, groups::group_name};
use crate::failure::Failure;

/// How long a round of the scheduler is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// `suspend [--collection C] [--until TIME] --reason TEXT`
#[derive(Debug, Args)]
pub(super) struct Suspend {
    /// Until when, in UTC: 2026-11-23 06:00, or from now on: 90m, 12h, 3d [default: until resume]
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<DateTime<Utc>>,
    /// Why: shown to everybody
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Suspend {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let reason = self.reason.trim();
        if reason.is_empty() {
            return Err(Failure::usage("the reason is empty; people will wonder"));
        }
        let collection = session.collection_if_named()?;
        administration::suspend(
            &mut session.connection,
            &session.actor,
            collection.as_deref(),
            self.until,
            reason,
        )
        .await
        .map_err(Failure::new)?;
        let where_ =
            collection.map_or_else(|| "everywhere".to_owned(), |name| format!("in {name}"));
        let until = match self.until {
            Some(until) => format!("until {}", minute(until)),
            None => "until koschei-admin resume".to_owned(),
        };
        let done = format!("Submitting builds is suspended {where_} {until}; running builds go on");
        // The round that the scheduler may be in the middle of began before.
        let address = crate::database::configured(&session.config, "koschei-admin");
        let pool = koschei_db::connect(&address).await.map_err(Failure::new)?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(lock) = SchedulerLock::try_acquire(&pool).await.map_err(Failure::new)? {
                lock.release().await;
                return Ok(done);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(format!("{done}. The scheduler is still in the middle of a round that began before"))
    }
}

/// `resume [--collection C]`
pub(super) async fn resume(session: &mut Session) -> Result<String, Failure> {
    let collection = session.collection_if_named()?;
    let was_suspended =
        administration::resume(&mut session.connection, &session.actor, collection.as_deref())
            .await
            .map_err(Failure::new)?;
    let still = koschei_db::suspensions::suspensions(&mut session.connection)
        .await
        .map_err(Failure::new)?;
    let everywhere = if still.iter().any(|one| one.collection_id.is_none()) {
        "; it is suspended everywhere, see koschei-admin status"
    } else {
        ""
    };
    Ok(match (collection, was_suspended) {
        (None, true) => "Builds are submitted again".to_owned(),
        (None, false) => "Nothing to do: submitting builds is not suspended".to_owned(),
        (Some(name), true) => format!("Builds are submitted again in {name}{everywhere}"),
        (Some(name), false) => {
            format!(
                "Nothing to do: submitting builds is not suspended for {name} by itself{everywhere}"
            )
        }
    })
}

/// `hold GROUP --until TIME [--reason TEXT]`
#[derive(Debug, Args)]
pub(super) struct HoldGroup {
    /// Name of the group
    #[arg(value_name = "[NAMESPACE/]GROUP")]
    group: String,
    /// Until when, in UTC: 2026-11-23 06:00, or from now on: 90m, 12h, 3d
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: DateTime<Utc>,
    /// Why: shown to everybody
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl HoldGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let group = group_name(&self.group)?;
        administration::hold(
            &mut session.connection,
            &session.actor,
            &group,
            self.until,
            self.reason.trim(),
        )
        .await
        .map_err(Failure::new)?;
        Ok(format!(
            "No builds of the packages of {group} are submitted until {}",
            minute(self.until)
        ))
    }
}

/// `release GROUP`
#[derive(Debug, Args)]
pub(super) struct Release {
    /// Name of the group
    #[arg(value_name = "[NAMESPACE/]GROUP")]
    group: String,
}

impl Release {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let group = group_name(&self.group)?;
        let were_held = administration::release(&mut session.connection, &session.actor, &group)
            .await
            .map_err(Failure::new)?;
        Ok(if were_held {
            format!("Builds of the packages of {group} are submitted again")
        } else {
            format!("Nothing to do: the packages of {group} are not held")
        })
    }
}

/// What `status` says of all that.
pub(super) fn describe(suspensions: &[Suspension], holds: &[Hold]) -> Vec<String> {
    let mut lines = Vec::new();
    for one in suspensions {
        let where_ =
            one.collection.as_deref().map(|name| format!("in {name} ")).unwrap_or_default();
        let until = one.until.map(|until| format!(" until {}", minute(until))).unwrap_or_default();
        lines.push(format!(
            "Submitting builds {where_}is suspended since {}{until}: {}",
            minute(one.since),
            one.reason
        ));
    }
    for hold in holds {
        let why = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
        lines.push(format!(
            "Packages of group {} are held since {} until {}{why}",
            hold.group,
            minute(hold.since),
            minute(hold.until)
        ));
    }
    lines
}

fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time to come, as people write it.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    time_after(text, Utc::now())
}

fn time_after(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let from_now = || {
        let unit = text.chars().last()?;
        let number = text.trim_start_matches('+').strip_suffix(unit)?;
        let number: u32 = number.parse().ok()?;
        let minutes = match unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            'w' => 7 * 24 * 60,
            _ => return None,
        };
        now.checked_add_signed(TimeDelta::minutes(i64::from(number) * minutes))
    };
    let plain = text.trim_end_matches('Z').trim_end_matches("UTC").trim_end();
    let naive = || {
        ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(plain, format).ok())
            .or_else(|| NaiveDate::parse_from_str(plain, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
            .map(|naive| naive.and_utc())
    };
    let with_offset = || DateTime::parse_from_rfc3339(text).ok().map(DateTime::<Utc>::from);
    let time = from_now().or_else(naive).or_else(with_offset).ok_or_else(|| {
        "a time is needed, such as 2026-11-23 06:00 (UTC), or one from now on, such as 90m, 12h or 3d"
            .to_owned()
    })?;
    if time <= now {
        return Err(format!("{} is over", minute(time)));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_from_now_on_and_always_to_come() {
        let now: DateTime<Utc> = "2026-11-22T12:30:00Z".parse().unwrap();
        let read = |text| time_after(text, now).map(minute);
        for (text, expected) in [
            ("2026-11-23 06:00", "2026-11-23 06:00 UTC"),
            ("2026-11-23 06:00 UTC", "2026-11-23 06:00 UTC"),
            ("2026-11-23T06:00:30Z", "2026-11-23 06:00 UTC"),
            ("2026-11-23T06:00:00+02:00", "2026-11-23 04:00 UTC"),
            ("2026-11-23", "2026-11-23 00:00 UTC"),
            ("90m", "2026-11-22 14:00 UTC"),
            ("+12h", "2026-11-23 00:30 UTC"),
            ("3d", "2026-11-25 12:30 UTC"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in
            ["", "soon", "12", "2026-13-01", "2026-11-22 12:30", "0h", "-3h", "99999999999d", "3é"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
