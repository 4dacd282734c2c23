//! How answers are packed for readers who understand it.

use axum::http::{HeaderMap, header};

/// How an answer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Gzip,
    Zstd,
}

impl Encoding {
    /// The best that the reader understands (RFC 9110, section 12.5.3).
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let understood = |name: &str| {
            headers
                .get_all(header::ACCEPT_ENCODING)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .filter_map(|one| {
                    let mut parts = one.split(';');
                    let is_it = parts.next()?.trim().eq_ignore_ascii_case(name);
                    let weight = parts.find_map(|part| part.trim().strip_prefix("q="));
                    is_it.then(|| {
                        weight.is_none_or(|q| q.trim().parse::<f32>().is_ok_and(|q| q > 0.0))
                    })
                })
                .next()
                .unwrap_or(false)
        };
        if understood("zstd") {
            Self::Zstd
        } else if understood("gzip") {
            Self::Gzip
        } else {
            Self::Plain
        }
    }

    /// Its name in headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The packed content.
    pub(crate) fn pack(self, content: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Plain => None,
            Self::Zstd => zstd::bulk::compress(content, 1).ok(),
            Self::Gzip => {
                use std::io::Write as _;
                let room = Vec::with_capacity(content.len() / 4);
                let mut packer = flate2::write::GzEncoder::new(room, flate2::Compression::new(2));
                packer.write_all(content).ok()?;
                packer.finish().ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn an_encoding_that_the_reader_understands_is_chosen() {
        let wanted = |text: &str| {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(header::ACCEPT_ENCODING, value);
            }
            Encoding::wanted(&headers)
        };
        assert_eq!(wanted("gzip, deflate, br, zstd"), Encoding::Zstd);
        assert_eq!(wanted("GZIP;q=0.5, zstd;q=0"), Encoding::Gzip);
        assert_eq!(wanted("gzip; q=0"), Encoding::Plain);
        assert_eq!(wanted("identity"), Encoding::Plain);
        assert_eq!(wanted(""), Encoding::Plain);
        assert_eq!(wanted("xgzip"), Encoding::Plain);
    }
}
