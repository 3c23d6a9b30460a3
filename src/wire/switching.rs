//! What a server answers to a proxy's WebSocket request (RFC 6455, section 4.1).

use tungstenite::handshake::derive_accept_key;

use super::http::{HEADERS_MAX, head_end};

/// Why the server is none for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwitchingError {
    /// Not HTTP/1.1, or larger than a head may be.
    #[error("the answer is not well-formed HTTP")]
    Malformed,
    /// It says something else than 101.
    #[error("the answer is {0}")]
    Status(u16),
    /// A 101 that does not fit the request.
    #[error("the answer is no WebSocket, or to another request")]
    Headers,
}

/// Where the head in `bytes` ends that takes a request with that `key`; `None`: more must come.
pub fn parse(bytes: &[u8], key: &[u8]) -> Result<Option<usize>, SwitchingError> {
    let Some(end) = head_end(bytes, 0).map_err(|_| SwitchingError::Malformed)? else { return Ok(None) };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    match answer.parse(&bytes[..end]) {
        Ok(httparse::Status::Complete(length)) if length == end && answer.version == Some(1) => {}
        _ => return Err(SwitchingError::Malformed),
    }
    match answer.code {
        Some(101) => {}
        Some(code) => return Err(SwitchingError::Status(code)),
        None => return Err(SwitchingError::Malformed),
    }
    let only = |name: &str| {
        let mut values = answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (Some(header), None) => Some(header.value.trim_ascii()),
            _ => None,
        }
    };
    // A list, which may have other tokens and several lines: a proxy before the server may add to
    // it.
    let has = |name: &str, token: &[u8]| {
        let values = answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let mut tokens = values.flat_map(|header| header.value.split(|&byte| byte == b','));
        tokens.any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
    };
    let is_websocket = only("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && has("connection", b"upgrade");
    let accept = derive_accept_key(key);
    if is_websocket && only("sec-websocket-accept") == Some(accept.as_bytes()) {
        Ok(Some(end))
    } else {
        Err(SwitchingError::Headers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::http::HEAD_BYTES_MAX;

    const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[test]
    fn the_example_of_the_rfc_is_taken_once_it_is_whole() {
        for length in 0..GOOD.len() {
            assert_eq!(parse(&GOOD.as_bytes()[..length], KEY), Ok(None), "{length}");
        }
        let more = GOOD.replace("Connection: Upgrade", "connection: keep-alive\r\nConnection: upgrade");
        assert_eq!(parse(more.as_bytes(), KEY), Ok(Some(more.len())));
        let with_frames = [GOOD.as_bytes(), b"\x81\x00"].concat();
        assert_eq!(parse(&with_frames, KEY), Ok(Some(GOOD.len())));
    }

    #[test]
    fn each_other_answer_says_why_not() {
        let cases = [
            (GOOD.replace("HTTP/1.1 101", "HTTP/1.1 503"), SwitchingError::Status(503)),
            (GOOD.replace("HTTP/1.1", "HTTP/1.0"), SwitchingError::Malformed),
            (GOOD.replace("HTTP/1.1", "HTTQ/1.1"), SwitchingError::Malformed),
            (GOOD.replace("websocket", "h2c"), SwitchingError::Headers),
            (GOOD.replace("Connection: Upgrade\r\n", ""), SwitchingError::Headers),
            (GOOD.replace("s3pP", "xxxx"), SwitchingError::Headers),
            (
                format!("HTTP/1.1 101 X\r\nA: {}\r\n\r\n", "b".repeat(HEAD_BYTES_MAX)),
                SwitchingError::Malformed,
            ),
        ];
        for (answer, error) in cases {
            assert_eq!(parse(answer.as_bytes(), KEY), Err(error), "{answer}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, KEY);
            let _ = parse(&[b"HTTP/1.1 101 ", &bytes[..], b"\r\n\r\n"].concat(), KEY);
        }
    }
}
