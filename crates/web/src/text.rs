//! How times, ages, counts and names are written on pages (design: "Words").

use std::borrow::Borrow;

use chrono::{DateTime, Datelike, TimeDelta, Utc};

/// The time at which a page is made; everything relative on it is relative to this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// Now.
    pub(crate) now: DateTime<Utc>,
}

impl Clock {
    /// For tables: `22 Nov 03:31` this year, `2025-11-30` before.
    pub(crate) fn short(&self, time: DateTime<Utc>) -> String {
        if time.year() == self.now.year() {
            time.format("%-d %b %H:%M").to_string()
        } else {
            time.format("%Y-%m-%d").to_string()
        }
    }

    /// A day: `22 Nov` this year, `2025-11-30` before.
    pub(crate) fn day(&self, time: DateTime<Utc>) -> String {
        if time.year() == self.now.year() {
            time.format("%-d %b").to_string()
        } else {
            time.format("%Y-%m-%d").to_string()
        }
    }

    /// For sentences: `today, 03:31`, `19 November, 04:12`, `30 November 2025`.
    pub(crate) fn long(&self, time: DateTime<Utc>) -> String {
        if time.date_naive() == self.now.date_naive() {
            time.format("today, %H:%M").to_string()
        } else if time.year() == self.now.year() {
            time.format("%-d %B, %H:%M").to_string()
        } else {
            time.format("%-d %B %Y").to_string()
        }
    }

    /// How long ago: `11 minutes`, `3 days`, `2 years`.
    pub(crate) fn age(&self, time: DateTime<Utc>) -> String {
        span(self.now - time)
    }
}

/// A span of time in its largest unit, rounded down: `less than a minute`, `10 hours`.
pub(crate) fn span(span: TimeDelta) -> String {
    let minutes = span.num_minutes();
    let (number, unit) = if minutes < 1 {
        return "less than a minute".to_owned();
    } else if minutes < 60 {
        (minutes, "minute")
    } else if minutes < 48 * 60 {
        (minutes / 60, "hour")
    } else if minutes < 120 * 24 * 60 {
        (minutes / (24 * 60), "day")
    } else if minutes < 730 * 24 * 60 {
        (minutes * 12 / (365 * 24 * 60), "month")
    } else {
        (minutes / (365 * 24 * 60), "year")
    };
    plural(number, unit)
}

/// The length of a build or task: `45 s`, `11 min`, `3 h 20 min`.
pub(crate) fn duration(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    if seconds < 60 {
        format!("{seconds} s")
    } else if seconds < 3600 {
        format!("{} min", seconds / 60)
    } else {
        match seconds % 3600 / 60 {
            0 => format!("{} h", seconds / 3600),
            minutes => format!("{} h {minutes} min", seconds / 3600),
        }
    }
}

/// `1 package`, `2 packages`: a count with its noun.
pub(crate) fn plural(number: impl Borrow<i64>, noun: &str) -> String {
    let number = *number.borrow();
    if number == 1 {
        format!("1 {noun}")
    } else if noun.ends_with("ss") {
        format!("{} {noun}es", count(number))
    } else {
        format!("{} {noun}s", count(number))
    }
}

/// A count with narrow spaces between thousands.
pub(crate) fn count(number: impl Borrow<i64>) -> String {
    let number = *number.borrow();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    if number < 0 {
        text.push('\u{2212}');
    }
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A share of a whole as a percentage with one digit behind the point; `0 %` and `100 %` only
/// when exact.
pub(crate) fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 || part <= 0 {
        return "0\u{a0}%".to_owned();
    }
    if part >= whole {
        return "100\u{a0}%".to_owned();
    }
    let tenths = (part as f64 * 1000.0 / whole as f64).round().clamp(1.0, 999.0);
    format!("{:.1}\u{a0}%", tenths / 10.0)
}

/// Words as an enumeration: `a`, `a and b`, `a, b and c`.
pub(crate) fn enumeration(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The pieces of a long name between which a line may break; short names are one piece.
pub(crate) fn pieces(name: &str) -> Vec<&str> {
    if name.len() <= 24 { vec![name] } else { name.split_inclusive('-').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn times_of_this_year_have_no_year() {
        let clock = Clock { now: at("2026-11-22T13:53:00Z") };
        assert_eq!(clock.short(at("2026-11-02T03:31:40Z")), "2 Nov 03:31");
        assert_eq!(clock.short(at("2025-11-30T03:31:00Z")), "2025-11-30");
        assert_eq!(clock.long(at("2026-11-22T03:31:00Z")), "today, 03:31");
        assert_eq!(clock.long(at("2026-11-19T04:12:00Z")), "19 November, 04:12");
        assert_eq!(clock.long(at("2025-01-05T04:12:00Z")), "5 January 2025");
    }

    #[test]
    fn ages_have_one_unit() {
        let span = |minutes| span(TimeDelta::minutes(minutes));
        assert_eq!(span(-5), "less than a minute");
        assert_eq!(span(1), "1 minute");
        assert_eq!(span(11), "11 minutes");
        assert_eq!(span(600), "10 hours");
        assert_eq!(span(3 * 24 * 60), "3 days");
        assert_eq!(span(200 * 24 * 60), "6 months");
        assert_eq!(span(3 * 365 * 24 * 60), "3 years");
    }

    #[test]
    fn counts_have_narrow_spaces() {
        assert_eq!(count(999), "999");
        assert_eq!(count(24852), "24\u{202f}852");
        assert_eq!(count(8_500_000), "8\u{202f}500\u{202f}000");
        assert_eq!(plural(1, "package"), "1 package");
        assert_eq!(plural(0, "package"), "0 packages");
    }

    #[test]
    fn a_percentage_never_rounds_to_all_or_nothing() {
        assert_eq!(percent(0, 10), "0\u{a0}%");
        assert_eq!(percent(1, 100_000), "0.1\u{a0}%");
        assert_eq!(percent(99_999, 100_000), "99.9\u{a0}%");
        assert_eq!(percent(10, 10), "100\u{a0}%");
        assert_eq!(percent(0, 0), "0\u{a0}%");
    }

    #[test]
    fn long_names_break_after_hyphens() {
        assert_eq!(pieces("python-lxml"), ["python-lxml"]);
        assert_eq!(pieces("rust-openpgp-card-sequoia").concat(), "rust-openpgp-card-sequoia");
        assert_eq!(pieces("rust-openpgp-card-sequoia").len(), 4);
    }
}
