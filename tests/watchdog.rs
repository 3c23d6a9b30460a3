//! A thread that hangs is told by the others: the server is not ready, balancers send clients elsewhere, the log names the
//! thread and where it is; and all is well again when it turns.
//!
//! Nothing in the program can be told to hang. The hub hangs in a bus of this test's making; a reactor or a proxy loop in
//! the logger, which is this test's too, when it writes a certain line.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use distr_chat::app::bus::Bus;
use distr_chat::app::loopback::{self, Loopback};
use distr_chat::app::{App, Options};
use distr_chat::chat::{BusEvent, Carrying};
use distr_chat::lanes::{LaneStatus, Totals};
use distr_chat::lb::Balancer;
use distr_chat::net::Poller;
use distr_chat::serve::Limits;
use distr_chat::wire::Envelope;
use serde_json::Value;
use support::raw::{Raw, UPGRADE};
use support::{
    PATIENCE, balancer_options, eventually, http_get, metric, options, start_app, start_balancer, status,
};

/// Where threads wait as long as it is shut.
#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn shut(&self) {
        *self.is_shut.lock().unwrap() = true;
    }

    fn open(&self) {
        *self.is_shut.lock().unwrap() = false;
        self.opened.notify_all();
    }

    /// Not for ever, or a test that fails would not end.
    fn pass(&self) {
        let is_shut = self.is_shut.lock().unwrap();
        let _passed = self.opened.wait_timeout_while(is_shut, 2 * PATIENCE, |is_shut| *is_shut).unwrap();
    }
}

/// A bus that hangs when it is read from.
struct HangingBus {
    bus: Loopback,
    gate: Arc<Gate>,
}

impl Bus for HangingBus {
    fn kind(&self) -> &'static str {
        self.bus.kind()
    }

    fn carrying(&self) -> Carrying {
        self.bus.carrying()
    }

    fn lanes(&self) -> Vec<LaneStatus> {
        self.bus.lanes()
    }

    fn totals(&self) -> Totals {
        self.bus.totals()
    }

    fn subscribe(&mut self, room: &Arc<str>) {
        self.bus.subscribe(room);
    }

    fn unsubscribe(&mut self, room: &Arc<str>) {
        self.bus.unsubscribe(room);
    }

    fn publish(&mut self, envelope: Envelope) {
        self.bus.publish(envelope);
    }

    fn poll(
        &mut self,
        poller: &Poller,
        now: Instant,
        budget: usize,
        handle: &mut dyn FnMut(BusEvent),
    ) -> bool {
        self.gate.pass();
        self.bus.poll(poller, now, budget, handle)
    }

    fn flush(&mut self, poller: &Poller, now: Instant) -> bool {
        self.bus.flush(poller, now)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.bus.poll_timeout()
    }
}

/// Keeps what is logged, and hangs in a line that has all of some words in it.
struct HangingLog {
    lines: Mutex<Vec<String>>,
    hooks: Mutex<Vec<(Vec<String>, Arc<Gate>)>>,
}

static LOG: HangingLog = HangingLog { lines: Mutex::new(Vec::new()), hooks: Mutex::new(Vec::new()) };

impl log::Log for HangingLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        let is_hook = |words: &[String]| words.iter().all(|word| line.contains(word));
        let hooks = self.hooks.lock().unwrap();
        let hook = hooks.iter().find(|(words, _)| is_hook(words)).map(|(_, gate)| Arc::clone(gate));
        drop(hooks);
        self.lines.lock().unwrap().push(line);
        if let Some(gate) = hook {
            gate.pass();
        }
    }

    fn flush(&self) {}
}

/// From now on a thread that logs a line with these words hangs in it, while the gate is shut.
fn hang_in(words: &[&str]) -> Arc<Gate> {
    start_log();
    let gate = Arc::new(Gate::default());
    gate.shut();
    let words = words.iter().map(ToString::to_string).collect();
    LOG.hooks.lock().unwrap().push((words, Arc::clone(&gate)));
    gate
}

fn start_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&LOG).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
    });
}

#[track_caller]
fn logs(words: &[&str]) {
    eventually(&format!("a line with {words:?}"), || {
        let lines = LOG.lines.lock().unwrap();
        lines.iter().any(|line| words.iter().all(|word| line.contains(word)))
    });
}

/// Status and error of an answer, from a reactor that turns; `None`: this one hangs.
fn try_get(server: SocketAddr, path: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
        result => result.unwrap(),
    };
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let error = serde_json::from_str(body).map_or(Value::Null, |body: Value| body["error"].clone());
    Some((status, error))
}

#[track_caller]
fn becomes(server: SocketAddr, path: &str, status: u16, error: Option<&str>) {
    let error = error.map_or(Value::Null, Value::from);
    eventually(&format!("{path} is {status} {error}"), || {
        try_get(server, path) == Some((status, error.clone()))
    });
}

fn app_with_gate(options: &Options) -> (App, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let poller = Poller::new().unwrap();
    let bus = loopback::mesh(&[poller.waker()]).remove(0);
    let bus = HangingBus { bus, gate: Arc::clone(&gate) };
    (App::start(options.clone(), poller, bus).unwrap(), gate)
}

fn row(balancer: &Balancer, name: &str) -> Value {
    let status = status(balancer.address());
    let servers = status["servers"].as_array().unwrap();
    servers.iter().find(|server| server["name"] == name).cloned().unwrap_or_default()
}

fn to(balancer: &Balancer, name: &str) -> Options {
    Options { balancers: vec![balancer.address().to_string()], ..options(name) }
}

fn assigned(balancer: &Balancer) -> Value {
    http_get(balancer.address(), "/assign").json()["node"].clone()
}

#[test]
fn a_hub_that_hangs_is_not_ready_and_gets_no_clients_until_it_turns() {
    start_log();
    let balancer = support::balancer("lb-hub");
    let (hangs, gate) = app_with_gate(&to(&balancer, "app-hub"));
    let _other = start_app(&to(&balancer, "app-well"));
    eventually("both are up", || {
        ["app-hub", "app-well"].iter().all(|name| {
            let row = row(&balancer, name);
            row["state"] == "up" && row["deaf"] == false
        })
    });
    assert_eq!(http_get(hangs.address(), "/ready").status, 200);
    gate.shut();
    // Its clients give it something to do.
    let mut ann = Raw::open(hangs.address());
    ann.write(support::raw::text(r#"{"type":"join","room":"r","user":"ann"}"#));
    becomes(hangs.address(), "/ready", 503, Some("stuck"));
    assert_eq!(http_get(hangs.address(), "/live").status, 200, "it may get over it");
    eventually("the balancer hears of it, and how long it has lasted", || {
        let row = row(&balancer, "app-hub");
        row["deaf"] == true && row["loop_lag_ms"].as_f64().unwrap() >= 1000.0
    });
    assert!((0..20).all(|_| assigned(&balancer) == "app-well"), "new clients go elsewhere");
    logs(&["app-hub/hub:", "s in one turn, phase \"hear\""]);
    assert_eq!(metric(hangs.address(), "distr_stalls_total{thread=\"app-hub/hub\",phase=\"hear\"}"), 1);
    gate.open();
    becomes(hangs.address(), "/ready", 200, None);
    assert_eq!(ann.json()["type"], "joined");
    eventually("it is sent clients again", || {
        row(&balancer, "app-hub")["deaf"] == false && assigned(&balancer) == "app-hub"
    });
    logs(&["app-hub/hub turns again"]);
}

#[test]
fn a_server_that_hangs_for_long_wants_to_be_started_again() {
    let stall_fatal = Duration::from_millis(1500);
    let limits = Limits { stall_fatal, ..options("").limits };
    let (app, gate) = app_with_gate(&Options { limits, ..options("app-1") });
    becomes(app.address(), "/live", 200, None);
    gate.shut();
    becomes(app.address(), "/live", 503, Some("stuck"));
    gate.open();
    becomes(app.address(), "/live", 200, None);
}

#[test]
fn a_reactor_that_hangs_is_told_by_the_other_one() {
    let gate = hang_in(&["app-reactor: ", " is here as "]);
    let balancer = support::balancer("lb-reactor");
    let app = start_app(&to(&balancer, "app-reactor"));
    eventually("it is up", || row(&balancer, "app-reactor")["state"] == "up");
    becomes(app.address(), "/ready", 200, None);
    let mut ann = Raw::connect(app.address());
    ann.write(UPGRADE);
    becomes(app.address(), "/ready", 503, Some("stuck"));
    eventually("the balancer hears of it", || row(&balancer, "app-reactor")["deaf"] == true);
    logs(&["app-reactor/", "s in one turn, phase \"read\""]);
    gate.open();
    assert_eq!(ann.answer().status, 101);
    becomes(app.address(), "/ready", 200, None);
    eventually("the balancer hears of that", || row(&balancer, "app-reactor")["deaf"] == false);
}

#[test]
fn the_loops_of_a_balancer_are_watched_too() {
    let gate = hang_in(&["lb-loops: Client sent to "]);
    let balancer = start_balancer(&balancer_options("lb-loops"));
    let _app = start_app(&to(&balancer, "app-loops"));
    eventually("it is ready", || http_get(balancer.address(), "/ready").status == 200);
    eventually("its server is up", || row(&balancer, "app-loops")["state"] == "up");
    // A proxy loop says where it sends a client.
    let mut ann = Raw::connect(balancer.address());
    ann.write(UPGRADE);
    becomes(balancer.address(), "/ready", 503, Some("stuck"));
    logs(&["lb-loops/proxy", "s in one turn, phase \"letters\""]);
    gate.open();
    becomes(balancer.address(), "/ready", 200, None);
    assert_eq!(ann.answer().status, 101);
    // So does a reactor.
    gate.shut();
    let balancer_at = balancer.address();
    let asked = thread::spawn(move || http_get(balancer_at, "/assign").status);
    becomes(balancer.address(), "/ready", 503, Some("stuck"));
    logs(&["lb-loops/", "s in one turn, phase \"read\""]);
    gate.open();
    assert_eq!(asked.join().unwrap(), 200);
    becomes(balancer.address(), "/ready", 200, None);
}
