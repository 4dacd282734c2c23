//! `make install`: everything is where the system looks for it, systemd understands it, and a second time nothing of the
//! operator's is touched. No systemd has to run.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::support::{stderr, stdout};

const SERVICES: [&str; 6] =
    ["polling", "repo-resolver", "build-resolver", "scheduler", "watcher", "web"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// `make install` below a directory.
fn installed() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    install(root.path());
    root
}

fn install(root: &Path) {
    let output = Command::new("make")
        .arg("--directory")
        .arg(workspace())
        .arg("install")
        .arg(format!("DESTDIR={}", root.display()))
        .arg(format!("BINARY={}", env!("CARGO_BIN_EXE_koschei")))
        .output()
        .expect("make");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// A tool of systemd, which works without a systemd that runs.
fn systemd(tool: &str, arguments: &[&str]) -> Output {
    Command::new(tool).args(arguments).output().unwrap_or_else(|error| {
        panic!("{tool} ({error}) judges the units: scripts/install-deps test installs it")
    })
}

/// The units that the system brings, without which ours depend on nothing.
fn with_system_units(root: &Path) {
    let ours = root.join("usr/lib/systemd/system");
    let theirs = ["/usr/lib/systemd/system", "/lib/systemd/system"]
        .into_iter()
        .find(|path| Path::new(path).join("sysinit.target").exists())
        .expect("the units of systemd");
    for entry in fs::read_dir(theirs).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() && !ours.join(entry.file_name()).exists() {
            fs::copy(entry.path(), ours.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn everything_is_where_the_system_looks_for_it() {
    let root = installed();
    let at = |path: &str| root.path().join(path);
    let version = Command::new(at("usr/bin/koschei")).arg("--version").output().unwrap();
    assert!(version.status.success());
    let help =
        Command::new(at("usr/bin/koschei-admin")).args(["config", "--help"]).output().unwrap();
    assert!(stdout(&help).contains("convert"), "{}", stdout(&help));
    for path in [
        "usr/share/koschei/config.cfg",
        "usr/share/doc/koschei/operations.md",
        "usr/share/doc/koschei/httpd/koschei.conf",
    ] {
        assert!(at(path).is_file(), "{path}");
    }
    for file in ["config-backend.cfg", "config-frontend.cfg"] {
        let mode = fs::metadata(at("etc/koschei").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640, "{file} will hold passwords");
    }
}

/// What a shell suggests after these words, of which the last is being typed.
fn suggested(script: &Path, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let (last, before) = (words.len() - 1, words[words.len() - 2]);
    // As bash calls it: the command, the word, the word before.
    let line = format!(
        "source {script:?}; COMP_WORDS=({}); COMP_CWORD={last}; function=$(complete -p {name} | sed 's/.*-F //; s/ .*//'); \
         $function {name} '{}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words[last],
        name = words[0],
    );
    let output = Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).lines().map(str::to_owned).collect()
}

#[test]
fn shells_complete_every_name_that_is_installed() {
    let root = installed();
    let scripts = root.path().join("usr/share/bash-completion/completions");
    let of = |words: &[&str]| suggested(&scripts.join(words[0]), words);
    assert_eq!(of(&["koschei", "pol"]), ["polling"]);
    assert_eq!(of(&["koschei-admin", "set-p"]), ["set-priority"]);
    assert_eq!(of(&["koschei", "admin", "branch"]), ["branch-collection"]);
    assert_eq!(of(&["koschei-admin", "alembic", "upg"]), ["upgrade"]);
    assert_eq!(of(&["koschei-admin", "set-priority", "--sta"]), ["--static"]);
    assert_eq!(of(&["koschei-admin", "create-collection", "-m", ""]), ["primary", "secondary"]);
    assert_eq!(of(&["koschei-track-group", "--coll"]), ["--collection"]);
    for entry in fs::read_dir(root.path().join("usr/bin")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for script in [
            format!("usr/share/bash-completion/completions/{name}"),
            format!("usr/share/zsh/site-functions/_{name}"),
            format!("usr/share/fish/vendor_completions.d/{name}.fish"),
        ] {
            let text = fs::read_to_string(root.path().join(&script)).expect(&script);
            assert!(text.contains(&name), "{script}");
        }
        let help = Command::new(root.path().join("usr/bin").join(&name)).arg("--help").output();
        assert!(help.unwrap().status.success(), "{name}");
    }
}

#[test]
fn there_is_a_manual_page_of_every_command_with_all_of_its_options() {
    let root = installed();
    let pages = root.path().join("usr/share/man/man1");
    let koschei = root.path().join("usr/bin/koschei");
    // A command, and those below it, as their help names them.
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    let mut count = 0;
    while let Some(command) = commands.pop() {
        let output = Command::new(&koschei).args(&command).arg("-h").output().unwrap();
        let help = stdout(&output);
        let name: Vec<&str> =
            ["koschei"].into_iter().chain(command.iter().map(String::as_str)).collect();
        let path = pages.join(format!("{}.1", name.join("-")));
        let page = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}", path.display()));
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{}", path.display());
        let page = page.replace('\\', "");
        let mut section = "";
        for line in help.lines() {
            if !line.starts_with(' ') {
                section = line;
            } else if let (Some(word), "Commands:") = (line.strip_prefix("  "), section) {
                if let Some(word) = word.split(' ').next().filter(|word| !word.is_empty()) {
                    commands.push([&command[..], &[word.to_owned()]].concat());
                }
            } else if let Some(place) = line.find("--").filter(|place| *place <= 6) {
                let option = line[place..].split([' ', '.', '[']).next().unwrap();
                assert!(page.contains(option), "{} lacks {option}", path.display());
            }
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
    let alias = fs::read_to_string(pages.join("koschei-selfcheck.1")).unwrap();
    assert_eq!(alias, ".so man1/koschei-admin-selfcheck.1\n");
}

#[test]
fn installing_again_touches_nothing_of_the_operators() {
    let root = installed();
    let own = root.path().join("etc/koschei/config-backend.cfg");
    fs::write(&own, "config = {'koji_config': {'max_builds': 5}}\n").unwrap();
    let defaults = root.path().join("usr/share/koschei/config.cfg");
    fs::write(&defaults, "an older version").unwrap();
    install(root.path());
    assert_eq!(fs::read_to_string(&own).unwrap(), "config = {'koji_config': {'max_builds': 5}}\n");
    assert!(fs::read_to_string(&defaults).unwrap().contains("[koji_config]"));
}

#[test]
fn what_is_installed_is_a_valid_configuration() {
    let root = installed();
    for own in ["etc/koschei/config-backend.cfg", "etc/koschei/config-frontend.cfg"] {
        let files = [root.path().join("usr/share/koschei/config.cfg"), root.path().join(own)];
        let output = Command::new(root.path().join("usr/bin/koschei-admin"))
            .env("KOSCHEI_CONFIG", std::env::join_paths(files).unwrap())
            .args(["config", "check"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
    }
    // What the examples leave to be filled in is in the right place and of the right type.
    for own in ["etc/koschei/config-backend.cfg", "etc/koschei/config-frontend.cfg"] {
        let path = root.path().join(own);
        let text = fs::read_to_string(&path).unwrap();
        let filled: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if setting.contains(" = ") => format!("{setting}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_ne!(filled, text);
        fs::write(&path, filled).unwrap();
        let output = Command::new(root.path().join("usr/bin/koschei-admin"))
            .env("KOSCHEI_CONFIG", &path)
            .args(["config", "check"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn systemd_understands_the_units() {
    let root = installed();
    with_system_units(root.path());
    let option = format!("--root={}", root.path().display());
    let units: Vec<String> =
        SERVICES.iter().map(|name| format!("koschei-{name}.service")).collect();
    let mut arguments = vec!["verify", "--man=no", &option, "koschei.target"];
    arguments.extend(units.iter().map(String::as_str));
    let output = systemd("systemd-analyze", &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let about_ours: Vec<String> = stderr(&output)
        .lines()
        .filter(|line| line.contains("koschei"))
        .map(str::to_owned)
        .collect();
    assert!(about_ours.is_empty(), "{about_ours:#?}");

    for service in SERVICES {
        let unit = root.path().join(format!("usr/lib/systemd/system/koschei-{service}.service"));
        let unit = fs::read_to_string(unit).unwrap();
        assert!(unit.contains(&format!("\nExecStart=/usr/bin/koschei {service}\n")), "{unit}");
        for line in [
            "Type=notify",
            "PartOf=koschei.target",
            "After=koschei.target",
            "WantedBy=multi-user.target koschei.target",
        ] {
            assert!(unit.lines().any(|has| has == line), "{service} lacks {line}");
        }
        assert!(unit.contains("\nWatchdogSec="), "{service}");
        let help =
            Command::new(env!("CARGO_BIN_EXE_koschei")).args([service, "--help"]).output().unwrap();
        assert!(help.status.success(), "{service} is no command");
    }
}

#[test]
fn systemd_finds_the_services_well_confined() {
    let root = installed();
    with_system_units(root.path());
    let option = format!("--root={}", root.path().display());
    for service in SERVICES {
        let unit = format!("koschei-{service}.service");
        // Out of 100. A service that talks to the network and to a database's socket cannot get much below.
        let arguments =
            ["security", "--offline=true", "--no-pager", "--threshold=15", &option, &unit];
        let output = systemd("systemd-analyze", &arguments);
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("Overall exposure level"), "{}", stdout(&output));
    }
}

#[test]
fn the_user_and_the_directories_are_made() {
    let root = installed();
    let option = format!("--root={}", root.path().display());
    let output = systemd("systemd-sysusers", &[&option]);
    assert!(output.status.success(), "{}", stderr(&output));
    let users = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let user = users.lines().find(|line| line.starts_with("koschei:")).expect("the user koschei");
    let fields: Vec<&str> = user.split(':').collect();
    assert_eq!(fields[5], "/var/cache/koschei");
    assert!(fields[6].ends_with("nologin"), "{user}");

    let rules = root.path().join("usr/lib/tmpfiles.d/koschei.conf");
    if !nix::unistd::geteuid().is_root() {
        // Nobody but root can give directories away; the rest of the rules is the same.
        let text = fs::read_to_string(&rules).unwrap();
        let mine: String = text
            .lines()
            .map(|line| {
                line.replace(" root    koschei -", " - - -").replace(" koschei koschei -", " - - -")
                    + "\n"
            })
            .collect();
        fs::write(&rules, mine).unwrap();
    }
    let output = systemd("systemd-tmpfiles", &["--create", &option, "koschei.conf"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let metadata = |path: &str| fs::metadata(root.path().join(path)).unwrap();
    assert_eq!(metadata("etc/koschei").permissions().mode() & 0o7777, 0o750);
    assert!(metadata("var/cache/koschei/repodata").is_dir());
    if nix::unistd::geteuid().is_root() {
        let id: u32 = fields[2].parse().unwrap();
        assert_eq!((metadata("etc/koschei").uid(), metadata("etc/koschei").gid()), (0, id));
        assert_eq!(metadata("var/cache/koschei").uid(), id);
    }
}
