//! The thread that hears heartbeats, and notes on the board who has fallen silent.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::wire::Heartbeat;
use crate::wire::heartbeat::DATAGRAM_BYTES_MAX;

use super::node::Node;

/// Shortest wait for a datagram: the kernel takes zero for ever.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Ear {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    /// Binds the UDP port and starts the thread.
    pub fn start(name: &str, listen: SocketAddr, node: Arc<Node>) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (reader, stopped) = (socket.try_clone()?, Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name(format!("{name}/ear"))
            .spawn(move || listen_to(&reader, &node, &stopped))?;
        Ok(Self { socket, stop, thread: Some(thread) })
    }
}

fn listen_to(socket: &UdpSocket, node: &Node, stop: &AtomicBool) {
    // One byte more than the largest, to see that a datagram is larger.
    let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
    while !stop.load(Ordering::Acquire) {
        note_silence(socket, node);
        // An error is the end of the wait, or an ICMP answer to something that was sent from this port.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        match Heartbeat::parse(&buffer[..length], node.options.cluster_key.as_ref()) {
            Ok(heartbeat) => note_heartbeat(node, heartbeat, from),
            Err(_) if stop.load(Ordering::Acquire) => return,
            Err(error) => node.metrics.malformed(error),
        }
    }
}

fn note_heartbeat(node: &Node, heartbeat: Heartbeat, from: SocketAddr) {
    let noted = node.board().handle_heartbeat(heartbeat, from.ip().to_canonical(), Instant::now());
    match noted {
        Ok(change) => {
            node.metrics.accepted();
            change.iter().for_each(|text| log::info!("{}: {text}", node.options.name));
        }
        Err(why) => node.metrics.refused(why),
    }
}

/// Waits for the next datagram no longer than until somebody who is silent changes.
fn note_silence(socket: &UdpSocket, node: &Node) {
    let now = Instant::now();
    let (changes, next) = {
        let mut board = node.board();
        (board.handle_timeout(now), board.poll_timeout())
    };
    changes.iter().for_each(|text| log::info!("{}: {text}", node.options.name));
    let wait = next.map(|at| at.saturating_duration_since(now).max(WAIT_MIN));
    if let Err(error) = socket.set_read_timeout(wait) {
        log::error!("{}: heartbeats cannot be waited for: {error}", node.options.name);
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
