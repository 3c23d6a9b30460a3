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
    assert_eq!((request.host, request.hostname()), ("localhost:5001", "localhost"));
    assert!(request.keep_alive && request.has_token("connection", "upgrade"));
}

#[test]
fn each_broken_rule_has_its_name() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", HeadError::Version),
        ("PRI * HTTP/2.0\r\n\r\n", HeadError::Version),
        ("PUT / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Method),
        ("GET ftp://x/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
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

#[test]
fn absolute_targets_and_ipv6_hosts() {
    let request =
        parse("GET http://a:1/x?y HTTP/1.1\r\nHost: [::1]:5001\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!((request.path, request.query, request.hostname()), ("/x", Some("y"), "[::1]"));
    assert!(!request.keep_alive);
    assert_eq!(parse("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().path, "/");
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
