//! How this balancer itself reaches the servers, to speak to them for its proxied clients; and how many it does for each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::ws_url::{host, split};

/// The port of `ws://` (RFC 6455, section 3).
const PORT: u16 = 80;

/// Servers by name.
#[derive(Debug, Default)]
pub struct Upstreams(BTreeMap<String, Upstream>);

#[derive(Debug)]
struct Upstream {
    url: String,
    heard_from: IpAddr,
    place: Place,
    /// Proxied clients that it has.
    clients: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// There.
    At(SocketAddr),
    /// Where this name is; the last known answer of the name service.
    Named(String, Option<SocketAddr>),
    /// Not to be reached: it wants TLS, or its URL names no host.
    Nowhere,
}

/// What a heartbeat told anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The server is found.
    None,
    /// A name is to be resolved.
    Name,
    /// No client can be proxied there.
    Unreachable,
}

impl Upstreams {
    /// A server's heartbeat.
    pub fn note(&mut self, name: &str, url: &str, heard_from: IpAddr) -> News {
        let known = self.0.get_mut(name);
        if let Some(known) = known.as_ref().filter(|known| known.url == url && known.heard_from == heard_from)
        {
            debug_assert!(!known.url.is_empty(), "a heartbeat has a URL");
            return News::None;
        }
        let place = Place::of(url, heard_from);
        let news = match place {
            Place::At(_) => News::None,
            Place::Named(..) => News::Name,
            Place::Nowhere => News::Unreachable,
        };
        let clients = known.map_or(0, |known| known.clients);
        self.0.insert(name.to_owned(), Upstream { url: url.to_owned(), heard_from, place, clients });
        news
    }

    /// Where a server is, if that is known.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        match self.0.get(name)?.place {
            Place::At(address) => Some(address),
            Place::Named(_, address) => address,
            Place::Nowhere => None,
        }
    }

    /// The `host:port` of servers whose addresses are for the name service to tell.
    pub fn names(&self) -> Vec<String> {
        let names = self.0.values().filter_map(|upstream| match &upstream.place {
            Place::Named(name, _) => Some(name.clone()),
            Place::At(_) | Place::Nowhere => None,
        });
        names.collect()
    }

    /// What the name service told.
    pub fn resolved(&mut self, name: &str, found: SocketAddr) {
        for upstream in self.0.values_mut() {
            if let Place::Named(asked, address) = &mut upstream.place
                && asked == name
            {
                *address = Some(found);
            }
        }
    }

    /// A proxied client has come to that server.
    pub fn client_came(&mut self, name: &str) {
        if let Some(upstream) = self.0.get_mut(name) {
            upstream.clients += 1;
        }
    }

    /// One has gone.
    pub fn client_went(&mut self, name: &str) {
        if let Some(upstream) = self.0.get_mut(name) {
            upstream.clients = upstream.clients.saturating_sub(1);
        }
    }

    /// Proxied clients that it has.
    pub fn clients(&self, name: &str) -> u32 {
        self.0.get(name).map_or(0, |upstream| upstream.clients)
    }

    /// Forgets servers that nobody knows any more.
    pub fn retain(&mut self, is_known: impl Fn(&str) -> bool) {
        self.0.retain(|name, upstream| upstream.clients > 0 || is_known(name));
    }
}

impl Place {
    fn of(url: &str, heard_from: IpAddr) -> Self {
        let url = url.replace("{host}", &host(heard_from));
        let Some((authority, _)) = split(&url) else { return Self::Nowhere };
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let name = if has_port { authority.to_owned() } else { format!("{authority}:{PORT}") };
        match name.parse() {
            Ok(address) => Self::At(address),
            Err(_) => Self::Named(name, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Place {
        Place::of(url, "10.0.0.1".parse().unwrap())
    }

    #[test]
    fn a_server_is_where_its_url_says_or_where_it_was_heard_from() {
        let at = |text: &str| Place::At(text.parse().unwrap());
        assert_eq!(place("ws://{host}:5001/ws"), at("10.0.0.1:5001"));
        assert_eq!(place("ws://192.0.2.7/ws"), at("192.0.2.7:80"));
        assert_eq!(place("ws://[2001:db8::1]:5001/ws"), at("[2001:db8::1]:5001"));
        assert_eq!(place("ws://[2001:db8::1]/ws"), at("[2001:db8::1]:80"));
        assert_eq!(place("ws://app-1.internal:5001/ws"), Place::Named("app-1.internal:5001".into(), None));
        assert_eq!(place("ws://app-1.internal?x"), Place::Named("app-1.internal:80".into(), None));
        for nowhere in ["wss://{host}/ws", "ws:///ws", "ws://user@host/ws"] {
            assert_eq!(place(nowhere), Place::Nowhere, "{nowhere}");
        }
        let ipv6 = Place::of("ws://{host}:5001/ws", "2001:db8::1".parse().unwrap());
        assert_eq!(ipv6, at("[2001:db8::1]:5001"));
    }

    #[test]
    fn a_name_is_asked_for_once_and_known_until_another_answer_comes() {
        let (mut upstreams, home) = (Upstreams::default(), "10.0.0.1".parse().unwrap());
        assert_eq!(upstreams.note("a", "ws://a.internal:1/ws", home), News::Name);
        assert_eq!(upstreams.note("a", "ws://a.internal:1/ws", home), News::None);
        assert_eq!((upstreams.address("a"), upstreams.names()), (None, vec!["a.internal:1".to_owned()]));
        let found = "192.0.2.1:1".parse().unwrap();
        upstreams.resolved("a.internal:1", found);
        assert_eq!(upstreams.address("a"), Some(found));
        assert_eq!(upstreams.note("a", "wss://a.internal:1/ws", home), News::Unreachable);
        assert_eq!(upstreams.address("a"), None);
    }

    #[test]
    fn a_server_with_clients_is_not_forgotten() {
        let (mut upstreams, home) = (Upstreams::default(), "10.0.0.1".parse().unwrap());
        upstreams.note("a", "ws://{host}:1/ws", home);
        upstreams.client_came("a");
        upstreams.note("a", "ws://{host}:2/ws", home);
        upstreams.retain(|_| false);
        assert_eq!(upstreams.clients("a"), 1);
        upstreams.client_went("a");
        upstreams.retain(|_| false);
        assert_eq!((upstreams.clients("a"), upstreams.address("a")), (0, None));
    }
}
