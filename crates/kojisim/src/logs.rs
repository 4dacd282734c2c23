//! What builders leave behind: logs under topurl, worded so that a person finds the reason of a failure in them.

use std::fmt::Write as _;

use crate::builders::work_directory;
use crate::content;
use crate::engine::Engine;
use crate::rows::Revision;

/// In the order in which the real builder reports them.
const LOGS: [&str; 5] =
    ["mock_output.log", "mock_config.log", "root.log", "state.log", "build.log"];

/// The output of so many tasks is kept.
const KEPT_TASKS: i64 = 5_000;

impl Engine {
    pub(crate) fn log_paths(&self, task: i64) -> Vec<String> {
        let directory = work_directory(task);
        LOGS.iter().map(|name| format!("{directory}/{name}")).collect()
    }

    /// Writes the logs of a task. `trouble` is why the buildroot could not be made, `complaint` what the build died of.
    pub(crate) fn write_logs(
        &mut self,
        task: i64,
        revision: &Revision,
        arch: &str,
        installed: &[String],
        trouble: Option<&str>,
        complaint: Option<&str>,
    ) {
        let name = format!("{}-{}-{}", revision.source, revision.version, revision.release);
        let mut root = format!(
            "DEBUG util.py: Installing the build group and the BuildRequires of {name} on {arch}\n"
        );
        for requirement in content::build_requires(&self.world, revision) {
            let _ = writeln!(root, "DEBUG util.py: BuildRequires: {requirement}");
        }
        match trouble {
            Some(trouble) => {
                root.push_str("ERROR: Command failed:\nError:\n");
                for line in trouble.lines() {
                    let _ = writeln!(root, " {line}");
                }
            }
            None => {
                root.push_str("DEBUG util.py: Installed:\n");
                for package in installed {
                    let _ = writeln!(root, "DEBUG util.py:   {package}");
                }
            }
        }
        let build = match (trouble, complaint) {
            (Some(_), _) => String::new(),
            (None, Some(complaint)) => format!(
                "Building target platforms: {arch}\nBuilding for target {arch}\n\
                 Executing(%prep): /bin/sh -e /var/tmp/rpm-tmp.prep\nExecuting(%build): /bin/sh -e /var/tmp/rpm-tmp.build\n\
                 {complaint}\nmake: *** [Makefile:317: all] Error 1\n\
                 error: Bad exit status from /var/tmp/rpm-tmp.build (%build)\n"
            ),
            (None, None) => format!(
                "Building target platforms: {arch}\nBuilding for target {arch}\n\
                 Executing(%prep): /bin/sh -e /var/tmp/rpm-tmp.prep\nExecuting(%build): /bin/sh -e /var/tmp/rpm-tmp.build\n\
                 Wrote: /builddir/build/SRPMS/{name}.src.rpm\n"
            ),
        };
        let state = match trouble {
            Some(_) => "State Changed: init\nState Changed: setup\nState Changed: end\n",
            None => {
                "State Changed: init\nState Changed: setup\nState Changed: build\nState Changed: end\n"
            }
        };
        let texts = [
            format!(
                "INFO: mock.py version 5.9 starting\nINFO: Start({name}.src.rpm) Config({arch})\n"
            ),
            format!(
                "config_opts['root'] = 'buyan-{task}'\nconfig_opts['target_arch'] = '{arch}'\n"
            ),
            root,
            state.to_owned(),
            build,
        ];
        let directory = self.topdir.join("work").join(work_directory(task));
        if let Err(error) = std::fs::create_dir_all(&directory) {
            tracing::warn!("cannot create {}: {error}", directory.display());
            return;
        }
        for (name, text) in LOGS.iter().zip(&texts) {
            let path = directory.join(name);
            if let Err(error) = std::fs::write(&path, text) {
                tracing::warn!("cannot write {}: {error}", path.display());
            }
        }
        // As on a real hub, nobody keeps the output of old tasks for ever.
        if let Some(old) = task.checked_sub(KEPT_TASKS) {
            let _ = std::fs::remove_dir_all(self.topdir.join("work").join(work_directory(old)));
        }
        self.store.tasks.change(task, |task| {
            for (name, text) in LOGS.iter().zip(&texts) {
                task.notes.files.insert((*name).to_owned(), text.len() as u64);
            }
        });
    }
}
