//! `/package/NAME/edit`: what people may change of a package in one collection.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use koschei_core::architectures::{override_as_typed, read_override};
use koschei_db::forms::{self as db_forms, PackageEdit};
use koschei_db::pages::{self as db, CollectionRow, GroupChoice, PackageRow};

use crate::error::Error;
use crate::forms::{self, Form, visitor_of};
use crate::login::Visitor;
use crate::parts::Name;
use crate::request::{Ask, unknown_collection};
use crate::site::{Frame, Section, SharedSite, Site, Tabs};

/// A group that the reader may change.
struct Membership {
    group: GroupChoice,
    /// Whether the package is in it.
    member: bool,
    /// Whether the box is checked.
    checked: bool,
}

/// What stands in the fields.
struct Values {
    tracked: bool,
    manual_priority: String,
    static_priority: String,
    arch_override: String,
    skip_resolution: bool,
    groups: Vec<Membership>,
}

#[derive(Template)]
#[template(path = "edit_package.html")]
struct Page<'a> {
    frame: &'a Frame,
    package: &'a PackageRow,
    collection: &'a CollectionRow,
    admin: bool,
    values: Values,
    arches: String,
    /// The priority from which on packages are built.
    threshold: String,
    mistakes: Vec<String>,
    back: String,
    action: String,
}

/// The package in a collection.
async fn find(site: &Site, name: &str, collection: &CollectionRow) -> Result<PackageRow, Error> {
    let rows = db::package(&site.pool, name).await?;
    rows.into_iter().find(|row| row.collection_id == collection.id).ok_or_else(|| {
        Error::not_found(
            format!("{name} is not in {}", collection.display_name),
            "Open the page of the package in a collection that has it.",
        )
    })
}

async fn memberships(
    site: &Site,
    visitor: &Visitor,
    package: &PackageRow,
) -> Result<Vec<Membership>, Error> {
    let ids = [package.base_id];
    let (groups, known) = tokio::try_join!(
        db::editable_groups(&site.pool, visitor.id, visitor.admin),
        db::package_groups(&site.pool, &ids),
    )?;
    Ok(groups
        .into_iter()
        .map(|group| {
            let member = known.iter().any(|one| {
                one.base_id == package.base_id
                    && one.namespace == group.namespace
                    && one.name == group.name
            });
            Membership { group, member, checked: member }
        })
        .collect())
}

async fn page(
    site: &Site,
    ask: &Ask,
    collection: CollectionRow,
    package: PackageRow,
    values: Values,
    mistakes: Vec<String>,
) -> Result<Response, Error> {
    let visitor = visitor_of(site, ask)?;
    let selection = site.selection(&Ask::default()).await?.only(collection.id);
    let title = format!("Edit {} in {}", package.name, collection.display_name);
    let mut frame = site.frame(ask, &selection, Section::Packages, title, Tabs::None).await?;
    frame.live = None;
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let page = Page {
        back: frame.addresses.package(&package.name, &collection.name),
        action: site
            .addresses
            .to(&format!("/package/{}/edit", crate::address::encode(&package.name))),
        admin: visitor.admin,
        threshold: crate::text::count(site.config.priorities.build_threshold as i64),
        arches: site.config.build_arches.join(", "),
        frame: &frame,
        package: &package,
        collection: &collection,
        values,
        mistakes,
    };
    Ok((status, super::page(&page)?).into_response())
}

/// The form.
pub(crate) async fn show(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let visitor = visitor_of(&site, &ask)?;
    let selection = site.selection(&ask).await?;
    let collection = selection.one().cloned().ok_or_else(|| {
        Error::not_found("There is no collection yet", "An administrator creates one first.")
    })?;
    let package = find(&site, &name, &collection).await?;
    let values = Values {
        tracked: package.tracked,
        manual_priority: package.manual_priority.to_string(),
        static_priority: package.static_priority.to_string(),
        arch_override: override_as_typed(package.arch_override.as_deref().unwrap_or_default()),
        skip_resolution: package.skip_resolution,
        groups: memberships(&site, visitor, &package).await?,
    };
    page(&site, &ask, collection, package, values, Vec::new()).await
}

/// A whole number; `None` when the field is not there.
fn priority(form: &Form, field: &str, label: &str, mistakes: &mut Vec<String>) -> Option<i32> {
    let text = form.value(field)?.trim();
    let number = text.replace('\u{2212}', "-").parse();
    number
        .inspect_err(|_| {
            mistakes.push(format!(
                "{label} has to be a whole number between {} and {}.",
                i32::MIN,
                i32::MAX
            ));
        })
        .ok()
}

/// Does what the form says.
pub(crate) async fn edit(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
    form: Form,
) -> Result<Response, Error> {
    let visitor = &form.visitor;
    let collections = db::collections(&site.pool).await?;
    let id = form.text("collection_id");
    if id.is_empty() {
        return Err(Error::bad_request(
            "The form does not say which collection it is about",
            "Open the page of the package, choose a collection there and then Edit.",
        ));
    }
    let collection = collections
        .into_iter()
        .find(|one| one.id.to_string() == id)
        .ok_or_else(|| unknown_collection(id))?;
    let package = find(&site, &name, &collection).await?;
    let mut mistakes = Vec::new();
    let manual_priority = priority(&form, "manual_priority", "The manual priority", &mut mistakes);
    let static_priority = priority(&form, "static_priority", "The static priority", &mut mistakes);
    if static_priority.is_some_and(|value| value != package.static_priority) && !visitor.admin {
        return Err(Error::Forbidden {
            title: "Only administrators set the static priority".to_owned(),
            advice: "Nothing was changed. Everybody may set the manual priority, which counts until the next build."
                .to_owned(),
        });
    }
    let mut groups = memberships(&site, visitor, &package).await?;
    let changes = group_changes(&form)?;
    for (id, member) in &changes {
        let Some(known) = groups.iter_mut().find(|one| one.group.id == *id) else {
            // The form offers administrators the global groups only, as there are too many others.
            if visitor.admin {
                continue;
            }
            return Err(Error::Forbidden {
                title: "This group is not yours".to_owned(),
                advice: "Nothing was changed. Only the owners of a group and administrators change what is in it."
                    .to_owned(),
            });
        };
        known.checked = *member;
    }
    let arch_override = form.value("arch_override").and_then(|text| {
        // What is there already may stay, whoever set it.
        let stored = package.arch_override.as_deref().unwrap_or_default();
        if text.trim() == override_as_typed(stored) {
            return None;
        }
        read_override(text, &site.config.build_arches).map_err(|error| mistakes.push(error)).ok()
    });
    let edit = PackageEdit {
        tracked: form.checked("tracked"),
        manual_priority,
        static_priority,
        arch_override,
        skip_resolution: form.checked("skip_resolution"),
        groups: changes,
    };
    if !mistakes.is_empty() {
        let text =
            |field: &str, otherwise: String| form.value(field).map_or(otherwise, str::to_owned);
        let values = Values {
            tracked: edit.tracked.unwrap_or(package.tracked),
            manual_priority: text("manual_priority", package.manual_priority.to_string()),
            static_priority: text("static_priority", package.static_priority.to_string()),
            arch_override: text(
                "arch_override",
                override_as_typed(package.arch_override.as_deref().unwrap_or_default()),
            ),
            skip_resolution: edit.skip_resolution.unwrap_or(package.skip_resolution),
            groups,
        };
        return page(&site, &ask, collection, package, values, mistakes).await;
    }
    let mut connection = site.pool.acquire().await.map_err(koschei_db::Error::from)?;
    let said = db_forms::edit_package(&mut connection, &form.actor(), package.id, &edit).await;
    let said = match said {
        Ok(said) => said,
        Err(error) => {
            return Err(Error::bad_request("Nothing was changed", forms::mistake(error)?));
        }
    };
    let said = match said.as_slice() {
        [] => "Nothing was different.".to_owned(),
        all => format!("{}.", all.join("; ")),
    };
    let next = format!(
        "/package/{}{}",
        crate::address::encode(&package.name),
        crate::address::query(&[("collection", &collection.name)])
    );
    Ok(form.done(&site, form.next(&next), &said))
}

/// The groups whose box differs from what it was when the form was opened.
fn group_changes(form: &Form) -> Result<Vec<(i32, bool)>, Error> {
    let mut changes = Vec::new();
    for (field, before) in form.fields() {
        let Some(id) = field.strip_prefix("group-prev-") else {
            continue;
        };
        let Ok(number) = id.parse::<i32>() else {
            return Err(Error::bad_request(
                "The form names a group that cannot exist",
                "Open the form again.",
            ));
        };
        let now = form.value(&format!("group-{id}")).is_some();
        if now != (before == "true") {
            changes.push((number, now));
        }
    }
    Ok(changes)
}
