//! HTTP answers (RFC 9112, section 4).

use bytes::Bytes;
use serde::Serialize;

/// What is allowed where nothing else is said.
pub const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// A status code with its reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16, pub &'static str);

#[allow(missing_docs, reason = "the names are those of RFC 9110")]
impl Status {
    pub const OK: Self = Self(200, "OK");
    pub const ACCEPTED: Self = Self(202, "Accepted");
    pub const NO_CONTENT: Self = Self(204, "No Content");
    pub const NOT_MODIFIED: Self = Self(304, "Not Modified");
    pub const MOVED: Self = Self(308, "Permanent Redirect");
    pub const BAD_REQUEST: Self = Self(400, "Bad Request");
    pub const UNAUTHORIZED: Self = Self(401, "Unauthorized");
    pub const FORBIDDEN: Self = Self(403, "Forbidden");
    pub const NOT_FOUND: Self = Self(404, "Not Found");
    pub const METHOD_NOT_ALLOWED: Self = Self(405, "Method Not Allowed");
    pub const TIMEOUT: Self = Self(408, "Request Timeout");
    pub const UPGRADE_REQUIRED: Self = Self(426, "Upgrade Required");
    pub const HEAD_TOO_LARGE: Self = Self(431, "Request Header Fields Too Large");
    pub const UNAVAILABLE: Self = Self(503, "Service Unavailable");
    pub const VERSION: Self = Self(505, "HTTP Version Not Supported");
}

/// One answer: status, body and the headers that say what it is.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status line.
    pub status: Status,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body; cheap to clone.
    pub body: Bytes,
}

impl Response {
    /// `200 OK`.
    pub fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: Status::OK, content_type, headers: Vec::new(), body: body.into() }
    }

    /// `200 OK` with a JSON body that must not be cached.
    pub fn json(value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("plain data into a Vec cannot fail");
        Self::ok("application/json", body).with("Cache-Control", "no-store".into())
    }

    /// `{"error":…,"message":…}`.
    pub fn error(status: Status, error: &str, message: &str) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            message: &'a str,
        }
        let response = Self { status, ..Self::json(&Body { error, message }) };
        match status {
            Status::METHOD_NOT_ALLOWED => response.with("Allow", ALLOWED.into()),
            // RFC 9110, section 15.5.2.
            Status::UNAUTHORIZED => response.with("WWW-Authenticate", "Bearer".into()),
            Status::UPGRADE_REQUIRED => {
                response.with("Upgrade", "websocket".into()).with("Sec-WebSocket-Version", "13".into())
            }
            _ => response,
        }
    }

    /// The same for a person before a browser.
    pub fn error_page(status: Status, message: &str) -> Self {
        let Status(code, phrase) = status;
        debug_assert!(!message.contains(['<', '&']), "the texts are our own");
        let page = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{code} {phrase}</title>\n\
             <h1>{code} {phrase}</h1>\n<p>Distr Chat: {message}.</p>\n</html>\n"
        );
        Self { status, ..Self::ok("text/html; charset=utf-8", page) }.with("Cache-Control", "no-store".into())
    }

    /// `405`, where only these methods are allowed.
    pub fn only(methods: &str, message: &str) -> Self {
        let mut response = Self::error(Status::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        response.headers.retain(|(name, _)| *name != "Allow");
        response.with("Allow", methods.into())
    }

    /// The answer to `OPTIONS` (RFC 9110, section 9.3.7).
    pub fn options(methods: &str) -> Self {
        Self { status: Status::NO_CONTENT, ..Self::ok("", Bytes::new()) }.with("Allow", methods.into())
    }

    /// No such path.
    pub fn not_found() -> Self {
        Self::error(Status::NOT_FOUND, "not_found", "there is nothing at this path")
    }

    /// The same with one more header. The value must hold no line end.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        debug_assert!(!value.contains(['\r', '\n']), "a header value is one line");
        self.headers.push((name, value));
        self
    }

    /// The head as bytes, its empty line included.
    pub fn head(&self, keep_alive: bool) -> Bytes {
        use std::fmt::Write;
        let Status(code, phrase) = self.status;
        let mut head = format!("HTTP/1.1 {code} {phrase}\r\n");
        if self.status != Status::NO_CONTENT {
            write!(head, "Content-Type: {}\r\n", self.content_type).expect("writing to a String cannot fail");
        }
        // RFC 9110, section 8.6: a 204 must have none, and in a 304 it would have to be the length
        // that a 200 has.
        if self.status != Status::NOT_MODIFIED && self.status != Status::NO_CONTENT {
            write!(head, "Content-Length: {}\r\n", self.body.len()).expect("writing to a String cannot fail");
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("writing to a String cannot fail");
        }
        // RFC 9110, section 7.8: who names a protocol to upgrade to says so in `Connection` too.
        head.push_str(match (keep_alive, self.status) {
            (true, _) => "\r\n",
            (false, Status::UPGRADE_REQUIRED) => "Connection: close, upgrade\r\n\r\n",
            (false, _) => "Connection: close\r\n\r\n",
        });
        head.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_says_what_it_is() {
        let response = Response::error(Status::METHOD_NOT_ALLOWED, "method_not_allowed", "only GET");
        let head = response.head(false);
        assert_eq!(
            std::str::from_utf8(&head).unwrap(),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: application/json\r\nContent-Length: 51\r\n\
             Cache-Control: no-store\r\nAllow: GET, HEAD, OPTIONS\r\nConnection: close\r\n\r\n"
        );
        let none = Response::options("GET").head(true);
        assert_eq!(&none[..], b"HTTP/1.1 204 No Content\r\nAllow: GET\r\n\r\n");
        assert_eq!(&response.body[..], br#"{"error":"method_not_allowed","message":"only GET"}"#);
    }
}
