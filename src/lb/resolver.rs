//! The thread that asks the name service where servers are. It may take its time, and nobody waits for it.

use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use super::node::Node;

/// How often names are resolved anew.
const INTERVAL: Duration = Duration::from_secs(5);

/// Ends by itself some time after it is dropped.
#[derive(Debug)]
pub struct Resolver {
    thread: Thread,
    stop: Arc<AtomicBool>,
}

impl Resolver {
    /// Starts it.
    pub fn start(node: Arc<Node>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let name = format!("{}/names", node.options.name);
        let handle = thread::Builder::new().name(name).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                resolve(&node);
                thread::park_timeout(INTERVAL);
            }
        })?;
        Ok(Self { thread: handle.thread().clone(), stop })
    }

    /// Has it look for new names.
    pub fn wake(&self) {
        self.thread.unpark();
    }
}

fn resolve(node: &Node) {
    let names = node.board().upstreams().names();
    for name in names {
        match name.to_socket_addrs().map(|mut found| found.next()) {
            Ok(Some(address)) => node.board().upstreams_mut().resolved(&name, address),
            // The last known address is better than none while the name service is away.
            Ok(None) => log::warn!("{}: the name {name} has no address", node.options.name),
            Err(error) => log::warn!("{}: the name {name} is not known: {error}", node.options.name),
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }
}
