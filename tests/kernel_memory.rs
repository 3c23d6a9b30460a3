//! What the kernel holds for clients that read nothing.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::fs;
use std::net::SocketAddr;

use distr_chat::app::Options;
use distr_chat::serve::Limits;
use distr_chat::up::Role;
use support::{Client, UNLIMITED, addresses, cluster, eventually, metric, options, start_app};

/// Left to itself, the kernel holds 1.3 MB and more for each.
const HELD_MAX: u64 = 256 * 1024;
const TEXT_BYTES: usize = 4000;

/// Bytes in the send queue of each socket at that end, as proc(5) has it: `local remote state tx_queue:rx_queue`.
fn send_queues(end: SocketAddr) -> Vec<u64> {
    let port = format!(":{:04X}", end.port());
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let fields = sockets.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = fields.filter(|fields| fields[1].ends_with(&port));
    ours.map(|fields| u64::from_str_radix(fields[4].split(':').next().unwrap(), 16).unwrap()).collect()
}

/// Somebody talks at `at` until `is_over`, and somebody else who is there, too, reads nothing. Returns the most that the
/// kernel held for one client of `at`.
fn most_held(at: SocketAddr, mut is_over: impl FnMut() -> bool) -> u64 {
    let mut deaf = Client::connect(at);
    deaf.join("busy", "deaf");
    let mut speaker = Client::connect(at);
    speaker.join("busy", "speaker");
    let mut most = 0;
    for number in 0.. {
        speaker.say("busy", &number.to_string(), &"x".repeat(TEXT_BYTES));
        speaker.messages_until("busy", &number.to_string());
        assert!(number < 20_000, "eighty megabytes fit between a server and one who does not read");
        // A look costs as much as many messages.
        if number % 16 == 0 {
            most = most.max(send_queues(at).into_iter().max().unwrap());
            if is_over() {
                break;
            }
        }
    }
    most
}

#[test]
fn one_who_reads_nothing_costs_little() {
    let limits = Limits { queue_bytes_max: 1024 * 1024, ..options("").limits };
    let app = start_app(&Options { limits, rate: UNLIMITED, ..options("app-1") });
    let closed = "distr_websockets_closed_total{reason=\"slow_consumer\"}";
    let most = most_held(app.address(), || metric(app.address(), closed) > 0);
    assert!(most > 0 && most < HELD_MAX, "{most} bytes");
}

/// On both sides of a balancer.
#[test]
fn one_who_is_proxied_and_reads_nothing_costs_little() {
    let cluster = cluster(1, 1);
    let (lb, app) = (addresses(&cluster, Role::Balancer)[0], addresses(&cluster, Role::App)[0]);
    eventually("the balancer is ready", || support::http_get(lb, "/ready").status == 200);
    let closed = "distr_websockets_closed_total{reason=\"slow_consumer\"}";
    let mut at_server = 0;
    let at_balancer = most_held(lb, || {
        at_server = at_server.max(send_queues(app).into_iter().max().unwrap());
        metric(app, closed) > 0
    });
    assert!(at_balancer > 0 && at_balancer < HELD_MAX, "{at_balancer} bytes at the balancer");
    assert!(at_server < HELD_MAX, "{at_server} bytes at the server");
}
