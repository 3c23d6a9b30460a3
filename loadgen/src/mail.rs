//! What threads tell each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::url::Url;

/// A server to connect to.
#[derive(Debug)]
pub struct Server {
    /// Its URL.
    pub url: Url,
    /// Where that is; never empty.
    pub addresses: Vec<SocketAddr>,
}

/// A client of a worker wants a server.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The worker.
    pub worker: usize,
    /// Its client.
    pub client: u32,
}

/// What others tell a worker.
#[derive(Debug)]
pub enum Mail {
    /// A server for a client, or why there is none.
    Assigned(u32, Result<Arc<Server>, String>),
    /// The schedule begins at this time.
    Begin(Instant),
    /// No more messages.
    Stop,
    /// Say goodbye.
    Finish,
}
