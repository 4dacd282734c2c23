//! How urgently a package should be rebuilt (spec/services.md, section 2).
//!
//! A priority is a sum of reasons: time since the last build, changes of dependencies, what
//! happened to earlier builds, and what people asked for. The scheduler submits packages whose
//! sum reaches `build_threshold`, highest first. The same formula is written once more in SQL
//! (`koschei_db::scheduling`), where it runs over all packages at once; a test holds the two
//! together.

use crate::config::Priorities;

/// Lowest value of the time priority.
pub const TIME_PRIORITY_FLOOR: f64 = -30.0;

/// Smallest number of hours that the logarithm is taken of.
pub const HOURS_FLOOR: f64 = 1e-6;

/// Distance that counts for a changed dependency that has none.
pub const DISTANCE_IF_UNKNOWN: u8 = 8;

impl Priorities {
    /// Coefficients `(a, b)` of the time priority `a * log10(hours) + b`.
    pub fn time_coefficients(&self) -> (f64, f64) {
        let a = self.build_threshold / (self.t1.log10() - self.t0.log10());
        (a, -a * self.t0.log10())
    }

    /// Priority by time alone, `hours` after the last build was started.
    pub fn time(&self, hours: f64) -> f64 {
        let (a, b) = self.time_coefficients();
        (a * hours.max(HOURS_FLOOR).log10() + b).max(TIME_PRIORITY_FLOOR)
    }

    /// Priority by changed dependencies; one item per unapplied change, its distance or `None`.
    pub fn dependency(&self, distances: impl IntoIterator<Item = Option<u8>>) -> i32 {
        let sum: f64 = distances
            .into_iter()
            // A distance below 1 does not occur; it would divide by zero.
            .map(|distance| {
                self.package_update / f64::from(distance.unwrap_or(DISTANCE_IF_UNKNOWN).max(1))
            })
            .sum();
        // `as` saturates, which is right for a priority.
        sum.floor() as i32
    }

    /// Priority that nobody set by hand.
    pub fn dynamic(&self, package: &Weights, hours: f64, coefficient: f64) -> f64 {
        (f64::from(package.dependency) + f64::from(package.build) + self.time(hours)) * coefficient
    }

    /// The priority by which packages are compared and scheduled.
    ///
    /// `coefficient` is the collection's `priority_coefficient`.
    pub fn current(&self, package: &Weights, hours: f64, coefficient: f64) -> f64 {
        f64::from(package.manual)
            + f64::from(package.static_)
            + self.dynamic(package, hours, coefficient)
    }

    /// Build priority of a package whose build just ended with the state `failed`.
    ///
    /// `previous_failed` tells about the previous build of the same package, `None` without one.
    pub fn after_build(&self, failed: bool, previous_failed: Option<bool>) -> i32 {
        if failed && previous_failed != Some(true) { self.failed_build_priority } else { 0 }
    }
}

/// The stored parts of a package's priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weights {
    /// Set by administrators, never reset.
    pub static_: i32,
    /// Set by any user, reset when a build is submitted, registered or finished.
    pub manual: i32,
    /// From failures and from builds that cannot be compared.
    pub build: i32,
    /// From unapplied changes.
    pub dependency: i32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_week_alone_reaches_the_threshold() {
        let parameters = Priorities::default();
        assert!((parameters.time(168.0) - 256.0).abs() < 1e-9);
        assert!(parameters.time(167.0) < 256.0);
        assert!(parameters.time(6.0).abs() < 1e-9);
    }

    #[test]
    fn time_never_counts_less_than_thirty_below_zero() {
        let parameters = Priorities::default();
        assert_eq!(parameters.time(0.0), -30.0);
        assert_eq!(parameters.time(-5.0), -30.0);
        assert_eq!(parameters.time(1e-9), -30.0);
    }

    #[test]
    fn a_direct_change_reaches_the_threshold_after_the_quiet_time() {
        let parameters = Priorities::default();
        let package =
            Weights { dependency: parameters.dependency([Some(1)]), ..Weights::default() };
        assert_eq!(package.dependency, 256);
        assert!(parameters.current(&package, 5.0, 1.0) < 256.0);
        assert!(parameters.current(&package, 6.1, 1.0) > 256.0);
    }

    #[test]
    fn changes_count_by_distance_and_are_rounded_down_once() {
        let parameters = Priorities::default();
        // 256/3 + 256/3 = 170.67, and not 85 + 85
        assert_eq!(parameters.dependency([Some(3), Some(3)]), 170);
        assert_eq!(parameters.dependency([None]), 32);
        assert_eq!(parameters.dependency([]), 0);
    }

    #[test]
    fn the_coefficient_scales_what_nobody_set_by_hand() {
        let parameters = Priorities::default();
        let package = Weights { static_: 10, manual: 20, build: 100, dependency: 200 };
        let current = parameters.current(&package, 6.0, 0.5);
        assert!((current - (10.0 + 20.0 + 0.5 * 300.0)).abs() < 1e-9);
    }

    #[test]
    fn only_the_start_of_a_failure_raises_the_priority() {
        let parameters = Priorities::default();
        assert_eq!(parameters.after_build(true, Some(false)), 200);
        assert_eq!(parameters.after_build(true, None), 200);
        assert_eq!(parameters.after_build(true, Some(true)), 0);
        assert_eq!(parameters.after_build(false, Some(true)), 0);
    }

    proptest! {
        #[test]
        fn time_only_grows(a in 0.0f64..1e5, b in 0.0f64..1e5) {
            let parameters = Priorities::default();
            let (less, more) = if a < b { (a, b) } else { (b, a) };
            prop_assert!(parameters.time(less) <= parameters.time(more));
        }

        #[test]
        fn a_nearer_change_never_counts_less(distance in 1u8..4) {
            let parameters = Priorities::default();
            prop_assert!(parameters.dependency([Some(distance)])
                > parameters.dependency([Some(distance + 1)]));
            prop_assert!(parameters.dependency([Some(distance)]) > parameters.dependency([None]));
        }
    }
}
