//! Which of the changed dependencies may have broken a package, judged by how other packages fared with the same change.
//!
//! Koschei never knows a cause, it only counts: of the other packages that were built first with this very change, how
//! many built before and failed then? The package itself does not count as evidence against its own dependency.

use koschei_db::pages::CulpritCount;

/// How likely a change is to be the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likelihood {
    /// Many packages failed with it.
    VeryLikely,
    /// Nothing speaks against it.
    Possible,
    /// Many packages build with it.
    Unlikely,
}

impl Likelihood {
    /// The word for people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::VeryLikely => "Very likely",
            Self::Possible => "Possible",
            Self::Unlikely => "Unlikely",
        }
    }
}

/// The judgement on one change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judgement {
    /// The word.
    pub(crate) likelihood: Likelihood,
    /// For ordering, higher is more likely.
    score: f64,
}

/// Failures that a package has without any cause in its dependencies, and how many observations that belief is worth.
const USUAL_SHARE: f64 = 0.05;
const USUAL_WEIGHT: f64 = 4.0;

/// Judges a change at this distance (`None`: base buildroot).
pub(crate) fn judge(count: &CulpritCount, distance: Option<i32>) -> Judgement {
    let (packages, broke) = (count.packages as f64, count.broke as f64);
    let share = (broke + USUAL_SHARE * USUAL_WEIGHT) / (packages + USUAL_WEIGHT);
    let likelihood = if broke >= 2.0 && broke / packages >= 0.5 {
        Likelihood::VeryLikely
    } else if packages >= 3.0 && broke < 2.0 && broke / packages < 0.1 {
        Likelihood::Unlikely
    } else {
        Likelihood::Possible
    };
    // Between equals the nearer one; a change farther away has to show more failures to come first.
    let nearness = match distance {
        Some(distance) => 0.02 / f64::from(distance.max(1)),
        None => 0.0,
    };
    Judgement { likelihood, score: share + nearness }
}

impl Judgement {
    /// Most likely first.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.likelihood.cmp(&other.likelihood).then(other.score.total_cmp(&self.score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(broke: i64, packages: i64) -> CulpritCount {
        CulpritCount { prev_id: Some(1), curr_id: Some(2), packages, broke, cut: false }
    }

    #[test]
    fn a_change_with_which_others_fail_comes_before_one_nobody_else_saw() {
        let compiler = judge(&count(3, 20), Some(2));
        let own = judge(&count(0, 0), Some(1));
        assert_eq!(compiler.order(&own), std::cmp::Ordering::Less);
    }

    #[test]
    fn words_follow_the_counts() {
        assert_eq!(judge(&count(30, 46), Some(1)).likelihood, Likelihood::VeryLikely);
        assert_eq!(judge(&count(2, 3), None).likelihood, Likelihood::VeryLikely);
        assert_eq!(judge(&count(0, 0), Some(1)).likelihood, Likelihood::Possible);
        assert_eq!(judge(&count(1, 2), Some(1)).likelihood, Likelihood::Possible);
        // A compiler breaks few of those that use it.
        assert_eq!(judge(&count(2, 57), Some(1)).likelihood, Likelihood::Possible);
        assert_eq!(judge(&count(1, 40), Some(1)).likelihood, Likelihood::Unlikely);
        assert_eq!(judge(&count(0, 12), Some(1)).likelihood, Likelihood::Unlikely);
    }

    #[test]
    fn between_equals_the_nearer_one_comes_first() {
        let near = judge(&count(0, 1), Some(1));
        let far = judge(&count(0, 1), Some(3));
        let base = judge(&count(0, 1), None);
        assert_eq!(near.order(&far), std::cmp::Ordering::Less);
        assert_eq!(far.order(&base), std::cmp::Ordering::Less);
    }
}
