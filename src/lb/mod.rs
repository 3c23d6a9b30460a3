//! The balancer: a board of servers that heartbeats keep, reactors that send clients to them, and loops that proxy those who
//! reach only the balancer.

pub mod address;
pub mod board;
pub mod client_counts;
pub mod ear;
pub mod live;
pub mod metrics;
pub mod node;
pub mod proxy;
pub mod refusal;
pub mod resolver;
pub mod service;
pub mod status;
pub mod upstreams;
pub mod ws_url;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::serve::{self, ProcessMetrics, Server};

use ear::Ear;
use metrics::Metrics;
use proxy::Proxy;
use service::BalancerService;

pub use node::{Node, Options};

/// A balancer that runs until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    node: Arc<Node>,
    server: Server,
    _ear: Ear,
    proxy: Proxy,
}

impl Balancer {
    /// Checks that nobody has the TCP port nor the UDP port of `address`; 0 becomes one that is free for TCP.
    pub fn reserve(address: SocketAddr) -> io::Result<SocketAddr> {
        let address = Server::reserve(address)?;
        UdpSocket::bind(address).map(|_| address)
    }

    /// Starts the threads.
    pub fn start(mut options: Options) -> io::Result<Self> {
        let mut registry = Registry::default();
        ProcessMetrics::register(&mut registry);
        let ours = registry.sub_registry_with_prefix("distr_lb");
        let serving = serve::Metrics::register(ours, options.reactors);
        let metrics = Metrics::register(ours);
        options.listen = Self::reserve(options.listen)?;
        let (name, listen) = (options.name.clone(), options.listen);
        let limits = serve::Limits { connections_max: live::WATCHERS_MAX, ..options.limits };
        let reactors = options.reactors;
        let node = Arc::new(Node::new(options, Arc::clone(&serving), metrics, registry));
        let proxy = Proxy::start(&node)?;
        let server = Server::start(&name, listen, reactors, limits, &serving, |index, _| {
            BalancerService::new(Arc::clone(&node), proxy.post(index))
        })?;
        let ear = Ear::start(server.address(), Arc::clone(&node), proxy.bell())?;
        log::info!("{name} listens at {}", server.address());
        Ok(Self { node, server, _ear: ear, proxy })
    }

    /// Where it listens, for clients and heartbeats.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Leaves: no client is sent anywhere any more, and those who are proxied are told to move to another balancer. Returns
    /// when the last of them is gone, or after [`Options::drain_limit`].
    pub fn drain(&mut self) {
        self.node.board().drain();
        let (proxied, _) = self.node.metrics.proxied();
        log::info!("{}: draining: {proxied} proxied clients are told to move", self.node.options.name);
        self.proxy.leave(self.node.options.drain, self.node.options.drain_limit);
    }
}
