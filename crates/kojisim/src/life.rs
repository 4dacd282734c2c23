//! Life: packagers push, break, mend. First as the script tells it, then as chance has it.
//!
//! Chance is seeded and remembers its state, so that the same seed tells the same story.

use std::collections::BTreeMap;

use serde_json::json;

use crate::buildroot::Verdict;
use crate::content;
use crate::control::Push;
use crate::engine::{Engine, repo_state};
use crate::rows::{Plan, Revision};
use crate::world::Whims;

impl Engine {
    /// Records a packager's push: the newest revision in the target, changed as told. `None`: no such source.
    pub(crate) fn add_revision(&mut self, push: &Push) -> Option<i64> {
        let target = self.target_of(push)?.clone();
        let source = self.world.sources.get(&push.source)?.clone();
        let tagged = self.latest_build(target.dest_tag, &push.source).map(|build| build.revision);
        let base = tagged.and_then(|revision| self.store.revisions.get(revision)).cloned();
        // A push after one that has not been built, or whose build failed, follows that one.
        let newest = self.newest_revision(&push.source).cloned();
        let base = match (base, newest) {
            (Some(base), Some(newest)) if newest.id > base.id => Some(newest),
            (base, newest) => base.or(newest),
        };
        let id = self.store.revisions.new_id();
        let mut revision = base.unwrap_or_else(|| Revision {
            id,
            source: push.source.clone(),
            epoch: source.epoch,
            version: source.version.clone(),
            release: "0".to_owned(),
            abi: source.abi.clone(),
            build_requires: None,
            breaks: BTreeMap::new(),
            adapted: Default::default(),
            broken: None,
        });
        revision.id = id;
        match &push.version {
            Some(version) if *version != revision.version => {
                revision.version.clone_from(version);
                revision.release = "1".to_owned();
            }
            _ => revision.release = bumped(&revision.release),
        }
        if let Some(abi) = &push.abi {
            revision.abi.clone_from(abi);
        }
        if let Some(requires) = &push.build_requires {
            revision.build_requires = Some(requires.clone());
        }
        revision.breaks.retain(|victim, _| !push.cures.contains(victim));
        revision.breaks.extend(push.breaks.clone());
        revision.adapted.extend(push.adapts.iter().cloned());
        revision.broken.clone_from(&push.broken);
        self.store.revisions.put(id, revision);
        Some(id)
    }

    /// A push with its real build. Returns the build task.
    pub(crate) fn push(&mut self, push: &Push) -> Option<i64> {
        let target = self.target_of(push)?.name.clone();
        let revision = self.add_revision(push)?;
        let url = self.scm_url(self.store.revisions.get(revision)?);
        let owner = self.world.sources.get(&push.source)?.owner.clone();
        let owner = self.user_id(&owner);
        let opts = json!({"wait_builds": [], "custom_user_metadata": {}});
        Some(self.build_task(&url, json!(target), opts, owner, 20))
    }

    pub(crate) fn play_scene(&mut self) {
        let Some(life) = self.life.clone() else { return };
        let played = self.store.memory().scenes_played;
        self.store.remember(|memory| memory.scenes_played += 1);
        if let Some(scene) = life.scenes.get(played) {
            let now = self.now;
            let mended: Vec<&String> = scene.push.adapts.iter().collect();
            if !mended.is_empty() || scene.push.version.is_none() {
                // A repair waits for a repo in which it can succeed.
                self.plan(Plan { due: now, push: scene.push.clone(), words: scene.words.clone() });
            } else {
                self.tell(scene.words.clone());
                self.push(&scene.push);
            }
        }
    }

    /// Does what was planned, if the newest repo lets it succeed; otherwise looks again a little later.
    pub(crate) fn carry_out(&mut self, index: usize) {
        let memory = self.store.memory();
        let Some(plan) = memory.plans.get(index).cloned() else { return };
        if self.would_install(&plan.push) {
            self.store.remember(|memory| {
                memory.plans.remove(index);
            });
            self.tell(plan.words.clone());
            self.push(&plan.push);
        } else {
            let due = self.now + self.scaled(5.0);
            self.store.remember(|memory| {
                if let Some(plan) = memory.plans.get_mut(index) {
                    plan.due = due;
                }
            });
        }
    }

    /// Whether the BuildRequires of a push can be installed in the newest repo.
    fn would_install(&mut self, push: &Push) -> bool {
        let Some(target) = self.target_of(push).cloned() else { return true };
        let Some(repo) = self.newest_repo(target.build_tag, repo_state::READY).map(|repo| repo.id)
        else {
            return false;
        };
        if self.store.memory().stale.contains_key(&target.build_tag)
            || self.is_making_repo(target.build_tag)
        {
            return false;
        }
        let Some(mut revision) = self.newest_revision(&push.source).cloned() else { return true };
        if let Some(requires) = &push.build_requires {
            revision.build_requires = Some(requires.clone());
        }
        let arch = self.first_arch(repo);
        match self.attempt(&revision, repo, &arch) {
            Some(attempt) => {
                !matches!(attempt.verdict, Verdict::MissingRequires(_) | Verdict::NoBuildroot(_))
            }
            None => true,
        }
    }

    fn is_making_repo(&self, tag: i64) -> bool {
        self.active
            .iter()
            .filter_map(|id| self.store.tasks.get(*id))
            .any(|task| task.method == "newRepo" && self.tag_of_request(&task.request) == Some(tag))
    }

    // ------------------------------------------------------------------ chance

    /// One act of random life.
    pub(crate) fn follow_whim(&mut self) {
        let Some(whims) = self.life.as_ref().and_then(|life| life.whims.clone()) else { return };
        let pause = whims.every * (0.4 + 1.2 * self.random());
        let due = self.now + self.scaled(pause);
        self.store.remember(|memory| memory.next_whim = Some(due));
        let kind = self.random();
        let done = if kind < whims.breaking {
            self.whim_breaks(&whims)
        } else if kind < whims.breaking + whims.bumping {
            self.whim_bumps(&whims)
        } else {
            false
        };
        if !done {
            self.whim_updates();
        }
    }

    /// Source packages that chance may touch: not blocked, and not waiting for a repair.
    fn quiet_sources(&self) -> Vec<String> {
        let world = self.world.clone();
        let planned: Vec<String> =
            self.store.memory().plans.into_iter().map(|plan| plan.push.source).collect();
        let broken = self.broken_sources();
        world
            .sources
            .iter()
            .filter(|(name, source)| {
                !source.blocked && !planned.contains(name) && !broken.contains(name)
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Source packages whose newest revision would fail with the newest revisions of the others.
    fn broken_sources(&self) -> Vec<String> {
        let mut newest: BTreeMap<&str, &Revision> = BTreeMap::new();
        for revision in self.store.revisions.all() {
            newest.insert(&revision.source, revision);
        }
        let mut broken = Vec::new();
        for culprit in newest.values() {
            for victim in culprit.breaks.keys() {
                let adapted = newest
                    .get(victim.as_str())
                    .is_some_and(|row| row.adapted.contains(&culprit.source));
                if !adapted && !broken.contains(victim) {
                    broken.push(victim.clone());
                }
            }
        }
        broken
    }

    fn pick(&mut self, from: &[String]) -> Option<String> {
        if from.is_empty() {
            return None;
        }
        let index = (self.random() * from.len() as f64) as usize;
        from.get(index).cloned()
    }

    fn next_version(&mut self, source: &str) -> Option<String> {
        let current = self.newest_revision(source)?.version.clone();
        // Every third update is only a rebuild.
        if self.random() < 0.33 { None } else { Some(bumped(&current)) }
    }

    fn whim_updates(&mut self) -> bool {
        let quiet = self.quiet_sources();
        let Some(source) = self.pick(&quiet) else { return false };
        let version = self.next_version(&source);
        let words = match &version {
            Some(version) => format!("{source} {version} is released and pushed"),
            None => format!("{source} is rebuilt with a small packaging change"),
        };
        self.tell(words);
        self.push(&Push { source, version, ..Push::default() }).is_some()
    }

    /// An update that breaks one package which names one of its packages in BuildRequires.
    fn whim_breaks(&mut self, whims: &Whims) -> bool {
        if self.broken_sources().len() >= whims.at_most_broken {
            return false;
        }
        let world = self.world.clone();
        let quiet = self.quiet_sources();
        let mut pairs: Vec<(String, String)> = Vec::new();
        for culprit in &quiet {
            let Some(source) = world.sources.get(culprit) else { continue };
            // Compilers break things in the script; by chance it would be the same three words every time.
            if source.noarch || culprit == "gcc" {
                continue;
            }
            for victim in quiet.iter().filter(|victim| *victim != culprit) {
                let requires =
                    world.sources.get(victim).map(|victim| victim.build_requires.as_slice());
                let named = requires.unwrap_or_default().iter().any(|requirement| {
                    let (name, _, _) = content::split_dependency(requirement);
                    source.packages.contains_key(&name)
                });
                if named {
                    pairs.push((culprit.clone(), victim.clone()));
                }
            }
        }
        let index = (self.random() * pairs.len() as f64) as usize;
        let Some((culprit, victim)) = pairs.get(index).cloned() else { return false };
        let complaint =
            self.pick(&whims.complaints).unwrap_or_else(|| "error: it does not work".to_owned());
        let complaint = complaint.replace("%{culprit}", &culprit).replace("%{victim}", &victim);
        let version = self.next_version(&culprit);
        self.tell(format!("{culprit} is updated; {victim} is not ready for it"));
        let push =
            Push { version, ..Push::of(culprit.clone()) }.breaking(victim.clone(), complaint);
        if self.push(&push).is_none() {
            return false;
        }
        let due = self.repair_time(whims);
        let plan = if self.random() < 0.6 {
            let version = self.next_version(&victim);
            let words = match &version {
                Some(version) => {
                    format!("{victim} {version} is pushed, which works with the new {culprit}")
                }
                None => format!("{victim} gets a patch that makes it work with the new {culprit}"),
            };
            Plan { due, push: Push { version, ..Push::of(victim) }.adapting(culprit), words }
        } else {
            let words = format!("{culprit} takes back what broke {victim}");
            Plan { due, push: Push::of(culprit).curing(victim), words }
        };
        self.plan(plan);
        true
    }

    fn repair_time(&mut self, whims: &Whims) -> f64 {
        let (from, to) = whims.mended_after;
        let wait = from + (to - from) * self.random();
        self.now + self.scaled(wait)
    }

    /// A new soname; everything linked with the old one is rebuilt later, in the order of its dependencies.
    fn whim_bumps(&mut self, whims: &Whims) -> bool {
        let world = self.world.clone();
        let quiet = self.quiet_sources();
        let candidates: Vec<String> = quiet
            .iter()
            .filter(|name| world.sources.get(*name).is_some_and(|source| source.may_bump))
            .filter(|name| {
                world.linked_with(name).iter().all(|user| quiet.iter().any(|quiet| quiet == user))
            })
            .cloned()
            .collect();
        let Some(library) = self.pick(&candidates) else { return false };
        let Some(current) = self.newest_revision(&library).cloned() else { return false };
        let abi = bumped(&current.abi);
        self.tell(format!(
            "{library} is updated with a new soname ({} becomes {abi})",
            current.abi
        ));
        let push = Push {
            version: Some(bumped(&current.version)),
            abi: Some(abi),
            ..Push::of(library.clone())
        };
        if self.push(&push).is_none() {
            return false;
        }
        let mut due = self.repair_time(whims);
        for user in world.linked_with(&library) {
            let words = format!("{user} is rebuilt against the new {library}");
            self.plan(Plan { due, push: Push::of(user), words });
            due += self.scaled(12.0);
        }
        true
    }
}

/// The next release or version: its last number plus one.
pub(crate) fn bumped(text: &str) -> String {
    let end = text.rfind(|letter: char| letter.is_ascii_digit()).map_or(0, |place| place + 1);
    let start =
        text[..end].rfind(|letter: char| !letter.is_ascii_digit()).map_or(0, |place| place + 1);
    match text[start..end].parse::<u64>() {
        Ok(number) => format!("{}{}{}", &text[..start], number + 1, &text[end..]),
        Err(_) => format!("{text}.1"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::task_state;
    use crate::store::Store;
    use crate::world::{Life, World};

    #[test]
    fn the_last_number_grows() {
        for (before, after) in [
            ("1", "2"),
            ("2.12.8", "2.12.9"),
            ("0.27", "0.28"),
            ("2024.2.69", "2024.2.70"),
            ("1.0~rc9", "1.0~rc10"),
            ("", ".1"),
        ] {
            assert_eq!(bumped(before), after);
        }
    }

    const START: f64 = 1.8e9;

    fn buyan(directory: &std::path::Path) -> Engine {
        let store = Store::open(&directory.join("hub")).unwrap();
        let world = Arc::new(World::buyan().unwrap());
        let life = Life { whims: None, ..Life::buyan().unwrap() };
        let files = directory.join("files");
        Engine::new(store, world, Some(Arc::new(life)), files, 1.0, true, 1, START).unwrap()
    }

    /// What a build of the newest revision in the newest repo would come to.
    fn verdict(engine: &mut Engine, source: &str) -> Verdict {
        let tag = engine.tag_named("buyan2-build").unwrap().id;
        let repo = engine.newest_repo(tag, repo_state::READY).unwrap().id;
        let dest = engine.tag_named("buyan2").unwrap().id;
        let revision = engine.latest_build(dest, source).unwrap().revision;
        let revision = engine.store.revisions.get(revision).unwrap().clone();
        engine.attempt(&revision, repo, "x86_64").unwrap().verdict
    }

    fn unresolved(engine: &mut Engine, source: &str) -> bool {
        matches!(verdict(engine, source), Verdict::MissingRequires(_))
    }

    fn broken(engine: &mut Engine, source: &str) -> bool {
        matches!(verdict(engine, source), Verdict::Broken(_))
    }

    #[test]
    fn the_story_of_buyan() {
        let directory = tempfile::tempdir().unwrap();
        let mut engine = buyan(directory.path());
        let source =
            "../packages/python-pyyaml/6.0.1/18.by2/src/python-pyyaml-6.0.1-18.by2.src.rpm";
        let build = |engine: &mut Engine| {
            let opts = json!({"scratch": true, "arch_override": "x86_64"});
            engine.build_task(source, json!("buyan2"), opts, 1, 20)
        };
        let state = |engine: &Engine, task| engine.store.tasks.get(task).unwrap().state;

        // Before the library's update a build works; within half a minute after it, it does not.
        let before = build(&mut engine);
        engine.advance(START + 20.0).unwrap();
        assert_eq!(state(&engine, before), task_state::CLOSED);
        let after = build(&mut engine);
        engine.advance(START + 35.0).unwrap();
        assert_eq!(state(&engine, after), task_state::FAILED);
        assert!(broken(&mut engine, "python-pyyaml"));

        // Its packager mends it, with a real build.
        engine.advance(START + 148.0).unwrap();
        let dest = engine.tag_named("buyan2").unwrap().id;
        assert_eq!(
            engine.latest_build(dest, "python-pyyaml").unwrap().nvr(),
            "python-pyyaml-6.0.2-1.by2"
        );
        assert_eq!(verdict(&mut engine, "python-pyyaml"), Verdict::Good);

        // The soname bump: what needs a library linked with the old one cannot be installed.
        engine.advance(START + 175.0).unwrap();
        assert!(unresolved(&mut engine, "python-lxml"));
        assert!(!unresolved(&mut engine, "libxslt"), "it needs only libxml2-devel, which is new");
        engine.advance(START + 338.0).unwrap();
        for name in ["libxslt", "python-lxml", "perl-XML-LibXML"] {
            assert_eq!(verdict(&mut engine, name), Verdict::Good, "{name}");
        }

        // The compiler breaks three packages, and no more.
        engine.advance(START + 370.0).unwrap();
        let names: Vec<String> = engine
            .world
            .sources
            .iter()
            .filter(|(_, source)| !source.blocked)
            .map(|(name, _)| name.clone())
            .collect();
        let failing: Vec<&String> =
            names.iter().filter(|name| verdict(&mut engine, name) != Verdict::Good).collect();
        assert_eq!(failing, ["flex", "less", "syslinux"]);

        // In the end all is well.
        engine.advance(START + 600.0).unwrap();
        let failing: Vec<&String> =
            names.iter().filter(|name| verdict(&mut engine, name) != Verdict::Good).collect();
        assert!(failing.is_empty(), "{failing:?}");
    }

    /// Chance breaks and mends; it must not drift to where nothing builds.
    #[test]
    fn random_life_stays_livable() {
        let directory = tempfile::tempdir().unwrap();
        let mut engine = buyan(directory.path());
        engine.life = Some(Arc::new(Life::buyan().unwrap()));
        engine.store.remember(|memory| memory.next_whim = Some(START + 420.0));
        let mut news = engine.listeners.subscribe();
        engine.advance(START + 4_000.0).unwrap();
        let mut heard = Vec::new();
        while let Ok(line) = news.try_recv() {
            heard.push(line.words);
        }
        let count = |what: &str| heard.iter().filter(|words| words.contains(what)).count();
        let (built, failed) = (count("is built and tagged"), count("failed:"));
        assert!(built > 60 && failed * 5 < built, "{built} built, {failed} failed: {heard:#?}");
        assert!(count("is not ready for it") > 3, "{heard:#?}");
        let names: Vec<String> = engine
            .world
            .sources
            .iter()
            .filter(|(_, source)| !source.blocked)
            .map(|(name, _)| name.clone())
            .collect();
        let failing: Vec<&String> =
            names.iter().filter(|name| verdict(&mut engine, name) != Verdict::Good).collect();
        // Which ones fail is a matter of the seed; that they are few is not.
        assert!(failing.len() <= 12, "{failing:?}");
        println!("{built} built, {failed} failed, {failing:?}");
    }
}
