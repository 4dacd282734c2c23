//! `rpmvercmp`: which of two version strings is newer.
//!
//! The rules are those of rpm 4.15 and later (rpm-version(7)): a version is a row of segments, each all
//! digits or all letters, and everything else only separates them. Segments are compared in turn, numbers by
//! value, letters by byte order, and a number is newer than letters. `~` sorts before everything, even the
//! end (`1.0~rc1 < 1.0`); `^` sorts after the end but before any further segment (`1.0 < 1.0^git1 < 1.0.1`).

use std::cmp::Ordering;

/// Compares two versions (or two releases) by RPM's rules.
///
/// Never fails: every byte string is a version. Two different strings may be equal (`1.0` and `1.00`).
///
/// ```
/// use std::cmp::Ordering;
/// assert_eq!(rpm::rpmvercmp("1.10", "1.9"), Ordering::Greater);
/// assert_eq!(rpm::rpmvercmp("1.0~rc1", "1.0"), Ordering::Less);
/// ```
pub fn rpmvercmp(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let mut a = a.as_bytes();
    let mut b = b.as_bytes();
    loop {
        a = skip_separators(a);
        b = skip_separators(b);

        match (a.first() == Some(&b'~'), b.first() == Some(&b'~')) {
            (true, true) => {
                a = &a[1..];
                b = &b[1..];
                continue;
            }
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        match (a.first() == Some(&b'^'), b.first() == Some(&b'^')) {
            (true, true) => {
                a = &a[1..];
                b = &b[1..];
                continue;
            }
            // The caret is newer than the end, older than anything that goes on.
            (true, false) => return if b.is_empty() { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if a.is_empty() { Ordering::Less } else { Ordering::Greater },
            (false, false) => {}
        }
        if a.is_empty() || b.is_empty() {
            // Whichever has something left is newer.
            return a.len().cmp(&b.len());
        }

        let order = match (a[0].is_ascii_digit(), b[0].is_ascii_digit()) {
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (true, true) => {
                let (x, y);
                (x, a) = take_while(a, u8::is_ascii_digit);
                (y, b) = take_while(b, u8::is_ascii_digit);
                let (x, y) = (strip_zeros(x), strip_zeros(y));
                // Without leading zeros the longer number is the greater one, however long it is.
                x.len().cmp(&y.len()).then_with(|| x.cmp(y))
            }
            (false, false) => {
                let (x, y);
                (x, a) = take_while(a, u8::is_ascii_alphabetic);
                (y, b) = take_while(b, u8::is_ascii_alphabetic);
                x.cmp(y)
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn skip_separators(s: &[u8]) -> &[u8] {
    let n = s
        .iter()
        .position(|c| c.is_ascii_alphanumeric() || *c == b'~' || *c == b'^')
        .unwrap_or(s.len());
    &s[n..]
}

fn take_while(s: &[u8], wanted: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let n = s.iter().position(|c| !wanted(c)).unwrap_or(s.len());
    s.split_at(n)
}

fn strip_zeros(s: &[u8]) -> &[u8] {
    let n = s.iter().position(|c| *c != b'0').unwrap_or(s.len());
    &s[n..]
}
