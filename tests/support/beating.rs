//! Heartbeats of servers that there are not.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use distr_chat::wire::Heartbeat;

/// A heartbeat of a server that is well.
pub fn heartbeat(name: &str, connections: u32) -> Heartbeat {
    Heartbeat {
        name: name.into(),
        incarnation: 7 << 22,
        number: 1000,
        url: "ws://{host}:5001/ws".into(),
        connections,
        capacity: 20_000,
        loop_lag_us: 0,
        time_ms: 0,
        accepted: Vec::new(),
        draining: false,
        deaf: false,
        full: false,
    }
}

/// Sends a balancer a datagram.
pub fn send(balancer: SocketAddr, datagram: &[u8]) {
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(datagram, balancer).unwrap();
}

/// Heartbeats as a server would send them, until it is dropped.
pub struct Beating {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Beating {
    /// Begins.
    pub fn start(balancer: SocketAddr, mut heartbeats: Vec<Heartbeat>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for heartbeat in &mut heartbeats {
                    heartbeat.number += 1;
                    send(balancer, &heartbeat.encode(None));
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}
