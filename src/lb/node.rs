//! What the threads of one balancer all know.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;

use crate::balance::table::Weights;
use crate::balance::{Admission, Table};
use crate::serve;
use crate::wire::ClusterKey;

use super::board::Board;
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
    /// Threads that answer clients, and as many that pass on what proxied clients and servers say.
    pub reactors: usize,
    /// Limits of a connection to the balancer itself.
    pub limits: serve::Limits,
    /// Clients that may be proxied at a time; each takes two descriptors, and a third while it moves.
    pub proxied_max: u32,
    /// What heartbeats must be signed with, and tickets are.
    pub cluster_key: Option<ClusterKey>,
    /// What the servers' loads are measured by.
    pub weights: Weights,
    /// Clients let in per second.
    pub admitted_per_second: u32,
    /// How long it takes to tell all proxied clients to move when the balancer leaves, so that others get them one by
    /// one.
    pub drain: Duration,
    /// How long after that is begun those who have not moved are closed.
    pub drain_limit: Duration,
}

/// What the threads of a balancer all know.
#[derive(Debug)]
pub struct Node {
    /// The options.
    pub options: Options,
    /// Counters of the reactors, and where all threads are.
    pub serving: Arc<serve::Metrics>,
    /// What is counted.
    pub metrics: Metrics,
    /// All of it, to be written out.
    pub registry: Registry,
    /// When it began.
    pub started: Instant,
    board: Mutex<Board>,
}

impl Node {
    /// A balancer that has heard of no server yet.
    pub fn new(options: Options, serving: Arc<serve::Metrics>, metrics: Metrics, registry: Registry) -> Self {
        let started = Instant::now();
        let table = Table::new(options.name.clone(), options.weights);
        let admission = Admission::new(options.admitted_per_second, started);
        let board = Mutex::new(Board::new(table, admission, started));
        Self { options, serving, metrics, registry, started, board }
    }

    /// The board, while the guard lives: a moment.
    pub fn board(&self) -> MutexGuard<'_, Board> {
        // Whoever panicked while holding it has left counters a step behind at worst.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
