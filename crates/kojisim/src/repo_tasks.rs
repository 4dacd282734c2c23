//! What builders do for a repo: `newRepo`, its `createrepo` children, and `waitrepo`.

use serde_json::{Value, json};

use crate::engine::{Engine, repo_state};
use crate::rows::Task;

impl Engine {
    pub(crate) fn work_on_new_repo(&mut self, task: Task) {
        if self.pass_on_failure(&task) {
            if let Some(repo) = task.notes.repo {
                self.set_repo_state(repo, repo_state::PROBLEM);
            }
            return;
        }
        if !self.all_closed(&task) {
            return self.sleep(task.id);
        }
        let Some(tag) = self.tag_of_request(&task.request) else {
            return self.fail(task.id, 1000, format!("No such tagInfo: {}", task.request[0]));
        };
        if let Some(repo) = task.notes.repo {
            self.finish_repo(repo);
            let event = self.store.repos.get(repo).map_or(0, |repo| repo.create_event);
            self.close(task.id, json!([repo, event]));
            let name = self.store.tags.get(tag).map(|tag| tag.name.clone()).unwrap_or_default();
            self.tell(format!("Repo {repo} of {name} is ready"));
            return;
        }
        let arches = self.repo_arches(tag);
        if arches.is_empty() {
            let name = self.store.tags.get(tag).map(|tag| tag.name.clone()).unwrap_or_default();
            return self.fail(task.id, 1000, format!("Tag {name} has an empty arch list"));
        }
        let old = self.newest_repo(tag, repo_state::READY).map(|repo| repo.id);
        let old = old.map_or(Value::Null, |old| crate::hub::repo_info(self, old));
        let repo = self.begin_repo(tag, Some(task.id));
        self.store.tasks.change(task.id, |task| task.notes.repo = Some(repo));
        for arch in arches {
            self.child(&task, "createrepo", json!([repo, arch, old]), "noarch", Some(&arch));
        }
    }

    pub(crate) fn create_repo(&mut self, task: Task) {
        let repo = task.request[0].as_i64().unwrap_or_default();
        let arch = task.request[1].as_str().unwrap_or_default().to_owned();
        match self.write_repo(repo, &arch) {
            Ok(files) => {
                let directory = format!("tasks/{}/{}", task.id % 10_000, task.id);
                self.close(task.id, json!([directory, files]));
            }
            Err(text) => self.fail(task.id, 1000, format!("failed to create repo: {text}")),
        }
    }

    pub(crate) fn wait_for_repo(&mut self, task: Task) {
        let Some(tag) = self.tag_of_request(&task.request) else {
            return self.fail(task.id, 1000, format!("No such tagInfo: {}", task.request[0]));
        };
        let min_event = task.request[3].as_i64().unwrap_or(0);
        let fresh = self
            .newest_repo(tag, repo_state::READY)
            .filter(|repo| self.end_event(repo).is_none() || repo.create_event >= min_event)
            .map(|repo| repo.id);
        if let Some(repo) = fresh {
            let info = crate::hub::repo_info(self, repo);
            return self.close(task.id, info);
        }
        let making = self.active.iter().any(|id| {
            self.store.tasks.get(*id).is_some_and(|task| {
                task.method == "newRepo" && self.tag_of_request(&task.request) == Some(tag)
            })
        });
        if !making {
            let owner = self.user_id("kojira");
            self.new_repo_task(tag, owner, true);
        }
        let due = self.now + self.scaled(1.0);
        self.store.tasks.change(task.id, |task| task.due = Some(due));
    }
}
