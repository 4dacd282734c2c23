//! `/packages`, and the table of packages that groups and searches show as well.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use koschei_core::scheduling::{Pause, SchedulingFacts, SkipReason};
use koschei_core::states::PackageState;
use koschei_core::{priorities, scheduling};
use koschei_db::pages::{
    self as db, Changed, CollectionRow, GroupName, ListedPackage, MatrixRow, Order, OrderKey,
    PackageSet,
};

use crate::error::Error;
use crate::pages::narrowing::{self, Narrowing, Row as FilterRow};
use crate::parts::{Mark, Moment, Name};
use crate::problems::Problem;
use crate::request::{Ask, Selection};
use crate::site::{Frame, Section, SharedSite, Site, Tabs};
use crate::text;

/// Groups that a row names; the page of the package has all.
const GROUPS: usize = 3;

/// A link to a page of a list.
pub(crate) struct PageLink {
    pub(crate) label: String,
    pub(crate) href: Option<String>,
    pub(crate) rel: Option<&'static str>,
    pub(crate) current: bool,
}

/// Links to the first, the neighbouring and the last pages; empty for a single page.
pub(crate) fn page_links(ask: &Ask, frame: &Frame, page: u32, pages: u32) -> Vec<PageLink> {
    if pages <= 1 {
        return Vec::new();
    }
    let href = |page: u32| {
        let query = ask.with("page", (page > 1).then(|| page.to_string()).as_deref());
        format!("{}{query}", frame.addresses.to(&ask.path))
    };
    let mut links = Vec::new();
    let mut last = 0;
    for number in 1..=pages {
        if number != 1 && number != pages && number.abs_diff(page) > 2 {
            continue;
        }
        if number > last + 1 {
            links.push(PageLink {
                label: "\u{2026}".to_owned(),
                href: None,
                rel: None,
                current: false,
            });
        }
        last = number;
        links.push(PageLink {
            label: number.to_string(),
            href: (number != page).then(|| href(number)),
            rel: None,
            current: number == page,
        });
    }
    if page < pages {
        links.push(PageLink {
            label: "Next page".to_owned(),
            href: Some(href(page + 1)),
            rel: Some("next"),
            current: false,
        });
    }
    links
}

/// A column of a table that can be ordered by.
pub(crate) struct Heading {
    pub(crate) label: String,
    pub(crate) href: Option<String>,
    pub(crate) sort: Option<&'static str>,
    pub(crate) class: &'static str,
}

/// A row of the table of one collection.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) mark: Mark,
    pub(crate) running: bool,
    pub(crate) why: String,
    pub(crate) since: Option<Moment>,
    pub(crate) task: Option<(i32, String)>,
    pub(crate) last: Option<Moment>,
    pub(crate) priority: Option<String>,
    pub(crate) why_not: String,
    pub(crate) groups: Vec<GroupLink>,
    /// How many groups there are besides.
    pub(crate) more_groups: usize,
}

/// A group that a package belongs to.
pub(crate) struct GroupLink {
    pub(crate) name: String,
    pub(crate) href: String,
}

/// A row of the table of several collections.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) cells: Vec<Cell>,
    pub(crate) groups: Vec<GroupLink>,
    /// How many groups there are besides.
    pub(crate) more_groups: usize,
}

/// A cell of it: empty where the package is blocked or absent.
pub(crate) struct Cell {
    pub(crate) collection: String,
    pub(crate) state: Option<(Mark, bool, Option<String>)>,
}

/// A table of packages with its filters and pages.
pub(crate) struct Table {
    pub(crate) total: i64,
    pub(crate) note: String,
    pub(crate) filters: Vec<FilterRow>,
    pub(crate) headings: Vec<Heading>,
    pub(crate) lines: Vec<Line>,
    pub(crate) rows: Vec<Row>,
    pub(crate) with_groups: bool,
    pub(crate) unschedulable: bool,
    pub(crate) pages: Vec<PageLink>,
    pub(crate) empty: Option<(String, Vec<(String, String)>)>,
    /// It does not show all packages that it could.
    pub(crate) filtered: bool,
}

#[derive(Template)]
#[template(path = "packages.html")]
struct Packages<'a> {
    frame: &'a Frame,
    title: &'a str,
    table: &'a Table,
}

/// The page.
pub(crate) async fn packages(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let title = match selection.chosen.as_slice() {
        [one] => format!("Packages in {}", one.display_name),
        _ => "Packages".to_owned(),
    };
    let (frame, group) = tokio::try_join!(
        site.frame(
            &ask,
            &selection,
            Section::Packages,
            title.clone(),
            Tabs::SamePage { all: Some("All") }
        ),
        narrowing::group(&site, &ask),
    )?;
    let set = group.map_or(PackageSet::All, |group| PackageSet::Group(group.id));
    let mut table = table(&site, &ask, &frame, &selection, set, true).await?;
    table.filters.extend(narrowing::groups(&site, &ask, &frame).await?);
    super::page(&Packages { frame: &frame, title: &title, table: &table })
}

/// Reads `order_by=a,-b`. Unknown names are ignored; without any known one the usual order holds.
fn orders(ask: &Ask, selection: &Selection) -> (Vec<Order>, bool) {
    let one = selection.chosen.len() == 1;
    let mut orders: Vec<Order> = Vec::new();
    for name in ask.value("order_by").unwrap_or_default().split(',') {
        let (name, reversed) = match name.trim().strip_prefix('-') {
            Some(name) => (name, true),
            None => (name.trim(), false),
        };
        let key = match (name, one) {
            ("name", _) => OrderKey::Name,
            ("running", _) => OrderKey::Running,
            ("since", _) => OrderKey::Since,
            ("state", true) => OrderKey::State,
            ("task_id", true) => OrderKey::TaskId,
            ("started", true) => OrderKey::Started,
            ("current_priority", true) => OrderKey::CurrentPriority,
            ("failing", false) => OrderKey::Failing,
            (name, false) => {
                let collection = name
                    .strip_prefix("state-")
                    .and_then(|name| selection.chosen.iter().find(|one| one.name == name));
                match collection {
                    Some(collection) => OrderKey::StateIn(collection.id),
                    None => continue,
                }
            }
            _ => continue,
        };
        if !orders.iter().any(|order| order.key == key) {
            orders.push(Order { key, reversed });
        }
    }
    if !orders.is_empty() {
        return (orders, true);
    }
    let usual = |key| Order { key, reversed: false };
    let usual = if one {
        vec![usual(OrderKey::Running), usual(OrderKey::State), usual(OrderKey::Name)]
    } else {
        vec![usual(OrderKey::Running), usual(OrderKey::Failing), usual(OrderKey::Name)]
    };
    (usual, false)
}

/// The table of a set of packages in the chosen collections, narrowed as the address says.
pub(crate) async fn table(
    site: &Site,
    ask: &Ask,
    frame: &Frame,
    selection: &Selection,
    set: PackageSet,
    with_groups: bool,
) -> Result<Table, Error> {
    let page = ask.page()?;
    let narrowing = Narrowing::read(site, ask, frame.clock.now, set)?;
    let scope = &narrowing.scope;
    let per_page = site.config.packages_per_page.max(1);
    let offset = i64::from(page - 1) * i64::from(per_page);
    let (orders, ordered) = orders(ask, selection);
    let ids = selection.ids();
    let mut table = Table {
        total: 0,
        note: String::new(),
        filters: Vec::new(),
        headings: Vec::new(),
        lines: Vec::new(),
        rows: Vec::new(),
        with_groups,
        unschedulable: false,
        pages: Vec::new(),
        empty: None,
        filtered: false,
    };
    let bases: Vec<i32>;
    match selection.chosen.as_slice() {
        [collection] => {
            let (listed, counts) = tokio::try_join!(
                db::package_list(
                    &site.pool,
                    collection.id,
                    scope,
                    &orders,
                    i64::from(per_page),
                    offset
                ),
                async {
                    // Counting what a search finds would take longer than finding it.
                    match scope.set {
                        PackageSet::Like(_) => Ok(None),
                        _ => db::counts_of(&site.pool, collection.id, scope).await.map(Some),
                    }
                },
            )?;
            table.filters = narrowing.rows(ask, frame, counts.as_ref());
            bases = listed.iter().map(|package| package.base_id).collect();
            let groups = groups(site, &bases, with_groups).await?;
            table.headings = headings_of_one(ask, frame, &orders, with_groups);
            table.lines = listed
                .into_iter()
                .map(|package| {
                    let groups = group_links(frame, &groups, package.base_id);
                    line(site, frame, collection, package, groups)
                })
                .collect();
            table.unschedulable = table.lines.iter().any(|line| line.priority.is_none());
            table.total = match counts.and_then(|counts| narrowing.counted(&counts)) {
                Some(total) => total,
                None => db::package_total(&site.pool, &ids, scope).await?,
            };
        }
        several => {
            let (rows, total) =
                db::matrix(&site.pool, &ids, scope, &orders, i64::from(per_page), offset).await?;
            table.filters = narrowing.rows(ask, frame, None);
            bases = rows.iter().map(|row| row.base_id).collect();
            let groups = groups(site, &bases, with_groups).await?;
            table.headings = headings_of_several(ask, frame, &orders, several, with_groups);
            table.rows = rows
                .into_iter()
                .map(|row| {
                    let groups = group_links(frame, &groups, row.base_id);
                    self::row(frame, several, row, groups)
                })
                .collect();
            table.total = if table.rows.is_empty() {
                db::package_total(&site.pool, &ids, scope).await?
            } else {
                total
            };
        }
    }
    let total = table.total;
    let pages = u32::try_from((total + i64::from(per_page) - 1) / i64::from(per_page))
        .unwrap_or(u32::MAX)
        .max(1);
    if page > pages {
        return Err(Error::no_such_page(page, pages));
    }
    table.note = note(offset, per_page, total, ordered, selection.chosen.len() == 1);
    table.pages = page_links(ask, frame, page, pages);
    if total == 0 {
        table.empty = Some(empty(ask, frame, selection, &narrowing));
        table.filtered = narrowing.is_any();
    }
    Ok(table)
}

async fn groups(site: &Site, bases: &[i32], wanted: bool) -> Result<Vec<GroupName>, Error> {
    if wanted && !bases.is_empty() {
        Ok(db::package_groups(&site.pool, bases).await?)
    } else {
        Ok(Vec::new())
    }
}

pub(crate) fn group_links(frame: &Frame, groups: &[GroupName], base: i32) -> Vec<GroupLink> {
    groups
        .iter()
        .filter(|group| group.base_id == base)
        .map(|group| GroupLink {
            name: group.name.clone(),
            href: frame.addresses.group(group.namespace.as_deref(), &group.name),
        })
        .collect()
}

fn note(offset: i64, per_page: u32, total: i64, ordered: bool, one: bool) -> String {
    if total == 0 {
        return String::new();
    }
    let last = (offset + i64::from(per_page)).min(total);
    let order = match (ordered, one) {
        (true, _) => "in the order chosen below",
        (false, true) => "running first, then by state, then by name",
        (false, false) => "running first, then failing or unresolved anywhere, then by name",
    };
    if total <= i64::from(per_page) {
        order.to_owned()
    } else {
        format!("{} to {}; {order}", text::count(offset + 1), text::count(last))
    }
}

fn heading(
    ask: &Ask,
    frame: &Frame,
    orders: &[Order],
    label: &str,
    name: &str,
    key: &OrderKey,
    class: &'static str,
) -> Heading {
    // Only the first key counts as the order of the table; that running ones stand above the rest does not.
    let current = orders
        .iter()
        .find(|order| order.key != OrderKey::Running)
        .filter(|order| order.key == *key);
    let reversed = current.map(|order| order.reversed);
    let next = match reversed {
        Some(false) => format!("-{name}"),
        _ => name.to_owned(),
    };
    // Highest priority and newest first are the usual directions of these columns.
    let falls = matches!(key, OrderKey::CurrentPriority | OrderKey::Since);
    let descending = reversed.map(|reversed| reversed != falls);
    Heading {
        label: label.to_owned(),
        href: Some(format!(
            "{}{}",
            frame.addresses.to(&ask.path),
            ask.with("order_by", Some(&next))
        )),
        sort: descending.map(|down| if down { "descending" } else { "ascending" }),
        class,
    }
}

fn headings_of_one(ask: &Ask, frame: &Frame, orders: &[Order], with_groups: bool) -> Vec<Heading> {
    let plain =
        |label: &str, class| Heading { label: label.to_owned(), href: None, sort: None, class };
    let mut headings = vec![
        heading(ask, frame, orders, "State", "state", &OrderKey::State, ""),
        heading(ask, frame, orders, "Package", "name", &OrderKey::Name, ""),
        plain("Why", ""),
        heading(ask, frame, orders, "Since", "since", &OrderKey::Since, ""),
        heading(ask, frame, orders, "Last build", "started", &OrderKey::Started, "ph wide"),
        heading(ask, frame, orders, "Task", "task_id", &OrderKey::TaskId, "ph"),
        heading(
            ask,
            frame,
            orders,
            "Priority",
            "current_priority",
            &OrderKey::CurrentPriority,
            "num ph",
        ),
    ];
    if with_groups {
        headings.push(plain("Groups", "ph wide"));
    }
    headings
}

fn headings_of_several(
    ask: &Ask,
    frame: &Frame,
    orders: &[Order],
    collections: &[CollectionRow],
    with_groups: bool,
) -> Vec<Heading> {
    let mut headings = vec![heading(ask, frame, orders, "Package", "name", &OrderKey::Name, "")];
    for collection in collections {
        headings.push(heading(
            ask,
            frame,
            orders,
            &collection.display_name,
            &format!("state-{}", collection.name),
            &OrderKey::StateIn(collection.id),
            "",
        ));
    }
    if with_groups {
        headings.push(Heading {
            label: "Groups".to_owned(),
            href: None,
            sort: None,
            class: "ph wide",
        });
    }
    headings
}

fn line(
    site: &Site,
    frame: &Frame,
    collection: &CollectionRow,
    package: ListedPackage,
    groups: Vec<GroupLink>,
) -> Line {
    let state =
        super::state(false, package.tracked, package.resolved, package.last_complete_build_state);
    let reasons = scheduling::reasons(&SchedulingFacts {
        blocked: false,
        tracked: package.tracked,
        resolved: package.resolved,
        skip_resolution: package.skip_resolution,
        last_build_id: package.last_build_id,
        last_complete_build_id: package.last_complete_build_id,
        skip_reason: package.scheduler_skip_reason.and_then(SkipReason::from_number),
        build_group_resolved: collection.latest_repo_resolved,
        pause: Pause::at(frame.clock.now, package.not_before, package.fault_streak),
    });
    let running = package.last_build_id != package.last_complete_build_id;
    let priority =
        package.started.filter(|_| reasons.is_empty() && !package.stopped).map(|started| {
            let weights = priorities::Weights {
                static_: package.static_priority,
                manual: package.manual_priority,
                build: package.build_priority,
                dependency: package.dependency_priority,
            };
            let hours = (frame.clock.now - started).num_seconds() as f64 / 3600.0;
            let current =
                site.config.priorities.current(&weights, hours, collection.priority_coefficient);
            text::count(current.floor() as i64)
        });
    let why = match state {
        PackageState::Unresolved => match &package.problem {
            Some(problem) => {
                let brief = Problem::read(problem).cause.to_string();
                match package.problem_count - 1 {
                    others if others > 0 => {
                        format!("{brief} and {}", text::plural(others, "other problem"))
                    }
                    _ => brief,
                }
            }
            None => String::new(),
        },
        PackageState::Failing if !package.failed_arches.is_empty() => {
            format!("fails on {}", text::enumeration(&package.failed_arches))
        }
        PackageState::Unknown => "not built yet".to_owned(),
        _ => String::new(),
    };
    Line {
        href: frame.addresses.package(&package.name, &collection.name),
        mark: Mark::state(state),
        running,
        why,
        // What nobody watches is in no state since then.
        since: package
            .since
            .filter(|_| package.tracked)
            .map(|time| Moment::short(&frame.clock, time)),
        task: package
            .task_id
            .zip(package.last_build_id)
            .map(|(task, build)| (task, frame.addresses.build(build))),
        last: package.started.map(|time| Moment::short(&frame.clock, time)),
        priority,
        why_not: reasons
            .first()
            .map_or("Operators have stopped its builds for now", |reason| reason.text())
            .to_owned(),
        more_groups: groups.len().saturating_sub(GROUPS),
        groups: groups.into_iter().take(GROUPS).collect(),
        name: package.name,
    }
}

fn row(
    frame: &Frame,
    collections: &[CollectionRow],
    row: MatrixRow,
    groups: Vec<GroupLink>,
) -> Row {
    let cells = collections
        .iter()
        .map(|collection| Cell {
            collection: collection.display_name.clone(),
            state: row.cells.iter().find(|cell| cell.collection_id == collection.id).map(|cell| {
                let state = super::state(
                    cell.blocked,
                    cell.tracked,
                    cell.resolved,
                    cell.last_complete_build_state,
                );
                // Most cells are ok; a link in each would double the weight of the page.
                let trouble = matches!(state, PackageState::Failing | PackageState::Unresolved);
                let href = (trouble || cell.running)
                    .then(|| frame.addresses.package(&row.name, &collection.name));
                (Mark::state(state), cell.running, href)
            }),
        })
        .collect();
    Row {
        href: frame.addresses.package_anywhere(&row.name),
        name: row.name,
        cells,
        more_groups: groups.len().saturating_sub(GROUPS),
        groups: groups.into_iter().take(GROUPS).collect(),
    }
}

/// What to say, and where to go on, when a table has no rows.
fn empty(
    ask: &Ask,
    frame: &Frame,
    selection: &Selection,
    narrowing: &Narrowing,
) -> (String, Vec<(String, String)>) {
    let of_group = matches!(narrowing.scope.set, PackageSet::Group(_));
    let what = if of_group { "package of this group" } else { "package" };
    let place = match selection.chosen.as_slice() {
        [one] => one.display_name.clone(),
        [] => return ("There is no collection yet".to_owned(), Vec::new()),
        _ => "these collections".to_owned(),
    };
    let untracked = narrowing.scope.untracked;
    let mut ways = Vec::new();
    if narrowing.is_any() || ask.value("group").is_some_and(|group| !group.is_empty()) {
        let all = narrowing::without(ask, &narrowing::ALL);
        ways.push((
            if of_group && ask.value("group").is_none() {
                "All packages of this group".to_owned()
            } else {
                "All packages".to_owned()
            },
            format!("{}{}", frame.addresses.to(&ask.path), all),
        ));
    }
    if narrowing.scope.changed != Changed::AnyTime {
        let anytime = narrowing::without(ask, &["since", "longer"]);
        ways.push((
            "Whenever they changed".to_owned(),
            format!("{}{anytime}", frame.addresses.to(&ask.path)),
        ));
    }
    if !untracked && !narrowing.is_any() {
        let with = ask.with("untracked", Some("1"));
        ways.push((
            "Show untracked packages, too".to_owned(),
            format!("{}{with}", frame.addresses.to(&ask.path)),
        ));
    }
    (narrowing.nothing(what, &place), ways)
}
