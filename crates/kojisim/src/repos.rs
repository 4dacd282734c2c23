//! Repositories: rpm-md on disk under topurl, made by newRepo tasks, in time expired and removed.

use std::path::PathBuf;

use rpm::md::comps::{Comps, Group, Member, MemberKind};
use rpm::md::write::Repository;

use crate::engine::{Engine, repo_state};
use crate::rows::{self, Repo};

/// A superseded repo can still be used for this long, at speed 1.
const KEPT_READY: f64 = 1_200.0;
/// An expired one is removed after this long.
const KEPT_EXPIRED: f64 = 1_200.0;
/// That many of the newest repos of a tag never expire.
const KEPT_ALWAYS: usize = 3;

impl Engine {
    pub(crate) fn repo_directory(&self, repo: &Repo) -> PathBuf {
        let tag = self.store.tags.get(repo.tag).map(|tag| tag.name.clone()).unwrap_or_default();
        self.topdir.join("repos").join(tag).join(repo.id.to_string())
    }

    /// The canonical architectures that a tag has repos for.
    pub(crate) fn repo_arches(&self, tag: i64) -> Vec<String> {
        let mut arches: Vec<String> = Vec::new();
        for arch in self.tag_arches(tag) {
            let arch = koji::arch::canonical(&arch).to_owned();
            if !arches.contains(&arch) {
                arches.push(arch);
            }
        }
        arches
    }

    /// All groups of a tag with inheritance, now or at an event: the nearest of each name, as it was last changed.
    pub(crate) fn groups_of(&self, tag: i64, event: Option<i64>) -> Vec<rows::Group> {
        let mut groups: Vec<rows::Group> = Vec::new();
        for tag in self.ancestry(tag) {
            let all = self.store.groups.all().filter(|group| {
                group.tag == tag && event.is_none_or(|event| group.create_event <= event)
            });
            for group in all {
                match groups.iter_mut().find(|known| known.name == group.name) {
                    Some(known) if known.tag == tag => *known = group.clone(),
                    Some(_) => {}
                    None => groups.push(group.clone()),
                }
            }
        }
        groups
    }

    /// Makes a group of a tag consist of these from an event on.
    pub(crate) fn put_group(
        &mut self,
        tag: i64,
        name: String,
        packages: Vec<rows::GroupPackage>,
        create_event: i64,
    ) {
        let id = self.store.groups.new_id();
        self.store.groups.put(id, rows::Group { id, tag, name, packages, create_event });
    }

    /// Starts a repo of a tag as it is now.
    pub(crate) fn begin_repo(&mut self, tag: i64, task: Option<i64>) -> i64 {
        let begin_event = self.last_change(tag);
        let create_event = self.event();
        let id = self.store.repos.new_id();
        let ts = self.now;
        self.store.repos.put(
            id,
            Repo {
                id,
                tag,
                state: repo_state::INIT,
                create_event,
                creation_ts: ts,
                state_ts: ts,
                begin_event,
                task,
            },
        );
        id
    }

    fn last_change(&self, tag: i64) -> i64 {
        let ancestry = self.ancestry(tag);
        self.store
            .taggings
            .all()
            .filter(|tagging| ancestry.contains(&tagging.tag))
            .flat_map(|tagging| [Some(tagging.create_event), tagging.revoke_event])
            .flatten()
            .max()
            .unwrap_or(1)
    }

    /// Writes the files of a repo for one architecture; returns their names.
    pub(crate) fn write_repo(&mut self, repo: i64, canonical: &str) -> Result<Vec<String>, String> {
        let Some(row) = self.store.repos.get(repo).cloned() else {
            return Err(format!("No such repo: {repo}"));
        };
        let contents = self.repo_packages(row.tag, row.create_event, canonical);
        let packages: Vec<rpm::md::Package> =
            contents.into_iter().map(|(package, _)| package).collect();
        let groups = self
            .groups_of(row.tag, Some(row.create_event))
            .into_iter()
            .map(|group| Group {
                id: group.name.clone(),
                name: group.name,
                packages: group
                    .packages
                    .into_iter()
                    .filter(|entry| !entry.blocked)
                    .map(|entry| Member {
                        name: entry.package,
                        kind: if entry.kind == "default" {
                            MemberKind::Default
                        } else {
                            MemberKind::Mandatory
                        },
                    })
                    .collect(),
            })
            .collect();
        let directory = self.repo_directory(&row).join(canonical);
        let written = Repository::new(&packages)
            .comps(&Comps { groups })
            .timestamp(row.creation_ts as u64)
            .write(&directory)
            .map_err(|error| error.to_string())?;
        Ok(written
            .files
            .iter()
            .filter_map(|file| file.location.rsplit('/').next())
            .map(str::to_owned)
            .chain(["repomd.xml".to_owned()])
            .collect())
    }

    /// A repo is done: it can be used, and older ones grow old.
    pub(crate) fn finish_repo(&mut self, repo: i64) {
        self.set_repo_state(repo, repo_state::READY);
        self.link_latest(repo);
        if let Some(row) = self.store.repos.get(repo).cloned() {
            self.retire_repos(row.tag);
        }
    }

    /// Points `latest` to a repo.
    pub(crate) fn link_latest(&self, repo: i64) {
        let Some(row) = self.store.repos.get(repo) else { return };
        let directory = self.repo_directory(row);
        let Some(parent) = directory.parent() else { return };
        let link = parent.join("latest");
        let _ = std::fs::remove_file(&link);
        if let Err(error) = std::os::unix::fs::symlink(repo.to_string(), &link) {
            tracing::warn!("cannot link {}: {error}", link.display());
        }
    }

    pub(crate) fn set_repo_state(&mut self, repo: i64, state: i64) {
        let now = self.now;
        self.store.repos.change(repo, |row| {
            row.state = state;
            row.state_ts = now;
        });
    }

    fn retire_repos(&mut self, tag: i64) {
        let first_start = self.store.memory().first_start;
        let in_use: Vec<i64> =
            self.active.iter().filter_map(|id| self.store.tasks.get(*id)?.notes.repo).collect();
        let old: Vec<Repo> = self
            .store
            .repos
            .all()
            .rev()
            .filter(|repo| {
                repo.tag == tag && matches!(repo.state, repo_state::READY | repo_state::EXPIRED)
            })
            .skip(KEPT_ALWAYS)
            .filter(|repo| !in_use.contains(&repo.id))
            .cloned()
            .collect();
        for repo in old {
            let age = self.now - repo.state_ts.max(first_start);
            if repo.state == repo_state::READY && age > self.scaled(KEPT_READY) {
                self.set_repo_state(repo.id, repo_state::EXPIRED);
            } else if repo.state == repo_state::EXPIRED && age > self.scaled(KEPT_EXPIRED) {
                self.delete_repo(repo.id);
            }
        }
    }

    /// Marks a repo as deleted and removes its files.
    pub(crate) fn delete_repo(&mut self, repo: i64) {
        self.set_repo_state(repo, repo_state::DELETED);
        if let Some(row) = self.store.repos.get(repo) {
            let directory = self.repo_directory(row);
            if let Err(error) = std::fs::remove_dir_all(&directory)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!("cannot remove {}: {error}", directory.display());
            }
        }
    }

    /// Kojira's part: a build tag changed some time ago, so ask for a repo, unless one is being made.
    pub(crate) fn regenerate(&mut self, tag: i64) {
        let running = self.active.iter().any(|id| {
            self.store.tasks.get(*id).is_some_and(|task| {
                task.method == "newRepo" && self.tag_of_request(&task.request) == Some(tag)
            })
        });
        if running {
            let due = self.now + self.scaled(1.0);
            self.store.remember(|memory| {
                memory.stale.insert(tag, due);
            });
            return;
        }
        self.store.remember(|memory| {
            memory.stale.remove(&tag);
        });
        let owner = self.user_id("kojira");
        self.new_repo_task(tag, owner, true);
    }
}
