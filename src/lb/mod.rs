//! The balancer: a table fed by heartbeats, and a reactor that answers clients from it.

pub mod metrics;
pub mod node;
pub mod receiver;
pub mod service;
pub mod status;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::registry::Registry;

use crate::net::mailbox::mailbox;
use crate::serve::{self, Server};

use metrics::Metrics;
use receiver::Receiver;
use service::AssignService;

pub use node::{Node, Options};

/// Batches of heartbeats that may wait for the reactor; beyond it they are thrown away, the next ones are as good.
const BATCHES_MAX: usize = 64;

/// A balancer that runs until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    server: Server,
    _receiver: Receiver,
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
        let serving = serve::Metrics::register(&mut registry, 1);
        let metrics = Metrics::register(&mut registry);
        options.listen = Self::reserve(options.listen)?;
        let (name, listen, limits) = (options.name.clone(), options.listen, options.limits);
        let node = Arc::new(Node { options, metrics, registry, started: Instant::now() });
        let mut post = None;
        let server = Server::start(&name, listen, 1, limits, &serving, |_, waker| {
            let (heartbeats, heard) = mailbox(BATCHES_MAX, waker);
            post = Some(heartbeats);
            AssignService::new(Arc::clone(&node), heard)
        })?;
        let post = post.expect("one reactor was started");
        let receiver = Receiver::start(&name, server.address(), Arc::clone(&node), post)?;
        log::info!("{name} listens at {}", server.address());
        Ok(Self { server, _receiver: receiver })
    }

    /// Where it listens, for clients and heartbeats.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}
