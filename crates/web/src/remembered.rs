//! Answers that are given again for as long as nothing was committed to the database.
//!
//! Most readers ask for the same few pages, programs for the same long lists, and between two commits all of them get the
//! same. Whether something was committed PostgreSQL tells for next to nothing: two statements see the same data when, and
//! only when, their snapshots are the same. So an answer is remembered together with a snapshot that was taken before
//! anything was read for it, each reader's request takes the snapshot anew, and whoever finds it unchanged gets the
//! answer. Nobody sees less than what was committed before they asked.
//!
//! Pages also tell times relative to now; these are remembered for some seconds only.
//!
//! Only what everybody gets alike belongs here: answers for people who are logged in do not.

use std::collections::HashMap;
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
        // These set cookies, or need no database.
        *method == Method::GET
            && !["/login", "/logout", "/theme", "/static/", "/favicon"]
                .iter()
                .any(|start| self.address.starts_with(start))
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
            .is_some_and(|value| value.split(',').any(|one| one.trim() == content.tag));
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

/// A place for an answer; whoever comes first finds it, and the others wait for it.
type Place = Arc<OnceCell<Answer>>;

#[derive(Debug, Default)]
struct Store {
    seen: Option<Seen>,
    answers: HashMap<Question, (Place, Instant)>,
    bytes: usize,
}

/// The remembered answers.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    latest: tokio::sync::Mutex<Option<Seen>>,
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
        // Without a database the answer is a page that says so.
        let Ok(seen) = self.look(pool).await else { return find.await };
        let place = self.place(&seen, &question);
        let mut found = false;
        let answer = place
            .get_or_try_init(async || {
                found = true;
                find.await
            })
            .await?
            .clone();
        if found {
            self.keep_or_not(&question, &place, &answer);
        }
        Ok(answer)
    }

    /// What is committed now. Readers who come while PostgreSQL is being asked for another may share the next answer:
    /// it was asked for after they came.
    async fn look(&self, pool: &Pool) -> koschei_db::Result<Seen> {
        let came = Instant::now();
        let mut latest = self.latest.lock().await;
        if let Some(seen) = latest.as_ref().filter(|seen| seen.asked >= came) {
            return Ok(seen.clone());
        }
        let asked = Instant::now();
        let snapshot = db::snapshot(pool).await?;
        let seen = Seen { snapshot: snapshot.into(), asked };
        *latest = Some(seen.clone());
        Ok(seen)
    }

    fn locked(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, seen: &Seen, question: &Question) -> Place {
        let mut store = self.locked();
        let same = |known: &Seen| known.snapshot == seen.snapshot;
        // What was committed later than this reader came is as good.
        if !store.seen.as_ref().is_some_and(|known| same(known) || known.asked > seen.asked) {
            *store = Store { seen: Some(seen.clone()), ..Store::default() };
        }
        let now = Instant::now();
        if let Some((place, until)) = store.answers.get(question)
            && *until > now
        {
            return place.clone();
        }
        let place = Place::default();
        let new = (place.clone(), now + question.lasts());
        let old = store.answers.insert(question.clone(), new);
        if let Some(answer) = old.as_ref().and_then(|(place, _)| place.get()) {
            store.bytes -= question.size(answer);
        }
        place
    }

    /// Counts an answer that was just found, and forgets everything when it is too much.
    fn keep_or_not(&self, question: &Question, place: &Place, answer: &Answer) {
        let mut store = self.locked();
        let ours = store.answers.get(question).is_some_and(|(kept, _)| Arc::ptr_eq(kept, place));
        if !ours {
            return;
        }
        store.bytes += question.size(answer);
        if store.bytes > ROOM {
            store.answers.clear();
            store.bytes = 0;
        }
    }
}
