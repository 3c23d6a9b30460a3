//! The URL under which a client reaches the server that was chosen for it.

use crate::wire::cluster_key::{ClusterKey, Purpose};
use crate::wire::{Ticket, ticket};

use super::board::Destination;

/// The server's public URL for a client that used `hostname`. It names the balancer, so that the server can tell it how
/// many of its clients have arrived: in a ticket where there is a key, else for everybody to read and write.
pub fn url(destination: &Destination, hostname: &str, balancer: &str, key: Option<&ClusterKey>) -> String {
    let url = destination.url.replace("{host}", hostname);
    let separator = if url.contains('?') { '&' } else { '?' };
    match key {
        Some(key) => format!("{url}{separator}ticket={}", issue(destination, balancer, key)),
        None => format!("{url}{separator}via={balancer}"),
    }
}

/// Host and port of a `ws://` URL, and the target of a request there. `None`: it wants TLS, or names no host, or a user.
pub fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("ws://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let is_good = !authority.is_empty() && !authority.contains('@');
    is_good.then_some((authority, target))
}

fn issue(destination: &Destination, balancer: &str, key: &ClusterKey) -> String {
    let expires_ms = destination.time_ms.saturating_add(ticket::LIFE.as_millis() as u64);
    let ticket = Ticket { issuer: balancer.to_owned(), expires_ms, nonce: fastrand::u64(..) };
    ticket.encode(key, Purpose::Enter, &destination.name)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn destination(url: &str) -> Destination {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Destination { name: "app-1".into(), url: url.into(), address, connections: 0, time_ms: 5000 }
    }

    #[test]
    fn the_host_is_filled_in_and_the_balancer_named() {
        let of = |text: &str, hostname: &str| url(&destination(text), hostname, "lb-1", None);
        assert_eq!(of("ws://{host}:5001/ws", "chat.example"), "ws://chat.example:5001/ws?via=lb-1");
        assert_eq!(of("wss://fixed.example/ws?x=1", "h"), "wss://fixed.example/ws?x=1&via=lb-1");
    }

    #[test]
    fn a_url_has_a_place_and_a_target_there() {
        assert_eq!(split("ws://a:1/ws?via=lb-1"), Some(("a:1", "/ws?via=lb-1")));
        assert_eq!(split("ws://a?x=1"), Some(("a", "?x=1")));
        assert_eq!(split("ws://a"), Some(("a", "")));
        assert_eq!((split("wss://a/ws"), split("ws:///ws"), split("ws://u@a/ws")), (None, None, None));
    }

    #[test]
    fn a_ticket_holds_at_that_server_by_its_clock() {
        let key = ClusterKey::parse("the-key-of-this-cluster").unwrap();
        let url = url(&destination("ws://a/ws"), "a", "lb-1", Some(&key));
        let text = url.strip_prefix("ws://a/ws?ticket=").unwrap();
        let ticket = Ticket::parse(text, &key, Purpose::Enter, "app-1", 5001).unwrap();
        assert_eq!((ticket.issuer.as_str(), ticket.expires_ms), ("lb-1", 20_000));
    }
}
