//! Silence, slowness, fullness and the server's end: who is closed, when, and what it is told.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::thread;
use std::time::Duration;

use distr_chat::app::{App, Options};
use distr_chat::serve::Limits;
use serde_json::json;
use support::raw::{Raw, UPGRADE};
use support::{Client, app, eventually, http_get, metric, options, start_app, status};

const CLOSED_SILENT: &str = "distr_websockets_closed_total{reason=\"ping_timeout\"}";

/// A server with limits that a test can wait for.
fn impatient() -> App {
    let limits = Limits {
        head_timeout: Duration::from_millis(200),
        keep_alive_timeout: Duration::from_millis(200),
        ping_after: Duration::from_millis(200),
        silence_max: Duration::from_millis(800),
        linger: Duration::from_millis(200),
        ..options("").limits
    };
    start_app(&Options { limits, ..options("app-1") })
}

#[test]
fn one_who_does_not_answer_pings_is_closed() {
    let app = impatient();
    let mut raw = Raw::open(app.address());
    assert_eq!(raw.frame(), Some((0x89, Vec::new())), "a ping first");
    assert_eq!(raw.close_code(), 4001);
    assert!(raw.has_ended());
    assert_eq!(metric(app.address(), CLOSED_SILENT), 1);
    eventually("it is gone", || status(app.address())["connections"] == 0);
}

#[test]
fn one_who_answers_pings_stays() {
    let app = impatient();
    let mut client = Client::connect(app.address());
    client.join("lobby", "ann");
    // Twice as many as fit into the longest silence.
    client.answer_pings(8);
    client.say("lobby", "1", "still here");
    assert_eq!(metric(app.address(), CLOSED_SILENT), 0);
}

#[test]
fn one_who_speaks_is_not_pinged() {
    let app = start_app(&Options {
        limits: Limits { ping_after: Duration::from_secs(20), ..options("").limits },
        ..options("app-1")
    });
    let mut client = Client::connect(app.address());
    client.join("lobby", "ann");
    (0..50).for_each(|n| drop(client.say("lobby", &n.to_string(), "x")));
    assert_eq!(client.pings, 0);
}

#[test]
fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let app = impatient();
    assert!(Raw::connect(app.address()).has_ended());
}

#[test]
fn a_connection_is_kept_for_further_requests_and_then_closed() {
    let app = impatient();
    let mut raw = Raw::connect(app.address());
    for path in ["/live", "/status", "/live"] {
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let answer = raw.answer();
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
    assert!(raw.has_ended());
}

#[test]
fn a_kept_connection_may_become_a_websocket() {
    let app = app();
    let mut raw = Raw::connect(app.address());
    raw.write("GET /live HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(raw.answer().status, 200);
    raw.write(UPGRADE);
    assert_eq!(raw.answer().status, 101);
    assert_eq!(raw.json()["type"], "welcome");
}

#[test]
fn a_client_that_ends_its_side_after_a_request_is_answered() {
    let app = app();
    for path in ["/live", "/metrics", "/status"] {
        let mut raw = Raw::connect(app.address());
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        raw.end();
        assert_eq!(raw.answer().status, 200, "{path}");
        assert!(raw.has_ended());
    }
}

#[test]
fn a_full_server_says_so_and_takes_the_next_when_one_goes() {
    let limits = Limits { connections_max: 2, ..options("").limits };
    let app = start_app(&Options { limits, ..options("app-1") });
    let (ann, mut bob) = (Client::connect(app.address()), Client::connect(app.address()));
    let mut raw = Raw::connect(app.address());
    raw.write(UPGRADE);
    let answer = raw.answer();
    assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("full")));
    assert!(raw.has_ended());
    assert_eq!(metric(app.address(), "distr_requests_refused_total{rule=\"full\"}"), 1);
    assert_eq!(http_get(app.address(), "/live").status, 200, "requests are not clients");

    ann.close();
    eventually("a place is free", || status(app.address())["connections"] == 1);
    Client::connect(app.address()).join("lobby", "cat");
    bob.join("lobby", "bob");
}

#[test]
fn places_do_not_leak_when_many_knock_at_a_full_server() {
    let limits = Limits { connections_max: 3, ..options("").limits };
    let app = start_app(&Options { limits, ..options("app-1") });
    for _ in 0..20 {
        let clients: Vec<_> = (0..3).map(|_| Client::connect(app.address())).collect();
        for _ in 0..3 {
            let mut raw = Raw::connect(app.address());
            raw.write(UPGRADE);
            assert_eq!(raw.answer().status, 503);
        }
        drop(clients);
        eventually("all places are free", || status(app.address())["connections"] == 0);
    }
}

#[test]
fn a_server_that_stops_says_goodbye_to_everyone() {
    let app = app();
    let mut clients: Vec<_> = (0..20).map(|_| Client::connect(app.address())).collect();
    for (number, client) in clients.iter_mut().enumerate().skip(1) {
        client.join("lobby", &format!("user {number}"));
    }
    let stopping = thread::spawn(move || drop(app));
    for client in &mut clients {
        assert_eq!(client.close_code(), 1001);
    }
    stopping.join().unwrap();
}

#[test]
fn a_server_stops_though_nobody_answers_its_goodbye() {
    let app = impatient();
    let mut raw = Raw::open(app.address());
    let _silent = Raw::connect(app.address());
    let mut half = Raw::connect(app.address());
    half.write("GET /li");
    let stopping = thread::spawn(move || drop(app));
    assert_eq!(raw.close_code(), 1001);
    eventually("it has stopped", || stopping.is_finished());
}

#[test]
fn a_port_is_free_again_at_once_when_its_server_has_stopped() {
    let first = app();
    let listen = first.address();
    let mut client = Client::connect(listen);
    let stopping = thread::spawn(move || drop(first));
    client.close_code();
    stopping.join().unwrap();
    let second = start_app(&Options { listen, ..options("app-1") });
    assert_eq!(second.address(), listen);
    Client::connect(listen).join("lobby", "ann");
}
