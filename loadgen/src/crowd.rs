//! The clients of a worker: they connect, join, speak, hear, and come back when they are thrown out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use mio::{Interest, Registry, Token};

use crate::backoff;
use crate::client_message::ClientMessage;
use crate::latency::Latency;
use crate::ledger::{Arrival, Ledger, Source};
use crate::mail::{Ask, Server};
use crate::plan::{Plan, Share};
use crate::progress::Board;
use crate::schedule::Schedule;
use crate::server_message::{Said, ServerMessage};
use crate::socket::{End, Socket};
use crate::tally::Tally;
use crate::text::{self, Mark};

/// Clients of a worker that connect at the same time; the others wait, or the servers' accept queues would overflow.
const CONNECTING_MAX: u32 = 128;
/// How long a connection may take until its client is in the room.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// One read takes at most this many bytes.
const READ_BYTES: usize = 64 * 1024;
/// Close codes after which a client is not to come back (docs/protocol.md, section 7).
const FINAL_CLOSE_CODES: [u16; 7] = [1000, 1002, 1003, 1007, 1008, 1009, 4002];

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It waits for its turn, or for its time.
    Away,
    /// A balancer is asked for it.
    Asking,
    /// It has a socket.
    Connecting,
    /// It is in its room.
    Joined,
    /// It will not come back.
    Gone,
}

/// One client. Nothing here grows with the length of the run.
#[derive(Debug)]
struct Client {
    socket: Option<Socket>,
    state: State,
    has_joined_before: bool,
    /// Counts its ways through the states, so that a timer that was set for an earlier one is known as stale.
    attempt: u32,
    /// Failures since it was in its room last.
    tries: u32,
    dialled: Instant,
    server: usize,
    /// Messages whose acknowledgement has not come, in the order of sending; mostly none or one.
    unacknowledged: Vec<u32>,
}

/// All clients of a worker, and the account of what they say and hear.
pub struct Crowd {
    plan: Arc<Plan>,
    share: Share,
    schedule: Schedule,
    /// When the schedule began.
    start: Instant,
    clients: Vec<Client>,
    joined: u32,
    connecting: u32,
    waiting: VecDeque<u32>,
    /// When, which client, in which attempt.
    timers: BinaryHeap<Reverse<(Instant, u32, u32)>>,
    ledger: Ledger,
    tally: Tally,
    /// Names of servers, and how many clients are there.
    servers: Vec<(String, u64)>,
    recent: Latency,
    last_arrival: Instant,
    asks: Sender<Ask>,
    board: Arc<Board>,
    registry: Registry,
    rng: fastrand::Rng,
    buffer: Box<[u8]>,
}

/// What a crowd leaves behind.
pub struct Outcome {
    /// Clients in their rooms at the end.
    pub joined: u32,
    /// The account.
    pub ledger: Ledger,
    /// Everything else that was counted.
    pub tally: Tally,
    /// When the last message arrived.
    pub last_arrival: Instant,
}

impl Crowd {
    /// Clients that all wait for their turn.
    pub fn new(
        plan: Arc<Plan>,
        share: Share,
        asks: Sender<Ask>,
        board: Arc<Board>,
        registry: Registry,
        now: Instant,
    ) -> Self {
        let clients = (0..share.clients).map(|_| Client {
            socket: None,
            state: State::Away,
            has_joined_before: false,
            attempt: 0,
            tries: 0,
            dialled: now,
            server: 0,
            unacknowledged: Vec::new(),
        });
        Self {
            schedule: Schedule::new(&plan, &share),
            start: now,
            clients: clients.collect(),
            joined: 0,
            connecting: 0,
            waiting: (0..share.clients).collect(),
            timers: BinaryHeap::new(),
            ledger: Ledger::new(share.clone()),
            tally: Tally::default(),
            servers: Vec::new(),
            recent: Latency::default(),
            last_arrival: now,
            asks,
            board,
            registry,
            rng: fastrand::Rng::with_seed(plan.seed ^ u64::from(share.worker)),
            buffer: vec![0; READ_BYTES].into(),
            plan,
            share,
        }
    }

    /// What is said when.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The schedule begins.
    pub fn begin(&mut self, start: Instant) {
        self.start = start;
        self.last_arrival = start;
    }

    /// Asks for servers for those who wait, as many as may connect at the same time.
    pub fn connect(&mut self) {
        while self.connecting < CONNECTING_MAX
            && let Some(client) = self.waiting.pop_front()
        {
            self.clients[client as usize].state = State::Asking;
            self.connecting += 1;
            // The assigner lives as long as anybody can ask.
            let _ = self.asks.send(Ask { worker: self.share.worker as usize, client });
        }
    }

    /// The assigner's answer.
    pub fn handle_assigned(&mut self, client: u32, server: Result<Arc<Server>, String>, now: Instant) {
        if let (Err(error), false) = (&server, self.has_begun()) {
            self.board.lock().unreachable = Some(error.clone());
        }
        let result = server.map_err(End::Failed).and_then(|server| self.dial(client, server, now));
        if let Err(end) = result {
            self.handle_end(client, end, now);
        }
    }

    /// A client's socket has changed.
    pub fn handle_event(&mut self, client: u32, is_writable: bool, is_read_closed: bool) {
        // Gone already: an event that came together with the end of its connection.
        let Some(mut socket) = self.clients[client as usize].socket.take() else { return };
        let mut buffer = mem::take(&mut self.buffer);
        let result = match is_writable {
            true => socket.handle_writable(),
            false => Ok(()),
        }
        .and_then(|()| self.read(client, &mut socket, &mut buffer, is_read_closed));
        self.buffer = buffer;
        match result {
            Ok(()) => self.clients[client as usize].socket = Some(socket),
            Err(end) => self.handle_end(client, end, Instant::now()),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&Reverse((at, client, attempt))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            if self.clients[client as usize].attempt != attempt {
                continue;
            }
            match self.clients[client as usize].state {
                State::Away => self.waiting.push_back(client),
                State::Connecting => {
                    let error = format!("no `joined` within {} s", CONNECT_PATIENCE.as_secs());
                    self.handle_end(client, End::Failed(error), now);
                }
                State::Joined => self.leave(client, now),
                State::Asking | State::Gone => {}
            }
        }
    }

    /// When [`Crowd::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, ..))| *at)
    }

    /// Sends the message of this number, or keeps it until its sender is back.
    pub fn say(&mut self, number: u32) {
        let client = self.schedule.sender(number);
        self.ledger.send(client);
        let sender = &mut self.clients[client as usize];
        sender.unacknowledged.push(number);
        if sender.state != State::Joined {
            return;
        }
        let Some(mut socket) = sender.socket.take() else { return };
        let result = self.send(client, number, &mut socket);
        let now = Instant::now();
        let intended = self.start + self.schedule.at(number);
        self.tally.late.record(now.saturating_duration_since(intended));
        match result {
            Ok(()) => self.clients[client as usize].socket = Some(socket),
            Err(end) => self.handle_end(client, end, now),
        }
    }

    /// Tells what there is to tell.
    pub fn publish(&mut self, has_said_all: bool) {
        let mut news = self.board.lock();
        news.joined = self.joined;
        news.counts = *self.ledger.counts();
        news.has_said_all = has_said_all;
        news.recent.merge(&self.recent);
        drop(news);
        self.recent.clear();
    }

    /// Closes all connections and hands over the account.
    pub fn finish(mut self) -> Outcome {
        self.clients.iter_mut().filter_map(|client| client.socket.take()).for_each(Socket::close);
        self.tally.servers.extend(self.servers);
        Outcome {
            joined: self.joined,
            ledger: self.ledger,
            tally: self.tally,
            last_arrival: self.last_arrival,
        }
    }

    fn has_begun(&self) -> bool {
        self.ledger.counts().sent > 0
    }

    fn dial(&mut self, client: u32, server: Arc<Server>, now: Instant) -> Result<(), End> {
        let one = &mut self.clients[client as usize];
        one.state = State::Connecting;
        one.dialled = now;
        let mut socket = Socket::dial(server, one.tries)?;
        // Both directions once and for all: writable edges come by themselves. A token needs no generation, since a
        // client has a new socket only in a later turn than it lost the old one.
        self.registry
            .register(socket.source(), Token(client as usize), Interest::READABLE | Interest::WRITABLE)
            .map_err(|error: io::Error| End::Failed(format!("connect: {error}")))?;
        one.socket = Some(socket);
        self.timers.push(Reverse((now + CONNECT_PATIENCE, client, one.attempt)));
        Ok(())
    }

    fn read(
        &mut self,
        client: u32,
        socket: &mut Socket,
        buffer: &mut [u8],
        is_read_closed: bool,
    ) -> Result<(), End> {
        while let Some(count) = socket.receive(buffer)? {
            let now = Instant::now();
            let mut input = &buffer[..count];
            while let Some(text) = socket.next_text(&mut input)? {
                self.handle_text(client, socket, &text, now)?;
            }
            // A short read means that the socket is empty, unless an end follows: that is told only once.
            if count < buffer.len() && !is_read_closed {
                break;
            }
        }
        Ok(())
    }

    fn handle_text(&mut self, client: u32, socket: &mut Socket, text: &str, now: Instant) -> Result<(), End> {
        let Ok(message) = ServerMessage::parse(text) else {
            return Err(End::Failed("a frame that is not of the protocol".into()));
        };
        match message {
            ServerMessage::Message(said) => self.hear(client, &said, Source::Live, now),
            ServerMessage::Ack { id } => self.handle_ack(client, &id, now),
            ServerMessage::Welcome { node } => {
                self.clients[client as usize].server = self.server(&node);
                return self.join(client, socket);
            }
            ServerMessage::Joined { history, is_complete } => {
                history.iter().for_each(|said| self.hear(client, said, Source::History, now));
                return self.handle_joined(client, socket, is_complete, now);
            }
            ServerMessage::Error { code, id } => {
                self.tally.error(&code);
                self.board.lock().note_error(&code);
                if let Some(number) = read_id(&id)
                    && self.ledger.refuse(client, number)
                {
                    self.clients[client as usize].unacknowledged.retain(|&open| open != number);
                }
            }
            ServerMessage::Move { within_ms } => {
                self.tally.moved += 1;
                let one = &mut self.clients[client as usize];
                one.attempt += 1;
                // Not all at once, and well within the time.
                let delay = Duration::from_millis(within_ms).mul_f64(self.rng.f64() / 2.0);
                self.timers.push(Reverse((now + delay, client, one.attempt)));
            }
            ServerMessage::Other => {}
        }
        Ok(())
    }

    fn join(&self, client: u32, socket: &mut Socket) -> Result<(), End> {
        let room = self.share.room_name(self.share.room(client));
        let user = self.share.user_name(client);
        // Whoever was here before wants everything since, also when it had seen nothing yet.
        let since =
            self.clients[client as usize].has_joined_before.then(|| self.ledger.since(client).collect());
        socket.send(ClientMessage::Join { room: &room, user: &user, since }.to_json())
    }

    fn handle_joined(
        &mut self,
        client: u32,
        socket: &mut Socket,
        is_complete: bool,
        now: Instant,
    ) -> Result<(), End> {
        let one = &mut self.clients[client as usize];
        if one.state != State::Connecting {
            return Err(End::Failed("a second `joined`".into()));
        }
        one.state = State::Joined;
        one.attempt += 1;
        one.tries = 0;
        self.tally.connect.record(now.saturating_duration_since(one.dialled));
        if mem::replace(&mut one.has_joined_before, true) {
            self.tally.resumed += 1;
            self.tally.resumed_incomplete += u64::from(!is_complete);
        }
        self.joined += 1;
        self.connecting -= 1;
        self.servers[one.server].1 += 1;
        for index in 0..self.clients[client as usize].unacknowledged.len() {
            let number = self.clients[client as usize].unacknowledged[index];
            self.send(client, number, socket)?;
        }
        Ok(())
    }

    fn send(&self, client: u32, number: u32, socket: &mut Socket) -> Result<(), End> {
        let room = self.share.room_name(self.share.room(client));
        let intended_us = self.schedule.at(number).as_micros() as u64;
        let mut text = String::with_capacity(self.plan.payload_bytes);
        let mark = Mark { run: self.plan.run, worker: self.share.worker, number, intended_us };
        mark.write(self.plan.payload_bytes, &mut text);
        let id = format!("{number:x}");
        socket.send(ClientMessage::Send { room: &room, id: &id, text: &text }.to_json())
    }

    fn hear(&mut self, client: u32, said: &Said<'_>, source: Source, now: Instant) {
        let mark = Mark::read(&said.text, self.plan.payload_bytes);
        let ours = mark.filter(|mark| mark.run == self.plan.run && mark.worker == self.share.worker);
        let arrival = match ours {
            Some(mark) => self.ledger.arrive(client, mark.number, &said.stream, said.seq, source),
            None => self.ledger.unexpected(),
        };
        if let (Arrival::First, Some(mark)) = (arrival, ours) {
            let latency = now.saturating_duration_since(self.start + Duration::from_micros(mark.intended_us));
            self.tally.deliver.record(latency);
            self.recent.record(latency);
            self.last_arrival = now;
        }
    }

    fn handle_ack(&mut self, client: u32, id: &str, now: Instant) {
        let Some(number) = read_id(id) else {
            self.ledger.unexpected();
            return;
        };
        if self.ledger.acknowledge(client, number) {
            let intended = self.start + self.schedule.at(number);
            self.tally.acknowledge.record(now.saturating_duration_since(intended));
        }
        self.clients[client as usize].unacknowledged.retain(|&open| open != number);
    }

    /// The connection of a client has ended, or there was to be one and there is none.
    fn handle_end(&mut self, client: u32, end: End, now: Instant) {
        let one = &mut self.clients[client as usize];
        one.socket = None;
        match one.state {
            State::Joined => {
                self.joined -= 1;
                self.servers[one.server].1 -= 1;
            }
            State::Asking | State::Connecting => self.connecting -= 1,
            State::Away | State::Gone => {}
        }
        one.attempt += 1;
        let is_final = matches!(end, End::Closed(code) if FINAL_CLOSE_CODES.contains(&code));
        if is_final {
            one.state = State::Gone;
        } else {
            one.state = State::Away;
            let at = now + backoff::delay(one.tries, &mut self.rng);
            one.tries += 1;
            self.timers.push(Reverse((at, client, one.attempt)));
        }
        let error = match end {
            End::Closed(code) => {
                *self.tally.closes.entry(code).or_default() += 1;
                format!("closed with {code}")
            }
            End::Failed(error) => {
                self.tally.error(&error);
                error
            }
        };
        self.board.lock().note_error(&error);
    }

    /// The client was asked to move: it goes, and comes back through a balancer with what it has seen.
    fn leave(&mut self, client: u32, now: Instant) {
        let one = &mut self.clients[client as usize];
        if let Some(socket) = one.socket.take() {
            socket.close();
        }
        one.state = State::Away;
        one.attempt += 1;
        self.joined -= 1;
        self.servers[one.server].1 -= 1;
        self.timers.push(Reverse((now, client, one.attempt)));
    }

    fn server(&mut self, name: &str) -> usize {
        self.servers.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.servers.push((name.to_owned(), 0));
            self.servers.len() - 1
        })
    }
}

/// A message's id is its number in hex.
fn read_id(id: &str) -> Option<u32> {
    text::read_hex(id).and_then(|number| number.try_into().ok())
}
