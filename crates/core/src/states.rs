//! The states of packages, collections and builds: the words that people and machines see.
//!
//! A state is never stored. It follows from a few columns, always by the same rule, so it is
//! computed here and nowhere else (spec/services.md, section 1).

use std::fmt;

/// State of a build that Koschei knows, with the numbers that the database and the API use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum BuildState {
    /// Koji has not finished the task.
    Running = 2,
    /// The task was closed.
    Complete = 3,
    /// The task failed, and the package is to blame.
    Failed = 5,
}

impl BuildState {
    /// The number of the database and of the API.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The state with this number; `None` for numbers that no build can have.
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            2 => Some(Self::Running),
            3 => Some(Self::Complete),
            5 => Some(Self::Failed),
            _ => None,
        }
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for BuildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What the state of a package follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PackageFacts {
    /// Koji says the package is blocked in the tag.
    pub blocked: bool,
    /// Koschei takes care of the package.
    pub tracked: bool,
    /// Whether its dependencies can be installed; `None` when not known.
    pub resolved: Option<bool>,
    /// State of the last complete build; `None` without one.
    pub last_complete_build: Option<BuildState>,
}

/// State of a package, the one word shown to people and machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PackageState {
    /// Koji blocks the package; Koschei ignores it.
    Blocked,
    /// Nobody asked Koschei to track the package.
    Untracked,
    /// Its dependencies cannot be installed.
    Unresolved,
    /// Its last complete build succeeded.
    Ok,
    /// Its last complete build failed.
    Failing,
    /// No complete build is known.
    Unknown,
}

impl PackageState {
    /// All states, in the order in which they are decided.
    pub const ALL: [Self; 6] =
        [Self::Blocked, Self::Untracked, Self::Unresolved, Self::Ok, Self::Failing, Self::Unknown];

    /// The first state that applies.
    pub fn of(facts: PackageFacts) -> Self {
        if facts.blocked {
            Self::Blocked
        } else if !facts.tracked {
            Self::Untracked
        } else if facts.resolved == Some(false) {
            Self::Unresolved
        } else {
            match facts.last_complete_build {
                Some(BuildState::Complete) => Self::Ok,
                Some(BuildState::Failed) => Self::Failing,
                Some(BuildState::Running) | None => Self::Unknown,
            }
        }
    }

    /// The word shown on pages and in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Untracked => "untracked",
            Self::Unresolved => "unresolved",
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Unknown => "unknown",
        }
    }

    /// The word used in messages, where everything that needs nobody's attention is `ignored`.
    pub fn message_word(self) -> MessageWord {
        match self {
            Self::Ok => MessageWord::Ok,
            Self::Failing => MessageWord::Failing,
            Self::Unresolved => MessageWord::Unresolved,
            Self::Blocked | Self::Untracked | Self::Unknown => MessageWord::Ignored,
        }
    }
}

impl fmt::Display for PackageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// State of a package as told in messages (spec/messages.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageWord {
    /// The last complete build succeeded.
    Ok,
    /// The last complete build failed.
    Failing,
    /// The dependencies cannot be installed.
    Unresolved,
    /// Anything else.
    Ignored,
}

impl MessageWord {
    /// The word itself.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Unresolved => "unresolved",
            Self::Ignored => "ignored",
        }
    }
}

impl fmt::Display for MessageWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// State of a collection: whether its build group can be installed from its latest repo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CollectionState {
    /// The build group can be installed.
    Ok,
    /// The build group cannot be installed, so nothing can be built.
    Unresolved,
    /// No repo was resolved yet.
    Unknown,
}

impl CollectionState {
    /// The state that follows from the column `latest_repo_resolved`.
    pub fn of(latest_repo_resolved: Option<bool>) -> Self {
        match latest_repo_resolved {
            Some(true) => Self::Ok,
            Some(false) => Self::Unresolved,
            None => Self::Unknown,
        }
    }

    /// The word shown on pages, in the API and in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unresolved => "unresolved",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for CollectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACKED: PackageFacts = PackageFacts {
        blocked: false,
        tracked: true,
        resolved: Some(true),
        last_complete_build: Some(BuildState::Complete),
    };

    #[test]
    fn a_tracked_package_is_what_its_last_complete_build_is() {
        assert_eq!(PackageState::of(TRACKED).word(), "ok");
        let failed = PackageFacts { last_complete_build: Some(BuildState::Failed), ..TRACKED };
        assert_eq!(PackageState::of(failed).word(), "failing");
        let none = PackageFacts { last_complete_build: None, ..TRACKED };
        assert_eq!(PackageState::of(none).word(), "unknown");
    }

    #[test]
    fn blocked_comes_before_untracked_before_unresolved_before_the_build() {
        let mut facts = PackageFacts {
            blocked: true,
            tracked: false,
            resolved: Some(false),
            last_complete_build: Some(BuildState::Failed),
        };
        assert_eq!(PackageState::of(facts), PackageState::Blocked);
        facts.blocked = false;
        assert_eq!(PackageState::of(facts), PackageState::Untracked);
        facts.tracked = true;
        assert_eq!(PackageState::of(facts), PackageState::Unresolved);
        facts.resolved = None;
        assert_eq!(PackageState::of(facts), PackageState::Failing);
    }

    #[test]
    fn messages_know_four_words() {
        let words: Vec<_> = PackageState::ALL.iter().map(|s| s.message_word().word()).collect();
        assert_eq!(words, ["ignored", "ignored", "unresolved", "ok", "failing", "ignored"]);
    }

    #[test]
    fn collections_follow_their_latest_repo() {
        assert_eq!(CollectionState::of(Some(true)).word(), "ok");
        assert_eq!(CollectionState::of(Some(false)).word(), "unresolved");
        assert_eq!(CollectionState::of(None).word(), "unknown");
    }

    #[test]
    fn build_states_have_the_numbers_of_the_database() {
        for (number, state) in
            [(2, BuildState::Running), (3, BuildState::Complete), (5, BuildState::Failed)]
        {
            assert_eq!(state.number(), number);
            assert_eq!(BuildState::from_number(number), Some(state));
        }
        assert_eq!(BuildState::from_number(4), None);
    }
}
