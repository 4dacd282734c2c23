//! The site: what all requests share, and what every page has around its content.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use chrono::Utc;
use koschei_core::freshness::{Facts, Stale, reasons};
use koschei_core::states::PackageState;
use koschei_db::freshness::{self as db_freshness, Freshness};
use koschei_db::pages::{self as db, CollectionRow, GroupRow, UnresolvedPackage};

use crate::State;
use crate::address::Addresses;
use crate::assets::Assets;
use crate::config::WebConfig;
use crate::error::Error;
use crate::kept::Kept;
use crate::limits::Limits;
use crate::login::{Providers, Signer, Visitor, Way};
use crate::parts::{Mark, Token};
use crate::remembered::Remembered;
use crate::request::{Ask, Selection};
use crate::suspended;
use crate::text::{self, Clock};
use crate::trend::{self, Day};

/// The site, shared by all requests.
pub(crate) type SharedSite = Arc<Site>;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) pool: koschei_db::Pool,
    pub(crate) config: WebConfig,
    pub(crate) addresses: Addresses,
    pub(crate) assets: Assets,
    /// Signs what browsers keep for us.
    pub(crate) signer: Signer,
    /// What the login provider says about itself.
    pub(crate) providers: Providers,
    /// How many forms come from whom.
    limits: Limits,
    /// Answers that are given again while nothing is committed.
    pub(crate) remembered: Remembered,
    /// Packages waiting for a build, per collection id.
    waiting: Kept<(), HashMap<i32, i64>>,
    /// How up to date the collections are.
    freshness: Kept<(), Vec<Freshness>>,
    /// The global groups.
    groups: Kept<(), Vec<GroupRow>>,
    /// How states went in the last days, by collection id.
    trend: Kept<i32, Vec<Day>>,
    /// Unresolved packages of collections, by the ids of these.
    unresolved: Kept<Vec<i32>, Vec<UnresolvedPackage>>,
}

/// Which of the places in the header a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Packages,
    Causes,
    Groups,
    Stats,
    None,
}

/// Everything around the content of a page.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) clock: Clock,
    pub(crate) addresses: Addresses,
    pub(crate) style: String,
    pub(crate) forms: String,
    pub(crate) script: String,
    pub(crate) find: String,
    pub(crate) theme: Option<&'static str>,
    pub(crate) title: String,
    pub(crate) section: Section,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) tabs_label: String,
    pub(crate) notices: Vec<Notice>,
    pub(crate) fresh: Option<Fresh>,
    pub(crate) search: String,
    /// Collection that the search field keeps.
    pub(crate) kept_collection: Option<String>,
    /// Seconds after which a watched page fetches itself anew; `None` for pages that do not change.
    pub(crate) live: Option<u32>,
    /// Address of the feed of what it shows.
    pub(crate) feed: Option<String>,
    /// Path and query of this page below the prefix, for forms that come back to it.
    pub(crate) here: String,
    /// Who reads it, if they are logged in.
    pub(crate) visitor: Option<Visitor>,
    /// Where to log in, if that is possible.
    pub(crate) way_in: Option<String>,
    /// What the form that was just sent has to say.
    pub(crate) said: Option<String>,
    pub(crate) version: &'static str,
}

/// A collection in the row of tabs.
#[derive(Debug, Clone)]
pub(crate) struct Tab {
    pub(crate) label: String,
    pub(crate) href: String,
    pub(crate) current: bool,
    pub(crate) mark: Option<Mark>,
}

/// A line that everybody should read.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) lead: String,
    /// Text in pieces; those with an address are links.
    pub(crate) pieces: Vec<(String, bool)>,
    /// What the solver says, behind a summary.
    pub(crate) details: Vec<String>,
}

/// How fresh the page is.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    pub(crate) stale: bool,
    pub(crate) lead: &'static str,
    pub(crate) parts: Vec<String>,
}

/// How a page selects its tabs.
pub(crate) enum Tabs<'a> {
    /// No tabs, on a page about collections.
    None,
    /// No tabs, on a page that is not about collections: their warnings stay away.
    Elsewhere,
    /// The same page for each collection: the query with `collection` replaced. The label of a tab for all of them,
    /// if there is one.
    SamePage { all: Option<&'a str> },
    /// A package, with its state in each collection where it is.
    Package { name: &'a str, states: &'a [(i32, PackageState)] },
}

impl Frame {
    /// What every form of somebody who is logged in brings along.
    pub(crate) fn token(&self) -> Token<'_> {
        Token { token: self.visitor.as_ref().map_or("", |visitor| visitor.token.as_str()) }
    }
}

impl Site {
    pub(crate) fn new(state: State) -> Self {
        Self {
            addresses: Addresses::new(&state.config.path_prefix),
            signer: Signer::new(state.config.login.secret.as_deref()),
            pool: state.pool,
            config: state.config,
            assets: Assets::new(),
            providers: Providers::default(),
            limits: Limits::default(),
            remembered: Remembered::default(),
            waiting: Kept::default(),
            freshness: Kept::default(),
            groups: Kept::default(),
            trend: Kept::for_long(Duration::from_secs(600), Duration::from_secs(24 * 3600)),
            unresolved: Kept::default(),
        }
    }

    /// An address of ours for use elsewhere; without the host where that is not known.
    pub(crate) fn absolute(&self, address: &str) -> String {
        format!("{}{address}", self.config.external_url.as_deref().unwrap_or_default())
    }

    /// Where to log in and then go on to a path of ours.
    pub(crate) fn login_address(&self, next: &str) -> String {
        self.addresses.to(&format!("/login{}", crate::address::query(&[("next", next)])))
    }

    /// What somebody is told who has to log in, and then wants to go on to a path of ours.
    pub(crate) fn login_needed(&self, next: &str) -> Error {
        let possible = self.config.login.is_possible();
        Error::LoginNeeded { way_in: possible.then(|| self.login_address(next)) }
    }

    /// Whether the reader's connection is encrypted, so that cookies may be kept to such ones.
    pub(crate) fn is_secure(&self, way: &Way) -> bool {
        way.https
            || self.config.external_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// Counts a form, or an attempt to log in, of somebody.
    pub(crate) fn count(&self, way: &Way, visitor: Option<&Visitor>) -> Result<(), Error> {
        // A name begins with a letter that no address begins with.
        let who = match (visitor, way.client) {
            (Some(visitor), _) => format!("@{}", visitor.name),
            (None, Some(address)) => address.to_string(),
            (None, None) => String::new(),
        };
        self.limits.count(&who, Instant::now()).map_err(|wait| Error::TooMany {
            seconds: wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
        })
    }

    /// The collections of a request.
    pub(crate) async fn selection(&self, ask: &Ask) -> Result<Selection, Error> {
        Selection::new(db::collections(&self.pool).await?, ask)
    }

    /// A frame without anything from the database.
    pub(crate) fn bare_frame(&self, ask: &Ask, title: String) -> Frame {
        Frame {
            clock: Clock { now: Utc::now() },
            addresses: self.addresses.clone(),
            style: self.addresses.to(&format!("/static/{}", self.assets.style)),
            forms: self.addresses.to(&format!("/static/{}", self.assets.forms)),
            script: self.addresses.to(&format!("/static/{}", self.assets.script)),
            find: self.addresses.to(&format!("/static/{}", self.assets.find)),
            theme: ask.theme,
            title,
            section: Section::None,
            tabs: Vec::new(),
            tabs_label: String::new(),
            notices: Vec::new(),
            fresh: None,
            search: String::new(),
            kept_collection: None,
            live: None,
            feed: None,
            here: ask.here(),
            visitor: ask.visitor.clone(),
            way_in: self.config.login.is_possible().then(|| self.login_address(&ask.here())),
            said: ask.said.clone(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The frame of an ordinary page about the chosen collections.
    pub(crate) async fn frame(
        &self,
        ask: &Ask,
        selection: &Selection,
        section: Section,
        title: String,
        tabs: Tabs<'_>,
    ) -> Result<Frame, Error> {
        let mut frame = self.bare_frame(ask, title);
        frame.section = section;
        frame.live = Some(5);
        let ids = selection.ids();
        let (notice, suspended, problems, running, waiting, known) = tokio::try_join!(
            db::admin_notice(&self.pool),
            suspended::notices(
                &self.pool,
                &ids,
                !matches!(tabs, Tabs::Package { .. }),
                &frame.clock
            ),
            db::buildroot_problems(&self.pool, &ids),
            db::running_builds(&self.pool),
            self.waiting(),
            self.freshness(),
        )?;
        if let Some(content) = notice.filter(|content| !content.trim().is_empty()) {
            frame.notices.push(Notice {
                lead: "Notice.".to_owned(),
                pieces: linked(content.trim()),
                details: Vec::new(),
            });
        }
        frame.notices.extend(suspended);
        for collection in &selection.chosen {
            let details: Vec<String> = problems
                .iter()
                .filter(|(id, _)| *id == collection.id)
                .map(|(_, problem)| problem.clone())
                .collect();
            if collection.latest_repo_resolved == Some(false) && !matches!(tabs, Tabs::Elsewhere) {
                frame.notices.push(Notice {
                    lead: "The base buildroot is not installable.".to_owned(),
                    pieces: vec![(
                        format!(
                            "Nothing can be built in {} until the packages of its build group install again; \
                             states of packages are from before.",
                            collection.display_name
                        ),
                        false,
                    )],
                    details: crate::problems::first(&details, 10),
                });
            }
        }
        let sum = |counts: &mut dyn Iterator<Item = (i32, i64)>| -> i64 {
            counts.filter(|(id, _)| ids.contains(id)).map(|(_, count)| count).sum()
        };
        let running = sum(&mut running.into_iter());
        let waiting = sum(&mut waiting.iter().map(|(id, count)| (*id, *count)));
        frame.fresh = Some(freshness(&frame.clock, &selection.chosen, &known, running, waiting));
        frame.tabs = self.tabs(ask, selection, &tabs);
        frame.tabs_label = match tabs {
            Tabs::Package { name, .. } => format!("{name} in other collections"),
            _ => "Collection".to_owned(),
        };
        if selection.named {
            frame.kept_collection = Some(
                selection.chosen.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(","),
            );
        }
        Ok(frame)
    }

    fn tabs(&self, ask: &Ask, selection: &Selection, tabs: &Tabs<'_>) -> Vec<Tab> {
        match tabs {
            Tabs::None | Tabs::Elsewhere => Vec::new(),
            Tabs::SamePage { all } => {
                let here = |query: String| format!("{}{query}", self.addresses.to(&ask.path));
                let one = (selection.chosen.len() == 1).then(|| selection.chosen.first()).flatten();
                let mut tabs: Vec<Tab> = selection
                    .all
                    .iter()
                    .map(|collection| Tab {
                        label: collection.display_name.clone(),
                        href: here(ask.with("collection", Some(&collection.name))),
                        current: one.is_some_and(|one| one.id == collection.id),
                        mark: None,
                    })
                    .collect();
                if let (Some(label), true) = (all, selection.all.len() > 1) {
                    tabs.push(Tab {
                        label: (*label).to_owned(),
                        href: here(ask.with("collection", Some(""))),
                        current: selection.chosen.len() == selection.all.len(),
                        mark: None,
                    });
                }
                tabs
            }
            Tabs::Package { name, states } => selection
                .all
                .iter()
                .filter_map(|collection| {
                    let (_, state) = states.iter().find(|(id, _)| *id == collection.id)?;
                    Some(Tab {
                        label: collection.display_name.clone(),
                        href: self.addresses.package(name, &collection.name),
                        current: selection.one().is_some_and(|one| one.id == collection.id),
                        mark: Some(Mark::state(*state)),
                    })
                })
                .collect(),
        }
    }

    /// Packages waiting for a build, per collection id. Counting them looks at all packages.
    pub(crate) async fn waiting(&self) -> koschei_db::Result<Arc<HashMap<i32, i64>>> {
        let (a, b) = self.config.priorities.time_coefficients();
        let threshold = self.config.priorities.build_threshold;
        let pool = self.pool.clone();
        let find = async move {
            Ok(db::waiting_packages(&pool, a, b, threshold).await?.into_iter().collect())
        };
        self.waiting.get((), find).await
    }

    /// How states of a collection went in the last days.
    pub(crate) async fn trend(&self, collection: i32) -> koschei_db::Result<Arc<Vec<Day>>> {
        let pool = self.pool.clone();
        let find = async move {
            let now = Utc::now();
            let first = now.date_naive() - chrono::TimeDelta::days(trend::DAYS);
            let since = first.and_time(chrono::NaiveTime::MIN).and_utc();
            let ids = [collection];
            let (counts, turns) =
                tokio::try_join!(db::counts(&pool, &ids), db::turns(&pool, collection, since))?;
            let counts = counts.first().copied().unwrap_or_default();
            Ok(trend::days(now, counts.failing, counts.unresolved, &turns))
        };
        self.trend.get(collection, find).await
    }

    /// The global groups, to choose from.
    pub(crate) async fn groups(&self) -> koschei_db::Result<Arc<Vec<GroupRow>>> {
        let pool = self.pool.clone();
        self.groups.get((), async move { db::groups(&pool).await }).await
    }

    /// How up to date the collections are. Counting what is still to be resolved looks at all packages.
    pub(crate) async fn freshness(&self) -> koschei_db::Result<Arc<Vec<Freshness>>> {
        let pool = self.pool.clone();
        let find = async move {
            let mut connection = pool.acquire().await?;
            db_freshness::of_all(&mut connection).await
        };
        self.freshness.get((), find).await
    }

    /// The unresolved packages of these collections with their problems, which the front page, the root causes and the
    /// pages of unresolved packages group.
    pub(crate) async fn unresolved(
        &self,
        collections: &[i32],
    ) -> koschei_db::Result<Arc<Vec<UnresolvedPackage>>> {
        let (pool, ids) = (self.pool.clone(), collections.to_vec());
        let find = async move { db::unresolved_packages(&pool, &ids).await };
        self.unresolved.get(collections.to_vec(), find).await
    }

    /// The page for an error. Without a database it has no tabs; it never fails for that.
    pub(crate) async fn error_page(
        &self,
        ask: &Ask,
        error: &Error,
    ) -> Result<String, askama::Error> {
        let (title, advice) = error.words();
        let (similar, search) = match error {
            Error::NotFound { similar, search, .. } => (similar.clone(), search.clone()),
            _ => (Vec::new(), String::new()),
        };
        let mut frame = self.bare_frame(ask, title.clone());
        frame.search.clone_from(&search);
        ErrorPage {
            frame: &frame,
            title: &title,
            advice: &advice,
            similar: &similar,
            search: &search,
            code: error.status().as_u16(),
            reason: error.status().canonical_reason().unwrap_or_default(),
            path: &ask.path,
            way_in: error.way_in(),
            findable: matches!(error, Error::NotFound { .. }),
        }
        .render()
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: &'a Frame,
    title: &'a str,
    advice: &'a str,
    similar: &'a [(String, String)],
    search: &'a str,
    code: u16,
    reason: &'a str,
    path: &'a str,
    way_in: Option<&'a str>,
    findable: bool,
}

/// Cuts a text into pieces, of which those that are web addresses are marked.
pub(crate) fn linked(text: &str) -> Vec<(String, bool)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = ["https://", "http://"].iter().filter_map(|scheme| rest.find(scheme)).min()
    {
        let (before, address) = rest.split_at(at);
        let end = address
            .find(|c: char| c.is_whitespace() || "<>\"'".contains(c))
            .unwrap_or(address.len());
        // A full stop or bracket at the end belongs to the sentence.
        let end = address
            .get(..end)
            .map_or(end, |text| text.trim_end_matches(['.', ',', ';', ')', '!', '?']).len());
        let (address, after) = address.split_at(end);
        if !before.is_empty() {
            pieces.push((before.to_owned(), false));
        }
        pieces.push((address.to_owned(), true));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push((rest.to_owned(), false));
    }
    pieces
}

/// A newest repo that was seen longer ago than this makes a page stale.
const STALE_AFTER: chrono::TimeDelta = chrono::TimeDelta::hours(24);

/// Why what is known of a collection may be out of date, as a sentence; the base buildroot has a line of its own.
pub(crate) fn stale(
    clock: &Clock,
    collection: &CollectionRow,
    known: Option<&Freshness>,
) -> Option<String> {
    let facts = known.map_or_else(Facts::default, |known| Facts {
        looked: known.looked,
        repo_made: known.repo_made,
        trouble: known.trouble.as_deref().zip(known.trouble_since),
        ..Facts::default()
    });
    let as_of = |time| format!("{}, {} ago", clock.long(time), clock.age(time));
    match reasons(&facts, clock.now).into_iter().next() {
        Some(Stale::Trouble { what, since }) => {
            Some(format!("Since {} ({}): {what}", clock.long(since), clock.age(since)))
        }
        Some(Stale::NotLooking { since }) => Some(format!(
            "Nobody has asked Koji for newer repos since {}: the service that does is not running.",
            as_of(since)
        )),
        // Before the service runs for the first time nothing is known of it, but maybe of a repo.
        Some(Stale::NeverLooked) if collection.latest_repo_id.is_none() => {
            Some("No Koji repo was looked at yet.".to_owned())
        }
        Some(Stale::OldRepo { made }) => Some(format!(
            "Koji has made no repo that is newer than {}, which is of {}; what you see is right as of then.",
            collection.latest_repo_id.map(|id| id.to_string()).unwrap_or_default(),
            as_of(made)
        )),
        _ => {
            let seen = collection.latest_repo_seen?;
            (clock.now - seen > STALE_AFTER).then(|| {
                format!(
                    "No Koji repo is newer than {}, seen first on {}; what you see is right as of then.",
                    collection.latest_repo_id.map(|id| id.to_string()).unwrap_or_default(),
                    as_of(seen)
                )
            })
        }
    }
}

/// The line that says how fresh what is shown is.
fn freshness(
    clock: &Clock,
    chosen: &[CollectionRow],
    known: &[Freshness],
    running: i64,
    waiting: i64,
) -> Fresh {
    let queue =
        format!("{} running, {} waiting", text::plural(running, "build"), text::count(waiting));
    let of = |one: &CollectionRow| known.iter().find(|known| known.collection_id == one.id);
    let mut parts = Vec::new();
    let mut is_stale = false;
    let mut lead = "Newest:";
    match chosen {
        [] => parts.push("no collection yet".to_owned()),
        [one] => match (stale(clock, one, of(one)), one.latest_repo_id, one.latest_repo_seen) {
            (Some(reason), ..) => {
                is_stale = true;
                lead = "Stale.";
                parts.push(reason);
            }
            (None, Some(repo), Some(seen)) => {
                lead = "Fresh:";
                parts.push(format!(
                    "Koji repo {repo}, seen first {}, {} ago",
                    seen.format("%H:%M"),
                    clock.age(seen)
                ));
            }
            (None, Some(repo), None) => parts.push(format!("Koji repo {repo}")),
            (None, None, _) => parts.push("no Koji repo was looked at yet".to_owned()),
        },
        several => {
            let out_of_date: Vec<String> = several
                .iter()
                .filter(|one| stale(clock, one, of(one)).is_some())
                .map(|one| one.display_name.clone())
                .collect();
            if out_of_date.is_empty() {
                lead = "Koji repos:";
                let repos: Vec<String> = several
                    .iter()
                    .filter_map(|one| {
                        one.latest_repo_id.map(|repo| format!("{} {repo}", one.display_name))
                    })
                    .collect();
                // Of many collections nobody reads the numbers; the page of collections has them.
                parts.push(if repos.len() <= 5 {
                    repos.join(", ")
                } else {
                    text::plural(several.len() as i64, "collection")
                });
            } else {
                is_stale = true;
                lead = "Stale:";
                parts.push(match out_of_date.len() {
                    few @ 1..=5 => format!(
                        "{}; choose {} to see why",
                        text::enumeration(&out_of_date),
                        if few == 1 { "it" } else { "one" }
                    ),
                    many => format!("{many} of {} collections", several.len()),
                });
            }
        }
    }
    if let [one] = chosen
        && let Some(packages) = of(one).map(|known| known.waiting).filter(|count| *count > 0)
    {
        let repo = match one.latest_repo_id {
            // Named just before.
            _ if !is_stale => "it".to_owned(),
            Some(repo) => format!("Koji repo {repo}"),
            None => "the next Koji repo".to_owned(),
        };
        parts.push(format!("{} still to be resolved in {repo}", text::plural(packages, "package")));
    }
    parts.retain(|part| !part.is_empty());
    parts.push(queue);
    Fresh { stale: is_stale, lead, parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_a_notice_become_links_and_nothing_else_does() {
        let pieces = linked("Outage <b>today</b>, see https://status.example/a?b=c. Or http://x)");
        let links: Vec<&str> =
            pieces.iter().filter(|(_, link)| *link).map(|(text, _)| text.as_str()).collect();
        assert_eq!(links, ["https://status.example/a?b=c", "http://x"]);
        let all: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(all, "Outage <b>today</b>, see https://status.example/a?b=c. Or http://x)");
    }
}
