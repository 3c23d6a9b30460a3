//! The reactors of one listening address, as threads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use mio::Waker;

use crate::net::Listener;

use super::limits::Limits;
use super::metrics::Metrics;
use super::reactor::Reactor;
use super::service::Service;
use super::watchdog::Watchdog;

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    reactors: Vec<(Arc<Waker>, JoinHandle<()>)>,
    _watchdog: Watchdog,
}

impl Server {
    /// Checks that nobody listens at `address` yet; a port of 0 becomes one that is free.
    pub fn reserve(address: SocketAddr) -> io::Result<SocketAddr> {
        Listener::probe(address)
    }

    /// Binds `address` once for each reactor and starts their threads. `make_service` is called for each with its
    /// index and its waker.
    pub fn start<S: Service>(
        name: &str,
        address: SocketAddr,
        reactors: usize,
        limits: Limits,
        metrics: &Arc<Metrics>,
        mut make_service: impl FnMut(usize, Arc<Waker>) -> S,
    ) -> io::Result<Self> {
        let watchdog = Watchdog::start(name, Arc::clone(metrics), limits.stall_max)?;
        let mut server = Self { address, stop: Arc::default(), reactors: Vec::new(), _watchdog: watchdog };
        for index in 0..reactors {
            // The first listener settles the port when 0 was asked for.
            let listener = Listener::bind(server.address)?;
            server.address = listener.local_address()?;
            let stop = Arc::clone(&server.stop);
            let make = |waker| make_service(index, waker);
            let reactor = Reactor::new((name, index), listener, limits, Arc::clone(metrics), stop, make)?;
            let waker = reactor.waker();
            let name = format!("{name}/{index}");
            let thread = thread::Builder::new().name(name.clone()).spawn(move || {
                if let Err(error) = reactor.run() {
                    log::error!("{name}: the event loop failed: {error}");
                    std::process::abort();
                }
            })?;
            server.reactors.push((waker, thread));
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to say goodbye to all clients; dropping the server waits for that.
    pub fn leave(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// Has every reactor turn once.
    pub fn wake(&self) {
        for (waker, _) in &self.reactors {
            // It fails only when the reactor is gone already.
            let _ = waker.wake();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.leave();
        for (_, thread) in self.reactors.drain(..) {
            if thread.join().is_err() && !thread::panicking() {
                log::error!("a reactor of {} panicked", self.address);
            }
        }
    }
}
