//! The application server: reactors that hold the clients, and the backplane thread that holds the rooms.

pub mod backplane;
pub mod bus;
pub mod clock;
pub mod heartbeat;
pub mod lane_metrics;
pub mod loopback;
pub mod mail;
pub mod metrics;
pub mod node;
pub mod redis;
pub mod redis_log;
pub mod redis_names;
pub mod redis_preflight;
pub mod resolver;
pub mod service;
pub mod status;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mio::Waker;
use prometheus_client::registry::Registry;

use crate::chat::hub::{Hub, Settings};
use crate::net::{Poller, mailbox::mailbox};
use crate::serve::{self, Server};
use crate::wire;

use backplane::{Backplane, Outlet};
use bus::Bus;
use heartbeat::Heart;
use lane_metrics::LaneMetrics;
use mail::{ASK_BATCHES_MAX, NOTICE_BATCHES_MAX};
use metrics::Metrics;
use service::ChatService;

pub use node::{Node, Options};

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct App {
    server: Option<Server>,
    heart: Option<Heart>,
    backplane: Option<(Arc<AtomicBool>, Arc<Waker>, JoinHandle<()>)>,
    address: SocketAddr,
}

impl App {
    /// Starts the threads. `poller` is the backplane's; its waker is known to whoever feeds `bus`.
    pub fn start(mut options: Options, poller: Poller, bus: impl Bus + Send + 'static) -> io::Result<Self> {
        let mut registry = Registry::with_prefix("distr");
        let serving = serve::Metrics::register(&mut registry, options.reactors);
        let metrics = Metrics::register(&mut registry);
        let lanes = LaneMetrics::register(&mut registry);
        let limits = wire::Limits {
            frame_bytes: options.limits.message_bytes_max,
            frames_per_second: options.rate.per_second,
            frames_burst: options.rate.burst,
            ..wire::Limits::default()
        };
        // The port may be chosen by the kernel, and the public URL names it.
        options.listen = Server::reserve(options.listen)?;
        if options.public_url.is_empty() {
            options.public_url = format!("ws://{{host}}:{}/ws", options.listen.port());
        }
        let (is_ready, started) = (AtomicBool::new(bus.is_ready()), Instant::now());
        let node = Arc::new(Node { options, limits, serving, metrics, lanes, registry, is_ready, started });
        let options = &node.options;

        let (heart, pulse) = Heart::start(Arc::clone(&node))?;
        let (asks, asked) = mailbox(ASK_BATCHES_MAX, poller.waker());
        let mut outlets = Vec::new();
        let server = Server::start(
            &options.name,
            options.listen,
            options.reactors,
            options.limits,
            &node.serving,
            |index, waker| {
                let (notices, noticed) = mailbox(NOTICE_BATCHES_MAX, waker);
                outlets.push(Outlet::new(notices));
                ChatService::new(Arc::clone(&node), index, asks.clone(), noticed, pulse.clone())
            },
        )?;
        let settings = Settings {
            name: options.name.as_str().into(),
            incarnation: options.incarnation,
            reactors: options.reactors,
            seed: options.seed,
            settle: options.settle,
            flush_delay: options.flush_delay,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let waker = poller.waker();
        let hub = Hub::new(settings, node.started);
        let backplane =
            Backplane::new(Arc::clone(&node), poller, asked, outlets, hub, bus, Arc::clone(&stop));
        let thread =
            thread::Builder::new().name(format!("{}/hub", options.name)).spawn(|| backplane.run())?;
        log::info!("{} listens at {}", options.name, server.address());
        Ok(Self {
            address: server.address(),
            server: Some(server),
            heart: Some(heart),
            backplane: Some((stop, waker, thread)),
        })
    }

    /// Begins to leave: tells the balancers, then the clients. Dropping the server waits for that.
    pub fn leave(&mut self) {
        drop(self.heart.take());
        if let Some(server) = &self.server {
            server.leave();
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Balancers first, so that nobody is sent here any more; then the clients; the rooms last.
        self.leave();
        drop(self.server.take());
        if let Some((stop, waker, thread)) = self.backplane.take() {
            stop.store(true, Ordering::Release);
            // It fails only when the thread is gone already.
            let _ = waker.wake();
            if thread.join().is_err() && !thread::panicking() {
                log::error!("the backplane thread panicked");
            }
        }
    }
}
