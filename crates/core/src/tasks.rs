//! What a build task of Koji and its parts say about a build (spec/services.md, "finishing a build").

use chrono::{DateTime, Utc};
use koji::types::{Task, TaskState, method};

/// Where a build task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Koji is not done with it.
    Running,
    /// It succeeded.
    Closed,
    /// It failed; the fault says whether that is the package's fault.
    Failed,
    /// It was canceled, so the build never was.
    Canceled,
}

/// Where a task in this state stands.
pub fn standing(state: TaskState) -> Standing {
    match state {
        TaskState::Free | TaskState::Open | TaskState::Assigned => Standing::Running,
        TaskState::Closed => Standing::Closed,
        TaskState::Failed => Standing::Failed,
        TaskState::Canceled => Standing::Canceled,
    }
}

/// Who is to blame for a task that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The package does not build.
    Package,
    /// Koji or its builders had a problem, so nothing is known about the package.
    Infrastructure,
}

/// Who is to blame, by the code of the fault that was raised as the task's result (spec/koji.md, "Fault codes").
///
/// The package, for GenericError (1000) and everything that derives from it in Koji's list; but not for a lock (1001), for
/// an exception that nobody foresaw (1), or for codes that are not in the list (spec/services.md, "finishing a build").
/// What tells of sessions or of a hub that is offline while the result is asked for is no result at all, and does not
/// come here.
pub fn blame(fault_code: i64) -> Blame {
    match fault_code {
        1001 => Blame::Infrastructure,
        1000..=1024 => Blame::Package,
        _ => Blame::Infrastructure,
    }
}

/// A part of a build: one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchTask {
    /// Its id.
    pub id: i64,
    /// The architecture.
    pub arch: String,
    /// Its state.
    pub state: TaskState,
    /// When it was created.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: Option<DateTime<Utc>>,
}

/// The parts of a build for single architectures, by id. `now` is when a part ended of which Koji does not say when.
pub fn arch_tasks(children: &[Task], now: DateTime<Utc>) -> Vec<ArchTask> {
    let mut tasks: Vec<ArchTask> = children
        .iter()
        .filter(|task| task.method == method::BUILD_ARCH)
        .map(|task| ArchTask {
            id: task.id,
            arch: arch_of(task),
            state: task.state,
            started: task.created(),
            finished: match task.completed() {
                None if task.state.is_finished() => Some(now),
                completed => completed,
            },
        })
        .collect();
    tasks.sort_by_key(|task| task.id);
    tasks
}

/// The architecture that a part of a build runs for: that of the task, which is canonical or `noarch`; the label where a
/// hub tells none.
fn arch_of(task: &Task) -> String {
    task.arch.clone().or_else(|| task.label.clone()).unwrap_or_default()
}

/// The repo that a build was made in, from its parts; `None` while no part names one.
///
/// A part that was started again may name another repo than the first; the newest counts, and what builds for an
/// architecture before what makes the source package.
pub fn repo_id(children: &[Task]) -> Option<i64> {
    [method::BUILD_ARCH, method::REBUILD_SRPM, method::BUILD_SRPM_FROM_SCM].iter().find_map(
        |method| {
            children
                .iter()
                .filter(|task| task.method == *method)
                .filter_map(|task| Some((task.id, task.repo_id()?)))
                .max()
                .map(|(_, repo_id)| repo_id)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use koji::types::TextTime;
    use koji::xmlrpc::{Struct, Value};

    fn at(second: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, second).unwrap()
    }

    fn task(id: i64, method: &str, state: TaskState, request: Vec<Value>) -> Task {
        Task {
            id,
            state,
            method: method.into(),
            arch: Some("x86_64".into()),
            owner: Some(1),
            parent: Some(1),
            label: Some("x86_64".into()),
            channel_id: None,
            host_id: None,
            priority: None,
            weight: None,
            waiting: None,
            awaited: None,
            create_time: TextTime(at(0)),
            create_ts: None,
            start_time: None,
            start_ts: None,
            completion_time: None,
            completion_ts: None,
            request: Some(request),
            owner_name: None,
            owner_type: None,
        }
    }

    fn build_arch(id: i64, repo_id: Option<i64>) -> Task {
        let options = repo_id.map_or_else(Struct::new, |id| Struct::new().with("repo_id", id));
        let request =
            vec!["src".into(), 7.into(), "x86_64".into(), true.into(), Value::Struct(options)];
        task(id, "buildArch", TaskState::Open, request)
    }

    fn rebuild_srpm(id: i64, repo_id: i64) -> Task {
        let options = Struct::new().with("repo_id", repo_id).with("scratch", true);
        task(
            id,
            "rebuildSRPM",
            TaskState::Closed,
            vec!["src".into(), 7.into(), Value::Struct(options)],
        )
    }

    #[test]
    fn task_states_mean_what_they_mean() {
        let words: Vec<_> =
            (0..6).map(|number| standing(TaskState::try_from(number).unwrap())).collect();
        use Standing::{Canceled, Closed, Failed, Running};
        assert_eq!(words, [Running, Running, Closed, Canceled, Running, Failed]);
    }

    #[test]
    fn an_exception_a_lock_and_unlisted_codes_are_no_fault_of_the_package() {
        for code in [1, 1001, 1025, 999, 0, -7, 42, i64::MAX] {
            assert_eq!(blame(code), Blame::Infrastructure, "{code}");
        }
        for code in [1000].into_iter().chain(1002..=1024) {
            assert_eq!(blame(code), Blame::Package, "{code}");
        }
    }

    #[test]
    fn the_repo_comes_from_the_parts() {
        assert_eq!(repo_id(&[]), None);
        assert_eq!(repo_id(&[rebuild_srpm(2, 50)]), Some(50));
        assert_eq!(repo_id(&[rebuild_srpm(2, 50), build_arch(3, Some(51))]), Some(51));
        assert_eq!(repo_id(&[build_arch(9, Some(52)), build_arch(3, Some(51))]), Some(52));
        assert_eq!(repo_id(&[build_arch(3, None)]), None, "very old tasks name none");
        let other = task(4, "tagBuild", TaskState::Open, vec![Value::Nil]);
        assert_eq!(repo_id(&[other]), None);
    }

    #[test]
    fn parts_are_told_by_architecture_in_order() {
        let mut done = build_arch(3, Some(1));
        done.state = TaskState::Closed;
        let parts = arch_tasks(&[build_arch(9, Some(1)), rebuild_srpm(2, 1), done], at(9));
        let ids: Vec<_> = parts.iter().map(|part| part.id).collect();
        assert_eq!(ids, [3, 9]);
        assert_eq!(parts[0].finished, Some(at(9)), "Koji does not say when yet");
        assert_eq!(parts[1].finished, None);
    }
}
