//! What is believed of the way a request came: only what a trusted proxy says, and only if it was the one who asked us.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

/// Addresses that have their first bits in common, such as `10.1.0.0/16`; or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(drop)?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(drop)?;
        let length = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(length);
        if bits > length {
            return Err(());
        }
        Ok(Self { address, bits })
    }
}

impl Network {
    fn contains(self, other: IpAddr) -> bool {
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
            IpAddr::V6(address) => u128::from(address),
        };
        let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
        self.address.is_ipv4() == other.is_ipv4()
            && number(self.address) & mask == number(other) & mask
    }
}

/// Whether an address is that of a trusted proxy. A socket for both kinds of addresses tells those of the older kind in
/// the form of the newer one.
fn is_trusted(proxies: &[Network], address: IpAddr) -> bool {
    proxies.iter().any(|proxy| proxy.contains(address.to_canonical()))
}

/// Who asked us: the other end of the connection. `None` when there is none, in tests.
pub(crate) fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical())
}

/// The way by which a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Way {
    /// It came straight from a trusted proxy.
    pub(crate) trusted: bool,
    /// The reader's own address, as far as it is known.
    pub(crate) client: Option<IpAddr>,
    /// A trusted proxy says that the reader uses https.
    pub(crate) https: bool,
    /// It came from this very machine, through no proxy, to a name of this machine.
    pub(crate) local: bool,
}

impl Way {
    /// Reads the way from the connection and from what a trusted proxy says of it.
    pub(crate) fn of(parts: &Parts, proxies: &[Network]) -> Self {
        let peer = peer(parts);
        let trusted = peer.is_some_and(|peer| is_trusted(proxies, peer));
        let headers = &parts.headers;
        if trusted {
            // Each proxy adds the one that asked it at the end; the last one who is no proxy of ours is the reader.
            let client = headers
                .get_all("x-forwarded-for")
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .filter_map(|address| address.trim().parse::<IpAddr>().ok())
                .map(|address| address.to_canonical())
                .rfind(|address| !is_trusted(proxies, *address));
            let https = headers
                .get("x-forwarded-proto")
                .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"));
            return Self { trusted, client: client.or(peer), https, local: false };
        }
        let through_proxy = ["forwarded", "x-forwarded-for", "x-forwarded-host", "via"]
            .iter()
            .any(|name| headers.contains_key(*name));
        let local = peer.is_some_and(|peer| peer.is_loopback())
            && !through_proxy
            && names_this_machine(headers);
        Self { trusted, client: peer, https: false, local }
    }
}

/// Whether the request was meant for this machine by its own name: another name that leads here (an attacker may own one)
/// is none.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The identity that a proxy hands on, if there is exactly one.
pub(crate) fn identity<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next()?, values.next());
    // httpd writes "(null)" where it has no value.
    std::str::from_utf8(first.as_bytes())
        .ok()
        .map(str::trim)
        .filter(|value| second.is_none() && !value.is_empty() && *value != "(null)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().expect("a network")
    }

    fn parts(peer: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = axum::http::Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let peer: SocketAddr = peer.parse().expect("an address");
        parts.extensions.insert(ConnectInfo(peer));
        parts
    }

    #[test]
    fn networks_are_what_their_first_bits_say() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(network("10.1.0.0/16").contains(address("10.1.255.3")));
        assert!(!network("10.1.0.0/16").contains(address("10.2.0.1")));
        assert!(network("10.1.2.3").contains(address("10.1.2.3")));
        assert!(!network("10.1.2.3").contains(address("10.1.2.4")));
        assert!(network("0.0.0.0/0").contains(address("203.0.113.9")));
        assert!(!network("0.0.0.0/0").contains(address("2001:db8::1")));
        assert!(network("2001:db8::/32").contains(address("2001:db8:1::1")));
        assert!(!network("::1").contains(address("127.0.0.1")));
        for wrong in ["", "localhost", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "::/129"] {
            assert_eq!(wrong.parse::<Network>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let proxies = [network("10.0.0.0/8")];
        let said =
            [("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.5"), ("x-forwarded-proto", "https")];
        let way = Way::of(&parts("10.0.0.1:1", &said), &proxies);
        assert_eq!(way.client, Some("203.0.113.9".parse().expect("an address")));
        assert!(way.trusted && way.https && !way.local);
        // The same words from somebody else.
        let way = Way::of(&parts("203.0.113.7:1", &said), &proxies);
        assert_eq!(way.client, Some("203.0.113.7".parse().expect("an address")));
        assert!(!way.trusted && !way.https);
        // In the form that sockets for both kinds of addresses give.
        assert!(Way::of(&parts("[::ffff:10.0.0.1]:1", &said), &proxies).trusted);
    }

    #[test]
    fn local_is_who_sits_at_this_machine() {
        let local = |peer, headers: &[(&str, &str)]| Way::of(&parts(peer, headers), &[]).local;
        assert!(local("127.0.0.1:1", &[("host", "localhost:8080")]));
        assert!(local("[::1]:1", &[("host", "[::1]:8080")]));
        assert!(
            !local("127.0.0.1:1", &[("host", "koschei.example.org")]),
            "a name that leads here"
        );
        assert!(!local("127.0.0.1:1", &[("host", "localhost"), ("x-forwarded-for", "1.2.3.4")]));
        assert!(!local("10.0.0.1:1", &[("host", "localhost")]));
        assert!(!local("127.0.0.1:1", &[]));
    }

    #[test]
    fn an_identity_is_one_value() {
        let name = HeaderName::from_static("remote_user");
        let of = |headers: &[(&str, &str)]| {
            identity(&parts("10.0.0.1:1", headers).headers, &name).map(str::to_owned)
        };
        assert_eq!(of(&[("REMOTE_USER", " me@EXAMPLE.ORG ")]).as_deref(), Some("me@EXAMPLE.ORG"));
        for wrong in [
            &[][..],
            &[("REMOTE_USER", "")],
            &[("REMOTE_USER", "(null)")],
            &[("REMOTE-USER", "me")],
            &[("REMOTE_USER", "me"), ("REMOTE_USER", "admin")],
        ] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
