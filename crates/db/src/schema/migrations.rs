//! Our migrations, in order, on top of the baseline.
//!
//! Rules: a migration runs in one transaction; it renames and drops nothing of the baseline, and its new columns have
//! defaults, so that the original software can be started again; it makes no existing row invalid; it is never
//! changed once released. Each has a test over data in `tests/migrations.rs`.

/// One step from one schema to the next.
#[derive(Debug)]
pub struct Migration {
    /// Its place in the order, from 1, without gaps.
    pub number: i32,
    /// What it does, in a few words; shown by `db status`.
    pub name: &'static str,
    /// Its statements.
    pub(super) sql: &'static str,
}

/// All migrations of this version.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "indexes for foreign keys",
        sql: include_str!("../../schema/migrations/0001_foreign_keys.sql"),
    },
    Migration {
        number: 2,
        name: "versions compare as bytes",
        sql: include_str!("../../schema/migrations/0002_versions_by_bytes.sql"),
    },
    Migration {
        number: 3,
        name: "last builds under concurrency and deletion",
        sql: include_str!("../../schema/migrations/0003_last_builds.sql"),
    },
    Migration {
        number: 4,
        name: "all_blocked of touched base packages only",
        sql: include_str!("../../schema/migrations/0004_all_blocked.sql"),
    },
    Migration {
        number: 5,
        name: "unique names of global groups",
        sql: include_str!("../../schema/migrations/0005_global_group_names.sql"),
    },
    Migration {
        number: 6,
        name: "what the services remember",
        sql: include_str!("../../schema/migrations/0006_services.sql"),
    },
    Migration {
        number: 7,
        name: "packages know when their last build was started",
        sql: include_str!("../../schema/migrations/0007_last_build_started.sql"),
    },
    Migration {
        number: 8,
        name: "what pages look up",
        sql: include_str!("../../schema/migrations/0008_pages.sql"),
    },
    Migration {
        number: 9,
        name: "submissions that were begun",
        sql: include_str!("../../schema/migrations/0009_submissions.sql"),
    },
    Migration {
        number: 10,
        name: "patience with Koji, and how fresh collections are",
        sql: include_str!("../../schema/migrations/0010_patience.sql"),
    },
    Migration {
        number: 11,
        name: "messages that wait to be sent",
        sql: include_str!("../../schema/migrations/0011_outbox.sql"),
    },
    Migration {
        number: 12,
        name: "suspensions",
        sql: include_str!("../../schema/migrations/0012_suspensions.sql"),
    },
    Migration {
        number: 13,
        name: "since when a package is in its state",
        sql: include_str!("../../schema/migrations/0013_state_since.sql"),
    },
    Migration {
        number: 14,
        name: "what long lists look up",
        sql: include_str!("../../schema/migrations/0014_lists.sql"),
    },
];

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn migrations_are_numbered_from_one_without_gaps() {
        let numbers: Vec<i32> = MIGRATIONS.iter().map(|migration| migration.number).collect();
        let expected: Vec<i32> = (1..).take(MIGRATIONS.len()).collect();
        assert_eq!(numbers, expected);
    }
}
