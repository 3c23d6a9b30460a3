//! Where a proxy has the page that keeps its prefix: the paths of requests begin with it.

use std::fmt;
use std::str::FromStr;

use crate::wire::{Request, Response, Status};

/// More than a path that people type.
const BYTES_MAX: usize = 256;

/// A path such as `/chat`, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

/// Why a text is no base path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a base path is such as /chat: up to {BYTES_MAX} of A-Z a-z 0-9 - . _ ~ /, none of its parts empty, . or .."
)]
pub struct Malformed;

impl FromStr for BasePath {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let path = text.strip_suffix('/').unwrap_or(text);
        if path.is_empty() {
            return Ok(Self::default());
        }
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_letter);
        let parts = path.strip_prefix('/').ok_or(Malformed)?;
        (path.len() <= BYTES_MAX && parts.split('/').all(is_part)).then(|| Self(path.into())).ok_or(Malformed)
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl BasePath {
    /// The path of a request below it. What does not begin with it has been stripped by the proxy, or came past it.
    pub fn strip<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&self.0).filter(|rest| rest.starts_with('/')).unwrap_or(path)
    }

    /// `/chat` has no files beside it: their names count from `/chat/`.
    pub fn redirect(&self, request: &Request<'_>) -> Option<Response> {
        (!self.0.is_empty() && request.path == self.0).then(|| {
            Response { status: Status::MOVED, ..Response::ok("text/plain", "moved\n") }
                .with("Location", format!("{self}/"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_parsed() {
        for (text, path) in
            [("", ""), ("/", ""), ("/chat", "/chat"), ("/chat/", "/chat"), ("/a/b-1.2_~", "/a/b-1.2_~")]
        {
            assert_eq!(text.parse::<BasePath>().map(|path| path.to_string()), Ok(path.into()), "{text}");
        }
        let long = format!("/{}", "a".repeat(BYTES_MAX));
        for text in ["chat", "//", "/a//b", "/a/../b", "/.", "/a b", "/ä", "/a?b", "/a\r\n", &long] {
            assert_eq!(text.parse::<BasePath>(), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn a_proxy_may_keep_it_or_strip_it() {
        let base: BasePath = "/chat".parse().unwrap();
        for (path, below) in [
            ("/chat/", "/"),
            ("/chat/config.json", "/config.json"),
            ("/config.json", "/config.json"),
            ("/chatter/", "/chatter/"),
            ("/", "/"),
        ] {
            assert_eq!(base.strip(path), below, "{path}");
        }
        assert_eq!(BasePath::default().strip("/chat/"), "/chat/");
    }

    #[test]
    fn without_its_slash_it_is_moved() {
        let base: BasePath = "/chat".parse().unwrap();
        let at = |path: &str| {
            let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
            base.redirect(&Request::parse(head.as_bytes()).unwrap())
                .map(|response| response.head(true).to_vec())
        };
        let head = String::from_utf8(at("/chat").unwrap()).unwrap();
        assert!(head.starts_with("HTTP/1.1 308 ") && head.contains("Location: /chat/\r\n"), "{head}");
        assert!(at("/chat/").is_none() && at("/").is_none());
        assert!(
            BasePath::default()
                .redirect(&Request::parse(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap())
                .is_none()
        );
    }
}
