//! Why there is no solution, from the trail.

use crate::problem::{Problem, Reason};
use crate::solver::{Request, Solver};

impl Solver<'_> {
    pub(crate) fn explain(&mut self, _request: &Request<'_>) -> Problem {
        if self.gave_up {
            return Problem::Conflict { chain: vec![Reason::TooHard { conflicts: self.learnt }] };
        }
        Problem::Conflict { chain: vec![Reason::ConflictingRequests] }
    }
}
