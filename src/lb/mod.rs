//! The balancer: a board of servers that heartbeats keep, and reactors that send clients to them.

pub mod address;
pub mod board;
pub mod ear;
pub mod metrics;
pub mod node;
pub mod refusal;
pub mod service;
pub mod status;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::serve::{self, Server};

use ear::Ear;
use metrics::Metrics;
use service::AssignService;

pub use node::{Node, Options};

/// A balancer that runs until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    node: Arc<Node>,
    server: Server,
    _ear: Ear,
}

impl Balancer {
    /// Checks that nobody has the TCP port nor the UDP port of `address`; 0 becomes one that is free for TCP.
    pub fn reserve(address: SocketAddr) -> io::Result<SocketAddr> {
        let address = Server::reserve(address)?;
        UdpSocket::bind(address).map(|_| address)
    }

    /// Starts the threads.
    pub fn start(mut options: Options) -> io::Result<Self> {
        let mut registry = Registry::with_prefix("distr_lb");
        let serving = serve::Metrics::register(&mut registry, options.reactors);
        let metrics = Metrics::register(&mut registry);
        options.listen = Self::reserve(options.listen)?;
        let (name, listen, limits) = (options.name.clone(), options.listen, options.limits);
        let reactors = options.reactors;
        let node = Arc::new(Node::new(options, metrics, registry));
        let server = Server::start(&name, listen, reactors, limits, &serving, |_, _| {
            AssignService::new(Arc::clone(&node))
        })?;
        let ear = Ear::start(&name, server.address(), Arc::clone(&node))?;
        log::info!("{name} listens at {}", server.address());
        Ok(Self { node, server, _ear: ear })
    }

    /// Where it listens, for clients and heartbeats.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Leaves: no client is sent anywhere any more.
    pub fn drain(&self) {
        self.node.board().drain();
    }
}
