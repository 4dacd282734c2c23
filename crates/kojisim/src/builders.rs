//! Tasks and the builders that work on them.
//!
//! A task is FREE until a host of its channel takes it (ASSIGNED), then OPEN, then CLOSED or FAILED. Those with
//! children wait for them: `build` for the SRPM, then for one `buildArch` of each architecture, then, unless it is a
//! scratch build, for `tagBuild`; `newRepo` for one `createrepo` of each architecture. What a task answers and how it
//! fails is worded as by kojid.

use serde_json::{Value, json};

use crate::engine::{Engine, build_state, repo_state, task_state};
use crate::rows::{Notes, Outcome, Revision, Task};

/// What a new task is.
pub(crate) struct NewTask<'a> {
    pub(crate) method: &'a str,
    pub(crate) request: Value,
    pub(crate) owner: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) arch: &'a str,
    pub(crate) label: Option<&'a str>,
    pub(crate) channel: &'a str,
    pub(crate) priority: i64,
    pub(crate) weight: f64,
}

/// Time from creation to assignment, and from assignment to start.
const SCHEDULER_SECONDS: f64 = 0.3;

impl Engine {
    pub(crate) fn is_held(&self, task: &Task) -> bool {
        let leaf = matches!(task.method.as_str(), "buildArch" | "rebuildSRPM" | "buildSRPMFromSCM");
        task.ordered.is_none()
            && (task.held || (self.paused && leaf))
            && task.state == task_state::OPEN
    }

    pub(crate) fn new_task(&mut self, new: NewTask<'_>) -> i64 {
        let id = self.store.tasks.new_id();
        let due = self.now + self.scaled(SCHEDULER_SECONDS);
        let task = Task {
            id,
            state: task_state::FREE,
            method: new.method.to_owned(),
            arch: new.arch.to_owned(),
            label: new.label.map(str::to_owned),
            owner: new.owner,
            parent: new.parent,
            children: Vec::new(),
            channel: self.channel_id(new.channel),
            host: None,
            priority: new.priority,
            weight: new.weight,
            waiting: None,
            awaited: new.parent.map(|_| true),
            create_ts: crate::engine::microseconds(self.now),
            start_ts: None,
            completion_ts: None,
            request: new.request,
            result: None,
            due: Some(due),
            held: false,
            ordered: None,
            notes: Notes::default(),
        };
        self.store.tasks.put(id, task);
        self.active.insert(id);
        if let Some(parent) = new.parent {
            self.store.tasks.change(parent, |parent| {
                parent.children.push(id);
                parent.waiting = Some(true);
                parent.due = None;
            });
        }
        id
    }

    pub(crate) fn child(
        &mut self,
        parent: &Task,
        method: &str,
        request: Value,
        arch: &str,
        label: Option<&str>,
    ) -> i64 {
        let (channel, weight) = match method {
            "createrepo" => ("createrepo", 1.5),
            "buildArch" => ("default", 1.5),
            "waitrepo" => ("default", 0.2),
            _ => ("default", 1.0),
        };
        self.new_task(NewTask {
            method,
            request,
            owner: parent.owner,
            parent: Some(parent.id),
            arch,
            label,
            channel,
            priority: parent.priority - 1,
            weight,
        })
    }

    /// Submits a build; what is wrong with it will show in the task.
    pub(crate) fn build_task(
        &mut self,
        source: &str,
        target: Value,
        opts: Value,
        owner: i64,
        priority: i64,
    ) -> i64 {
        self.new_task(NewTask {
            method: "build",
            request: json!([source, target, opts]),
            owner,
            parent: None,
            arch: "noarch",
            label: None,
            channel: "default",
            priority,
            weight: 1.0,
        })
    }

    /// Asks for a repo of a tag.
    pub(crate) fn new_repo_task(&mut self, tag: i64, owner: i64, by_kojira: bool) -> i64 {
        let name = self.store.tags.get(tag).map(|tag| tag.name.clone()).unwrap_or_default();
        let request = if by_kojira {
            json!([{"id": tag, "name": name}, {"opts": {}, "__starstar": true}])
        } else {
            json!([name])
        };
        self.new_task(NewTask {
            method: "newRepo",
            request,
            owner,
            parent: None,
            arch: "noarch",
            label: None,
            channel: "createrepo",
            priority: 15,
            weight: 0.1,
        })
    }

    /// The tag that a newRepo or waitrepo request names.
    pub(crate) fn tag_of_request(&self, request: &Value) -> Option<i64> {
        match request.get(0)? {
            Value::String(name) => self.tag_named(name).map(|tag| tag.id),
            Value::Number(id) => id.as_i64(),
            tag => tag.get("id")?.as_i64(),
        }
    }

    // ------------------------------------------------------------------ hosts

    /// Sum of the weights of the tasks that a host works on.
    pub(crate) fn host_load(&self, host: i64) -> f64 {
        let tasks: f64 = self
            .active
            .iter()
            .filter_map(|id| self.store.tasks.get(*id))
            .filter(|task| task.host == Some(host) && task.state == task_state::OPEN)
            .map(|task| task.weight)
            .sum();
        let other = self.store.hosts.get(host).map_or(0.0, |host| host.other_load);
        crate::engine::microseconds(tasks + other)
    }

    fn committed_load(&self, host: i64) -> f64 {
        let assigned: f64 = self
            .active
            .iter()
            .filter_map(|id| self.store.tasks.get(*id))
            .filter(|task| task.host == Some(host) && task.state == task_state::ASSIGNED)
            .map(|task| task.weight)
            .sum();
        self.host_load(host) + assigned
    }

    /// The host that takes a task: of its channel and arch, with room, the least loaded.
    fn choose_host(&self, task: &Task) -> Option<i64> {
        self.store
            .hosts
            .all()
            .filter(|host| host.enabled && host.ready && host.channels.contains(&task.channel))
            .filter(|host| {
                task.arch == "noarch"
                    || host.arches.split_whitespace().any(|arch| arch == task.arch)
            })
            .map(|host| (self.committed_load(host.id), host))
            .filter(|(load, host)| load + task.weight <= host.capacity)
            .min_by(|(left, one), (right, other)| {
                (left / one.capacity)
                    .total_cmp(&(right / other.capacity))
                    .then(one.id.cmp(&other.id))
            })
            .map(|(_, host)| host.id)
    }

    // ------------------------------------------------------------------ one step of one task

    /// What time brings to a task.
    pub(crate) fn step_task(&mut self, id: i64) {
        let Some(task) = self.store.tasks.get(id).cloned() else {
            self.active.remove(&id);
            return;
        };
        match task.state {
            task_state::FREE => match self.choose_host(&task) {
                Some(host) => {
                    let due = self.now + self.scaled(SCHEDULER_SECONDS);
                    self.store.tasks.change(id, |task| {
                        task.state = task_state::ASSIGNED;
                        task.host = Some(host);
                        task.due = Some(due);
                    });
                }
                None => {
                    let due = self.now + self.scaled(1.0);
                    self.store.tasks.change(id, |task| task.due = Some(due));
                }
            },
            task_state::ASSIGNED => {
                let now = crate::engine::microseconds(self.now);
                let due = self.now + self.duration(&task);
                self.store.tasks.change(id, |task| {
                    task.state = task_state::OPEN;
                    task.start_ts = Some(now);
                    task.due = Some(due);
                    match task.method.as_str() {
                        "build" => task.weight = 0.2,
                        "newRepo" => task.weight = 0.1,
                        _ => {}
                    }
                });
            }
            task_state::OPEN => self.work(task),
            _ => {
                self.active.remove(&id);
            }
        }
    }

    /// How long a builder works on a task; parents only look after their children.
    fn duration(&self, task: &Task) -> f64 {
        let luck = 0.8 + 0.4 * self.lot(task.id, 1);
        let seconds = match task.method.as_str() {
            "buildArch" => {
                let revision = task.parent.and_then(|parent| self.revision_of_task(parent));
                let source = revision.and_then(|revision| self.world.sources.get(&revision.source));
                source.map_or(5.0, |source| source.seconds)
            }
            "rebuildSRPM" | "buildSRPMFromSCM" => 1.2,
            "createrepo" => 1.5,
            "tagBuild" => 0.4,
            "waitrepo" => 0.5,
            _ => return 0.0,
        };
        self.scaled(seconds * luck)
    }

    pub(crate) fn revision_of_task(&self, task: i64) -> Option<&Revision> {
        self.store.revisions.get(self.store.tasks.get(task)?.notes.revision?)
    }

    fn work(&mut self, task: Task) {
        if let Some(Outcome::Failed(code, text)) = task.ordered.clone() {
            return self.fail(task.id, code, text);
        }
        match task.method.as_str() {
            "build" => self.work_on_build(task),
            "rebuildSRPM" | "buildSRPMFromSCM" => self.make_srpm(task),
            "buildArch" => self.build_arch(task),
            "tagBuild" => self.tag_the_build(task),
            "newRepo" => self.work_on_new_repo(task),
            "createrepo" => self.create_repo(task),
            "waitrepo" => self.wait_for_repo(task),
            other => self.fail(task.id, 1000, format!("No handler found for method: {other}")),
        }
    }

    // ------------------------------------------------------------------ endings

    pub(crate) fn close(&mut self, id: i64, result: Value) {
        self.end(id, task_state::CLOSED, Some(Outcome::Closed(result)));
    }

    pub(crate) fn fail(&mut self, id: i64, code: i64, text: impl Into<String>) {
        // Siblings of a failed task are of no use any more.
        for child in self.store.tasks.get(id).map(|task| task.children.clone()).unwrap_or_default()
        {
            self.cancel(child);
        }
        if let Some(build) = self.store.tasks.get(id).and_then(|task| task.notes.build)
            && self.store.tasks.get(id).is_some_and(|task| task.method == "build")
        {
            let now = self.now;
            self.store.builds.change(build, |build| {
                if build.state == build_state::BUILDING {
                    build.state = build_state::FAILED;
                    build.completion_ts = Some(now);
                }
            });
        }
        self.end(id, task_state::FAILED, Some(Outcome::Failed(code, text.into())));
    }

    /// Cancels an unfinished task with its children; a finished one is left alone.
    pub(crate) fn cancel(&mut self, id: i64) {
        let Some(task) = self.store.tasks.get(id).cloned() else { return };
        if !matches!(task.state, task_state::FREE | task_state::OPEN | task_state::ASSIGNED) {
            return;
        }
        for child in task.children {
            self.cancel(child);
        }
        if let Some(build) = task.notes.build.filter(|_| task.method == "build") {
            let now = self.now;
            self.store.builds.change(build, |build| {
                if build.state == build_state::BUILDING {
                    build.state = build_state::CANCELED;
                    build.completion_ts = Some(now);
                }
            });
        }
        if task.method == "newRepo"
            && let Some(repo) = task.notes.repo
        {
            self.set_repo_state(repo, repo_state::PROBLEM);
        }
        self.end(id, task_state::CANCELED, None);
    }

    fn end(&mut self, id: i64, state: i64, result: Option<Outcome>) {
        let now = crate::engine::microseconds(self.now);
        self.active.remove(&id);
        let mut parent = None;
        self.store.tasks.change(id, |task| {
            task.state = state;
            task.result = result;
            task.completion_ts = Some(now);
            task.due = None;
            if task.awaited.is_some() && state != task_state::CANCELED {
                task.awaited = Some(false);
            }
            if task.waiting.is_some() && state == task_state::CLOSED {
                task.waiting = Some(false);
            }
            parent = task.parent;
        });
        if let Some(parent) = parent {
            let wake = self.now;
            self.store.tasks.change(parent, |parent| {
                if parent.state == task_state::OPEN {
                    parent.due = Some(wake);
                }
            });
        }
    }

    pub(crate) fn children_of<'a>(
        &'a self,
        task: &'a Task,
        method: &'a str,
    ) -> impl Iterator<Item = &'a Task> + 'a {
        task.children
            .iter()
            .filter_map(|child| self.store.tasks.get(*child))
            .filter(move |child| child.method == method)
    }

    /// Fails a parent with the fault of the first failed child; true if there was one.
    pub(crate) fn pass_on_failure(&mut self, task: &Task) -> bool {
        let mut failed: Option<(i64, String)> = None;
        for child in task.children.iter().filter_map(|child| self.store.tasks.get(*child)) {
            match &child.result {
                Some(Outcome::Failed(code, text)) => {
                    failed = Some((*code, text.clone()));
                    break;
                }
                _ if child.state == task_state::CANCELED => {
                    failed.get_or_insert((1000, format!("Task {} is canceled", child.id)));
                }
                _ => {}
            }
        }
        match failed {
            Some((code, text)) => {
                self.fail(task.id, code, text);
                true
            }
            None => false,
        }
    }

    pub(crate) fn all_closed(&self, task: &Task) -> bool {
        task.children
            .iter()
            .filter_map(|child| self.store.tasks.get(*child))
            .all(|child| child.state == task_state::CLOSED)
    }

    /// Nothing to do until a child ends.
    pub(crate) fn sleep(&mut self, id: i64) {
        self.store.tasks.change(id, |task| task.due = None);
    }
}

/// The directory of a task below `work/`.
pub(crate) fn work_directory(task: i64) -> String {
    format!("tasks/{}/{task}", task % 10_000)
}
