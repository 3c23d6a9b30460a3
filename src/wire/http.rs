//! Request heads (RFC 9112), parsed by httparse once the empty line is there, with the ambiguities refused that
//! request smuggling lives on.

use super::response::Status;

/// Longest request head, its empty line included. A browser sends the cookies of a host to all its
/// ports, so most of a head may be meant for somebody else; Node.js takes as much.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header fields of one request; Apache's default.
pub const HEADERS_MAX: usize = 100;

const END: &[u8] = b"\r\n\r\n";
const SCHEME: &str = "http://";

/// The versions that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: `Host` may be absent, one request a connection, and no upgrade (RFC 9110, section
    /// 7.8).
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The methods that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: the answer to `GET` without its body.
    Head,
    /// `POST`, without a body: what is wanted is in the target.
    Post,
    /// `OPTIONS`: what pages of other origins ask first, and what balancers check health by.
    Options,
}

/// A request without a body, borrowed from the bytes it came in.
#[derive(Debug)]
pub struct Request<'a> {
    /// The version.
    pub version: Version,
    /// The method.
    pub method: Method,
    /// The path of the target, beginning with `/`, not decoded; `*` in `OPTIONS *`.
    pub path: &'a str,
    /// What follows `?` in the target, not decoded.
    pub query: Option<&'a str>,
    /// The host that the client asked for, with its port; empty where HTTP/1.0 names none.
    pub host: &'a str,
    /// False when the client asked for `Connection: close`, or speaks HTTP/1.0.
    pub keep_alive: bool,
    headers: [httparse::Header<'a>; HEADERS_MAX],
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeadError {
    /// RFC 9112, sections 2 to 5.
    #[error("the request is not well-formed HTTP")]
    Syntax,
    /// More than [`HEAD_BYTES_MAX`] bytes or [`HEADERS_MAX`] fields.
    #[error(
        "the request head is larger than 16 KiB or has more than 100 headers; a browser sends the cookies of a host \
         to all its ports, so delete those of this host, or give the chat a host of its own"
    )]
    TooLarge,
    /// Only HTTP/1.0 and HTTP/1.1 are spoken here.
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    Version,
    /// None of [`Method`], or a `POST` where none is taken.
    #[error("this method is not allowed here")]
    Method,
    /// RFC 9112, section 3.2: not a path, and not an `http` URL.
    #[error("the request target is not a path")]
    Target,
    /// RFC 9112, section 3.2: exactly one `Host` with a name or address in it; HTTP/1.0 may go
    /// without.
    #[error("the request needs exactly one valid Host header")]
    Host,
    /// RFC 9112, section 6: no request here has a body, and several lengths are how smuggling begins.
    #[error("the request announces a body or has an ambiguous length")]
    Body,
    /// Not an error of the bytes: the head took too long to arrive.
    #[error("the request head did not arrive in time")]
    TooSlow,
}

impl HeadError {
    /// Every refusal, for the table of counters.
    pub const ALL: [Self; 8] = [
        Self::Syntax,
        Self::TooLarge,
        Self::Version,
        Self::Method,
        Self::Target,
        Self::Host,
        Self::Body,
        Self::TooSlow,
    ];

    /// The status that answers it (docs/protocol.md, section 8).
    pub fn status(self) -> Status {
        match self {
            Self::Syntax | Self::Target | Self::Host | Self::Body => Status::BAD_REQUEST,
            Self::TooLarge => Status::HEAD_TOO_LARGE,
            Self::Version => Status::VERSION,
            Self::Method => Status::METHOD_NOT_ALLOWED,
            Self::TooSlow => Status::TIMEOUT,
        }
    }

    /// The `error` in the answer's body.
    pub fn code(self) -> &'static str {
        match self {
            Self::Syntax | Self::Target | Self::Host | Self::Body => "malformed",
            Self::TooLarge => "head_too_large",
            Self::Version => "version",
            Self::Method => "method_not_allowed",
            Self::TooSlow => "too_slow",
        }
    }

    /// Its name in metrics, one for each rule.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::TooLarge => "too_large",
            Self::Version => "version",
            Self::Method => "method",
            Self::Target => "target",
            Self::Host => "host",
            Self::Body => "body",
            Self::TooSlow => "too_slow",
        }
    }
}

/// Where the head in `bytes` ends, behind its empty line; the first `searched` bytes are known to hold no end.
/// `None`: more must come, and it may.
pub fn head_end(bytes: &[u8], searched: usize) -> Result<Option<usize>, HeadError> {
    let from = searched.saturating_sub(END.len() - 1);
    let within = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    match memchr::memmem::find(&within[from.min(within.len())..], END) {
        Some(at) => Ok(Some(from + at + END.len())),
        None if bytes.len() >= HEAD_BYTES_MAX => Err(HeadError::TooLarge),
        None => Ok(None),
    }
}

impl<'a> Request<'a> {
    /// The same request for another path, as below a prefix.
    pub fn with_path(&self, path: &'a str) -> Self {
        Self { path, ..*self }
    }

    /// Reads a head that [`head_end`] found whole.
    pub fn parse(head: &'a [u8]) -> Result<Self, HeadError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut raw = httparse::Request::new(&mut headers);
        match raw.parse(head) {
            Ok(httparse::Status::Complete(end)) if end == head.len() => {}
            // A bare-LF empty line before ours would hide the rest of the head from us and not from others.
            Ok(_) => return Err(HeadError::Syntax),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
            Err(httparse::Error::Version) => return Err(HeadError::Version),
            Err(_) => return Err(HeadError::Syntax),
        }
        let version = match raw.version {
            Some(0) => Version::Http10,
            Some(1) => Version::Http11,
            _ => return Err(HeadError::Version),
        };
        let method = match raw.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            Some("POST") => Method::Post,
            Some("OPTIONS") => Method::Options,
            _ => return Err(HeadError::Method),
        };
        let target = Target::parse(raw.path.unwrap_or_default(), method)?;
        let Target { authority, path, query } = target;
        let mut request = Self { version, method, path, query, host: "", keep_alive: true, headers };
        let host = request.only_host()?;
        // RFC 9112, section 3.2.2: the host of an absolute target counts, whatever `Host` says.
        request.host = authority.unwrap_or(host);
        request.refuse_body()?;
        request.keep_alive = version == Version::Http11 && !request.has_token("connection", "close");
        Ok(request)
    }

    /// Whether the client wants a WebSocket. Another protocol that it offers, as `h2c`, may be
    /// passed over (RFC 9110, section 7.8), and so is whatever HTTP/1.0 offers.
    pub fn wants_websocket(&self) -> bool {
        self.version == Version::Http11 && self.has_token("upgrade", "websocket")
    }

    /// Every header in its order, white space around the values removed.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let given = self.headers.iter().take_while(|header| !header.name.is_empty());
        given.map(|header| (header.name, header.value.trim_ascii()))
    }

    /// The values of every header of that name, in their order; white space around them removed.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value.trim_ascii())
    }

    /// Whether a comma-separated header holds a token, in any case (RFC 9110, section 5.6.1).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The value of `key` in the query, not decoded.
    pub fn query_value(&self, key: &str) -> Option<&'a str> {
        let pairs = self.query?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The host without its port: what a URL on the same machine begins with. `None`: HTTP/1.0
    /// without `Host`.
    pub fn hostname(&self) -> Option<&'a str> {
        let end = match self.host.find(']') {
            Some(bracket) => bracket + 1,
            None => self.host.find(':').unwrap_or(self.host.len()),
        };
        Some(&self.host[..end]).filter(|host| !host.is_empty())
    }

    fn only_host(&self) -> Result<&'a str, HeadError> {
        let mut hosts = self.values("host");
        match (hosts.next(), hosts.next()) {
            (None, _) if self.version == Version::Http10 => Some(""),
            (Some(host), None) => std::str::from_utf8(host).ok().filter(|host| is_host(host)),
            _ => None,
        }
        .ok_or(HeadError::Host)
    }

    fn refuse_body(&self) -> Result<(), HeadError> {
        let mut lengths = self.values("content-length");
        let length_is_clear = match (lengths.next(), lengths.next()) {
            (None, _) => true,
            (Some(length), None) => length == b"0",
            _ => false,
        };
        if length_is_clear && self.values("transfer-encoding").next().is_none() {
            Ok(())
        } else {
            Err(HeadError::Body)
        }
    }
}

/// What a request is for.
struct Target<'a> {
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// The origin form and the absolute one, which a server must take too (RFC 9112, section
    /// 3.2.2); the asterisk is for `OPTIONS` alone.
    fn parse(text: &'a str, method: Method) -> Result<Self, HeadError> {
        let (authority, rest) = match text.get(..SCHEME.len()) {
            // RFC 9110, section 4.2.3: schemes have no case.
            Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => {
                let rest = &text[SCHEME.len()..];
                let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                (Some(authority), rest)
            }
            _ => (None, text),
        };
        if authority.is_some_and(|authority| !is_host(authority)) {
            return Err(HeadError::Target);
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        match path {
            "" if authority.is_some() => Ok(Self { authority, path: "/", query }),
            "*" if method == Method::Options && query.is_none() => Ok(Self { authority, path, query }),
            path if path.starts_with('/') => Ok(Self { authority, path, query }),
            _ => Err(HeadError::Target),
        }
    }
}

/// A name or an address, with a port or without. No user, no path: what else a URL may hold does
/// not belong there.
fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
