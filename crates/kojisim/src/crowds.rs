//! Many builds at once, without builders at work on each: for measuring what lies behind a hub with thousands of them.
//!
//! What is made here looks to clients like what builders leave behind; only that it took time cannot be seen.

use serde_json::{Value, json};

use crate::engine::{Engine, repo_state, task_state};
use crate::history::HistoricTask;
use crate::rows::Outcome;

impl Engine {
    /// Builds source packages anew, as if packagers had pushed a release of each some minutes ago and Koji were done
    /// with it: built in the newest repo, and tagged. Unknown ones are left out; returns how many were built.
    pub(crate) fn rebuild(&mut self, sources: &[String]) -> usize {
        let now = self.now;
        let Some(target) = self.store.targets.all().next().cloned() else { return 0 };
        let Some(repo) = self.newest_repo(target.build_tag, repo_state::READY).map(|repo| repo.id)
        else {
            return 0;
        };
        let abis = if self.world.imported.is_some() {
            Default::default()
        } else {
            self.abis_now(target.dest_tag)
        };
        let creator = self.user_id("kojiadmin");
        let mut count = 0;
        for source in sources {
            let Some(mut revision) = self.newest_revision(source).cloned() else { continue };
            revision.id = self.store.revisions.new_id();
            revision.release = crate::life::bumped(&revision.release);
            self.store.revisions.put(revision.id, revision.clone());
            let build = self.historic_build(&revision, &target, repo, now - 60.0, &abis);
            self.tag_build(target.dest_tag, build, creator);
            count += 1;
        }
        count
    }

    /// Takes the builds of source packages out of the first release's tag, as if somebody had untagged them.
    pub(crate) fn untag_sources(&mut self, sources: &[String]) -> usize {
        let Some(tag) = self.store.targets.all().next().map(|target| target.dest_tag) else {
            return 0;
        };
        let builds: Vec<i64> = self
            .tagged(tag, None, false, false, None)
            .into_iter()
            .filter(|(_, build)| sources.contains(&build.name))
            .map(|(_, build)| build.id)
            .collect();
        for build in &builds {
            self.untag_build(tag, *build);
        }
        builds.len()
    }

    /// Scratch builds of the newest builds of source packages, as Koschei asks for them: in the newest repo of the first
    /// release's build tag, begun, and not going to end by themselves. Returns their tasks; unknown ones are left out.
    pub(crate) fn scratch_builds(&mut self, sources: &[String]) -> Vec<i64> {
        let now = self.now;
        let Some(target) = self.store.targets.all().next().cloned() else { return Vec::new() };
        let Some(repo) = self.newest_repo(target.build_tag, repo_state::READY).map(|repo| repo.id)
        else {
            return Vec::new();
        };
        let owner = self.user_id(crate::KOSCHEI_USER);
        let mut tasks = Vec::new();
        for source in sources {
            let Some(build) = self.store.builds.all().rev().find(|build| build.name == *source)
            else {
                continue;
            };
            let nvr = build.nvr();
            let srpm = format!(
                "../packages/{source}/{}/{}/src/{nvr}.src.rpm",
                build.version, build.release
            );
            let task = self.historic_task(
                HistoricTask {
                    method: "build",
                    request: json!([srpm, target.name, {"scratch": true}]),
                    owner,
                    parent: None,
                    arch: "noarch",
                    label: None,
                    channel: "default",
                    priority: 30,
                    weight: 0.2,
                },
                now,
                now,
                Value::Null,
            );
            let part = self.historic_task(
                HistoricTask {
                    method: "buildArch",
                    request: json!([srpm, target.build_tag, "x86_64", true, {"repo_id": repo}]),
                    owner,
                    parent: Some(task),
                    arch: "x86_64",
                    label: Some("x86_64"),
                    channel: "default",
                    priority: 29,
                    weight: 1.5,
                },
                now,
                now,
                Value::Null,
            );
            for id in [task, part] {
                self.store.tasks.change(id, |row| {
                    row.state = task_state::OPEN;
                    row.completion_ts = None;
                    row.result = None;
                });
            }
            tasks.push(task);
        }
        tasks
    }

    /// Ends tasks of [`Engine::scratch_builds`], well or because the package does not build.
    pub(crate) fn end_tasks(&mut self, tasks: &[i64], well: bool) {
        let now = self.now;
        for task in tasks {
            let Some(row) = self.store.tasks.get(*task) else { continue };
            for id in row.children.clone().into_iter().chain([*task]) {
                self.store.tasks.change(id, |row| {
                    row.state = if well { task_state::CLOSED } else { task_state::FAILED };
                    row.completion_ts = Some(now);
                    row.result = Some(if well {
                        Outcome::Closed(Value::Null)
                    } else {
                        Outcome::Failed(1000, "BuildError: error building package".to_owned())
                    });
                });
            }
        }
    }
}
