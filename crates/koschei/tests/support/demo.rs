//! `koschei demo` as a process: what it says, how it is interrupted and killed.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::installation::free_port;

/// A running demo. It and everything that belongs to it is killed when this is dropped.
pub(crate) struct Demo {
    child: Child,
    directory: PathBuf,
    port: u16,
    said: Arc<Mutex<String>>,
}

impl Demo {
    /// Starts it on a free port.
    pub(crate) fn start(directory: &Path, options: &[&str]) -> Self {
        Self::start_on(directory, free_port(), options)
    }

    /// Starts it on a port.
    pub(crate) fn start_on(directory: &Path, port: u16, options: &[&str]) -> Self {
        open_to_others(directory);
        let mut command = Command::new(env!("CARGO_BIN_EXE_koschei"));
        command.arg("demo").arg("--dir").arg(directory).args(["--port", &port.to_string()]);
        command.args(options);
        Self::spawn(command, directory, port)
    }

    /// Starts it in a mount namespace of its own, after a command that changes what it finds on disk; nothing where the
    /// system does not allow that.
    fn start_after(prepare: &str, argument: &Path, directory: &Path) -> Option<Self> {
        let allowed = |options: &[&str]| {
            let output = Command::new("unshare").args(options).arg("true").output();
            output.is_ok_and(|output| output.status.success())
        };
        let namespaces: &[&[&str]] = &[&["--mount"], &["--user", "--map-root-user", "--mount"]];
        let options = namespaces.iter().find(|options| allowed(options))?;
        let port = free_port();
        let mut command = Command::new("unshare");
        command.args(*options).args([
            "sh",
            "-c",
            &format!("{prepare} && shift && exec \"$@\""),
            "sh",
        ]);
        command.arg(argument).arg(env!("CARGO_BIN_EXE_koschei")).arg("demo");
        command.arg("--dir").arg(directory).args(["--port", &port.to_string()]);
        // Where the system keeps a server's programs in the search path, they must not be found there either.
        command.env("PATH", "/usr/bin:/bin");
        Some(Self::spawn(command, directory, port))
    }

    /// Starts it where PostgreSQL's server is not installed.
    pub(crate) fn start_without_postgresql(directory: &Path) -> Option<Self> {
        let empty = directory.join("nothing");
        fs::create_dir(&empty).unwrap();
        let cover = "if [ -d /usr/lib/postgresql ]; then mount --bind \"$1\" /usr/lib/postgresql; \
                     else mount --bind \"$1\" /usr/bin; fi";
        Self::start_after(cover, &empty, &directory.join("demo"))
    }

    /// Starts it on a disk with 30 MB.
    pub(crate) fn start_on_full_disk(directory: &Path) -> Option<Self> {
        Self::start_after("mount -t tmpfs -o size=30m tmpfs \"$1\"", directory, directory)
    }

    fn spawn(mut command: Command, directory: &Path, port: u16) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let output = child.stdout.take().unwrap();
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut heard = heard.lock().unwrap();
                heard.push_str(&line);
                heard.push('\n');
            }
        });
        Self { child, directory: directory.to_owned(), port, said }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The address of a page.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything that it told so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has told something.
    pub(crate) fn wait_for(&mut self, words: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !self.said().contains(words) {
            self.assert_alive();
            assert!(
                Instant::now() < deadline,
                "not told within {patience:?}: {words:?}; it told:\n{}\n{}",
                self.said(),
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            let mut why = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
            panic!("the demo has ended ({status}): {why}\nit told:\n{}", self.said());
        }
    }

    /// The one sentence with which it ends at once.
    pub(crate) fn refusal(&mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(240);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it goes on: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!(!status.success());
        let mut why = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
        assert_eq!(why.trim_end().lines().count(), 1, "one sentence: {why}");
        why.trim_end().to_owned()
    }

    /// It and all its descendants.
    pub(crate) fn family(&self) -> Vec<i32> {
        let parents = parents();
        let own = i32::try_from(self.child.id()).unwrap();
        let mut family = vec![own];
        let mut place = 0;
        while let Some(member) = family.get(place).copied() {
            family.extend(
                parents.iter().filter(|(_, parent)| **parent == member).map(|(pid, _)| *pid),
            );
            place += 1;
        }
        // PostgreSQL detaches itself from whoever started it.
        for pid in processes_of(&self.directory).into_keys() {
            if !family.contains(&pid) {
                family.push(pid);
            }
        }
        family
    }

    /// As Ctrl-C in a terminal does; how it ended.
    pub(crate) fn interrupt(&mut self) -> ExitStatus {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGINT).unwrap();
        self.child.wait().unwrap()
    }

    /// `kill -9` of everything at once.
    pub(crate) fn kill_everything(&mut self) {
        for pid in self.family() {
            // Some go by themselves as soon as others are gone.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        self.child.wait().unwrap();
    }

    /// `kill -9` of the demo's own process only.
    pub(crate) fn kill_parent(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The ends of its logs.
    pub(crate) fn logs(&self) -> String {
        let mut all = String::new();
        for entry in fs::read_dir(self.directory.join("logs")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let end = lines[lines.len().saturating_sub(15)..].join("\n");
            all.push_str(&format!("--- {}\n{end}\n", entry.path().display()));
        }
        all
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        for pid in self.family() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// Lets the user that PostgreSQL runs as, when we are root, pass through a test's directory.
fn open_to_others(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o755));
}

/// Every process whose command line names something in this directory, with its words.
pub(crate) fn processes_of(directory: &Path) -> BTreeMap<i32, Vec<String>> {
    let directory = directory.to_string_lossy().into_owned();
    let mut found = BTreeMap::new();
    for (pid, _) in parents() {
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let words: Vec<String> = line
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let named = words.iter().any(|word| word.contains(&directory));
        let configured = environment
            .split(|byte| *byte == 0)
            .any(|word| word.starts_with(format!("KOSCHEI_CONFIG={directory}").as_bytes()));
        if named || configured {
            found.insert(pid, words);
        }
    }
    found
}

/// Whether a process runs; one that has ended and that nobody has asked about does not.
pub(crate) fn is_alive(pid: i32) -> bool {
    parents().contains_key(&pid)
}

/// The parent of each process.
fn parents() -> BTreeMap<i32, i32> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in parentheses may hold anything; the parent is the second field after it.
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        let mut fields = rest.split_whitespace();
        let state = fields.next();
        if let (Some(parent), false) =
            (fields.next().and_then(|p| p.parse().ok()), state == Some("Z"))
        {
            parents.insert(pid, parent);
        }
    }
    parents
}
