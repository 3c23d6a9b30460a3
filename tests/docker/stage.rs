//! One scene: clients talk while things are done to the containers, each of which the others must have noticed before the
//! next one is done.

use std::cmp::Reverse;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use loadgen::results::report::Report;
use serde_json::Value;

use crate::compose::Compose;
use crate::support::load::{Load, Way};
use crate::support::{PATIENCE, comes_true, eventually, http_get};

const CLIENTS: u32 = 60;
const ROOMS: u32 = 12;
/// Messages a second of all clients together.
const RATE: u32 = 120;
/// Messages are heard while things are as they are now.
const HEARD: u64 = RATE as u64 / 2;
const UNAVAILABLE: &str = "Client attempted to connect while all app servers were unavailable";

/// The containers, and clients that talk.
pub struct Stage<'a> {
    compose: &'a mut Compose,
    load: Load,
}

impl<'a> Stage<'a> {
    /// The clients come.
    pub fn open(compose: &'a mut Compose) -> Self {
        let balancers = of("lb").map(|lb| compose.port(lb));
        let load = Load::start(&balancers, Way::Assigned, CLIENTS, ROOMS, RATE);
        let stage = Self { compose, load };
        stage.await_talk();
        stage
    }

    /// All clients are in their rooms, hear each other, and have all that was acknowledged.
    pub fn close(self) -> Report {
        let are_back = comes_true(PATIENCE, || self.connected() == Some(CLIENTS.into()));
        assert!(are_back, "after {PATIENCE:?} {:?} of {CLIENTS} clients are connected", self.connected());
        self.await_talk();
        self.load.end()
    }

    /// They are told to end, one after the other, and do.
    pub fn stop(&mut self, services: &[&'static str]) {
        services.iter().for_each(|service| self.compose.stop(service));
        self.await_picture();
    }

    /// They are ended without a warning.
    pub fn kill(&mut self, services: &[&'static str]) {
        services.iter().for_each(|service| self.compose.kill(service));
        self.await_picture();
    }

    /// They are started.
    pub fn start(&mut self, services: &[&'static str]) {
        services.iter().for_each(|service| self.compose.start(service));
        self.await_picture();
    }

    /// Both are stopped, removed with all that they wrote, and made anew where the other one was.
    pub fn swap(&mut self, one: &'static str, other: &'static str) {
        let mut both = [one, other].map(|service| (self.compose.address(service), service));
        // The first to come is given the lowest address that is free.
        both.sort_unstable_by_key(|before| Reverse(*before));
        both.iter().for_each(|(_, service)| self.stop(&[service]));
        both.iter().for_each(|(_, service)| self.compose.remove(service));
        both.iter().for_each(|(_, service)| self.compose.create(service));
        self.await_picture();
        for (before, service) in both {
            assert_ne!(self.compose.address(service), before, "{service} is where it was");
        }
    }

    /// Balancers tell newcomers that there is no server for them, and write it down.
    pub fn await_unavailable(&self) {
        for lb in of("lb") {
            let written = || self.compose.log(lb).matches(UNAVAILABLE).count();
            let before = written();
            let answer = http_get(self.compose.port(lb), "/assign");
            assert_eq!((answer.status, &answer.json()["error"]), (503, &"unavailable".into()), "{lb}");
            eventually(&format!("{lb} writes it down"), || written() > before);
        }
    }

    /// Newcomers find nobody.
    pub fn await_refused(&self) {
        for lb in of("lb") {
            assert!(TcpStream::connect(self.compose.port(lb)).is_err(), "{lb} is stopped");
        }
        self.await_talk();
    }

    /// Those who run know who runs; and if somebody can, clients talk.
    fn await_picture(&self) {
        let mut wrong = None;
        let is_true = comes_true(PATIENCE, || {
            wrong = self.wrong();
            wrong.is_none()
        });
        assert!(is_true, "after {PATIENCE:?}: {}", wrong.unwrap_or_default());
        let any = |kind| of(kind).iter().any(|service| self.compose.runs(service));
        if any("app") && any("redis") {
            self.await_talk();
        }
    }

    /// What is not yet as it should be.
    fn wrong(&self) -> Option<String> {
        let compose = &self.compose;
        let carries = of("redis").iter().any(|node| compose.runs(node));
        for lb in of("lb").into_iter().filter(|lb| compose.runs(lb)) {
            let status = status(compose.port(lb));
            for app in of("app") {
                let known = status["servers"].as_array().into_iter().flatten();
                let server = known.into_iter().find(|server| server["name"] == app);
                let is_up = server.is_some_and(|server| {
                    server["state"] == "up" && server["draining"] == false && server["deaf"] == !carries
                });
                if is_up != compose.runs(app) {
                    return Some(format!("{lb} knows of {app}: {server:?}"));
                }
            }
        }
        for app in of("app").into_iter().filter(|app| compose.runs(app)) {
            let status = status(compose.port(app));
            for (index, node) in of("redis").into_iter().enumerate() {
                let lane = &status["backplane"]["lanes"][index];
                if (lane["state"] == "up") != compose.runs(node) {
                    return Some(format!("{app} knows of {node}: {lane}"));
                }
            }
        }
        None
    }

    /// Some more is said and acknowledged.
    fn await_talk(&self) {
        let aim = self.load.acknowledged() + HEARD;
        assert!(comes_true(PATIENCE, || self.load.acknowledged() >= aim), "nothing is acknowledged");
    }

    /// Clients of all servers, if all tell.
    fn connected(&self) -> Option<u64> {
        let apps = of("app").into_iter().filter(|app| self.compose.runs(app));
        apps.map(|app| status(self.compose.port(app))["connections"].as_u64()).sum()
    }
}

fn of(kind: &str) -> [&'static str; 3] {
    match kind {
        "app" => ["app-1", "app-2", "app-3"],
        "lb" => ["lb-1", "lb-2", "lb-3"],
        _ => ["redis-1", "redis-2", "redis-3"],
    }
}

/// What it tells of itself; null while it does not answer, which one that is being started may not.
fn status(at: SocketAddr) -> Value {
    let ask = || {
        let mut stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /status HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer = ask().unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_default()
}
