//! The heart: a thread that tells every balancer how the server is, at least every 200 ms, and at once when clients
//! came or went.

use std::io;
use std::iter;
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::serve::clock::unix_ms;
use crate::wire::heartbeat::{BALANCERS_MAX, Heartbeat, INTERVAL};

use super::node::Node;
use super::resolver::Resolver;

/// Shortest time between heartbeats, in which changes are gathered.
const GATHER: Duration = Duration::from_millis(2);
/// Changes that may wait for the thread. Beyond it arrivals are not counted for their balancer, whose account of
/// clients under way then ages out.
const CHANGES_MAX: usize = 65_536;

/// The reactors' end.
#[derive(Clone, Debug)]
pub struct Pulse {
    changes: Sender<Change>,
    arriving: Option<String>,
}

#[derive(Debug)]
enum Change {
    Opened { via: Option<String> },
    Closed,
    State,
    Stop,
}

impl Pulse {
    /// A client asks for a WebSocket, and that balancer sent it.
    pub fn arriving(&mut self, via: Option<String>) {
        self.arriving = via;
    }

    /// It has got it.
    pub fn opened(&mut self) {
        let via = self.arriving.take();
        let _ = self.changes.try_send(Change::Opened { via });
    }

    /// The server itself is in another state: balancers need not wait for the next beat to hear it.
    pub fn changed(&self) {
        let _ = self.changes.try_send(Change::State);
    }

    /// A client went.
    pub fn closed(&self) {
        let _ = self.changes.try_send(Change::Closed);
    }
}

/// The running thread; stops when dropped.
#[derive(Debug)]
pub struct Heart {
    changes: Sender<Change>,
    thread: Option<JoinHandle<()>>,
}

impl Heart {
    /// Starts it.
    pub fn start(node: Arc<Node>) -> io::Result<(Self, Pulse)> {
        let (changes, changed) = bounded(CHANGES_MAX);
        let ipv4 = UdpSocket::bind("0.0.0.0:0")?;
        // A machine without IPv6 has no balancers there.
        let ipv6 = UdpSocket::bind("[::]:0").ok();
        let beat = Beat {
            sockets: (ipv4, ipv6),
            resolver: Resolver::start(&node.options.balancers)?,
            number: 0,
            accepted: Vec::new(),
            node,
        };
        let name = format!("{}/heart", beat.node.options.name);
        let thread = thread::Builder::new().name(name).spawn(move || beat.run(&changed))?;
        let pulse = Pulse { changes: changes.clone(), arriving: None };
        Ok((Self { changes, thread: Some(thread) }, pulse))
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        // The channel is full only while the thread is busy emptying it, so this waits for a moment at most.
        let _ = self.changes.send(Change::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            log::error!("the heartbeat thread panicked");
        }
    }
}

struct Beat {
    node: Arc<Node>,
    sockets: (UdpSocket, Option<UdpSocket>),
    resolver: Resolver,
    number: u64,
    /// Clients accepted, by the balancer that sent them.
    accepted: Vec<(String, u64)>,
}

impl Beat {
    fn run(mut self, changed: &Receiver<Change>) {
        loop {
            self.send(false);
            match changed.recv_timeout(INTERVAL) {
                Err(RecvTimeoutError::Disconnected) => return self.send(true),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(first) => {
                    // Nobody waits for what comes in this time, so that reactors need not wake this thread for each client.
                    thread::sleep(GATHER);
                    for change in iter::once(first).chain(changed.try_iter()) {
                        match change {
                            Change::Stop => return self.send(true),
                            change => self.note(change),
                        }
                    }
                }
            }
        }
    }

    fn note(&mut self, change: Change) {
        let Change::Opened { via: Some(via) } = change else { return };
        if let Some((_, count)) = self.accepted.iter_mut().find(|(name, _)| *name == via) {
            *count += 1;
            return;
        }
        // Anybody can put a name into a URL: one that sent few makes room, not one that sends many.
        if self.accepted.len() == BALANCERS_MAX {
            let least = (0..BALANCERS_MAX).min_by_key(|&index| self.accepted[index].1);
            least.map(|index| self.accepted.swap_remove(index));
        }
        self.accepted.push((via, 1));
    }

    fn send(&mut self, is_leaving: bool) {
        self.number += 1;
        let (options, now) = (&self.node.options, Instant::now());
        let connections = self.node.serving.websockets();
        let datagram = Heartbeat {
            name: options.name.clone(),
            incarnation: options.incarnation,
            number: self.number,
            time_ms: unix_ms(),
            url: options.public_url.clone(),
            connections,
            capacity: options.limits.connections_max,
            loop_lag_us: self.node.serving.take_lag(now).as_micros().try_into().unwrap_or(u32::MAX),
            accepted: self.accepted.clone(),
            draining: is_leaving || self.node.is_draining(),
            deaf: !self.node.is_ready(now),
            full: connections >= options.limits.connections_max,
        }
        .encode(options.cluster_key.as_ref());
        for target in self.resolver.addresses() {
            let socket = if target.is_ipv4() { Some(&self.sockets.0) } else { self.sockets.1.as_ref() };
            // A balancer that is away is no error: it hears the next one when it is back.
            let _ = socket.map(|socket| socket.send_to(&datagram, target));
        }
    }
}
