//! What the threads of one application server all know.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use ipnet::IpNet;
use prometheus_client::registry::Registry;

use crate::chat::rate::Rate;
use crate::serve;
use crate::wire::{self, ClusterKey};

use super::gate::Gate;
use super::lane_metrics::LaneMetrics;
use super::metrics::Metrics;

/// How an application server is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Unique in the cluster.
    pub name: String,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// What balancers tell clients; `{host}` stands for the host that the client used. Empty: made from `listen`.
    pub public_url: String,
    /// `host:port` of the balancers that are told.
    pub balancers: Vec<String>,
    /// Reactors, one thread each.
    pub reactors: usize,
    /// New at each start; see [`wire::heartbeat`].
    pub incarnation: u64,
    /// Random.
    pub seed: u64,
    /// How long the bus must have carried before silence means that there is no other server.
    pub settle: Duration,
    /// How long what is said may wait for more of its room, so that fewer envelopes carry it.
    pub flush_delay: Duration,
    /// Bytes of messages that all rooms keep together; beyond it a room that speaks keeps only a little.
    pub history_memory: usize,
    /// What a client may send.
    pub rate: Rate,
    /// Limits of its connection.
    pub limits: serve::Limits,
    /// What heartbeats are signed with, and tickets checked.
    pub cluster_key: Option<ClusterKey>,
    /// Only clients with a ticket come in.
    pub is_ticket_required: bool,
    /// A drain tells clients to move over so long a time.
    pub drain_over: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether surplus clients are moved to servers that have fewer.
    pub rebalances: bool,
}

/// What the threads of a server all know, and never change but for flags and counters.
#[derive(Debug)]
pub struct Node {
    /// The options, with the address in use.
    pub options: Options,
    /// What `welcome` tells.
    pub limits: wire::Limits,
    /// Counters of the reactors.
    pub serving: Arc<serve::Metrics>,
    /// Counters of the hub.
    pub metrics: Metrics,
    /// Counters of the bus.
    pub lanes: LaneMetrics,
    /// All of them, to be written out.
    pub registry: Registry,
    /// Whether the backplane carries.
    pub is_ready: AtomicBool,
    /// Who may come in.
    pub gate: Gate,
    /// Whether the server is leaving: it takes no new clients and tells the others to move.
    pub is_draining: AtomicBool,
    /// Told once when somebody wants it to drain.
    pub drain_asked: Sender<()>,
    /// Clients that were told to make room and may be under way, for each reactor.
    pub moving: Vec<AtomicU32>,
    /// When it began.
    pub started: Instant,
}

impl Node {
    /// Whether it is leaving.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Whether clients can be served: the backplane carries, and no thread hangs.
    pub fn is_ready(&self, now: Instant) -> bool {
        self.is_ready.load(Ordering::Relaxed)
            && self.serving.loops.stuck(self.options.limits.stall_max, now).is_none()
    }

    /// What the other servers may compare with their own: clients that stay; `None`: it takes no more.
    pub fn load(&self) -> Option<u32> {
        let moving: u32 = self.moving.iter().map(|moving| moving.load(Ordering::Relaxed)).sum();
        (!self.is_draining()).then(|| self.serving.websockets().saturating_sub(moving))
    }
}
