//! Methods that only ask.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::answers::{self, extended};
use super::arguments::{Answer, Fault, repr, truth, wrong_type};
use super::{Call, table};
use crate::content;
use crate::engine::{Engine, build_state};
use crate::rows::{Build, Rpm, Tag, User};

pub(super) fn nothing(_call: &mut Call<'_>) -> Answer {
    Ok(json!([]))
}

pub(super) fn nil(_call: &mut Call<'_>) -> Answer {
    Ok(Value::Null)
}

pub(super) fn api_version(_call: &mut Call<'_>) -> Answer {
    Ok(json!(1))
}

pub(super) fn koji_version(_call: &mut Call<'_>) -> Answer {
    Ok(json!(crate::KOJI_VERSION))
}

pub(super) fn list_methods(_call: &mut Call<'_>) -> Answer {
    let special = ["multiCall", "system.multicall", "echo", "login", "sslLogin"];
    let mut names: Vec<&str> =
        table::METHODS.iter().map(|entry| entry.name).chain(special).collect();
    names.sort_unstable();
    Ok(json!(names))
}

pub(super) fn list_api(_call: &mut Call<'_>) -> Answer {
    Ok(table::METHODS
        .iter()
        .map(|entry| {
            let args: Vec<&str> = entry
                .signature
                .parameters
                .split_whitespace()
                .map(|name| name.trim_end_matches('?'))
                .collect();
            json!({"name": entry.name, "args": args, "argspec": null, "argdesc": null, "doc": null})
        })
        .collect())
}

// ---------------------------------------------------------------- events, users

pub(super) fn get_event(call: &mut Call<'_>) -> Answer {
    let id = call.arguments.integer("id")?;
    match call.engine.store.events.get(id) {
        Some(event) => Ok(json!({"id": event.id, "ts": event.ts})),
        None => Err(Fault::generic("query returned no rows")),
    }
}

pub(super) fn get_last_event(call: &mut Call<'_>) -> Answer {
    let before = call.arguments.get("before").as_f64();
    let event =
        call.engine.store.events.all().rev().find(|event| before.is_none_or(|ts| event.ts < ts));
    Ok(event.map_or(Value::Null, |event| json!({"id": event.id, "ts": event.ts})))
}

fn user_struct(user: &User) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "status": i64::from(user.blocked),
        "usertype": user.usertype,
        "krb_principals": [],
    })
}

pub(super) fn logged_in_user(call: &mut Call<'_>) -> Answer {
    let Some(session) = &call.session else { return Ok(Value::Null) };
    let Some(user) = call.engine.store.users.get(session.user) else { return Ok(Value::Null) };
    Ok(extended(user_struct(user), json!({"authtype": session.authtype, "krb_principal": null})))
}

impl Call<'_> {
    fn user_named(&self, info: &Value) -> Option<&User> {
        let info = info.get("krb_principal").or_else(|| info.get("name")).unwrap_or(info);
        self.engine.store.users.find(|user| {
            info.as_i64() == Some(user.id) || info.as_str() == Some(user.name.as_str())
        })
    }
}

pub(super) fn get_user(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("userInfo");
    if info.is_null() {
        return logged_in_user(call);
    }
    match call.user_named(info) {
        Some(user) => Ok(user_struct(user)),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("No such user: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

pub(super) fn user_perms(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("userID");
    let user = if info.is_null() {
        call.session.as_ref().and_then(|session| call.engine.store.users.get(session.user))
    } else {
        call.user_named(info)
    };
    match user {
        Some(user) => Ok(json!(user.permissions)),
        None => Err(Fault::generic(format!("No such user: {}", repr(info)))),
    }
}

pub(super) fn own_perms(call: &mut Call<'_>) -> Answer {
    let user = call.user()?;
    Ok(json!(call.engine.store.users.get(user).map(|user| &user.permissions)))
}

// ---------------------------------------------------------------- tags

impl Engine {
    pub(crate) fn find_tag(&self, info: &Value) -> Option<&Tag> {
        match info {
            Value::Number(id) => self.store.tags.get(id.as_i64()?),
            Value::String(name) => self.tag_named(name),
            other => self.store.tags.get(other.get("id")?.as_i64()?),
        }
    }

    pub(crate) fn find_build(&self, info: &Value) -> Option<&Build> {
        match info {
            Value::Number(id) => self.store.builds.get(id.as_i64()?),
            Value::String(nvr) => self.store.builds.all().rev().find(|build| build.nvr() == *nvr),
            Value::Object(_) => {
                if let Some(id) = info.get("id").and_then(Value::as_i64) {
                    return self.store.builds.get(id);
                }
                let member = |name: &str| info.get(name).and_then(Value::as_str);
                let name = member("name").or_else(|| member("package_name"))?;
                let (version, release) = (member("version")?, member("release")?);
                self.store.builds.all().rev().find(|build| {
                    build.name == name && build.version == version && build.release == release
                })
            }
            _ => None,
        }
    }
}

impl Call<'_> {
    /// The tag, in the words of the methods that read it as a whole.
    pub(super) fn tag_info(&self, info: &Value) -> Result<i64, Fault> {
        let tag = self.engine.find_tag(info).map(|tag| tag.id);
        tag.ok_or_else(|| Fault::generic(format!("No such tagInfo: {}", repr(info))))
    }

    /// The tag, in the words of the methods that only look up its id.
    pub(super) fn tag_entry(&self, info: &Value) -> Result<i64, Fault> {
        let shown = match info {
            Value::String(name) => name.clone(),
            other => repr(other),
        };
        let tag = self.engine.find_tag(info).map(|tag| tag.id);
        tag.ok_or_else(|| Fault::generic(format!("No such entry in table tag: {shown}")))
    }

    fn event(&self) -> Result<Option<i64>, Fault> {
        match self.arguments.get("event") {
            Value::Null => Ok(None),
            Value::Number(number) if number.is_i64() => Ok(number.as_i64()),
            other => Err(Fault::generic(format!("Invalid event: {}", repr(other)))),
        }
    }

    /// The tag of a call that may ask for the past; it must have existed then.
    fn tag_at(&self, name: &str, event: Option<i64>) -> Result<i64, Fault> {
        let info = self.arguments.get(name);
        let tag = self.tag_info(info)?;
        let existed = self
            .engine
            .store
            .tags
            .get(tag)
            .is_some_and(|row| event.is_none_or(|at| row.create_event <= at));
        if existed {
            Ok(tag)
        } else {
            Err(Fault::generic(format!("No such tagInfo: {}", repr(info))))
        }
    }

    fn package_id(&self, info: &Value) -> Option<i64> {
        self.engine
            .store
            .packages
            .find(|package| {
                info.as_i64() == Some(package.id) || info.as_str() == Some(package.name.as_str())
            })
            .map(|package| package.id)
    }
}

pub(super) fn get_tag(call: &mut Call<'_>) -> Answer {
    let event = call.event()?;
    let info = call.arguments.get("tagInfo");
    let tag =
        call.engine.find_tag(info).filter(|tag| event.is_none_or(|at| tag.create_event <= at));
    match tag {
        Some(tag) => Ok(answers::tag(tag)),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("No such tagInfo: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

pub(super) fn get_tag_id(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("info");
    match call.engine.find_tag(info) {
        Some(tag) => Ok(json!(tag.id)),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("No such tag: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

pub(super) fn list_tags(call: &mut Call<'_>) -> Answer {
    let build = call.arguments.get("build");
    let package = call.arguments.get("package");
    let pattern = call.arguments.get("pattern").as_str();
    let wanted: Option<BTreeSet<i64>> = if !build.is_null() {
        let Some(build) = call.engine.find_build(build) else {
            return Err(Fault::generic(format!("No such build: {}", repr(build))));
        };
        let rows = call.engine.store.taggings.all();
        Some(
            rows.filter(|row| row.build == build.id && row.revoke_event.is_none())
                .map(|row| row.tag)
                .collect(),
        )
    } else if !package.is_null() {
        let Some(package) = call.package_id(package) else {
            return Err(Fault::generic(format!("No such package: {}", repr(package))));
        };
        Some(
            call.engine
                .store
                .listings
                .all()
                .filter(|row| row.package == package)
                .map(|row| row.tag)
                .collect(),
        )
    } else {
        None
    };
    Ok(call
        .engine
        .store
        .tags
        .all()
        .filter(|tag| wanted.as_ref().is_none_or(|wanted| wanted.contains(&tag.id)))
        .filter(|tag| pattern.is_none_or(|pattern| glob(pattern, &tag.name)))
        .map(|tag| {
            let mut answer = answers::tag(tag);
            if let Value::Object(members) = &mut answer {
                members.remove("extra");
            }
            answer
        })
        .collect())
}

/// Whether a name matches a shell pattern of `*` and `?`.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut place, mut star, mut mark) = (0, 0, None, 0);
    while place < name.len() {
        if at < pattern.len()
            && (pattern[at] == '?' || (pattern[at] != '*' && pattern[at] == name[place]))
        {
            at += 1;
            place += 1;
        } else if at < pattern.len() && pattern[at] == '*' {
            star = Some(at);
            mark = place;
            at += 1;
        } else if let Some(last) = star {
            at = last + 1;
            mark += 1;
            place = mark;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

pub(super) fn full_inheritance(call: &mut Call<'_>) -> Answer {
    let tag = call.tag_entry(call.arguments.get("tag"))?;
    let mut answer = Vec::new();
    fn follow(engine: &Engine, tag: i64, depth: i64, answer: &mut Vec<Value>) {
        let Some(row) = engine.store.tags.get(tag) else { return };
        for (priority, parent) in row.parents.iter().enumerate() {
            answer.push(extended(
                link(engine, tag, *parent, priority),
                json!({"currdepth": depth, "filter": []}),
            ));
            follow(engine, *parent, depth + 1, answer);
        }
    }
    follow(call.engine, tag, 1, &mut answer);
    Ok(Value::Array(answer))
}

fn link(engine: &Engine, child: i64, parent: i64, priority: usize) -> Value {
    json!({
        "child_id": child,
        "parent_id": parent,
        "name": engine.store.tags.get(parent).map(|tag| tag.name.clone()),
        "priority": priority,
        "maxdepth": null,
        "intransitive": false,
        "noconfig": false,
        "pkg_filter": "",
    })
}

pub(super) fn inheritance_data(call: &mut Call<'_>) -> Answer {
    let tag = call.tag_entry(call.arguments.get("tag"))?;
    let parents =
        call.engine.store.tags.get(tag).map(|tag| tag.parents.clone()).unwrap_or_default();
    Ok(parents
        .iter()
        .enumerate()
        .map(|(priority, parent)| link(call.engine, tag, *parent, priority))
        .collect())
}

pub(super) fn build_config(call: &mut Call<'_>) -> Answer {
    let event = call.event()?;
    let tag = call.tag_at("tag", event)?;
    let arches = call.engine.tag_arches(tag).join(" ");
    let mut extra = Map::new();
    let mut from: Map<String, Value> = Map::new();
    let ancestry = call.engine.ancestry(tag);
    for id in ancestry {
        let Some(row) = call.engine.store.tags.get(id) else { continue };
        for (name, value) in &row.extra {
            if !extra.contains_key(name) {
                extra.insert(name.clone(), value.clone());
                if id != tag {
                    from.insert(name.clone(), json!({"id": id, "name": row.name}));
                }
            }
        }
    }
    let Some(row) = call.engine.store.tags.get(tag) else { return Ok(Value::Null) };
    let inherited_arches = row.arches.is_none() && !arches.is_empty();
    let arches_from = if inherited_arches {
        let source = call
            .engine
            .ancestry(tag)
            .into_iter()
            .filter_map(|id| call.engine.store.tags.get(id))
            .find(|row| row.arches.is_some());
        source.map_or(Value::Null, |row| json!({"id": row.id, "name": row.name}))
    } else {
        Value::Null
    };
    Ok(extended(
        answers::tag(row),
        json!({
            "arches": arches,
            "extra": extra,
            "config_inheritance": {"arches": arches_from, "extra": from},
        }),
    ))
}

pub(super) fn build_target(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("info");
    let target = call.engine.store.targets.find(|target| {
        info.as_i64() == Some(target.id) || info.as_str() == Some(target.name.as_str())
    });
    match target {
        Some(target) => Ok(answers::target(call.engine, target)),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("No matching build target found: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

pub(super) fn build_targets(call: &mut Call<'_>) -> Answer {
    let wanted = |name: &str, value: i64| {
        call.arguments.get(name).as_i64().is_none_or(|wanted| wanted == value)
    };
    let info = call.arguments.get("info");
    Ok(call
        .engine
        .store
        .targets
        .all()
        .filter(|target| {
            wanted("buildTagID", target.build_tag) && wanted("destTagID", target.dest_tag)
        })
        .filter(|target| {
            info.is_null()
                || info.as_i64() == Some(target.id)
                || info.as_str() == Some(target.name.as_str())
        })
        .map(|target| answers::target(call.engine, target))
        .collect())
}

pub(super) fn get_package(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("info");
    match call.package_id(info).and_then(|id| call.engine.store.packages.get(id)) {
        Some(package) => Ok(json!({"id": package.id, "name": package.name})),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("No such entry in table package: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

pub(super) fn get_package_id(call: &mut Call<'_>) -> Answer {
    let name = call.arguments.get("name");
    match call.package_id(name) {
        Some(id) => Ok(json!(id)),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("Invalid type for package: {}", repr(name))))
        }
        None => Ok(Value::Null),
    }
}

pub(super) fn package_config(call: &mut Call<'_>) -> Answer {
    let tag = call.tag_entry(call.arguments.get("tag"))?;
    let Some(package) = call.package_id(call.arguments.get("pkg")) else { return Ok(Value::Null) };
    let list = call.engine.package_list(tag, true);
    let listing = list.into_iter().find(|listing| listing.package == package);
    Ok(listing.map_or(Value::Null, |listing| answers::listing(call.engine, listing)))
}

pub(super) fn list_packages(call: &mut Call<'_>) -> Answer {
    call.event()?;
    let tag = call.arguments.get("tagID");
    let prefix = call.arguments.get("prefix").as_str();
    let with_blocked = !call.arguments.has("with_blocked") || call.arguments.truth("with_blocked");
    let package = match call.arguments.get("pkgID") {
        Value::Null => None,
        info => Some(
            call.package_id(info)
                .ok_or_else(|| Fault::generic(format!("No such package: {}", repr(info))))?,
        ),
    };
    let user = match call.arguments.get("userID") {
        Value::Null => None,
        info => {
            let user = call.user_named(info).map(|user| user.id);
            Some(user.ok_or_else(|| Fault::generic(format!("No such user: {}", repr(info))))?)
        }
    };
    if tag.is_null() && package.is_none() && user.is_none() {
        return list_packages_simple(call);
    }
    let listings: Vec<&crate::rows::Listing> = if tag.is_null() {
        call.engine.store.listings.all().collect()
    } else {
        let tag = call.tag_entry(tag)?;
        if call.arguments.truth("with_dups") && call.arguments.truth("inherited") {
            let ancestry = call.engine.ancestry(tag);
            call.engine.store.listings.all().filter(|row| ancestry.contains(&row.tag)).collect()
        } else {
            call.engine.package_list(tag, call.arguments.truth("inherited"))
        }
    };
    Ok(listings
        .into_iter()
        .filter(|row| with_blocked || !row.blocked)
        .filter(|row| package.is_none_or(|package| row.package == package))
        .filter(|row| user.is_none_or(|user| row.owner == user))
        .map(|row| answers::listing(call.engine, row))
        .filter(|row| {
            prefix.is_none_or(|prefix| {
                row["package_name"].as_str().is_some_and(|name| name.starts_with(prefix))
            })
        })
        .collect())
}

pub(super) fn list_packages_simple(call: &mut Call<'_>) -> Answer {
    let prefix = call.arguments.get("prefix").as_str().unwrap_or_default();
    Ok(call
        .engine
        .store
        .packages
        .all()
        .filter(|package| package.name.starts_with(prefix))
        .map(|package| json!({"package_id": package.id, "package_name": package.name}))
        .collect())
}

pub(super) fn tag_groups(call: &mut Call<'_>) -> Answer {
    call.event()?;
    let tag = call.tag_entry(call.arguments.get("tag"))?;
    let with_blocked = call.arguments.truth("incl_blocked");
    let inherit = !call.arguments.has("inherit") || call.arguments.truth("inherit");
    let mut groups = call.engine.groups_of(tag);
    groups.retain(|group| inherit || group.tag == tag);
    Ok(groups.iter().map(|group| answers::group(group, with_blocked)).collect())
}

pub(super) fn tag_external_repos(call: &mut Call<'_>) -> Answer {
    let tag = match call.arguments.get("tag_info") {
        Value::Null => None,
        info => Some(call.tag_info(info)?),
    };
    let repo = call.arguments.get("repo_info");
    let mut rows: Vec<Value> = Vec::new();
    for row in call
        .engine
        .store
        .tag_external_repos
        .all()
        .filter(|row| tag.is_none_or(|tag| row.tag == tag))
    {
        let Some(external) = call.engine.store.external_repos.get(row.external_repo) else {
            continue;
        };
        if !repo.is_null()
            && repo.as_i64() != Some(external.id)
            && repo.as_str() != Some(external.name.as_str())
        {
            continue;
        }
        rows.push(json!({
            "external_repo_id": external.id,
            "external_repo_name": external.name,
            "url": external.url,
            "priority": row.priority,
            "merge_mode": row.merge_mode,
            "arches": null,
            "tag_id": row.tag,
            "tag_name": call.engine.store.tags.get(row.tag).map(|tag| tag.name.clone()),
        }));
    }
    rows.sort_by_key(|row| row["priority"].as_i64());
    Ok(Value::Array(rows))
}

pub(super) fn external_repo(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("info");
    let repo =
        call.engine.store.external_repos.find(|repo| {
            info.as_i64() == Some(repo.id) || info.as_str() == Some(repo.name.as_str())
        });
    match repo {
        Some(repo) => Ok(json!({"id": repo.id, "name": repo.name, "url": repo.url})),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("No such repo: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

// ---------------------------------------------------------------- builds

pub(super) fn get_build(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("buildInfo");
    match call.engine.find_build(info) {
        Some(build) => Ok(answers::build(call.engine, build)),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("No such build: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

pub(super) fn list_builds(call: &mut Call<'_>) -> Answer {
    let package = match call.arguments.get("packageID") {
        Value::Null => None,
        info => match call.package_id(info) {
            Some(id) => Some(id),
            None => return Ok(json!([])),
        },
    };
    let user = match call.arguments.get("userID") {
        Value::Null => None,
        info => Some(call.user_named(info).map_or(0, |user| user.id)),
    };
    let task = call.arguments.get("taskID").as_i64();
    let state = call.arguments.get("state").as_i64();
    let prefix = call.arguments.get("prefix").as_str();
    let pattern = call.arguments.get("pattern").as_str();
    let builds: Vec<&Build> = call
        .engine
        .store
        .builds
        .all()
        .filter(|build| {
            package.is_none_or(|package| build.package == package)
                && user.is_none_or(|user| build.owner == user)
                && task.is_none_or(|task| build.task == Some(task))
                && state.is_none_or(|state| build.state == state)
                && prefix.is_none_or(|prefix| build.name.starts_with(prefix))
                && pattern.is_none_or(|pattern| glob(pattern, &build.nvr()))
        })
        .collect();
    Ok(limited(call.arguments.get("queryOpts"), builds)
        .into_iter()
        .map(|build| answers::listed_build(call.engine, build))
        .collect())
}

/// Order, offset and limit of a query; the order is always by id, as the rows are given.
fn limited<T>(query: &Value, mut rows: Vec<T>) -> Vec<T> {
    if query.get("order").and_then(Value::as_str).is_some_and(|order| order.starts_with('-')) {
        rows.reverse();
    }
    let number = |name: &str| query.get(name).and_then(Value::as_u64).map(|number| number as usize);
    let limit = number("limit").unwrap_or(usize::MAX);
    rows.into_iter().skip(number("offset").unwrap_or(0)).take(limit).collect()
}

impl Call<'_> {
    /// The package that a call asks for; `Some(0)` (no package) if it names an unknown one.
    fn wanted_package(&self) -> Option<i64> {
        match self.arguments.get("package") {
            Value::Null => None,
            info => Some(self.package_id(info).unwrap_or(0)),
        }
    }

    fn wanted_owner(&self) -> Option<i64> {
        match self.arguments.get("owner") {
            Value::Null => None,
            info => Some(self.user_named(info).map_or(0, |user| user.id)),
        }
    }
}

pub(super) fn list_tagged(call: &mut Call<'_>) -> Answer {
    let event = call.event()?;
    let tag = call.tag_at("tag", event)?;
    let (package, owner) = (call.wanted_package(), call.wanted_owner());
    let prefix = call.arguments.get("prefix").as_str();
    let tagged = call.engine.tagged(
        tag,
        event,
        call.arguments.truth("inherit"),
        call.arguments.truth("latest"),
        package,
    );
    Ok(tagged
        .into_iter()
        .filter(|(_, build)| owner.is_none_or(|owner| build.owner == owner))
        .filter(|(_, build)| {
            prefix
                .is_none_or(|prefix| build.name.to_lowercase().starts_with(&prefix.to_lowercase()))
        })
        .map(|(tagging, build)| answers::tagged_build(call.engine, tagging, build))
        .collect())
}

pub(super) fn latest_builds(call: &mut Call<'_>) -> Answer {
    let event = call.event()?;
    let tag = call.tag_at("tag", event)?;
    let tagged = call.engine.tagged(tag, event, true, true, call.wanted_package());
    Ok(tagged
        .into_iter()
        .map(|(tagging, build)| answers::tagged_build(call.engine, tagging, build))
        .collect())
}

pub(super) fn list_tagged_rpms(call: &mut Call<'_>) -> Answer {
    let event = call.event()?;
    let tag = call.tag_at("tag", event)?;
    let arches = texts(call.arguments.get("arch"));
    let tagged = call.engine.tagged(
        tag,
        event,
        call.arguments.truth("inherit"),
        call.arguments.truth("latest"),
        call.wanted_package(),
    );
    let ids: BTreeSet<i64> = tagged.iter().map(|(_, build)| build.id).collect();
    let rpms: Vec<Value> = call
        .engine
        .store
        .rpms
        .all()
        .filter(|rpm| {
            ids.contains(&rpm.build)
                && arches.as_ref().is_none_or(|arches| arches.contains(&rpm.arch))
        })
        .map(|rpm| answers::rpm(call.engine, rpm))
        .collect();
    let builds: Vec<Value> = tagged
        .into_iter()
        .map(|(tagging, build)| answers::tagged_build(call.engine, tagging, build))
        .collect();
    Ok(json!([rpms, builds]))
}

/// One text, or a list of texts; nil is no wish.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => {
            Some(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => None,
    }
}

// ---------------------------------------------------------------- rpms

pub(super) fn list_rpms(call: &mut Call<'_>) -> Answer {
    let build = call.arguments.get("buildID").as_i64();
    let buildroot = call.arguments.get("buildrootID").as_i64();
    let arches = texts(call.arguments.get("arches"));
    let rpms: Vec<&Rpm> = call
        .engine
        .store
        .rpms
        .all()
        .filter(|rpm| {
            build.is_none_or(|build| rpm.build == build)
                && buildroot.is_none_or(|root| rpm.buildroot == Some(root))
                && arches.as_ref().is_none_or(|arches| arches.contains(&rpm.arch))
        })
        .collect();
    Ok(limited(call.arguments.get("queryOpts"), rpms)
        .into_iter()
        .map(|rpm| answers::rpm(call.engine, rpm))
        .collect())
}

pub(super) fn list_build_rpms(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("build");
    let Some(build) = call.engine.find_build(info).map(|build| build.id) else {
        return Err(Fault::generic(format!("No such build: {}", repr(info))));
    };
    let rpms = call.engine.store.rpms.all().filter(|rpm| rpm.build == build);
    Ok(rpms.map(|rpm| answers::rpm(call.engine, rpm)).collect())
}

impl Call<'_> {
    /// An RPM by id, by `n-v-r.a`, or by a struct of name, version, release, arch (the epoch is not looked at).
    fn find_rpm(&self, info: &Value) -> Result<Option<&Rpm>, Fault> {
        let store = &self.engine.store;
        let by_nvra = |name: &str, version: &str, release: &str, arch: &str| {
            store
                .builds
                .all()
                .rev()
                .filter(|build| build.version == version && build.release == release)
                .find_map(|build| {
                    store
                        .rpms
                        .find(|rpm| rpm.build == build.id && rpm.name == name && rpm.arch == arch)
                })
        };
        match info {
            Value::Number(id) => Ok(id.as_i64().and_then(|id| store.rpms.get(id))),
            Value::String(nvra) => {
                let text = nvra.trim_end_matches(".rpm");
                let parts = text.rsplit_once('.').and_then(|(nvr, arch)| {
                    let (nv, release) = nvr.rsplit_once('-')?;
                    let (name, version) = nv.rsplit_once('-')?;
                    Some((name, version, release, arch))
                });
                match parts {
                    Some((name, version, release, arch)) => {
                        Ok(by_nvra(name, version, release, arch))
                    }
                    None => {
                        Err(Fault::generic(format!("Invalid type for rpminfo: {}", repr(info))))
                    }
                }
            }
            Value::Object(members) => {
                if let Some(id) = members.get("id").and_then(Value::as_i64) {
                    return Ok(store.rpms.get(id));
                }
                let member = |name: &str| {
                    members
                        .get(name)
                        .and_then(Value::as_str)
                        .ok_or_else(|| Fault::new(1, format!("<class 'KeyError'>: '{name}'")))
                };
                Ok(by_nvra(
                    member("name")?,
                    member("version")?,
                    member("release")?,
                    member("arch")?,
                ))
            }
            other => Err(wrong_type(other, "dict")),
        }
    }
}

pub(super) fn get_rpm(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("rpminfo");
    match call.find_rpm(info)? {
        Some(rpm) => Ok(answers::rpm(call.engine, rpm)),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("No such rpm: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

/// Name, flags, version.
type Dependency = (String, i64, String);

/// Requirements that every RPM has: what it takes to unpack it.
fn rpmlib(contents: &content::Rpm) -> Vec<Dependency> {
    let mut features = vec![("CompressedFileNames", "3.0.4-1"), ("FileDigests", "4.6.0-1")];
    if contents.arch != "src" {
        features.push(("PayloadFilesHavePrefix", "4.0-1"));
    }
    let rich = [
        &contents.requires,
        &contents.recommends,
        &contents.suggests,
        &contents.supplements,
        &contents.enhances,
        &contents.conflicts,
    ];
    if rich.into_iter().flatten().any(|text| text.starts_with('(')) {
        features.push(("RichDependencies", "4.12.0-1"));
    }
    features
        .into_iter()
        .map(|(name, version)| (format!("rpmlib({name})"), 16_777_226, version.to_owned()))
        .collect()
}

/// Dependencies as the header has them: by type, sorted by name within it.
fn dependencies(contents: &content::Rpm) -> Vec<(i64, Vec<Dependency>)> {
    let split = |texts: &[String]| -> Vec<Dependency> {
        texts.iter().map(|text| content::split_dependency(text)).collect()
    };
    let mut requires = split(&contents.requires);
    requires.extend(split(&contents.requires_pre));
    requires.extend(rpmlib(contents));
    requires.sort();
    let mut provides = split(&contents.provides);
    if contents.arch == "src" {
        provides.push((contents.name.clone(), 8, contents.evr()));
    }
    provides.sort();
    vec![
        (0, requires),
        (1, provides),
        (3, split(&contents.conflicts)),
        (2, split(&contents.obsoletes)),
        (4, split(&contents.suggests)),
        (5, split(&contents.enhances)),
        (6, split(&contents.supplements)),
        (7, split(&contents.recommends)),
    ]
}

pub(super) fn rpm_deps(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("rpmID");
    let wanted = call.arguments.get("depType").as_i64();
    let Some(rpm) = call.find_rpm(info)? else {
        return if call.arguments.truth("strict") {
            Err(Fault::generic(format!("No such rpm: {}", repr(info))))
        } else {
            Ok(json!([]))
        };
    };
    let Some(contents) = answers::contents_of(call.engine, rpm) else { return Ok(json!([])) };
    Ok(dependencies(&contents)
        .into_iter()
        .filter(|(kind, _)| wanted.is_none_or(|wanted| wanted == *kind))
        .flat_map(|(kind, list)| {
            list.into_iter().map(move |(name, flags, version)| {
                json!({"name": name, "version": version, "flags": flags, "type": kind})
            })
        })
        .collect())
}

pub(super) fn rpm_headers(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("rpmID");
    let wanted = texts(call.arguments.get("headers")).unwrap_or_default();
    if info.is_null() {
        return Ok(json!({}));
    }
    let Some(rpm) = call.find_rpm(info)? else {
        return if call.arguments.truth("strict") {
            Err(Fault::generic(format!("No such rpm: {}", repr(info))))
        } else {
            Ok(json!({}))
        };
    };
    let Some(contents) = answers::contents_of(call.engine, rpm) else { return Ok(json!({})) };
    let arches = content::arch_headers(&call.engine.world, &contents.name);
    let is_source = contents.arch == "src";
    let requires: Vec<Dependency> = dependencies(&contents)
        .into_iter()
        .find(|(kind, _)| *kind == 0)
        .map(|(_, list)| list)
        .unwrap_or_default();
    let mut known: BTreeMap<&str, Value> = BTreeMap::new();
    known.insert("NAME", json!(contents.name));
    known.insert("VERSION", json!(contents.version));
    known.insert("RELEASE", json!(contents.release));
    known.insert("EPOCH", json!(contents.epoch));
    known.insert("ARCH", json!(if is_source { "x86_64" } else { &contents.arch }));
    known.insert("SUMMARY", json!(contents.summary));
    known.insert("DESCRIPTION", json!(contents.summary));
    known.insert("SIZE", json!(crate::buildroot::file_size(&contents)));
    known.insert("SOURCERPM", json!(contents.source_rpm));
    known.insert("BUILDARCHS", json!(if is_source { arches.build_archs } else { Vec::new() }));
    known
        .insert("EXCLUSIVEARCH", json!(if is_source { arches.exclusive_arch } else { Vec::new() }));
    known.insert("EXCLUDEARCH", json!(if is_source { arches.exclude_arch } else { Vec::new() }));
    known.insert("REQUIRENAME", requires.iter().map(|(name, _, _)| json!(name)).collect());
    known.insert("REQUIREFLAGS", requires.iter().map(|(_, flags, _)| json!(flags)).collect());
    known.insert("REQUIREVERSION", requires.iter().map(|(_, _, version)| json!(version)).collect());
    let mut answer = Map::new();
    for name in wanted {
        match known.get(name.to_uppercase().as_str()) {
            Some(value) => answer.insert(name, value.clone()),
            None => return Err(Fault::generic(format!("No such rpm header field: {name}"))),
        };
    }
    Ok(Value::Object(answer))
}

// ---------------------------------------------------------------- repos

pub(super) fn get_repo(call: &mut Call<'_>) -> Answer {
    let event = call.event()?;
    let tag = call.tag_entry(call.arguments.get("tag"))?;
    if call.arguments.truth("dist") {
        return Ok(Value::Null);
    }
    let state = call.arguments.get("state").as_i64().unwrap_or(crate::engine::repo_state::READY);
    let least = call.arguments.get("min_event").as_i64().unwrap_or(0);
    let repo = call
        .engine
        .store
        .repos
        .all()
        .filter(|repo| repo.tag == tag && repo.state == state && repo.create_event >= least)
        .filter(|repo| event.is_none_or(|at| repo.create_event <= at))
        .max_by_key(|repo| repo.create_event)
        .map(|repo| repo.id);
    Ok(repo.map_or(Value::Null, |repo| answers::repo_info(call.engine, repo)))
}

pub(super) fn repo_get(call: &mut Call<'_>) -> Answer {
    let tag = call.tag_entry(call.arguments.get("tag"))?;
    let least = call.arguments.get("min_event").as_i64().unwrap_or(0);
    let repo = call
        .engine
        .newest_repo(tag, crate::engine::repo_state::READY)
        .filter(|repo| repo.create_event >= least)
        .map(|repo| repo.id);
    Ok(repo.map_or(Value::Null, |repo| answers::repo_info(call.engine, repo)))
}

pub(super) fn get_repo_info(call: &mut Call<'_>) -> Answer {
    let id = call.arguments.integer("repo_id")?;
    let answer = answers::repo_info(call.engine, id);
    if answer.is_null() && call.arguments.truth("strict") {
        return Err(Fault::generic(format!("No such repo: {id}")));
    }
    Ok(answer)
}

// ---------------------------------------------------------------- hosts

pub(super) fn list_hosts(call: &mut Call<'_>) -> Answer {
    let arches = match call.arguments.get("arches") {
        Value::Null => None,
        value => {
            let arches = texts(value).unwrap_or_default();
            if arches.is_empty() {
                return Err(Fault::generic("arches option cannot be empty"));
            }
            Some(arches)
        }
    };
    let channel = match call.arguments.get("channelID") {
        Value::String(name) => Some(call.engine.channel_id(name)),
        value => value.as_i64(),
    };
    let flag = |name: &str| match call.arguments.get(name) {
        Value::Null => None,
        value => Some(truth(value)),
    };
    let (ready, enabled) = (flag("ready"), flag("enabled"));
    let user = call.arguments.get("userID").as_i64();
    let mut hosts: Vec<&crate::rows::Host> = call
        .engine
        .store
        .hosts
        .all()
        .filter(|host| {
            arches.as_ref().is_none_or(|arches| {
                host.arches
                    .split_whitespace()
                    .any(|arch| arches.iter().any(|wanted| wanted == arch))
            }) && channel.is_none_or(|channel| host.channels.contains(&channel))
                && ready.is_none_or(|ready| host.ready == ready)
                && enabled.is_none_or(|enabled| host.enabled == enabled)
                && user.is_none_or(|user| host.user == user)
        })
        .collect();
    // The real hub promises no order.
    hosts.sort_by_key(|host| (host.id % 2 == 1, host.id));
    Ok(hosts.into_iter().map(|host| answers::host(call.engine, host)).collect())
}

pub(super) fn get_host(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("hostInfo");
    let host =
        call.engine.store.hosts.find(|host| {
            info.as_i64() == Some(host.id) || info.as_str() == Some(host.name.as_str())
        });
    match host {
        Some(host) => {
            let mut answer = answers::host(call.engine, host);
            if let Value::Object(members) = &mut answer {
                members.remove("update_ts");
            }
            Ok(answer)
        }
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("Invalid hostInfo: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

fn channel_struct(channel: &crate::rows::Channel) -> Value {
    json!({"id": channel.id, "name": channel.name, "description": null, "comment": null, "enabled": true})
}

pub(super) fn get_channel(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("channelInfo");
    let channel = call.engine.store.channels.find(|channel| {
        info.as_i64() == Some(channel.id) || info.as_str() == Some(channel.name.as_str())
    });
    match channel {
        Some(channel) => Ok(channel_struct(channel)),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("Invalid channel: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

pub(super) fn list_channels(call: &mut Call<'_>) -> Answer {
    let host = call.arguments.get("hostID").as_i64().and_then(|id| call.engine.store.hosts.get(id));
    Ok(call
        .engine
        .store
        .channels
        .all()
        .filter(|channel| host.is_none_or(|host| host.channels.contains(&channel.id)))
        .map(channel_struct)
        .collect())
}

// ---------------------------------------------------------------- history

/// Only the history of tagging is kept.
pub(super) fn query_history(call: &mut Call<'_>) -> Answer {
    let tag = match call.arguments.get("tag") {
        Value::Null => None,
        info => Some(call.tag_info(info)?),
    };
    let package = call.wanted_package();
    let engine = &call.engine;
    let mut rows: Vec<Value> = Vec::new();
    for row in engine.store.taggings.all().filter(|row| tag.is_none_or(|tag| row.tag == tag)) {
        let Some(build) =
            engine.store.builds.get(row.build).filter(|build| build.state == build_state::COMPLETE)
        else {
            continue;
        };
        if package.is_some_and(|package| build.package != package) {
            continue;
        }
        rows.push(json!({
            "active": row.revoke_event.is_none(),
            "build.state": build.state,
            "build_id": build.id,
            "create_event": row.create_event,
            "create_ts": engine.event_ts(row.create_event),
            "creator_id": row.creator,
            "creator_name": engine.user_name(row.creator),
            "epoch": build.epoch,
            "name": build.name,
            "version": build.version,
            "release": build.release,
            "revoke_event": row.revoke_event,
            "revoke_ts": row.revoke_event.map(|event| engine.event_ts(event)),
            "revoker_id": null,
            "revoker_name": null,
            "tag.name": engine.store.tags.get(row.tag).map(|tag| tag.name.clone()),
            "tag_id": row.tag,
        }));
    }
    Ok(json!({"tag_listing": rows}))
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns_are_those_of_a_shell() {
        assert!(glob("buyan*", "buyan2-build"));
        assert!(glob("*-build", "buyan2-build"));
        assert!(glob("buyan?", "buyan2"));
        assert!(!glob("buyan?", "buyan2-build"));
        assert!(glob("*", ""));
    }
}
