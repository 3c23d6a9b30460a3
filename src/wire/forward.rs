//! A WebSocket request as a proxy makes it anew for the server behind it (RFC 9110, section 7.6).
//!
//! Nothing of the client's bytes is passed on: what was understood is written again, so that there
//! is nothing that the server could understand otherwise. So whatever a server takes is taken here
//! too: fields that mean a list are joined, and what is only passed on is left out where it is not
//! understood or too much, instead of refusing the client.

use core::net::IpAddr;

use bytes::Bytes;

use super::http::{HEADERS_MAX, Request};
use super::upgrade::{Upgrade, UpgradeError};

/// What is kept of a request besides its key, in bytes: for as long as the client stays, since a
/// later server gets the same. A browser's fields but its cookies take about 600.
pub const KEPT_BYTES_MAX: usize = 4096;
/// What is kept of the hops in `X-Forwarded-For`, in bytes: the nearest ones, which are believed
/// first.
pub const HOPS_BYTES_MAX: usize = 1024;

/// Fields that end here (RFC 9110, section 7.6.1), that are written anew, or that would promise what a proxy that
/// follows frames cannot keep: extensions change what the frames of a connection mean, and the next server may choose others.
const NOT_PASSED_ON: [&str; 21] = [
    "connection",
    // Most of a request, for the whole stay, of other programs at the same host, and no server
    // reads it.
    "cookie",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "content-length",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];
/// What the balancers and servers put into the query, which is new for each server.
const NOT_ASKED_AGAIN: [&str; 3] = ["not", "ticket", "via"];
/// Fields that are written anew before the lines that are kept; those may be the rest of
/// [`HEADERS_MAX`].
const WRITTEN: usize = 7;

/// What is kept of a client's request.
#[derive(Debug, PartialEq, Eq)]
pub struct Forward {
    /// The client's own key, for every server: it is a nonce against caches and no secret (RFC 6455, section 10.3), and so
    /// each server's answer is the one that the client got.
    key: [u8; 24],
    query: Box<str>,
    forwarded_for: Box<str>,
    /// Whole lines, `X-Forwarded-Host` and the sub-protocols first.
    lines: Box<[u8]>,
}

/// A request that is passed on.
#[derive(Debug)]
pub struct Accepted {
    /// What each server is asked.
    pub forward: Forward,
    /// What answers the client when a server has taken it.
    pub greeting: Bytes,
    /// Fields, and parts of the query, that are left out since they are too much or not understood.
    pub left_out: usize,
}

/// What is kept, while there is room for it.
struct Room {
    bytes: usize,
    left_out: usize,
}

impl Room {
    fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.bytes;
        match fits {
            true => self.bytes -= bytes,
            false => self.left_out += 1,
        }
        fits
    }
}

impl Forward {
    /// Takes what is to be kept of a request.
    pub fn parse(request: &Request<'_>) -> Result<Accepted, UpgradeError> {
        let upgrade = Upgrade::parse(request)?;
        let key = request.values("sec-websocket-key").next().and_then(|key| key.first_chunk());
        let mut room = Room { bytes: KEPT_BYTES_MAX, left_out: 0 };
        let forward = Self {
            key: *key.ok_or(UpgradeError::Key)?,
            forwarded_for: forwarded_for(request, &mut room).into(),
            query: own_query(request.query.unwrap_or_default(), &mut room).into(),
            lines: lines(request, &mut room).into(),
        };
        Ok(Accepted { forward, greeting: upgrade.response(), left_out: room.left_out })
    }

    /// The request head for the server at `authority`, whose own path and query are `target`, from a client at `peer`.
    pub fn head(&self, authority: &str, target: &str, peer: Option<IpAddr>) -> Bytes {
        let Self { key, query, forwarded_for, lines } = self;
        let separator = match (query.is_empty(), target.contains('?')) {
            (true, _) => "",
            (false, true) => "&",
            (false, false) => "?",
        };
        let peer = peer.map(|address| address.to_canonical().to_string());
        let hops: Vec<_> = Some(&**forwarded_for).filter(|hops| !hops.is_empty()).into_iter().collect();
        let hops = hops.into_iter().chain(peer.as_deref()).collect::<Vec<_>>().join(", ");
        // RFC 9112, section 3.2.1: a URL may have no path, a request must.
        let root = if target.starts_with('/') { "" } else { "/" };
        let mut head =
            format!("GET {root}{target}{separator}{query} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        head.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        head.extend_from_slice(b"Sec-WebSocket-Key: ");
        head.extend_from_slice(key);
        head.extend_from_slice(
            format!("\r\nX-Forwarded-For: {hops}\r\nX-Forwarded-Proto: http\r\n").as_bytes(),
        );
        head.extend_from_slice(lines);
        head.extend_from_slice(b"\r\n");
        head.into()
    }

    /// The key that a server's answer must be made of.
    pub fn key(&self) -> &[u8] {
        &self.key
    }
}

/// What the client put into the query itself.
fn own_query(query: &str, room: &mut Room) -> String {
    let is_own = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        !pair.is_empty() && !NOT_ASKED_AGAIN.contains(&name)
    };
    let kept = query.split('&').filter(is_own).filter(|pair| room.take(pair.len() + "&".len()));
    kept.collect::<Vec<_>>().join("&")
}

/// The hops behind the last one that is no plain text, and the nearest of them: a list is believed
/// from its end, so what stands before something that cannot be read is worth nothing.
fn forwarded_for(request: &Request<'_>, room: &mut Room) -> String {
    let is_text = |value: &[u8]| value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let read = |value| std::str::from_utf8(value).ok().filter(|value| is_text(value.as_bytes()));
    let hops: Vec<_> =
        request.values("x-forwarded-for").flat_map(|line| line.split(|b| *b == b',')).collect();
    let mut bytes = HOPS_BYTES_MAX;
    let mut kept = Vec::new();
    for hop in hops.iter().rev().map(|hop| hop.trim_ascii()).filter(|hop| !hop.is_empty()) {
        let Some(hop) = read(hop).filter(|hop| hop.len() + ", ".len() <= bytes) else {
            room.left_out += 1;
            break;
        };
        bytes -= hop.len() + ", ".len();
        kept.push(hop);
    }
    room.bytes -= HOPS_BYTES_MAX - bytes;
    kept.reverse();
    kept.join(", ")
}

fn lines(request: &Request<'_>, room: &mut Room) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut count = 0;
    let mut keep = |name: &[u8], value: &[u8]| {
        let line = [name, b": ", value, b"\r\n"].concat();
        // A server takes no more of them than we do.
        if count == HEADERS_MAX - WRITTEN {
            room.left_out += 1;
        } else if room.take(line.len()) {
            count += 1;
            lines.extend_from_slice(&line);
        }
    };
    keep(b"X-Forwarded-Host", request.host.as_bytes());
    // RFC 6455, section 11.3.4: several lines of it are one list.
    let protocols: Vec<_> =
        request.values("sec-websocket-protocol").filter(|value| !value.is_empty()).collect();
    if !protocols.is_empty() {
        keep(b"Sec-WebSocket-Protocol", &protocols.join(&b", "[..]));
    }
    for (name, value) in request.headers() {
        let is_known = NOT_PASSED_ON.iter().any(|other| name.eq_ignore_ascii_case(other));
        // RFC 9110, section 7.6.1: what `Connection` names is for the next hop only.
        if !is_known && !request.has_token("connection", name) {
            keep(name.as_bytes(), value);
        }
    }
    lines
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
