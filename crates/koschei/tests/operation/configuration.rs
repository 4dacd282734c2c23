//! `koschei-admin config`: an installation of the old kind is taken as it is, and becomes TOML that says the same.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use super::support::{koschei, stderr, stdout};

/// The files of an old installation: defaults, backend, frontend.
fn old(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/old-installation").join(name)
}

fn config(files: &[&Path], arguments: &[&str]) -> Output {
    let list = std::env::join_paths(files).unwrap();
    koschei(Path::new(&list)).args(["admin", "config"]).args(arguments).output().unwrap()
}

fn succeeds(files: &[&Path], arguments: &[&str]) -> String {
    let output = config(files, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// What is shown, without the files and lines where it was set.
fn without_places(shown: &str) -> String {
    shown
        .lines()
        .map(|line| line.split("  # ").next().unwrap_or_default().to_owned() + "\n")
        .collect()
}

#[test]
fn an_old_installation_is_valid_as_it_is_and_says_the_same_when_it_is_converted() {
    let directory = tempfile::tempdir().unwrap();
    for own in ["config-backend.cfg", "config-frontend.cfg"] {
        let before = [old("config.cfg"), old(own)];
        let before: Vec<&Path> = before.iter().map(PathBuf::as_path).collect();
        assert_eq!(
            succeeds(&before, &["check"]),
            format!("The configuration is valid: {}, {}", before[0].display(), before[1].display())
        );
        let mut after = Vec::new();
        for file in &before {
            let converted = succeeds(&[], &["convert", file.to_str().unwrap()]);
            let path = directory.path().join(file.file_name().unwrap());
            fs::write(&path, converted + "\n").unwrap();
            after.push(path);
        }
        let after: Vec<&Path> = after.iter().map(PathBuf::as_path).collect();
        assert_eq!(
            without_places(&succeeds(&after, &["show"])),
            without_places(&succeeds(&before, &["show"]))
        );
    }
    let converted = fs::read_to_string(directory.path().join("config-backend.cfg")).unwrap();
    assert!(converted.contains("# builders are few, see ticket 4711\n"), "{converted}");
    assert!(!converted.contains("-*-"), "{converted}");
}

#[test]
fn a_file_that_is_broken_can_still_be_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config-backend.cfg");
    fs::write(&file, "import os\nconfig = {'db_url': os.environ['DB']}\n").unwrap();
    for arguments in [&["check"][..], &["show"], &["convert", file.to_str().unwrap()]] {
        let output = config(&[&file], arguments);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(stdout(&output), "");
        let said = stderr(&output);
        let place = format!("koschei: {}, line 1: import cannot be read; ", file.display());
        assert!(said.starts_with(&place), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn what_a_service_or_the_web_would_refuse_at_its_start_is_found_all_at_once_and_each_refuses_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("koschei.toml");
    let place = |line: usize| format!("koschei: {}, line {line}: ", file.display());
    // Each mistake, and the service that ends with it.
    let mistakes = [
        ("db_url = 'mysql://db/koschei'\n", 1, "db_url", "polling"),
        (
            "[koji_config]\nlogin_method = 'login'\n",
            1,
            "koji_config.login_args must have user",
            "scheduler",
        ),
        (
            "[secondary_koji_config]\nsession_opts = { max_retries = 'x' }\n",
            2,
            "secondary_koji_config.session_opts",
            "polling",
        ),
        (
            "[frontend]\nlisten = 'everywhere'\n",
            2,
            "frontend.listen must be an address and a port",
            "web",
        ),
        (
            "[frontend.auth]\ntrusted_proxies = ['proxy']\n",
            2,
            "frontend.auth.trusted_proxies: proxy is no address",
            "web",
        ),
        ("[frontend.auth]\nuser_re = '('\n", 2, "frontend.auth.user_re", "web"),
        (
            "[frontend.auth.oidc]\nissuer = 'https://id.example.org'\n",
            1,
            "frontend.auth.oidc.client_id",
            "web",
        ),
        (
            "[frontend]\n[frontend.auth.oidc]\nissuer = 'https://id.example.org'\nclient_id = 'koschei'\n",
            1,
            "frontend.external_url: it is needed",
            "web",
        ),
    ];
    for (text, line, expected, service) in mistakes {
        fs::write(&file, text).unwrap();
        let output = config(&[&file], &["check"]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert_eq!(stdout(&output), "", "{text}");
        let said = stderr(&output);
        assert!(said.starts_with(&place(line)) && said.contains(expected), "{text}: {said}");
        assert_eq!(said.lines().count(), 1, "{text}: {said}");
        let output = koschei(&file).args([service, "--once"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}: systemd would start it again");
        assert_eq!(stderr(&output), said, "{text}");
    }
    let all = "db_url = 'nowhere'\nplugins = ['fedmsg']\n[frontend]\nlisten = '80'\nexternal_url = 'x'\n[frontend.auth]\n\
               user_env = 'a b'\n[priorities]\nt0 = -1\nt2 = 5\n";
    fs::write(&file, all).unwrap();
    let output = koschei(&file)
        .args(["admin", "config", "check"])
        .env("FEDORA_MESSAGING_CONF", directory.path().join("none"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for (line, expected) in [
        (1, "db_url"),
        (4, "frontend.listen"),
        (5, "frontend.external_url"),
        (7, "frontend.auth.user_env"),
        (9, "priorities.t0"),
        (10, "priorities.t2"),
    ] {
        let place = place(line);
        assert!(
            said.lines().any(|said| said.starts_with(&place) && said.contains(expected)),
            "{expected}: {said}"
        );
    }
    assert!(said.contains("the configuration of fedora-messaging cannot be read"), "{said}");
    assert_eq!(said.lines().count(), 7, "{said}");
}
