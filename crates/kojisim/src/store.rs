//! The hub's database: tables in memory, a journal on disk.
//!
//! A transaction changes rows through [`Table::put`]; [`Store::commit`] writes all changed rows as one line of the
//! journal *before* anybody hears of them, so that whatever was answered survives `kill -9`. A line torn by the kill
//! was never answered and is dropped at the next start. From time to time the whole content is written as a snapshot
//! and the journal begins anew. [`Store::rollback`] takes back what a failed call of a multiCall did (Koji uses a
//! savepoint there).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::rows;

/// Why the state on disk could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another process has the directory open.
    #[error(
        "{path} is in use by another simulated Koji; stop that one, or choose another directory"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The simulator was stopped.
    #[error("the simulated Koji was stopped")]
    Closed,
    /// A line in the middle of a journal, or a snapshot, makes no sense.
    #[error(
        "{path} is damaged at line {line}: {reason}; remove the directory to start the world over"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Why.
        reason: String,
    },
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::Io { what, path: path.to_path_buf(), source }
}

/// Rows of one kind by id.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: BTreeMap<i64, T>,
    next: i64,
    /// Rows as they were before this transaction touched them, in order.
    undo: Vec<(i64, Option<T>)>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { rows: BTreeMap::new(), next: 1, undo: Vec::new() }
    }
}

impl<T: Clone> Table<T> {
    /// Takes the next free id. Ids are never given twice, not even after a rollback.
    pub(crate) fn new_id(&mut self) -> i64 {
        let id = self.next;
        self.next += 1;
        id
    }

    /// Stores a row, new or changed.
    pub(crate) fn put(&mut self, id: i64, row: T) {
        self.next = self.next.max(id + 1);
        let old = self.rows.insert(id, row);
        self.undo.push((id, old));
    }

    /// Changes a row, if it is there.
    pub(crate) fn change(&mut self, id: i64, how: impl FnOnce(&mut T)) {
        if let Some(row) = self.rows.get_mut(&id) {
            self.undo.push((id, Some(row.clone())));
            how(row);
        }
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, id: i64) {
        if let Some(old) = self.rows.remove(&id) {
            self.undo.push((id, Some(old)));
        }
    }

    pub(crate) fn get(&self, id: i64) -> Option<&T> {
        self.rows.get(&id)
    }

    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.values()
    }

    /// Those from this id on.
    pub(crate) fn from(&self, id: i64) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.range(id..).map(|(_, row)| row)
    }

    pub(crate) fn ids(&self) -> impl DoubleEndedIterator<Item = i64> + '_ {
        self.rows.keys().copied()
    }

    pub(crate) fn find(&self, wanted: impl Fn(&T) -> bool) -> Option<&T> {
        self.rows.values().find(|row| wanted(row))
    }

    fn rollback(&mut self, mark: usize) {
        while self.undo.len() > mark {
            if let Some((id, old)) = self.undo.pop() {
                match old {
                    Some(row) => self.rows.insert(id, row),
                    None => self.rows.remove(&id),
                };
            }
        }
    }
}

impl<T: Clone + Serialize + DeserializeOwned> Table<T> {
    fn changes(&self) -> Result<Option<Value>, serde_json::Error> {
        if self.undo.is_empty() {
            return Ok(None);
        }
        let ids: std::collections::BTreeSet<i64> = self.undo.iter().map(|(id, _)| *id).collect();
        let mut changes = Map::new();
        for id in ids {
            changes.insert(id.to_string(), serde_json::to_value(self.rows.get(&id))?);
        }
        Ok(Some(Value::Object(changes)))
    }

    fn dump(&self) -> Result<Value, serde_json::Error> {
        let mut rows = Map::new();
        for (id, row) in &self.rows {
            rows.insert(id.to_string(), serde_json::to_value(row)?);
        }
        Ok(Value::Object(rows))
    }

    fn load(&mut self, changes: Value) -> Result<(), String> {
        let Value::Object(changes) = changes else { return Err("not an object".to_owned()) };
        for (id, row) in changes {
            let id: i64 = id.parse().map_err(|_| format!("{id:?} is no id"))?;
            self.next = self.next.max(id + 1);
            if row.is_null() {
                self.rows.remove(&id);
            } else {
                self.rows
                    .insert(id, serde_json::from_value(row).map_err(|error| error.to_string())?);
            }
        }
        Ok(())
    }
}

macro_rules! store {
    ($($table:ident: $row:ty,)*) => {
        /// All tables, and the journal that keeps them.
        #[derive(Debug)]
        pub(crate) struct Store {
            $(pub(crate) $table: Table<$row>,)*
            journal: Journal,
            /// Locked as long as it is open; the system unlocks it when the process dies, however it dies.
            lock: Option<File>,
        }

        /// A point in a transaction to come back to.
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct Savepoint { $($table: usize,)* }

        impl Store {
            fn empty(journal: Journal, lock: File) -> Store {
                Store { $($table: Table::default(),)* journal, lock: Some(lock) }
            }

            /// Marks the place that [`Store::rollback`] can go back to.
            pub(crate) fn savepoint(&self) -> Savepoint {
                Savepoint { $($table: self.$table.undo.len(),)* }
            }

            /// Takes back every change since the savepoint.
            pub(crate) fn rollback(&mut self, to: Savepoint) {
                $(self.$table.rollback(to.$table);)*
            }

            /// Whether anything changed since the last commit.
            pub(crate) fn is_changed(&self) -> bool {
                $(!self.$table.undo.is_empty())||*
            }

            fn changes(&self) -> Result<Map<String, Value>, serde_json::Error> {
                let mut changes = Map::new();
                $(if let Some(rows) = self.$table.changes()? {
                    changes.insert(stringify!($table).to_owned(), rows);
                })*
                Ok(changes)
            }

            fn forget_undo(&mut self) {
                $(self.$table.undo.clear();)*
            }

            fn dump(&self) -> Result<Value, serde_json::Error> {
                let mut all = Map::new();
                $(all.insert(stringify!($table).to_owned(), self.$table.dump()?);)*
                Ok(Value::Object(all))
            }

            fn load(&mut self, changes: Value) -> Result<(), String> {
                let Value::Object(changes) = changes else { return Err("not an object".to_owned()) };
                for (table, rows) in changes {
                    match table.as_str() {
                        $(stringify!($table) => self.$table.load(rows)?,)*
                        other => return Err(format!("no table is named {other:?}")),
                    }
                }
                Ok(())
            }
        }
    };
}

store! {
    tags: rows::Tag,
    targets: rows::Target,
    packages: rows::Package,
    listings: rows::Listing,
    groups: rows::Group,
    users: rows::User,
    hosts: rows::Host,
    channels: rows::Channel,
    revisions: rows::Revision,
    builds: rows::Build,
    rpms: rows::Rpm,
    taggings: rows::Tagging,
    events: rows::Event,
    repos: rows::Repo,
    tasks: rows::Task,
    sessions: rows::Session,
    external_repos: rows::ExternalRepo,
    tag_external_repos: rows::TagExternalRepo,
    memory: rows::Memory,
}

/// The journal grows to this many bytes before a snapshot replaces it.
const SNAPSHOT_AFTER: u64 = 32 << 20;

/// The files of one generation: `snapshot.N` (absent in generation 0) and the `journal.N` of all that came after.
#[derive(Debug)]
struct Journal {
    directory: PathBuf,
    generation: u64,
    file: File,
    bytes: u64,
}

impl Journal {
    fn path(directory: &Path, generation: u64) -> PathBuf {
        directory.join(format!("journal.{generation}"))
    }

    fn snapshot_path(directory: &Path, generation: u64) -> PathBuf {
        directory.join(format!("snapshot.{generation}"))
    }

    fn open(directory: &Path, generation: u64) -> Result<Journal, StoreError> {
        let path = Journal::path(directory, generation);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(io("open", &path))?;
        let bytes = file.metadata().map_err(io("read", &path))?.len();
        Ok(Journal { directory: directory.to_path_buf(), generation, file, bytes })
    }
}

impl Store {
    /// Opens the store in a directory, which is created if need be.
    pub(crate) fn open(directory: &Path) -> Result<Store, StoreError> {
        fs::create_dir_all(directory).map_err(io("create", directory))?;
        let lock_path = directory.join("lock");
        let lock = File::create(&lock_path).map_err(io("create", &lock_path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse { path: directory.to_path_buf() },
            TryLockError::Error(source) => io("lock", &lock_path)(source),
        })?;
        let mut generation = 0;
        for entry in fs::read_dir(directory).map_err(io("read", directory))? {
            let name = entry.map_err(io("read", directory))?.file_name();
            if let Some(number) = name.to_str().and_then(|name| name.strip_prefix("snapshot.")) {
                generation = generation.max(number.parse().unwrap_or(0));
            }
        }
        let mut store = Store::empty(Journal::open(directory, generation)?, lock);
        if generation > 0 {
            let path = Journal::snapshot_path(directory, generation);
            let text = fs::read_to_string(&path).map_err(io("read", &path))?;
            let damaged =
                |reason: String| StoreError::Damaged { path: path.clone(), line: 1, reason };
            let value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
            store.load(value).map_err(damaged)?;
        }
        store.replay()?;
        Ok(store)
    }

    /// Reads the journal; a last line without its end is a commit that nobody was told of, and is cut off.
    fn replay(&mut self) -> Result<(), StoreError> {
        let path = Journal::path(&self.journal.directory, self.journal.generation);
        let mut reader = BufReader::new(File::open(&path).map_err(io("read", &path))?);
        let (mut good, mut number, mut line) = (0_u64, 0, Vec::new());
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(io("read", &path))?;
            if read == 0 {
                break;
            }
            number += 1;
            if line.last() != Some(&b'\n') {
                break;
            }
            let damaged =
                |reason: String| StoreError::Damaged { path: path.clone(), line: number, reason };
            let value =
                serde_json::from_slice(&line).map_err(|error| damaged(error.to_string()))?;
            self.load(value).map_err(damaged)?;
            good += read as u64;
        }
        if good < self.journal.bytes {
            self.journal.file.set_len(good).map_err(io("shorten", &path))?;
            self.journal.bytes = good;
        }
        Ok(())
    }

    /// Makes all changes since the last commit durable, as one unit. Nothing changed: nothing is written.
    ///
    /// After an error (a full disk) the changes can still be rolled back, or committed with the next ones.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        if !self.is_changed() {
            return Ok(());
        }
        if self.is_closed() {
            return Err(StoreError::Closed);
        }
        let path = Journal::path(&self.journal.directory, self.journal.generation);
        let bad = |error: serde_json::Error| StoreError::Damaged {
            path: path.clone(),
            line: 0,
            reason: error.to_string(),
        };
        let changes = self.changes().map_err(bad)?;
        let mut line = serde_json::to_vec(&changes).map_err(bad)?;
        line.push(b'\n');
        if let Err(error) = self.journal.file.write_all(&line) {
            // Half a line must not stand before the next one.
            let _ = self.journal.file.set_len(self.journal.bytes);
            return Err(io("write", &path)(error));
        }
        self.journal.bytes += line.len() as u64;
        self.forget_undo();
        if self.journal.bytes > SNAPSHOT_AFTER {
            self.snapshot()?;
        }
        Ok(())
    }

    /// Writes everything anew and starts an empty journal.
    fn snapshot(&mut self) -> Result<(), StoreError> {
        let directory = self.journal.directory.clone();
        let (old, new) = (self.journal.generation, self.journal.generation + 1);
        let path = Journal::snapshot_path(&directory, new);
        let temporary = directory.join("snapshot.tmp");
        let all = self.dump().and_then(|all| serde_json::to_vec(&all)).map_err(|error| {
            StoreError::Damaged { path: path.clone(), line: 0, reason: error.to_string() }
        })?;
        let mut file = File::create(&temporary).map_err(io("create", &temporary))?;
        file.write_all(&all).map_err(io("write", &temporary))?;
        file.sync_all().map_err(io("write", &temporary))?;
        // The journal of the new generation has to be empty before the snapshot makes it the current one.
        let journal_path = Journal::path(&directory, new);
        File::create(&journal_path).map_err(io("create", &journal_path))?;
        fs::rename(&temporary, &path).map_err(io("rename", &temporary))?;
        self.journal = Journal::open(&directory, new)?;
        let _ = fs::remove_file(Journal::path(&directory, old));
        let _ = fs::remove_file(Journal::snapshot_path(&directory, old));
        Ok(())
    }

    /// Lets go of the directory. Nothing is written any more.
    pub(crate) fn close(&mut self) {
        self.lock = None;
    }

    /// Whether the directory is no longer ours.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock.is_none()
    }

    /// The simulator's own memory.
    pub(crate) fn memory(&self) -> rows::Memory {
        self.memory.get(1).cloned().unwrap_or_default()
    }

    /// Changes the simulator's own memory.
    pub(crate) fn remember(&mut self, how: impl FnOnce(&mut rows::Memory)) {
        let mut memory = self.memory();
        how(&mut memory);
        self.memory.put(1, memory);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn package(store: &mut Store, name: &str) -> i64 {
        let id = store.packages.new_id();
        store.packages.put(id, rows::Package { id, name: name.to_owned() });
        id
    }

    fn names(store: &Store) -> Vec<&str> {
        store.packages.all().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn committed_rows_survive_and_others_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        package(&mut store, "bash");
        store.commit().unwrap();
        package(&mut store, "glibc");
        drop(store);
        assert_eq!(names(&Store::open(directory.path()).unwrap()), ["bash"]);
    }

    #[test]
    fn the_journal_may_be_cut_at_any_byte() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        let mut ends = vec![0];
        for name in ["bash", "glibc", "zlib"] {
            package(&mut store, name);
            store.commit().unwrap();
            ends.push(store.journal.bytes);
        }
        drop(store);
        let path = directory.path().join("journal.0");
        let mut whole = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut whole).unwrap();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut store = Store::open(directory.path()).unwrap();
            let complete = ends.iter().filter(|end| **end > 0 && **end <= cut as u64).count();
            assert_eq!(names(&store), ["bash", "glibc", "zlib"][..complete], "cut at {cut}");
            // What is committed after such a start must be readable too.
            let id = package(&mut store, "new");
            assert_eq!(id as usize, complete + 1);
            store.commit().unwrap();
            drop(store);
            assert_eq!(Store::open(directory.path()).unwrap().packages.all().count(), complete + 1);
        }
    }

    #[test]
    fn a_directory_belongs_to_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Store::open(directory.path()).unwrap();
        let error = Store::open(directory.path()).unwrap_err().to_string();
        assert!(error.ends_with(
            "is in use by another simulated Koji; stop that one, or choose another directory"
        ));
        drop(first);
        Store::open(directory.path()).unwrap();
    }

    #[test]
    fn a_damaged_middle_is_reported_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("journal.0"), "{}\nrubbish\n{}\n").unwrap();
        let error = Store::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("journal.0 is damaged at line 2"), "{error}");
    }

    #[test]
    fn a_snapshot_replaces_the_journal() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        package(&mut store, "bash");
        store.commit().unwrap();
        store.snapshot().unwrap();
        package(&mut store, "glibc");
        store.commit().unwrap();
        drop(store);
        assert!(!directory.path().join("journal.0").exists());
        let mut store = Store::open(directory.path()).unwrap();
        assert_eq!(names(&store), ["bash", "glibc"]);
        assert_eq!(store.packages.new_id(), 3);
    }

    #[test]
    fn rollback_restores_rows_but_never_gives_an_id_twice() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        let bash = package(&mut store, "bash");
        let savepoint = store.savepoint();
        store.packages.change(bash, |row| row.name = "zsh".to_owned());
        package(&mut store, "glibc");
        store.rollback(savepoint);
        assert_eq!(names(&store), ["bash"]);
        assert_eq!(store.packages.new_id(), 3);
        assert!(store.is_changed());
        store.rollback(Savepoint { packages: 0, ..savepoint });
        assert!(!store.is_changed());
    }
}
