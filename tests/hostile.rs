//! Whatever bytes come in: a named refusal, a counter that goes up, and a server that chats on.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use distr_chat::app::Options;
use distr_chat::chat::rate::Rate;
use distr_chat::serve::Limits;
use serde_json::{Value, json};
use support::raw::{self, Raw, UPGRADE};
use support::{Client, UNLIMITED, app, eventually, metric, options, start_app};

/// The largest message that a server takes by default.
const FRAME_BYTES: usize = 32 * 1024;
/// The largest head of a request, and the most fields in it.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 100;

/// Runs `act` and waits until each of the counters has gone up by one.
#[track_caller]
fn counts(server: SocketAddr, case: &str, counters: &[String], act: impl FnOnce()) {
    let read = || counters.iter().map(|counter| metric(server, counter)).collect::<Vec<_>>();
    let before = read();
    act();
    let expected: Vec<_> = before.iter().map(|count| count + 1).collect();
    eventually(&format!("{case}: {counters:?} go up by one from {before:?}"), || read() == expected);
}

/// Two clients come, and one hears the other.
#[track_caller]
fn assert_chats(server: SocketAddr) {
    let (mut ann, mut bob) = (Client::connect(server), Client::connect(server));
    ann.join("the good room", "ann");
    bob.join("the good room", "bob");
    let id = format!("good-{}", fastrand::u64(..));
    ann.say("the good room", &id, "all is well");
    bob.messages_until("the good room", &id);
}

fn requests_refused(rule: &str) -> String {
    format!("distr_requests_refused_total{{rule=\"{rule}\"}}")
}

fn error_answers(status: u16) -> String {
    format!("distr_error_answers_total{{status=\"{status}\"}}")
}

fn frames_refused(rule: &str) -> String {
    format!("distr_frames_refused_total{{rule=\"{rule}\"}}")
}

fn websockets_closed(reason: &str) -> String {
    format!("distr_websockets_closed_total{{reason=\"{reason}\"}}")
}

fn client_errors(code: &str) -> String {
    format!("distr_client_errors_total{{code=\"{code}\"}}")
}

/// A request is refused with this status, this error, under this rule, and the connection ends.
#[track_caller]
fn refuses_request(server: SocketAddr, request: &[u8], status: u16, error: &str, rule: &str) {
    let shown = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
    counts(server, &shown, &[requests_refused(rule), error_answers(status)], || {
        let mut raw = Raw::connect(server);
        raw.write(request);
        let answer = raw.answer();
        assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{shown}");
        assert!(answer.header("connection").is_some_and(|options| options.starts_with("close")), "{shown}");
        assert!(raw.has_ended(), "{shown}");
    });
}

/// A frame is refused with this close code under this rule.
#[track_caller]
fn refuses_frame(server: SocketAddr, bytes: &[u8], code: u16, reason: &str, rule: &str) {
    let shown = format!("{:02x?}", &bytes[..bytes.len().min(24)]);
    counts(server, &shown, &[frames_refused(rule), websockets_closed(reason)], || {
        let mut raw = Raw::open(server);
        raw.write(bytes);
        assert_eq!(raw.close_code(), code, "{shown}");
        assert!(raw.has_ended(), "{shown}");
    });
}

fn request(line: &str, headers: &str) -> Vec<u8> {
    format!("{line}\r\n{headers}\r\n").into_bytes()
}

#[test]
fn heads_that_are_not_http() {
    let app = app();
    let host = "Host: h\r\n";
    for head in [
        request("hello", ""),
        request("GET /live", host),
        request("GET  /live HTTP/1.1", host),
        request("GET /live HTTP/1.1", "Host: h\r\nBad Header: x\r\n"),
        request("GET /live HTTP/1.1", "Host: h\r\nNo-Colon\r\n"),
        request("GET /live HTTP/1.1", "Host: h\r\nX: folded\r\n value\r\n"),
        request("GET /live HTTP/1.1", "Host: h\r\nX: nul\0\r\n"),
        request("GET /li\x7fve HTTP/1.1", host),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
        b"GET /live HTTP/1.1\nHost: h\n\nGET /status HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
    ] {
        refuses_request(app.address(), &head, 400, "malformed", "syntax");
    }
    assert_chats(app.address());
}

#[test]
fn heads_that_are_too_large() {
    let app = app();
    let long = request("GET /live HTTP/1.1", &format!("Host: h\r\nX: {}\r\n", "x".repeat(HEAD_BYTES)));
    let endless = vec![b'x'; HEAD_BYTES];
    let many = request("GET /live HTTP/1.1", &format!("Host: h\r\n{}", "X: y\r\n".repeat(HEADERS)));
    for head in [long, endless, many] {
        refuses_request(app.address(), &head, 431, "head_too_large", "too_large");
    }
    // The largest that is allowed: 16 KiB with the empty line, and 100 fields.
    let fields = format!("Host: h\r\n{}", "X: y\r\n".repeat(HEADERS - 2));
    let padding = HEAD_BYTES - request("GET /live HTTP/1.1", &fields).len() - "Y: \r\n".len();
    let largest = request("GET /live HTTP/1.1", &format!("{fields}Y: {}\r\n", "y".repeat(padding)));
    assert_eq!(largest.len(), HEAD_BYTES);
    let mut raw = Raw::connect(app.address());
    raw.write(largest);
    assert_eq!(raw.answer().status, 200);
    assert_chats(app.address());
}

#[test]
fn methods_targets_hosts_bodies_and_versions() {
    let app = app();
    let host = "Host: h\r\n";
    let refused = |line: &str, headers: &str, status, error, rule| {
        refuses_request(app.address(), &request(line, headers), status, error, rule);
    };
    for method in ["POST", "PUT", "DELETE", "TRACE", "get", "BREW"] {
        refused(&format!("{method} /live HTTP/1.1"), host, 405, "method_not_allowed", "method");
    }
    for target in ["live", "*", "ftp://h/live", "h:80"] {
        refused(&format!("GET {target} HTTP/1.1"), host, 400, "malformed", "target");
    }
    for hosts in ["", "Host: a\r\nHost: a\r\n", "Host:\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: é\r\n"]
    {
        refused("GET /live HTTP/1.1", hosts, 400, "malformed", "host");
    }
    for lengths in [
        "Content-Length: 1\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: -0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "transfer-encoding: identity\r\n",
    ] {
        refused("GET /live HTTP/1.1", &format!("{host}{lengths}"), 400, "malformed", "body");
    }
    for version in ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9"] {
        refused(&format!("GET /live {version}"), host, 505, "version", "version");
    }
    assert_chats(app.address());
}

#[test]
fn upgrades_that_are_none() {
    let app = app();
    let plain = "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n".to_owned();
    let cases = [
        (plain, 426, "upgrade_required", "plain_http"),
        (UPGRADE.replace("HTTP/1.1", "HTTP/1.0"), 426, "upgrade_required", "upgrade_http10"),
        (UPGRADE.replace("Version: 13", "Version: 8"), 426, "upgrade_required", "upgrade_version"),
        (UPGRADE.replace("Sec-WebSocket-Version: 13\r\n", ""), 426, "upgrade_required", "upgrade_version"),
        (UPGRADE.replace("Connection: Upgrade\r\n", ""), 400, "bad_upgrade", "upgrade_headers"),
        (UPGRADE.replace("Upgrade: websocket", "Upgrade: h2c"), 400, "bad_upgrade", "upgrade_headers"),
        (UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400, "bad_upgrade", "upgrade_key"),
        (
            UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZZ=="),
            400,
            "bad_upgrade",
            "upgrade_key",
        ),
        (UPGRADE.replace("\r\n\r\n", "\r\nSec-WebSocket-Key: a\r\n\r\n"), 400, "bad_upgrade", "upgrade_key"),
    ];
    for (head, status, error, rule) in cases {
        refuses_request(app.address(), head.as_bytes(), status, error, rule);
    }
    let mut raw = Raw::connect(app.address());
    raw.write("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(raw.answer().header("sec-websocket-version"), Some("13"));
    assert_chats(app.address());
}

#[test]
fn paths_that_are_not_there() {
    let app = app();
    for path in
        ["/nowhere", "//", "/../Cargo.toml", "/assets/../../Cargo.toml", "/assets/%2e%2e/x", "/WS", "/ws/"]
    {
        counts(app.address(), path, &[error_answers(404)], || {
            let answer = support::http_get(app.address(), path);
            assert_eq!((answer.status, &answer.json()["error"]), (404, &json!("not_found")), "{path}");
        });
    }
    assert_chats(app.address());
}

#[test]
fn a_head_that_comes_too_slowly() {
    let limits = Limits { head_timeout: Duration::from_millis(300), ..options("").limits };
    let app = start_app(&Options { limits, ..options("app-1") });
    refuses_request(app.address(), b"GET /live HTTP/1.1\r\nHo", 408, "too_slow", "too_slow");
    assert_chats(app.address());
}

#[test]
fn a_head_in_single_bytes_and_frames_right_behind_it_are_fine() {
    let app = app();
    let mut raw = Raw::connect(app.address());
    let join = raw::text(r#"{"type":"join","room":"r","user":"ann"}"#);
    let send = raw::text(r#"{"type":"send","room":"r","id":"1","text":"hi"}"#);
    for &byte in &[UPGRADE.as_bytes(), &join[..], &send[..]].concat() {
        raw.write([byte]);
    }
    assert_eq!(raw.answer().status, 101);
    let kinds: Vec<_> = (0..4).map(|_| raw.json()["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds[..2], ["welcome", "joined"]);

    let mut raw = Raw::connect(app.address());
    raw.write([UPGRADE.as_bytes(), &join.repeat(1), &send, &raw::close(b"")].concat());
    assert_eq!(raw.answer().status, 101);
    assert_eq!(raw.json()["type"], "welcome");
    assert_eq!(raw.close_code(), 1005);
    assert_chats(app.address());
}

#[test]
fn requests_in_one_packet_are_answered_in_turn() {
    let app = app();
    let mut raw = Raw::connect(app.address());
    raw.write(
        "GET /live HTTP/1.1\r\nHost: h\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n\
         HEAD /live HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!([raw.answer().status, raw.answer().status], [200, 404]);
    // The answer to HEAD tells the length of a body that does not follow; nothing else follows either.
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n";
    raw.write("GET /nowhere HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(String::from_utf8(raw.read(head.len())).unwrap(), head);
    assert_eq!(raw.answer().status, 404);
    assert!(raw.has_ended());
    assert_chats(app.address());
}

#[test]
fn a_request_behind_one_that_takes_time_is_not_answered_and_the_client_is_told() {
    let app = app();
    let mut raw = Raw::connect(app.address());
    raw.write("GET /status HTTP/1.1\r\nHost: h\r\n\r\nGET /live HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = raw.answer();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(raw.has_ended());
    assert_chats(app.address());
}

#[test]
fn frames_that_break_the_rfc() {
    let app = app();
    let refused = |bytes: &[u8], rule| refuses_frame(app.address(), bytes, 1002, "protocol_error", rule);
    refused(&[0x81, 0x02, b'h', b'i'], "unmasked");
    refused(&[0x89, 0x00], "unmasked");
    for bit in [0x40, 0x20, 0x10] {
        refused(&raw::frame(0x81 | bit, b"hi"), "reserved_bits");
    }
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        refused(&raw::frame(0x80 | opcode, b"hi"), "reserved_opcode");
    }
    for opcode in [0x8, 0x9, 0xa] {
        refused(&raw::frame(opcode, b""), "fragmented_control");
        refused(&raw::header(0x80 | opcode, 126), "long_control");
    }
    refused(&[0x81, 0xfe, 0x00, 0x7d, 1, 2, 3, 4], "length_not_minimal");
    refused(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4], "length_not_minimal");
    refused(&[0x89, 0xfe, 0x00, 0x01, 1, 2, 3, 4], "length_not_minimal");
    refused(&raw::frame(0x80, b"hi"), "unexpected_continuation");
    refused(&[raw::frame(0x01, b"h"), raw::frame(0x81, b"i")].concat(), "expected_continuation");
    refused(&[raw::frame(0x01, b"h"), raw::frame(0x02, b"i")].concat(), "expected_continuation");
    refused(&raw::close(&[0x03]), "close_code");
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        refused(&raw::close(&code.to_be_bytes()), "close_code");
    }
    assert_chats(app.address());
}

#[test]
fn messages_that_are_too_big_are_refused_at_the_header() {
    let app = app();
    let refused = |bytes: &[u8]| refuses_frame(app.address(), bytes, 1009, "too_big", "too_big");
    refused(&raw::header(0x81, FRAME_BYTES + 1));
    refused(&raw::header(0x82, 1 << 20));
    refused(&raw::header(0x81, usize::MAX));
    refused(&raw::header(0x01, usize::MAX >> 1));
    let part = raw::frame(0x01, &vec![b'x'; FRAME_BYTES]);
    refused(&[part, raw::header(0x00, 1)].concat());
    assert_chats(app.address());
}

#[test]
fn text_that_is_not_utf8() {
    let app = app();
    let refused = |bytes: &[u8]| refuses_frame(app.address(), bytes, 1007, "invalid_text", "utf8");
    for bytes in [&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x91", b"\xc0\xaf"] {
        refused(&raw::frame(0x81, bytes));
    }
    // Across fragments: refused in the one that brings the bad byte, or at the end.
    refused(&[raw::frame(0x01, b"{\xe2"), raw::frame(0x00, b"\x28")].concat());
    refused(&[raw::frame(0x01, b"{\xe2\x82"), raw::frame(0x80, b"")].concat());
    refused(&raw::close(b"\x03\xe8\xff"));
    assert_chats(app.address());
}

#[test]
fn binary_messages() {
    let app = app();
    for message in [raw::frame(0x82, b"{}"), [raw::frame(0x02, b"{"), raw::frame(0x80, b"}")].concat()] {
        counts(app.address(), "binary", &[websockets_closed("unsupported_data")], || {
            let mut raw = Raw::open(app.address());
            raw.write(&message);
            assert_eq!(raw.close_code(), 1003);
            assert!(raw.has_ended());
        });
    }
    assert_chats(app.address());
}

/// RFC 6455, section 5.5.3. A client may tell its pings apart by what they carry, and wait for
/// each.
#[test]
fn each_ping_is_answered_in_its_place_among_the_messages() {
    let app = app();
    let mut raw = Raw::open(app.address());
    let asked = raw::text(r#"{"type":"ping"}"#);
    let ping = |number: u8| raw::frame(0x89, &[number]);
    // All in one segment, a ping inside a fragmented message too.
    let fragments = [raw::frame(0x01, b"{\"type\":"), ping(7), raw::frame(0x80, b"\"ping\"}")].concat();
    let pings: Vec<_> = (0..7).map(ping).collect();
    raw.write([pings[..3].concat(), asked.clone(), pings[3..].concat(), fragments, ping(8), asked].concat());
    let told: Vec<_> = (0..12).map(|_| raw.frame().unwrap()).collect();
    let answer = (0x81, br#"{"type":"pong"}"#.to_vec());
    let pong = |number: u8| (0x8a, vec![number]);
    let mut expected: Vec<_> = (0..9).map(pong).collect();
    expected.insert(3, answer.clone());
    expected.insert(9, answer.clone());
    expected.push(answer);
    assert_eq!(told, expected);
    assert_chats(app.address());
}

#[test]
fn of_a_flood_of_pings_some_are_answered_and_the_latest() {
    let app = start_app(&Options { rate: UNLIMITED, ..options("app-1") });
    let mut raw = Raw::open(app.address());
    let flood: Vec<_> = (0..5000_u16).flat_map(|number| raw::frame(0x89, &number.to_be_bytes())).collect();
    raw.write(&flood);
    let mut pongs = Vec::new();
    while pongs.last() != Some(&4999) {
        let payload = raw.next(0x8a);
        pongs.push(u16::from_be_bytes(*payload.first_chunk().unwrap()));
    }
    assert!(pongs.is_sorted() && pongs[..10] == *(0..10).collect::<Vec<_>>(), "{pongs:?}");
    assert!(pongs.len() < 2500, "{} pongs", pongs.len());
    assert_chats(app.address());
}

#[test]
fn frames_behind_the_end_are_thrown_away() {
    let app = app();
    let mut raw = Raw::open(app.address());
    let join = raw::text(r#"{"type":"join","room":"r","user":"ghost"}"#);
    raw.write([raw::close(b""), join.clone(), vec![0xff; 1000]].concat());
    assert_eq!(raw.close_code(), 1005);
    raw.write(join);
    assert!(raw.has_ended());
    assert_chats(app.address());
    assert_eq!(support::http::room(app.address(), "r"), Value::Null, "nobody came");
}

#[test]
fn every_golden_rejection() {
    let app = app();
    let golden: Value = serde_json::from_str(include_str!("../docs/protocol.json")).unwrap();
    let mut client = Client::connect(app.address());
    for case in golden["rejected"].as_array().unwrap() {
        let (frame, code) = (case["frame"].as_str().unwrap(), case["code"].as_str().unwrap());
        counts(app.address(), frame, &[client_errors(code)], || {
            assert_eq!(client.error_of(frame), code, "{frame}");
        });
    }
    assert_chats(app.address());
}

#[test]
fn what_is_too_long_too_many_or_out_of_turn() {
    let app = app();
    let mut client = Client::connect(app.address());
    client.join("here", "ann");
    for room in 2..=32 {
        client.join(&format!("room {room}"), "ann");
    }
    let long = "x".repeat(65);
    let send =
        |room: &str, id: &str, text: &str| json!({"type": "send", "room": room, "id": id, "text": text});
    let join = |room: &str, user: &str| json!({"type": "join", "room": room, "user": user});
    let streams = |count: u64| (0..count).map(|n| (format!("{:016x}.0", n + 1), json!(n))).collect();
    let resume = |streams: serde_json::Map<_, _>| json!({"type": "join", "room": "r", "user": "ann", "since": streams});
    let cases = [
        (join(&long, "ann"), "room_too_long"),
        (join("r", &long), "name_too_long"),
        (join("r", &"é".repeat(33)), "name_too_long"),
        (join("r\u{85}", "ann"), "room_control_character"),
        (join("r", "\u{7f}"), "name_control_character"),
        (join("\u{3000}", "ann"), "room_empty"),
        (join("here", "ann"), "already_joined"),
        (join("here", "another name"), "already_joined"),
        (join("one more", "ann"), "too_many_rooms"),
        (send("here", &long, "hi"), "id_too_long"),
        (send("here", "1", &"x".repeat(4097)), "text_too_long"),
        (send("here", "1", &"é".repeat(2049)), "text_too_long"),
        (send("elsewhere", "1", "hi"), "not_joined"),
        (json!({"type": "typing", "room": "elsewhere"}), "not_joined"),
        (json!({"type": "leave", "room": "elsewhere"}), "not_joined"),
        (resume(streams(65)), "too_many_streams"),
        (json!({"type": "join", "room": "r", "user": "ann", "since": [1]}), "wrong_field"),
        (json!({"type": "join", "room": "r", "user": "ann", "since": {"x": "1"}}), "wrong_field"),
        (json!({"type": "join", "room": "r", "user": "ann", "client": "short"}), "client_invalid"),
        (json!({"type": "join", "room": "r", "user": "ann", "client": long}), "client_invalid"),
        (json!({"type": "join", "room": "r", "user": "ann", "client": "a b".repeat(6)}), "client_invalid"),
        (json!({"type": "join", "room": "r", "user": "ann", "client": 7}), "wrong_field"),
        (json!({"type": ["join"], "room": "r", "user": "ann"}), "wrong_field"),
        (json!({"type": "send", "room": "here", "id": 7, "text": "hi"}), "wrong_field"),
    ];
    for (frame, code) in cases {
        let frame = frame.to_string();
        counts(app.address(), &frame, &[client_errors(code)], || {
            assert_eq!(client.error_of(&frame), code, "{frame}");
        });
    }
    for (frame, code) in [
        (r#"{"type":"ping","type":"join"}"#.to_owned(), "wrong_field"),
        (r#"{"type":"ping"} {"type":"ping"}"#.to_owned(), "not_json"),
        (r#"{"type":"ping","room":1e99999}"#.to_owned(), "not_json"),
        (format!(r#"{{"type":{}"#, "[".repeat(30_000)), "not_json"),
        (r#"{"type":"\ud800"}"#.to_owned(), "unknown_type"),
        (r#"{"type":"ping","room":"\x"}"#.to_owned(), "not_json"),
        (
            r#"{"type":"join","room":"r","user":"ann","since":{"0000000000000001.0":18446744073709551616}}"#
                .to_owned(),
            "wrong_field",
        ),
    ] {
        counts(app.address(), &frame[..frame.len().min(100)], &[client_errors(code)], || {
            assert_eq!(client.error_of(&frame), code, "{frame:.100}");
        });
    }
    client.say("here", "1", "still here");
    assert_chats(app.address());
}

/// A client that is not told which message was refused sends it again for ever.
#[test]
fn half_an_emoji_is_taken_and_what_is_refused_is_named() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    ann.ask_text(r#"{"type":"send","room":"lobby","id":"1","text":"\ud83d"}"#);
    assert_eq!(ann.expect("message")["text"], "\u{fffd}");
    for frame in [
        r#"{"type":"send","room":"lobby","id":"2","text":"\x"}"#,
        r#"{"type":"send","text":"cut \x","room":"lobby","id":"2"}"#,
        r#"{"type":"send","room":"lobby","id":"2","text":7}"#,
        r#"{"type":"send","room":"lobby","id":"2","text":"cut"#,
    ] {
        ann.ask_text(frame);
        let error = ann.expect("error");
        assert_eq!((&error["room"], &error["id"]), (&json!("lobby"), &json!("2")), "{frame}: {error}");
    }
    assert_chats(app.address());
}

#[test]
fn the_largest_number_that_a_since_may_hold() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    let stream = ann.say("lobby", "1", "hi")["stream"].as_str().unwrap().to_owned();
    let joined = Client::connect(app.address()).resume("lobby", "bob", &[(&stream, u64::MAX)]);
    assert_eq!(joined["history"], json!([]));
    assert_chats(app.address());
}

#[test]
fn an_id_that_is_used_again_is_counted() {
    let app = app();
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    ann.say("lobby", "1", "hi");
    counts(app.address(), "id reused", &[client_errors("id_reused")], || {
        let again = r#"{"type":"send","room":"lobby","id":"1","text":"bye"}"#;
        assert_eq!(ann.error_of(again), "id_reused");
    });
    assert_chats(app.address());
}

#[test]
fn who_sends_too_much_is_told_and_then_closed() {
    let rate = Rate { per_second: 1, burst: 10 };
    let app = start_app(&Options { rate, ..options("app-1") });
    let flood = raw::text(r#"{"type":"ping"}"#).repeat(100);
    counts(app.address(), "a flood", &[websockets_closed("policy")], || {
        let mut raw = Raw::open(app.address());
        raw.write(flood);
        let (mut pongs, mut limited) = (0, 0);
        let code = loop {
            match raw.frame().unwrap() {
                (0x88, payload) => break u16::from_be_bytes(*payload.first_chunk().unwrap()),
                (_, payload) => match serde_json::from_slice::<Value>(&payload).unwrap() {
                    frame if frame["type"] == "pong" => pongs += 1,
                    frame if frame["code"] == "rate_limited" => limited += 1,
                    other => panic!("{other}"),
                },
            }
        };
        assert_eq!(code, 1008);
        // A burst, and as many in debt; a token or two more if that took a second or two.
        assert!((10..20).contains(&pongs) && (10..20).contains(&limited), "{pongs} pongs, {limited} limited");
    });
    assert!(metric(app.address(), &client_errors("rate_limited")) >= 10);
    assert_chats(app.address());
}

#[test]
fn a_message_that_came_too_soon_is_named_and_may_be_sent_again() {
    let app = start_app(&Options { rate: Rate { per_second: 5, burst: 10 }, ..options("app-1") });
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    (0..9).for_each(|number| ann.send("lobby", &number.to_string(), "hi"));
    let error = ann.expect("error");
    assert_eq!((&error["code"], &error["room"]), (&json!("rate_limited"), &json!("lobby")));
    let id = error["id"].as_str().unwrap();
    eventually("it is taken when enough time has passed", || {
        // An attempt that comes too soon costs as much as one that is taken.
        std::thread::sleep(Duration::from_millis(600));
        ann.send("lobby", id, "hi");
        let answer = ann.expect_where("its answer", |frame| frame["type"] != "message" && frame["id"] == id);
        answer["type"] == "ack"
    });
}

#[test]
fn a_refusal_of_head_has_no_body() {
    let app = app();
    let mut raw = Raw::connect(app.address());
    raw.write(UPGRADE.replace("GET", "HEAD"));
    let head = raw.head();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(raw.has_ended(), "nothing follows");
    assert_chats(app.address());
}

#[test]
fn a_storm_of_random_bytes() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let app = start_app(&Options { rate: UNLIMITED, ..options("app-1") });
    for _ in 0..200 {
        let mut raw = if random.bool() { Raw::connect(app.address()) } else { Raw::open(app.address()) };
        let mut bytes = vec![0; random.usize(1..3000)];
        random.fill(&mut bytes);
        match random.u8(..4) {
            0 => raw.write(&bytes),
            1 => raw.write(raw::frame(random.u8(..), &bytes)),
            2 => bytes.iter().for_each(|byte| raw.write(raw::frame(0x81, &[*byte]))),
            _ => raw.write([raw::text(r#"{"type":"join","room":"r","user":"x"}"#), bytes].concat()),
        }
    }
    assert_chats(app.address());
}
