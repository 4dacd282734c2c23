//! The first start: a hub that looks as if people had used it for days.
//!
//! Every source package has a real build, made by tasks of the last days, whose `buildArch` children name repo 1. A few
//! updates followed, and a newer repo has them. So a Koschei that meets this hub finds builds to register, dependency
//! changes to show, and something to schedule at once.
//!
//! One liberty is taken: everything is tagged before repo 1, so that the builds which name it are also its content. A
//! real distribution is bootstrapped by importing the builds of another one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::building::choose_arches;
use crate::content;
use crate::control::Push;
use crate::engine::{Engine, build_state, microseconds, repo_state, task_state};
use crate::rows::{
    Build, Channel, GroupPackage, Host, Listing, Memory, Notes, Outcome, Package, Revision, Tag,
    Tagging, Target, Task, User,
};
use crate::world::Source;

const HOUR: f64 = 3_600.0;

impl Engine {
    /// Fills an empty hub.
    pub(crate) fn begin(&mut self, seed: u64) {
        let now = self.now;
        self.store
            .memory
            .put(1, Memory { seed, first_start: now, last_seen: now, ..Memory::default() });
        let world = self.world.clone();

        for (index, user) in world.users.iter().enumerate() {
            let id = index as i64 + 1;
            self.store.users.put(
                id,
                User {
                    id,
                    name: user.name.clone(),
                    password: user.password.clone(),
                    blocked: user.blocked,
                    usertype: 0,
                    permissions: user.permissions.clone(),
                },
            );
        }
        for (index, channel) in world.channels.iter().enumerate() {
            let id = index as i64 + 1;
            self.store.channels.put(id, Channel { id, name: channel.name.clone() });
        }
        for (index, host) in world.hosts.iter().enumerate() {
            let id = index as i64 + 1;
            let user = self.store.users.new_id();
            self.store.users.put(
                user,
                User {
                    id: user,
                    name: host.name.clone(),
                    password: None,
                    blocked: false,
                    usertype: 1,
                    permissions: BTreeSet::new(),
                },
            );
            let channels = host.channels.iter().map(|channel| self.channel_id(channel)).collect();
            self.store.hosts.put(
                id,
                Host {
                    id,
                    user,
                    name: host.name.clone(),
                    arches: host.arches.clone(),
                    capacity: host.capacity,
                    enabled: host.enabled,
                    ready: host.enabled,
                    channels,
                    other_load: 0.0,
                },
            );
        }

        let first_event = self.event_at(now - 400.0 * HOUR);
        for release in &world.releases {
            let dest = self.add_tag(&release.tag, None, &[], first_event);
            let build = self.add_tag(
                &format!("{}-build", release.tag),
                Some(&release.arches),
                &[dest],
                first_event,
            );
            let id = self.store.targets.new_id();
            let target = Target { id, name: release.tag.clone(), build_tag: build, dest_tag: dest };
            self.store.targets.put(id, target);
            for (name, members) in &world.groups {
                let members = members.iter().map(|package| GroupPackage::mandatory(package));
                self.put_group(build, name.clone(), members.collect(), first_event);
            }
        }
        for (name, source) in &world.sources {
            let package = self.store.packages.new_id();
            self.store.packages.put(package, Package { id: package, name: name.clone() });
            let owner = self.user_id(&source.owner);
            for release in &world.releases {
                let Some(tag) = self.tag_named(&release.tag).map(|tag| tag.id) else { continue };
                let id = self.store.listings.new_id();
                let blocked = source.blocked;
                self.store.listings.put(
                    id,
                    Listing { id, tag, package, owner, blocked, create_event: first_event },
                );
            }
            self.add_first_revision(name, source);
        }
        self.build_history();
        self.recent_updates();
        if let Some(whims) = self.life.as_ref().and_then(|life| life.whims.as_ref()) {
            let due = now + self.scaled(whims.from);
            self.store.remember(|memory| memory.next_whim = Some(due));
        }
        self.now = now;
        let sources = world.sources.len();
        self.tell(format!("{} begins: {sources} source packages", world.distribution.name));
    }

    fn add_tag(
        &mut self,
        name: &str,
        arches: Option<&str>,
        parents: &[i64],
        create_event: i64,
    ) -> i64 {
        let id = self.store.tags.new_id();
        let tag = Tag {
            id,
            name: name.to_owned(),
            arches: arches.map(str::to_owned),
            extra: BTreeMap::new(),
            parents: parents.to_vec(),
            create_event,
        };
        self.store.tags.put(id, tag);
        id
    }

    fn add_first_revision(&mut self, name: &str, source: &Source) {
        let id = self.store.revisions.new_id();
        self.store.revisions.put(
            id,
            Revision {
                id,
                source: name.to_owned(),
                epoch: source.epoch,
                version: source.version.clone(),
                release: source.release.clone(),
                abi: source.abi.clone(),
                build_requires: None,
                breaks: BTreeMap::new(),
                adapted: BTreeSet::new(),
                broken: None,
            },
        );
    }

    /// One build of every source in every release, the oldest more than a week ago.
    fn build_history(&mut self) {
        let world = self.world.clone();
        let now = self.now;
        let abis = self.first_abis();
        for (release_index, release) in world.releases.iter().enumerate() {
            let repo_ts = now - (230.0 + 20.0 * release_index as f64) * HOUR;
            let Some(target) =
                self.store.targets.find(|target| target.name == release.tag).cloned()
            else {
                continue;
            };
            let revisions: Vec<Revision> = self.store.revisions.all().cloned().collect();
            // Reserve the repo's id: the builds name it.
            let repo = self.store.repos.new_id();
            let count = revisions.len() as f64;
            // Seconds from one tagging to the next; all of them are over before the repo is made.
            let step = f64::min(20.0, 2.0 * HOUR / count);
            for (index, revision) in revisions.iter().enumerate() {
                // Spread over the days from nine to two days ago, in a shuffled but fixed order.
                let place = (index * 31 + release_index * 7) as f64 % count;
                let finished = now - (210.0 - 160.0 * place / count) * HOUR;
                let build = self.historic_build(revision, &target, repo, finished, &abis);
                let event = self.event_at(repo_ts - 3.0 * HOUR + index as f64 * step);
                let id = self.store.taggings.new_id();
                let creator = self.user_id("kojiadmin");
                self.store.taggings.put(
                    id,
                    Tagging {
                        id,
                        tag: target.dest_tag,
                        build,
                        create_event: event,
                        revoke_event: None,
                        creator,
                    },
                );
            }
            self.historic_repo(repo, &target, repo_ts);
        }
    }

    /// What everything of the first repo was linked with, as far as that is known.
    fn first_abis(&self) -> BTreeMap<String, String> {
        // An imported world does not tell.
        if self.world.imported.is_some() {
            return BTreeMap::new();
        }
        let sources = self.world.sources.iter();
        sources.map(|(name, source)| (name.clone(), source.abi.clone())).collect()
    }

    /// Updates of the last day, and the repo that has them.
    fn recent_updates(&mut self) {
        let now = self.now;
        let Some(life) = self.life.clone() else { return };
        let mut touched = BTreeSet::new();
        let mut newest = 48.0_f64;
        for before in &life.befores {
            let Some(target) = self.target_of(&before.push).cloned() else { continue };
            let Some(revision) = self.add_revision(&before.push) else { continue };
            let Some(revision) = self.store.revisions.get(revision).cloned() else { continue };
            let Some(repo) =
                self.newest_repo(target.build_tag, repo_state::READY).map(|repo| repo.id)
            else {
                continue;
            };
            let finished = now - before.hours_ago * HOUR;
            let abis = self.abis_now(target.dest_tag);
            let build = self.historic_build(&revision, &target, repo, finished, &abis);
            let creator = self.store.builds.get(build).map_or(1, |build| build.owner);
            let event = self.event_at(finished + 5.0);
            let id = self.store.taggings.new_id();
            self.store.taggings.put(
                id,
                Tagging {
                    id,
                    tag: target.dest_tag,
                    build,
                    create_event: event,
                    revoke_event: None,
                    creator,
                },
            );
            newest = newest.min(before.hours_ago);
            touched.insert(target.id);
        }
        for id in touched {
            let Some(target) = self.store.targets.get(id).cloned() else { continue };
            let repo = self.store.repos.new_id();
            self.historic_repo(repo, &target, now - newest * HOUR / 2.0);
        }
    }

    pub(crate) fn abis_now(&self, tag: i64) -> BTreeMap<String, String> {
        self.tagged(tag, None, true, true, None)
            .into_iter()
            .filter_map(|(_, build)| self.store.revisions.get(build.revision))
            .map(|revision| (revision.source.clone(), revision.abi.clone()))
            .collect()
    }

    fn historic_repo(&mut self, repo: i64, target: &Target, ts: f64) {
        let now = self.now;
        self.now = ts;
        let owner = self.user_id("kojira");
        let tag_name =
            self.store.tags.get(target.build_tag).map(|tag| tag.name.clone()).unwrap_or_default();
        let task = self.historic_task(
            HistoricTask {
                method: "newRepo",
                request: json!([{"id": target.build_tag, "name": tag_name}, {"opts": {}, "__starstar": true}]),
                owner,
                parent: None,
                arch: "noarch",
                label: None,
                channel: "createrepo",
                priority: 15,
                weight: 0.1,
            },
            ts - 6.0,
            ts + 20.0,
            Value::Null,
        );
        let begin_event = self.last_event();
        let create_event = self.event();
        self.store.repos.put(
            repo,
            crate::rows::Repo {
                id: repo,
                tag: target.build_tag,
                state: repo_state::READY,
                create_event,
                creation_ts: microseconds(ts),
                state_ts: microseconds(ts + 20.0),
                begin_event,
                task: Some(task),
            },
        );
        for arch in self.repo_arches(target.build_tag) {
            let files = self.write_repo(repo, &arch).unwrap_or_else(|error| {
                tracing::error!("cannot write repo {repo} for {arch}: {error}");
                Vec::new()
            });
            let child = self.historic_task(
                HistoricTask {
                    method: "createrepo",
                    request: json!([repo, arch, null]),
                    owner,
                    parent: Some(task),
                    arch: "noarch",
                    label: Some(&arch),
                    channel: "createrepo",
                    priority: 14,
                    weight: 1.5,
                },
                ts,
                ts + 15.0,
                Value::Null,
            );
            let directory = crate::builders::work_directory(child);
            self.store.tasks.change(child, |task| {
                task.result = Some(Outcome::Closed(json!([directory, files])));
            });
        }
        self.store.tasks.change(task, |task| {
            task.result = Some(Outcome::Closed(json!([repo, create_event])));
            task.notes.repo = Some(repo);
        });
        self.link_latest(repo);
        self.now = now;
    }

    pub(crate) fn historic_build(
        &mut self,
        revision: &Revision,
        target: &Target,
        repo: i64,
        finished: f64,
        abis: &BTreeMap<String, String>,
    ) -> i64 {
        let world = self.world.clone();
        let source = world.sources.get(&revision.source);
        let owner = self.user_id(source.map_or("kojiadmin", |source| source.owner.as_str()));
        let seconds = source.map_or(5.0, |source| source.seconds) * 60.0;
        let started = finished - seconds - 120.0;
        let url = self.scm_url(revision);
        let tag_name =
            self.store.tags.get(target.dest_tag).map(|tag| tag.name.clone()).unwrap_or_default();
        let release = self.release_of(revision, &tag_name);
        let headers = content::arch_headers(&world, &revision.source);
        let arches = choose_arches(&self.tag_arches(target.build_tag), &headers, None);

        let task = self.historic_task(
            HistoricTask {
                method: "build",
                request: json!([url, target.name, {"wait_builds": [], "custom_user_metadata": {}}]),
                owner,
                parent: None,
                arch: "noarch",
                label: None,
                channel: "default",
                priority: 20,
                weight: 0.2,
            },
            started,
            finished,
            Value::Null,
        );
        let child = |method, request, arch, label, weight| HistoricTask {
            method,
            request,
            owner,
            parent: Some(task),
            arch,
            label,
            channel: "default",
            priority: 19,
            weight,
        };
        let opts = json!({"repo_id": repo, "scratch": null});
        let srpm_request = json!([url, target.build_tag, opts]);
        let srpm = self.historic_task(
            child("buildSRPMFromSCM", srpm_request, "noarch", Some("srpm"), 1.0),
            started + 3.0,
            started + 60.0,
            Value::Null,
        );
        let directory = crate::builders::work_directory(srpm);
        let srpm_path = format!("{directory}/{}", content::source_rpm_name(revision, &release));
        let logs = self.log_paths(srpm);
        let brootid = self.historic_buildroot();
        self.store.tasks.change(srpm, |task| {
            task.notes.revision = Some(revision.id);
            task.notes.repo = Some(repo);
            task.result = Some(Outcome::Closed(json!({
                "srpm": srpm_path, "logs": logs, "brootid": brootid, "source": {"source": url, "url": url},
            })));
        });
        for (index, arch) in arches.iter().enumerate() {
            let request = json!([srpm_path, target.build_tag, arch, index == 0, {"repo_id": repo}]);
            let spread = 0.7 + 0.3 * (index + 1) as f64 / arches.len() as f64;
            let id = self.historic_task(
                child("buildArch", request, arch, Some(arch), 1.5),
                started + 63.0,
                started + 63.0 + seconds * spread,
                Value::Null,
            );
            let brootid = self.historic_buildroot();
            let logs = self.log_paths(id);
            let directory = crate::builders::work_directory(id);
            let built = content::Built { revision, release: &release, abis };
            let rpms: Vec<String> = content::binaries(&world, built, arch)
                .iter()
                .map(|rpm| format!("{directory}/{}", rpm.file_name()))
                .collect();
            self.store.tasks.change(id, |task| {
                task.notes.repo = Some(repo);
                task.notes.buildroot = Some(brootid);
                task.result = Some(Outcome::Closed(json!({
                    "rpms": rpms, "srpms": [], "logs": logs, "brootid": brootid,
                })));
            });
        }

        // In a new world sources and revisions have the same numbers; that saves looking through all of them.
        let guess = self.store.packages.get(revision.id);
        let package = guess.filter(|row| row.name == revision.source);
        let Some(package) = package
            .or_else(|| self.store.packages.find(|row| row.name == revision.source))
            .map(|row| row.id)
        else {
            return 0;
        };
        let create_event = self.event_at(started);
        let id = self.store.builds.new_id();
        self.store.builds.put(
            id,
            Build {
                id,
                package,
                name: revision.source.clone(),
                epoch: revision.epoch,
                version: revision.version.clone(),
                release,
                state: build_state::COMPLETE,
                task: Some(task),
                owner,
                create_event,
                creation_ts: microseconds(started + 62.0),
                start_ts: microseconds(started + 62.0),
                completion_ts: Some(microseconds(finished - 15.0)),
                source: Some(url),
                revision: revision.id,
                abis: abis.clone(),
            },
        );
        self.historic_task(
            child(
                "tagBuild",
                json!([target.dest_tag, id, false, null, true]),
                "noarch",
                Some("tag"),
                1.0,
            ),
            finished - 12.0,
            finished - 2.0,
            Value::Null,
        );
        self.store.tasks.change(task, |task| {
            task.notes.build = Some(id);
            task.notes.revision = Some(revision.id);
            task.notes.repo = Some(repo);
        });
        let buildroot = self.historic_buildroot();
        self.make_rpms(id, &arches, Some(buildroot));
        id
    }

    fn historic_buildroot(&mut self) -> i64 {
        let mut id = 0;
        self.store.remember(|memory| {
            memory.buildroots += 1;
            id = memory.buildroots;
        });
        id
    }

    /// A task that was done before the hub's first start.
    pub(crate) fn historic_task(
        &mut self,
        new: HistoricTask<'_>,
        started: f64,
        finished: f64,
        result: Value,
    ) -> i64 {
        let id = self.store.tasks.new_id();
        let host = self
            .store
            .hosts
            .all()
            .find(|host| host.enabled && host.channels.contains(&self.channel_id(new.channel)));
        let host = host.map(|host| host.id);
        let task = Task {
            id,
            state: task_state::CLOSED,
            method: new.method.to_owned(),
            arch: new.arch.to_owned(),
            label: new.label.map(str::to_owned),
            owner: new.owner,
            parent: new.parent,
            children: Vec::new(),
            channel: self.channel_id(new.channel),
            host,
            priority: new.priority,
            weight: new.weight,
            waiting: if matches!(new.method, "build" | "newRepo") { Some(false) } else { None },
            awaited: new.parent.map(|_| false),
            create_ts: microseconds(started - 1.5),
            start_ts: Some(microseconds(started)),
            completion_ts: Some(microseconds(finished)),
            request: new.request,
            result: Some(Outcome::Closed(result)),
            due: None,
            held: false,
            ordered: None,
            notes: Notes::default(),
        };
        self.store.tasks.put(id, task);
        if let Some(parent) = new.parent {
            self.store.tasks.change(parent, |parent| parent.children.push(id));
        }
        id
    }

    /// The target that a push goes to.
    pub(crate) fn target_of(&self, push: &Push) -> Option<&Target> {
        let name = match &push.target {
            Some(name) => name.as_str(),
            None => self.world.releases.first()?.tag.as_str(),
        };
        self.store.targets.find(|target| target.name == name)
    }
}

pub(crate) type HistoricTask<'a> = crate::builders::NewTask<'a>;
