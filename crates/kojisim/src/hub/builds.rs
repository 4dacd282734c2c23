//! Methods that ask about builds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Call;
use super::answers;
use super::arguments::{Answer, Fault, repr};
use super::tags::glob;
use crate::rows::Build;

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
pub(super) fn limited<T>(query: &Value, mut rows: Vec<T>) -> Vec<T> {
    if query.get("order").and_then(Value::as_str).is_some_and(|order| order.starts_with('-')) {
        rows.reverse();
    }
    let number = |name: &str| query.get(name).and_then(Value::as_u64).map(|number| number as usize);
    let limit = number("limit").unwrap_or(usize::MAX);
    rows.into_iter().skip(number("offset").unwrap_or(0)).take(limit).collect()
}

impl Call<'_> {
    /// The package that a call asks for; `Some(0)` (no package) if it names an unknown one.
    pub(super) fn wanted_package(&self) -> Option<i64> {
        match self.arguments.get("package") {
            Value::Null => None,
            info => Some(self.package_id(info).unwrap_or(0)),
        }
    }

    pub(super) fn wanted_owner(&self) -> Option<i64> {
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
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => {
            Some(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => None,
    }
}
