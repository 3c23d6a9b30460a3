//! The thread that reads heartbeats and hands on those that are well-formed.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::net::mailbox::{Post, Undelivered};
use crate::wire::Heartbeat;
use crate::wire::heartbeat::DATAGRAM_BYTES_MAX;

use super::node::Node;

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Binds the UDP port and starts the thread.
    pub fn start(name: &str, listen: SocketAddr, node: Arc<Node>, post: Post<Heartbeat>) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (reader, stopped) = (socket.try_clone()?, Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name(format!("{name}/ear"))
            .spawn(move || receive(&reader, &node, &post, &stopped))?;
        Ok(Self { socket, stop, thread: Some(thread) })
    }
}

fn receive(socket: &UdpSocket, node: &Node, post: &Post<Heartbeat>, stop: &AtomicBool) {
    // One byte more than the largest, to see that a datagram is larger.
    let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
    while !stop.load(Ordering::Acquire) {
        // An error is an ICMP answer to something that was sent from this port: not ours to care about.
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        match Heartbeat::parse(&buffer[..length], node.options.cluster_key.as_ref()) {
            Ok(heartbeat) => match post.send(heartbeat) {
                Ok(()) => {}
                Err(Undelivered::Full(_)) => node.metrics.overrun(),
                Err(Undelivered::Closed) => return,
            },
            Err(_) if stop.load(Ordering::Acquire) => return,
            Err(error) => node.metrics.malformed(error),
        }
    }
}

impl Drop for Receiver {
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
            log::error!("the heartbeat receiver panicked");
        }
    }
}
