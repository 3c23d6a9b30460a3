//! The application server: reactors that hold the clients, and the backplane thread that holds the rooms.

pub mod backplane;
pub mod bus;
pub mod client_address;
pub mod clock;
pub mod departures;
pub mod gate;
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
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};
use mio::Waker;
use prometheus_client::registry::Registry;

use crate::chat::Limits;
use crate::chat::hub::{Hub, Settings};
use crate::net::{Poller, mailbox::mailbox};
use crate::serve::work::WorkRate;
use crate::serve::{self, ProcessMetrics, Server};
use crate::wire;

use backplane::{Backplane, Outlet, Ways};
use bus::Bus;
use gate::Gate;
use heartbeat::{Heart, Pulse};
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
    node: Arc<Node>,
    pulse: Pulse,
    drain_asked: Receiver<()>,
    address: SocketAddr,
}

impl App {
    /// Starts the threads. `poller` is the backplane's; its waker is known to whoever feeds `bus`.
    pub fn start(mut options: Options, poller: Poller, bus: impl Bus + Send + 'static) -> io::Result<Self> {
        let mut registry = Registry::default();
        ProcessMetrics::register(&mut registry);
        let ours = registry.sub_registry_with_prefix("distr");
        let serving = serve::Metrics::register(ours, options.reactors);
        let metrics = Metrics::register(ours);
        let lanes = LaneMetrics::register(ours);
        let limits = wire::Limits {
            frame_bytes: options.limits.message_bytes_max,
            frames_per_second: options.rate.per_second,
            frames_burst: options.rate.burst,
            ..wire::Limits::default()
        };
        options.limits.work = WorkRate::beside_messages(options.rate.per_second, options.rate.burst);
        // The port may be chosen by the kernel, and the public URL names it.
        options.listen = Server::reserve(options.listen)?;
        if options.public_url.is_empty() {
            options.public_url = format!("ws://{{host}}:{}/ws", options.listen.port());
        }
        let (is_ready, started) = (AtomicBool::new(bus.is_ready()), Instant::now());
        let gate = Gate::new(options.name.clone(), options.cluster_key.clone(), options.is_ticket_required);
        let (drain_asked, drain_asks) = bounded(1);
        let node = Arc::new(Node {
            moving: (0..options.reactors).map(|_| AtomicU32::new(0)).collect(),
            options,
            limits,
            serving,
            metrics,
            lanes,
            registry,
            is_ready,
            gate,
            is_draining: AtomicBool::new(false),
            drain_asked,
            started,
        });
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
            limits: Arc::new(Limits { rings_bytes: options.history_memory, ..Limits::default() }),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let waker = poller.waker();
        let hub = Hub::new(settings, node.started);
        let ways = Ways { asked, outlets, pulse: pulse.clone() };
        let backplane = Backplane::new(Arc::clone(&node), poller, ways, hub, bus, Arc::clone(&stop));
        let thread =
            thread::Builder::new().name(format!("{}/hub", options.name)).spawn(|| backplane.run())?;
        log::info!("{} listens at {}", options.name, server.address());
        Ok(Self {
            address: server.address(),
            server: Some(server),
            heart: Some(heart),
            backplane: Some((stop, waker, thread)),
            node,
            pulse,
            drain_asked: drain_asks,
        })
    }

    /// Takes no more clients, says so to the balancers at once, and begins to tell those that are here to move.
    pub fn drain(&self) {
        self.node.is_draining.store(true, Ordering::Relaxed);
        self.pulse.changed();
        if let Some(server) = &self.server {
            server.wake();
        }
    }

    /// Where it arrives that an operator wants the server to drain.
    pub fn drain_asked(&self) -> &Receiver<()> {
        &self.drain_asked
    }

    /// Clients that are here.
    pub fn clients(&self) -> u32 {
        self.node.serving.websockets()
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
