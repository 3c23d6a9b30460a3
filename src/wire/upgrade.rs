//! The opening handshake of a WebSocket (RFC 6455, section 4.2).

use bytes::Bytes;
use tungstenite::handshake::derive_accept_key;

use super::http::{Method, Request, Version};
use super::response::Status;

/// The sub-protocol of docs/protocol.md.
pub const SUBPROTOCOL: &str = "distr-chat.v1";

/// A request that may become a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub struct Upgrade {
    accept: String,
    names_subprotocol: bool,
}

/// Why a request cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UpgradeError {
    /// Plain HTTP where a WebSocket is spoken.
    #[error(
        "this address speaks WebSocket: an Upgrade header is needed, which a proxy in between must pass on"
    )]
    PlainHttp,
    /// RFC 9110, section 7.8: what HTTP/1.0 says of upgrades does not count.
    #[error(
        "a WebSocket needs HTTP/1.1, and a proxy in between spoke HTTP/1.0 (nginx: proxy_http_version 1.1)"
    )]
    Http10,
    /// Not `GET`, or `Connection` does not name `upgrade`, or `Upgrade` does not name `websocket`.
    #[error("the request needs GET, Connection: Upgrade and Upgrade: websocket")]
    Headers,
    /// `Sec-WebSocket-Version` is not 13.
    #[error("only WebSocket version 13 is spoken here")]
    Version,
    /// `Sec-WebSocket-Key` is not exactly one base64 text of 16 bytes.
    #[error("the request needs one Sec-WebSocket-Key of 16 bytes in base64")]
    Key,
}

impl UpgradeError {
    /// Every refusal, for the table of counters.
    pub const ALL: [Self; 5] = [Self::PlainHttp, Self::Http10, Self::Headers, Self::Version, Self::Key];

    /// The status that answers it (docs/protocol.md, section 8).
    pub fn status(self) -> Status {
        match self {
            Self::PlainHttp | Self::Http10 | Self::Version => Status::UPGRADE_REQUIRED,
            Self::Headers | Self::Key => Status::BAD_REQUEST,
        }
    }

    /// The `error` in the answer's body.
    pub fn code(self) -> &'static str {
        match self {
            Self::PlainHttp | Self::Http10 | Self::Version => "upgrade_required",
            Self::Headers | Self::Key => "bad_upgrade",
        }
    }

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::PlainHttp => "plain_http",
            Self::Http10 => "upgrade_http10",
            Self::Headers => "upgrade_headers",
            Self::Version => "upgrade_version",
            Self::Key => "upgrade_key",
        }
    }
}

impl Upgrade {
    /// Checks the request's headers.
    pub fn parse(request: &Request<'_>) -> Result<Self, UpgradeError> {
        if request.version == Version::Http10 {
            return Err(UpgradeError::Http10);
        }
        if request.values("upgrade").next().is_none() {
            return Err(UpgradeError::PlainHttp);
        }
        if request.method != Method::Get
            || !request.has_token("connection", "upgrade")
            || !request.has_token("upgrade", "websocket")
        {
            return Err(UpgradeError::Headers);
        }
        let mut versions = request.values("sec-websocket-version");
        if (versions.next(), versions.next()) != (Some(b"13"), None) {
            return Err(UpgradeError::Version);
        }
        let mut keys = request.values("sec-websocket-key");
        let (Some(key), None) = (keys.next(), keys.next()) else { return Err(UpgradeError::Key) };
        if !is_base64_of_16_bytes(key) {
            return Err(UpgradeError::Key);
        }
        Ok(Self {
            accept: derive_accept_key(key),
            names_subprotocol: request.has_token("sec-websocket-protocol", SUBPROTOCOL),
        })
    }

    /// The `101 Switching Protocols` head.
    pub fn response(&self) -> Bytes {
        let protocol = match self.names_subprotocol {
            true => format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"),
            false => String::new(),
        };
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{protocol}\r\n",
            self.accept
        )
        .into()
    }
}

fn is_base64_of_16_bytes(key: &[u8]) -> bool {
    let Some((digits, b"==")) = key.split_last_chunk::<2>() else { return false };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+' || *byte == b'/';
    // The last digit carries two bits of the sixteenth byte; its other four are zero.
    digits.len() == 22 && digits.iter().all(is_digit) && b"AQgw".contains(&digits[21])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgrade(lines: &str) -> Result<Upgrade, UpgradeError> {
        let head = format!("GET /ws HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        Upgrade::parse(&Request::parse(head.as_bytes()).expect("a valid head"))
    }

    const GOOD: &str =
        "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    #[test]
    fn the_example_of_the_rfc() {
        let response = upgrade(&format!("{GOOD}{KEY}")).unwrap().response();
        let text = std::str::from_utf8(&response).unwrap();
        assert!(text.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
        assert!(!text.contains("Protocol:"), "{text}");
    }

    #[test]
    fn the_subprotocol_is_named_when_it_is_offered() {
        let offered = format!("{GOOD}{KEY}Sec-WebSocket-Protocol: chat, distr-chat.v1\r\n");
        let response = upgrade(&offered).unwrap().response();
        assert!(response.ends_with(b"Sec-WebSocket-Protocol: distr-chat.v1\r\n\r\n"));
    }

    /// RFC 6455, section 11.3.4: the field may stand in several lines, which mean one list.
    #[test]
    fn the_subprotocol_may_be_offered_in_several_lines() {
        let lines = "Sec-WebSocket-Protocol: chat\r\nsec-websocket-protocol: distr-chat.v1\r\n";
        let response = upgrade(&format!("{GOOD}{KEY}{lines}")).unwrap().response();
        assert!(response.ends_with(b"Sec-WebSocket-Protocol: distr-chat.v1\r\n\r\n"));
        let apart = GOOD.replace("keep-alive, Upgrade", "keep-alive\r\nConnection: upgrade");
        assert!(upgrade(&format!("{apart}{KEY}")).is_ok());
    }

    #[test]
    fn http_1_0_cannot_be_upgraded() {
        let head = format!("GET /ws HTTP/1.0\r\nHost: h\r\n{GOOD}{KEY}\r\n");
        let request = Request::parse(head.as_bytes()).unwrap();
        assert!(!request.wants_websocket());
        assert_eq!(Upgrade::parse(&request), Err(UpgradeError::Http10));
    }

    #[test]
    fn each_broken_rule_has_its_name() {
        let cases = [
            (KEY.to_owned(), UpgradeError::PlainHttp),
            (format!("Upgrade: websocket\r\n{KEY}"), UpgradeError::Headers),
            (format!("Connection: Upgrade\r\nUpgrade: h2c\r\n{KEY}"), UpgradeError::Headers),
            (format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{KEY}"), UpgradeError::Version),
            (format!("{}{KEY}", GOOD.replace("13", "8")), UpgradeError::Version),
            (GOOD.to_owned(), UpgradeError::Key),
            (format!("{GOOD}{KEY}{KEY}"), UpgradeError::Key),
            (format!("{GOOD}Sec-WebSocket-Key: short\r\n"), UpgradeError::Key),
            (format!("{GOOD}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZZ==\r\n"), UpgradeError::Key),
        ];
        for (lines, error) in cases {
            assert_eq!(upgrade(&lines), Err(error), "{lines}");
        }
    }
}
