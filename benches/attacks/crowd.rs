//! Attackers: many connections in one thread, each with what it has to say.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::frames::{Inbound, Seen, UPGRADE};
use super::scene::Scene;

/// What a client writes in one turn, so that each has its own.
const WRITES_PER_TURN: usize = 4;
/// Connections that one attack opens, with those that come back: each takes a port, for a minute.
const OPENED_MAX: usize = 15_000;
/// Between two that come back, so that they last for the whole attack.
const RETURN_INTERVAL: Duration = Duration::from_micros(600);
/// A turn of the attackers is hardly ever longer.
const TURN_MAX: Duration = Duration::from_millis(20);
const READ_BYTES: usize = 256 * 1024;
/// Whatever an attack needs before it can begin takes less.
const PREPARED_WITHIN: Duration = Duration::from_secs(30);

/// Connections to one address.
pub struct Crowd {
    address: SocketAddr,
    greeting: Vec<u8>,
    /// When the next one may come back, if they do.
    next_return: Option<Instant>,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    clients: Vec<Client>,
    opened: usize,
    seen: Seen,
}

struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    /// Is written again and again once `out` is empty.
    flood: Option<Arc<[u8]>>,
    written: usize,
    is_connected: bool,
    is_writable: bool,
    is_readable: bool,
    reads: bool,
    has_ended: bool,
    inbound: Inbound,
}

impl Crowd {
    /// Clients that become WebSockets.
    pub fn new(address: SocketAddr) -> Self {
        Self::greeting(address, UPGRADE.to_vec())
    }

    /// Clients that say this first.
    pub fn greeting(address: SocketAddr, greeting: Vec<u8>) -> Self {
        Self {
            address,
            greeting,
            next_return: None,
            poll: Poll::new().unwrap(),
            events: Events::with_capacity(4096),
            buffer: vec![0; READ_BYTES],
            clients: Vec::new(),
            opened: 0,
            seen: Seen::new(),
        }
    }

    /// Whoever is refused or closed comes again.
    pub fn coming_back(self) -> Self {
        Self { next_return: Some(Instant::now()), ..self }
    }

    /// More connections.
    pub fn open(&mut self, count: usize) {
        for _ in 0..count {
            let client = self.connect(self.clients.len());
            self.clients.push(client);
        }
    }

    fn connect(&mut self, index: usize) -> Client {
        self.opened += 1;
        let mut stream = TcpStream::connect(self.address).unwrap();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), interest).unwrap();
        Client {
            stream,
            out: self.greeting.clone(),
            flood: None,
            written: 0,
            is_connected: false,
            is_writable: false,
            is_readable: false,
            reads: true,
            has_ended: false,
            inbound: Inbound::default(),
        }
    }

    /// One of them says this.
    pub fn say(&mut self, index: usize, bytes: &[u8]) {
        self.clients[index].out.extend_from_slice(bytes);
    }

    /// All say this again and again, as fast as it is taken.
    pub fn flood(&mut self, bytes: Vec<u8>) {
        let flood: Arc<[u8]> = bytes.into();
        self.clients.iter_mut().for_each(|client| client.flood = Some(Arc::clone(&flood)));
    }

    /// They take nothing any more.
    pub fn stop_reading(&mut self) {
        self.clients.iter_mut().for_each(|client| client.reads = false);
    }

    /// Each ends its connection, and opens another one.
    pub fn reconnect_all(&mut self) {
        for index in 0..self.clients.len() {
            self.replace(index);
        }
    }

    fn replace(&mut self, index: usize) {
        if self.opened < OPENED_MAX {
            let flood = self.clients[index].flood.clone();
            self.clients[index] = Client { flood, ..self.connect(index) };
        }
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    pub fn seen(&self, kind: &str) -> u64 {
        self.seen.get(kind).copied().unwrap_or_default()
    }

    pub fn into_seen(self) -> Seen {
        self.seen
    }

    /// Turns until as many frames of that kind were heard.
    pub fn await_seen(&mut self, kind: &str, count: u64) {
        let end = Instant::now() + PREPARED_WITHIN;
        while self.seen(kind) < count {
            assert!(Instant::now() < end, "{count} {kind} did not come: {:?}", self.seen);
            self.turn(Duration::from_millis(5));
        }
    }

    /// Turns until the attack is over.
    pub fn until_over(&mut self, scene: &Scene<'_>) {
        while !scene.is_over() {
            self.turn(Duration::from_millis(5));
        }
    }

    /// Waits, writes, reads.
    pub fn turn(&mut self, patience: Duration) {
        let has_more = self.clients.iter().any(Client::has_more);
        let _ = self.poll.poll(&mut self.events, Some(if has_more { Duration::ZERO } else { patience }));
        for event in &self.events {
            let client = &mut self.clients[event.token().0];
            client.is_connected |= event.is_writable();
            client.is_writable |= event.is_writable();
            client.is_readable |= event.is_readable() || event.is_error();
        }
        let now = Instant::now();
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if !client.has_ended {
                client.write();
                client.read(&mut self.buffer, &mut self.seen);
                if client.has_ended {
                    *self.seen.entry("ended".into()).or_default() += 1;
                }
            } else if self.next_return.is_some_and(|next| next <= now) {
                // Those of a turn, which may last for some milliseconds, come back together.
                self.next_return =
                    self.next_return.max(now.checked_sub(TURN_MAX)).map(|next| next + RETURN_INTERVAL);
                self.replace(index);
            }
        }
    }
}

impl Client {
    fn has_more(&self) -> bool {
        !self.has_ended
            && ((self.is_writable && (!self.out.is_empty() || self.flood.is_some()))
                || (self.is_readable && self.reads))
    }

    fn write(&mut self) {
        for _ in 0..WRITES_PER_TURN {
            if !self.is_connected || !self.is_writable {
                return;
            }
            // What is begun of a flood is ended first.
            let is_flood = self.flood.is_some() && self.out.is_empty();
            let bytes = match &self.flood {
                Some(flood) if is_flood => &flood[self.written..],
                _ if self.out.is_empty() => return,
                _ => &self.out[self.written..],
            };
            match self.stream.write(bytes) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
                // What the server said before is still read.
                Err(_) => {
                    self.is_writable = false;
                    self.is_readable = true;
                    return;
                }
            }
            let whole = self.flood.as_ref().filter(|_| is_flood).map_or(self.out.len(), |flood| flood.len());
            if self.written == whole {
                self.written = 0;
                self.out.clear();
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8], seen: &mut Seen) {
        if !self.is_readable || !self.reads {
            return;
        }
        match self.stream.read(buffer) {
            Ok(0) => self.has_ended = true,
            Ok(count) => self.inbound.handle(&buffer[..count], seen, &mut |_| {}),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
            Err(_) => self.has_ended = true,
        }
    }
}
