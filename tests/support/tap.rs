//! A network that can be broken: a TCP proxy between one server and one Redis node.
//!
//! What is held is not lost but late, as with TCP when packets are lost for a while: a node may be told old things when
//! the network is healed, and does not learn meanwhile that a connection was closed. To lose it, [`Tap::cut`] first.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::eventually;
use super::running::at;

/// Where taps listen: ports that the kernel gives to nobody by itself, so that they are still free after a cut.
const PORTS: std::ops::Range<u16> = 8_000..11_000;
/// One read.
const CHUNK_BYTES: usize = 64 * 1024;

/// From the one who connected to the target, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// The proxy; dropped, it closes everything.
pub struct Tap {
    address: SocketAddr,
    wire: Arc<Wire>,
    acceptor: Option<JoinHandle<()>>,
}

struct Wire {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    held: Vec<Way>,
    delay: Duration,
    /// Both sockets of each connection.
    connections: Vec<[TcpStream; 2]>,
}

/// What one end said, and when; nothing is its end.
type Said = (Instant, Vec<u8>);

impl Tap {
    /// Passes everything to `target`, which need not be there yet.
    pub fn new(target: SocketAddr) -> Self {
        let wire = Arc::new(Wire { target, state: Mutex::default(), changed: Condvar::new() });
        let mut bound = None;
        eventually("a port is free", || {
            bound = TcpListener::bind(at(fastrand::u16(PORTS))).ok();
            bound.is_some()
        });
        let listener = bound.unwrap();
        let mut tap = Self { address: listener.local_addr().unwrap(), wire, acceptor: None };
        tap.accept_from(listener);
        tap
    }

    /// Where to connect instead of the target. It stays the same.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and refuses new ones. What was held is lost.
    pub fn cut(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        let mut state = self.wire.state();
        state.is_cut = true;
        for socket in state.connections.drain(..).flatten() {
            // It fails only when it was closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        self.wire.changed.notify_all();
        // The acceptor looks at its orders when somebody comes.
        drop(TcpStream::connect(self.address));
        acceptor.join().unwrap();
    }

    /// Lets nothing pass there, in silence: connections stay open, and new ones are accepted.
    pub fn hold(&self, ways: &[Way]) {
        self.wire.state().held = ways.to_vec();
        self.wire.changed.notify_all();
    }

    /// Lets everything arrive so much later, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.wire.state().delay = delay;
        self.wire.changed.notify_all();
    }

    /// A network without faults. What was held arrives now.
    pub fn heal(&mut self) {
        let mut state = self.wire.state();
        (state.is_cut, state.held, state.delay) = (false, Vec::new(), Duration::ZERO);
        drop(state);
        self.wire.changed.notify_all();
        if self.acceptor.is_none() {
            self.accept_from(TcpListener::bind(self.address).unwrap());
        }
    }

    fn accept_from(&mut self, listener: TcpListener) {
        let wire = Arc::clone(&self.wire);
        self.acceptor = Some(thread::spawn(move || accept(&listener, &wire)));
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits until what was said at that time may arrive; false if the network was cut.
    fn may_pass(&self, way: Way, said: Instant) -> bool {
        let mut state = self.state();
        loop {
            let due = said + state.delay;
            let left = due.saturating_duration_since(Instant::now());
            if state.is_cut {
                return false;
            } else if state.held.contains(&way) {
                state = self.changed.wait(state).unwrap();
            } else if left.is_zero() {
                return true;
            } else {
                state = self.changed.wait_timeout(state, left).unwrap().0;
            }
        }
    }
}

fn accept(listener: &TcpListener, wire: &Arc<Wire>) {
    for client in listener.incoming() {
        let client = client.unwrap();
        // Nobody there: the client is let go.
        let target = TcpStream::connect(wire.target);
        let mut state = wire.state();
        if state.is_cut {
            return;
        }
        let Ok(target) = target else { continue };
        for socket in [&client, &target] {
            socket.set_nodelay(true).unwrap();
        }
        pump(Way::Up, &client, &target, wire);
        pump(Way::Down, &target, &client, wire);
        state.connections.push([client, target]);
    }
}

/// Carries one direction of one connection, in threads of its own: one hears at once, so that a delay is a delay for each
/// byte and not for one after the other.
fn pump(way: Way, from: &TcpStream, to: &TcpStream, wire: &Arc<Wire>) {
    let (heard, to_say) = channel();
    let (from, to, wire) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(wire));
    thread::spawn(move || hear(from, &heard));
    thread::spawn(move || say(to, &to_say, way, &wire));
}

fn hear(mut from: TcpStream, heard: &Sender<Said>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let length = match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // A reset is an end too.
            read => read.unwrap_or(0),
        };
        let said = (Instant::now(), buffer[..length].to_vec());
        if heard.send(said).is_err() || length == 0 {
            return;
        }
    }
}

fn say(mut to: TcpStream, to_say: &Receiver<Said>, way: Way, wire: &Wire) {
    for (when, bytes) in to_say {
        let is_end = bytes.is_empty();
        if !wire.may_pass(way, when) || is_end || to.write_all(&bytes).is_err() {
            let _ = to.shutdown(if is_end { Shutdown::Write } else { Shutdown::Both });
            return;
        }
    }
}
