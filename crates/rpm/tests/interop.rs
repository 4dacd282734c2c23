//! createrepo_c and dnf read the repositories that we write, field by field; and we read theirs, made of packages that
//! rpmbuild built.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rpm::md::comps::{Comps, Group, Member, MemberKind};
use rpm::md::repomd::Repomd;
use rpm::md::write::Repository;
use rpm::md::{Checksum, Package, Requirement, Sizes, filelists, primary};
use rpm::{Dep, Nevra, Relation};
use serde_json::{Value, json};

/// Runs a program that has to succeed.
fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}: run scripts/install-deps test"));
    assert!(
        output.status.success(),
        "{program} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Asks createrepo_c's own module.
fn dump(what: &str, paths: &[PathBuf]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/dump.py");
    let output = run(Command::new("/usr/bin/python3").arg(script).arg(what).args(paths));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn relation(relation: &Relation, pre: bool) -> Value {
    match &relation.constraint {
        None => json!([relation.name, "", "", "", "", pre]),
        Some(constraint) => json!([
            relation.name,
            constraint.op.as_str(),
            constraint.epoch.unwrap_or(0).to_string(),
            constraint.version,
            constraint.release.as_deref().unwrap_or(""),
            pre
        ]),
    }
}

fn dep(dep: &Dep, pre: bool) -> Value {
    match dep {
        Dep::Relation(plain) => relation(plain, pre),
        Dep::Rich(rich) => json!([rich.to_string(), "", "", "", "", pre]),
    }
}

/// One of our packages in the words of `dump.py`.
fn described(package: &Package) -> Value {
    let deps = |list: &[Dep]| list.iter().map(|one| dep(one, false)).collect::<Vec<_>>();
    let relations =
        |list: &[Relation]| list.iter().map(|one| relation(one, false)).collect::<Vec<_>>();
    json!({
        "name": package.nevra.name,
        "epoch": package.nevra.epoch.to_string(),
        "version": package.nevra.version,
        "release": package.nevra.release,
        "arch": package.nevra.arch,
        "summary": package.summary,
        "description": package.description,
        "url": package.url,
        "rpm_vendor": package.vendor,
        "license": package.license,
        "source_rpm": package.source_rpm.as_deref().unwrap_or(""),
        "location": package.location,
        "checksum": [package.checksum.kind, package.checksum.value],
        "sizes": [package.size.package, package.size.installed, package.size.archive],
        "times": [package.build_time, package.file_time],
        "files": package.files,
        "provides": relations(&package.provides),
        "requires": package.requires.iter().map(|one| dep(&one.dep, one.pre)).collect::<Vec<_>>(),
        "conflicts": deps(&package.conflicts),
        "obsoletes": relations(&package.obsoletes),
        "recommends": deps(&package.recommends),
        "suggests": deps(&package.suggests),
        "supplements": deps(&package.supplements),
        "enhances": deps(&package.enhances),
    })
}

/// Packages in which every field says something, and some things that XML has to escape.
fn packages() -> Vec<Package> {
    let awkward = Package {
        nevra: Nevra::new("c++-lib", 3, "1.0~rc1^git5", "2.fc40", "x86_64"),
        summary: "Ampersands & <angles>, “quotes” and ’apostrophes’ \"'".to_owned(),
        description: "Two lines,\nand an ümlaut: ✓".to_owned(),
        url: "https://example.org/?a=1&b=<2>".to_owned(),
        license: "GPL-2.0-or-later AND (MIT OR X11)".to_owned(),
        vendor: "Vendor & Söhne".to_owned(),
        source_rpm: Some("c++-lib-1.0~rc1^git5-2.fc40.src.rpm".to_owned()),
        location: "Packages/c/c++-lib-1.0~rc1^git5-2.fc40.x86_64.rpm".to_owned(),
        checksum: Checksum::sha256(b"c++-lib"),
        size: Sizes { package: 12_345, installed: 5_000_000_000, archive: 67_890 },
        build_time: 1_700_000_001,
        file_time: 1_700_000_002,
        provides: vec![
            "c++-lib = 3:1.0~rc1^git5-2.fc40".parse().unwrap(),
            "c++-lib(x86-64) = 3:1.0~rc1^git5-2.fc40".parse().unwrap(),
            // createrepo_c 0.17 takes “&amp;” in attributes for “&#38;”; so no ampersand here.
            "pkgconfig(a+b) = 1".parse().unwrap(),
            Relation::any("libc++.so.1()(64bit)"),
        ],
        requires: vec![
            Relation::any("/bin/sh").into(),
            Requirement { dep: "base >= 1".parse().unwrap(), pre: true },
            "(base if missing else base)".parse::<Dep>().unwrap().into(),
        ],
        conflicts: vec!["old < 1:2~rc1".parse().unwrap(), "(old-a with old-b)".parse().unwrap()],
        obsoletes: vec!["older <= 4-5".parse().unwrap()],
        recommends: vec!["(docs or manual > 2)".parse().unwrap()],
        suggests: vec!["emacs".parse().unwrap()],
        supplements: vec!["(a and b)".parse().unwrap()],
        enhances: vec!["vim = 0:9".parse().unwrap()],
        files: vec![
            "/etc/c++.conf".to_owned(),
            "/usr/bin/c++ & co".to_owned(),
            "/usr/share/doc/c++/<readme> \"ü\"".to_owned(),
        ],
    };
    let base = Package {
        nevra: Nevra::new("base", 0, "2", "1.fc40", "noarch"),
        summary: "base".to_owned(),
        license: "MIT".to_owned(),
        source_rpm: Some("base-2-1.fc40.src.rpm".to_owned()),
        location: "base-2-1.fc40.noarch.rpm".to_owned(),
        checksum: Checksum::sha256(b"base"),
        provides: vec!["base = 2-1.fc40".parse().unwrap()],
        files: vec!["/bin/sh".to_owned(), "/opt/base/tool".to_owned()],
        ..Package::default()
    };
    let source = Package {
        nevra: Nevra::new("app", 0, "1", "1.fc40", "src"),
        summary: "app".to_owned(),
        license: "MIT".to_owned(),
        location: "app-1-1.fc40.src.rpm".to_owned(),
        checksum: Checksum::sha256(b"app"),
        requires: vec!["c++-lib >= 3:1.0~rc1".parse::<Relation>().unwrap().into()],
        files: vec!["app.spec".to_owned()],
        ..Package::default()
    };
    vec![awkward, base, source]
}

fn comps() -> Comps {
    let member = |name: &str, kind| Member { name: name.to_owned(), kind };
    Comps {
        groups: vec![Group {
            id: "build".to_owned(),
            name: "Build & more".to_owned(),
            packages: vec![
                member("base", MemberKind::Mandatory),
                member("c++-lib", MemberKind::Optional),
            ],
        }],
    }
}

/// Our packages as a repository in a directory.
fn ours(directory: &Path) -> Repomd {
    let (packages, comps) = (packages(), comps());
    Repository::new(&packages).comps(&comps).timestamp(1_700_000_000).write(directory).unwrap()
}

/// What we read of a repository: primary, with the description aside, and all files from the file lists.
fn read(directory: &Path) -> Vec<Package> {
    let index = File::open(directory.join("repodata/repomd.xml")).unwrap();
    let repomd = Repomd::read(index).unwrap();
    let open = |kind: &str| {
        let file = repomd.get(kind).unwrap();
        let path = directory.join(&file.location);
        assert_eq!(fs::metadata(&path).unwrap().len(), file.size.unwrap(), "{kind}");
        let checksum = file.checksum.as_ref().unwrap();
        assert!(checksum.matches(File::open(&path).unwrap()).unwrap(), "{kind}");
        File::open(path).unwrap()
    };
    let mut packages: Vec<Package> =
        primary::Reader::new(open("primary")).unwrap().map(Result::unwrap).collect();
    for package in &mut packages {
        package.files.clear();
    }
    filelists::read(open("filelists"), |key, path| {
        let package = packages.iter_mut().find(|package| package.checksum.value == key).unwrap();
        package.files.push(path.to_owned());
    })
    .unwrap();
    packages
}

/// Compares two descriptions member by member, so that a difference is told in few words.
fn same(ours: &Value, theirs: &Value) {
    let (ours, theirs) = (ours.as_object().unwrap(), theirs.as_object().unwrap());
    assert_eq!(ours.len(), theirs.len());
    for (member, value) in ours {
        assert_eq!(value, &theirs[member], "{member} of {}", ours["name"]);
    }
}

#[test]
fn createrepo_c_reads_every_field_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let repomd = ours(directory.path());
    let theirs = dump("repo", &[directory.path().to_owned()]).remove(0);
    assert_eq!(theirs["revision"], repomd.revision.as_str());
    let records: Vec<Value> = repomd
        .files
        .iter()
        .map(|file| {
            let checksum = file.checksum.as_ref().unwrap();
            let open = file.open_checksum.as_ref().unwrap();
            json!([
                file.kind,
                file.location,
                checksum.kind,
                checksum.value,
                open.value,
                file.size,
                file.open_size,
                file.timestamp
            ])
        })
        .collect();
    assert_eq!(theirs["records"], Value::Array(records));
    let read = theirs["packages"].as_array().unwrap();
    assert_eq!(read.len(), 3);
    for (package, theirs) in packages().iter().zip(read) {
        same(&described(package), theirs);
    }
}

#[test]
fn mergerepo_c_makes_one_of_two_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two, merged] = ["one", "two", "merged"].map(|name| directory.path().join(name));
    ours(&one);
    let other = [Package {
        nevra: Nevra::new("other", 0, "1", "1", "noarch"),
        location: "other-1-1.noarch.rpm".to_owned(),
        checksum: Checksum::sha256(b"other"),
        ..Package::default()
    }];
    Repository::new(&other).timestamp(1_700_000_000).write(&two).unwrap();
    run(Command::new("mergerepo_c")
        .args(["--all", "--omit-baseurl", "--outputdir"])
        .arg(&merged)
        .arg("--repo")
        .arg(&one)
        .arg("--repo")
        .arg(&two));
    let mut expected = packages();
    expected.extend(other);
    expected.sort_by(|a, b| a.nevra.name.cmp(&b.nevra.name));
    let mut merged = read(&merged);
    merged.sort_by(|a, b| a.nevra.name.cmp(&b.nevra.name));
    assert_eq!(merged.len(), 4);
    for (ours, mut theirs) in expected.iter().zip(merged) {
        // The only thing that our reader leaves out.
        theirs.description.clone_from(&ours.description);
        same(&described(ours), &described(&theirs));
    }
}

/// dnf on an empty system of its own, with one repository.
struct Dnf {
    directory: tempfile::TempDir,
}

impl Dnf {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let repository = directory.path().join("repository");
        ours(&repository);
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        let configuration = format!(
            "[main]\nreposdir=/dev/null\ncachedir={0}/cache\nlogdir={0}/log\npersistdir={0}/state\npluginpath=/usr/lib/python3/dist-packages/dnf-plugins\n\
             releasever=40\ngpgcheck=0\n[ours]\nname=ours\nbaseurl=file://{0}/repository\nenabled=1\n",
            directory.path().display()
        );
        fs::write(directory.path().join("dnf.conf"), configuration).unwrap();
        Self { directory }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("dnf");
        command
            .arg("--config")
            .arg(self.directory.path().join("dnf.conf"))
            .arg("--installroot")
            .arg(self.directory.path().join("root"))
            .args(["--forcearch=x86_64", "--assumeno"])
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn says(&self, arguments: &[&str]) -> String {
        let output = run(self.command().arg("--quiet").args(arguments));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it would install; it refuses in the end, as it was told to.
    fn would(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(complaint.contains("Operation aborted"), "{said}{complaint}");
        said
    }
}

#[test]
fn dnf_reads_and_would_install_ours() {
    let dnf = Dnf::new();
    let format = "%{name}|%{epoch}|%{version}|%{release}|%{arch}|%{summary}|%{url}|%{license}|%{vendor}|%{sourcerpm}|\
                  %{downloadsize}|%{installsize}|%{buildtime}|%{location}|%{reponame}";
    let said = dnf.says(&["repoquery", "--available", "--queryformat", format]);
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{said}");
    let lib = &packages()[0];
    let expected = [
        "c++-lib|3|1.0~rc1^git5|2.fc40|x86_64",
        &lib.summary,
        &lib.url,
        &lib.license,
        &lib.vendor,
        "c++-lib-1.0~rc1^git5-2.fc40.src.rpm|12345|5000000000",
    ]
    .join("|");
    assert!(lines[2].starts_with(&expected), "{said}");

    let lists = [
        "provides",
        "requires",
        "conflicts",
        "obsoletes",
        "recommends",
        "suggests",
        "supplements",
        "files",
    ];
    let format: String = lists.iter().map(|list| format!("[{list}]\\n%{{{list}}}\\n")).collect();
    let said = dnf.says(&["repoquery", "--queryformat", &format, "c++-lib"]);
    let of = |list: &str| {
        let (_, rest) = said.split_once(&format!("[{list}]\n")).unwrap();
        let mut lines: Vec<String> = rest
            .lines()
            .take_while(|line| !line.starts_with('['))
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let texts = |mut texts: Vec<String>| {
        texts.sort();
        texts
    };
    let all = |list: &[Dep]| texts(list.iter().map(ToString::to_string).collect());
    let relations = |list: &[Relation]| texts(list.iter().map(ToString::to_string).collect());
    assert_eq!(of("provides"), relations(&lib.provides));
    assert_eq!(of("requires"), texts(lib.requires.iter().map(|one| one.dep.to_string()).collect()));
    assert_eq!(of("conflicts"), all(&lib.conflicts));
    assert_eq!(of("obsoletes"), relations(&lib.obsoletes));
    assert_eq!(of("recommends"), all(&lib.recommends));
    assert_eq!(of("suggests"), all(&lib.suggests));
    assert_eq!(of("supplements"), all(&lib.supplements));
    assert_eq!(of("files"), lib.files);

    let said = dnf.says(&["repoquery", "--file", "/opt/base/tool"]);
    assert_eq!(said.trim(), "base-0:2-1.fc40.noarch");
    let said = dnf.would(&["install", "@build"]);
    assert!(said.contains("base") && !said.contains("c++-lib"), "{said}");
    // As mock installs what a build needs.
    let spec = dnf.directory.path().join("app.spec");
    fs::write(
        &spec,
        "Name: app\nVersion: 1\nRelease: 1\nSummary: app\nLicense: MIT\nBuildRequires: c++-lib >= 3:1.0~rc1\n\
         BuildRequires: (base if c++-lib)\n%description\napp\n",
    )
    .unwrap();
    let said = dnf.would(&["builddep", "--spec", spec.to_str().unwrap()]);
    for (name, version) in [("base", "2-1.fc40"), ("c++-lib", "3:1.0~rc1^git5-2.fc40")] {
        let told = |line: &str| line.contains(name) && line.contains(version);
        assert!(said.lines().any(told), "{name}: {said}");
    }
}

/// Packages with all that a spec file can say, built by rpmbuild; the directory with the package files.
fn built(directory: &Path) -> PathBuf {
    const SPEC: &str = r#"
Name: theirs
Epoch: 2
Version: 1.0~rc1^git5
Release: 3
Summary: Ampersands & <angles>, "quotes" and ümlauts
License: GPL-2.0-or-later AND MIT
URL: https://example.org/?a=1&b=<2>
Vendor: Vendor & Söhne
BuildArch: noarch
BuildRequires: something >= 3:1.0~rc1-1
BuildRequires: ((one or two) if three)
Requires: plain
Requires: versioned >= 1:2.0-3
Requires: /opt/a-b/file
Requires(pre): before-scripts = 4
Requires: (rich >= 1 if (poor and other) else none)
Provides: capability = 1:2.3
Provides: capability(with-brackets)
Conflicts: enemy < 0:5
Conflicts: (enemy-a with enemy-b)
Obsoletes: ancient <= 1:0
Recommends: (docs or manual > 2)
Suggests: editor
Supplements: (a and b)
Enhances: shell = 5-1

%description
Lines & paragraphs.

With an empty one between them: ✓

%package -n other
Summary: Another one
Requires: %{name} = %{epoch}:%{version}-%{release}

%description -n other
Short.

%install
mkdir -p "%{buildroot}/usr/bin" "%{buildroot}/etc" "%{buildroot}/usr/share/theirs/a directory"
echo 1 > "%{buildroot}/usr/bin/theirs"
echo 2 > "%{buildroot}/etc/theirs.conf"
echo 3 > "%{buildroot}/usr/share/theirs/a directory/Ümlaut & <more>"
ln -s theirs "%{buildroot}/usr/bin/other"

%files
/usr/bin/theirs
%config(noreplace) /etc/theirs.conf
/usr/share/theirs
%ghost /var/log/theirs.log

%files -n other
/usr/bin/other
"#;
    let spec = directory.join("theirs.spec");
    fs::write(&spec, SPEC).unwrap();
    run(Command::new("rpmbuild")
        .args(["-ba", "--nodeps"])
        .arg("--define")
        .arg(format!("_topdir {}", directory.join("build").display()))
        .arg("--define")
        .arg(format!("_dbpath {}", directory.join("db").display()))
        .arg(&spec));
    let packages = directory.join("packages");
    fs::create_dir(&packages).unwrap();
    for below in ["build/RPMS/noarch", "build/SRPMS"] {
        for file in fs::read_dir(directory.join(below)).unwrap() {
            let file = file.unwrap();
            fs::rename(file.path(), packages.join(file.file_name())).unwrap();
        }
    }
    packages
}

#[test]
fn we_read_every_field_of_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let packages = built(directory.path());
    let files: Vec<PathBuf> =
        fs::read_dir(&packages).unwrap().map(|file| file.unwrap().path()).collect();
    // What the package files themselves say.
    let mut truth = dump("rpm", &files);
    truth.sort_by_key(|package| package["location"].to_string());
    assert_eq!(truth.len(), 3, "two packages and their source");
    let comps = directory.path().join("comps.xml");
    fs::write(&comps, rpm::md::write::comps_xml(&self::comps())).unwrap();
    for compression in ["gz", "bz2", "xz"] {
        let _ = fs::remove_dir_all(packages.join("repodata"));
        run(Command::new("createrepo_c")
            .arg(format!("--general-compress-type={compression}"))
            .arg("--groupfile")
            .arg(&comps)
            .arg(&packages));
        let mut read = read(&packages);
        read.sort_by(|a, b| a.location.cmp(&b.location));
        assert_eq!(read.len(), 3);
        for (package, truth) in read.iter().zip(&truth) {
            let mut truth = truth.clone();
            // What our reader leaves out; and the time at which the file was made readable is not the package's.
            truth["description"] = json!("");
            truth["times"][1] = json!(package.file_time);
            same(&described(package), &truth);
        }
        let index = File::open(packages.join("repodata/repomd.xml")).unwrap();
        let repomd = Repomd::read(index).unwrap();
        let group = repomd.files.iter().find(|file| file.kind.starts_with("group_")).unwrap();
        for file in [repomd.get("group").unwrap(), group] {
            let read = Comps::read(File::open(packages.join(&file.location)).unwrap()).unwrap();
            assert_eq!(read, self::comps(), "{}", file.location);
        }
    }
}
