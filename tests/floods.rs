//! Frames that are no messages, bytes that are no frames, and requests in a row: all of them count, or are fair.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::SocketAddr;
use std::thread;

use distr_chat::app::{App, Options};
use distr_chat::chat::rate::Rate;
use distr_chat::serve::Limits;
use distr_chat::up::Role;
use distr_chat::wire::limits::FRAGMENTS_MAX;
use support::raw::{self, Raw, UPGRADE};
use support::{Client, addresses, app, cluster, eventually, metric, options, start_app};

/// Ten messages at once, and so 160 units of other work.
const SLOW: Rate = Rate { per_second: 1, burst: 10 };
/// What that work pays for at once: reads of little, and frames that are no messages.
const READS: usize = 160;
const FRAMES: usize = 20;

fn slow_app() -> App {
    start_app(&Options { rate: SLOW, ..options("app-1") })
}

fn floods(server: SocketAddr, stage: &str) -> u64 {
    metric(server, &format!("distr_floods_total{{stage=\"{stage}\"}}"))
}

/// Whoever sends these is closed with 1008 and counted, and those who are there chat on.
#[track_caller]
fn is_a_flood(server: SocketAddr, bytes: &[u8]) {
    let before = floods(server, "open");
    let mut raw = Raw::open(server);
    raw.write(bytes);
    assert_eq!(raw.close_code(), 1008);
    assert!(raw.has_ended());
    assert_eq!(floods(server, "open"), before + 1);
    let mut ann = Client::connect(server);
    ann.join("quiet", "ann");
    ann.say("quiet", &fastrand::u64(..).to_string(), "all is well");
}

#[test]
fn pings_pongs_and_empty_fragments_count() {
    let app = slow_app();
    let fragments = [raw::frame(0x01, b""), raw::frame(0x00, b"").repeat(FRAMES)].concat();
    const { assert!(FRAMES < FRAGMENTS_MAX, "it is their number a second that is too large") };
    for flood in [raw::frame(0x89, b"").repeat(2 * FRAMES), raw::frame(0x8a, b"unasked").repeat(2 * FRAMES)] {
        is_a_flood(app.address(), &flood);
    }
    is_a_flood(app.address(), &[fragments.clone(), raw::frame(0x80, b"{}"), fragments].concat());
}

#[test]
fn pings_within_the_rate_are_answered() {
    let app = slow_app();
    let mut raw = Raw::open(app.address());
    for number in 0..FRAMES as u8 / 2 {
        raw.write(raw::frame(0x89, &[number]));
        assert_eq!(raw.next(0x8a), [number]);
    }
    assert_eq!(floods(app.address(), "open"), 0);
}

#[test]
fn a_message_has_a_most_number_of_fragments() {
    let app = app();
    let refused = "distr_frames_refused_total{rule=\"too_many_fragments\"}";
    let in_fragments = |count: usize| {
        let middle = raw::frame(0x00, b" ").repeat(count - 2);
        [raw::frame(0x01, b"{\"type\":\"ping\""), middle, raw::frame(0x80, b"}")].concat()
    };
    let mut raw = Raw::open(app.address());
    raw.write(in_fragments(FRAGMENTS_MAX));
    assert_eq!(raw.json()["type"], "pong");
    assert_eq!(metric(app.address(), refused), 0);
    raw.write(in_fragments(FRAGMENTS_MAX + 1));
    assert_eq!(raw.close_code(), 1008);
    assert_eq!(metric(app.address(), refused), 1);
}

/// The server may read several at once, so far more are sent than it takes.
fn trickle(raw: &mut Raw, bytes: &[u8]) {
    for byte in bytes {
        raw.write([*byte]);
        thread::yield_now();
    }
}

#[test]
fn single_bytes_of_a_message_count() {
    let app = slow_app();
    let mut raw = Raw::open(app.address());
    // A frame that is never whole: nothing else could end this.
    trickle(&mut raw, &raw::header(0x81, 32 * 1024));
    trickle(&mut raw, &vec![b' '; 100 * READS]);
    assert_eq!(raw.close_code(), 1008);
    assert_eq!(floods(app.address(), "open"), 1);
}

#[test]
fn single_bytes_of_a_head_count() {
    let app = slow_app();
    let mut raw = Raw::connect(app.address());
    trickle(&mut raw, b"GET /live HTTP/1.1\r\nHost: h\r\nX: ");
    trickle(&mut raw, &vec![b'x'; 15 * 1024]);
    assert_eq!(raw.answer().status, 408);
    assert_eq!(floods(app.address(), "head"), 1);
}

#[test]
fn what_follows_the_end_counts() {
    let app = slow_app();
    let mut raw = Raw::open(app.address());
    raw.write(raw::close(b""));
    eventually("the connection is given up before its time", || {
        raw.write([0]);
        floods(app.address(), "ending") == 1
    });
}

/// One connection of a proxy brings the requests of many clients.
#[test]
fn requests_in_a_row_are_no_flood() {
    let app = slow_app();
    let mut raw = Raw::connect(app.address());
    for _ in 0..10 * READS {
        raw.write("GET /live HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(raw.answer().status, 200);
    }
}

#[test]
fn a_page_that_watches_a_balancer_only_listens() {
    let balancer = support::balancer("lb-1");
    let mut raw = Raw::connect(balancer.address());
    raw.write(UPGRADE.replace("/ws", "/status"));
    assert_eq!(raw.answer().status, 101);
    raw.write(raw::text("{}"));
    assert_eq!(raw.close_code(), 1008);
}

#[test]
fn a_proxied_flood_ends_by_the_servers_word() {
    let (app, balancer) = slow_pair();
    let mut raw = Raw::connect(balancer.address());
    raw.write(UPGRADE);
    assert_eq!(raw.answer().status, 101);
    raw.write(raw::frame(0x89, b"").repeat(2 * FRAMES));
    assert_eq!(raw.close_code(), 1008);
    assert_eq!(floods(app.address(), "open"), 1);
}

fn slow_pair() -> (App, distr_chat::lb::Balancer) {
    let balancer = support::balancer("lb-1");
    let app = start_app(&Options {
        rate: SLOW,
        balancers: vec![balancer.address().to_string()],
        limits: Limits { connections_max: 100, ..options("").limits },
        ..options("app-1")
    });
    eventually("the balancer knows the server", || {
        support::http_get(balancer.address(), "/ready").status == 200
            && support::status(balancer.address())["servers"][0]["state"] == "up"
    });
    (app, balancer)
}

/// A proxied client is only slowed down: small segments come together while it waits.
#[test]
fn a_proxied_message_in_many_segments_comes_through() {
    let cluster = cluster(1, 1);
    let balancer = addresses(&cluster, Role::Balancer)[0];
    eventually("the balancer is ready", || support::http_get(balancer, "/ready").status == 200);
    let mut raw = Raw::connect(balancer);
    raw.write(UPGRADE);
    assert_eq!(raw.answer().status, 101);
    assert_eq!(raw.json()["type"], "welcome");
    // More bytes than the balancer reads at once.
    let spaces = " ".repeat(30_000);
    trickle(&mut raw, &raw::text(&format!("{{{spaces}\"type\":\"ping\"}}")));
    assert_eq!(raw.json()["type"], "pong");
}
