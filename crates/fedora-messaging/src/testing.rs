//! For tests: a private RabbitMQ, and the original client from Python to hold ours against.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use it, and a panic is how a test fails"
)]

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::config::{Binding, Config, Queue, Tls};

/// Where Debian and Fedora put the program. Their wrapper in the search path would change the user and the directories.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Its administrators' tool.
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// How long the broker may take to come up, and the package index to answer.
const PATIENCE: Duration = Duration::from_secs(180);

/// A RabbitMQ of its own, on ports of its own, with its data in a directory that goes with it. It ends with the process
/// that started it, however that ends. The account is `koschei`, its password too.
#[derive(Debug)]
pub struct Broker {
    directory: tempfile::TempDir,
    ports: Ports,
    // A shell that holds the processes; it ends them when the pipe to it closes.
    keeper: Option<Child>,
}

/// What a broker can be short of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Memory.
    Memory,
    /// Disk.
    Disk,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: u16,
    encrypted: u16,
    distribution: u16,
    mapper: u16,
}

/// Starts Erlang's port mapper and the broker, waits until the pipe is closed, and ends the whole group of processes, itself
/// included: the broker's own scripts stand between it and us.
const KEEPER: &str = r#"
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 &
"$0" >"$RABBITMQ_LOG_BASE/output" 2>&1 &
cat >/dev/null
kill -KILL 0
"#;

impl Broker {
    /// Starts a broker and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed or does not come up.
    #[must_use]
    pub fn start() -> Self {
        assert!(
            Path::new(SERVER).exists(),
            "{SERVER} is missing: install the package rabbitmq-server (scripts/install-deps test)"
        );
        let directory = tempfile::tempdir().expect("a directory for the broker");
        let path = directory.path();
        certificates(path);
        let [plain, encrypted, distribution, mapper] = free_ports();
        let ports = Ports { plain, encrypted, distribution, mapper };
        let settings = format!(
            "listeners.tcp.local = 127.0.0.1:{plain}
             listeners.ssl.local = 127.0.0.1:{encrypted}
             ssl_options.cacertfile = {path}/ca.pem
             ssl_options.certfile = {path}/server.pem
             ssl_options.keyfile = {path}/server.key
             ssl_options.verify = verify_peer
             ssl_options.fail_if_no_peer_cert = true
             ssl_cert_login_from = common_name
             auth_mechanisms.1 = PLAIN
             auth_mechanisms.2 = EXTERNAL
             default_user = koschei
             default_pass = koschei
             log.console = false
             log.file = broker.log
             ",
            path = path.display()
        );
        for (name, text) in
            [("rabbitmq.conf", settings.as_str()), ("plugins", "[rabbitmq_auth_mechanism_ssl].\n")]
        {
            std::fs::write(path.join(name), text).expect("the broker's settings");
        }
        std::fs::create_dir(path.join("log")).expect("a directory for its log");
        let mut broker = Self { directory, ports, keeper: None };
        broker.run();
        broker
    }

    /// Starts it again on the same ports, with what durable queues had in them.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn run(&mut self) {
        let path = self.directory.path();
        let keeper = self
            .in_its_environment("sh")
            .args(["-c", KEEPER, SERVER])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        self.keeper = Some(keeper);
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(path.join("log/output")).unwrap_or_default();
                panic!("RabbitMQ does not come up:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A command that finds this broker, and whose broker has everything in its own directory.
    fn in_its_environment(&self, program: &str) -> Command {
        let Ports { plain, distribution, mapper, .. } = self.ports;
        let path = self.directory.path();
        let mut command = Command::new(program);
        command
            // Where Erlang would leave its dumps.
            .current_dir(path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", path)
            .env("ERL_EPMD_PORT", mapper.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // Erlang takes both cores otherwise, busily.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none")
            .env("RABBITMQ_NODENAME", format!("koschei{plain}@localhost"))
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", path.join("rabbitmq"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", path.join("data"))
            .env("RABBITMQ_LOG_BASE", path.join("log"))
            .env("RABBITMQ_PID_FILE", path.join("pid"));
        command
    }

    /// What administrators do with `rabbitmqctl`.
    ///
    /// # Panics
    /// When it does not work.
    pub fn control(&self, arguments: &[&str]) {
        let output = self.in_its_environment(CONTROL).args(arguments).output().expect(CONTROL);
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Lets it be short of memory or of disk, by its own judgement, or of neither. While it is, it reads nothing from whoever
    /// publishes.
    ///
    /// # Panics
    /// When that cannot be set.
    pub fn set_shortage(&self, shortage: Option<Shortage>) {
        let memory = if shortage == Some(Shortage::Memory) { "0.0" } else { "0.4" };
        self.control(&["set_vm_memory_high_watermark", memory]);
        let disk = if shortage == Some(Shortage::Disk) { "1000000GB" } else { "1MB" };
        self.control(&["set_disk_free_limit", disk]);
    }

    /// Whether it greets a client: it answers a wrong greeting with the right one.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.ports.plain)) else {
            return false;
        };
        let mut greeting = [0; 4];
        stream.write_all(b"AMQP\x09\x09\x09\x09").is_ok()
            && stream.read_exact(&mut greeting).is_ok()
            && greeting == *b"AMQP"
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.ports.plain).into()
    }

    /// The configuration file of a program that uses this broker by name and password. `rest` is appended.
    #[must_use]
    pub fn settings(&self, rest: &str) -> String {
        format!("amqp_url = \"amqp://koschei:koschei@127.0.0.1:{}/%2F\"\n{rest}", self.ports.plain)
    }

    /// The same, read.
    ///
    /// # Panics
    /// When it is wrong.
    #[must_use]
    pub fn config(&self, rest: &str) -> Config {
        Config::parse(&self.settings(rest), Path::new("the test's configuration"))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// A configuration with one durable queue that gets messages of these topics.
    #[must_use]
    pub fn with_queue(&self, name: &str, topics: &[&str]) -> Config {
        let queue = Queue {
            durable: true,
            auto_delete: false,
            exclusive: false,
            arguments: toml::Table::new(),
            passive: None,
        };
        let mut config = self.config("");
        config.queues = [(name.to_owned(), queue)].into();
        config.bindings = vec![Binding {
            queue: name.to_owned(),
            exchange: "amq.topic".to_owned(),
            routing_keys: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        }];
        config
    }

    /// A configuration that uses the encrypted port and a certificate.
    #[must_use]
    pub fn with_certificate(&self) -> Config {
        let file = |name: &str| Some(self.directory.path().join(name));
        let mut config = self.config("");
        let url = format!("amqps://localhost:{}/%2F", self.ports.encrypted);
        config.amqp_url = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        config.tls = Tls {
            ca_cert: file("ca.pem"),
            keyfile: file("client.key"),
            certfile: file("client.pem"),
        };
        config
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports that nobody uses at the moment.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}

/// An authority, and certificates from it for the broker on this host and for the account `koschei`.
fn certificates(directory: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(directory)
            .output()
            .unwrap_or_else(|error| panic!("openssl cannot be run: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.pem -days 2"));
    for (name, host) in [("server", "localhost"), ("client", "koschei")] {
        openssl(&format!(
            "req -new {key} -subj /CN={host} -addext subjectAltName=DNS:{host} -keyout {name}.key -out {name}.csr"
        ));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -out {name}.pem -days 2"
        ));
    }
}

/// A Python that has the original client and the schemas of the messages of Koji and Koschei, and Prometheus' reader of
/// metrics. Made once per process.
///
/// # Panics
/// When Python or its package index is not there.
#[must_use]
pub fn python() -> PathBuf {
    static ENVIRONMENT: OnceLock<(PathBuf, Child)> = OnceLock::new();
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
            panic!("{} cannot be run ({error}); install python3 with venv", program.display())
        });
        assert!(
            output.status.success(),
            "{} {arguments:?} failed; it needs python3 with venv, and the Python package index:\n{}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let (environment, _) = ENVIRONMENT.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory for Python").keep();
        // A static is never dropped, so it goes when the pipe to this shell closes with our process.
        let remover = Command::new("sh")
            .args(["-c", "cat >/dev/null; rm -rf \"$0\""])
            .arg(&directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let path = directory.display().to_string();
        run(Path::new("python3"), &["-m", "venv", &path]);
        let packages = [
            "fedora-messaging==3.9.1",
            "koschei-messages==1.0.1",
            "koji-fedoramessaging-messages==1.3.0",
            "prometheus-client==0.23.1",
        ];
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(&directory.join("bin/python"), &[&pip[..], &packages].concat());
        (directory, remover)
    });
    environment.join("bin/python")
}

/// The original client as a process that receives everything that goes through a broker, and holds it against the schemas
/// of its senders: what does not satisfy them does not come out.
#[derive(Debug)]
pub struct OriginalReceiver {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _settings: tempfile::NamedTempFile,
}

impl OriginalReceiver {
    /// Starts it with the text of a configuration file, and waits until it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(settings: &str) -> Self {
        let settings = settings_file(settings);
        let mut process = script("receive.py", settings.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python process");
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut receiver = Self { process, lines, _settings: settings };
        assert_eq!(receiver.receive(), "listening");
        receiver
    }

    /// The next message, with everything about it (see `tests/python/receive.py`).
    ///
    /// # Panics
    /// When the process ends.
    pub fn receive(&mut self) -> serde_json::Value {
        let line = self.lines.next().expect("the receiver is alive").expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }
}

impl Drop for OriginalReceiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The original client as a process that publishes what Koji would.
#[derive(Debug)]
pub struct OriginalPublisher {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _settings: tempfile::NamedTempFile,
}

impl OriginalPublisher {
    /// Starts it with the text of a configuration file.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(settings: &str) -> Self {
        let settings = settings_file(settings);
        let mut process = script("publish.py", settings.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python process");
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        Self { process, lines, _settings: settings }
    }

    /// Publishes a message of a class of `koji_fedoramessaging_messages`, such as `TagV1`, and waits until the broker has
    /// it.
    ///
    /// # Panics
    /// When the body does not satisfy the schema, or the broker does not take it.
    pub fn publish(&mut self, class: &str, body: &serde_json::Value) {
        let line = serde_json::json!({ "class": class, "body": body });
        let input = self.process.stdin.as_mut().expect("its input");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("the publisher is alive");
        let answer = self.lines.next().expect("the publisher is alive").expect("a line");
        assert_eq!(answer, class);
    }
}

impl Drop for OriginalPublisher {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn settings_file(settings: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file for settings");
    std::fs::write(file.path(), settings).expect("settings");
    file
}

fn script(name: &str, settings: &Path) -> Command {
    let mut command = Command::new(python());
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name))
        .env("FEDORA_MESSAGING_CONF", settings);
    command
}
