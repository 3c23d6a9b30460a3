use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Request<'_>, HeadError> {
    Request::parse(text.as_bytes())
}

#[test]
fn a_browser_like_head() {
    let text = "GET /ws?via=lb-1&ticket=a%20b HTTP/1.1\r\nHost: localhost:5001\r\nAccept: */*\r\n\
                Connection: keep-alive, Upgrade\r\nOrigin: http://localhost:3001\r\n\r\n";
    let request = parse(text).unwrap();
    assert_eq!((request.method, request.path), (Method::Get, "/ws"));
    assert_eq!(request.query_value("ticket"), Some("a%20b"));
    assert_eq!(request.query_value("absent"), None);
    assert_eq!((request.host, request.hostname()), ("localhost:5001", Some("localhost")));
    assert!(request.keep_alive && request.has_token("connection", "upgrade"));
}

#[test]
fn each_broken_rule_has_its_name() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.0\r\nHost:\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::Body),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", HeadError::Version),
        ("PRI * HTTP/2.0\r\n\r\n", HeadError::Version),
        ("PUT / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Method),
        ("GET ftp://x/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("OPTIONS *?x HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET https://a/x HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", HeadError::Body),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", HeadError::Body),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::Body),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
            HeadError::Body,
        ),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", HeadError::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", HeadError::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", HeadError::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\n\nGET /hidden HTTP/1.1\r\n\r\n", HeadError::Syntax),
        ("\x16\x03\x01\x02\x00\x01\r\n\r\n", HeadError::Syntax),
    ];
    for (text, error) in cases {
        assert_eq!(parse(text).map(|_| ()), Err(error), "{text:?}");
    }
}

/// RFC 9112, section 3.2.2: the host of the target counts. RFC 9110, section 4.2.3: schemes have no
/// case.
#[test]
fn absolute_targets_and_ipv6_hosts() {
    let request =
        parse("GET http://a:1/x?y HTTP/1.1\r\nHost: [::1]:5001\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!((request.path, request.query, request.hostname()), ("/x", Some("y"), Some("a")));
    assert!(!request.keep_alive);
    assert_eq!(parse("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().path, "/");
    let request = parse("GET HTTP://a?x HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
    assert_eq!((request.path, request.query, request.host), ("/", Some("x"), "a"));
    let request = parse("GET / HTTP/1.1\r\nHost: [::1]:5001\r\n\r\n").unwrap();
    assert_eq!(request.hostname(), Some("[::1]"));
}

/// What nginx sends by `proxy_pass` alone, and what older balancers check health by.
#[test]
fn http_1_0_needs_no_host_and_asks_once() {
    let request = parse("GET /ready HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!((request.version, request.path, request.hostname()), (Version::Http10, "/ready", None));
    assert!(!request.keep_alive);
    let request = parse("HEAD / HTTP/1.0\r\nHost: a:1\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert_eq!((request.method, request.hostname()), (Method::Head, Some("a")));
    assert!(!request.keep_alive);
}

#[test]
fn options_may_ask_for_the_whole_server() {
    assert_eq!(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().path, "*");
    assert_eq!(parse("OPTIONS / HTTP/1.0\r\n\r\n").unwrap().method, Method::Options);
}

/// RFC 9110, section 7.8: what is not understood of `Upgrade` is passed over, as `h2c` of curl and
/// Java.
#[test]
fn only_a_websocket_is_one() {
    let wants = |upgrade: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n");
        parse(&head).unwrap().wants_websocket()
    };
    assert!(wants("websocket") && wants("h2c, WebSocket") && !wants("h2c"));
}

/// RFC 9112, section 2.2: an empty line before a request, as some write behind a body.
#[test]
fn an_empty_line_before_a_request_is_passed_over() {
    let bytes = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(head_end(bytes, 0), Ok(Some(bytes.len())));
    assert!(Request::parse(bytes).is_ok());
}

#[test]
fn too_many_headers_are_too_large() {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(HEADERS_MAX));
    assert_eq!(parse(&head).map(|_| ()), Err(HeadError::TooLarge));
}

#[test]
fn a_head_is_found_at_every_byte_and_refused_beyond_its_limit() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut bytes = head.to_vec();
    bytes.extend_from_slice(b"frames behind it");
    for length in 0..=bytes.len() {
        let expected = (length >= head.len()).then_some(head.len());
        for searched in 0..=length.min(head.len() - 1) {
            assert_eq!(head_end(&bytes[..length], searched), Ok(expected), "{length} {searched}");
        }
    }
    let endless = vec![b'a'; HEAD_BYTES_MAX];
    assert_eq!(head_end(&endless[..HEAD_BYTES_MAX - 1], 0), Ok(None));
    assert_eq!(head_end(&endless, 0), Err(HeadError::TooLarge));
    assert_eq!(head_end(&endless, HEAD_BYTES_MAX - 1), Err(HeadError::TooLarge));
}

proptest! {
    #[test]
    fn any_bytes_are_a_request_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Request::parse(&bytes);
        let _ = head_end(&bytes, bytes.len() / 2);
    }
}
