//! `/add-group`, `/groups/[NAMESPACE/]NAME/edit` and `.../delete`: groups in the hands of their owners.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use koschei_db::administration::{self, Content, GroupChanges};
use koschei_db::entities::{self, GroupName};
use koschei_db::pages::GroupPage;

use crate::error::Error;
use crate::forms::{self, Form, few, is_name, visitor_of};
use crate::login::Visitor;
use crate::pages::groups::{Named, may_edit};
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Site, Tabs};
use crate::text;

/// Last parts of addresses of groups that mean something else.
const TAKEN: [&str; 2] = ["edit", "delete"];

/// What stands in the fields.
#[derive(Default)]
struct Values {
    name: String,
    packages: String,
    owners: String,
}

impl Values {
    fn of(form: &Form) -> Self {
        let value = |name: &str| form.value(name).unwrap_or_default().to_owned();
        Self { name: value("name"), packages: value("packages"), owners: value("owners") }
    }
}

#[derive(Template)]
#[template(path = "edit_group.html")]
struct Page<'a> {
    frame: &'a Frame,
    title: &'a str,
    namespace: Option<&'a str>,
    values: Values,
    mistakes: Vec<String>,
    action: String,
    back: String,
    /// Address of the question whether to delete it; `None` for a new one.
    delete: Option<String>,
}

/// The addresses of a group below the prefix: its page, and what is done to it.
fn path(group: &GroupPage, what: &str) -> String {
    let name = crate::address::encode(&group.name);
    match &group.namespace {
        Some(namespace) => format!("/groups/{}/{name}{what}", crate::address::encode(namespace)),
        None => format!("/groups/{name}{what}"),
    }
}

fn full_name(group: &GroupPage) -> GroupName {
    GroupName { namespace: group.namespace.clone(), name: group.name.clone() }
}

/// The group, if the visitor may change it.
async fn own_group(site: &Site, visitor: &Visitor, named: &Named) -> Result<GroupPage, Error> {
    let group = named.find(site).await?;
    if may_edit(visitor, &group) {
        return Ok(group);
    }
    Err(Error::Forbidden {
        title: "This group is not yours".to_owned(),
        advice: format!(
            "Only its owners and administrators may change {}.{}",
            full_name(&group),
            if group.owners.is_empty() {
                " It has no owner.".to_owned()
            } else {
                format!(" It belongs to {}.", text::enumeration(&group.owners))
            }
        ),
    })
}

/// Reads names of packages and owners and the name of the group; finds every mistake that needs no database.
fn read(form: &Form, mistakes: &mut Vec<String>) -> (String, Vec<String>, Vec<String>) {
    let name = form.text("name").to_owned();
    if name.is_empty() {
        mistakes.push("The group needs a name.".to_owned());
    } else if !is_name(&name) {
        mistakes.push(format!(
            "A group cannot be called {name}: its name may have letters, digits and the characters . + _ - in it."
        ));
    } else if TAKEN.contains(&name.as_str()) {
        mistakes.push(format!(
            "A group cannot be called {name}: its address would mean something else."
        ));
    }
    let mut list = |field: &str, what: &str, none: &str| match forms::names(form.text(field)) {
        Ok(names) => {
            if names.is_empty() {
                mistakes.push(none.to_owned());
            }
            names
        }
        Err(wrong) => {
            mistakes.push(format!("{what} can be called {}.", few(&wrong)));
            Vec::new()
        }
    };
    let packages = list("packages", "No package", "The group needs at least one package.");
    let owners =
        list("owners", "Nobody", "The group needs at least one owner, or nobody could change it.");
    (name, packages, owners)
}

async fn page(
    site: &Site,
    ask: &Ask,
    title: &str,
    group: Option<&GroupPage>,
    values: Values,
    mistakes: Vec<String>,
) -> Result<Response, Error> {
    let visitor = visitor_of(site, ask)?;
    let selection = site.selection(&Ask::default()).await?;
    let mut frame =
        site.frame(ask, &selection, Section::Groups, title.to_owned(), Tabs::Elsewhere).await?;
    frame.live = None;
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let to = |what: &str| group.map(|group| site.addresses.to(&path(group, what)));
    let page = Page {
        action: to("/edit").unwrap_or_else(|| site.addresses.to("/add-group")),
        back: to("").unwrap_or_else(|| site.addresses.to("/groups")),
        delete: to("/delete"),
        namespace: match group {
            Some(group) => group.namespace.as_deref(),
            None => Some(&visitor.name),
        },
        frame: &frame,
        title,
        values,
        mistakes,
    };
    Ok((status, super::page(&page)?).into_response())
}

/// The form for a new group.
pub(crate) async fn show_new(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let visitor = visitor_of(&site, &ask)?;
    let values = Values { owners: visitor.name.clone(), ..Values::default() };
    page(&site, &ask, "Add a group", None, values, Vec::new()).await
}

/// Makes a group in the visitor's namespace.
pub(crate) async fn add(
    State(site): State<SharedSite>,
    ask: Ask,
    form: Form,
) -> Result<Response, Error> {
    let mut mistakes = Vec::new();
    let (name, packages, owners) = read(&form, &mut mistakes);
    if mistakes.is_empty() {
        let mut connection = site.pool.acquire().await.map_err(koschei_db::Error::from)?;
        let namespace = form.visitor.name.clone();
        let (actor, namespace) = (form.actor(), Some(namespace.as_str()));
        let made = administration::add_group(
            &mut connection,
            &actor,
            namespace,
            &name,
            &packages,
            &owners,
        )
        .await;
        match made {
            Ok(()) => {
                let next = format!(
                    "/groups/{}/{}",
                    crate::address::encode(&form.visitor.name),
                    crate::address::encode(&name)
                );
                let said = format!(
                    "The group {name} has {}.",
                    text::plural(packages.len() as i64, "package")
                );
                return Ok(form.done(&site, &next, &said));
            }
            Err(error) => mistakes.push(forms::mistake(error)?),
        }
    }
    page(&site, &ask, "Add a group", None, Values::of(&form), mistakes).await
}

/// The form for a group.
pub(crate) async fn show(
    State(site): State<SharedSite>,
    Path(named): Path<Named>,
    ask: Ask,
) -> Result<Response, Error> {
    let visitor = visitor_of(&site, &ask)?;
    let group = own_group(&site, visitor, &named).await?;
    let packages = entities::group_packages(&site.pool, group.id).await?;
    let values = Values {
        name: group.name.clone(),
        packages: packages.join("\n"),
        owners: group.owners.join("\n"),
    };
    let title = format!("Edit the group {}", full_name(&group));
    page(&site, &ask, &title, Some(&group), values, Vec::new()).await
}

/// Changes a group.
pub(crate) async fn edit(
    State(site): State<SharedSite>,
    Path(named): Path<Named>,
    ask: Ask,
    form: Form,
) -> Result<Response, Error> {
    let mut group = own_group(&site, &form.visitor, &named).await?;
    let mut mistakes = Vec::new();
    let (new_name, packages, owners) = read(&form, &mut mistakes);
    if mistakes.is_empty() {
        let mut connection = site.pool.acquire().await.map_err(koschei_db::Error::from)?;
        let (actor, old) = (form.actor(), full_name(&group));
        let changes = GroupChanges {
            name: Some(new_name),
            content: Some(Content::Exactly(packages)),
            owners: Some(owners),
            ..GroupChanges::default()
        };
        match administration::edit_group(&mut connection, &actor, &old, &changes).await {
            Ok(done) => {
                let said = if done.is_different {
                    "The group is changed."
                } else {
                    "Nothing was different."
                };
                group.name = done.name.name;
                return Ok(form.done(&site, &path(&group, ""), said));
            }
            Err(error) => mistakes.push(forms::mistake(error)?),
        }
    }
    let title = format!("Edit the group {}", full_name(&group));
    page(&site, &ask, &title, Some(&group), Values::of(&form), mistakes).await
}

#[derive(Template)]
#[template(path = "delete_group.html")]
struct DeletePage<'a> {
    frame: &'a Frame,
    name: String,
    packages: String,
    action: String,
    back: String,
}

/// Asks whether to delete a group.
pub(crate) async fn ask_to_delete(
    State(site): State<SharedSite>,
    Path(named): Path<Named>,
    ask: Ask,
) -> Result<Response, Error> {
    let visitor = visitor_of(&site, &ask)?;
    let group = own_group(&site, visitor, &named).await?;
    let frame = site.bare_frame(&ask, format!("Delete the group {}", full_name(&group)));
    super::page(&DeletePage {
        name: full_name(&group).to_string(),
        packages: text::plural(group.packages, "package"),
        action: site.addresses.to(&path(&group, "/delete")),
        back: site.addresses.to(&path(&group, "")),
        frame: &frame,
    })
}

/// Deletes a group.
pub(crate) async fn delete(
    State(site): State<SharedSite>,
    Path(named): Path<Named>,
    form: Form,
) -> Result<Response, Error> {
    let group = own_group(&site, &form.visitor, &named).await?;
    let mut connection = site.pool.acquire().await.map_err(koschei_db::Error::from)?;
    let done =
        administration::delete_group(&mut connection, &form.actor(), &full_name(&group)).await;
    match done {
        Ok(()) => {
            Ok(form.done(&site, "/groups", &format!("The group {} is deleted.", full_name(&group))))
        }
        Err(error) => Err(Error::bad_request("Nothing was changed", forms::mistake(error)?)),
    }
}
