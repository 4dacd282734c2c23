//! `/add-packages`: packages that Koschei is to take care of from now on.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use koschei_db::forms as db_forms;
use koschei_db::pages::{self as db, CollectionRow, GroupChoice};

use crate::error::Error;
use crate::forms::{self, Form, few, visitor_of};
use crate::request::{Ask, unknown_collection};
use crate::site::{Frame, Section, SharedSite, Site, Tabs};
use crate::text;

/// What stands in the fields.
#[derive(Default)]
struct Values {
    packages: String,
    collection: String,
    group: String,
    next: String,
}

#[derive(Template)]
#[template(path = "add_packages.html")]
struct Page<'a> {
    frame: &'a Frame,
    collections: &'a [CollectionRow],
    groups: Vec<GroupChoice>,
    values: Values,
    mistakes: Vec<String>,
}

async fn page(
    site: &Site,
    ask: &Ask,
    values: Values,
    mistakes: Vec<String>,
) -> Result<Response, Error> {
    let visitor = visitor_of(site, ask)?;
    let selection = site.selection(&Ask::default()).await?;
    let (mut frame, groups) = tokio::try_join!(
        site.frame(ask, &selection, Section::Packages, "Add packages".to_owned(), Tabs::Elsewhere),
        async { Ok(db::editable_groups(&site.pool, visitor.id, visitor.admin).await?) },
    )?;
    frame.live = None;
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let page = Page { frame: &frame, collections: &selection.all, groups, values, mistakes };
    Ok((status, super::page(&page)?).into_response())
}

/// The form.
pub(crate) async fn show(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    visitor_of(&site, &ask)?;
    let value = |name: &str| ask.value(name).unwrap_or_default().to_owned();
    let values = Values {
        packages: value("packages"),
        collection: value("collection"),
        group: value("group"),
        next: value("next"),
    };
    page(&site, &ask, values, Vec::new()).await
}

/// Does what the form says.
pub(crate) async fn add(
    State(site): State<SharedSite>,
    ask: Ask,
    form: Form,
) -> Result<Response, Error> {
    let visitor = &form.visitor;
    let collections = db::collections(&site.pool).await?;
    let name = form.text("collection");
    let mut mistakes = Vec::new();
    let names = match forms::names(form.text("packages")) {
        Ok(names) if names.is_empty() => {
            mistakes.push("Name at least one package.".to_owned());
            names
        }
        Ok(names) => names,
        Err(wrong) => {
            mistakes.push(format!("No package can be called {}.", few(&wrong)));
            Vec::new()
        }
    };
    if name.is_empty() {
        mistakes.push("Choose a collection.".to_owned());
    } else if !collections.iter().any(|one| one.name == name) {
        return Err(unknown_collection(name));
    }
    let group = match form.text("group") {
        "" => None,
        group => {
            let (namespace, short) = match group.split_once('/') {
                Some((namespace, short)) => (Some(namespace), short),
                None => (None, group),
            };
            let known = db::group(&site.pool, namespace, short).await?.ok_or_else(|| {
                Error::not_found(
                    format!("No group is called {group}"),
                    "Nothing was changed. Choose one of the groups in the form.",
                )
            })?;
            if !super::groups::may_edit(visitor, &known) {
                mistakes.push(format!(
                    "The group {group} is not yours: only its owners and administrators change what is in it."
                ));
            }
            Some(known.id)
        }
    };
    if mistakes.is_empty() {
        let mut connection = site.pool.acquire().await.map_err(koschei_db::Error::from)?;
        let done =
            db_forms::add_packages(&mut connection, &form.actor(), name, &names, group).await;
        match done {
            Ok(tracked) => {
                let said = match tracked.len() {
                    0 => "All of them were tracked already.".to_owned(),
                    1 => format!("{} is tracked now.", few(&tracked)),
                    _ => format!(
                        "{} are tracked now: {}.",
                        text::plural(tracked.len() as i64, "package"),
                        few(&tracked)
                    ),
                };
                let next = format!("/packages{}", crate::address::query(&[("collection", name)]));
                return Ok(form.done(&site, form.next(&next), &said));
            }
            Err(error) => mistakes.push(forms::mistake(error)?),
        }
    }
    let value = |name: &str| form.value(name).unwrap_or_default().to_owned();
    let values = Values {
        packages: value("packages"),
        collection: value("collection"),
        group: value("group"),
        next: value("next"),
    };
    page(&site, &ask, values, mistakes).await
}
