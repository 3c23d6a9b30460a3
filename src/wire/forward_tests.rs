use core::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::wire::http::HeadError;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn parse(target: &str, lines: &str) -> Result<Accepted, UpgradeError> {
    let head = format!("GET {target} HTTP/1.1\r\nHost: chat.example:7001\r\n{lines}\r\n");
    Forward::parse(&Request::parse(head.as_bytes()).expect("a valid head"))
}

fn head(target: &str, lines: &str) -> String {
    let Accepted { forward, .. } = parse(target, &format!("{UPGRADE}{lines}")).unwrap();
    let peer = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    let head = forward.head("10.0.0.1:5001", "/ws?via=lb-1", peer);
    String::from_utf8(head.to_vec()).unwrap()
}

#[test]
fn what_is_understood_is_written_anew() {
    let lines = "Sec-WebSocket-Protocol: distr-chat.v1\r\nOrigin: https://chat.example\r\n";
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
    let Accepted { forward, .. } = parse("/ws", &format!("{lines}X-Secret: 1\r\nX-Kept: 2\r\n")).unwrap();
    let head = forward.head("a", "/ws", Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let head = String::from_utf8(head.to_vec()).unwrap();
    assert!(!head.contains("X-Secret") && head.contains("X-Kept: 2\r\n"), "{head}");
    assert!(head.contains("X-Forwarded-For: 127.0.0.1\r\n"), "nobody can have that taken away: {head}");
}

#[test]
fn what_a_server_refuses_is_refused_by_the_same_rule() {
    for lines in [
        format!("{UPGRADE}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        format!("{UPGRADE}Sec-WebSocket-Version: 13\r\n"),
        "Accept: */*\r\n".to_owned(),
        UPGRADE.replace("13", "8"),
    ] {
        let head = format!("GET /ws HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let refused = Upgrade::parse(&Request::parse(head.as_bytes()).unwrap()).unwrap_err();
        assert_eq!(parse("/ws", &lines).unwrap_err(), refused, "{lines}");
    }
}

/// RFC 9110, section 5.3: several lines of a list are one list. RFC 9110, section 8.6: a length of
/// nothing.
#[test]
fn what_a_server_takes_is_taken() {
    let lists = "Connection: keep-alive\r\nupgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\n\
                 sec-websocket-protocol: distr-chat.v1\r\nSec-WebSocket-Extensions: a\r\n\
                 Sec-WebSocket-Extensions: b\r\nContent-Length: 0\r\nX-Latin: caf\u{e9}\r\n";
    let head = head("/ws", lists);
    assert!(head.contains("\r\nSec-WebSocket-Protocol: chat, distr-chat.v1\r\n"), "{head}");
    assert!(head.contains("\r\nX-Latin: caf\u{e9}\r\n"), "{head}");
    for (word, count) in
        [("Connection:", 1), ("pgrade: ", 1), ("rotocol", 1), ("Extensions", 0), ("Length", 0)]
    {
        assert_eq!(head.matches(word).count(), count, "{word}: {head}");
    }
}

#[test]
fn a_url_without_a_path_is_asked_for_its_root() {
    let Accepted { forward, .. } = parse("/ws?token=7", UPGRADE).unwrap();
    let first_line = |target| {
        let head = forward.head("a", target, None).to_vec();
        String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
    };
    assert_eq!(first_line("?via=lb-1"), "GET /?via=lb-1&token=7 HTTP/1.1");
    assert_eq!(first_line(""), "GET /?token=7 HTTP/1.1");
}

#[test]
fn cookies_are_not_kept() {
    let cookies = format!("Cookie: {}\r\nOrigin: https://o\r\n", "c=1; ".repeat(3000));
    let Accepted { forward, left_out, .. } = parse("/ws", &format!("{UPGRADE}{cookies}")).unwrap();
    let head = forward.head("a", "/ws", None);
    let head = std::str::from_utf8(&head).unwrap();
    assert!(!head.contains("Cookie") && head.contains("Origin: https://o\r\n"), "{head}");
    assert_eq!(left_out, 0, "that is no loss");
}

#[test]
fn what_is_too_much_is_left_out_and_counted_and_the_client_is_not() {
    let long = format!("X-Long: {}\r\nX-Short: 1\r\n", "x".repeat(KEPT_BYTES_MAX));
    let target = format!("/ws?long={}&short=1", "y".repeat(KEPT_BYTES_MAX));
    let Accepted { forward, left_out, .. } = parse(&target, &format!("{UPGRADE}{long}")).unwrap();
    let head = forward.head("a", "/ws", None);
    let head = std::str::from_utf8(&head).unwrap();
    assert!(head.starts_with("GET /ws?short=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("X-Short: 1\r\n") && !head.contains("X-Long"), "{head}");
    assert_eq!(left_out, 2);

    let many = "X: 1\r\n".repeat(HEADERS_MAX - 5);
    let Accepted { forward, left_out, .. } = parse("/ws", &format!("{UPGRADE}{many}")).unwrap();
    let head = forward.head("a", "/ws", None);
    assert_eq!(Request::parse(&head).unwrap().headers().count(), HEADERS_MAX, "a server takes no more");
    assert_eq!(left_out, 3);
}

/// The list is believed from its end, as far as it can be read.
#[test]
fn of_the_hops_the_nearest_are_kept() {
    let kept = |lines: &str| {
        let Accepted { forward, left_out, .. } = parse("/ws", &format!("{UPGRADE}{lines}")).unwrap();
        (forward.forwarded_for.into_string(), left_out)
    };
    let cut = kept("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: \u{ff}, 10.0.0.9,10.0.0.8\r\n");
    assert_eq!(cut, ("10.0.0.9, 10.0.0.8".into(), 1));
    let (hops, left_out) = kept(&format!("X-Forwarded-For: {}10.0.0.7\r\n", "192.0.2.1, ".repeat(500)));
    assert!(hops.len() <= HOPS_BYTES_MAX && hops.ends_with(", 10.0.0.7"), "{hops}");
    assert_eq!(left_out, 1);
    assert_eq!(kept("X-Forwarded-For: ,, 10.0.0.1\r\nX-Forwarded-For:\r\n"), ("10.0.0.1".into(), 0));
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
        let Accepted { forward, .. } = parsed.unwrap();
        let written = forward.head("10.0.0.1:5001", "/ws?via=lb-1", Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let end = crate::wire::http::head_end(&written, 0).unwrap().unwrap();
        prop_assert_eq!(end, written.len());
        let request = Request::parse(&written).unwrap();
        prop_assert_eq!((request.path, request.host), ("/ws", "10.0.0.1:5001"));
        prop_assert_eq!(request.query_value("via"), Some("lb-1"));
        prop_assert!(Forward::parse(&request).is_ok(), "{:?}", String::from_utf8_lossy(&written));
    }
}
