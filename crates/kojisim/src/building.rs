//! What builders do for a build: the checks of kojid, the SRPM, one `buildArch` of each architecture, the tagging.

use serde_json::{Value, json};

use crate::builders::work_directory;
use crate::buildroot::{Attempt, Verdict};
use crate::content::{self, Built};
use crate::engine::{Engine, build_state, repo_state};
use crate::rows::{Build, Outcome, Revision, Rpm, Task};

impl Engine {
    pub(crate) fn work_on_build(&mut self, task: Task) {
        if self.pass_on_failure(&task) {
            self.tell_failure(&task);
            return;
        }
        if !self.all_closed(&task) {
            return self.sleep(task.id);
        }
        let request = BuildRequest::of(&task);
        if task.notes.repo.is_none() {
            return self.start_build(&task, &request);
        }
        let srpm = self
            .children_of(&task, "rebuildSRPM")
            .chain(self.children_of(&task, "buildSRPMFromSCM"))
            .next()
            .cloned();
        let Some(srpm) = srpm else { return self.start_build(&task, &request) };
        if self.children_of(&task, "buildArch").next().is_none() {
            return self.start_arches(&task, &request, &srpm);
        }
        if request.scratch || request.skip_tag || task.notes.build.is_none() {
            if let Some(build) = task.notes.build {
                self.complete_build(&task, build);
            }
            return self.close(task.id, Value::Null);
        }
        if self.children_of(&task, "tagBuild").next().is_none() {
            return self.start_tagging(&task, &request);
        }
        self.close(task.id, Value::Null);
    }

    fn tell_failure(&mut self, task: &Task) {
        if task.notes.build.is_none() {
            return;
        }
        let name = self.task_subject(task);
        let why = match self.store.tasks.get(task.id).and_then(|task| task.result.clone()) {
            Some(Outcome::Failed(_, text)) => text,
            _ => String::new(),
        };
        self.tell(format!(
            "The build of {name} failed: {}",
            why.lines().next().unwrap_or_default()
        ));
    }

    fn task_subject(&self, task: &Task) -> String {
        task.notes
            .build
            .and_then(|build| self.store.builds.get(build))
            .map_or_else(|| format!("task {}", task.id), Build::nvr)
    }

    /// Checks of kojid, in its order; then the SRPM.
    fn start_build(&mut self, task: &Task, request: &BuildRequest) {
        let id = task.id;
        if request.arch_override.is_some() && !request.scratch {
            return self.fail(id, 1005, "arch_override is only allowed for scratch builds");
        }
        let mut repo = None;
        if let Some(wanted) = request.repo_id {
            let Some(row) = self.store.repos.get(wanted).cloned() else {
                return self.fail(id, 1005, format!("No such repo: {wanted}"));
            };
            if !matches!(row.state, repo_state::READY | repo_state::EXPIRED) {
                let text = format!("Bad repo: {wanted} ({})", repo_state::name(row.state));
                return self.fail(id, 1005, text);
            }
            let permitted = self.store.users.get(task.owner).is_some_and(|user| {
                user.permissions.contains("admin")
                    || user.permissions.contains("build-from-repo-id")
            });
            if !permitted {
                let text =
                    "policy violation (build_from_repo_id): needs build-from-repo-id permission";
                return self.fail(id, 1004, text);
            }
            repo = Some(row);
        }
        let build_tag = match &request.target {
            Some(name) => {
                let Some(target) = self.store.targets.find(|target| target.name == *name).cloned()
                else {
                    return self.fail(id, 1000, format!("unknown build target: {name}"));
                };
                if let Some(repo) = repo.as_ref().filter(|repo| repo.tag != target.build_tag) {
                    let name = |tag| {
                        self.store.tags.get(tag).map(|tag| tag.name.clone()).unwrap_or_default()
                    };
                    let text = format!(
                        "Repo/Target mismatch: {}/{}",
                        name(repo.tag),
                        name(target.build_tag)
                    );
                    return self.fail(id, 1005, text);
                }
                target.build_tag
            }
            None => match &repo {
                Some(repo) => repo.tag,
                None => return self.fail(id, 1005, "A build must specify a target"),
            },
        };
        let waited =
            self.children_of(task, "waitrepo").next().and_then(|child| match &child.result {
                Some(Outcome::Closed(repo)) => repo.get("id")?.as_i64(),
                _ => None,
            });
        let repo = match repo.map(|repo| repo.id).or(waited).or_else(|| {
            self.newest_repo(build_tag, repo_state::READY)
                .map(|repo| repo.id)
                .filter(|_| !request.wait_repo)
        }) {
            Some(repo) => repo,
            None => {
                let name =
                    self.store.tags.get(build_tag).map(|tag| tag.name.clone()).unwrap_or_default();
                let min_event = self.last_event();
                self.child(task, "waitrepo", json!([name, null, [], min_event]), "noarch", None);
                return;
            }
        };
        self.store.tasks.change(id, |task| task.notes.repo = Some(repo));
        let scratch = if request.scratch { json!(true) } else { Value::Null };
        let opts = json!({"repo_id": repo, "scratch": scratch});
        let method =
            if request.source.contains("://") { "buildSRPMFromSCM" } else { "rebuildSRPM" };
        self.child(task, method, json!([request.source, build_tag, opts]), "noarch", Some("srpm"));
    }

    /// The SRPM is there: choose architectures, and reserve the build if it is a real one.
    fn start_arches(&mut self, task: &Task, request: &BuildRequest, srpm: &Task) {
        let Some(revision) =
            srpm.notes.revision.and_then(|id| self.store.revisions.get(id)).cloned()
        else {
            return self.fail(task.id, 1000, "The source package vanished");
        };
        let repo = task.notes.repo.unwrap_or_default();
        let build_tag = self.store.repos.get(repo).map_or(0, |repo| repo.tag);
        let tag_arches = self.tag_arches(build_tag);
        let override_arches = match &request.arch_override {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => return self.fail(task.id, 1, not_a_string(other)),
        };
        let headers = content::arch_headers(&self.world, &revision.source);
        let arches = choose_arches(&tag_arches, &headers, override_arches.as_deref());
        if arches.is_empty() {
            return self.fail(task.id, 1005, "No matching arches were found");
        }
        self.store.tasks.change(task.id, |task| task.notes.revision = Some(revision.id));
        if !request.scratch {
            match self.reserve_build(task, request, &revision) {
                Ok(build) => {
                    self.store.tasks.change(task.id, |task| task.notes.build = Some(build))
                }
                Err(text) => return self.fail(task.id, 1000, text),
            }
        }
        let path = match &srpm.result {
            Some(Outcome::Closed(result)) => result["srpm"].as_str().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        for (index, arch) in arches.iter().enumerate() {
            let request = json!([path, build_tag, arch, index == 0, {"repo_id": repo}]);
            // Koji gives noarch builds to any builder that can build for the tag.
            self.child(task, "buildArch", request, arch, Some(arch));
        }
    }

    fn reserve_build(
        &mut self,
        task: &Task,
        request: &BuildRequest,
        revision: &Revision,
    ) -> Result<i64, String> {
        let Some(package) =
            self.store.packages.find(|package| package.name == revision.source).map(|row| row.id)
        else {
            return Err(format!("package {} is not known", revision.source));
        };
        let dest = self.dest_tag(request);
        let tag_name = dest
            .and_then(|tag| self.store.tags.get(tag))
            .map(|tag| tag.name.clone())
            .unwrap_or_default();
        let listing = dest.and_then(|tag| {
            self.package_list(tag, true)
                .into_iter()
                .find(|listing| listing.package == package)
                .cloned()
        });
        match listing {
            None => {
                return Err(format!("package {} not in list for tag {tag_name}", revision.source));
            }
            Some(listing) if listing.blocked => {
                return Err(format!("package {} is blocked for tag {tag_name}", revision.source));
            }
            Some(_) => {}
        }
        let release = self.release_of(revision, &tag_name);
        let existing = self
            .store
            .builds
            .find(|build| {
                build.name == revision.source
                    && build.version == revision.version
                    && build.release == release
            })
            .cloned();
        if let Some(existing) = &existing
            && matches!(existing.state, build_state::COMPLETE | build_state::BUILDING)
        {
            return Err(format!(
                "Build already exists (id={}, state={})",
                existing.id,
                match existing.state {
                    build_state::COMPLETE => "COMPLETE",
                    _ => "BUILDING",
                }
            ));
        }
        let create_event = self.event();
        let id = existing.map_or_else(|| self.store.builds.new_id(), |build| build.id);
        let source = if request.source.contains("://") {
            request.source.clone()
        } else {
            content::source_rpm_name(revision, &release)
        };
        let build = Build {
            id,
            package,
            name: revision.source.clone(),
            epoch: revision.epoch,
            version: revision.version.clone(),
            release,
            state: build_state::BUILDING,
            task: Some(task.id),
            owner: task.owner,
            create_event,
            creation_ts: self.now,
            start_ts: self.now,
            completion_ts: None,
            source: Some(source),
            revision: revision.id,
            abis: std::collections::BTreeMap::new(),
        };
        self.store.builds.put(id, build);
        Ok(id)
    }

    /// The release with the dist suffix of the release that a tag belongs to: `3.by2`.
    pub(crate) fn release_of(&self, revision: &Revision, tag: &str) -> String {
        let release =
            self.world.releases.iter().find(|release| tag.starts_with(release.tag.as_str()));
        let dist = release
            .or_else(|| self.world.releases.first())
            .map_or("", |release| release.dist.as_str());
        if dist.is_empty() {
            return revision.release.clone();
        }
        format!("{}.{dist}", revision.release)
    }

    fn dest_tag(&self, request: &BuildRequest) -> Option<i64> {
        let target = request.target.as_ref()?;
        self.store.targets.find(|row| row.name == *target).map(|target| target.dest_tag)
    }

    fn complete_build(&mut self, task: &Task, build: i64) {
        let repo = task.notes.repo.unwrap_or_default();
        let arches: Vec<String> =
            self.children_of(task, "buildArch").map(|child| child.arch.clone()).collect();
        let buildroot = self.children_of(task, "buildArch").find_map(|child| child.notes.buildroot);
        let canonical = self.first_arch(repo);
        let abis = self
            .contents(repo, &canonical)
            .map(|contents| contents.abis.clone())
            .unwrap_or_default();
        let now = crate::engine::microseconds(self.now);
        self.store.builds.change(build, |build| {
            build.state = build_state::COMPLETE;
            build.completion_ts = Some(now);
            build.abis = abis;
        });
        self.make_rpms(build, &arches, buildroot);
    }

    /// Adds the RPM rows of a finished build: the source, then the binaries of each arch, noarch ones once.
    pub(crate) fn make_rpms(&mut self, build: i64, arches: &[String], buildroot: Option<i64>) {
        let Some(row) = self.store.builds.get(build).cloned() else { return };
        let Some(revision) = self.store.revisions.get(row.revision).cloned() else { return };
        let world = self.world.clone();
        let built = Built { revision: &revision, release: &row.release, abis: &row.abis };
        let mut names = vec![(row.name.clone(), "src".to_owned())];
        for arch in arches {
            for rpm in content::binaries(&world, built, arch) {
                let key = (rpm.name, rpm.arch);
                if !names.contains(&key) {
                    names.push(key);
                }
            }
        }
        for (name, arch) in names {
            let id = self.store.rpms.new_id();
            self.store.rpms.put(id, Rpm { id, build, name, arch, buildroot });
        }
    }

    /// An architecture that a repo has, for builds that run anywhere: the tag's first.
    pub(crate) fn first_arch(&self, repo: i64) -> String {
        let tag = self.store.repos.get(repo).map_or(0, |repo| repo.tag);
        self.repo_arches(tag).into_iter().next().unwrap_or_else(|| "x86_64".to_owned())
    }

    fn start_tagging(&mut self, task: &Task, request: &BuildRequest) {
        let Some(build) = task.notes.build else { return self.close(task.id, Value::Null) };
        self.complete_build(task, build);
        match self.dest_tag(request) {
            Some(tag) => {
                self.child(
                    task,
                    "tagBuild",
                    json!([tag, build, false, null, true]),
                    "noarch",
                    Some("tag"),
                );
            }
            None => self.close(task.id, Value::Null),
        }
    }

    pub(crate) fn tag_the_build(&mut self, task: Task) {
        let tag = task.request[0].as_i64().unwrap_or_default();
        let build = task.request[1].as_i64().unwrap_or_default();
        self.tag_build(tag, build, task.owner);
        self.close(task.id, Value::Null);
        let name = self.store.builds.get(build).map(Build::nvr).unwrap_or_default();
        let tag = self.store.tags.get(tag).map(|tag| tag.name.clone()).unwrap_or_default();
        self.tell(format!("{name} is built and tagged into {tag}"));
    }

    // ------------------------------------------------------------------ SRPM

    pub(crate) fn make_srpm(&mut self, task: Task) {
        let source = task.request[0].as_str().unwrap_or_default().to_owned();
        let Some((revision, release)) = self.find_source(&source, &task) else {
            return self.fail(task.id, 1, source_not_found(&source));
        };
        let Some(row) = self.store.revisions.get(revision).cloned() else {
            return self.fail(task.id, 1, source_not_found(&source));
        };
        let repo = task.request[2]["repo_id"].as_i64().unwrap_or_default();
        let canonical = self.first_arch(repo);
        let buildroot = self.new_buildroot();
        self.store.tasks.change(task.id, |task| {
            task.notes.revision = Some(revision);
            task.notes.repo = Some(repo);
            task.notes.buildroot = Some(buildroot);
        });
        let attempt = self.attempt_source(repo, &canonical);
        if let Some(Attempt { verdict: Verdict::NoBuildroot(problems), .. }) = &attempt {
            self.write_logs(task.id, &row, "noarch", &[], Some(&problems.join("\n")), None);
            return self.fail(task.id, 1012, no_buildroot());
        }
        let name = content::source_rpm_name(&row, &release);
        let installed = attempt.map(|attempt| attempt.installed).unwrap_or_default();
        self.write_logs(task.id, &row, "noarch", &installed, None, None);
        let directory = work_directory(task.id);
        let mut source_url = name.clone();
        if source.contains("://") {
            source_url = source.clone();
        }
        let logs = self.log_paths(task.id);
        self.store.tasks.change(task.id, |task| {
            task.notes.files.insert(name.clone(), 12_345);
        });
        self.close(
            task.id,
            json!({
                "srpm": format!("{directory}/{name}"),
                "logs": logs,
                "brootid": buildroot,
                "source": {"source": source_url, "url": source_url},
            }),
        );
    }

    /// The revision that a source stands for, and the release of its SRPM.
    fn find_source(&self, source: &str, task: &Task) -> Option<(i64, String)> {
        if let Some((url, commit)) =
            source.split_once("://").map(|(_, rest)| rest.split_once('#').unwrap_or((rest, "")))
        {
            let path = url.split('?').next()?.trim_end_matches('/').trim_end_matches(".git");
            let name = path.rsplit('/').next()?;
            let revision = self
                .store
                .revisions
                .all()
                .find(|revision| revision.source == name && self.commit_id(revision.id) == commit)
                .or_else(|| self.newest_revision(name).filter(|_| commit.len() < 32))?;
            let tag = task.request[1].as_i64()?;
            let tag = self.store.tags.get(tag)?.name.clone();
            return Some((revision.id, self.release_of(revision, &tag)));
        }
        let file = source.rsplit('/').next()?;
        let build = self.store.builds.all().rev().find(|build| {
            file.strip_suffix(".src.rpm") == Some(build.nvr().as_str())
                && build.state == build_state::COMPLETE
        })?;
        let expected =
            format!("../packages/{}/{}/{}/src/{file}", build.name, build.version, build.release);
        let uploaded = source.starts_with("cli-build/") || source.starts_with("tasks/");
        (source == expected || uploaded).then(|| (build.revision, build.release.clone()))
    }

    fn new_buildroot(&mut self) -> i64 {
        let mut id = 0;
        self.store.remember(|memory| {
            memory.buildroots += 1;
            id = memory.buildroots;
        });
        id
    }

    // ------------------------------------------------------------------ buildArch

    pub(crate) fn build_arch(&mut self, task: Task) {
        let arch = task.request[2].as_str().unwrap_or_default().to_owned();
        let repo = task.request[4]["repo_id"].as_i64().unwrap_or_default();
        let parent = task.parent.unwrap_or_default();
        let Some(revision) = self.revision_of_task(parent).cloned() else {
            return self.fail(task.id, 1000, "The source package vanished");
        };
        let canonical = if arch == "noarch" {
            let host = task
                .host
                .and_then(|host| self.store.hosts.get(host))
                .map(|host| host.arches.clone());
            let arches = self.repo_arches(self.store.repos.get(repo).map_or(0, |repo| repo.tag));
            let host = host.unwrap_or_default();
            host.split_whitespace()
                .find(|arch| arches.iter().any(|known| known == arch))
                .map_or_else(|| self.first_arch(repo), str::to_owned)
        } else {
            arch.clone()
        };
        let buildroot = self.new_buildroot();
        self.store.tasks.change(task.id, |task| {
            task.notes.repo = Some(repo);
            task.notes.buildroot = Some(buildroot);
        });
        let deleted =
            self.store.repos.get(repo).is_none_or(|repo| repo.state == repo_state::DELETED);
        let attempt = if deleted { None } else { self.attempt(&revision, repo, &canonical) };
        let Some(Attempt { verdict, installed }) = attempt else {
            return self.fail(task.id, 1012, no_buildroot());
        };
        let (log, complaint) = match &verdict {
            Verdict::Good => (None, None),
            Verdict::Broken(words) => (None, Some(words.clone())),
            Verdict::MissingRequires(problems) | Verdict::NoBuildroot(problems) => {
                (Some(problems.join("\n")), None)
            }
        };
        self.write_logs(
            task.id,
            &revision,
            &canonical,
            &installed,
            log.as_deref(),
            complaint.as_deref(),
        );
        match verdict {
            Verdict::Good => self.deliver(&task, &revision, &arch, buildroot),
            Verdict::NoBuildroot(_) => self.fail(task.id, 1012, no_buildroot()),
            Verdict::MissingRequires(_) => self.fail(
                task.id,
                1005,
                format!(
                    "error building package (arch {arch}), mock exited with status 30; see root.log for more information"
                ),
            ),
            Verdict::Broken(_) => self.fail(
                task.id,
                1005,
                format!(
                    "error building package (arch {arch}), mock exited with status 1; see build.log or root.log for more information"
                ),
            ),
        }
    }

    fn deliver(&mut self, task: &Task, revision: &Revision, arch: &str, buildroot: i64) {
        let directory = work_directory(task.id);
        let tag = task.request[1].as_i64().unwrap_or_default();
        let tag = self.store.tags.get(tag).map(|tag| tag.name.clone()).unwrap_or_default();
        let release = self.release_of(revision, &tag);
        let abis = std::collections::BTreeMap::new();
        let world = self.world.clone();
        let built = Built { revision, release: &release, abis: &abis };
        let keep_srpm = task.request[3].as_bool().unwrap_or_default();
        let rpms: Vec<content::Rpm> = content::binaries(&world, built, arch);
        let srpm = content::source(&world, built);
        let mut files: Vec<&content::Rpm> = rpms.iter().collect();
        if keep_srpm {
            files.push(&srpm);
        }
        self.store.tasks.change(task.id, |task| {
            for rpm in files {
                task.notes.files.insert(rpm.file_name(), crate::buildroot::file_size(rpm));
            }
        });
        let names: Vec<String> =
            rpms.iter().map(|rpm| format!("{directory}/{}", rpm.file_name())).collect();
        let srpms =
            if keep_srpm { vec![format!("{directory}/{}", srpm.file_name())] } else { Vec::new() };
        let logs = self.log_paths(task.id);
        self.close(
            task.id,
            json!({"rpms": names, "srpms": srpms, "logs": logs, "brootid": buildroot}),
        );
    }
}

/// The arguments of a `build` task.
#[derive(Debug, Clone, PartialEq)]
struct BuildRequest {
    source: String,
    target: Option<String>,
    scratch: bool,
    skip_tag: bool,
    wait_repo: bool,
    repo_id: Option<i64>,
    arch_override: Option<Value>,
}

impl BuildRequest {
    fn of(task: &Task) -> BuildRequest {
        let opts = &task.request[2];
        let truth = |name: &str| opts[name].as_bool().unwrap_or_default();
        BuildRequest {
            source: task.request[0].as_str().unwrap_or_default().to_owned(),
            target: task.request[1].as_str().map(str::to_owned),
            scratch: truth("scratch"),
            skip_tag: truth("skip_tag"),
            wait_repo: truth("wait_repo"),
            repo_id: opts["repo_id"].as_i64(),
            arch_override: opts.get("arch_override").filter(|value| !value.is_null()).cloned(),
        }
    }
}

/// kojid's choice of architectures (spec koji.md): of the tag, replaced by BUILDARCHS, kept if in EXCLUSIVEARCH, less
/// EXCLUDEARCH; noarch where the headers have it; an override replaces all; then canonical ones of the tag.
pub(crate) fn choose_arches(
    tag_arches: &[String],
    headers: &content::ArchHeaders,
    override_arches: Option<&str>,
) -> Vec<String> {
    let mut arches: Vec<String> = if headers.build_archs.is_empty() {
        tag_arches.to_vec()
    } else {
        headers.build_archs.clone()
    };
    if !headers.exclusive_arch.is_empty() {
        arches.retain(|arch| headers.exclusive_arch.contains(arch));
    }
    arches.retain(|arch| !headers.exclude_arch.contains(arch));
    let noarch = "noarch".to_owned();
    if !headers.exclude_arch.contains(&noarch)
        && (headers.build_archs.contains(&noarch) || headers.exclusive_arch.contains(&noarch))
    {
        arches.push(noarch);
    }
    if let Some(text) = override_arches {
        arches = text.split_whitespace().map(str::to_owned).collect();
    }
    let known: Vec<&str> = tag_arches.iter().map(|arch| koji::arch::canonical(arch)).collect();
    let mut chosen: Vec<String> = Vec::new();
    for arch in &arches {
        let canonical = koji::arch::canonical(arch);
        let arch = if arch == "noarch" { "noarch" } else { canonical };
        if (arch == "noarch" || known.contains(&arch)) && !chosen.iter().any(|known| known == arch)
        {
            chosen.push(arch.to_owned());
        }
    }
    chosen
}

fn no_buildroot() -> String {
    "could not init mock buildroot, mock exited with status 30; see root.log for more information"
        .to_owned()
}

fn source_not_found(source: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/usr/share/koji/koji/daemon.py\", line 1421, in runTask\n    \
         response = (handler.run(),)\nrequests.exceptions.HTTPError: 404 Client Error: Not Found for url: {source}\n"
    )
}

fn not_a_string(value: &Value) -> String {
    let kind = match value {
        Value::Number(number) if number.is_i64() => "int",
        Value::Number(_) => "float",
        Value::Bool(_) => "bool",
        Value::Array(_) => "list",
        _ => "dict",
    };
    format!(
        "Traceback (most recent call last):\n  File \"/usr/sbin/kojid\", line 1421, in getArchList\n    \
         archlist = override.split()\nAttributeError: '{kind}' object has no attribute 'split'\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::ArchHeaders;

    fn strings(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn choose(
        tag: &str,
        build: &str,
        exclusive: &str,
        exclude: &str,
        over: Option<&str>,
    ) -> String {
        let headers = ArchHeaders {
            build_archs: strings(build),
            exclusive_arch: strings(exclusive),
            exclude_arch: strings(exclude),
        };
        choose_arches(&strings(tag), &headers, over).join(" ")
    }

    #[test]
    fn arches_are_chosen_as_by_kojid() {
        let tag = "x86_64 aarch64 i686";
        assert_eq!(choose(tag, "", "", "", None), "x86_64 aarch64 i386");
        assert_eq!(choose(tag, "noarch", "", "", None), "noarch");
        assert_eq!(choose(tag, "", "i386 i686 x86_64", "", None), "x86_64 i386");
        assert_eq!(choose(tag, "", "", "x86_64", None), "aarch64 i386");
        assert_eq!(choose(tag, "", "s390x s390", "", None), "");
        assert_eq!(choose(tag, "noarch", "x86_64 aarch64 noarch", "", None), "noarch");
        assert_eq!(choose(tag, "", "", "", Some("x86_64 s390x")), "x86_64");
        // kojid knows no negative override.
        assert_eq!(choose(tag, "", "", "", Some("^x86_64")), "");
    }
}
