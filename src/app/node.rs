//! What the threads of one application server all know.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;

use crate::chat::rate::Rate;
use crate::serve;
use crate::wire;

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
    /// What a client may send.
    pub rate: Rate,
    /// Limits of its connection.
    pub limits: serve::Limits,
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
    /// When it began.
    pub started: Instant,
}
