//! A WebSocket request as a proxy makes it anew for the server behind it (RFC 9110, section 7.6).
//!
//! Nothing of the client's bytes is passed on: what was understood is written again, so that there is nothing that the
//! server could understand otherwise. What is ambiguous is refused.

use core::net::IpAddr;

use bytes::Bytes;

use super::http::{HEADERS_MAX, Request};
use super::response::Status;
use super::upgrade::{Upgrade, UpgradeError};

/// Longest request that is kept for a client, in bytes: for as long as it stays, since a later server gets the same.
pub const KEPT_BYTES_MAX: usize = 4096;

/// Fields that end here (RFC 9110, section 7.6.1), that are written anew, or that would promise what a proxy that
/// follows frames cannot keep: extensions change what the frames of a connection mean, and the next server may choose others.
const NOT_PASSED_ON: [&str; 19] = [
    "connection",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
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
/// Fields that are written anew; the rest of [`HEADERS_MAX`] may be the client's.
const WRITTEN: usize = 8;

/// What is kept of a client's request.
#[derive(Debug, PartialEq, Eq)]
pub struct Forward {
    /// The client's own key, for every server: it is a nonce against caches and no secret (RFC 6455, section 10.3), and so
    /// each server's answer is the one that the client got.
    key: [u8; 24],
    query: Box<str>,
    forwarded_for: Box<str>,
    /// Whole lines, `X-Forwarded-Host` first.
    lines: Box<[u8]>,
}

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ForwardError {
    /// It cannot become a WebSocket.
    #[error("{0}")]
    Upgrade(UpgradeError),
    /// A field that decides what the connection becomes is there twice: two readers may take one each.
    #[error("a header that must be there once is there twice")]
    Duplicate,
    /// A length where no body can be: the begin of request smuggling (RFC 9112, section 11.2).
    #[error("a WebSocket request has no body and tells no length")]
    Body,
    /// `X-Forwarded-For` is not plain text.
    #[error("X-Forwarded-For is no list of addresses")]
    ForwardedFor,
    /// More than [`KEPT_BYTES_MAX`], or too many fields.
    #[error("the request is larger than what is kept of one, 4 KiB, or has more than 40 headers")]
    TooLarge,
}

impl From<UpgradeError> for ForwardError {
    fn from(error: UpgradeError) -> Self {
        Self::Upgrade(error)
    }
}

impl ForwardError {
    /// The status that answers it (docs/protocol.md, section 8).
    pub fn status(self) -> Status {
        match self {
            Self::Upgrade(error) => error.status(),
            Self::TooLarge => Status::HEAD_TOO_LARGE,
            Self::Duplicate | Self::Body | Self::ForwardedFor => Status::BAD_REQUEST,
        }
    }

    /// The `error` in the answer's body.
    pub fn code(self) -> &'static str {
        match self {
            Self::Upgrade(error) => error.code(),
            Self::TooLarge => "head_too_large",
            Self::Duplicate | Self::Body | Self::ForwardedFor => "malformed",
        }
    }

    /// Its name in metrics, one for each rule.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upgrade(error) => error.name(),
            Self::Duplicate => "duplicate",
            Self::Body => "body",
            Self::ForwardedFor => "forwarded_for",
            Self::TooLarge => "too_large",
        }
    }
}

impl Forward {
    /// Takes what is to be kept of a request; also says what answers the client when a server has taken it.
    pub fn parse(request: &Request<'_>) -> Result<(Self, Bytes), ForwardError> {
        let upgrade = Upgrade::parse(request)?;
        refuse_ambiguities(request)?;
        let key = request.values("sec-websocket-key").next().and_then(|key| key.first_chunk());
        let forward = Self {
            key: *key.ok_or(UpgradeError::Key)?,
            query: own_query(request.query.unwrap_or_default()).into(),
            forwarded_for: forwarded_for(request)?.into(),
            lines: lines(request).into(),
        };
        if forward.kept_bytes() > KEPT_BYTES_MAX || request.headers().count() > HEADERS_MAX - WRITTEN {
            return Err(ForwardError::TooLarge);
        }
        Ok((forward, upgrade.response()))
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
        let mut head =
            format!("GET {target}{separator}{query} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
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

    fn kept_bytes(&self) -> usize {
        self.query.len() + self.forwarded_for.len() + self.lines.len()
    }
}

fn refuse_ambiguities(request: &Request<'_>) -> Result<(), ForwardError> {
    let decides = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("sec-websocket-") || matches!(&*name, "host" | "connection" | "upgrade")
    };
    for (name, _) in request.headers() {
        if decides(name) && request.values(name).nth(1).is_some() {
            return Err(ForwardError::Duplicate);
        }
        // Zero is a length too: nobody who opens a WebSocket tells one.
        if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(ForwardError::Body);
        }
    }
    Ok(())
}

/// What the client put into the query itself.
fn own_query(query: &str) -> String {
    let is_own = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        !pair.is_empty() && !NOT_ASKED_AGAIN.contains(&name)
    };
    query.split('&').filter(is_own).collect::<Vec<_>>().join("&")
}

fn forwarded_for(request: &Request<'_>) -> Result<String, ForwardError> {
    let is_text = |value: &[u8]| value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let hop = |value| std::str::from_utf8(value).ok().filter(|value| is_text(value.as_bytes()));
    let hops: Option<Vec<_>> = request.values("x-forwarded-for").map(hop).collect();
    Ok(hops.ok_or(ForwardError::ForwardedFor)?.join(", "))
}

fn lines(request: &Request<'_>) -> Vec<u8> {
    let mut lines = format!("X-Forwarded-Host: {}\r\n", request.host).into_bytes();
    for (name, value) in request.headers() {
        let is_known = NOT_PASSED_ON.iter().any(|other| name.eq_ignore_ascii_case(other));
        // RFC 9110, section 7.6.1: what `Connection` names is for the next hop only.
        if !is_known && !request.has_token("connection", name) {
            lines.extend_from_slice(name.as_bytes());
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value);
            lines.extend_from_slice(b"\r\n");
        }
    }
    lines
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
