//! What the tests share: servers on ports of the kernel's choice, an independent WebSocket client, a raw one for
//! bytes that no client would send, and waiting for conditions.
//!
//! Tests wait for what they want to see, for up to [`PATIENCE`]. None sleeps for an amount of time and hopes.

#![allow(dead_code, unused_imports, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

pub mod beating;
pub mod client;
pub mod clock;
pub mod fleet;
pub mod http;
pub mod load;
pub mod process;
pub mod raw;
pub mod redis;
pub mod running;
pub mod tap;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use distr_chat::app::{self, App, loopback};
use distr_chat::balance::table::Weights;
use distr_chat::chat::limits::HISTORY_BYTES;
use distr_chat::chat::rate::Rate;
use distr_chat::lb::{self, Balancer};
use distr_chat::net::Poller;
use distr_chat::serve::Limits;
use distr_chat::up::{Cluster, Layout, Role};
use distr_chat::wire::limits::{FRAMES_BURST, FRAMES_PER_SECOND};

pub use client::Client;
pub use http::{http_get, metric, status};

/// How long anything may take before a test gives it up. Far more than it takes, since the machine may be busy; less
/// than the server's `PRESENCE_REFRESH`, which would mend what a test is to find.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A rate that no test reaches.
pub const UNLIMITED: Rate = Rate { per_second: 1_000_000, burst: 1_000_000 };

/// The kernel's choice of a port at this machine.
pub fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true(PATIENCE, condition), "did not come true within {PATIENCE:?}: {what}");
}

/// Whether `condition` holds within `patience`.
pub fn comes_true(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The options of an application server of that name, as `distr-chat app` would have them.
pub fn options(name: &str) -> app::Options {
    app::Options {
        name: name.into(),
        listen: anywhere(),
        public_url: String::new(),
        balancers: Vec::new(),
        reactors: 2,
        incarnation: incarnation(),
        seed: fastrand::u64(..),
        settle: Duration::ZERO,
        flush_delay: Duration::ZERO,
        history_memory: HISTORY_BYTES,
        rate: Rate { per_second: FRAMES_PER_SECOND, burst: FRAMES_BURST },
        limits: Limits { connections_max: 5000, ..Limits::default() },
        cluster_key: None,
        is_ticket_required: false,
        drain_over: Duration::from_secs(1),
        trusted_proxies: Vec::new(),
        rebalances: false,
    }
}

/// An incarnation that is later than those taken before.
pub fn incarnation() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (since.as_millis() as u64) << 22 | fastrand::u64(..1 << 22)
}

/// A server by itself.
pub fn start_app(options: &app::Options) -> App {
    starting(|| {
        let poller = Poller::new()?;
        let bus = loopback::mesh(&[poller.waker()]).remove(0);
        App::start(options.clone(), poller, bus)
    })
}

/// A server by itself, as it is by default.
pub fn app() -> App {
    start_app(&options("app-1"))
}

/// A balancer.
pub fn balancer(name: &str) -> Balancer {
    let options = lb::Options { cors_origin: "https://chat.example".into(), ..balancer_options(name) };
    start_balancer(&options)
}

/// The options of a balancer of that name that lets in as many as come.
pub fn balancer_options(name: &str) -> lb::Options {
    lb::Options {
        name: name.into(),
        listen: anywhere(),
        cors_origin: "*".into(),
        reactors: 2,
        limits: Limits::default(),
        proxied_max: 5000,
        drain: Duration::ZERO,
        drain_limit: Duration::from_secs(1),
        cluster_key: None,
        weights: Weights::Equal,
        admitted_per_second: 1_000_000,
    }
}

/// A balancer by itself.
pub fn start_balancer(options: &lb::Options) -> Balancer {
    starting(|| Balancer::start(options.clone()))
}

/// Servers and balancers that hear each other, and no rate limit.
pub fn cluster(apps: usize, balancers: usize) -> Cluster {
    let layout = Layout {
        frontend: anywhere(),
        apps: vec![anywhere(); apps],
        balancers: vec![anywhere(); balancers],
        server: app::Options { rate: UNLIMITED, ..options("") },
        balancer: balancer_options(""),
        limits: Limits::default(),
        incarnations: (0..apps).map(|_| incarnation()).collect(),
    };
    starting(|| Cluster::start(&layout).map_err(|mut error| error.faults.remove(0).2))
}

/// The addresses of a cluster's nodes of one role, in the order of their names.
pub fn addresses(cluster: &Cluster, role: Role) -> Vec<SocketAddr> {
    cluster.nodes().iter().filter(|node| node.1 == role).map(|node| node.2).collect()
}

/// Between finding a free port and taking it, or between its TCP and its UDP half, somebody else may take it.
fn starting<T>(mut start: impl FnMut() -> io::Result<T>) -> T {
    for _ in 0..20 {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            result => return result.unwrap(),
        }
    }
    panic!("no port was free in twenty attempts");
}
