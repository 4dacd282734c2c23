//! The structs that methods answer with, member for member as the real hub (koji 1.35) sends them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::content::{self, Built};
use crate::engine::Engine;
use crate::rows::{Build, Host, Listing, Rpm, Tag, Tagging, Target, Task};

/// `2026-11-22 12:35:01.361203+00:00`; the fraction is missing when it is zero.
pub(crate) fn time_text(ts: f64) -> String {
    let micros = (ts * 1e6).round() as i64;
    let time: DateTime<Utc> = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    if micros % 1_000_000 == 0 {
        time.format("%Y-%m-%d %H:%M:%S+00:00").to_string()
    } else {
        time.format("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()
    }
}

fn time_or_nil(ts: Option<f64>) -> Value {
    ts.map_or(Value::Null, |ts| json!(time_text(ts)))
}

/// Puts the members of one struct into another.
pub(super) fn extended(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

pub(super) fn task(task: &Task, with_request: bool) -> Value {
    let mut answer = json!({
        "id": task.id,
        "state": task.state,
        "method": task.method,
        "arch": task.arch,
        "owner": task.owner,
        "parent": task.parent,
        "label": task.label,
        "channel_id": task.channel,
        "host_id": task.host,
        "priority": task.priority,
        "weight": task.weight,
        "waiting": task.waiting,
        "awaited": task.awaited,
        "create_time": time_text(task.create_ts),
        "create_ts": task.create_ts,
        "start_time": time_or_nil(task.start_ts),
        "start_ts": task.start_ts,
        "completion_time": time_or_nil(task.completion_ts),
        "completion_ts": task.completion_ts,
    });
    if with_request {
        answer["request"] = task.request.clone();
    }
    answer
}

fn build_base(engine: &Engine, build: &Build) -> Value {
    json!({
        "build_id": build.id,
        "package_id": build.package,
        "package_name": build.name,
        "name": build.name,
        "version": build.version,
        "release": build.release,
        "epoch": build.epoch,
        "nvr": build.nvr(),
        "state": build.state,
        "task_id": build.task,
        "owner_id": build.owner,
        "owner_name": engine.user_name(build.owner),
        "creation_event_id": build.create_event,
        "creation_time": time_text(build.creation_ts),
        "start_time": time_text(build.start_ts),
        "completion_time": time_or_nil(build.completion_ts),
        "volume_id": 0,
        "volume_name": "DEFAULT",
        "draft": false,
        "promoter_id": null,
        "promoter_name": null,
        "promotion_time": null,
    })
}

/// An entry of listTagged.
pub(super) fn tagged_build(engine: &Engine, tagging: &Tagging, build: &Build) -> Value {
    let tag_name = engine.store.tags.get(tagging.tag).map(|tag| tag.name.clone());
    extended(
        build_base(engine, build),
        json!({
            "id": build.id,
            "tag_id": tagging.tag,
            "tag_name": tag_name,
            "create_event": tagging.create_event,
        }),
    )
}

/// An entry of listBuilds.
pub(super) fn listed_build(engine: &Engine, build: &Build) -> Value {
    extended(
        build_base(engine, build),
        json!({
            "creation_ts": build.creation_ts,
            "start_ts": build.start_ts,
            "completion_ts": build.completion_ts,
            "promotion_ts": null,
            "source": build.source,
            "extra": build.source.as_ref().map(|source| json!({"source": {"original_url": source}})),
        }),
    )
}

/// What getBuild answers.
pub(super) fn build(engine: &Engine, build: &Build) -> Value {
    extended(listed_build(engine, build), json!({"id": build.id, "cg_id": null, "cg_name": null}))
}

pub(super) fn rpm(engine: &Engine, rpm: &Rpm) -> Value {
    let Some(build) = engine.store.builds.get(rpm.build) else { return Value::Null };
    let contents = contents_of(engine, rpm);
    let size = contents.as_ref().map_or(0, crate::buildroot::file_size);
    let hash =
        rpm::md::Checksum::sha256(format!("{}{}{}", rpm.id, rpm.name, rpm.arch).as_bytes()).value;
    json!({
        "id": rpm.id,
        "name": rpm.name,
        "version": build.version,
        "release": build.release,
        "nvr": format!("{}-{}-{}", rpm.name, build.version, build.release),
        "arch": rpm.arch,
        "epoch": build.epoch,
        "build_id": build.id,
        "buildroot_id": rpm.buildroot,
        "size": size,
        "buildtime": build.completion_ts.unwrap_or(build.start_ts) as i64,
        "payloadhash": hash.get(..32).unwrap_or(&hash),
        "external_repo_id": 0,
        "external_repo_name": "INTERNAL",
        "metadata_only": false,
        "draft": false,
        "extra": null,
    })
}

/// What is inside an RPM of a finished build.
pub(super) fn contents_of(engine: &Engine, rpm: &Rpm) -> Option<content::Rpm> {
    let build = engine.store.builds.get(rpm.build)?;
    let revision = engine.store.revisions.get(build.revision)?;
    let built = Built { revision, release: &build.release, abis: &build.abis };
    if rpm.arch == "src" {
        Some(content::source(&engine.world, built))
    } else {
        content::binary(&engine.world, built, &rpm.name, &rpm.arch)
    }
}

pub(super) fn listing(engine: &Engine, listing: &Listing) -> Value {
    json!({
        "package_id": listing.package,
        "package_name": engine.store.packages.get(listing.package).map(|package| package.name.clone()),
        "tag_id": listing.tag,
        "tag_name": engine.store.tags.get(listing.tag).map(|tag| tag.name.clone()),
        "owner_id": listing.owner,
        "owner_name": engine.user_name(listing.owner),
        "extra_arches": null,
        "blocked": listing.blocked,
    })
}

pub(super) fn tag(tag: &Tag) -> Value {
    let extra: Map<String, Value> = tag.extra.clone().into_iter().collect();
    json!({
        "id": tag.id,
        "name": tag.name,
        "arches": tag.arches.clone().unwrap_or_default(),
        "extra": extra,
        "locked": false,
        "perm": null,
        "perm_id": null,
        "maven_support": false,
        "maven_include_all": false,
    })
}

pub(super) fn target(engine: &Engine, target: &Target) -> Value {
    let name = |tag: i64| engine.store.tags.get(tag).map(|tag| tag.name.clone());
    json!({
        "id": target.id,
        "name": target.name,
        "build_tag": target.build_tag,
        "build_tag_name": name(target.build_tag),
        "dest_tag": target.dest_tag,
        "dest_tag_name": name(target.dest_tag),
    })
}

/// What repoInfo and getRepo answer; nil if there is no such repo.
pub(crate) fn repo_info(engine: &Engine, id: i64) -> Value {
    let Some(repo) = engine.store.repos.get(id) else { return Value::Null };
    let end_event = engine.end_event(repo);
    let task_state = repo.task.and_then(|task| engine.store.tasks.get(task)).map(|task| task.state);
    json!({
        "id": repo.id,
        "tag_id": repo.tag,
        "tag_name": engine.store.tags.get(repo.tag).map(|tag| tag.name.clone()),
        "state": repo.state,
        "create_event": repo.create_event,
        "create_ts": engine.event_ts(repo.create_event),
        "creation_time": time_text(repo.creation_ts),
        "creation_ts": repo.creation_ts,
        "state_time": time_text(repo.state_ts),
        "state_ts": repo.state_ts,
        "begin_event": repo.begin_event,
        "begin_ts": engine.event_ts(repo.begin_event),
        "end_event": end_event,
        "end_ts": end_event.map(|event| engine.event_ts(event)),
        "dist": false,
        "task_id": repo.task,
        "task_state": task_state,
        "opts": {"src": false, "maven": false, "debuginfo": false, "separate_src": false},
        "custom_opts": {},
    })
}

pub(super) fn host(engine: &Engine, host: &Host) -> Value {
    json!({
        "id": host.id,
        "name": host.name,
        "user_id": host.user,
        "arches": host.arches,
        "capacity": host.capacity,
        "task_load": engine.host_load(host.id),
        "ready": host.ready,
        "enabled": host.enabled,
        "update_ts": if host.ready { json!(crate::engine::microseconds(engine.now)) } else { Value::Null },
        "description": null,
        "comment": null,
    })
}

pub(super) fn group(group: &crate::rows::Group, with_blocked: bool) -> Value {
    let packages: Vec<Value> = group
        .packages
        .iter()
        .filter(|entry| with_blocked || !entry.blocked)
        .map(|entry| {
            json!({
                "package": entry.package,
                "type": entry.kind,
                "blocked": entry.blocked,
                "tag_id": group.tag,
                "group_id": group.id,
                "basearchonly": null,
                "requires": null,
            })
        })
        .collect();
    json!({
        "name": group.name,
        "display_name": group.name,
        "group_id": group.id,
        "tag_id": group.tag,
        "description": null,
        "exported": true,
        "uservisible": true,
        "is_default": null,
        "biarchonly": false,
        "langonly": null,
        "blocked": false,
        "packagelist": packages,
        "grouplist": [],
    })
}

#[cfg(test)]
mod tests {
    use super::time_text;

    #[test]
    fn times_are_written_as_by_the_real_hub() {
        // From the captures: creation_ts and creation_time of a repo.
        assert_eq!(time_text(1795352295.028571), "2026-11-22 12:58:15.028571+00:00");
        assert_eq!(time_text(1795350656.72), "2026-11-22 12:30:56.720000+00:00");
        assert_eq!(time_text(1795350656.0), "2026-11-22 12:30:56+00:00");
    }
}
