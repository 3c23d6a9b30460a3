//! Clients that come and go at every stage of a connection leave nothing behind.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use distr_chat::app::Options;
use distr_chat::serve::Limits;
use support::http::room;
use support::raw::{self, Raw, UPGRADE};
use support::{Client, UNLIMITED, eventually, metric, options, start_app, status};

const CONNECTIONS: usize = 1000;
/// Connections open at the same time: each takes a descriptor of ours and one of the server's.
const BATCH: usize = 100;

/// Brings a new connection to where it will be dropped.
type Stage = fn(SocketAddr) -> Raw;

fn join(room: &str) -> Vec<u8> {
    raw::text(&format!(r#"{{"type":"join","room":"{room}","user":"u{}"}}"#, fastrand::u32(..500)))
}

/// Opens connections, brings each to a stage, and drops a batch at once.
fn churn(server: SocketAddr, stage: Stage) {
    for _ in 0..CONNECTIONS / BATCH {
        drop((0..BATCH).map(|_| stage(server)).collect::<Vec<_>>());
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The stages share a process, whose descriptors are counted: they are one test.
#[test]
fn a_thousand_clients_at_each_stage_leave_nothing_behind() {
    let limits = Limits { linger: Duration::from_millis(200), ..options("").limits };
    let app = start_app(&Options { limits, rate: UNLIMITED, ..options("app-1") });
    let server = app.address();
    let mut watcher = Client::connect(server);
    watcher.join("crowd", "watcher");
    status(server);
    let before = descriptors();

    let stages: [(&str, Stage); 9] = [
        ("after the TCP connect", Raw::connect),
        ("after half a head", |server| {
            let mut raw = Raw::connect(server);
            raw.write(&UPGRADE[..UPGRADE.len() / 2]);
            raw
        }),
        ("after a request that takes time", |server| {
            let mut raw = Raw::connect(server);
            raw.write("GET /status HTTP/1.1\r\nHost: h\r\n\r\n");
            raw
        }),
        ("after the upgrade, unread", |server| {
            let mut raw = Raw::connect(server);
            raw.write(UPGRADE);
            raw
        }),
        ("after the welcome", Raw::open),
        ("after the request to join", |server| {
            let mut raw = Raw::open(server);
            raw.write(join("crowd"));
            raw
        }),
        ("after coming in", |server| {
            let mut raw = Raw::open(server);
            raw.write(join("crowd"));
            raw.next(0x81);
            raw
        }),
        ("in the middle of a frame and of a message", |server| {
            let mut raw = Raw::open(server);
            raw.write(
                [join("crowd"), join("other"), raw::frame(0x01, b"{"), raw::header(0x80, 100)].concat(),
            );
            raw
        }),
        ("after a close frame", |server| {
            let mut raw = Raw::open(server);
            raw.write([join("crowd"), raw::close(b"")].concat());
            raw
        }),
    ];
    for (stage, bring) in stages {
        churn(server, bring);
        eventually(&format!("dropped {stage}: one WebSocket is left"), || {
            metric(server, "distr_websockets") == 1
        });
        eventually(&format!("dropped {stage}: one member is left"), || {
            let crowd = room(server, "crowd");
            crowd["members_here"] == 1 && crowd["users"] == 1
        });
        eventually(&format!("dropped {stage}: no descriptor is left"), || descriptors() <= before);
        watcher.say("crowd", stage, stage);
        assert_eq!(watcher.messages_until("crowd", stage).len(), 1);
        watcher.take_all("presence");
    }

    drop(watcher);
    eventually("nobody is left", || {
        let status = status(server);
        status["connections"] == 0
            && status["rooms"].as_array().unwrap().iter().all(|room| room["members_here"] == 0)
            && status["reactors"].as_array().unwrap().iter().all(|reactor| reactor["connections"] == 0)
    });
}
