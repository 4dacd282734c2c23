//! Somebody who types the commands of the administrator.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use axum::body::Body;
use axum::http::Request;
use kojisim::Sim;
use koschei_db::testing::{Database, database};
use tower::ServiceExt as _;

use crate::support::{database_section, stderr, stdout};

/// An operator at a terminal.
pub(crate) struct Operator {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) database: Database,
    koji: Option<Sim>,
}

impl Operator {
    pub(crate) async fn with(database: Database) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("koschei.toml"), database_section(database.config()))
            .unwrap();
        Self { directory, database, koji: None }
    }

    /// With a collection f27 that has packages foo, bar and baz, of which none is tracked.
    pub(crate) async fn with_packages() -> Self {
        let database = database().await;
        sqlx::raw_sql(
            "INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
             VALUES ('f27', 'Fedora 27', 'f27', 'f27', 'f27-build');
             INSERT INTO base_package (name) VALUES ('foo'), ('bar'), ('baz'), ('pkg1'), ('pkg2'), ('pkg3');
             INSERT INTO package (base_id, name, collection_id)
             SELECT base_package.id, base_package.name, collection.id FROM base_package, collection
             WHERE base_package.name IN ('foo', 'bar', 'baz');",
        )
        .execute(database.pool())
        .await
        .unwrap();
        Self::with(database).await
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.path().join("koschei.toml")
    }

    /// With a Koji that has the releases f27 and f28: a target, a tag for builds, and one for buildroots each.
    pub(crate) async fn and_koji(mut self) -> Self {
        let world = include_str!("../../../kojisim/worlds/buyan.toml")
            .replace("buyan2\"", "f28\"")
            .replace("buyan1\"", "f27\"");
        let file = self.directory.path().join("world.toml");
        fs::write(&file, world).unwrap();
        let options = kojisim::Options::for_tests(self.directory.path().join("koji"));
        let koji = Sim::start(kojisim::Options { world: Some(file), ..options }).await.unwrap();
        let configured = fs::read_to_string(self.configuration()).unwrap();
        let section = format!(
            "[koji_config]\nserver = {server:?}\ntopurl = {topurl:?}\nweburl = {weburl:?}\n\
             login_method = 'login'\nlogin_args = {{ user = 'koschei', password = 'koschei' }}\n\
             build_arches = ['x86_64', 'aarch64']\n\
             [directories]\ncachedir = {cache:?}\n",
            server = koji.url(),
            topurl = koji.topurl(),
            weburl = koji.weburl(),
            cache = self.directory.path().join("cache"),
        );
        fs::write(self.configuration(), configured + &section).unwrap();
        self.koji = Some(koji);
        self
    }

    /// That Koji.
    pub(crate) fn koji(&self) -> &Sim {
        self.koji.as_ref().expect("this operator has a Koji")
    }

    /// What a reader sees of a page.
    pub(crate) async fn page(&self, address: &str) -> String {
        let router = koschei_web::router(koschei_web::State {
            pool: self.database.pool().clone(),
            config: koschei_web::WebConfig::default(),
        });
        let request = Request::get(address).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "{address}");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        let mut text = String::new();
        for part in html.split('<').skip(1) {
            text.push(' ');
            text.push_str(part.split_once('>').map_or("", |(_, text)| text));
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Types a command as the procedures have it, under whichever of our names it begins with.
    pub(crate) fn types(&self, line: &[&str]) -> Output {
        self.types_with_input(line, "")
    }

    /// The same, with something on standard input.
    pub(crate) fn types_with_input(&self, line: &[&str], input: &str) -> Output {
        assert!(line[0].starts_with("koschei-"));
        let name = self.directory.path().join(line[0]);
        if !name.exists() {
            symlink(env!("CARGO_BIN_EXE_koschei"), &name).unwrap();
        }
        let mut command = std::process::Command::new(name);
        for (variable, _) in std::env::vars_os() {
            if variable.to_str().is_some_and(|name| name.starts_with("KOSCHEI_")) {
                command.env_remove(variable);
            }
        }
        command
            .env("KOSCHEI_CONFIG", self.configuration())
            .env("SUDO_USER", "mizdebsk")
            .args(&line[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that fails at once does not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Types a line as it stands in the procedures, quotes and all.
    pub(crate) fn types_line(&self, line: &str) -> String {
        let words = words(line);
        self.succeeds(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn succeeds(&self, line: &[&str]) -> String {
        let output = self.types(line);
        assert!(output.status.success(), "{line:?}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{line:?}");
        stdout(&output)
    }

    /// The one line that a mistake gets.
    pub(crate) fn fails(&self, line: &[&str]) -> String {
        let output = self.types(line);
        assert!(!output.status.success(), "{line:?} said {}", stdout(&output));
        assert_eq!(stdout(&output), "", "{line:?}");
        let said = stderr(&output);
        assert_eq!(said.lines().count(), 1, "{line:?} said {said}");
        said
    }

    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.database.pool()).await.unwrap()
    }

    pub(crate) async fn texts(&self, query: &'static str) -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(self.database.pool()).await.unwrap()
    }

    /// The audit log, oldest first.
    pub(crate) async fn log(&self) -> Vec<String> {
        self.texts(
            r#"SELECT "user".name || ' ' || environment::text || ': ' || message
                 FROM log_entry JOIN "user" ON "user".id = user_id ORDER BY log_entry.id"#,
        )
        .await
    }
}

/// The words of a line, as a shell makes them.
pub(crate) fn words(line: &str) -> Vec<String> {
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("printf '%s\\0' {line}")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
}
