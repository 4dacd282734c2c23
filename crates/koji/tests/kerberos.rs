//! The login by GSSAPI: which tickets are asked for, in whose name, and what is told when there are none. A Kerberos server
//! of the test's own gives the tickets, and its log tells who asked; the hub is the small one of the other tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod support;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use koji::{Client, ClientConfig, Error, Login, calls};

use self::support::{Hub, Trouble};

const REALM: &str = "KOSCHEI.TEST";

/// A Kerberos server on a port of its own, with a keytab of two users.
struct Kdc {
    directory: tempfile::TempDir,
    process: Option<Child>,
}

impl Kdc {
    /// Written down: a realm whose server has this port.
    fn realm() -> Kdc {
        let directory = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = directory.path().display();
        let client = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n rdns = false\n \
             dns_canonicalize_hostname = false\n default_ccache_name = FILE:{at}/default-cache\n\
             [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
        );
        let server = format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n {REALM} = {{\n  database_name = {at}/principal\n  key_stash_file = {at}/stash\n }}\n\
             [logging]\n kdc = FILE:{at}/kdc.log\n"
        );
        std::fs::write(directory.path().join("krb5.conf"), client).unwrap();
        std::fs::write(directory.path().join("kdc.conf"), server).unwrap();
        Kdc { directory, process: None }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let sbin = PathBuf::from("/usr/sbin").join(program);
        let mut command = Command::new(if sbin.exists() { sbin } else { PathBuf::from(program) });
        command
            .env("KRB5_CONFIG", self.file("krb5.conf"))
            .env("KRB5_KDC_PROFILE", self.file("kdc.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let status = self.command(program).args(arguments).status().unwrap_or_else(|error| {
            panic!(
                "this test needs {program} (Debian: krb5-kdc and krb5-admin-server, Fedora: krb5-server): {error}"
            )
        });
        assert!(status.success(), "{program} {arguments:?}: {status}");
    }

    fn start() -> Kdc {
        let mut kdc = Kdc::realm();
        kdc.run("kdb5_util", &["create", "-s", "-r", REALM, "-P", "master"]);
        let keytab = kdc.file("koschei.keytab");
        let keytab = keytab.to_str().unwrap();
        for principal in ["koschei/ci", "second", "HTTP/127.0.0.1"] {
            kdc.run("kadmin.local", &["-q", &format!("addprinc -randkey {principal}")]);
        }
        kdc.run("kadmin.local", &["-q", &format!("ktadd -k {keytab} koschei/ci second")]);
        kdc.process = Some(kdc.command("krb5kdc").arg("-n").spawn().unwrap());
        kdc
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client that is told the truth about the hub's web server, and may try again five times.
fn client(
    hub: &Hub,
    principal: Option<&str>,
    keytab: Option<PathBuf>,
    ccache: Option<String>,
) -> Client {
    let login = Login::Gssapi { principal: principal.map(str::to_owned), keytab, ccache };
    Client::new(ClientConfig { login, ..hub.config() })
}

async fn log_in(client: &Client) -> Result<(), Error> {
    client.call(calls::get_logged_in_user()).await.map(|_| ())
}

fn token(hub: &Hub, login: usize) -> String {
    let seen = hub.seen("sslLogin");
    seen[login].header("Authorization").unwrap().strip_prefix("Negotiate ").unwrap().to_owned()
}

/// Where Kerberos finds its configuration is a matter of the whole process: runs the test of this name once more, in a
/// process that has the variables.
fn run_with(test: &str, variables: &[(&str, PathBuf)]) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env_remove("KRB5CCNAME")
        .env_remove("KRB5_CLIENT_KTNAME")
        .status();
    assert!(status.unwrap().success());
}

/// A directory that tells the second process what the first one made.
const MADE: &str = "KOSCHEI_TEST_KERBEROS";

#[test]
fn each_login_has_its_own_tickets() {
    match std::env::var_os(MADE) {
        Some(directory) => run(each_login_has_its_own_tickets_within(directory.into())),
        None => {
            let kdc = Kdc::start();
            let variables =
                [("KRB5_CONFIG", kdc.file("krb5.conf")), (MADE, kdc.directory.path().to_owned())];
            run_with("each_login_has_its_own_tickets", &variables);
        }
    }
}

#[test]
fn a_kerberos_server_that_is_away_is_waited_for() {
    match std::env::var_os(MADE) {
        Some(directory) => {
            run(a_kerberos_server_that_is_away_is_waited_for_within(directory.into()))
        }
        None => {
            let mut kdc = Kdc::start();
            kdc.stop();
            let variables =
                [("KRB5_CONFIG", kdc.file("krb5.conf")), (MADE, kdc.directory.path().to_owned())];
            run_with("a_kerberos_server_that_is_away_is_waited_for", &variables);
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(test);
}

/// Who asked the server in this directory for a ticket for the hub's web server so far.
fn served(directory: &Path) -> Vec<String> {
    let wanted = format!(" for HTTP/127.0.0.1@{REALM}");
    let log = std::fs::read_to_string(directory.join("kdc.log")).unwrap_or_default();
    let tickets = log.lines().filter(|line| line.contains("ISSUE") && line.contains(&wanted));
    tickets
        .map(|line| {
            let (before, _) = line.split_once(&wanted).unwrap();
            before.rsplit([' ', ',']).next().unwrap().to_owned()
        })
        .collect()
}

async fn each_login_has_its_own_tickets_within(directory: PathBuf) {
    let wait_for = |expected: &[&str]| {
        let expected: Vec<String> =
            expected.iter().map(|principal| format!("{principal}@{REALM}")).collect();
        let begin = Instant::now();
        while served(&directory) != expected {
            let served = served(&directory);
            assert!(begin.elapsed() < Duration::from_secs(20), "{served:?}, not {expected:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let keytab = || Some(directory.join("koschei.keytab"));
    let hub = Hub::start();

    // Two hubs in one process, each with its own principal.
    let first = client(&hub, Some(&format!("koschei/ci@{REALM}")), keytab(), None);
    let second = client(&hub, Some("second"), keytab(), None);
    log_in(&first).await.unwrap();
    wait_for(&["koschei/ci"]);
    log_in(&second).await.unwrap();
    wait_for(&["koschei/ci", "second"]);
    assert_eq!(hub.seen("sslLogin")[0].path, "/kojihub/ssllogin");
    assert!(hub.seen("getLoggedInUser")[0].header("Authorization").is_none());
    // SPNEGO, and a token of its own for each login.
    assert!(token(&hub, 0).starts_with("YII"), "{}", token(&hub, 0));
    assert_ne!(token(&hub, 0), token(&hub, 1));

    // A session that is lost is made anew with the ticket that is there.
    hub.troubles([Trouble::SessionForgotten]);
    log_in(&first).await.unwrap();
    assert_eq!(hub.seen("sslLogin").len(), 3);
    wait_for(&["koschei/ci", "second"]);

    // Without a principal it is the first of the keytab; tickets in a cache that is named can be used by others.
    let cache = format!("FILE:{}", directory.join("cache").display());
    log_in(&client(&hub, None, keytab(), Some(cache.clone()))).await.unwrap();
    wait_for(&["koschei/ci", "second", "koschei/ci"]);
    log_in(&client(&hub, None, None, Some(cache))).await.unwrap();
    wait_for(&["koschei/ci", "second", "koschei/ci"]);
    assert!(!directory.join("default-cache").exists(), "tickets of nobody else are touched");

    // What is wrong is named, and not tried again.
    let nowhere = Some(directory.join("nowhere.keytab"));
    let nobody = format!("nobody@{REALM}");
    for (client, reasons) in [
        (client(&hub, None, nowhere, None), ["nowhere.keytab", "cannot be read"]),
        (
            client(&hub, Some(&nobody), keytab(), None),
            ["koschei.keytab", "no key of this principal"],
        ),
        (
            client(&hub, None, None, Some("FILE:/nowhere/cache".into())),
            ["/nowhere/cache", "ticket"],
        ),
        (client(&hub, None, None, None), ["HTTP@127.0.0.1", "default-cache"]),
    ] {
        let before = hub.state().seen.len();
        let error = log_in(&client).await.unwrap_err();
        assert!(matches!(error, Error::Setup { .. }), "{error:?}");
        for reason in reasons {
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert_eq!(hub.state().seen.len(), before);
    }

    // A web server that does not want the ticket.
    hub.troubles([Trouble::Status(401, false)]);
    let error = log_in(&client(&hub, Some("second"), keytab(), None)).await.unwrap_err();
    assert!(matches!(error, Error::Setup { .. }), "{error:?}");
    assert!(error.to_string().contains("does not accept our Kerberos ticket"), "{error}");
    let secret = token(&hub, hub.seen("sslLogin").len() - 1);
    assert!(!format!("{error} {error:?} {first:?}").contains(&secret));
}

async fn a_kerberos_server_that_is_away_is_waited_for_within(directory: PathBuf) {
    let hub = Hub::start();
    let keytab = directory.join("koschei.keytab");
    let mut config = client(&hub, None, Some(keytab), None).config().clone();
    config.session.max_retries = 1;
    let error = log_in(&Client::new(config)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { tries: 2, .. }), "{error:?}");
    assert!(error.is_transient());
    assert!(hub.state().seen.is_empty());
}
