//! Methods that change the hub, other than tasks.

use serde_json::{Value, json};

use super::Call;
use super::arguments::{Answer, Fault, repr, wrong_type};
use crate::engine::repo_state;
use crate::rows::{ExternalRepo, GroupPackage, Listing, Tag, TagExternalRepo, Target};

pub(super) fn logout(call: &mut Call<'_>) -> Answer {
    let user = call.user().map_err(|_| Fault::new(1002, "Not logged in"))?;
    let own = call.session.as_ref().map_or(0, |session| session.id);
    let id = call.arguments.get("session_id").as_i64().unwrap_or(own);
    match call.engine.store.sessions.get(id) {
        Some(session) if session.user == user || call.has_permission("admin") => {
            call.engine.store.sessions.change(id, |session| session.closed = true);
            Ok(Value::Null)
        }
        _ => Err(Fault::new(1002, format!("Session with id {id} does not exist"))),
    }
}

pub(super) fn exclusive_session(call: &mut Call<'_>) -> Answer {
    let user = call.user()?;
    let own = call.session.as_ref().map_or(0, |session| session.id);
    let others: Vec<i64> = call
        .engine
        .store
        .sessions
        .all()
        .filter(|session| {
            session.user == user && session.exclusive && !session.closed && session.id != own
        })
        .map(|session| session.id)
        .collect();
    if !others.is_empty() && !call.arguments.truth("force") {
        return Err(Fault::new(1006, "Cannot get exclusive session"));
    }
    for id in others {
        call.engine.store.sessions.change(id, |session| session.closed = true);
    }
    call.engine.store.sessions.change(own, |session| session.exclusive = true);
    Ok(Value::Null)
}

pub(super) fn create_tag(call: &mut Call<'_>) -> Answer {
    call.assert_permission("tag")?;
    let name = call.arguments.text("name")?.to_owned();
    if call.engine.tag_named(&name).is_some() {
        return Err(Fault::generic(format!("A tag with the name '{name}' already exists")));
    }
    let parents = match call.arguments.get("parent") {
        Value::Null => Vec::new(),
        parent => vec![call.tag_info(parent)?],
    };
    let arches = call.arguments.get("arches").as_str().map(str::to_owned);
    let extra = match call.arguments.get("extra") {
        Value::Object(extra) => extra.clone().into_iter().collect(),
        _ => Default::default(),
    };
    let create_event = call.engine.event();
    let id = call.engine.store.tags.new_id();
    call.engine.store.tags.put(id, Tag { id, name, arches, extra, parents, create_event });
    Ok(json!(id))
}

pub(super) fn create_build_target(call: &mut Call<'_>) -> Answer {
    call.assert_permission("target")?;
    let name = call.arguments.text("name")?.to_owned();
    let build_tag = call.tag_info(call.arguments.get("build_tag"))?;
    let dest_tag = call.tag_info(call.arguments.get("dest_tag"))?;
    if call.engine.store.targets.find(|target| target.name == name).is_some() {
        return Err(Fault::generic(format!(
            "A build target with the name '{name}' already exists"
        )));
    }
    let id = call.engine.store.targets.new_id();
    call.engine.store.targets.put(id, Target { id, name, build_tag, dest_tag });
    Ok(Value::Null)
}

pub(super) fn group_list_add(call: &mut Call<'_>) -> Answer {
    call.assert_permission("tag")?;
    let tag = call.tag_entry(call.arguments.get("taginfo"))?;
    let name = call.arguments.text("grpinfo")?.to_owned();
    if call.engine.store.groups.find(|group| group.tag == tag && group.name == name).is_some() {
        if call.arguments.truth("force") {
            return Ok(Value::Null);
        }
        let text = format!("group {name} already in tag {}", repr(call.arguments.get("taginfo")));
        return Err(Fault::generic(text));
    }
    let event = call.engine.event();
    call.engine.put_group(tag, name, Vec::new(), event);
    Ok(Value::Null)
}

pub(super) fn group_package_list_add(call: &mut Call<'_>) -> Answer {
    call.assert_permission("tag")?;
    let tag = call.tag_entry(call.arguments.get("taginfo"))?;
    let name = call.arguments.text("grpinfo")?.to_owned();
    let package = call.arguments.text("pkg_name")?.to_owned();
    let kind = call.arguments.get("type").as_str().unwrap_or("mandatory").to_owned();
    let blocked = call.arguments.truth("blocked") || call.arguments.truth("block");
    let mut groups = call.engine.store.groups.all().rev();
    let group = groups.find(|group| group.tag == tag && group.name == name);
    let Some(mut packages) = group.map(|group| group.packages.clone()) else {
        return Err(Fault::generic(format!("No such group: {name}")));
    };
    drop(groups);
    packages.retain(|entry| entry.package != package);
    packages.push(GroupPackage { package, kind, blocked });
    let event = call.engine.event();
    call.engine.put_group(tag, name, packages, event);
    Ok(Value::Null)
}

pub(super) fn create_external_repo(call: &mut Call<'_>) -> Answer {
    call.assert_permission("admin")?;
    let name = call.arguments.text("name")?.to_owned();
    let mut url = call.arguments.text("url")?.to_owned();
    if !url.ends_with('/') {
        url.push('/');
    }
    if call.engine.store.external_repos.find(|repo| repo.name == name).is_some() {
        return Err(Fault::generic(format!("An external repo named \"{name}\" already exists")));
    }
    let id = call.engine.store.external_repos.new_id();
    let answer = json!({"id": id, "name": name, "url": url});
    call.engine.store.external_repos.put(id, ExternalRepo { id, name, url });
    Ok(answer)
}

impl Call<'_> {
    fn external_repo(&self, info: &Value) -> Result<i64, Fault> {
        self.engine
            .store
            .external_repos
            .find(|repo| {
                info.as_i64() == Some(repo.id) || info.as_str() == Some(repo.name.as_str())
            })
            .map(|repo| repo.id)
            .ok_or_else(|| Fault::generic(format!("No such repo: {}", repr(info))))
    }

    fn external_repo_name(&self, id: i64) -> String {
        let row = self.engine.store.external_repos.get(id);
        row.map(|row| row.name.clone()).unwrap_or_default()
    }

    fn tag_name(&self, id: i64) -> String {
        self.engine.store.tags.get(id).map(|row| row.name.clone()).unwrap_or_default()
    }
}

pub(super) fn add_external_repo(call: &mut Call<'_>) -> Answer {
    call.assert_permission("tag")?;
    let tag = call.tag_info(call.arguments.get("tag_info"))?;
    let external_repo = call.external_repo(call.arguments.get("repo_info"))?;
    let priority = call.arguments.integer("priority")?;
    let merge_mode = call.arguments.get("merge_mode").as_str().unwrap_or("koji").to_owned();
    let rows = &call.engine.store.tag_external_repos;
    let same = rows.find(|row| row.tag == tag && row.external_repo == external_repo).is_some();
    let taken = rows.find(|row| row.tag == tag && row.priority == priority).is_some();
    if same || taken {
        let name = call.tag_name(tag);
        let with = if same {
            format!("external repo {}", call.external_repo_name(external_repo))
        } else {
            format!("an external repo at priority {priority}")
        };
        return Err(Fault::generic(format!("tag {name} already associated with {with}")));
    }
    let id = call.engine.store.tag_external_repos.new_id();
    let row = TagExternalRepo { id, tag, external_repo, priority, merge_mode };
    call.engine.store.tag_external_repos.put(id, row);
    Ok(Value::Null)
}

pub(super) fn remove_external_repo(call: &mut Call<'_>) -> Answer {
    call.assert_permission("tag")?;
    let tag = call.tag_info(call.arguments.get("tag_info"))?;
    let repo = call.external_repo(call.arguments.get("repo_info"))?;
    let row = call
        .engine
        .store
        .tag_external_repos
        .find(|row| row.tag == tag && row.external_repo == repo);
    let Some(id) = row.map(|row| row.id) else {
        let (name, repo) = (call.tag_name(tag), call.external_repo_name(repo));
        return Err(Fault::generic(format!("external repo {repo} not associated with tag {name}")));
    };
    call.engine.store.tag_external_repos.remove(id);
    Ok(Value::Null)
}

pub(super) fn new_repo(call: &mut Call<'_>) -> Answer {
    let user = call.user()?;
    if !call.has_permission("repo") {
        call.assert_permission("regen-repo")?;
    }
    let tag = call.tag_info(call.arguments.get("tag"))?;
    Ok(json!(call.engine.new_repo_task(tag, user, false)))
}

impl Call<'_> {
    fn repo_row(&self) -> Result<i64, Fault> {
        let id = self.arguments.integer("repo_id")?;
        match self.engine.store.repos.get(id) {
            Some(_) => Ok(id),
            None => Err(Fault::generic(format!("No such entry in table repo: {id}"))),
        }
    }
}

pub(super) fn repo_expire(call: &mut Call<'_>) -> Answer {
    call.assert_permission("repo")?;
    let id = call.repo_row()?;
    call.engine.set_repo_state(id, repo_state::EXPIRED);
    Ok(Value::Null)
}

pub(super) fn repo_delete(call: &mut Call<'_>) -> Answer {
    call.assert_permission("repo")?;
    let id = call.repo_row()?;
    call.engine.delete_repo(id);
    Ok(json!(0))
}

pub(super) fn repo_set_state(call: &mut Call<'_>) -> Answer {
    call.assert_permission("repo")?;
    let id = call.repo_row()?;
    let state = call.arguments.integer("state")?;
    if state == repo_state::DELETED {
        call.engine.delete_repo(id);
    } else {
        call.engine.set_repo_state(id, state);
    }
    Ok(Value::Null)
}

// ---------------------------------------------------------------- tagging

impl Call<'_> {
    fn build_info(&self, info: &Value) -> Result<i64, Fault> {
        let build = self.engine.find_build(info).map(|build| build.id);
        build.ok_or_else(|| Fault::generic(format!("No such build: {}", repr(info))))
    }

    fn current_tagging(&self, tag: i64, build: i64) -> Option<i64> {
        self.engine
            .store
            .taggings
            .find(|row| row.tag == tag && row.build == build && row.revoke_event.is_none())
            .map(|row| row.id)
    }
}

/// The real hub answers with the id of a tagBuild task; so does this one.
pub(super) fn tag_build(call: &mut Call<'_>) -> Answer {
    let user = call.user()?;
    let tag = call.tag_info(call.arguments.get("tag"))?;
    let build = call.build_info(call.arguments.get("build"))?;
    let request = json!([tag, build, call.arguments.truth("force"), null, false]);
    let id = call.engine.new_task(crate::builders::NewTask {
        method: "tagBuild",
        request,
        owner: user,
        parent: None,
        arch: "noarch",
        label: None,
        channel: "default",
        priority: 10,
        weight: 1.0,
    });
    Ok(json!(id))
}

pub(super) fn tag_build_bypass(call: &mut Call<'_>) -> Answer {
    let user = call.assert_permission("tag")?;
    let tag = call.tag_info(call.arguments.get("tag"))?;
    let build = call.build_info(call.arguments.get("build"))?;
    if call.current_tagging(tag, build).is_some() && !call.arguments.truth("force") {
        let nvr =
            call.engine.store.builds.get(build).map(crate::rows::Build::nvr).unwrap_or_default();
        let name = call.engine.store.tags.get(tag).map(|tag| tag.name.clone()).unwrap_or_default();
        return Err(Fault::new(1003, format!("build {nvr} already tagged ({name})")));
    }
    call.engine.tag_build(tag, build, user);
    Ok(Value::Null)
}

pub(super) fn untag_build(call: &mut Call<'_>) -> Answer {
    call.user()?;
    let tag = call.tag_info(call.arguments.get("tag"))?;
    let build = call.build_info(call.arguments.get("build"))?;
    if call.current_tagging(tag, build).is_none() && call.arguments.truth("strict") {
        let nvr =
            call.engine.store.builds.get(build).map(crate::rows::Build::nvr).unwrap_or_default();
        return Err(Fault::new(
            1003,
            format!("build {nvr} not in tag {}", repr(call.arguments.get("tag"))),
        ));
    }
    call.engine.untag_build(tag, build);
    Ok(Value::Null)
}

pub(super) fn package_list_add(call: &mut Call<'_>) -> Answer {
    call.assert_permission("tag")?;
    let tag = call.tag_info(call.arguments.get("taginfo"))?;
    let name = call.arguments.text("pkginfo")?.to_owned();
    let owner = match call.arguments.get("owner") {
        Value::String(name) => call.engine.user_id(name),
        Value::Number(id) => id.as_i64().unwrap_or(1),
        Value::Null => call.user()?,
        other => return Err(wrong_type(other, "str")),
    };
    let package = match call.engine.store.packages.find(|package| package.name == name) {
        Some(package) => package.id,
        None => {
            let id = call.engine.store.packages.new_id();
            call.engine.store.packages.put(id, crate::rows::Package { id, name });
            id
        }
    };
    let blocked = call.arguments.truth("block");
    call.engine.list_package(tag, package, Some(owner), blocked);
    Ok(Value::Null)
}

fn set_blocked(call: &mut Call<'_>, blocked: bool) -> Answer {
    call.assert_permission("tag")?;
    let tag = call.tag_info(call.arguments.get("taginfo"))?;
    let info = call.arguments.get("pkginfo").clone();
    let package = call
        .engine
        .store
        .packages
        .find(|package| {
            info.as_i64() == Some(package.id) || info.as_str() == Some(package.name.as_str())
        })
        .map(|package| package.id)
        .ok_or_else(|| Fault::generic(format!("No such package: {}", repr(&info))))?;
    call.engine.list_package(tag, package, None, blocked);
    Ok(Value::Null)
}

pub(super) fn package_list_block(call: &mut Call<'_>) -> Answer {
    set_blocked(call, true)
}

pub(super) fn package_list_unblock(call: &mut Call<'_>) -> Answer {
    set_blocked(call, false)
}

impl crate::engine::Engine {
    /// Takes a build out of a tag.
    pub(crate) fn untag_build(&mut self, tag: i64, build: i64) {
        let event = self.event();
        let rows: Vec<i64> = self
            .store
            .taggings
            .all()
            .filter(|row| row.tag == tag && row.build == build && row.revoke_event.is_none())
            .map(|row| row.id)
            .collect();
        for id in rows {
            self.store.taggings.change(id, |row| row.revoke_event = Some(event));
        }
        self.content_changed(tag);
    }

    /// Adds a package to a tag's list, or changes its entry there.
    pub(crate) fn list_package(
        &mut self,
        tag: i64,
        package: i64,
        owner: Option<i64>,
        blocked: bool,
    ) {
        let existing = self
            .store
            .listings
            .find(|row| row.tag == tag && row.package == package)
            .map(|row| row.id);
        match existing {
            Some(id) => self.store.listings.change(id, |row| {
                row.blocked = blocked;
                row.owner = owner.unwrap_or(row.owner);
            }),
            None => {
                let create_event = self.event();
                let id = self.store.listings.new_id();
                let owner = owner.unwrap_or(1);
                self.store
                    .listings
                    .put(id, Listing { id, tag, package, owner, blocked, create_event });
            }
        }
        self.content_changed(tag);
    }
}
