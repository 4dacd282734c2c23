//! The official client (PyPI package `koji`) works with the simulated hub: its command line as people type it, and
//! `koji call` of every method that Koschei uses.
//!
//! The client is installed into a virtual environment below the target directory, once. Its dependency on GSSAPI
//! is left out, because that one needs the headers of Kerberos, and no login here uses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions that tests share say what they expect, as the test does"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kojisim::{Ending, Options, Push, Sim};
use serde_json::{Value, json};

fn run(program: &Path, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("cannot run {} ({error}); install python3 with its venv module", program.display())
    });
    assert!(
        output.status.success(),
        "{} {arguments:?} failed; it needs python3 with venv, and the Python package index:\n{}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The Python of an environment that has the client.
fn environment() -> &'static PathBuf {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("koji-client");
        let python = directory.join("bin/python");
        let done = directory.join("installed");
        if !done.exists() {
            run(Path::new("python3"), &["-m", "venv", &directory.display().to_string()]);
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
            run(&python, &[&pip[..], &["--no-deps", "koji==1.36.1"]].concat());
            run(
                &python,
                &[&pip[..], &["defusedxml", "python-dateutil", "requests", "six"]].concat(),
            );
            std::fs::write(&done, "").unwrap();
        }
        directory
    })
}

/// The command line of one user.
struct Client {
    hub: String,
    arguments: Vec<String>,
    home: tempfile::TempDir,
}

impl Client {
    fn new(sim: &Sim, user: &str) -> Client {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("koji.conf");
        std::fs::write(&config, "[koji]\n").unwrap();
        let arguments = [
            format!("--config={}", config.display()),
            format!("--server={}", sim.url()),
            format!("--weburl={}", sim.weburl()),
            format!("--topurl={}", sim.topurl()),
            "--authtype=password".to_owned(),
            format!("--user={user}"),
            format!("--password={user}"),
        ];
        Client { hub: sim.url(), arguments: arguments.into(), home }
    }

    fn output(&self, arguments: &[&str]) -> std::process::Output {
        let environment = environment();
        Command::new(environment.join("bin/python"))
            .arg(environment.join("bin/koji"))
            .args(&self.arguments)
            .args(arguments)
            .env("HOME", self.home.path())
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .output()
            .unwrap()
    }

    /// Standard output of a command that succeeds.
    fn koji(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "koji {arguments:?} on {} failed:\n{text}\n{}",
            self.hub,
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// What a command that fails says.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(!output.status.success(), "koji {arguments:?} should have failed");
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// The result of `koji call`.
    fn call(&self, method: &str, parameters: &[&str]) -> Value {
        let arguments = [&["call", "--json", "--bare-strings", method][..], parameters].concat();
        let text = self.koji(&arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method}: {error} in {text}"))
    }
}

struct Fixture {
    sim: Sim,
    client: Client,
    _directory: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let sim = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    let client = Client::new(&sim, kojisim::KOSCHEI_USER);
    Fixture { sim, client, _directory: directory }
}

/// All files below a directory.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

const LIBXML2: &str = "../packages/libxml2/2.12.8/2.by2/src/libxml2-2.12.8-2.by2.src.rpm";

/// Runs the client, which waits for the hub, beside the hub.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_infos() {
    let Fixture { sim, client, _directory } = fixture().await;
    beside(move || {
        let tags = client.koji(&["list-tags"]);
        assert_eq!(
            tags.lines().collect::<Vec<_>>(),
            ["buyan1", "buyan1-build", "buyan2", "buyan2-build"]
        );

        let packages = client.koji(&["list-pkgs", "--quiet", "--tag", "buyan2-build"]);
        assert!(
            packages.lines().any(|line| line.split_whitespace().eq(["bash", "buyan2", "alenka"])),
            "{packages}"
        );
        assert!(!packages.contains("links"), "links is blocked:\n{packages}");
        let blocked = client.koji(&["list-pkgs", "--quiet", "--show-blocked", "--tag", "buyan2"]);
        assert!(
            blocked.lines().any(|line| line.starts_with("links ") && line.ends_with("[BLOCKED]")),
            "{blocked}"
        );

        let tagged =
            client.koji(&["list-tagged", "--quiet", "--latest", "--inherit", "buyan2-build"]);
        assert!(
            tagged.lines().any(|line| line.split_whitespace().eq([
                "glibc-2.40-12.by2",
                "buyan2",
                "dobrynya"
            ])),
            "{tagged}"
        );
        assert_eq!(tagged.lines().count(), 75);

        let build = client.koji(&["buildinfo", "libxml2-2.12.8-2.by2"]);
        for line in ["State: COMPLETE", "Built by: vasilisa", "Volume: DEFAULT", "Tags: buyan2"] {
            assert!(build.lines().any(|found| found == line), "{line} is missing:\n{build}");
        }
        assert!(build.contains("/i686/libxml2-devel-2.12.8-2.by2.i686.rpm"), "{build}");
        let noarch = client.koji(&["buildinfo", "python-requests-2.32.3-4.by2"]);
        assert!(noarch.contains("/noarch/python3-requests-2.32.3-4.by2.noarch.rpm"), "{noarch}");

        let task = client.call("getBuild", &["libxml2-2.12.8-2.by2"])["task_id"].as_i64().unwrap();
        let info = client.koji(&["taskinfo", "-r", "-v", &task.to_string()]);
        for line in [
            "Type: build",
            "Owner: vasilisa",
            "State: closed",
            "  Type: buildSRPMFromSCM",
            "  Type: tagBuild",
        ] {
            assert!(info.lines().any(|found| found == line), "{line} is missing:\n{info}");
        }
        assert_eq!(
            info.lines().filter(|line| line.trim() == "Type: buildArch").count(),
            3,
            "{info}"
        );
        assert!(info.contains("Build: libxml2-2.12.8-2.by2"), "{info}");
    })
    .await;
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scratch_build_is_submitted_and_watched() {
    let Fixture { sim, client, _directory } = fixture().await;
    let client = beside(move || {
        let url = "git+https://src.buyan.example/rpms/libxml2#HEAD";
        let text = client.koji(&["build", "--scratch", "--wait", "buyan2", url]);
        assert!(
            text.contains("build (buyan2, /rpms/libxml2:HEAD) completed successfully"),
            "{text}"
        );
        assert!(text.contains("buildArch (libxml2-2.12.8-2.by2.src.rpm, aarch64)"), "{text}");

        // A scratch build is tagged nowhere.
        let tagged = client.koji(&["list-tagged", "--quiet", "buyan2", "libxml2"]);
        assert_eq!(tagged.lines().count(), 1, "{tagged}");
        client
    })
    .await;

    let task = sim.push(&Push::of("libxml2").broken("xpath.c:1: error: it is broken")).unwrap();
    assert_eq!(sim.wait_for_task(task).await, Some(5));
    let failed = beside(move || {
        let text = client.refused(&["watch-task", &task.to_string()]);
        (client, text)
    });
    let (client, text) = failed.await;
    assert!(text.contains("FAILED: BuildError: error building package (arch "), "{text}");
    assert!(
        text.contains("mock exited with status 1; see build.log or root.log for more information"),
        "{text}"
    );
    beside(move || {
        let child = client.call("getTaskChildren", &[&task.to_string()]);
        let failed =
            child.as_array().unwrap().iter().find(|child| child["state"] == 5).unwrap().clone();
        let id = failed["id"].to_string();
        let directory = client.home.path().join("logs").display().to_string();
        client.koji(&["download-logs", "--dir", &directory, "--match", "build.log", &id]);
        let found = walk(Path::new(&directory));
        assert_eq!(found.len(), 1, "{found:?}");
        let log = std::fs::read_to_string(&found[0]).unwrap();
        assert!(log.contains("xpath.c:1: error: it is broken"), "{log}");
    })
    .await;
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_build_is_cancelled() {
    let Fixture { sim, client, _directory } = fixture().await;
    sim.hold_builds(true);
    let (client, task) = beside(move || {
        let url = "git+https://src.buyan.example/rpms/zlib#HEAD";
        let text = client.koji(&["build", "--scratch", "--nowait", "buyan2", url]);
        let line = text.lines().find(|line| line.starts_with("Created task: ")).unwrap().to_owned();
        (client, line["Created task: ".len()..].parse::<i64>().unwrap())
    })
    .await;
    let other = Client::new(&sim, "alenka");
    beside(move || {
        let refused = other.refused(&["call", "cancelTask", &task.to_string()]);
        assert!(refused.contains("Cannot cancel task, not owner"), "{refused}");
        client.koji(&["cancel", &task.to_string()]);
        let info = client.koji(&["taskinfo", &task.to_string()]);
        assert!(info.contains("State: canceled"), "{info}");
        let watched = client.refused(&["watch-task", &task.to_string()]);
        assert!(watched.contains("canceled"), "{watched}");
    })
    .await;
    assert_eq!(sim.task_state(task), Some(3));
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_of_every_method() {
    let Fixture { sim, client, _directory } = fixture().await;
    let admin = Client::new(&sim, "kojiadmin");
    let (client, admin) = beside(move || {
        let call = |method: &str, parameters: &[&str]| client.call(method, parameters);
        assert_eq!(call("getAPIVersion", &[]), json!(1));
        assert_eq!(call("getKojiVersion", &[]), json!(kojisim::KOJI_VERSION));
        assert_eq!(call("getLoggedInUser", &[])["name"], "koschei");
        assert_eq!(call("getUser", &["koschei"])["usertype"], 0);

        // Tags and packages.
        assert_eq!(call("getTag", &["nosuchtag"]), Value::Null);
        let build_tag = call("getTag", &["buyan2-build"])["id"].clone();
        assert_eq!(call("getBuildConfig", &["buyan2-build"])["arches"], "x86_64 aarch64 i686");
        let target = call("getBuildTarget", &["buyan2"]);
        assert_eq!((&target["build_tag"], &target["dest_tag_name"]), (&build_tag, &json!("buyan2")));
        let packages = call("listPackages", &["tagID=buyan2", "inherited=true"]);
        assert_eq!(packages.as_array().unwrap().len(), 76);
        let groups = call("getTagGroups", &["buyan2-build"]);
        let names: Vec<&str> = groups.as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
        assert_eq!(names, ["build", "srpm-build"]);

        // Builds and what is in them.
        let tagged = call("listTagged", &["buyan2", "latest=true", "inherit=true", "package=tar"]);
        assert_eq!((&tagged[0]["nvr"], &tagged[0]["epoch"]), (&json!("tar-1.35-4.by2"), &json!(2)));
        let build = tagged[0]["build_id"].to_string();
        let rpms = call("listRPMs", &[&format!("buildID={build}"), "arches=src"]);
        assert_eq!((rpms.as_array().unwrap().len(), &rpms[0]["arch"]), (1, &json!("src")));
        let deps = call("getRPMDeps", &["glibc-2.40-12.by2.src", "0"]);
        assert!(deps.as_array().unwrap().contains(&json!({"name": "gcc", "version": "13", "flags": 12, "type": 0})));
        let nvra = "rpmID={\"name\": \"syslinux\", \"version\": \"6.04\", \"release\": \"0.27.by2\", \"arch\": \"src\"}";
        let headers = call("getRPMHeaders", &[nvra, "headers=[\"EXCLUSIVEARCH\", \"BUILDARCHS\"]"]);
        assert_eq!(
            headers,
            json!({"EXCLUSIVEARCH": ["i386", "i486", "i586", "i686", "x86_64"], "BUILDARCHS": []})
        );

        // Repos.
        let repo = call("getRepo", &["buyan2-build", "state=1"]);
        assert_eq!((&repo["tag_name"], &repo["dist"]), (&json!("buyan2-build"), &json!(false)));
        assert_eq!(call("repoInfo", &[&repo["id"].to_string()]), repo);
        assert_eq!(call("repo.get", &["buyan2-build"]), repo);

        // Tasks.
        let task = tagged[0]["task_id"].to_string();
        assert_eq!(call("getTaskInfo", &[&task, "request=true"])["request"][1], "buyan2");
        let children = call("getTaskChildren", &[&task, "request=true"]);
        let arches = children.as_array().unwrap().iter().filter(|child| child["method"] == "buildArch");
        for child in arches {
            // The builds of the history name an earlier repo, which is still there.
            let earlier = child["request"][4]["repo_id"].clone();
            assert!(earlier.as_i64() <= repo["id"].as_i64());
            assert_eq!(call("repoInfo", &[&earlier.to_string()])["state"], 1);
        }
        assert_eq!(call("getTaskResult", &[&task]), Value::Null);
        let listed = call("listTasks", &["{\"method\": \"build\", \"decode\": true}", "{\"order\": \"-id\", \"limit\": 2}"]);
        assert_eq!(listed.as_array().unwrap().len(), 2);

        // Hosts.
        let channel = call("getChannel", &["default"])["id"].to_string();
        let hosts = call("listHosts", &["[\"aarch64\"]", &channel, "enabled=true"]);
        assert_eq!(hosts.as_array().unwrap().len(), 2);

        // History.
        let event = call("getLastEvent", &[])["id"].to_string();
        assert!(call("getEvent", &[&event])["ts"].is_f64());
        let history = call("queryHistory", &["tag=buyan2", "package=bash"]);
        assert_eq!(history["tag_listing"].as_array().unwrap().len(), 1);
        (client, admin)
    })
    .await;

    // A build, asked for as Koschei does.
    let (client, admin, task) = beside(move || {
        let opts = "opts={\"scratch\": true, \"arch_override\": \"x86_64\"}";
        let task =
            client.call("build", &[LIBXML2, "buyan2", opts, "priority=30"]).as_i64().unwrap();
        (client, admin, task)
    })
    .await;
    assert_eq!(sim.wait_for_task(task).await, Some(2));
    let client = beside(move || {
        let info = client.call("getTaskInfo", &[&task.to_string()]);
        assert_eq!((&info["priority"], &info["channel_id"]), (&json!(50), &json!(1)));
        let children = client.call("getTaskChildren", &[&task.to_string()]);
        let mut labels: Vec<&str> =
            children.as_array().unwrap().iter().filter_map(|row| row["label"].as_str()).collect();
        labels.sort_unstable();
        assert_eq!(labels, ["srpm", "x86_64"]);

        // What repo regeneration needs.
        let call = |method: &str, parameters: &[&str]| admin.call(method, parameters);
        let tag = call("createTag", &["copy", "arches=x86_64"]);
        assert_eq!(call("getTag", &["copy"])["id"], tag);
        call("createTag", &["copy-build", "parent=copy", "arches=x86_64"]);
        assert_eq!(call("createBuildTarget", &["copy", "copy-build", "copy"]), Value::Null);
        assert_eq!(call("groupListAdd", &["copy-build", "build"]), Value::Null);
        assert_eq!(
            call(
                "groupPackageListAdd",
                &["copy-build", "build", "bash", "type=mandatory", "blocked=false"]
            ),
            Value::Null
        );
        assert_eq!(call("getTagGroups", &["copy-build"])[0]["packagelist"][0]["package"], "bash");
        let external = call("createExternalRepo", &["away", "http://buyan.example/repo/$arch"]);
        assert_eq!(external["url"], "http://buyan.example/repo/$arch/");
        assert_eq!(call("getExternalRepo", &["away"]), external);
        assert_eq!(call("addExternalRepoToTag", &["copy-build", "away", "0"]), Value::Null);
        assert_eq!(call("getTagExternalRepos", &["copy-build"])[0]["external_repo_name"], "away");
        assert_eq!(call("removeExternalRepoFromTag", &["copy-build", "away"]), Value::Null);
        assert_eq!(call("getTagExternalRepos", &["copy-build"]), json!([]));
        client
    })
    .await;
    let task = beside(move || client.call("newRepo", &["copy-build"]).as_i64().unwrap()).await;
    assert_eq!(sim.wait_for_task(task).await, Some(2));
    assert!(sim.latest_repo("copy-build").is_some());

    // An infrastructure fault, and the fault of a task as its result.
    sim.hold_builds(true);
    let task = sim.push(&Push::of("zlib")).unwrap();
    sim.finish_task(task, Ending::Fault(1, "Traceback: the disk is full".to_owned()));
    assert_eq!(sim.wait_for_task(task).await, Some(5));
    let client = Client::new(&sim, "koschei");
    beside(move || {
        let fault = client.call("getTaskResult", &[&task.to_string(), "raise_fault=false"]);
        assert_eq!(fault, json!({"faultCode": 1, "faultString": "Traceback: the disk is full"}));
        let refused = client.refused(&["call", "createTag", "mine"]);
        assert!(refused.contains("tag permission required (logged in as koschei)"), "{refused}");
        let refused = client.refused(&["call", "noSuchMethod"]);
        assert!(refused.contains("Invalid method: noSuchMethod"), "{refused}");
    })
    .await;
    sim.stop().await;
}
