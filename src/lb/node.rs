//! What the threads of one balancer all know.

use std::net::SocketAddr;
use std::time::Instant;

use prometheus_client::registry::Registry;

use crate::balance::table::Weights;
use crate::serve;
use crate::wire::ClusterKey;

use super::metrics::Metrics;

/// How a balancer is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Unique among the balancers.
    pub name: String,
    /// TCP for clients, and UDP of the same number for heartbeats.
    pub listen: SocketAddr,
    /// `Access-Control-Allow-Origin` of `/assign` and `/status`.
    pub cors_origin: String,
    /// Limits of a connection.
    pub limits: serve::Limits,
    /// What heartbeats must be signed with, and tickets are.
    pub cluster_key: Option<ClusterKey>,
    /// What the servers' loads are measured by.
    pub weights: Weights,
    /// Clients let in per second.
    pub admitted_per_second: u32,
}

/// What the threads of a balancer all know.
#[derive(Debug)]
pub struct Node {
    /// The options.
    pub options: Options,
    /// What is counted.
    pub metrics: Metrics,
    /// All of it, to be written out.
    pub registry: Registry,
    /// When it began.
    pub started: Instant,
}
