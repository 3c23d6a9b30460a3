//! `GET /assign`, `GET /metrics` and their answers, as bytes.

use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;

use crate::wire::url::Url;

/// Largest answer of a balancer, in bytes.
pub const RESPONSE_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 32;

/// What a balancer answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// What `Retry-After` says.
    pub retry_after: Option<Duration>,
    /// Whether the balancer takes another request on the same connection.
    pub keep_alive: bool,
}

/// The body of a 200.
#[derive(Deserialize)]
struct Assignment {
    url: String,
    #[serde(default)]
    node: String,
}

/// The request to a balancer: for a server other than `avoid`, where there is another one.
pub fn assign_request(balancer: &Url, avoid: Option<&str>) -> String {
    let Url { authority, path, .. } = balancer;
    let mut target = format!("{}/assign", path.trim_end_matches('/'));
    if let Some(node) = avoid {
        target.push_str("?not=");
        push_encoded(&mut target, node);
    }
    format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\n\r\n")
}

/// The request for what a server counts, on a connection of its own.
pub fn metrics_request(url: &Url) -> String {
    let Url { authority, path, .. } = url;
    format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")
}

/// The server's URL and name from the body of a 200.
pub fn assigned(body: &str) -> Result<(Url, String), String> {
    let Assignment { url, node } =
        serde_json::from_str(body).map_err(|error| format!("an answer that is no assignment: {error}"))?;
    Ok((Url::parse(&url, "ws")?, node))
}

/// Names come from others: what has a meaning in a URL is written as `%XX`.
fn push_encoded(target: &mut String, name: &str) {
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => target.push(byte.into()),
            _ => write!(target, "%{byte:02X}").expect("a String takes everything"),
        }
    }
}

impl Response {
    /// Reads an answer from what has arrived; `None` if a part is missing.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let size = match head.parse(bytes).map_err(|error| format!("an answer that is not HTTP: {error}"))? {
            httparse::Status::Complete(size) => size,
            httparse::Status::Partial => return Ok(None),
        };
        let header = |name: &str| {
            let mut found = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            found.next().and_then(|header| std::str::from_utf8(header.value).ok())
        };
        let is_chunked =
            header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let body = match is_chunked {
            true => join_chunks(&bytes[size..])?,
            false => {
                let length: usize = header("content-length")
                    .and_then(|length| length.trim().parse().ok())
                    .ok_or("an answer without Content-Length")?;
                bytes[size..].get(..length).map(<[u8]>::to_vec)
            }
        };
        let Some(body) = body else { return Ok(None) };
        Ok(Some(Self {
            status: head.code.unwrap_or_default(),
            body: String::from_utf8_lossy(&body).into_owned(),
            retry_after: header("retry-after")
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(Duration::from_secs),
            keep_alive: !header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        }))
    }
}

/// The body that came in chunks; `None` if one is missing.
fn join_chunks(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let wrong = |_| "an answer in chunks that are none".to_owned();
        let httparse::Status::Complete((head, size)) = httparse::parse_chunk_size(bytes).map_err(wrong)?
        else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let rest = &bytes[head..];
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        // Behind each chunk there is the end of a line.
        let (Some(chunk), Some(rest)) = (rest.get(..size), rest.get(size.saturating_add(2)..)) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_chunks_is_put_together_at_any_split() {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\na;x=y\r\n0123456789\r\n0\r\n\r\n";
        let whole = answer.len() - 2;
        for end in 0..whole {
            assert_eq!(Response::parse(&answer[..end]), Ok(None), "{end}");
        }
        assert_eq!(Response::parse(answer).unwrap().unwrap().body, "abcd0123456789");
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(Response::parse(format!("{head}x\r\n").as_bytes()).is_err());
        assert_eq!(Response::parse(format!("{head}ffffffffffffffff\r\nab").as_bytes()), Ok(None));
    }

    #[test]
    fn an_answer_is_read_at_any_split() {
        let body = r#"{"url":"ws://host:5002/ws?via=lb-1","node":"app-2"}"#;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        for end in 0..answer.len() {
            assert_eq!(Response::parse(&answer.as_bytes()[..end]).unwrap(), None, "{end}");
        }
        let response = Response::parse(answer.as_bytes()).unwrap().unwrap();
        assert_eq!((response.status, response.keep_alive), (200, true));
        let (url, node) = assigned(&response.body).unwrap();
        assert_eq!((&*url.text, &*node), ("ws://host:5002/ws?via=lb-1", "app-2"));
    }

    #[test]
    fn the_end_of_a_connection_and_the_time_to_come_back_are_told() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nConnection: Close\r\nRetry-After: 2\r\n\
            Content-Length: 0\r\n\r\n";
        let response = Response::parse(answer).unwrap().unwrap();
        let retry_after = Some(Duration::from_secs(2));
        assert_eq!(response, Response { status: 503, body: String::new(), retry_after, keep_alive: false });
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(Response::parse(b"hello\r\n\r\n").is_err());
        assert!(Response::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "no length");
        assert!(assigned("{}").is_err());
        assert!(assigned(r#"{"url":"http://x"}"#).is_err());
    }

    #[test]
    fn the_request_keeps_the_path_of_the_balancer() {
        let request = |url| assign_request(&Url::parse(url, "http").unwrap(), None);
        assert!(request("http://a:1").starts_with("GET /assign HTTP/1.1\r\nHost: a:1\r\n"));
        assert!(request("http://a:1/lb/").starts_with("GET /lb/assign "));
    }

    #[test]
    fn a_server_is_avoided_by_its_name_whatever_that_is() {
        let balancer = Url::parse("http://a:1", "http").unwrap();
        let request = |node| assign_request(&balancer, Some(node));
        assert!(request("app-2").starts_with("GET /assign?not=app-2 HTTP/1.1\r\n"));
        assert!(request("a&b \r\n").starts_with("GET /assign?not=a%26b%20%0D%0A HTTP/1.1\r\n"));
    }
}
