//! A process with few descriptors: those who say nothing go first, and health is told as long as it lives.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use distr_chat::app::Options;
use distr_chat::serve::Limits;
use support::raw::Raw;
use support::running::{BINARY, Running, at, free_ports, program};
use support::{Client, eventually, http_get, metric, options, start_app};

/// So many are far too few for [`SILENT`].
const DESCRIPTORS: u64 = 256;
const SILENT: usize = 400;

/// The binary with few descriptors.
fn scarce(arguments: &str) -> Command {
    let mut command = program("sh", "-c");
    command.arg(format!("ulimit -n {DESCRIPTORS}; exec {BINARY} {arguments}"));
    command
}

/// Connections that say nothing. Those of the kernel's queue count too.
fn silent(server: SocketAddr) -> Vec<TcpStream> {
    (0..SILENT).map(|_| TcpStream::connect(server).unwrap()).collect()
}

/// It tells its health while these are here, and has closed so many of them that there is room.
#[track_caller]
fn tells_its_health(server: SocketAddr, node: &Running) {
    let _silent = silent(server);
    for path in ["/live", "/ready", "/live"] {
        let answer = http_get(server, path);
        assert!(matches!(answer.status, 200 | 503), "{path}: {answer:?}");
    }
    // Those who come on later are taken in as well.
    let _more = silent(server);
    assert_eq!(http_get(server, "/live").status, 200);
    let told = "closed for newer ones";
    eventually("that is told", || node.stderr().contains(told));
    let lines = node.stderr().matches(told).count();
    assert!(lines < SILENT / 10, "not for each: {}", node.stderr());
}

#[test]
fn a_server_is_alive_and_its_clients_stay_while_many_say_nothing() {
    let port = free_ports(1)[0];
    let mut app =
        Running::start(&mut scarce(&format!("app --listen 127.0.0.1:{port} --name app-1 --reactors 2")));
    app.await_live(at(port));
    let (mut ann, mut bob) = (Client::connect(at(port)), Client::connect(at(port)));
    ann.join("lobby", "ann");
    bob.join("lobby", "bob");
    tells_its_health(at(port), &app);
    // A newcomer is let in too.
    let mut cid = Client::connect(at(port));
    cid.join("lobby", "cid");
    ann.say("lobby", "1", "still here");
    bob.messages_until("lobby", "1");
    assert!(metric(at(port), "distr_connections_evicted_total{standing=\"silent\"}") > 0);
    assert_eq!(metric(at(port), "distr_websockets"), 3);
}

#[test]
fn a_balancer_is_alive_and_proxies_while_many_say_nothing() {
    let ports = free_ports(2);
    let (lb_at, app_at) = (at(ports[0]), at(ports[1]));
    let mut lb = Running::start(&mut scarce(&format!("lb --listen {lb_at} --name lb-1 --reactors 2")));
    lb.await_live(lb_at);
    let app = start_app(&Options { listen: app_at, balancers: vec![lb_at.to_string()], ..options("app-1") });
    eventually("the balancer knows the server", || http_get(lb_at, "/ready").status == 200);
    let mut ann = Client::connect(lb_at);
    ann.join("lobby", "ann");
    tells_its_health(lb_at, &lb);
    let mut bob = Client::connect(lb_at);
    bob.join("lobby", "bob");
    ann.say("lobby", "1", "still here");
    bob.messages_until("lobby", "1");
    assert!(metric(lb_at, "distr_lb_connections_evicted_total{standing=\"silent\"}") > 0);
    drop(app);
}

#[test]
fn a_frontend_server_is_alive_while_many_say_nothing() {
    let port = free_ports(1)[0];
    let mut web = Running::start(&mut scarce(&format!("web --listen 127.0.0.1:{port}")));
    web.await_live(at(port));
    tells_its_health(at(port), &web);
}

/// One request is no reason to stay for the time of a keep-alive.
#[test]
fn those_who_have_asked_once_go_after_those_who_have_not() {
    let port = free_ports(1)[0];
    let mut app = Running::start(&mut scarce(&format!("app --listen 127.0.0.1:{port} --reactors 1")));
    app.await_live(at(port));
    let mut kept = Raw::connect(at(port));
    let ask = |raw: &mut Raw| {
        raw.write("GET /live HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(raw.answer().status, 200);
    };
    ask(&mut kept);
    let silent = silent(at(port));
    assert_eq!(http_get(at(port), "/live").status, 200);
    ask(&mut kept);
    drop(silent);
    let asked: Vec<_> = (0..SILENT)
        .map(|_| {
            let mut raw = Raw::connect(at(port));
            ask(&mut raw);
            raw
        })
        .collect();
    assert_eq!(http_get(at(port), "/live").status, 200);
    assert!(kept.has_ended(), "it was the oldest");
    drop(asked);
}

/// A place is for whoever uses it.
#[test]
fn a_websocket_without_a_room_gives_its_place_to_another() {
    let limits = Limits {
        connections_max: 2,
        head_timeout: std::time::Duration::from_millis(50),
        ..options("").limits
    };
    let app = start_app(&Options { limits, reactors: 1, ..options("app-1") });
    let mut ann = Client::connect(app.address());
    ann.join("lobby", "ann");
    let mut idle = Raw::open(app.address());
    eventually("a third one is let in when the second has had its time", || {
        let mut raw = Raw::connect(app.address());
        raw.write(support::raw::UPGRADE);
        raw.answer().status == 101
    });
    assert_eq!(idle.close_code(), 1013);
    ann.say("lobby", "1", "still here");
    assert_eq!(metric(app.address(), "distr_connections_evicted_total{standing=\"unused\"}"), 1);
}
