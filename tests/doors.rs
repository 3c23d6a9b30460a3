//! What every door takes that RFC 9112 lets a peer send: server, balancer and frontend alike, since
//! one shell answers at all of them.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use distr_chat::app::{App, Options};
use distr_chat::lb::{self, Balancer};
use distr_chat::serve::Limits;
use distr_chat::web::{self, Web};
use support::http::Answer;
use support::raw::Raw;
use support::{
    anywhere, app, balancer, balancer_options, eventually, http_get, options, start_app, start_balancer,
    status,
};

/// One door of each kind.
struct Doors {
    app: App,
    lb: Balancer,
    web: Web,
}

impl Doors {
    fn open() -> Self {
        Self { app: app(), lb: balancer("lb-1"), web: web(Limits::default()) }
    }

    fn addresses(&self) -> [SocketAddr; 3] {
        [self.app.address(), self.lb.address(), self.web.address()]
    }
}

fn web(limits: Limits) -> Web {
    let balancers = vec!["http://{host}:7001".to_owned()];
    Web::start(web::Options {
        listen: anywhere(),
        balancers,
        proxy: false,
        base_path: web::BasePath::default(),
        limits,
    })
    .unwrap()
}

/// The answer to one request, and the connection.
fn ask(door: SocketAddr, head: &str) -> (Answer, Raw) {
    let mut raw = Raw::connect(door);
    raw.write(head);
    (raw.answer(), raw)
}

#[test]
fn http_1_0_is_answered_at_every_door_and_the_connection_closed() {
    let doors = Doors::open();
    for door in doors.addresses() {
        for head in [
            "GET /live HTTP/1.0\r\n\r\n",
            "GET /live HTTP/1.0\r\nHost: upstream\r\nConnection: close\r\n\r\n",
            "GET /live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        ] {
            let (answer, mut raw) = ask(door, head);
            assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{head}");
            assert!(raw.has_ended(), "{head}");
        }
        let (answer, _) = ask(door, "GET /ws HTTP/1.0\r\nHost: h\r\nUpgrade: websocket\r\n\r\n");
        assert!([426, 404].contains(&answer.status), "only HTTP/1.1 is upgraded: {answer:?}");
    }
    assert_eq!(ask(doors.app.address(), "GET /status HTTP/1.0\r\n\r\n").0.status, 200);
}

/// What depends on the host is told by what else is known, or asked for.
#[test]
fn without_a_host_nobody_is_sent_to_nowhere() {
    let doors = Doors::open();
    let balancers = vec![doors.lb.address().to_string()];
    let app = start_app(&Options { balancers, ..options("app-2") });
    eventually("it is up", || http_get(doors.lb.address(), "/ready").status == 200);
    let (answer, _) = ask(doors.lb.address(), "GET /assign HTTP/1.0\r\n\r\n");
    let url = format!("ws://127.0.0.1:{}/ws?via=lb-1", app.address().port());
    assert_eq!((answer.status, answer.json()["url"].as_str()), (200, Some(&*url)));
    let (answer, _) = ask(doors.web.address(), "GET /config.json HTTP/1.0\r\n\r\n");
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("malformed")));
    let (answer, _) = ask(doors.web.address(), "GET /config.json HTTP/1.0\r\nHost: chat.example\r\n\r\n");
    assert_eq!(answer.json()["balancers"][0], "http://chat.example:7001");
    let (answer, _) =
        ask(doors.web.address(), "GET http://chat.example/config.json HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(answer.json()["balancers"][0], "http://chat.example:7001", "the target's host counts");
}

/// HAProxy checks health by `OPTIONS /` unless it is told otherwise.
#[test]
fn options_are_answered_at_every_door() {
    let doors = Doors::open();
    for door in doors.addresses() {
        for head in ["OPTIONS / HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"] {
            let (answer, _) = ask(door, head);
            assert_eq!((answer.status, answer.header("allow")), (204, Some("GET, HEAD, OPTIONS")), "{head}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let (answer, _) = ask(doors.app.address(), "OPTIONS /drain HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.header("allow"), Some("POST, OPTIONS"));
    assert_eq!(http_get(doors.app.address(), "/drain").header("allow"), Some("POST, OPTIONS"));
}

/// A tracer in the page adds `traceparent` to every `fetch`, and the browser asks first whether it
/// may.
#[test]
fn pages_of_other_origins_may_add_fields_where_they_ask() {
    let lb = balancer("lb-1");
    for path in ["/assign", "/assign?not=app-1", "/status"] {
        let (answer, mut raw) = ask(
            lb.address(),
            &format!(
                "OPTIONS {path} HTTP/1.1\r\nHost: h\r\nOrigin: https://chat.example\r\n\
                 Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: traceparent\r\n\r\n"
            ),
        );
        assert_eq!(answer.status, 204, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", Some("https://chat.example")),
            ("access-control-allow-methods", Some("GET, HEAD, OPTIONS")),
            ("access-control-allow-headers", Some("traceparent")),
            ("access-control-max-age", Some("7200")),
            ("content-length", None),
            ("connection", None),
        ] {
            assert_eq!(answer.header(name), value, "{path}: {name}");
        }
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: h\r\ntraceparent: 00-1-1-01\r\n\r\n"));
        let answer = raw.answer();
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://chat.example"), "{path}");
    }
}

/// A browser sends the cookies of a host to all its ports.
#[test]
fn a_head_full_of_cookies_is_taken_and_one_that_is_too_full_is_explained() {
    let doors = Doors::open();
    let browser = |cookies: usize| {
        format!(
            "GET /live HTTP/1.1\r\nHost: h\r\nAccept: text/html,*/*;q=0.8\r\nCookie: {}\r\n\r\n",
            "c".repeat(cookies)
        )
    };
    for door in doors.addresses() {
        assert_eq!(ask(door, &browser(16_000)).0.status, 200);
        let (answer, mut raw) = ask(door, &browser(20_000));
        assert_eq!((answer.status, answer.header("connection")), (431, Some("close")));
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(answer.body.contains("cookies"), "{}", answer.body);
        assert!(raw.has_ended());
        let program = browser(20_000).replace("Accept: text/html,*/*;q=0.8\r\n", "");
        let (answer, _) = ask(door, &program);
        assert_eq!(answer.json()["error"], "head_too_large");
    }
}

/// RFC 9110, section 7.8: curl and Java offer `h2c` with their first request, which may be passed
/// over.
#[test]
fn an_upgrade_to_something_else_is_passed_over() {
    let doors = Doors::open();
    let lines =
        "Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    for (door, path) in
        [(doors.lb.address(), "/status"), (doors.app.address(), "/status"), (doors.web.address(), "/live")]
    {
        assert_eq!(ask(door, &format!("GET {path} HTTP/1.1\r\n{lines}\r\n")).0.status, 200, "{path}");
    }
}

/// An idle connection outlives the minute for which load balancers keep theirs, and the next
/// request has its own time.
#[test]
fn a_request_that_begins_when_the_wait_is_nearly_over_is_answered() {
    assert_eq!(Limits::default().keep_alive_timeout, Duration::from_secs(75));
    let limits = Limits {
        keep_alive_timeout: Duration::from_secs(2),
        head_timeout: Duration::from_secs(60),
        ..Limits::default()
    };
    let app = start_app(&Options { limits, ..options("app-1") });
    let lb = start_balancer(&lb::Options { limits, ..balancer_options("lb-1") });
    let web = web(limits);
    for door in [app.address(), lb.address(), web.address()] {
        let (answer, mut raw) = ask(door, "GET /live HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(answer.status, 200);
        raw.write("GET /live HT");
        // Another connection shows that the wait for the first one is over.
        let (_, mut other) = ask(door, "GET /live HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(other.has_ended());
        raw.write("TP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(raw.answer().status, 200, "{door}");
    }
    assert_eq!(status(app.address())["connections"], 0);
}
