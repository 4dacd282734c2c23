//! What of a contradiction is needed.
//!
//! Given clauses that cannot all hold, one after the other is left out on trial. If the rest still cannot hold, it was not
//! needed, and with it go all others that the new proof does without. If the rest can hold, it is needed, and
//! stays so however few others remain. What is left in the end is minimal: without any one of its clauses it could hold.
//!
//! Chains are short, a dozen clauses as a rule, so the prover is the plainest there is: draw conclusions; when nothing
//! follows any more, try a candidate of some requirement that is still open, then do without it. A proof by
//! cases needs the clauses of both cases. All work is counted, and ends at a bound.

use std::collections::{BTreeSet, HashMap};

use crate::rich::{Literal, package_of};

/// How many literals may be looked at. A chain of a dozen clauses takes some thousand, this is some ten milliseconds.
pub(crate) const EFFORT: u64 = 4_000_000;

/// How many tries may be open at a time. Proofs that need more are none that anybody could follow.
const MAX_DEPTH: usize = 100;

/// What is left of a contradiction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Minimal {
    /// The places of the clauses that are left, ascending.
    pub(crate) needed: Vec<usize>,
    /// Whether really all of them are needed.
    pub(crate) proven: bool,
}

/// Reduces clauses that cannot all hold to some of which all are needed. If they can hold, nothing is returned.
pub(crate) fn minimise(clauses: &[&[Literal]], effort: u64) -> Option<Minimal> {
    let mut prover = Prover::new(clauses, effort);
    let mut needed: Vec<usize> = (0..clauses.len()).collect();
    let mut proven = true;
    match prover.prove(&needed) {
        Answer::Contradiction(proof) => needed = proof,
        Answer::CanHold => return None,
        Answer::TooHard => return Some(Minimal { needed, proven: false }),
    }
    let mut tried = 0;
    while tried < needed.len() {
        let mut rest = needed.clone();
        rest.remove(tried);
        match prover.prove(&rest) {
            // What was found to be needed before is needed in this proof, too, so `tried` stays where it is.
            Answer::Contradiction(proof) => needed = proof,
            Answer::CanHold => tried += 1,
            Answer::TooHard => {
                proven = false;
                tried += 1;
            }
        }
    }
    Some(Minimal { needed, proven })
}

enum Answer {
    /// They cannot all hold; these are enough for it, ascending.
    Contradiction(Vec<usize>),
    CanHold,
    TooHard,
}

/// What a proof rests on: clauses, and variables that were tried.
#[derive(Default)]
struct Proof {
    clauses: BTreeSet<usize>,
    tries: BTreeSet<usize>,
}

enum Case {
    Contradiction(Proof),
    CanHold,
    TooHard,
}

struct Prover {
    /// Literals are variables counted from 1, negative for “not”.
    clauses: Vec<Vec<i32>>,
    /// By variable: the clauses in which it occurs.
    occurs: Vec<Vec<usize>>,
    active: Vec<bool>,
    /// By variable: 0 undecided, 1 true, -1 false.
    value: Vec<i8>,
    /// By variable: the clause that it follows from; `None` for one that is tried.
    why: Vec<Option<usize>>,
    trail: Vec<i32>,
    head: usize,
    effort: u64,
}

fn variable(literal: i32) -> usize {
    literal.unsigned_abs() as usize - 1
}

impl Prover {
    fn new(clauses: &[&[Literal]], effort: u64) -> Self {
        let mut numbers: HashMap<u32, i32> = HashMap::new();
        let mut occurs: Vec<Vec<usize>> = Vec::new();
        let clauses: Vec<Vec<i32>> = clauses
            .iter()
            .enumerate()
            .map(|(id, literals)| {
                let mut number = |literal: &Literal| {
                    let next = numbers.len() as i32 + 1;
                    let number = *numbers.entry(package_of(*literal)).or_insert(next);
                    if number == next {
                        occurs.push(Vec::new());
                    }
                    occurs[variable(number)].push(id);
                    if *literal < 0 { -number } else { number }
                };
                literals.iter().map(&mut number).collect()
            })
            .collect();
        let variables = occurs.len();
        Prover {
            active: vec![false; clauses.len()],
            clauses,
            occurs,
            value: vec![0; variables],
            why: vec![None; variables],
            trail: Vec::new(),
            head: 0,
            effort,
        }
    }

    fn prove(&mut self, clauses: &[usize]) -> Answer {
        self.active.fill(false);
        for id in clauses {
            self.active[*id] = true;
        }
        let mut contradiction = None;
        for id in clauses {
            contradiction = self.look_at(*id);
            if contradiction.is_some() {
                break;
            }
        }
        let case = match contradiction {
            Some(id) => Case::Contradiction(self.trace(id)),
            None => self.search(0),
        };
        self.undo(0);
        match case {
            Case::Contradiction(proof) => {
                Answer::Contradiction(proof.clauses.into_iter().collect())
            }
            Case::CanHold => Answer::CanHold,
            Case::TooHard => Answer::TooHard,
        }
    }

    fn search(&mut self, depth: usize) -> Case {
        if let Some(contradiction) = self.propagate() {
            return Case::Contradiction(self.trace(contradiction));
        }
        if self.effort == 0 {
            return Case::TooHard;
        }
        let Some(candidate) = self.open_candidate() else { return Case::CanHold };
        if depth == MAX_DEPTH {
            return Case::TooHard;
        }
        let mark = self.trail.len();
        let mut whole = Proof::default();
        for tried in [candidate, -candidate] {
            self.assign(tried, None);
            let case = self.search(depth + 1);
            self.undo(mark);
            let Case::Contradiction(mut proof) = case else { return case };
            if !proof.tries.remove(&variable(candidate)) {
                // It has nothing to do with what was tried.
                return Case::Contradiction(proof);
            }
            whole.clauses.append(&mut proof.clauses);
            whole.tries.append(&mut proof.tries);
        }
        Case::Contradiction(whole)
    }

    /// A candidate of a clause that is open although everything that it depends on is installed. When there is none,
    /// everything else may be left out, and all clauses hold.
    fn open_candidate(&mut self) -> Option<i32> {
        for (id, clause) in self.clauses.iter().enumerate() {
            if !self.active[id] {
                continue;
            }
            self.effort = self.effort.saturating_sub(clause.len() as u64);
            let is_open = clause.iter().all(|literal| {
                let value = self.value[variable(*literal)];
                if *literal > 0 { value <= 0 } else { value > 0 }
            });
            let candidate = || clause.iter().find(|l| **l > 0 && self.value[variable(**l)] == 0);
            if is_open && let Some(candidate) = candidate() {
                return Some(*candidate);
            }
        }
        None
    }

    fn assign(&mut self, literal: i32, why: Option<usize>) {
        let variable = variable(literal);
        self.value[variable] = literal.signum() as i8;
        self.why[variable] = why;
        self.trail.push(literal);
    }

    fn propagate(&mut self) -> Option<usize> {
        while self.head < self.trail.len() && self.effort > 0 {
            let variable = variable(self.trail[self.head]);
            self.head += 1;
            for i in 0..self.occurs[variable].len() {
                let id = self.occurs[variable][i];
                if self.active[id] {
                    let contradiction = self.look_at(id);
                    if contradiction.is_some() {
                        return contradiction;
                    }
                }
            }
        }
        None
    }

    /// Follows a clause of which one literal is left; returns one of which none is.
    fn look_at(&mut self, id: usize) -> Option<usize> {
        let mut open = None;
        let clause = &self.clauses[id];
        self.effort = self.effort.saturating_sub(clause.len() as u64 + 1);
        for literal in clause {
            match self.value[variable(*literal)] * literal.signum() as i8 {
                0 if open.is_some() => return None,
                0 => open = Some(*literal),
                1 => return None,
                _ => {}
            }
        }
        match open {
            Some(literal) => {
                self.assign(literal, Some(id));
                None
            }
            None => Some(id),
        }
    }

    /// What a clause that cannot hold any more rests on.
    fn trace(&self, contradiction: usize) -> Proof {
        let mut proof = Proof::default();
        let mut rests_on: BTreeSet<usize> = BTreeSet::new();
        let mut take = |id: usize, rests_on: &mut BTreeSet<usize>| {
            proof.clauses.insert(id);
            rests_on.extend(self.clauses[id].iter().map(|literal| variable(*literal)));
        };
        take(contradiction, &mut rests_on);
        for literal in self.trail.iter().rev() {
            let variable = variable(*literal);
            if rests_on.contains(&variable) {
                match self.why[variable] {
                    Some(id) => take(id, &mut rests_on),
                    None => {
                        proof.tries.insert(variable);
                    }
                }
            }
        }
        proof
    }

    fn undo(&mut self, length: usize) {
        for literal in self.trail.drain(length..) {
            self.value[variable(literal)] = 0;
        }
        self.head = length;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    /// The places of what is needed.
    #[track_caller]
    fn needed(clauses: &[&[Literal]]) -> Vec<usize> {
        let minimal = minimise(clauses, EFFORT).unwrap();
        assert!(minimal.proven);
        minimal.needed
    }

    #[test]
    fn what_has_nothing_to_do_with_it_is_left_out() {
        let clauses: [&[Literal]; 5] = [&[1], &[-1, 2], &[-1, 3], &[-2, -3], &[-1, 4]];
        assert_eq!(needed(&clauses), [0, 1, 2, 3]);
    }

    #[test]
    fn of_two_contradictions_one_is_told() {
        let clauses: [&[Literal]; 4] = [&[1], &[-1], &[2], &[-2]];
        assert_eq!(needed(&clauses), [0, 1]);
    }

    #[test]
    fn both_cases_of_a_choice_are_told() {
        // One of two, each of which excludes itself by way of two others.
        let clauses: [&[Literal]; 7] =
            [&[1, 2], &[-1, 3, 4], &[-3, -1], &[-4, -1], &[-2, 5], &[-5, -2], &[-5, 6]];
        assert_eq!(needed(&clauses), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn without_a_contradiction_there_is_nothing_to_tell() {
        let clauses: [&[Literal]; 3] = [&[1, 2], &[-1, -2], &[-1, 3]];
        assert_eq!(minimise(&clauses, EFFORT), None);
    }

    #[test]
    fn an_empty_clause_is_enough() {
        let clauses: [&[Literal]; 2] = [&[1], &[]];
        assert_eq!(needed(&clauses), [1]);
    }

    /// Eight pigeons do not fit into seven holes, which takes long to find out by trying.
    #[test]
    fn what_is_too_hard_is_not_called_minimal() {
        let (pigeons, holes) = (8, 7);
        let at = |pigeon: i32, hole: i32| pigeon * holes + hole + 1;
        let mut clauses: Vec<Vec<Literal>> = Vec::new();
        for pigeon in 0..pigeons {
            clauses.push((0..holes).map(|hole| at(pigeon, hole)).collect());
            for other in 0..pigeon {
                clauses.extend((0..holes).map(|hole| vec![-at(pigeon, hole), -at(other, hole)]));
            }
        }
        let clauses: Vec<&[Literal]> = clauses.iter().map(Vec::as_slice).collect();
        let minimal = minimise(&clauses, 20_000).unwrap();
        assert!(!minimal.proven);
        assert_eq!(minimal.needed.len(), clauses.len(), "nothing is left out on suspicion");
    }
}
