//! The client's side of the WebSocket handshake, as bytes.

use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::{Response, generate_request};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::http::{HeaderValue, StatusCode};

use crate::wire::http;
use crate::wire::refusal::Refusal;
use crate::wire::url::Url;

/// The sub-protocol of docs/protocol.md.
pub const PROTOCOL: &str = "distr-chat.v1";
/// Largest head of a response, in bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Waits for the server's response.
#[derive(Debug)]
pub struct Handshake {
    protocol: Option<&'static str>,
    accept: String,
    head: Vec<u8>,
}

/// There will be no connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// A balancer that stands for a server cannot serve just now.
    Refused(Refusal),
    /// Anything else.
    Broken(String),
}

impl Handshake {
    /// A handshake, and the request to be sent for it.
    pub fn new(url: &Url, protocol: Option<&'static str>) -> Result<(Self, Vec<u8>), tungstenite::Error> {
        let mut request = url.text.as_str().into_client_request()?;
        if let Some(protocol) = protocol {
            request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocol));
        }
        let (bytes, key) = generate_request(request)?;
        Ok((Self { protocol, accept: derive_accept_key(key.as_bytes()), head: Vec::new() }, bytes))
    }

    /// Takes what has arrived. When the response is complete, returns what came behind it: frames.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.head.extend_from_slice(bytes);
        let response = Response::try_parse(&self.head).map_err(|error| Failure::Broken(error.to_string()))?;
        if let Some((size, response)) = response {
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                self.verify(&response).map_err(|why| Failure::Broken(why.into()))?;
                return Ok(Some(self.head.split_off(size)));
            }
            // The reason is in the body, which may come a little later.
            let answer = http::Response::parse(&self.head);
            if answer != Ok(None) {
                let refusal = answer.ok().flatten().as_ref().and_then(Refusal::read);
                let broken = || Failure::Broken(format!("the server answered {}", response.status()));
                return Err(refusal.map_or_else(broken, Failure::Refused));
            }
        }
        match self.head.len() > HEAD_BYTES_MAX {
            true => Err(Failure::Broken("a response without end".into())),
            false => Ok(None),
        }
    }

    fn verify(&self, response: &Response) -> Result<(), &'static str> {
        let has = |name, value: &str| {
            response
                .headers()
                .get(name)
                .is_some_and(|found| found.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
        };
        if !has("Upgrade", "websocket") || !has("Connection", "upgrade") {
            return Err("the server did not upgrade");
        }
        if response.headers().get("Sec-WebSocket-Accept").is_none_or(|found| *found != *self.accept) {
            return Err("Sec-WebSocket-Accept does not fit the key");
        }
        match response.headers().get("Sec-WebSocket-Protocol") {
            Some(chosen) if self.protocol.is_none_or(|protocol| *chosen != *protocol) => {
                Err("the server chose another sub-protocol")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::handshake::server::{Request, create_response, write_response};

    use std::time::Duration;

    use super::*;
    use crate::wire::refusal::{Reason, Wait};

    fn answered() -> (Handshake, Vec<u8>) {
        let url = Url::parse("ws://localhost:1/ws?via=lb-1", "ws").unwrap();
        let (handshake, request) = Handshake::new(&url, Some(PROTOCOL)).unwrap();
        let (_, request) = Request::try_parse(&request).unwrap().unwrap();
        assert_eq!(request.uri(), "/ws?via=lb-1");
        assert_eq!(request.headers()["Sec-WebSocket-Protocol"], PROTOCOL);
        let mut response = Vec::new();
        write_response(&mut response, &create_response(&request).unwrap()).unwrap();
        (handshake, response)
    }

    #[test]
    fn a_response_is_taken_at_any_split() {
        let (_, response) = answered();
        for split in 0..response.len() {
            let (mut handshake, mut response) = answered();
            response.extend_from_slice(b"frames");
            assert_eq!(handshake.handle_bytes(&response[..split]), Ok(None), "{split}");
            assert_eq!(handshake.handle_bytes(&response[split..]), Ok(Some(b"frames".to_vec())), "{split}");
        }
    }

    #[test]
    fn a_refusal_is_told() {
        let (mut handshake, _) = answered();
        let full = handshake.handle_bytes(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}");
        assert_eq!(full, Err(Failure::Broken("the server answered 503 Service Unavailable".into())));
        let (_, response) = answered();
        assert!(handshake.handle_bytes(&response).is_err(), "made for another key");
        let (mut handshake, _) = answered();
        assert!(handshake.handle_bytes(&[b'x'; HEAD_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn a_refusal_of_a_balancer_is_read_when_its_body_is_there() {
        let (mut handshake, _) = answered();
        let body = r#"{"error":"busy","retry_after_ms":70}"#;
        let head = format!("HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\n\r\n", body.len());
        assert_eq!(handshake.handle_bytes(head.as_bytes()), Ok(None));
        let wait = Wait::Exactly(Duration::from_millis(70));
        let refusal = Refusal { reason: Reason::Busy, wait };
        assert_eq!(handshake.handle_bytes(body.as_bytes()), Err(Failure::Refused(refusal)));
    }
}
