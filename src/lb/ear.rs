//! The thread that hears heartbeats, notes on the board who has fallen silent, and tells those who wait for that.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::balance::{Refused, table::Change};
use crate::serve::loops::{Loop, Stage};
use crate::wire::Heartbeat;
use crate::wire::heartbeat::DATAGRAM_BYTES_MAX;

use super::board::{NO_ANSWER, NONE_THERE};
use super::client_counts::{self, Counted};
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
    watched: Arc<Loop>,
    stop: Arc<AtomicBool>,
}

impl Ear {
    /// Binds the UDP port and starts the thread, which tells `proxy` of servers that are gone.
    pub fn start(listen: SocketAddr, node: Arc<Node>, proxy: Bell) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen)?;
        let stop = Arc::new(AtomicBool::new(false));
        let name = format!("{}/ear", node.options.name);
        let resolver = Resolver::start(Arc::clone(&node))?;
        let watched = node.serving.loops.add(&*name);
        let listener =
            Listener { socket: socket.try_clone()?, node, resolver, proxy, watched, stop: Arc::clone(&stop) };
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
            self.watched.enter(Stage::Wait, Instant::now());
            // An error is the end of the wait, or an ICMP answer to something that was sent from this port.
            let received = self.socket.recv_from(&mut buffer);
            self.watched.enter(Stage::Heartbeat, Instant::now());
            let Ok((length, from)) = received else { continue };
            match Heartbeat::parse(&buffer[..length], self.node.options.cluster_key.as_ref()) {
                Ok(heartbeat) => self.note_heartbeat(heartbeat, from),
                Err(_) if self.stop.load(Ordering::Acquire) => return,
                Err(error) => self.node.metrics.malformed(error),
            }
        }
    }

    fn note_heartbeat(&self, heartbeat: Heartbeat, from: SocketAddr) {
        let (balancer, address) = (&self.node.options.name, from.ip().to_canonical());
        let (name, url) = (heartbeat.name.clone(), heartbeat.url.clone());
        let noted = self.node.board().handle_heartbeat(heartbeat, address, Instant::now());
        match noted {
            Ok((changes, news)) => {
                self.node.metrics.accepted();
                changes.iter().for_each(|change| self.tell(change));
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
            Err(why) => {
                self.node.metrics.refused(why);
                if why == (Refused::Namesake { is_first: true })
                    && let Some(text) = self.node.board().note_namesake(&name, &url, address)
                {
                    log::warn!("{balancer}: {text}");
                }
            }
        }
    }

    /// Waits for the next datagram no longer than until somebody who is silent changes, or clients
    /// are to be counted.
    fn note_silence(&self) {
        let now = Instant::now();
        let (changes, counted, next) = {
            let mut board = self.node.board();
            (board.handle_timeout(now), board.take_counts(now), board.poll_timeout())
        };
        changes.iter().for_each(|change| self.tell(change));
        counted.iter().for_each(|counted| self.tell_counts(counted));
        let wait = next.map_or(client_counts::INTERVAL, |at| at.saturating_duration_since(now));
        let wait = wait.clamp(WAIT_MIN, client_counts::INTERVAL);
        if let Err(error) = self.socket.set_read_timeout(Some(wait)) {
            log::error!("{}: heartbeats cannot be waited for: {error}", self.node.options.name);
        }
    }

    /// Clients of a server that is gone, or was before it began anew, have nobody there.
    fn tell(&self, change: &Change) {
        let level = if change.is_bad() { log::Level::Warn } else { log::Level::Info };
        log::log!(level, "{}: {change}", self.node.options.name);
        if change.orphans_clients() {
            self.proxy.gone(&change.name);
        }
    }

    fn tell_counts(&self, counted: &Counted) {
        let balancer = &self.node.options.name;
        if !counted.sent.is_empty() {
            log::info!("{balancer}: {counted}");
        }
        for (what, count) in [(NONE_THERE, counted.unavailable), (NO_ANSWER, counted.unanswered)] {
            match count {
                0 => {}
                1 => log::warn!("{balancer}: {what}"),
                count => log::warn!("{balancer}: {what} ({count} times)"),
            }
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
