//! `/broken`: unresolved packages grouped by their root cause, the largest first.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use koschei_db::pages::UnresolvedPackage;

use crate::error::Error;
use crate::parts::{Moment, Name};
use crate::problems::{self, Cause, Problem};
use crate::request::{Ask, Selection};
use crate::site::{Frame, Section, SharedSite, Tabs};
use crate::text;

/// Causes on a page.
const PER_PAGE: usize = 25;
/// Packages of a cause that are named.
const NAMED: usize = 60;

/// A root cause with the packages that it breaks.
pub(crate) struct Grouped {
    pub(crate) cause: Cause,
    pub(crate) anchor: String,
    pub(crate) since: Option<Moment>,
    began: Option<DateTime<Utc>>,
    pub(crate) packages: Vec<Broken>,
    /// Part of the largest cause, in thousandths.
    pub(crate) part: usize,
}

/// A package that a cause breaks.
pub(crate) struct Broken {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) collection: Option<String>,
}

impl Grouped {
    fn named(&self) -> &[Broken] {
        self.packages.get(..NAMED.min(self.packages.len())).unwrap_or_default()
    }
}

/// A root cause with the packages that wait for it.
pub(crate) struct Found<'a> {
    pub(crate) cause: Cause,
    /// Since when the first of them waits.
    pub(crate) began: Option<DateTime<Utc>>,
    pub(crate) packages: Vec<&'a UnresolvedPackage>,
}

/// Unresolved packages by root cause, largest first, then oldest.
pub(crate) fn causes(unresolved: &[UnresolvedPackage]) -> Vec<Found<'_>> {
    let mut causes: HashMap<Cause, Found<'_>> = HashMap::new();
    for package in unresolved {
        let mut of_package: Vec<Cause> =
            package.problems.iter().map(|problem| Problem::read(problem).cause).collect();
        of_package.sort();
        of_package.dedup();
        for cause in of_package {
            let found = causes.entry(cause.clone()).or_insert_with(|| Found {
                cause,
                began: None,
                packages: Vec::new(),
            });
            found.began = match (found.began, package.since) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            found.packages.push(package);
        }
    }
    let mut causes: Vec<Found<'_>> = causes.into_values().collect();
    causes.sort_by(|one, other| {
        (other.packages.len(), one.began, &one.cause).cmp(&(
            one.packages.len(),
            other.began,
            &other.cause,
        ))
    });
    causes
}

/// The same with addresses, for pages.
pub(crate) fn group(
    frame: &Frame,
    selection: &Selection,
    unresolved: &[UnresolvedPackage],
) -> Vec<Grouped> {
    let several = selection.chosen.len() > 1;
    let found = causes(unresolved);
    let largest = found.first().map_or(1, |cause| cause.packages.len().max(1));
    found
        .into_iter()
        .map(|found| Grouped {
            anchor: format!("c{}", crate::assets::fingerprint(found.cause.to_string().as_bytes())),
            since: found.began.map(|time| Moment::short(&frame.clock, time)),
            began: found.began,
            part: (found.packages.len() * 1000 / largest).max(4),
            packages: found
                .packages
                .into_iter()
                .map(|package| {
                    let collection = selection.by_id(package.collection_id);
                    Broken {
                        name: package.name.clone(),
                        href: frame
                            .addresses
                            .package(&package.name, collection.map_or("", |one| one.name.as_str())),
                        collection: collection
                            .filter(|_| several)
                            .map(|one| one.display_name.clone()),
                    }
                })
                .collect(),
            cause: found.cause,
        })
        .collect()
}

/// The address of this page for a selection.
pub(crate) fn address(frame: &Frame, selection: &Selection) -> String {
    let names: Vec<&str> = selection.chosen.iter().map(|one| one.name.as_str()).collect();
    frame
        .addresses
        .to(&format!("/broken{}", crate::address::query(&[("collection", &names.join(","))])))
}

#[derive(Template)]
#[template(path = "broken.html")]
struct Page<'a> {
    frame: &'a Frame,
    lede: String,
    kinds: Vec<Chip>,
    orders: Vec<Chip>,
    causes: &'a [Grouped],
    pages: Vec<super::packages::PageLink>,
    /// Where to go on when there is no cause.
    ways: Vec<(&'static str, String)>,
}

struct Chip {
    label: String,
    href: String,
    current: bool,
}

/// The page.
pub(crate) async fn broken(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let mut selection = site.selection(&ask).await?;
    if ask.value("collection").is_none()
        && let Some(first) = selection.one().map(|first| first.id)
    {
        selection = selection.only(first);
    }
    let page = ask.page()?;
    let ids = selection.ids();
    let place = match selection.chosen.as_slice() {
        [one] => one.display_name.clone(),
        _ => "all collections".to_owned(),
    };
    let (frame, unresolved) = tokio::try_join!(
        site.frame(
            &ask,
            &selection,
            Section::Causes,
            format!("Root causes in {place}"),
            Tabs::SamePage { all: Some("All") },
        ),
        async { Ok(site.unresolved(&ids).await?) },
    )?;
    let packages = unresolved.len();
    let mut causes = group(&frame, &selection, &unresolved);
    let here = |query: String| format!("{}{query}", frame.addresses.to(&ask.path));
    let kind = ask.value("kind").unwrap_or_default().to_owned();
    let mut kinds = vec![Chip {
        label: format!("all {}", text::count(causes.len() as i64)),
        href: here(ask.with("kind", None)),
        current: kind.is_empty(),
    }];
    let mut slugs: Vec<(&str, &str)> =
        causes.iter().map(|cause| (problems::slug(&cause.cause), cause.cause.kind())).collect();
    slugs.sort_unstable();
    slugs.dedup();
    for (slug, word) in slugs {
        let count = causes.iter().filter(|cause| problems::slug(&cause.cause) == slug).count();
        kinds.push(Chip {
            label: format!("{} {}", word.to_lowercase(), text::count(count as i64)),
            href: here(ask.with("kind", Some(slug))),
            current: kind == slug,
        });
    }
    let newest = ask.value("order") == Some("newest");
    let orders = vec![
        Chip {
            label: "most packages".to_owned(),
            href: here(ask.with("order", None)),
            current: !newest,
        },
        Chip {
            label: "newest".to_owned(),
            href: here(ask.with("order", Some("newest"))),
            current: newest,
        },
    ];
    let lede = lede(packages, &causes, &place);
    if !kind.is_empty() {
        causes.retain(|cause| problems::slug(&cause.cause) == kind);
    }
    if newest {
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.began));
    }
    let pages = u32::try_from(causes.len().div_ceil(PER_PAGE).max(1)).unwrap_or(u32::MAX);
    if page > pages {
        return Err(Error::no_such_page(page, pages));
    }
    let from = (page as usize - 1) * PER_PAGE;
    let to = (from + PER_PAGE).min(causes.len());
    let names: Vec<&str> = selection.chosen.iter().map(|one| one.name.as_str()).collect();
    let chosen = names.join(",");
    let list = |pairs: &[(&str, &str)]| {
        frame.addresses.to(&format!("/packages{}", crate::address::query(pairs)))
    };
    let mut ways = vec![
        ("Packages that fail", list(&[("collection", &chosen), ("state", "failing")])),
        ("All packages", list(&[("collection", &chosen)])),
    ];
    if packages > 0 {
        ways.insert(0, ("All root causes", here(ask.with("kind", None))));
    }
    super::page(&Page {
        ways,
        lede,
        kinds,
        orders,
        causes: causes.get(from..to).unwrap_or_default(),
        pages: super::packages::page_links(&ask, &frame, page, pages),
        frame: &frame,
    })
}

fn lede(packages: usize, causes: &[Grouped], place: &str) -> String {
    if packages == 0 {
        return format!("The build dependencies of every package in {place} can be installed.");
    }
    let sentence = format!(
        "{} in {place} cannot be built because of {}.",
        text::plural(packages as i64, "package"),
        text::plural(causes.len() as i64, "cause"),
    );
    let first: usize = causes.iter().take(3).map(|cause| cause.packages.len()).sum();
    // Packages with several causes count once for each, so this is told only where it says something.
    if causes.len() > 5 && first * 4 >= packages && first <= packages {
        format!("{sentence} The first three explain {} of them.", text::count(first as i64))
    } else {
        sentence
    }
}
