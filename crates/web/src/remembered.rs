//! Answers that are given again for as long as nothing was committed to the database.
//!
//! Most readers ask for the same few pages, programs for the same long lists, and between two commits all of them get the
//! same. Whether something was committed PostgreSQL tells for next to nothing: two statements see the same data when, and
//! only when, their snapshots are the same. So an answer is remembered together with a snapshot that was taken before
//! anything was read for it, each reader's request takes the snapshot anew, and whoever finds it unchanged gets the
//! answer. What an answer reads from the database for itself is therefore never less than what was committed before its
//! reader asked. What the site keeps for a while whatever is committed (`kept`) is in an answer as old as it was when the
//! answer was found, and gets older with it.
//!
//! Pages also tell times relative to now; these are remembered for some seconds only.
//!
//! Where the snapshot cannot be had soon, or says nothing (on a standby), nothing is remembered and everybody's answer is
//! found for them. Readers wait for each other only for what is likely to spare them work: never for one failure after
//! another.
//!
//! Only what everybody gets alike belongs here: answers for people who are logged in do not.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use koschei_db::Pool;
use koschei_db::pages as db;
use tokio::sync::OnceCell;

use crate::assets::fingerprint;
use crate::packing::Encoding;

/// So long a page with a clock in it is given again.
const WITH_CLOCK: Duration = Duration::from_secs(5);
/// So long anything is.
const LONGEST: Duration = Duration::from_secs(3600);
/// All answers together have at most so many bytes, with what is added to each for its keeping and packing.
const ROOM: usize = 48 << 20;
/// So many questions are known at a time, answered or not.
const QUESTIONS: usize = 4096;
/// Longer addresses are asked by nobody twice.
const LONGEST_ADDRESS: usize = 2048;
/// So long the database may take to tell what is committed. An answer that is found without knowing is as good.
const PATIENCE: Duration = Duration::from_secs(1);
/// Largest answer that gets an entity tag; larger ones are passed on as they come.
const LARGEST: usize = 64 << 20;

/// What an answer depends on beside the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// Path below the prefix, and query.
    pub(crate) address: String,
    /// The reader's theme.
    pub(crate) theme: Option<&'static str>,
}

impl Question {
    /// Whether the answer to this request may be given to the next reader as well, if neither is logged in.
    pub(crate) fn is_common(&self, method: &Method) -> bool {
        // These set cookies, or need no database, so that they are there without one.
        const OTHERS: [&str; 8] = [
            "/login",
            "/logout",
            "/theme",
            "/static/",
            "/favicon",
            "/documentation",
            "/robots.txt",
            "/api/v1/openapi.json",
        ];
        *method == Method::GET
            && self.address.len() <= LONGEST_ADDRESS
            && !OTHERS.iter().any(|start| self.address.starts_with(start))
    }

    /// How long the answer is right while the database does not change.
    fn lasts(&self) -> Duration {
        let without_clock = ["/badge/", "/api/v1/packages?", "/api/v1/collections/diff/"];
        if without_clock.iter().any(|start| self.address.starts_with(start))
            || self.address == "/api/v1/packages"
        {
            LONGEST
        } else {
            WITH_CLOCK
        }
    }

    /// What keeping an answer takes, about: most are a quarter as large when packed.
    fn size(&self, answer: &Answer) -> usize {
        let body = answer.0.plain.len();
        body + body / 4 + self.address.len() + 1024
    }
}

/// An answer with its body, as often as needed.
#[derive(Debug, Clone)]
pub(crate) struct Answer(Arc<Content>);

#[derive(Debug)]
struct Content {
    headers: HeaderMap,
    tag: String,
    plain: Bytes,
    gzip: OnceCell<Option<Bytes>>,
    zstd: OnceCell<Option<Bytes>>,
}

/// Smaller answers are sent as they are.
const WORTH_PACKING: usize = 1024;

impl Answer {
    /// Reads a good answer to its end and gives it an entity tag.
    ///
    /// # Errors
    /// Any other response comes back as it is.
    #[allow(clippy::result_large_err, reason = "it is no error but the other kind of answer")]
    pub(crate) async fn of(response: Response) -> Result<Self, Response> {
        if response.status() != StatusCode::OK
            || response.body().size_hint().lower() > LARGEST as u64
        {
            return Err(response);
        }
        let (parts, body) = response.into_parts();
        let plain = axum::body::to_bytes(body, LARGEST).await.map_err(|error| {
            tracing::error!(%error, "an answer could not be collected");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        })?;
        let mut headers = parts.headers;
        let tag = format!("W/\"{}\"", fingerprint(&plain));
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        if let Ok(value) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, value);
        }
        headers.remove(header::CONTENT_LENGTH);
        Ok(Self(Arc::new(Content {
            headers,
            tag,
            plain,
            gzip: OnceCell::new(),
            zstd: OnceCell::new(),
        })))
    }

    /// The response for a reader: 304 when they have this very content already, else packed as they understand it.
    pub(crate) async fn response(
        &self,
        if_none_match: Option<&HeaderValue>,
        encoding: Encoding,
    ) -> Response {
        let content = &self.0;
        let same = if_none_match
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.split(',').any(|one| is_same(one.trim(), &content.tag)));
        let mut response = Response::new(Body::empty());
        response.headers_mut().clone_from(&content.headers);
        if same {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(header::CONTENT_TYPE);
            return response;
        }
        let packed = match encoding {
            Encoding::Gzip => self.packed(&content.gzip, encoding).await,
            Encoding::Zstd => self.packed(&content.zstd, encoding).await,
            Encoding::Plain => None,
        };
        if let Some(packed) = packed {
            let name = HeaderValue::from_static(encoding.name());
            response.headers_mut().insert(header::CONTENT_ENCODING, name);
            *response.body_mut() = Body::from(packed);
        } else {
            *response.body_mut() = Body::from(content.plain.clone());
        }
        response
    }

    /// The packed body, made for the first reader who understands it.
    async fn packed(&self, place: &OnceCell<Option<Bytes>>, encoding: Encoding) -> Option<Bytes> {
        let plain = &self.0.plain;
        let packable = self.0.headers.get(header::CONTENT_TYPE).is_some_and(is_text);
        if !packable || plain.len() < WORTH_PACKING {
            return None;
        }
        let pack = async || {
            let plain = plain.clone();
            // Packing a large answer takes as long as finding it; others must not wait for it.
            if plain.len() > 1 << 17 {
                let packed = tokio::task::spawn_blocking(move || encoding.pack(&plain)).await;
                packed.unwrap_or_default()
            } else {
                encoding.pack(&plain)
            }
        };
        place.get_or_init(async || pack().await.map(Bytes::from)).await.clone()
    }
}

fn is_text(kind: &HeaderValue) -> bool {
    let kind = kind.as_bytes();
    kind.starts_with(b"text/")
        || kind.starts_with(b"application/json")
        || kind.starts_with(b"application/atom+xml")
        || kind.starts_with(b"image/svg+xml")
}

/// What was committed, at a time.
#[derive(Debug, Clone)]
struct Seen {
    snapshot: Arc<str>,
    /// Just before PostgreSQL was asked.
    asked: Instant,
}

/// What PostgreSQL said when it was asked last.
#[derive(Debug)]
struct Look {
    /// Just before it was asked.
    asked: Instant,
    /// `None` when it did not say, or not in time.
    snapshot: Option<Arc<str>>,
}

/// A place for an answer; whoever comes first finds it, and the others wait for it.
#[derive(Debug, Default)]
struct Place {
    answer: OnceCell<Answer>,
    /// Whoever came first found none: the others look for themselves, all at once.
    failed: AtomicBool,
}

/// A question that was asked, with what is known of its answer.
#[derive(Debug)]
struct Entry {
    place: Arc<Place>,
    /// When it was asked, or, as soon as there is an answer, when that was found.
    since: Instant,
    /// Until when the answer is right; `None` while it is being found.
    until: Option<Instant>,
    /// What keeping the answer takes; nothing while it is being found.
    size: usize,
}

/// The answers that are right for what was seen.
#[derive(Debug, Default)]
struct Store {
    seen: Option<Seen>,
    entries: HashMap<Question, Entry>,
}

impl Store {
    fn bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.size).sum()
    }

    /// Where the answer to a question is, or will be.
    fn place(&mut self, question: &Question, now: Instant) -> Arc<Place> {
        if let Some(entry) = self.entries.get(question)
            && entry.until.is_none_or(|until| until > now)
        {
            return entry.place.clone();
        }
        if self.entries.len() >= QUESTIONS {
            self.make_room(now);
        }
        let place = Arc::<Place>::default();
        let entry = Entry { place: place.clone(), since: now, until: None, size: 0 };
        self.entries.insert(question.clone(), entry);
        place
    }

    /// Counts an answer that was just found, unless it is too large or its place was given up.
    fn keep(&mut self, question: &Question, place: &Arc<Place>, size: usize, now: Instant) {
        if size > ROOM / 2 {
            self.forget(question, place);
            return;
        }
        let Some(entry) = self.entries.get_mut(question) else { return };
        if !Arc::ptr_eq(&entry.place, place) {
            return;
        }
        (entry.since, entry.until, entry.size) = (now, Some(now + question.lasts()), size);
        if self.bytes() > ROOM {
            self.make_room(now);
        }
    }

    /// Gives a place up, unless the question has got another one since.
    fn forget(&mut self, question: &Question, place: &Arc<Place>) {
        if self.entries.get(question).is_some_and(|entry| Arc::ptr_eq(&entry.place, place)) {
            self.entries.remove(question);
        }
    }

    /// Forgets what is no longer right, and then the oldest until a quarter is free, so that this is rarely needed.
    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, entry| entry.until.is_none_or(|until| until > now));
        let mut by_age: Vec<_> =
            self.entries.values().map(|entry| (entry.since, entry.size)).collect();
        by_age.sort_unstable();
        let (mut count, mut bytes) = (by_age.len(), self.bytes());
        let mut last = None;
        for (since, size) in by_age {
            if count <= QUESTIONS / 4 * 3 && bytes <= ROOM / 4 * 3 {
                break;
            }
            (count, bytes) = (count - 1, bytes - size);
            last = Some(since);
        }
        if let Some(last) = last {
            self.entries.retain(|_, entry| entry.since > last);
        }
    }
}

/// The remembered answers.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    latest: tokio::sync::Mutex<Option<Look>>,
    store: Mutex<Store>,
}

impl Remembered {
    /// The remembered answer to a question, or the one that is found now.
    ///
    /// # Errors
    /// What is found and is no answer for everybody.
    #[allow(clippy::result_large_err, reason = "it is no error but the other kind of answer")]
    pub(crate) async fn get(
        &self,
        pool: &Pool,
        question: Question,
        find: impl Future<Output = Result<Answer, Response>>,
    ) -> Result<Answer, Response> {
        match self.look(pool).await {
            Some(seen) => self.answer(&seen, &question, find).await,
            // Without a database the answer is a page that says so.
            None => find.await,
        }
    }

    /// The answer to a question for a reader who has seen this.
    #[allow(clippy::result_large_err, reason = "it is no error but the other kind of answer")]
    async fn answer(
        &self,
        seen: &Seen,
        question: &Question,
        find: impl Future<Output = Result<Answer, Response>>,
    ) -> Result<Answer, Response> {
        let place = self.place(seen, question);
        let mut find = pin!(find);
        let mut found = false;
        let answer = place
            .answer
            .get_or_try_init(async || {
                // Nobody else gets in here meanwhile, so whoever was told so leaves at once.
                if place.failed.load(Ordering::Acquire) {
                    return Err(None);
                }
                found = true;
                find.as_mut().await.map_err(|response| {
                    place.failed.store(true, Ordering::Release);
                    Some(response)
                })
            })
            .await;
        match answer {
            Ok(answer) => {
                if found {
                    let size = question.size(answer);
                    self.locked().keep(question, &place, size, Instant::now());
                }
                Ok(answer.clone())
            }
            Err(Some(response)) => {
                self.locked().forget(question, &place);
                Err(response)
            }
            Err(None) => find.await,
        }
    }

    /// What is committed now, if that can be known. Readers who come while PostgreSQL is being asked for another may share
    /// the next answer, or that there is none: it was asked for after they came.
    async fn look(&self, pool: &Pool) -> Option<Seen> {
        let came = Instant::now();
        let mut latest = self.latest.lock().await;
        let look = match latest.take() {
            Some(look) if look.asked >= came => look,
            _ => {
                let asked = Instant::now();
                // Errors are told by whoever finds the answer.
                let said = tokio::time::timeout(PATIENCE, db::snapshot(pool)).await;
                let snapshot = said.ok().and_then(Result::ok).flatten();
                Look { asked, snapshot: snapshot.map(Into::into) }
            }
        };
        let look = latest.insert(look);
        let snapshot = look.snapshot.clone()?;
        Some(Seen { snapshot, asked: look.asked })
    }

    fn locked(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, seen: &Seen, question: &Question) -> Arc<Place> {
        let mut store = self.locked();
        let same = |known: &Seen| known.snapshot == seen.snapshot;
        // What was committed later than this reader came is as good.
        if !store.seen.as_ref().is_some_and(|known| same(known) || known.asked > seen.asked) {
            *store = Store { seen: Some(seen.clone()), ..Store::default() };
        }
        store.place(question, Instant::now())
    }
}

/// Whether a tag of a reader names the content with a tag of ours. Weak or strong makes no difference here, and `*` names
/// whatever there is (RFC 9110, section 13.1.2).
fn is_same(theirs: &str, ours: &str) -> bool {
    let bare = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    theirs == "*" || bare(theirs) == bare(ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Barrier;

    /// More than enough for what takes a second or two, and less than a queue of readers needs who try one by one.
    const SOON: Duration = Duration::from_secs(25);

    fn question(address: &str) -> Question {
        Question { address: address.to_owned(), theme: None }
    }

    fn seen() -> Seen {
        Seen { snapshot: "1:1:".into(), asked: Instant::now() }
    }

    async fn answer(text: &'static str) -> Result<Answer, Response> {
        Answer::of(text.into_response()).await
    }

    #[tokio::test]
    async fn readers_do_not_queue_for_a_database_that_is_away() {
        const READERS: usize = 8;
        let (mut cluster, config) = koschei_db::testing::cluster().await;
        let pool = koschei_db::connect(&config).await.unwrap();
        let remembered = Arc::new(Remembered::default());
        let counted = async |count: &AtomicUsize| {
            count.fetch_add(1, Ordering::SeqCst);
            answer("found").await
        };
        let count = AtomicUsize::new(0);
        remembered.get(&pool, question("/stats"), counted(&count)).await.unwrap();
        remembered.get(&pool, question("/stats"), counted(&count)).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1, "nothing was committed");

        cluster.stop().await.unwrap();
        let meeting = Arc::new(Barrier::new(READERS));
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (remembered, pool, meeting) =
                    (remembered.clone(), pool.clone(), meeting.clone());
                tokio::spawn(async move {
                    let find = async {
                        meeting.wait().await;
                        Err(StatusCode::SERVICE_UNAVAILABLE.into_response())
                    };
                    remembered.get(&pool, question("/stats"), find).await.unwrap_err().status()
                })
            })
            .collect();
        for reader in readers {
            let status =
                tokio::time::timeout(SOON, reader).await.expect("all look at once").unwrap();
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        }
    }

    #[tokio::test]
    async fn when_nothing_is_found_all_who_waited_look_at_once() {
        const WAITING: usize = 8;
        let (remembered, seen) = (Arc::new(Remembered::default()), seen());
        let (begun, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let first = tokio::spawn({
            let (remembered, seen) = (remembered.clone(), seen.clone());
            let (begun, go) = (begun.clone(), go.clone());
            async move {
                let find = async {
                    begun.wait().await;
                    go.wait().await;
                    Err(StatusCode::NOT_FOUND.into_response())
                };
                remembered
                    .answer(&seen, &question("/package/none"), find)
                    .await
                    .unwrap_err()
                    .status()
            }
        });
        begun.wait().await;
        let meeting = Arc::new(Barrier::new(WAITING));
        let others: Vec<_> = (0..WAITING)
            .map(|_| {
                let (remembered, seen, meeting) =
                    (remembered.clone(), seen.clone(), meeting.clone());
                tokio::spawn(async move {
                    let find = async {
                        // One after another they would never meet.
                        meeting.wait().await;
                        Err(StatusCode::NOT_FOUND.into_response())
                    };
                    let question = question("/package/none");
                    remembered.answer(&seen, &question, find).await.unwrap_err().status()
                })
            })
            .collect();
        // All of them have the place: the store, the first, and they.
        while remembered
            .locked()
            .entries
            .values()
            .any(|e| Arc::strong_count(&e.place) < WAITING + 2)
        {
            tokio::task::yield_now().await;
        }
        go.wait().await;
        assert_eq!(first.await.unwrap(), StatusCode::NOT_FOUND);
        for other in others {
            let status =
                tokio::time::timeout(SOON, other).await.expect("all look at once").unwrap();
            assert_eq!(status, StatusCode::NOT_FOUND);
        }
        assert!(remembered.locked().entries.is_empty(), "what is not there takes no room");
        let found =
            remembered.answer(&seen, &question("/package/none"), answer("it is here")).await;
        assert!(found.is_ok(), "and is looked for again");
    }

    #[test]
    fn the_oldest_questions_make_room() {
        let mut store = Store::default();
        let start = Instant::now();
        let at = |number: usize| start + Duration::from_nanos(number as u64);
        for number in 0..=QUESTIONS {
            store.place(&question(&format!("/package/{number}")), at(number));
        }
        assert!(store.entries.len() <= QUESTIONS);
        assert!(!store.entries.contains_key(&question("/package/0")));
        assert!(store.entries.contains_key(&question(&format!("/package/{QUESTIONS}"))));
        let long = question(&format!("/packages?search={}", "a".repeat(LONGEST_ADDRESS)));
        assert!(!long.is_common(&Method::GET));
    }

    #[test]
    fn the_oldest_answers_make_room_and_a_very_large_one_is_not_kept() {
        let mut store = Store::default();
        let start = Instant::now();
        let mut keep = |address: &str, size: usize, after: u64| {
            let now = start + Duration::from_nanos(after);
            let place = store.place(&question(address), now);
            store.keep(&question(address), &place, size, now);
            let mut known: Vec<_> = store.entries.keys().map(|q| q.address.clone()).collect();
            known.sort();
            assert!(store.bytes() <= ROOM);
            known
        };
        keep("/a", ROOM / 4, 1);
        keep("/b", ROOM / 2, 2);
        assert_eq!(keep("/large", ROOM / 2 + 1, 3), ["/a", "/b"]);
        assert_eq!(keep("/c", ROOM / 4, 4), ["/a", "/b", "/c"]);
        assert_eq!(keep("/d", ROOM / 4, 5), ["/c", "/d"]);
        // Another place of the same question does not count twice, nor does one that was given up.
        let later = start + LONGEST;
        let place = store.place(&question("/d"), later);
        store.place(&question("/e"), later);
        store.keep(&question("/e"), &place, 1, later);
        store.forget(&question("/e"), &place);
        assert_eq!(store.entries[&question("/e")].size, 0);
        assert_eq!(store.bytes(), ROOM / 4, "of /c, which nobody asked for again");
    }

    #[test]
    fn an_answer_lasts_from_when_it_was_found() {
        let mut store = Store::default();
        let asked = Instant::now();
        let place = store.place(&question("/stats"), asked);
        let found = asked + Duration::from_secs(20);
        assert!(Arc::ptr_eq(&place, &store.place(&question("/stats"), found)));
        store.keep(&question("/stats"), &place, 1, found);
        let soon = found + WITH_CLOCK / 2;
        assert!(Arc::ptr_eq(&place, &store.place(&question("/stats"), soon)));
        assert!(!Arc::ptr_eq(&place, &store.place(&question("/stats"), found + WITH_CLOCK)));
    }
}
