//! Where a balancer or a server is.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use serde::{Deserialize, Serialize};
use tungstenite::http::Uri;

/// An `http://` or `ws://` URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Url {
    /// As it was given.
    pub text: String,
    /// Host and port, for the `Host` header.
    pub authority: String,
    /// Path and query.
    pub path: String,
    host: String,
    port: u16,
}

impl Url {
    /// Reads a URL of this scheme.
    pub fn parse(text: &str, scheme: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a URL such as {scheme}://localhost:7001");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (Some(authority), true) = (uri.authority(), uri.scheme_str() == Some(scheme)) else {
            return Err(wrong());
        };
        Ok(Self {
            text: text.to_owned(),
            authority: authority.to_string(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
        })
    }

    /// Where the same host takes WebSockets: `/ws` behind this path.
    pub fn websocket(&self) -> Self {
        let path = format!("{}/ws", self.path.trim_end_matches('/'));
        Self { text: format!("ws://{}{path}", self.authority), path, ..self.clone() }
    }

    /// Where the same host tells what it counts, unless the URL says where.
    pub fn metrics(&self) -> Self {
        match self.path.as_str() {
            "/" => {
                let path = "/metrics".to_owned();
                Self { text: format!("http://{}{path}", self.authority), path, ..self.clone() }
            }
            _ => self.clone(),
        }
    }

    /// Asks the resolver. IPv4 comes first: `localhost` is both, and servers often listen at 127.0.0.1 only.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let mut addresses: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        Ok(addresses)
    }
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let scheme = text.split_once("://").map_or("ws", |(scheme, _)| scheme);
        Self::parse(&text, scheme)
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_is_at_the_same_host() {
        for (text, expected) in [("http://a:1", "ws://a:1/ws"), ("http://a:1/lb/", "ws://a:1/lb/ws")] {
            let url = Url::parse(text, "http").unwrap().websocket();
            assert_eq!(url, Url::parse(expected, "ws").unwrap());
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        let url = Url::parse("ws://localhost:5002/ws?via=lb-1", "ws").unwrap();
        assert_eq!((&*url.authority, &*url.path), ("localhost:5002", "/ws?via=lb-1"));
        assert_eq!((&*url.host, url.port), ("localhost", 5002));
        let url = Url::parse("http://[::1]", "http").unwrap();
        assert_eq!((&*url.host, url.port, &*url.path), ("::1", 80, "/"));
        assert_eq!(url.addresses().unwrap(), ["[::1]:80".parse().unwrap()]);
        for wrong in ["", "localhost:7001", "ws://localhost", "https://localhost", "http:///x", "/x"] {
            assert!(Url::parse(wrong, "http").is_err(), "{wrong}");
        }
    }
}
