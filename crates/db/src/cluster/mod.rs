//! A private PostgreSQL: own data directory, own Unix socket, no network, ends with its parent.
//!
//! The demo and the tests need a real PostgreSQL on a machine where nobody has set one up. This runs one from the
//! distribution's programs. It listens on a Unix socket in a directory that only its user can enter, and nowhere else.
//! PostgreSQL refuses to run as root; started by root it runs as `postgres`, else as `nobody`.
//!
//! The server must never outlive us, not even when we are killed with -9. So it is started by a small shell script that
//! then reads from a pipe of which we hold the other end: when we end, however that happens, the pipe ends, and the
//! script stops the server. Should the script be killed as well, the next start finds the server and stops it: a lock on
//! a file, which the system takes back from a dead process, says whether a living one uses the directory.

mod error;
mod place;
mod processes;
mod programs;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub use error::ClusterError;

use crate::connection::{Address, DatabaseConfig, connect_one};
use crate::error::Result as DatabaseResult;
use place::Place;
use programs::Programs;

/// The number in the socket's name.
const PORT: u16 = 5432;

/// The database user that owns everything.
const SUPERUSER: &str = "koschei";

/// How a private PostgreSQL is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything of it goes; created when it is not there. Its user must be able to enter it.
    pub directory: PathBuf,
    /// Whether committed data must survive a crash of the machine. Tests do not need that, and are faster without.
    pub durable: bool,
    /// Whether the directory is removed when the server ends with its parent.
    pub ephemeral: bool,
    /// How many connections it accepts.
    pub max_connections: u32,
    /// Where the socket goes, instead of a place of our choice.
    pub socket_directory: Option<PathBuf>,
    /// What the server's environment has besides ours.
    pub environment: Vec<(String, String)>,
}

impl Options {
    /// A durable server in this directory, which stays: what the demo wants.
    pub fn durable(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            durable: true,
            ephemeral: false,
            max_connections: 100,
            socket_directory: None,
            environment: Vec::new(),
        }
    }

    /// A fast server in this directory, which is removed in the end: what tests want.
    pub fn ephemeral(directory: impl Into<PathBuf>) -> Self {
        Self { durable: false, ephemeral: true, max_connections: 300, ..Self::durable(directory) }
    }
}

/// A private PostgreSQL server. It is stopped when this is dropped, and when the process ends in whatever way.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
    place: Place,
    programs: Programs,
    /// The script that stops the server when its input ends; none while stopped.
    keeper: Option<Child>,
    /// Says to other processes that the directory is in use.
    _lock: File,
}

/// Started with: pg_ctl, data directory, log, the signal that ends the server, what to remove in the end (or nothing).
/// It ends only the server that it started: by the time it gets to that, the next one may be there already.
const KEEPER: &str = r#"
# Our parent may be gone when we have something to say to it.
trap '' PIPE
if ! "$1" start -D "$2" -l "$3" -w -t 300 >&2 </dev/null; then
    echo failed
    exit 1
fi
read -r server <"$2/postmaster.pid"
echo ready
keep=
while read -r command; do
    [ "$command" = stop ] && keep=1 && break
done
runs() {
    { read -r now <"$2/postmaster.pid"; } 2>/dev/null && [ "$now" = "$server" ]
}
kill -s "$4" "$server"
turns=0
while runs "$@"; do
    turns=$((turns + 1))
    [ $turns = 300 ] && kill -s QUIT "$server"
    [ $turns = 400 ] && kill -s KILL "$server" && break
    sleep 0.1
done
[ -n "$5" ] && [ -z "$keep" ] && rm -rf "$5"
exit 0
"#;

impl Cluster {
    /// Starts a server, creating its data directory first if there is none, and waits until it answers. After a crash it
    /// recovers its data.
    ///
    /// # Errors
    /// [`ClusterError`]: a sentence for people.
    pub async fn start(options: Options) -> Result<Self, ClusterError> {
        blocking(move || Self::start_blocking(options)).await
    }

    /// As [`start`](Self::start), for callers outside an async runtime.
    ///
    /// # Errors
    /// [`ClusterError`]: a sentence for people.
    pub fn start_blocking(options: Options) -> Result<Self, ClusterError> {
        let installed = Programs::installed();
        let newest = installed.first().cloned().ok_or(ClusterError::NotInstalled)?;
        let (place, lock) = Place::take(&options)?;
        let programs = match place.data_version()? {
            None => newest,
            Some(version) => installed
                .into_iter()
                .find(|programs| programs.major_version().as_ref() == Some(&version))
                .ok_or_else(|| ClusterError::OtherVersion {
                    directory: place.directory.clone(),
                    version,
                })?,
        };
        let mut cluster = Self { options, place, programs, keeper: None, _lock: lock };
        cluster.launch()?;
        Ok(cluster)
    }

    /// The configuration for a database in this cluster. `postgres` is always there.
    #[must_use]
    pub fn config(&self, database: &str, application_name: &str) -> DatabaseConfig {
        let address = Address::Parts {
            host: self.place.socket_directory.display().to_string(),
            port: PORT,
            database: database.to_owned(),
            username: Some(SUPERUSER.to_owned()),
            password: None,
        };
        DatabaseConfig::new(address, application_name)
    }

    /// Creates a database, if there is none of that name. Gives whether it did.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn create_database(&self, name: &str) -> DatabaseResult<bool> {
        let mut connection = connect_one(&self.config("postgres", "koschei-cluster")).await?;
        let quoted: Option<String> = sqlx::query_scalar(
            "SELECT quote_ident($1) WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
        )
        .bind(name)
        .fetch_optional(&mut connection)
        .await?;
        let Some(quoted) = quoted else { return Ok(false) };
        let statement = format!("CREATE DATABASE {quoted}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
        Ok(true)
    }

    /// The directory of its socket, for `psql -h`.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        &self.place.socket_directory
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.place.log()
    }

    /// The server's main process, while it runs.
    #[must_use]
    pub fn server_process(&self) -> Option<u32> {
        let main = processes::main_process(&self.place.data())?;
        processes::servers_in(&self.place.data()).contains(&main).then_some(main)
    }

    /// Stops the server: open connections are ended, data is kept. Waits until it is down.
    ///
    /// # Errors
    /// When something of it stays.
    pub async fn stop(&mut self) -> Result<(), ClusterError> {
        let keeper = self.keeper.take();
        let data = self.place.data();
        blocking(move || {
            if let Some(keeper) = keeper {
                dismiss(keeper);
            }
            processes::end_servers_in(&data)
        })
        .await
    }

    /// Starts the server again after [`stop`](Self::stop), or after it died; a running one is stopped first.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&mut self) -> Result<(), ClusterError> {
        self.stop().await?;
        let (place, programs, options) =
            (self.place.clone(), self.programs.clone(), self.options.clone());
        self.keeper = Some(blocking(move || launch(&place, &programs, &options)).await?);
        Ok(())
    }

    fn launch(&mut self) -> Result<(), ClusterError> {
        self.keeper = Some(launch(&self.place, &self.programs, &self.options)?);
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        match self.keeper.take() {
            // Closing its input is enough; it does the rest.
            Some(mut keeper) => drop(keeper.stdin.take()),
            None if self.options.ephemeral => {
                let _ = fs::remove_dir_all(&self.place.directory);
            }
            None => (),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClusterError> + Send + 'static,
) -> Result<T, ClusterError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(ClusterError::Failed { reason: error.to_string(), log: PathBuf::from("/dev/null") })
    })
}

/// Tells the script to stop the server and to leave the directory as it is, and waits until it has.
fn dismiss(mut keeper: Child) {
    if let Some(mut input) = keeper.stdin.take() {
        let _ = input.write_all(b"stop\n");
    }
    let _ = keeper.wait();
}

/// Makes the data directory if needed, and starts the server in it.
fn launch(place: &Place, programs: &Programs, options: &Options) -> Result<Child, ClusterError> {
    let data = place.data();
    processes::end_servers_in(&data)?;
    place.clear_stale_files()?;
    if place.data_version()?.is_none() {
        initialise(place, programs, options)?;
    }
    write_settings(place, options)?;

    let log = place.log();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", KEEPER, "koschei-postgresql"])
        .arg(programs.path("pg_ctl"))
        .arg(&data)
        .arg(&log)
        // Fast shutdown; or immediate, where nobody will ask for the data again.
        .arg(if options.ephemeral { "QUIT" } else { "INT" })
        .arg(if options.ephemeral { place.directory.as_os_str() } else { "".as_ref() })
        // A Ctrl-C on the terminal is for us; we decide when the server goes.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    place.user.apply_to(&mut command, &place.directory);
    command.envs(options.environment.iter().map(|(name, value)| (name, value)));
    let mut keeper = command.spawn().map_err(ClusterError::io("run", Path::new("/bin/sh")))?;

    let mut answer = String::new();
    if let Some(output) = keeper.stdout.take() {
        // An unreadable answer counts as none.
        let _ = BufReader::new(output).read_line(&mut answer);
    }
    if answer.trim() == "ready" {
        return Ok(keeper);
    }
    drop(keeper.stdin.take());
    let mut said = String::new();
    if let Some(mut errors) = keeper.stderr.take() {
        let _ = errors.read_to_string(&mut said);
    }
    let _ = keeper.wait();
    said.push_str(&fs::read_to_string(&log).unwrap_or_default());
    if place.is_full() {
        // Then not even the log could be written.
        return Err(ClusterError::DiskFull { directory: place.directory.clone() });
    }
    Err(ClusterError::from_output(&said, &place.directory, &place.socket(), &log))
}

/// Makes the data directory under another name and moves it into place, so that a half-made one is never taken for good.
fn initialise(place: &Place, programs: &Programs, options: &Options) -> Result<(), ClusterError> {
    let unfinished = place.directory.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(ClusterError::io("remove", &unfinished))?;
    }
    let mut command = Command::new(programs.path("initdb"));
    command
        .arg("-D")
        .arg(&unfinished)
        .args(["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C"])
        .stdin(Stdio::null());
    if !options.durable {
        command.arg("--no-sync");
    }
    place.user.apply_to(&mut command, &place.directory);
    let output = command.output().map_err(ClusterError::io("run", &programs.path("initdb")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let log = place.log();
        let _ = fs::write(&log, said.as_bytes());
        return Err(ClusterError::from_output(&said, &place.directory, &place.socket(), &log));
    }
    let data = place.data();
    fs::rename(&unfinished, &data).map_err(ClusterError::io("create", &data))
}

/// Writes the server's configuration anew at each start, so that it always fits this version of ours.
fn write_settings(place: &Place, options: &Options) -> Result<(), ClusterError> {
    let socket_directory =
        place.socket_directory.display().to_string().replace('"', "\"\"").replace('\'', "''");
    let mut settings = format!(
        "# Written anew at each start.\n\
         listen_addresses = ''\n\
         port = {PORT}\n\
         unix_socket_directories = '\"{socket_directory}\"'\n\
         unix_socket_permissions = 0700\n\
         max_connections = {}\n\
         shared_buffers = '64MB'\n\
         # Works where /dev/shm is small, as in containers.\n\
         dynamic_shared_memory_type = 'mmap'\n\
         # Nobody replicates this.\n\
         wal_level = 'minimal'\n\
         max_wal_senders = 0\n\
         max_wal_size = '256MB'\n\
         jit = off\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         log_checkpoints = off\n",
        options.max_connections
    );
    if !options.durable {
        // What was committed survives the end of the server, in whatever way, but not that of the machine.
        settings.push_str("fsync = off\nfull_page_writes = off\n");
    }
    let path = place.data().join("postgresql.conf");
    fs::write(&path, settings).map_err(ClusterError::io("write", &path))
}
