//! `GET /assign` and its answer, as bytes.

use serde::Deserialize;

use crate::url::Url;

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
    /// Whether the balancer takes another request on the same connection.
    pub keep_alive: bool,
}

/// The body of a 200.
#[derive(Deserialize)]
struct Assignment {
    url: String,
}

/// The request to a balancer.
pub fn assign_request(balancer: &Url) -> String {
    let Url { authority, path, .. } = balancer;
    let path = path.trim_end_matches('/');
    format!("GET {path}/assign HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\n\r\n")
}

/// The server's URL from the body of a 200.
pub fn assigned_url(body: &str) -> Result<Url, String> {
    let Assignment { url } =
        serde_json::from_str(body).map_err(|error| format!("an answer that is no assignment: {error}"))?;
    Url::parse(&url, "ws")
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
        let length: usize = header("content-length")
            .and_then(|length| length.trim().parse().ok())
            .ok_or("an answer without Content-Length")?;
        let Some(body) = bytes[size..].get(..length) else { return Ok(None) };
        Ok(Some(Self {
            status: head.code.unwrap_or_default(),
            body: String::from_utf8_lossy(body).into_owned(),
            keep_alive: !header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_at_any_split() {
        let body = r#"{"url":"ws://host:5002/ws?via=lb-1","node":"app-2"}"#;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        for end in 0..answer.len() {
            assert_eq!(Response::parse(&answer.as_bytes()[..end]).unwrap(), None, "{end}");
        }
        let response = Response::parse(answer.as_bytes()).unwrap().unwrap();
        assert_eq!((response.status, response.keep_alive), (200, true));
        assert_eq!(assigned_url(&response.body).unwrap().text, "ws://host:5002/ws?via=lb-1");
    }

    #[test]
    fn the_end_of_a_connection_is_told() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n";
        let response = Response::parse(answer).unwrap().unwrap();
        assert_eq!(response, Response { status: 503, body: String::new(), keep_alive: false });
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(Response::parse(b"hello\r\n\r\n").is_err());
        assert!(Response::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "no length");
        assert!(assigned_url("{}").is_err());
        assert!(assigned_url(r#"{"url":"http://x"}"#).is_err());
    }

    #[test]
    fn the_request_keeps_the_path_of_the_balancer() {
        let request = |url| assign_request(&Url::parse(url, "http").unwrap());
        assert!(request("http://a:1").starts_with("GET /assign HTTP/1.1\r\nHost: a:1\r\n"));
        assert!(request("http://a:1/lb/").starts_with("GET /lb/assign "));
    }
}
