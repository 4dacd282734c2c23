//! What happens, in plain words, as it happens: from the simulated Koji's packagers and from Koschei's database.
//!
//! The database is looked at once a second and compared with the look before; what differs is told. Nothing is stored,
//! so a demo that was interrupted begins with a fresh look and does not tell twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Write, stdout},
    time::{Duration, Instant},
};

use chrono::Utc;
use koschei_core::states::PackageState;
use koschei_db::{
    Pool,
    news::{self, ChangedDependency, PackageNow},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::ChildStdout,
    sync::mpsc,
    time::sleep,
};

use super::place::Place;
use crate::failure::Failure;

/// Looks for which a failing build's dependencies are awaited before it is told without them.
const PATIENCE: u32 = 20;

/// How long the first look waits for polling to have found the newest builds.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// For how long builds that begin are gathered for one line.
const GATHERING: Duration = Duration::from_secs(4);

/// Names in one sentence; the rest are counted.
const NAMES: usize = 6;

/// Tells what happens.
#[derive(Debug)]
pub(super) struct Story {
    before: BTreeMap<i32, PackageNow>,
    /// Packages that began to fail, and for how many looks the reason has been awaited.
    unexplained: BTreeMap<i32, u32>,
    /// Builds that began and were not told yet, by collection.
    begun: BTreeMap<String, Vec<String>>,
    /// Since when there are any.
    begun_since: Option<Instant>,
    database_away: bool,
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            before: BTreeMap::new(),
            unexplained: BTreeMap::new(),
            begun: BTreeMap::new(),
            begun_since: None,
            database_away: false,
        }
    }

    /// One line with the time.
    pub(super) fn say(&self, words: &str) {
        self.repeat(&format!("{}  {words}", Utc::now().format("%H:%M:%S")));
    }

    /// One line that has its time already. That nobody listens any more is no reason to stop.
    pub(super) fn repeat(&self, line: &str) {
        let _ = writeln!(stdout(), "{line}");
        let _ = stdout().flush();
    }

    /// Says where to look, and how things are, as soon as there is something to tell.
    pub(super) async fn begin(
        &mut self,
        pool: &Pool,
        web_port: u16,
        place: &Place,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + FIRST_LOOK;
        let packages = loop {
            let packages = news::tracked_packages(pool).await.map_err(Failure::new)?;
            let known = packages.iter().all(|package| package.state != PackageState::Unknown);
            if known && !packages.is_empty() || Instant::now() > deadline {
                break packages;
            }
            sleep(Duration::from_millis(100)).await;
        };
        let mut collections: Vec<&str> = Vec::new();
        for package in &packages {
            if !collections.contains(&package.collection.as_str()) {
                collections.push(&package.collection);
            }
        }
        let count = |state| packages.iter().filter(|package| package.state == state).count();
        let mut states = Vec::new();
        for (state, word) in [
            (PackageState::Ok, "build"),
            (PackageState::Failing, "fail"),
            (PackageState::Unresolved, "cannot be tried"),
            (PackageState::Unknown, "have not been looked at"),
        ] {
            if count(state) > 0 {
                states.push(format!("{} {word}", count(state)));
            }
        }
        self.say(&format!(
            "Koschei watches {} packages in {}: {}.",
            packages.len(),
            collections.join(" and "),
            states.join(", ")
        ));
        self.before = packages.into_iter().map(|package| (package.id, package)).collect();
        let _ = writeln!(
            stdout(),
            "\n    Open   http://127.0.0.1:{web_port}/\n    Stop   with Ctrl-C; logs are in {}\n\n\
             What happens (times are UTC):\n",
            place.logs().display()
        );
        Ok(())
    }

    /// Looks at the database and tells what is new.
    pub(super) async fn look(&mut self, pool: &Pool) {
        match self.compare(pool).await {
            Ok(()) if self.database_away => {
                self.database_away = false;
                self.say("PostgreSQL answers again.");
            }
            Ok(()) => {}
            Err(_) if self.database_away => {}
            Err(error) => {
                self.database_away = true;
                self.say(&format!("PostgreSQL does not answer: {error}"));
            }
        }
    }

    async fn compare(&mut self, pool: &Pool) -> koschei_db::Result<()> {
        let now = news::tracked_packages(pool).await?;
        let mut lines = Vec::new();
        for package in &now {
            let before = self.before.get(&package.id);
            if package.running_build.is_some()
                && before.is_none_or(|before| before.running_build != package.running_build)
            {
                let begun = self.begun.entry(package.collection.clone()).or_default();
                begun.push(package.name.clone());
                self.begun_since.get_or_insert_with(Instant::now);
            }
            let Some(before) = before.filter(|before| before.state != package.state) else {
                continue;
            };
            self.unexplained.remove(&package.id);
            let PackageNow { name, collection, .. } = package;
            match package.state {
                PackageState::Failing => {
                    self.unexplained.insert(package.id, 0);
                }
                PackageState::Unresolved => {
                    let why = news::problem(pool, package.id).await?;
                    let why = why.as_deref().map(essence).unwrap_or_default();
                    lines.push(format!("{name} can no longer be tried in {collection}{why}"));
                }
                PackageState::Ok if before.state == PackageState::Failing => {
                    lines.push(format!("{name} builds again in {collection}"));
                }
                PackageState::Ok if before.state == PackageState::Unresolved => {
                    lines.push(format!("{name} can be tried again in {collection}"));
                }
                _ => {}
            }
        }
        if self.begun_since.is_some_and(|since| since.elapsed() > GATHERING) {
            self.begun_since = None;
            for (collection, names) in std::mem::take(&mut self.begun) {
                lines.push(format!("Test builds begin in {collection}: {}", some_of(&names)));
            }
        }
        let mut explained = BTreeSet::new();
        for (id, looks) in &mut self.unexplained {
            let Some(package) = now.iter().find(|package| package.id == *id) else { continue };
            let Some(build) = package.last_complete_build else { continue };
            *looks += 1;
            let changes = news::changes_before_build(pool, build).await?;
            if changes.is_none() && *looks < PATIENCE {
                continue;
            }
            explained.insert(*id);
            lines.push(format!(
                "{} turned failing in {}{}",
                package.name,
                package.collection,
                // Nothing is said where nothing was compared.
                changes.as_deref().map(culprits).unwrap_or_default()
            ));
        }
        self.unexplained.retain(|id, _| !explained.contains(id));
        for line in lines {
            self.say(&line);
        }
        self.before = now.into_iter().map(|package| (package.id, package)).collect();
        Ok(())
    }
}

/// Passes on what the simulated Koji says, line by line, until it ends.
pub(super) async fn listen(output: ChildStdout, words: mpsc::UnboundedSender<String>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = String::new();
        // Whatever it says, no line of ours grows without bound.
        match (&mut output).take(1000).read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = line.trim();
                if !line.is_empty() && words.send(line.to_owned()).is_err() {
                    return;
                }
            }
        }
    }
}

/// The first names, and how many more.
fn some_of(names: &[String]) -> String {
    match names.len().checked_sub(NAMES) {
        None | Some(0) => names.join(", "),
        Some(more) => {
            let first = names.get(..NAMES).unwrap_or(names).join(", ");
            format!("{first} and {more} more")
        }
    }
}

/// The nearest changes, as the end of a sentence.
fn culprits(changes: &[ChangedDependency]) -> String {
    let describe = |change: &ChangedDependency| match (&change.before, &change.now) {
        (Some(before), Some(now)) => format!("{} {before} -> {now}", change.name),
        (None, Some(now)) => format!("{} {now} (new)", change.name),
        (_, None) => format!("{} (gone)", change.name),
    };
    let described: Vec<String> = changes.iter().take(2).map(describe).collect();
    match changes.len().checked_sub(described.len()) {
        _ if described.is_empty() => "; no dependency changed since its last build".to_owned(),
        None | Some(0) => format!("; {} changed just before", described.join(" and ")),
        Some(more) => format!("; {} and {more} more changed just before", described.join(", ")),
    }
}

/// The part of a solver's problem that a person reads first.
fn essence(problem: &str) -> String {
    let line = problem
        .lines()
        .map(|line| line.trim().trim_start_matches("- ").trim_start_matches("Problem: "))
        .find(|line| line.starts_with("nothing provides") || line.starts_with("No package found"))
        .or_else(|| problem.lines().next())
        .unwrap_or_default();
    if line.is_empty() { String::new() } else { format!(": {line}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, before: Option<&str>, now: Option<&str>) -> ChangedDependency {
        ChangedDependency {
            name: name.to_owned(),
            before: before.map(str::to_owned),
            now: now.map(str::to_owned),
        }
    }

    #[test]
    fn culprits_end_the_sentence() {
        assert_eq!(culprits(&[]), "; no dependency changed since its last build");
        let libxml2 = change("libxml2-devel", Some("2.14.6-1"), Some("2.15.1-1"));
        assert_eq!(
            culprits(std::slice::from_ref(&libxml2)),
            "; libxml2-devel 2.14.6-1 -> 2.15.1-1 changed just before"
        );
        let more = [libxml2, change("a", None, Some("1-1")), change("b", Some("1-1"), None)];
        assert_eq!(
            culprits(&more),
            "; libxml2-devel 2.14.6-1 -> 2.15.1-1, a 1-1 (new) and 1 more changed just before"
        );
    }

    #[test]
    fn long_lists_are_counted() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"].map(str::to_owned);
        assert_eq!(some_of(&names[..2]), "a, b");
        assert_eq!(some_of(&names), "a, b, c, d, e, f and 2 more");
    }

    #[test]
    fn the_missing_thing_is_the_essence_of_a_problem() {
        let problem = "Problem: package x-1-1.noarch requires y, but none of the providers can be installed\n  \
                       - nothing provides libxml2.so.2 needed by y-1-1.x86_64";
        assert_eq!(essence(problem), ": nothing provides libxml2.so.2 needed by y-1-1.x86_64");
        assert_eq!(essence("No package found for: foo"), ": No package found for: foo");
    }
}
