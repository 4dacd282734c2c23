//! The pages that links of Koschei lead to: one task, one build. Plain HTML for a person who wants to see more.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::builders::work_directory;
use crate::engine::Engine;
use crate::hub::time_text;
use crate::rows::{Outcome, Task};
use crate::sim::Shared;

/// Text that means itself in HTML.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

fn page(title: &str, body: &str) -> Html<String> {
    let title = escaped(title);
    Html(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}\
         td{{padding:0 1em 0 0;vertical-align:top}}</style></head>\n<body><h1>{title}</h1>\n{body}\n\
         <p>This is a simulated Koji. <a href=\"/koji\">Recent tasks</a></p></body></html>\n"
    ))
}

fn missing(what: &str) -> Response {
    (StatusCode::NOT_FOUND, page(what, "<p>There is none with this number.</p>")).into_response()
}

fn state_word(state: i64) -> &'static str {
    ["free", "open", "closed", "canceled", "assigned", "failed"]
        .get(usize::try_from(state).unwrap_or(usize::MAX))
        .copied()
        .unwrap_or("unknown")
}

fn row(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "<tr><td>{name}</td><td>{value}</td></tr>");
}

fn task_link(task: &Task) -> String {
    let label = task.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
    format!(
        "<a href=\"/koji/taskinfo?taskID={0}\">{0}</a> {1}{2}: {3}",
        task.id,
        escaped(&task.method),
        escaped(&label),
        state_word(task.state)
    )
}

fn number(query: &HashMap<String, String>, name: &str) -> Option<i64> {
    query.get(name)?.parse().ok()
}

pub(crate) async fn overview(State(shared): State<Arc<Shared>>) -> Response {
    shared
        .with_engine(|engine| {
            let mut body = String::from("<ul>\n");
            for task in engine.store.tasks.all().rev().filter(|task| task.parent.is_none()).take(50)
            {
                let _ = writeln!(
                    body,
                    "<li>{} {}</li>",
                    task_link(task),
                    escaped(&subject(engine, task))
                );
            }
            body.push_str("</ul>");
            page("Recent tasks", &body)
        })
        .into_response()
}

fn subject(engine: &Engine, task: &Task) -> String {
    if let Some(build) = task.notes.build.and_then(|build| engine.store.builds.get(build)) {
        return build.nvr();
    }
    let source = task
        .request
        .get(0)
        .and_then(|source| source.as_str().or_else(|| source.get("name")?.as_str()));
    source.map(|source| source.rsplit('/').next().unwrap_or(source).to_owned()).unwrap_or_default()
}

pub(crate) async fn task(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let id = number(&query, "taskID").unwrap_or(0);
    shared.with_engine(|engine| {
        let Some(task) = engine.store.tasks.get(id) else { return missing("No such task") };
        let mut body = String::from("<table>\n");
        row(&mut body, "Method", &escaped(&task.method));
        row(&mut body, "Subject", &escaped(&subject(engine, task)));
        row(&mut body, "State", state_word(task.state));
        row(&mut body, "Arch", &escaped(&task.arch));
        row(&mut body, "Owner", &escaped(&engine.user_name(task.owner)));
        row(&mut body, "Created", &time_text(task.create_ts));
        if let Some(ts) = task.start_ts {
            row(&mut body, "Started", &time_text(ts));
        }
        if let Some(ts) = task.completion_ts {
            row(&mut body, "Finished", &time_text(ts));
        }
        if let Some(host) = task.host.and_then(|host| engine.store.hosts.get(host)) {
            row(&mut body, "Host", &escaped(&host.name));
        }
        if let Some(parent) = task.parent.and_then(|parent| engine.store.tasks.get(parent)) {
            row(&mut body, "Parent", &task_link(parent));
        }
        if let Some(build) = task.notes.build.and_then(|build| engine.store.builds.get(build)) {
            let link = format!(
                "<a href=\"/koji/buildinfo?buildID={}\">{}</a>",
                build.id,
                escaped(&build.nvr())
            );
            row(&mut body, "Build", &link);
        }
        if let Some(Outcome::Failed(_, text)) = &task.result {
            row(&mut body, "Result", &format!("<pre>{}</pre>", escaped(text)));
        }
        row(&mut body, "Request", &format!("<code>{}</code>", escaped(&task.request.to_string())));
        body.push_str("</table>\n<ul>\n");
        for child in task.children.iter().filter_map(|child| engine.store.tasks.get(*child)) {
            let _ = writeln!(body, "<li>{}</li>", task_link(child));
        }
        for name in task.notes.files.keys().filter(|name| name.ends_with(".log")) {
            let name = escaped(name);
            let directory = work_directory(task.id);
            let _ = writeln!(
                body,
                "<li><a href=\"/kojifiles/work/{directory}/{name}\">{name}</a></li>"
            );
        }
        body.push_str("</ul>");
        page(&format!("Task {id}"), &body).into_response()
    })
}

pub(crate) async fn build(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let id = number(&query, "buildID").unwrap_or(0);
    shared.with_engine(|engine| {
        let Some(build) = engine.store.builds.get(id) else { return missing("No such build") };
        let words = ["building", "complete", "deleted", "failed", "canceled"];
        let state = usize::try_from(build.state).ok().and_then(|state| words.get(state)).copied();
        let mut body = String::from("<table>\n");
        row(&mut body, "State", state.unwrap_or("unknown"));
        row(&mut body, "Built by", &escaped(&engine.user_name(build.owner)));
        row(&mut body, "Started", &time_text(build.start_ts));
        if let Some(ts) = build.completion_ts {
            row(&mut body, "Finished", &time_text(ts));
        }
        if let Some(source) = &build.source {
            row(&mut body, "Source", &escaped(source));
        }
        if let Some(task) = build.task.and_then(|task| engine.store.tasks.get(task)) {
            row(&mut body, "Task", &task_link(task));
        }
        body.push_str("</table>\n<ul>\n");
        for rpm in engine.store.rpms.all().filter(|rpm| rpm.build == id) {
            let _ = writeln!(
                body,
                "<li>{}-{}-{}.{}.rpm</li>",
                escaped(&rpm.name),
                escaped(&build.version),
                escaped(&build.release),
                escaped(&rpm.arch)
            );
        }
        body.push_str("</ul>");
        page(&build.nvr(), &body).into_response()
    })
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"1\">&'"), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;");
    }
}
