//! Methods that only ask: users, events, repos, hosts, history, and the hub itself.

use serde_json::{Value, json};

use super::answers::{self, extended};
use super::arguments::{Answer, Fault, repr, truth};
use super::builds::texts;
use super::{Call, table};
use crate::engine::build_state;
use crate::rows::User;

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

pub(super) fn user_struct(user: &User) -> Value {
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
    pub(super) fn user_named(&self, info: &Value) -> Option<&User> {
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
