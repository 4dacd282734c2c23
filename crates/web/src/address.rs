//! Addresses of our pages: the only place that puts them together.

use std::fmt::Write as _;

/// Makes addresses below the site's path prefix.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    prefix: String,
}

/// Percent-encodes everything but unreserved characters (RFC 3986, 2.3): good in any part of an
/// address.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A query string from pairs, with `?` in front; empty without pairs.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        query.push(if query.is_empty() { '?' } else { '&' });
        // The comma may stay: it separates the values of `collection` and `order_by`.
        let _ = write!(query, "{}={}", encode(name), encode(value).replace("%2C", ","));
    }
    query
}

impl Addresses {
    /// Addresses below this prefix, which has no slash at its end.
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The address of a path that starts with a slash.
    pub(crate) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// A package, in a collection.
    pub(crate) fn package(&self, name: &str, collection: &str) -> String {
        self.to(&format!("/package/{}?collection={}", encode(name), encode(collection)))
    }

    /// A package, in whatever collection comes first.
    pub(crate) fn package_anywhere(&self, name: &str) -> String {
        self.to(&format!("/package/{}", encode(name)))
    }

    /// A build.
    pub(crate) fn build(&self, id: i32) -> String {
        self.to(&format!("/build/{id}"))
    }

    /// A collection's settings.
    pub(crate) fn collection(&self, name: &str) -> String {
        self.to(&format!("/collection/{}", encode(name)))
    }

    /// A group of packages.
    pub(crate) fn group(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace {
            Some(namespace) => self.to(&format!("/groups/{}/{}", encode(namespace), encode(name))),
            None => self.to(&format!("/groups/{}", encode(name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_an_address() {
        let addresses = Addresses::new("/koschei");
        assert_eq!(
            addresses.package("a/../b?<x>&", "f 40"),
            "/koschei/package/a%2F..%2Fb%3F%3Cx%3E%26?collection=f%2040"
        );
        assert_eq!(
            addresses.package("libsigc++20", "f40"),
            "/koschei/package/libsigc%2B%2B20?collection=f40"
        );
        assert_eq!(addresses.group(Some("u"), "g"), "/koschei/groups/u/g");
    }

    #[test]
    fn queries_keep_their_commas() {
        assert_eq!(query(&[("order_by", "a,-b"), ("q", "a b")]), "?order_by=a,-b&q=a%20b");
        assert_eq!(query(&[]), "");
    }
}
