//! The certificate login as the stock Apache configuration of a hub wants it: the certificate is asked for after the
//! request, and only under `/ssllogin`. Python's TLS plays the server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use koji::{Client, ClientConfig, Error, Login, SessionOptions, calls};

struct TlsHub {
    directory: tempfile::TempDir,
    server: String,
    process: Child,
}

impl TlsHub {
    fn start() -> TlsHub {
        let directory = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls_hub.py");
        let process = Command::new("python3")
            .arg(script)
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = process.unwrap_or_else(|error| {
            panic!("this test needs python3 (Debian and Fedora: package python3): {error}")
        });
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port = port.trim();
        assert!(
            !port.is_empty(),
            "the TLS server did not start; it needs the openssl command, too"
        );
        let server = format!("https://127.0.0.1:{port}/kojihub");
        TlsHub { directory, server, process }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn client(&self, certificate: &str, authority: &str) -> Client {
        let session = SessionOptions {
            timeout: Duration::from_secs(30),
            max_retries: 3,
            retry_interval: Duration::from_millis(10),
            ..SessionOptions::default()
        };
        Client::new(ClientConfig {
            login: Login::Certificate { cert: self.file(certificate) },
            server_ca: Some(self.file(authority)),
            session,
            ..ClientConfig::anonymous(&self.server)
        })
    }
}

impl Drop for TlsHub {
    fn drop(&mut self) {
        // It ends when its standard input does.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn the_certificate_is_shown_when_it_is_asked_for_after_the_handshake() {
    let hub = TlsHub::start();
    let client = hub.client("koschei.pem", "ca.pem");
    let user = client.call(calls::get_logged_in_user()).await.unwrap().unwrap();
    // Other calls go on another connection, which no certificate belongs to.
    assert_eq!(user.name, "koschei, no certificate");
}

#[tokio::test]
async fn what_is_wrong_with_certificates_is_told_at_once() {
    let hub = TlsHub::start();
    for (certificate, authority, reason) in [
        ("koschei.pem", "other-ca.pem", "certificate"),
        ("stranger.pem", "ca.pem", "unknown ca"),
        ("koschei.pem", "nowhere.pem", "nowhere.pem"),
        ("ca.pem", "ca.pem", "private key"),
    ] {
        let client = hub.client(certificate, authority);
        let error = client.call(calls::get_logged_in_user()).await.unwrap_err();
        assert!(matches!(error, Error::Setup { .. }), "{certificate}, {authority}: {error:?}");
        assert!(!error.is_transient());
        assert!(error.to_string().contains(reason), "{error}");
    }
}
