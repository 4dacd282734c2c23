//! Methods about tasks: asking, submitting, cancelling.

use serde_json::{Value, json};

use super::Call;
use super::answers::{self, extended};
use super::arguments::{Answer, Fault, repr, truth, wrong_type};
use crate::rows::{Outcome, Task};

impl Call<'_> {
    fn task_of(&self, id: &Value) -> Result<Option<&Task>, Fault> {
        let id = id.as_i64().ok_or_else(|| wrong_type(id, "int"))?;
        Ok(self.engine.store.tasks.get(id))
    }
}

pub(super) fn task_info(call: &mut Call<'_>) -> Answer {
    let (request, strict) = (call.arguments.truth("request"), call.arguments.truth("strict"));
    let one = |id: &Value| -> Answer {
        match call.task_of(id)? {
            Some(task) => Ok(answers::task(task, request)),
            None if strict => Err(Fault::generic("query returned no rows")),
            None => Ok(Value::Null),
        }
    };
    match call.arguments.get("task_id") {
        Value::Array(ids) => ids.iter().map(one).collect::<Result<Vec<_>, _>>().map(Value::Array),
        id => one(id),
    }
}

pub(super) fn task_children(call: &mut Call<'_>) -> Answer {
    let request = call.arguments.truth("request");
    let Some(task) = call.task_of(call.arguments.get("task_id"))? else {
        return if call.arguments.truth("strict") {
            Err(Fault::generic(format!("No such task: {}", repr(call.arguments.get("task_id")))))
        } else {
            Ok(json!([]))
        };
    };
    // The real hub promises no order; a fixed odd one keeps clients honest.
    let mut children: Vec<i64> = task.children.clone();
    children.sort_by_key(|id| (id % 2 == 1, *id));
    Ok(children
        .into_iter()
        .filter_map(|id| call.engine.store.tasks.get(id))
        .map(|child| answers::task(child, request))
        .collect())
}

pub(super) fn task_descendents(call: &mut Call<'_>) -> Answer {
    let request = call.arguments.truth("request");
    let root = call.arguments.integer("task_id")?;
    let mut answer = serde_json::Map::new();
    let mut waiting = vec![root];
    while let Some(id) = waiting.pop() {
        let Some(task) = call.engine.store.tasks.get(id) else { continue };
        waiting.extend(&task.children);
        let children: Vec<Value> = task
            .children
            .iter()
            .filter_map(|id| call.engine.store.tasks.get(*id))
            .map(|child| answers::task(child, request))
            .collect();
        answer.insert(id.to_string(), Value::Array(children));
    }
    Ok(Value::Object(answer))
}

pub(super) fn task_result(call: &mut Call<'_>) -> Answer {
    let raise = !call.arguments.has("raise_fault") || call.arguments.truth("raise_fault");
    let Some(task) = call.task_of(call.arguments.get("taskId"))? else {
        return Err(Fault::generic("No such task"));
    };
    match &task.result {
        Some(Outcome::Closed(value)) => Ok(value.clone()),
        Some(Outcome::Failed(code, text)) if raise => Err(Fault::new(*code, text.clone())),
        Some(Outcome::Failed(code, text)) => Ok(json!({"faultCode": code, "faultString": text})),
        None if task.state == crate::engine::task_state::CANCELED => {
            Err(Fault::generic(format!("Task {} is canceled", task.id)))
        }
        None => Err(Fault::generic(format!("Task {} is not finished", task.id))),
    }
}

pub(super) fn task_request(call: &mut Call<'_>) -> Answer {
    match call.task_of(call.arguments.get("taskId"))? {
        Some(task) => Ok(task.request.clone()),
        None => Err(Fault::generic("query returned no rows")),
    }
}

pub(super) fn task_finished(call: &mut Call<'_>) -> Answer {
    match call.task_of(call.arguments.get("taskId"))? {
        Some(task) => Ok(json!(task.completion_ts.is_some())),
        None => Err(Fault::generic("query returned no rows")),
    }
}

pub(super) fn list_tasks(call: &mut Call<'_>) -> Answer {
    let opts = call.arguments.get("opts").clone();
    let query = call.arguments.get("queryOpts").clone();
    let numbers = |name: &str| -> Option<Vec<i64>> {
        match opts.get(name)? {
            Value::Null => None,
            Value::Array(values) => Some(values.iter().filter_map(Value::as_i64).collect()),
            value => value.as_i64().map(|value| vec![value]),
        }
    };
    let owners = match opts.get("owner") {
        Some(Value::String(name)) => Some(vec![call.engine.user_id(name)]),
        _ => numbers("owner"),
    };
    let states = numbers("state");
    let parents = numbers("parent");
    let hosts = numbers("host_id");
    let channels = numbers("channel_id");
    let method = opts.get("method").and_then(Value::as_str);
    let time = |name: &str| opts.get(name).and_then(Value::as_f64);
    let (created_after, created_before) = (time("createdAfter"), time("createdBefore"));
    let (completed_after, completed_before) = (time("completeAfter"), time("completeBefore"));
    let decode = opts.get("decode").is_some_and(truth);
    let among = |wanted: &Option<Vec<i64>>, value: Option<i64>| {
        wanted.as_ref().is_none_or(|wanted| value.is_some_and(|value| wanted.contains(&value)))
    };
    let mut found: Vec<&Task> = call
        .engine
        .store
        .tasks
        .all()
        .filter(|task| {
            among(&owners, Some(task.owner))
                && among(&states, Some(task.state))
                && among(&parents, task.parent)
                && among(&hosts, task.host)
                && among(&channels, Some(task.channel))
                && method.is_none_or(|method| task.method == method)
                && created_after.is_none_or(|ts| task.create_ts > ts)
                && created_before.is_none_or(|ts| task.create_ts < ts)
                && completed_after.is_none_or(|ts| task.completion_ts.is_some_and(|done| done > ts))
                && completed_before
                    .is_none_or(|ts| task.completion_ts.is_some_and(|done| done < ts))
        })
        .collect();
    if query.get("countOnly").is_some_and(truth) {
        return Ok(json!(found.len()));
    }
    match query.get("order").and_then(Value::as_str) {
        Some("-id" | "-create_time" | "-completion_time") => found.reverse(),
        Some(_) => {}
        // Unordered, as a database is.
        None => found.sort_by_key(|task| (task.id % 2 == 1, task.id)),
    }
    let number = |name: &str| query.get(name).and_then(Value::as_u64).map(|number| number as usize);
    let limit = number("limit").unwrap_or(usize::MAX);
    let answer = found.into_iter().skip(number("offset").unwrap_or(0)).take(limit).map(|task| {
        let owner = call.engine.store.users.get(task.owner);
        let mut answer = extended(
            answers::task(task, decode),
            json!({
                "owner_name": owner.map(|owner| owner.name.clone()),
                "owner_type": owner.map(|owner| owner.usertype),
            }),
        );
        if decode {
            answer["result"] = match &task.result {
                None => Value::Null,
                Some(Outcome::Closed(value)) => json!([value]),
                Some(Outcome::Failed(code, text)) => {
                    json!({"faultCode": code, "faultString": text})
                }
            };
        }
        answer
    });
    Ok(answer.collect())
}

pub(super) fn list_output(call: &mut Call<'_>) -> Answer {
    let (stat, volumes) = (call.arguments.truth("stat"), call.arguments.truth("all_volumes"));
    let id = call.arguments.integer("taskID")?;
    let Some(task) = call.engine.store.tasks.get(id) else {
        return Ok(if stat || volumes { json!({}) } else { json!([]) });
    };
    let files = &task.notes.files;
    if !stat && !volumes {
        return Ok(files.keys().map(|name| json!(name)).collect());
    }
    let mut answer = serde_json::Map::new();
    for (name, size) in files {
        let time = task.completion_ts.unwrap_or(task.create_ts);
        let info = json!({"st_size": size.to_string(), "st_atime": time, "st_mtime": time, "st_ctime": time});
        let value = match (stat, volumes) {
            (true, true) => json!({"DEFAULT": info}),
            (true, false) => info,
            _ => json!(["DEFAULT"]),
        };
        answer.insert(name.clone(), value);
    }
    Ok(Value::Object(answer))
}

pub(super) fn download_output(call: &mut Call<'_>) -> Answer {
    let id = call.arguments.integer("taskID")?;
    let name = call.arguments.text("fileName")?;
    let Some(task) =
        call.engine.store.tasks.get(id).filter(|task| task.notes.files.contains_key(name))
    else {
        return Err(Fault::generic(format!("no file \"{name}\" output by task {id}")));
    };
    let path =
        call.engine.topdir.join("work").join(crate::builders::work_directory(task.id)).join(name);
    let bytes = std::fs::read(path).unwrap_or_default();
    let offset = call.arguments.get("offset").as_i64().unwrap_or(0);
    let start = if offset < 0 {
        bytes.len().saturating_sub(offset.unsigned_abs() as usize)
    } else {
        offset as usize
    };
    let start = start.min(bytes.len());
    let size = call.arguments.get("size").as_i64().unwrap_or(-1);
    let end =
        if size < 0 { bytes.len() } else { bytes.len().min(start.saturating_add(size as usize)) };
    Ok(json!(base64(&bytes[start..end])))
}

/// Base64 in lines of 76 letters, as Python's encoder has it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for (index, chunk) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            text.push('\n');
        }
        let number = chunk.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(LETTERS[(number >> (18 - 6 * place) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    if !bytes.is_empty() {
        text.push('\n');
    }
    text
}

pub(super) fn build(call: &mut Call<'_>) -> Answer {
    let owner = call.user()?;
    let source = call.arguments.text("src")?.to_owned();
    let target = call.arguments.get("target").clone();
    if !matches!(target, Value::Null | Value::String(_)) {
        return Err(wrong_type(&target, "str"));
    }
    let opts = match call.arguments.get("opts") {
        Value::Null => json!({}),
        Value::Object(opts) => Value::Object(opts.clone()),
        other => return Err(wrong_type(other, "dict")),
    };
    let priority = call.arguments.get("priority").as_i64().unwrap_or(0);
    if priority < 0 && !call.has_permission("admin") {
        return Err(Fault::not_allowed("only admins may create high-priority tasks"));
    }
    Ok(json!(call.engine.build_task(&source, target, opts, owner, 20 + priority)))
}

impl Call<'_> {
    /// Whether the caller may cancel this task.
    fn assert_owner(&self, task: &Task) -> Result<(), Fault> {
        let owner = self.session.as_ref().is_some_and(|session| session.user == task.owner);
        if owner || self.has_permission("admin") {
            Ok(())
        } else {
            Err(Fault::not_allowed("Cannot cancel task, not owner"))
        }
    }
}

pub(super) fn cancel_task(call: &mut Call<'_>) -> Answer {
    let id = call.arguments.integer("task_id")?;
    let Some(task) = call.engine.store.tasks.get(id) else {
        return Err(Fault::generic(format!("No such task: {id}")));
    };
    call.assert_owner(task)?;
    call.engine.cancel(id);
    Ok(Value::Null)
}

pub(super) fn cancel_task_full(call: &mut Call<'_>) -> Answer {
    call.assert_permission("admin")?;
    let mut id = call.arguments.integer("task_id")?;
    while let Some(parent) = call.engine.store.tasks.get(id).and_then(|task| task.parent) {
        id = parent;
    }
    call.engine.cancel(id);
    Ok(Value::Null)
}

pub(super) fn cancel_build(call: &mut Call<'_>) -> Answer {
    let user = call.user()?;
    let id = call.engine.find_build(call.arguments.get("buildID")).map(|build| build.id);
    let Some(build) = id.and_then(|id| call.engine.store.builds.get(id)).cloned() else {
        return if call.arguments.truth("strict") {
            Err(Fault::generic(format!("No such build: {}", repr(call.arguments.get("buildID")))))
        } else {
            Ok(json!(false))
        };
    };
    if build.owner != user && !call.has_permission("admin") {
        return Err(Fault::not_allowed("Cannot cancel build, not owner"));
    }
    if build.state != crate::engine::build_state::BUILDING {
        return Ok(json!(false));
    }
    if let Some(task) = build.task {
        call.engine.cancel(task);
    }
    Ok(json!(true))
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==\n");
        assert_eq!(base64(b"fo"), "Zm8=\n");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy\n");
    }
}
