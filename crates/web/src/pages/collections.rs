//! `/collections` and `/collection/NAME`: what there is, by collection group, and the settings of one.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use koschei_core::states::{CollectionState, PackageState};
use koschei_db::pages::{self as db, CollectionRow, Counts};

use crate::error::Error;
use crate::parts::Mark;
use crate::request::{Ask, unknown_collection};
use crate::site::{Frame, Section, SharedSite, Tabs};
use crate::text;

/// A collection in a list.
struct Line {
    name: String,
    display_name: String,
    href: String,
    packages_href: String,
    mark: Mark,
    repo: String,
    tracked: String,
    ok: String,
    failing: String,
    unresolved: String,
}

/// Collections under a heading.
struct Bundle {
    heading: String,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "collections.html")]
struct Collections<'a> {
    frame: &'a Frame,
    bundles: Vec<Bundle>,
}

/// The state of a collection as a mark: that of its base buildroot.
fn mark(collection: &CollectionRow) -> Mark {
    Mark::state(match CollectionState::of(collection.latest_repo_resolved) {
        CollectionState::Ok => PackageState::Ok,
        CollectionState::Unresolved => PackageState::Unresolved,
        CollectionState::Unknown => PackageState::Unknown,
    })
}

fn line(frame: &Frame, collection: &CollectionRow, counts: &[Counts]) -> Line {
    let counts =
        counts.iter().find(|one| one.collection_id == collection.id).copied().unwrap_or_default();
    Line {
        name: collection.name.clone(),
        display_name: collection.display_name.clone(),
        href: frame.addresses.collection(&collection.name),
        packages_href: frame
            .addresses
            .to(&format!("/packages?collection={}", crate::address::encode(&collection.name))),
        mark: mark(collection),
        repo: collection.latest_repo_id.map(|id| id.to_string()).unwrap_or_default(),
        tracked: text::count(counts.tracked()),
        ok: text::count(counts.ok),
        failing: text::count(counts.failing),
        unresolved: text::count(counts.unresolved),
    }
}

/// All collections.
pub(crate) async fn collections(
    State(site): State<SharedSite>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&Ask { pairs: Vec::new(), ..ask.clone() }).await?;
    let ids = selection.ids();
    let (frame, groups, counts) = tokio::try_join!(
        site.frame(&ask, &selection, Section::None, "Collections".to_owned(), Tabs::None),
        async { Ok(db::collection_groups(&site.pool).await?) },
        async { Ok(db::counts(&site.pool, &ids).await?) },
    )?;
    let mut bundles: Vec<Bundle> = groups
        .iter()
        .map(|group| Bundle {
            heading: group.display_name.clone(),
            lines: selection
                .all
                .iter()
                .filter(|one| group.collection_ids.contains(&one.id))
                .map(|one| line(&frame, one, &counts))
                .collect(),
        })
        .collect();
    let rest: Vec<Line> = selection
        .all
        .iter()
        .filter(|one| !groups.iter().any(|group| group.collection_ids.contains(&one.id)))
        .map(|one| line(&frame, one, &counts))
        .collect();
    if !rest.is_empty() {
        let heading = if bundles.is_empty() { "All collections" } else { "Others" };
        bundles.push(Bundle { heading: heading.to_owned(), lines: rest });
    }
    super::page(&Collections { frame: &frame, bundles })
}

#[derive(Template)]
#[template(path = "collection.html")]
struct Page<'a> {
    frame: &'a Frame,
    collection: &'a CollectionRow,
    mark: Mark,
    say: String,
    problems: Vec<String>,
    links: Vec<(&'static str, String)>,
    settings: Vec<(&'static str, String)>,
}

/// One collection.
pub(crate) async fn collection(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&Ask { pairs: Vec::new(), ..ask.clone() }).await?;
    let Some(collection) = selection.all.iter().find(|one| one.name == name).cloned() else {
        return Err(unknown_collection(&name));
    };
    let selection = selection.only(collection.id);
    let (mut frame, problems) = tokio::try_join!(
        site.frame(&ask, &selection, Section::None, collection.display_name.clone(), Tabs::None),
        async { Ok(db::buildroot_problems(&site.pool, &[collection.id]).await?) },
    )?;
    // The page itself says it.
    frame.notices.retain(|notice| notice.details.is_empty());
    let say = match CollectionState::of(collection.latest_repo_resolved) {
        CollectionState::Ok => {
            "Its base buildroot can be installed; packages are resolved and built."
        }
        CollectionState::Unresolved => {
            "Its base buildroot cannot be installed, so that nothing can be resolved or built. That is a problem of \
             the packages in its build group, not of the packages that wait."
        }
        CollectionState::Unknown => "No Koji repo of it was resolved yet.",
    };
    let to = |path: &str| {
        frame
            .addresses
            .to(&format!("{path}?collection={}", crate::address::encode(&collection.name)))
    };
    let links = vec![
        ("Overview", to("/")),
        ("Packages", to("/packages")),
        ("Root causes of broken dependencies", to("/broken")),
    ];
    let mut settings = vec![
        ("Name", collection.name.clone()),
        ("Koji target", collection.target.clone()),
        ("Tag of its packages", collection.dest_tag.clone()),
        ("Build tag", collection.build_tag.clone()),
        ("Build group", collection.build_group.clone()),
        (
            "Newest Koji repo",
            collection.latest_repo_id.map_or("none yet".to_owned(), |id| id.to_string()),
        ),
        ("Factor of priorities", collection.priority_coefficient.to_string()),
        (
            "Official builds of untracked packages",
            if collection.poll_untracked { "registered" } else { "not registered" }.to_owned(),
        ),
        (
            "Koji of its packages",
            if collection.secondary_mode { "secondary" } else { "the one that builds" }.to_owned(),
        ),
    ];
    if let (Some(product), Some(version)) =
        (&collection.bugzilla_product, &collection.bugzilla_version)
    {
        settings.push(("Bugzilla", format!("{product}, {version}")));
    }
    super::page(&Page {
        mark: mark(&collection),
        say: say.to_owned(),
        problems: crate::problems::first(
            &problems.into_iter().map(|(_, problem)| problem).collect::<Vec<_>>(),
            50,
        ),
        links,
        settings,
        collection: &collection,
        frame: &frame,
    })
}
