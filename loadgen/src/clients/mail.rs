//! What threads tell each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::measure::clock;
use crate::wire::refusal::Wait;
use crate::wire::url::Url;

/// A server, or a balancer that stands for one.
#[derive(Debug)]
pub struct Server {
    /// The name that balancers know it by; empty where none told.
    pub node: String,
    /// Host and port.
    pub authority: String,
    /// Where that is; never empty.
    pub addresses: Vec<SocketAddr>,
}

/// Where a client is to connect.
#[derive(Debug)]
pub struct Assignment {
    /// The server.
    pub server: Arc<Server>,
    /// What to open there; it may be good for this client only.
    pub url: Url,
}

/// A client of a worker wants a server.
#[derive(Debug)]
pub struct Ask {
    /// The worker's place among those of its process.
    pub worker: usize,
    /// Its client.
    pub client: u32,
    /// The server that it comes from; another one is preferred.
    pub avoid: Option<Arc<Server>>,
}

/// What the balancers say to that.
#[derive(Debug)]
pub enum Answer {
    /// Go there.
    Go(Assignment),
    /// It is this client's turn after this time.
    Later(Wait),
    /// There is no server.
    Nobody {
        /// Why, at each balancer.
        error: String,
        /// When to ask again, if a balancer told.
        wait: Option<Wait>,
    },
}

/// What others tell a worker.
#[derive(Debug)]
pub enum Mail {
    /// For a client that asked.
    Answer(u32, Answer),
    /// For all workers.
    Order(Order),
}

/// What all workers are told, in whichever process they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The schedule begins at this time.
    Begin(#[serde(with = "clock")] Instant),
    /// No more messages.
    Stop,
    /// Say goodbye.
    Finish,
}
