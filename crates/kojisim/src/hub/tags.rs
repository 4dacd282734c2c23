//! Methods that ask about tags, targets, groups and package lists.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Call;
use super::answers::{self, extended};
use super::arguments::{Answer, Fault, repr};
use crate::engine::Engine;
use crate::rows::{Build, Tag};

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

    pub(super) fn event(&self) -> Result<Option<i64>, Fault> {
        match self.arguments.get("event") {
            Value::Null => Ok(None),
            Value::Number(number) if number.is_i64() => Ok(number.as_i64()),
            other => Err(Fault::generic(format!("Invalid event: {}", repr(other)))),
        }
    }

    /// The tag of a call that may ask for the past; it must have existed then.
    pub(super) fn tag_at(&self, name: &str, event: Option<i64>) -> Result<i64, Fault> {
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

    pub(super) fn package_id(&self, info: &Value) -> Option<i64> {
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
pub(super) fn glob(pattern: &str, name: &str) -> bool {
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
    let event = call.event()?;
    let tag = call.tag_entry(call.arguments.get("tag"))?;
    let with_blocked = call.arguments.truth("incl_blocked");
    let inherit = !call.arguments.has("inherit") || call.arguments.truth("inherit");
    let mut groups = call.engine.groups_of(tag, event);
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
