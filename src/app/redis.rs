//! The bus through Redis: sockets and names for [`Lanes`], which decide. See [`crate::chat::bus`] for the contract.
//!
//! All sockets are in the poller of the backplane thread, which has no others.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::chat::{BusEvent, Carrying};
use crate::lanes::{Command, Event, LaneStatus, Lanes, Role, Settings, Timings, Totals};
use crate::net::dial::{dial, outcome};
use crate::net::{Connection, Flush, Key, Poller, Readiness, Received, Slots};
use crate::wire::Envelope;
use crate::wire::resp::REPLY_BYTES_MAX;

use super::bus::Bus;
use super::redis_log::LaneLog;
use super::redis_names::Names;

/// Most bytes of one read.
const READ_BYTES_MAX: usize = 64 * 1024;

/// What a person chooses.
#[derive(Clone, Debug)]
pub struct Options {
    /// The nodes as `host:port`, in the same order at all servers; 1 to 64.
    pub nodes: Vec<String>,
    /// User and password, if the nodes ask for any; the user that needs no name is `default`.
    pub credentials: Option<(String, String)>,
}

/// One server's end.
#[derive(Debug)]
pub struct RedisBus {
    nodes: Vec<String>,
    lanes: Lanes,
    names: Names,
    sockets: Slots<Socket>,
    /// For each lane what becomes of its two connections.
    ends: Vec<Ends>,
    /// What is read, behind the part of a reply that was read before.
    buffer: Box<[u8]>,
    log: LaneLog,
    now: Instant,
}

#[derive(Debug, Default)]
struct Ends {
    publisher: End,
    subscriber: End,
}

#[derive(Debug, Default)]
struct End {
    socket: Option<Key>,
    /// What is to be connected to as soon as its address is known.
    wanted: Option<String>,
}

#[derive(Debug)]
struct Socket {
    lane: usize,
    role: Role,
    connection: Connection,
    is_connected: bool,
    /// The poller has not told that it takes more.
    is_full: bool,
    /// The name's other addresses, to be tried when this one fails.
    others: Vec<SocketAddr>,
}

impl RedisBus {
    /// The bus of the server of that name; the first connections are made by [`RedisBus::poll`]. `seed` decides how
    /// long it waits between attempts.
    pub fn new(
        name: &str,
        incarnation: u64,
        options: Options,
        seed: u64,
        poller: &Poller,
        now: Instant,
    ) -> Self {
        let Options { nodes, credentials } = options;
        let settings =
            Settings { incarnation, nodes: nodes.clone(), credentials, timings: Timings::default(), seed };
        Self {
            lanes: Lanes::new(settings, now),
            names: Names::new(poller.waker()),
            sockets: Slots::default(),
            ends: nodes.iter().map(|_| Ends::default()).collect(),
            buffer: vec![0; REPLY_BYTES_MAX + READ_BYTES_MAX].into(),
            log: LaneLog::new(name.to_owned(), &nodes, now),
            now,
            nodes,
        }
    }

    fn note(&mut self, poller: &Poller) {
        let mut made = Vec::new();
        for readiness in poller.ready() {
            let Readiness::Connection { key, writable, .. } = readiness else { continue };
            let Some(socket) = self.sockets.get_mut(key) else { continue };
            socket.connection.note(readiness);
            socket.is_full &= !writable;
            if !socket.is_connected {
                made.push(key);
            }
        }
        made.into_iter().for_each(|key| self.finish_dial(poller, key));
    }

    fn finish_dial(&mut self, poller: &Poller, key: Key) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        match outcome(socket.connection.source()) {
            Ok(None) => {}
            Ok(Some((local, peer))) => {
                socket.is_connected = true;
                let (lane, role) = (socket.lane, socket.role);
                self.lanes.handle_connected(lane, role, peer.to_string(), local.to_string(), self.now);
            }
            Err(error) => match self.sockets.remove(key) {
                Some(Socket { lane, role, others, .. }) if !others.is_empty() => {
                    self.dial(poller, lane, role, others);
                }
                Some(Socket { lane, role, .. }) => self.give_up(lane, role, error.to_string()),
                None => {}
            },
        }
    }

    fn take_answers(&mut self, poller: &Poller) {
        for answer in self.names.answers() {
            let (lane, role) = answer.end;
            let end = self.ends[lane].of(role);
            match (end.wanted.take_if(|wanted| *wanted == answer.target), answer.addresses) {
                (Some(_), Ok(addresses)) => self.dial(poller, lane, role, addresses),
                (Some(_), Err(error)) => self.give_up(lane, role, error.to_string()),
                // It was about an earlier attempt.
                (None, _) => {
                    if let Some(target) = end.wanted.clone() {
                        self.connect(poller, lane, role, target);
                    }
                }
            }
        }
    }

    /// One read for each readable socket, again and again. True: some have more.
    fn read(&mut self, budget: usize, handle: &mut dyn FnMut(BusEvent)) -> bool {
        let mut left = budget;
        loop {
            let is_ready = |key: &Key| {
                self.sockets
                    .get(*key)
                    .is_some_and(|socket| socket.is_connected && socket.connection.is_readable())
            };
            let ready: Vec<_> = self.sockets.keys().filter(is_ready).collect();
            if ready.is_empty() {
                return false;
            }
            for key in ready {
                if left == 0 {
                    self.excuse_unread();
                    return true;
                }
                left -= 1;
                self.read_one(key);
                self.hand_out(handle);
            }
        }
    }

    fn read_one(&mut self, key: Key) {
        let Some(Socket { lane, role, connection, .. }) = self.sockets.get_mut(key) else { return };
        let upto = connection.held() + READ_BYTES_MAX;
        match connection.receive(&mut self.buffer[..upto]) {
            Received::Bytes(count) => {
                let used = self.lanes.handle_bytes(*lane, *role, &self.buffer[..count], self.now);
                connection.hold(&self.buffer[used..count]);
            }
            Received::Nothing => {}
            Received::End => self.close(key, "the connection was ended"),
        }
    }

    fn excuse_unread(&mut self) {
        for key in self.sockets.keys().collect::<Vec<_>>() {
            let Some(socket) = self.sockets.get(key).filter(|socket| socket.connection.is_readable()) else {
                continue;
            };
            self.lanes.handle_unread(socket.lane, socket.role, self.now);
        }
    }

    fn hand_out(&mut self, handle: &mut dyn FnMut(BusEvent)) {
        while let Some(event) = self.lanes.poll_event() {
            handle(event.into());
        }
    }

    fn obey(&mut self, poller: &Poller) {
        while let Some(command) = self.lanes.poll_command() {
            match command {
                Command::Connect { lane, role, hint } => {
                    let target = hint.unwrap_or_else(|| self.nodes[lane].clone());
                    self.connect(poller, lane, role, target);
                }
                Command::Close { lane, role } => {
                    let End { socket, .. } = std::mem::take(self.ends[lane].of(role));
                    socket.and_then(|key| self.sockets.remove(key));
                }
            }
        }
    }

    fn connect(&mut self, poller: &Poller, lane: usize, role: Role, target: String) {
        match self.names.ask((lane, role), &target) {
            Some(addresses) => self.dial(poller, lane, role, addresses),
            None => self.ends[lane].of(role).wanted = Some(target),
        }
    }

    /// Tries the addresses one after the other.
    fn dial(&mut self, poller: &Poller, lane: usize, role: Role, addresses: Vec<SocketAddr>) {
        let mut failure = "the name has no address".to_owned();
        let mut addresses = addresses.into_iter();
        while let Some(address) = addresses.next() {
            let key = self.sockets.next_key();
            let dialed = dial(address).and_then(|mut stream| {
                poller.add_connection(&mut stream, key)?;
                Ok(stream)
            });
            match dialed {
                Ok(stream) => {
                    let others = addresses.collect();
                    let connection = Connection::new(stream);
                    let socket =
                        Socket { lane, role, connection, is_connected: false, is_full: false, others };
                    self.ends[lane].of(role).socket = Some(self.sockets.insert(socket));
                    return;
                }
                Err(error) => failure = error.to_string(),
            }
        }
        self.give_up(lane, role, failure);
    }

    fn close(&mut self, key: Key, reason: &str) {
        if let Some(Socket { lane, role, .. }) = self.sockets.remove(key) {
            self.give_up(lane, role, reason.to_owned());
        }
    }

    fn give_up(&mut self, lane: usize, role: Role, reason: String) {
        *self.ends[lane].of(role) = End::default();
        self.lanes.handle_closed(lane, role, reason, self.now);
    }
}

impl Bus for RedisBus {
    fn kind(&self) -> &'static str {
        "redis"
    }

    /// This server heard itself a short time ago.
    fn carrying(&self) -> Carrying {
        Carrying { lanes: self.lanes.proven(), of: self.nodes.len() }
    }

    fn lanes(&self) -> Vec<LaneStatus> {
        self.lanes.status()
    }

    fn totals(&self) -> Totals {
        self.lanes.totals()
    }

    fn subscribe(&mut self, room: &Arc<str>) {
        self.lanes.subscribe(room);
    }

    fn unsubscribe(&mut self, room: &Arc<str>) {
        self.lanes.unsubscribe(room);
    }

    fn publish(&mut self, envelope: Envelope) {
        self.lanes.publish(&envelope, self.now);
    }

    fn poll(
        &mut self,
        poller: &Poller,
        now: Instant,
        budget: usize,
        handle: &mut dyn FnMut(BusEvent),
    ) -> bool {
        self.now = now;
        self.note(poller);
        self.take_answers(poller);
        let more = self.read(budget, handle);
        self.lanes.handle_timeout(now);
        self.obey(poller);
        self.hand_out(handle);
        while let Some(notice) = self.lanes.poll_notice() {
            self.log.note(notice, now);
        }
        self.log.tell(now);
        more
    }

    /// One write for each connection. What a socket does not take goes when the poller tells.
    fn flush(&mut self, poller: &Poller, now: Instant) -> bool {
        self.now = now;
        for key in self.sockets.keys().collect::<Vec<_>>() {
            let Some(socket) = self.sockets.get_mut(key).filter(|socket| socket.is_connected) else {
                continue;
            };
            let output = self.lanes.take_output(socket.lane, socket.role, now);
            if let Err(error) = socket.send(output) {
                self.close(key, &error.to_string());
            }
        }
        self.obey(poller);
        false
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.lanes.poll_timeout())
    }
}

impl From<Event> for BusEvent {
    fn from(event: Event) -> Self {
        match event {
            Event::Received(envelope) => Self::Received(envelope),
            Event::Subscribed(room) => Self::Subscribed(room),
            Event::Lost => Self::Lost,
            Event::Dropped(count) => Self::Dropped(count),
        }
    }
}

impl Ends {
    fn of(&mut self, role: Role) -> &mut End {
        match role {
            Role::Publisher => &mut self.publisher,
            Role::Subscriber => &mut self.subscriber,
        }
    }
}

impl Socket {
    fn send(&mut self, output: Vec<u8>) -> io::Result<()> {
        if !output.is_empty() {
            // It is bounded by what may be in flight, and by one batch of channels.
            let queued = self.connection.queue(output.into(), usize::MAX);
            debug_assert!(queued.is_ok(), "there is no bound here");
        }
        if !self.is_full && !self.connection.is_flushed() {
            self.is_full = self.connection.flush(&mut 0)? == Flush::Blocked;
        }
        Ok(())
    }
}
