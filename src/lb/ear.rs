//! The thread that hears heartbeats, notes on the board who has fallen silent, and tells those who wait for that.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::balance::{Health, table::Change};
use crate::wire::Heartbeat;
use crate::wire::heartbeat::DATAGRAM_BYTES_MAX;

use super::node::Node;
use super::proxy::Bell;
use super::resolver::Resolver;
use super::upstreams::News;

/// Shortest wait for a datagram: the kernel takes zero for ever.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Ear {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread has.
struct Listener {
    socket: UdpSocket,
    node: Arc<Node>,
    resolver: Resolver,
    proxy: Bell,
    stop: Arc<AtomicBool>,
}

impl Ear {
    /// Binds the UDP port and starts the thread, which tells `proxy` of servers that are gone.
    pub fn start(listen: SocketAddr, node: Arc<Node>, proxy: Bell) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen)?;
        let stop = Arc::new(AtomicBool::new(false));
        let name = format!("{}/ear", node.options.name);
        let resolver = Resolver::start(Arc::clone(&node))?;
        let listener =
            Listener { socket: socket.try_clone()?, node, resolver, proxy, stop: Arc::clone(&stop) };
        let thread = thread::Builder::new().name(name).spawn(move || listener.run())?;
        Ok(Self { socket, stop, thread: Some(thread) })
    }
}

impl Listener {
    fn run(&self) {
        // One byte more than the largest, to see that a datagram is larger.
        let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
        while !self.stop.load(Ordering::Acquire) {
            self.note_silence();
            // An error is the end of the wait, or an ICMP answer to something that was sent from this port.
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            match Heartbeat::parse(&buffer[..length], self.node.options.cluster_key.as_ref()) {
                Ok(heartbeat) => self.note_heartbeat(heartbeat, from),
                Err(_) if self.stop.load(Ordering::Acquire) => return,
                Err(error) => self.node.metrics.malformed(error),
            }
        }
    }

    fn note_heartbeat(&self, heartbeat: Heartbeat, from: SocketAddr) {
        let (balancer, name) = (&self.node.options.name, heartbeat.name.clone());
        let noted = self.node.board().handle_heartbeat(heartbeat, from.ip().to_canonical(), Instant::now());
        match noted {
            Ok((change, news)) => {
                self.node.metrics.accepted();
                change.iter().for_each(|change| self.tell(change));
                match news {
                    News::None => {}
                    News::Name => self.resolver.wake(),
                    News::Unreachable => {
                        log::warn!(
                            "{balancer}: no client can be proxied to {name}, whose URL is not ws://HOST"
                        );
                    }
                }
            }
            Err(why) => self.node.metrics.refused(why),
        }
    }

    /// Waits for the next datagram no longer than until somebody who is silent changes.
    fn note_silence(&self) {
        let now = Instant::now();
        let (changes, next) = {
            let mut board = self.node.board();
            (board.handle_timeout(now), board.poll_timeout())
        };
        changes.iter().for_each(|change| self.tell(change));
        let wait = next.map(|at| at.saturating_duration_since(now).max(WAIT_MIN));
        if let Err(error) = self.socket.set_read_timeout(wait) {
            log::error!("{}: heartbeats cannot be waited for: {error}", self.node.options.name);
        }
    }

    /// Clients of a server that is gone, or was before it began anew, have nobody there.
    fn tell(&self, change: &Change) {
        log::info!("{}: {change}", self.node.options.name);
        if change.health == Health::Gone || change.has_restarted {
            self.proxy.gone(&change.name);
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // An empty datagram to itself ends the wait.
        let woken = self.socket.local_addr().and_then(|address| {
            let target = match address.ip() {
                ip if ip.is_unspecified() && address.is_ipv4() => {
                    SocketAddr::from(([127, 0, 0, 1], address.port()))
                }
                ip if ip.is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port())),
                _ => address,
            };
            self.socket.send_to(&[], target)
        });
        if let (Ok(_), Some(thread)) = (woken, self.thread.take())
            && thread.join().is_err()
            && !thread::panicking()
        {
            log::error!("the thread that hears heartbeats panicked");
        }
    }
}
