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
