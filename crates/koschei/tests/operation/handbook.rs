//! docs/operations.md: every command in it is run, in its order, on a machine in a directory: a real PostgreSQL, a simulated
//! Koji, what `make install` installs. Of systemd, units are enabled for real; where a running systemd would be asked, it is
//! only looked at whether the unit exists.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use kojisim::Sim;
use koschei_db::{Address, DatabaseConfig, testing::cluster};

use super::support::{stderr, stdout};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A block of the handbook.
#[derive(Debug)]
struct Block {
    heading: String,
    language: String,
    line: usize,
    text: String,
}

fn handbook() -> Vec<Block> {
    let text = fs::read_to_string(workspace().join("docs/operations.md")).unwrap();
    let mut blocks = Vec::new();
    let mut heading = String::new();
    let mut open: Option<Block> = None;
    for (at, line) in text.lines().enumerate() {
        let unindented = line.trim_start();
        if let Some(fence) = unindented.strip_prefix("```") {
            match open.take() {
                Some(block) => blocks.push(block),
                None => {
                    let (heading, language) = (heading.clone(), fence.to_owned());
                    open = Some(Block { heading, language, line: at + 1, text: String::new() });
                }
            }
        } else if let Some(block) = &mut open {
            block.text.push_str(unindented);
            block.text.push('\n');
        } else if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
        }
    }
    assert!(open.is_none(), "a block is never closed");
    blocks
}

/// The machine.
struct Machine {
    directory: tempfile::TempDir,
    database: DatabaseConfig,
}

/// Programs that would change this machine, or need a systemd that runs: each says what it checks instead.
const STAND_INS: [(&str, &str); 5] = [
    ("systemd-sysusers", "exec /usr/bin/systemd-sysusers --root=\"$ROOT\""),
    (
        "systemd-tmpfiles",
        "if [ \"$(id -u)\" -eq 0 ]; then exec /usr/bin/systemd-tmpfiles --root=\"$ROOT\" \"$@\" koschei.conf; fi\n\
         mkdir -p \"$ROOT/var/cache/koschei/repodata\"",
    ),
    (
        "systemctl",
        r#"verb=$1; shift
units=()
for word in "$@"; do [ "$word" = --now ] || units+=("$word"); done
case $verb in
    daemon-reload) exit 0 ;;
    enable | disable) exec /usr/bin/systemctl --root="$ROOT" "$verb" "${units[@]}" ;;
    start | stop | restart | status)
        for unit in "${units[@]}"; do
            case $unit in *.target) ;; *) unit=$unit.service ;; esac
            [ -e "$ROOT/usr/lib/systemd/system/$unit" ] || { echo "there is no unit $unit" >&2; exit 5; }
        done ;;
    *) echo "no stand-in for systemctl $verb" >&2; exit 1 ;;
esac"#,
    ),
    ("journalctl", "[ \"$1\" = -u ] && [ -e \"$ROOT/usr/lib/systemd/system/$2.service\" ]"),
    // The private PostgreSQL has that role from the beginning.
    ("createuser", "[ \"$*\" = koschei ]"),
];

impl Machine {
    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn new(database: DatabaseConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let machine = Self { directory, database };
        fs::create_dir_all(machine.at("programs")).unwrap();
        for (name, does) in STAND_INS {
            let path = machine.at("programs").join(name);
            fs::write(&path, format!("#!/usr/bin/env bash\n{does}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine
    }

    fn environment(&self, command: &mut Command) {
        let Address::Parts { host, port, username, .. } = &self.database.address else {
            panic!("test databases are given by their parts")
        };
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("KOSCHEI_")) {
                command.env_remove(name);
            }
        }
        let root = self.at("root");
        let files = [
            root.join("usr/share/koschei/config.cfg"),
            root.join("etc/koschei/config-backend.cfg"),
        ];
        let mut path = vec![self.at("programs"), root.join("usr/bin")];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        command
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("KOSCHEI_CONFIG", std::env::join_paths(files).unwrap())
            .env("ROOT", &root)
            .env("DESTDIR", &root)
            .env("BINARY", env!("CARGO_BIN_EXE_koschei"))
            .env("PGHOST", host)
            .env("PGPORT", port.to_string())
            .env("PGUSER", username.as_deref().unwrap())
            .env("PGDATABASE", "postgres")
            .stdin(Stdio::null());
    }

    /// Runs a line of a shell.
    fn run(&self, line: &str) -> Output {
        let directory = if line.starts_with("make ") { workspace() } else { self.at("") };
        let line = line.replace("/etc/koschei", &self.at("root/etc/koschei").display().to_string());
        let mut command = Command::new("bash");
        self.environment(&mut command);
        command.args(["-euc", &line]).current_dir(directory).output().unwrap()
    }

    fn succeeds(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    }

    /// The settings that an operator would fill in, in the syntax of the original.
    fn configure(&self, koji: &Sim) {
        let Address::Parts { host, port, .. } = &self.database.address else {
            panic!("test databases are given by their parts")
        };
        let text = format!(
            "# Managed by Ansible.\nconfig = {{\n    'database_config': {{'host': '{host}', 'port': {port},\n                        \
             'database': 'koschei', 'username': 'koschei'}},\n    'koji_config': {{\n        'server': '{}',\n        \
             'topurl': '{}',\n        'weburl': '{}',\n        'max_builds': 3 * 10,\n    }},\n    \
             'directories': {{'cachedir': '{}'}},\n}}\n",
            koji.url(),
            koji.topurl(),
            koji.weburl(),
            self.at("root/var/cache/koschei").display()
        );
        fs::write(self.at("root/etc/koschei/config-backend.cfg"), text).unwrap();
    }

    /// Puts the database of an original installation into place.
    fn leave_the_original_behind(&self) {
        let data = std::env::var_os("KOSCHEI_DATA")
            .map_or_else(|| workspace().join("../shared/data"), PathBuf::from);
        let script = data.join("../tools/populate.py");
        assert!(
            script.exists(),
            "this test fills a database with {}, which is not there: set KOSCHEI_DATA to the directory shared/data",
            script.display()
        );
        self.succeeds("dropdb koschei");
        self.succeeds("createdb --owner=koschei koschei");
        let schema = workspace().join("crates/db/schema/baseline.sql");
        self.succeeds(&format!("psql -qv ON_ERROR_STOP=1 -d koschei -f {}", schema.display()));
        // Not the Python of a virtual environment, which does not have PostgreSQL's module.
        self.succeeds(&format!(
            "NB=100 KOSCHEI_DSN=\"host=$PGHOST port=$PGPORT dbname=koschei user=$PGUSER\" /usr/bin/python3 {}",
            script.display()
        ));
    }

    /// What links and histories point to.
    fn identity(&self) -> String {
        self.succeeds(
            "psql -XAt -d koschei -c \"SELECT (SELECT md5(string_agg(concat_ws(' ', id, package_id, task_id, state, version, release), \
             ',' ORDER BY id)) FROM build), (SELECT md5(string_agg(concat_ws(' ', id, name, collection_id, tracked), ',' ORDER BY \
             id)) FROM package), (SELECT md5(string_agg(concat_ws(' ', group_id, base_id), ',' ORDER BY group_id, base_id)) \
             FROM package_group_relation)\"",
        )
    }

    fn revision(&self) -> String {
        self.succeeds("psql -XAt -d koschei -c 'SELECT version_num FROM alembic_version'")
    }
}

/// A Koji with the releases f27 and f28.
async fn koji(directory: &Path) -> Sim {
    let world = include_str!("../../../kojisim/worlds/buyan.toml")
        .replace("buyan2\"", "f28\"")
        .replace("buyan1\"", "f27\"");
    let file = directory.join("world.toml");
    fs::write(&file, world).unwrap();
    let options = kojisim::Options::for_tests(directory.join("koji"));
    Sim::start(kojisim::Options { world: Some(file), ..options }).await.unwrap()
}

/// The lines of a block; a line that ends with a backslash goes on.
fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    joined
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_handbook_works_as_written() {
    let (_cluster, database) = cluster().await;
    let machine = Machine::new(database);
    let koji = koji(machine.directory.path()).await;
    machine.succeeds("dropdb koschei");
    let mut original = None;
    let mut transcript = String::new();
    let mut count = 0;
    for block in handbook() {
        match block.language.as_str() {
            "sh" => {}
            "toml" => {
                let file = machine.at("example.toml");
                fs::write(&file, &block.text).unwrap();
                machine.succeeds(&format!(
                    "KOSCHEI_CONFIG={} koschei-admin config check",
                    file.display()
                ));
                continue;
            }
            // What was seen.
            "" => continue,
            other => panic!("line {}: what is {other}?", block.line),
        }
        if block.heading == "Taking over an installation of the original" && original.is_none() {
            machine.leave_the_original_behind();
            original = Some((machine.identity(), machine.revision()));
            transcript.clear();
        }
        for command in commands(&block.text) {
            let output = machine.run(&command);
            assert!(
                output.status.success(),
                "docs/operations.md, line {} and following: {command}\n{}{}",
                block.line,
                stdout(&output),
                stderr(&output)
            );
            if command.starts_with("koschei-admin psql ") {
                assert!(stdout(&output).contains("latest_repo_id"), "{}", stdout(&output));
            }
            transcript.push_str(&format!("# {command}\n{}{}\n", stdout(&output), stderr(&output)));
            count += 1;
            match command.as_str() {
                "make install" => machine.configure(&koji),
                _ if command.starts_with("koschei-admin create-collection ") => {
                    // What polling would find.
                    machine.succeeds(
                        "psql -qd koschei -c \"INSERT INTO base_package (name) VALUES ('foo'), ('pkg1'), ('pkg2'), ('pkg3'); \
                         INSERT INTO package (base_id, name, collection_id) SELECT b.id, b.name, c.id FROM base_package b, \
                         collection c\"",
                    );
                }
                "koschei-admin alembic upgrade head" => {
                    if let Some((identity, _)) = &original {
                        assert_eq!(
                            machine.identity(),
                            *identity,
                            "what links point to has changed"
                        );
                    }
                }
                _ if command.starts_with("pg_restore ") => {
                    let back = (machine.identity(), machine.revision());
                    assert_eq!(Some(&back), original.as_ref(), "the way back leads elsewhere");
                    // The rest of the handbook is about Koschei.
                    machine.succeeds("koschei-admin alembic upgrade head");
                }
                _ => {}
            }
        }
    }
    assert!(count > 50, "{count}");
    assert!(original.is_some(), "no installation was taken over");
    if let Some(path) = std::env::var_os("KOSCHEI_TRANSCRIPT") {
        fs::write(path, transcript).unwrap();
    }
    let enabled = machine.at("root/etc/systemd/system/koschei.target.wants");
    let left = fs::read_dir(&enabled).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the way back disables what was enabled");
}

#[test]
fn the_handbook_knows_every_section_of_the_procedure_and_every_unit() {
    let text = fs::read_to_string(workspace().join("docs/operations.md")).unwrap();
    let mut rest = text.as_str();
    for heading in [
        "\n## Deployment\n",
        "\n## Configuration\n",
        "\n## Disk usage\n",
        "\n## Database\n",
        "\n## Managing the services\n",
        "\n## Suspending\n",
        "\n## Limiting the use of Koji\n",
        "\n## Notifications\n",
        "\n## Announcement\n",
        "\n## Groups of packages\n",
        "\n## Priority of a package\n",
        "\n## Branching\n",
        "\n## Taking over an installation of the original\n",
        "\n## Monitoring\n",
        "\n## Troubleshooting\n",
    ] {
        let at =
            rest.find(heading).unwrap_or_else(|| panic!("{heading} is missing or out of order"));
        rest = &rest[at + heading.len()..];
    }
    for entry in fs::read_dir(workspace().join("deploy/systemd")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(unit) = name.strip_suffix(".service") {
            assert!(text.contains(&format!("`{unit}`")), "{unit}");
        }
    }
}
