//! The course of time: one serial place that decides what happens next.
//!
//! Everything that will happen has a due time: tasks, new repos, scenes of the script. [`Engine::advance`] takes the
//! earliest, lets it happen at exactly its time, commits, and goes on until it has caught up. So the outcome depends on
//! the seed and on what clients do, not on how often the engine is woken. Calls of clients run between two steps, under
//! the same lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::buildroot::Buildroots;
use crate::rows::{Build, Event, Listing, Plan, Repo, Revision, Tagging};
use crate::store::{Store, StoreError};
use crate::world::{Life, World};

/// Task states.
pub(crate) mod task_state {
    pub(crate) const FREE: i64 = 0;
    pub(crate) const OPEN: i64 = 1;
    pub(crate) const CLOSED: i64 = 2;
    pub(crate) const CANCELED: i64 = 3;
    pub(crate) const ASSIGNED: i64 = 4;
    pub(crate) const FAILED: i64 = 5;
}

/// Build states.
pub(crate) mod build_state {
    pub(crate) const BUILDING: i64 = 0;
    pub(crate) const COMPLETE: i64 = 1;
    pub(crate) const FAILED: i64 = 3;
    pub(crate) const CANCELED: i64 = 4;
}

/// Repo states.
pub(crate) mod repo_state {
    pub(crate) const INIT: i64 = 0;
    pub(crate) const READY: i64 = 1;
    pub(crate) const EXPIRED: i64 = 2;
    pub(crate) const DELETED: i64 = 3;
    pub(crate) const PROBLEM: i64 = 4;

    /// Koji's word for a state.
    pub(crate) fn name(state: i64) -> &'static str {
        match state {
            INIT => "INIT",
            READY => "READY",
            EXPIRED => "EXPIRED",
            DELETED => "DELETED",
            _ => "PROBLEM",
        }
    }
}

/// One line for a person who watches the world.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// Seconds since 1970.
    pub at: f64,
    /// A plain English sentence.
    pub words: String,
}

/// The simulated world and its hub.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store: Store,
    pub(crate) world: Arc<World>,
    pub(crate) life: Option<Arc<Life>>,
    /// The directory behind topurl.
    pub(crate) topdir: PathBuf,
    pub(crate) speed: f64,
    /// Whether tagging leads to new repos by itself.
    pub(crate) kojira: bool,
    /// Tests stop the builders' work with this.
    pub(crate) paused: bool,
    pub(crate) now: f64,
    pub(crate) buildroots: Buildroots,
    /// Unfinished tasks.
    pub(crate) active: BTreeSet<i64>,
    /// Where to look for packages by their names.
    pub(crate) places: Mutex<Places>,
    news: Vec<News>,
    pub(crate) listeners: tokio::sync::broadcast::Sender<News>,
}

/// Where to look for packages in a world with 100,000 of them. Rows are only ever added, with ids that grow; what was taken
/// back stays in here and is not found there.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Builds by name, ascending.
    builds: HashMap<String, Vec<i64>>,
    next_build: i64,
    /// The first package of each build.
    first_rpms: HashMap<i64, i64>,
    next_rpm: i64,
}

impl Places {
    /// Learns what was added.
    pub(crate) fn update(&mut self, store: &Store) {
        for build in store.builds.from(self.next_build) {
            self.builds.entry(build.name.clone()).or_default().push(build.id);
            self.next_build = build.id + 1;
        }
        for rpm in store.rpms.from(self.next_rpm) {
            self.first_rpms.entry(rpm.build).or_insert(rpm.id);
            self.next_rpm = rpm.id + 1;
        }
    }

    /// The builds of a name, newest first.
    pub(crate) fn builds_of(&self, name: &str) -> impl Iterator<Item = i64> {
        self.builds.get(name).into_iter().flatten().rev().copied()
    }

    /// No package of this build has a smaller id; `None` when there is none.
    pub(crate) fn first_rpm_of(&self, build: i64) -> Option<i64> {
        self.first_rpms.get(&build).copied()
    }
}

/// The next thing that will happen.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Due {
    Task(i64),
    Regeneration(i64),
    Plan(usize),
    Scene,
    Whim,
}

impl Engine {
    /// Puts an engine around a store that may be empty. `now` is the time of the first step.
    #[expect(clippy::too_many_arguments, reason = "called once, with names at the call")]
    pub(crate) fn new(
        store: Store,
        world: Arc<World>,
        life: Option<Arc<Life>>,
        topdir: PathBuf,
        speed: f64,
        kojira: bool,
        seed: u64,
        now: f64,
    ) -> Result<Engine, StoreError> {
        let (listeners, _) = tokio::sync::broadcast::channel(1024);
        let mut engine = Engine {
            store,
            world,
            life,
            topdir,
            speed,
            kojira,
            paused: false,
            now,
            buildroots: Buildroots::default(),
            active: BTreeSet::new(),
            places: Mutex::default(),
            news: Vec::new(),
            listeners,
        };
        if engine.store.memory.get(1).is_none() {
            engine.begin(seed);
            engine.commit()?;
        } else {
            engine.resume();
            engine.commit()?;
        }
        Ok(engine)
    }

    /// After a stop, life goes on where it was: what was due is still due, as long after now as it then was.
    fn resume(&mut self) {
        self.find_active();
        let last = self.store.memory().last_seen;
        let gap = (self.now - last).max(0.0);
        for id in self.active.clone() {
            self.store.tasks.change(id, |task| task.due = task.due.map(|due| due + gap));
        }
        let lives = self.life.is_some();
        self.store.remember(|memory| {
            memory.first_start += gap;
            memory.next_whim = memory.next_whim.map(|due| due + gap);
            // Without a script nothing happens by itself any more.
            if !lives {
                memory.plans.clear();
            }
            for plan in &mut memory.plans {
                plan.due += gap;
            }
            for due in memory.stale.values_mut() {
                *due += gap;
            }
        });
        self.tell("The hub is back; unfinished tasks go on");
    }

    pub(crate) fn find_active(&mut self) {
        self.active = self
            .store
            .tasks
            .all()
            .filter(|task| {
                matches!(task.state, task_state::FREE | task_state::OPEN | task_state::ASSIGNED)
            })
            .map(|task| task.id)
            .collect();
    }

    /// Says something to whoever listens, once the change it speaks of is durable.
    pub(crate) fn tell(&mut self, words: impl Into<String>) {
        self.news.push(News { at: self.now, words: words.into() });
    }

    /// Forgets what was to be told of changes that were taken back.
    pub(crate) fn untell(&mut self, keep: usize) {
        self.news.truncate(keep);
    }

    pub(crate) fn told(&self) -> usize {
        self.news.len()
    }

    /// Makes changes durable, then tells of them.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        if self.store.is_changed() {
            let now = self.now;
            self.store.remember(|memory| memory.last_seen = now);
            self.store.commit()?;
        }
        if self.listeners.receiver_count() > 0 || self.news.len() > 100 {
            for news in self.news.drain(..) {
                // Nobody listening is fine.
                let _ = self.listeners.send(news);
            }
        }
        Ok(())
    }

    /// A duration of the world in seconds of the clock.
    pub(crate) fn scaled(&self, seconds: f64) -> f64 {
        seconds / self.speed
    }

    fn next(&self) -> Option<(f64, Due)> {
        let mut next: Option<(f64, i64, i64, Due)> = None;
        let mut offer = |at: f64, priority: i64, id: i64, due: Due| {
            let earlier = match &next {
                None => true,
                Some((other_at, other_priority, other_id, _)) => at
                    .total_cmp(other_at)
                    .then(priority.cmp(other_priority))
                    .then(id.cmp(other_id))
                    .is_lt(),
            };
            if earlier {
                next = Some((at, priority, id, due));
            }
        };
        for id in &self.active {
            if let Some(task) = self.store.tasks.get(*id)
                && let Some(due) = task.due
                && !self.is_held(task)
            {
                offer(due, task.priority, *id, Due::Task(*id));
            }
        }
        let memory = self.store.memory();
        for (tag, due) in &memory.stale {
            offer(*due, 0, *tag, Due::Regeneration(*tag));
        }
        for (index, plan) in memory.plans.iter().enumerate() {
            offer(plan.due, 0, index as i64, Due::Plan(index));
        }
        if let Some(life) = &self.life {
            if let Some(scene) = life.scenes.get(memory.scenes_played) {
                offer(memory.first_start + self.scaled(scene.at), 0, 0, Due::Scene);
            }
            if let Some(due) = memory.next_whim {
                offer(due, 0, 0, Due::Whim);
            }
        }
        next.map(|(at, _, _, due)| (at, due))
    }

    /// When the next thing happens.
    pub(crate) fn next_due(&self) -> Option<f64> {
        self.next().map(|(at, _)| at)
    }

    /// Lets everything happen that is due until then.
    pub(crate) fn advance(&mut self, until: f64) -> Result<(), StoreError> {
        while let Some((at, due)) = self.next() {
            if at > until {
                break;
            }
            self.now = self.now.max(at);
            match due {
                Due::Task(id) => self.step_task(id),
                Due::Regeneration(tag) => self.regenerate(tag),
                Due::Plan(index) => self.carry_out(index),
                Due::Scene => self.play_scene(),
                Due::Whim => self.follow_whim(),
            }
            self.commit()?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// A new event of the hub's history, at this moment.
    pub(crate) fn event(&mut self) -> i64 {
        let now = self.now;
        self.event_at(now)
    }

    pub(crate) fn event_at(&mut self, ts: f64) -> i64 {
        let id = self.store.events.new_id();
        self.store.events.put(id, Event { id, ts: microseconds(ts) });
        id
    }

    pub(crate) fn event_ts(&self, id: i64) -> f64 {
        self.store.events.get(id).map_or(0.0, |event| event.ts)
    }

    pub(crate) fn last_event(&self) -> i64 {
        self.store.events.ids().next_back().unwrap_or(0)
    }

    // ------------------------------------------------------------------ random numbers

    /// A number from 0 (included) to 1 (not included), the next of this world's sequence.
    pub(crate) fn random(&mut self) -> f64 {
        let mut drawn = 0;
        let mut seed = 0;
        self.store.remember(|memory| {
            memory.drawn += 1;
            drawn = memory.drawn;
            seed = memory.seed;
        });
        fraction(mix(seed, drawn))
    }

    /// A number that belongs to a task or another id, the same each time it is asked for.
    pub(crate) fn lot(&self, id: i64, what: u64) -> f64 {
        fraction(mix(self.store.memory().seed ^ what.wrapping_mul(0x9e37_79b9), id as u64))
    }

    // ------------------------------------------------------------------ tags

    pub(crate) fn tag_named(&self, name: &str) -> Option<&crate::rows::Tag> {
        self.store.tags.find(|tag| tag.name == name)
    }

    /// The tag and all that it inherits from, nearest first, each once.
    pub(crate) fn ancestry(&self, tag: i64) -> Vec<i64> {
        let mut order = Vec::new();
        let mut waiting = vec![tag];
        while let Some(tag) = waiting.pop() {
            if order.contains(&tag) {
                continue;
            }
            if let Some(row) = self.store.tags.get(tag) {
                order.push(tag);
                waiting.extend(row.parents.iter().rev());
            }
        }
        order
    }

    /// Arches of a tag, its own or the nearest inherited.
    pub(crate) fn tag_arches(&self, tag: i64) -> Vec<String> {
        self.ancestry(tag)
            .into_iter()
            .filter_map(|tag| self.store.tags.get(tag)?.arches.clone())
            .find(|arches| !arches.trim().is_empty())
            .map(|arches| arches.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    /// The package list of a tag with inheritance: nearest entry of each package, the tag's own first.
    pub(crate) fn package_list(&self, tag: i64, inherited: bool) -> Vec<&Listing> {
        let ancestry = if inherited { self.ancestry(tag) } else { vec![tag] };
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for tag in ancestry {
            for listing in self.store.listings.all().filter(|listing| listing.tag == tag) {
                if seen.insert(listing.package) {
                    list.push(listing);
                }
            }
        }
        list
    }

    /// Builds in a tag, most recently tagged first within a tag, the tag's own before inherited ones.
    pub(crate) fn tagged(
        &self,
        tag: i64,
        event: Option<i64>,
        inherit: bool,
        latest: bool,
        package: Option<i64>,
    ) -> Vec<(&Tagging, &Build)> {
        let listed: BTreeMap<i64, bool> = self
            .package_list(tag, true)
            .into_iter()
            .map(|listing| (listing.package, listing.blocked))
            .collect();
        let ancestry = if inherit { self.ancestry(tag) } else { vec![tag] };
        let at = event.unwrap_or(i64::MAX);
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for tag in ancestry {
            let mut here: Vec<(&Tagging, &Build)> = self
                .store
                .taggings
                .all()
                .filter(|tagging| {
                    tagging.tag == tag
                        && tagging.create_event <= at
                        && tagging.revoke_event.is_none_or(|revoked| revoked > at)
                })
                .filter_map(|tagging| Some((tagging, self.store.builds.get(tagging.build)?)))
                .filter(|(_, build)| {
                    build.state == build_state::COMPLETE
                        && listed.get(&build.package) == Some(&false)
                        && package.is_none_or(|package| build.package == package)
                })
                .collect();
            here.sort_by_key(|(tagging, _)| std::cmp::Reverse((tagging.create_event, tagging.id)));
            for (tagging, build) in here {
                if !latest || seen.insert(build.package) {
                    found.push((tagging, build));
                }
            }
        }
        found
    }

    /// The most recently tagged build of a source package in a tag.
    pub(crate) fn latest_build(&self, tag: i64, source: &str) -> Option<&Build> {
        let package = self.store.packages.find(|package| package.name == source)?.id;
        self.tagged(tag, None, true, true, Some(package)).first().map(|(_, build)| *build)
    }

    /// Puts a build into a tag; build tags that inherit it will want a new repo.
    pub(crate) fn tag_build(&mut self, tag: i64, build: i64, creator: i64) {
        let create_event = self.event();
        let id = self.store.taggings.new_id();
        self.store
            .taggings
            .put(id, Tagging { id, tag, build, create_event, revoke_event: None, creator });
        self.content_changed(tag);
    }

    /// What is in a tag changed: in time, build tags that inherit it get a new repo.
    pub(crate) fn content_changed(&mut self, tag: i64) {
        if self.kojira {
            self.want_repos(tag);
        }
    }

    fn want_repos(&mut self, changed: i64) {
        let build_tags: BTreeSet<i64> =
            self.store.targets.all().map(|target| target.build_tag).collect();
        let due = self.now + self.scaled(2.0);
        for tag in build_tags {
            if self.ancestry(tag).contains(&changed) {
                self.store.remember(|memory| {
                    memory.stale.entry(tag).or_insert(due);
                });
            }
        }
    }

    /// The newest repo of a tag in a state.
    pub(crate) fn newest_repo(&self, tag: i64, state: i64) -> Option<&Repo> {
        self.store.repos.all().rev().find(|repo| repo.tag == tag && repo.state == state)
    }

    /// The event after which the content of a repo was no longer that of its tag.
    pub(crate) fn end_event(&self, repo: &Repo) -> Option<i64> {
        let ancestry = self.ancestry(repo.tag);
        self.store
            .taggings
            .all()
            .filter(|tagging| ancestry.contains(&tagging.tag))
            .flat_map(|tagging| [Some(tagging.create_event), tagging.revoke_event])
            .flatten()
            .filter(|event| *event > repo.create_event)
            .min()
    }

    // ------------------------------------------------------------------ sources

    /// The newest revision of a source package, whether built or not.
    pub(crate) fn newest_revision(&self, source: &str) -> Option<&Revision> {
        self.store.revisions.all().rev().find(|revision| revision.source == source)
    }

    /// The commit that a revision has in the packagers' repository.
    pub(crate) fn commit_id(&self, revision: i64) -> String {
        format!("{:016x}{:016x}", mix(0xb0, revision as u64), mix(0xb1, revision as u64))
    }

    pub(crate) fn scm_url(&self, revision: &Revision) -> String {
        format!(
            "{}/{}#{}",
            self.world.distribution.scm,
            revision.source,
            self.commit_id(revision.id)
        )
    }

    pub(crate) fn plan(&mut self, plan: Plan) {
        self.store.remember(|memory| memory.plans.push(plan));
    }

    pub(crate) fn user_id(&self, name: &str) -> i64 {
        self.store.users.find(|user| user.name == name).map_or(1, |user| user.id)
    }

    pub(crate) fn user_name(&self, id: i64) -> String {
        self.store.users.get(id).map(|user| user.name.clone()).unwrap_or_default()
    }

    pub(crate) fn channel_id(&self, name: &str) -> i64 {
        self.store.channels.find(|channel| channel.name == name).map_or(1, |channel| channel.id)
    }
}

/// PostgreSQL keeps microseconds.
pub(crate) fn microseconds(ts: f64) -> f64 {
    (ts * 1e6).round() / 1e6
}

/// SplitMix64 of two numbers: a random number generator without a state to lose.
fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed
        .wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn fraction(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}
