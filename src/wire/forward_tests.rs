use core::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::wire::http::HeadError;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn parse(target: &str, lines: &str) -> Result<Forward, ForwardError> {
    let head = format!("GET {target} HTTP/1.1\r\nHost: chat.example:7001\r\n{lines}\r\n");
    Forward::parse(&Request::parse(head.as_bytes()).expect("a valid head")).map(|(forward, _)| forward)
}

fn head(target: &str, lines: &str) -> String {
    let forward = parse(target, &format!("{UPGRADE}{lines}")).unwrap();
    let peer = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    let head = forward.head("10.0.0.1:5001", "/ws?via=lb-1", peer);
    String::from_utf8(head.to_vec()).unwrap()
}

#[test]
fn what_is_understood_is_written_anew() {
    let lines =
        "Origin: https://chat.example\r\nCookie: a=b; c=d\r\nSec-WebSocket-Protocol: distr-chat.v1\r\n";
    assert_eq!(
        head("/ws?token=7&via=lb-9&not=app-1&ticket=x", lines),
        format!(
            "GET /ws?via=lb-1&token=7 HTTP/1.1\r\nHost: 10.0.0.1:5001\r\n{UPGRADE}\
             X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\
             X-Forwarded-Host: chat.example:7001\r\n{lines}\r\n"
        )
    );
}

#[test]
fn the_last_hop_is_added_to_those_before() {
    let head = head("/ws", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 10.0.0.9, 10.0.0.8\r\n");
    assert!(head.contains("\r\nX-Forwarded-For: 198.51.100.1, 10.0.0.9, 10.0.0.8, 192.0.2.7\r\n"), "{head}");
    assert_eq!(head.matches("X-Forwarded-For").count(), 1);
}

#[test]
fn what_is_for_this_hop_ends_here() {
    let head = head(
        "/ws",
        "Keep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\nX-Forwarded-Proto: https\r\nForwarded: for=evil\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\nX-Forwarded-Host: evil\r\n",
    );
    for word in ["Keep-Alive", "TE:", "Proxy-", "https", "evil", "deflate"] {
        assert!(!head.contains(word), "{word}: {head}");
    }
    let lines = UPGRADE.replace("Connection: Upgrade", "Connection: Upgrade, X-Secret, X-Forwarded-For");
    let forward = parse("/ws", &format!("{lines}X-Secret: 1\r\nX-Kept: 2\r\n")).unwrap();
    let head = forward.head("a", "/ws", Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let head = String::from_utf8(head.to_vec()).unwrap();
    assert!(!head.contains("X-Secret") && head.contains("X-Kept: 2\r\n"), "{head}");
    assert!(head.contains("X-Forwarded-For: 127.0.0.1\r\n"), "nobody can have that taken away: {head}");
}

#[test]
fn what_is_ambiguous_is_refused_by_a_rule() {
    let cases = [
        (format!("{UPGRADE}Connection: keep-alive\r\n"), "duplicate"),
        (format!("{UPGRADE}upgrade: websocket\r\n"), "duplicate"),
        (format!("{UPGRADE}Sec-WebSocket-Protocol: a\r\nsec-websocket-protocol: b\r\n"), "duplicate"),
        (format!("{UPGRADE}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "upgrade_key"),
        (format!("{UPGRADE}Content-Length: 0\r\n"), "body"),
        (format!("{UPGRADE}X-Forwarded-For: \u{ff}\r\n"), "forwarded_for"),
        (format!("{UPGRADE}X-Long: {}\r\n", "x".repeat(KEPT_BYTES_MAX)), "too_large"),
        (format!("{UPGRADE}{}", "X-Many: 1\r\n".repeat(HEADERS_MAX - WRITTEN - 4)), "too_large"),
        ("Accept: */*\r\n".to_owned(), "plain_http"),
        (UPGRADE.replace("13", "8"), "upgrade_version"),
    ];
    for (lines, rule) in cases {
        assert_eq!(parse("/ws", &lines).err().map_or("", ForwardError::name), rule, "{lines}");
    }
}

/// What the parser of heads refuses never comes here.
#[test]
fn the_rest_is_refused_before() {
    let parse = |lines: &str| {
        let head = format!("GET /ws HTTP/1.1\r\n{lines}\r\n");
        Request::parse(head.as_bytes()).err()
    };
    for (lines, error) in [
        (format!("Host: h\r\nHost: h\r\n{UPGRADE}"), HeadError::Host),
        (format!("Host: h\r\n{UPGRADE}Content-Length: 5\r\n"), HeadError::Body),
        (format!("Host: h\r\n{UPGRADE}Transfer-Encoding: chunked\r\n"), HeadError::Body),
        (format!("Host: h\r\n{UPGRADE}X-Folded: a\r\n b\r\n"), HeadError::Syntax),
        (format!("Host: h\r\n{UPGRADE}X-Space : a\r\n"), HeadError::Syntax),
        (format!("Host: h\r\n{UPGRADE}X-Nul: \0\r\n"), HeadError::Syntax),
    ] {
        assert_eq!(parse(&lines), Some(error), "{lines:?}");
    }
}

proptest! {
    /// Whatever a client writes, the server's parser finds one request in what is written anew, with one of each field
    /// that decides.
    #[test]
    fn what_is_written_is_one_request(
        query in "[!-~&&[^#? ]]{0,40}",
        fields in proptest::collection::vec(("[A-Za-z-]{1,12}", "[ -~]{0,30}"), 0..10),
    ) {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("GET /ws?{query} HTTP/1.1\r\nHost: h\r\n{UPGRADE}{fields}\r\n");
        let parsed = Request::parse(head.as_bytes()).ok().and_then(|request| Forward::parse(&request).ok());
        prop_assume!(parsed.is_some());
        let (forward, _) = parsed.unwrap();
        let written = forward.head("10.0.0.1:5001", "/ws?via=lb-1", Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let end = crate::wire::http::head_end(&written, 0).unwrap().unwrap();
        prop_assert_eq!(end, written.len());
        let request = Request::parse(&written).unwrap();
        prop_assert_eq!((request.path, request.host), ("/ws", "10.0.0.1:5001"));
        prop_assert_eq!(request.query_value("via"), Some("lb-1"));
        prop_assert!(Forward::parse(&request).is_ok(), "{:?}", String::from_utf8_lossy(&written));
    }
}
