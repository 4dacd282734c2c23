//! What can go wrong with a request, and what the reader is told: what is wrong, what to do, the code last and small.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Why a request has no ordinary answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such page or thing.
    #[error("{title}")]
    NotFound {
        /// What does not exist, as a heading.
        title: String,
        /// What to do.
        advice: String,
        /// Names that may have been meant, with their addresses.
        similar: Vec<(String, String)>,
        /// What to put into the search field.
        search: String,
    },
    /// The request asks for something that makes no sense.
    #[error("{title}")]
    BadRequest {
        /// What is wrong, as a heading.
        title: String,
        /// What to do.
        advice: String,
    },
    /// Nobody is logged in, where somebody has to be.
    #[error("You have to log in first")]
    LoginNeeded {
        /// Where to log in, if that is possible.
        way_in: Option<String>,
    },
    /// A login did not succeed.
    #[error("{title}")]
    Unauthorized {
        /// What is wrong, as a heading.
        title: String,
        /// What to do.
        advice: String,
        /// Where to try again.
        way_in: Option<String>,
    },
    /// Whoever asks may not do that.
    #[error("{title}")]
    Forbidden {
        /// What is wrong, as a heading.
        title: String,
        /// What to do.
        advice: String,
    },
    /// A form is larger than any that makes sense.
    #[error("This form is too large")]
    TooLarge,
    /// Somebody sends more forms than a person does.
    #[error("Too many forms at once")]
    TooMany {
        /// After which they may go on.
        seconds: u64,
    },
    /// Somebody else whom we have to ask does not answer.
    #[error("{title}")]
    Away {
        /// Who, as a heading.
        title: String,
        /// What to do.
        advice: String,
    },
    /// The address exists, but not for this method.
    #[error("This address cannot be used that way")]
    Method,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] koschei_db::Error),
    /// A page could not be rendered.
    #[error("template: {0}")]
    Template(#[from] askama::Error),
    /// An answer for programs could not be written.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The error of a response, for [`crate::frame`] to make a page or JSON of.
#[derive(Debug, Clone)]
pub(crate) struct Failed(pub(crate) Arc<Error>);

impl Error {
    /// A thing that does not exist.
    pub(crate) fn not_found(title: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::NotFound {
            title: title.into(),
            advice: advice.into(),
            similar: Vec::new(),
            search: String::new(),
        }
    }

    /// A request that makes no sense.
    pub(crate) fn bad_request(title: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::BadRequest { title: title.into(), advice: advice.into() }
    }

    /// A page past the end of a list.
    pub(crate) fn no_such_page(page: u32, pages: u32) -> Self {
        Self::not_found(
            format!("There is no page {page}"),
            format!("The list has {}.", crate::text::plural(i64::from(pages), "page")),
        )
    }

    /// Whether trying again later may help: the database is away, not wrong.
    fn is_transient(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_transient())
    }

    /// Where to log in, when that helps.
    pub(crate) fn way_in(&self) -> Option<&str> {
        match self {
            Self::LoginNeeded { way_in } | Self::Unauthorized { way_in, .. } => way_in.as_deref(),
            _ => None,
        }
    }

    /// After how many seconds to try again, when that helps.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooMany { seconds } => Some(*seconds),
            error => (error.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(30),
        }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::LoginNeeded { .. } | Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Away { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Database(_) if self.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) | Self::Template(_) | Self::Json(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// Heading and advice for people. Nothing of the inside of the server is told.
    pub(crate) fn words(&self) -> (String, String) {
        match self {
            Self::NotFound { title, advice, .. }
            | Self::BadRequest { title, advice }
            | Self::Unauthorized { title, advice, .. }
            | Self::Forbidden { title, advice }
            | Self::Away { title, advice } => (title.clone(), advice.clone()),
            Self::LoginNeeded { way_in } => (
                self.to_string(),
                if way_in.is_some() {
                    "Nothing was changed. Log in, go back, open the page again and send it once more."
                } else {
                    "Only people who are logged in may change anything, and this installation has no login set up."
                }
                .to_owned(),
            ),
            Self::TooLarge => (
                self.to_string(),
                format!(
                    "Nothing was changed. A form may have {} bytes; send the names in several turns.",
                    crate::text::count(crate::forms::LARGEST as i64)
                ),
            ),
            Self::TooMany { seconds } => (
                self.to_string(),
                format!(
                    "Nothing was changed. Wait {} and send it again.",
                    crate::text::plural(i64::try_from(*seconds).unwrap_or(60), "second")
                ),
            ),
            Self::Method => (
                self.to_string(),
                "The address exists, but it does not take this kind of request.".to_owned(),
            ),
            Self::Database(_) if self.is_transient() => (
                "The database does not answer".to_owned(),
                "Koschei cannot read its data at the moment. This page works again as soon as the database is \
                 back; try it in a minute."
                    .to_owned(),
            ),
            Self::Database(_) | Self::Template(_) | Self::Json(_) => (
                "This page could not be made".to_owned(),
                "The fault is in Koschei, not in your request; it has been written to the log. Other pages may \
                 well work."
                    .to_owned(),
            ),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(%status, error = %self, "a page could not be made");
        }
        let mut response = status.into_response();
        response.extensions_mut().insert(Failed(Arc::new(self)));
        response
    }
}
