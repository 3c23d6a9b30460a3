//! The parts of a server's URL that somebody needs who connects there.

use std::net::IpAddr;

/// Host and port of a `ws://` URL, and the target of a request there. `None`: it wants TLS, or names no host, or a user.
pub fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("ws://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let is_good = !authority.is_empty() && !authority.contains('@');
    is_good.then_some((authority, target))
}

/// An address as it stands in a URL (RFC 3986, section 3.2.2).
pub fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_place_and_a_target_there() {
        assert_eq!(split("ws://a:1/ws?via=lb-1"), Some(("a:1", "/ws?via=lb-1")));
        assert_eq!(split("ws://a?x=1"), Some(("a", "?x=1")));
        assert_eq!(split("ws://a"), Some(("a", "")));
        assert_eq!((split("wss://a/ws"), split("ws:///ws"), split("ws://u@a/ws")), (None, None, None));
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        assert_eq!(host("192.0.2.7".parse().unwrap()), "192.0.2.7");
        assert_eq!(host("2001:db8::1".parse().unwrap()), "[2001:db8::1]");
    }
}
