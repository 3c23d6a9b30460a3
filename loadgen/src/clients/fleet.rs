//! The clients of a worker: they connect, join, speak, hear, and come back when they are thrown out.

mod faults;
mod foreign;
mod ways;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use mio::{Registry, Token};

use crate::clients::client::{self, Client, Due, Line, Standing};
use crate::clients::mail::{Ask, Server};
use crate::clients::socket::{End, Socket};
use crate::load::faults::Drops;
use crate::load::shard::Shard;
use crate::load::sources::Sources;
use crate::load::workload::Workload;
use crate::measure::latency::Latency;
use crate::measure::ledger::{Arrival, Ledger};
use crate::measure::outcome::Outcome;
use crate::measure::progress::Board;
use crate::measure::stats::Stats;
use crate::measure::storm::Storm;
use crate::wire::client_message::ClientMessage;
use crate::wire::frame_cache::{FrameCache, Heard};
use crate::wire::protocol::{Protocol, Values};
use crate::wire::refusal::Refusal;
use crate::wire::server_message::{Said, ServerMessage};
use crate::wire::text::{self, Mark};

/// Clients of a worker that connect at the same time; the others wait, or the servers' accept queues would overflow.
pub const CONNECTING_MAX: u32 = 128;
/// How long a connection may take until its client is in the room.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// One read takes at most this many bytes.
const READ_BYTES: usize = 64 * 1024;

/// All clients of a worker, and the account of what they say and hear.
pub struct Fleet {
    /// The worker's place among those of its process.
    place: usize,
    share: Shard,
    script: Arc<Workload>,
    sources: Sources,
    /// When the schedule begins, once it is known.
    start: Option<Instant>,
    drops: Drops,
    /// Slow readers, and when they read: always the same time after there was something to be read.
    slow_reads: VecDeque<(Instant, u32)>,
    /// From now on slow readers read like all others.
    is_over: bool,
    clients: Vec<Client>,
    /// The first clients began then.
    ramp_start: Instant,
    /// How many clients have begun.
    begun: u32,
    joined: u32,
    connecting: u32,
    waiting: VecDeque<u32>,
    /// When it is to be looked what is due for which client.
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    ledger: Ledger,
    recall: FrameCache,
    tally: Stats,
    storm: Storm,
    /// Names of servers, and how many clients are there.
    servers: Vec<(String, u64)>,
    /// Delivery latencies that the tally has not got yet.
    recent: Latency,
    last_arrival: Instant,
    asks: Sender<Ask>,
    board: Arc<Board>,
    registry: Registry,
    rng: fastrand::Rng,
    buffer: Box<[u8]>,
}

impl Fleet {
    /// Clients that all wait for their turn.
    pub fn new(
        place: usize,
        share: Shard,
        sources: Sources,
        asks: Sender<Ask>,
        board: Arc<Board>,
        registry: Registry,
        now: Instant,
    ) -> Self {
        Self {
            place,
            script: Arc::clone(share.script()),
            sources,
            start: None,
            drops: Drops::default(),
            slow_reads: VecDeque::new(),
            is_over: false,
            ramp_start: now,
            begun: 0,
            clients: (0..share.clients).map(|_| Client::waiting()).collect(),
            joined: 0,
            connecting: 0,
            waiting: VecDeque::new(),
            timers: BinaryHeap::new(),
            ledger: Ledger::new(share.clone()),
            recall: FrameCache::default(),
            tally: Stats::default(),
            storm: Storm::default(),
            servers: Vec::new(),
            recent: Latency::default(),
            last_arrival: now,
            asks,
            board,
            registry,
            rng: fastrand::Rng::with_seed(share.script().plan.seed ^ u64::from(share.worker)),
            buffer: vec![0; READ_BYTES].into(),
            share,
        }
    }

    /// Whose clients they are.
    pub fn share(&self) -> &Shard {
        &self.share
    }

    /// The schedule begins.
    pub fn begin(&mut self, start: Instant) {
        self.start = Some(start);
        self.last_arrival = start;
        self.drops = Drops::new(&self.script.plan.mischief, self.share.clients, start);
    }

    /// The schedule is over: whatever is under way may arrive.
    pub fn stop(&mut self) {
        self.drops = Drops::default();
        self.is_over = true;
        for (_, client) in mem::take(&mut self.slow_reads) {
            if let Some(line) = &self.clients[client as usize].home {
                self.handle_event(client::token(client, line.dial), false, true);
            }
        }
    }

    /// A client's socket has changed.
    pub fn handle_event(&mut self, token: Token, is_writable: bool, is_read_closed: bool) {
        let (client, dial) = client::read_token(token);
        // Gone already: an event that came together with the end of its connection.
        let Some(mut line) = self.clients[client as usize].take_line(dial) else { return };
        let result = match is_writable {
            true => line.socket.handle_writable(),
            false => Ok(()),
        };
        if result.is_ok() && line.standing == Standing::In && self.reads_slowly(client) {
            self.read_later(client);
            return self.put_back(client, line, result);
        }
        let mut buffer = mem::take(&mut self.buffer);
        let result = result.and_then(|()| self.read(client, &mut line, &mut buffer, is_read_closed));
        self.buffer = buffer;
        self.put_back(client, line, result);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&Reverse((at, client))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            match self.clients[client as usize].take_due(at) {
                // Before those who have not begun yet: a balancer may have told it to come now.
                Some(Due::Turn) => self.waiting.push_front(client),
                Some(Due::Late(line)) => {
                    let error = format!("no `joined` within {} s", CONNECT_PATIENCE.as_secs());
                    self.put_back(client, line, Err(End::Failed(error)));
                }
                None => {}
            }
        }
        self.handle_faults(now);
    }

    /// When [`Fleet::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let slow_read = self.slow_reads.front().map(|(at, _)| *at);
        timer.into_iter().chain(slow_read).chain(self.drops.poll_timeout()).min()
    }

    /// Sends a message that should be sent at this time, or keeps it until its sender is back.
    pub fn say(&mut self, client: u32, number: u32, intended: Instant) {
        self.ledger.send(number);
        let sender = &mut self.clients[client as usize];
        sender.unacknowledged.push(number);
        let Some(mut line) = sender.take_voice() else { return };
        let result = self.send(client, number, &mut line.socket);
        let now = Instant::now();
        self.tally.late.record(now.saturating_duration_since(intended));
        self.put_back(client, line, result);
    }

    /// Tells what there is to tell.
    pub fn publish(&mut self, has_said_all: bool) {
        let mut news = self.board.lock();
        news.joined = self.joined;
        news.servers.clear();
        news.servers.extend(self.servers.iter().cloned());
        news.counts = *self.ledger.counts();
        news.has_said_all = has_said_all;
        news.recent.merge(&self.recent);
        drop(news);
        self.tally.deliver.merge(&self.recent);
        self.recent.clear();
    }

    /// Closes all connections and hands over the account.
    pub fn finish(mut self) -> Outcome {
        self.tally.deliver.merge(&self.recent);
        self.tally.servers.extend(self.servers);
        self.tally.bursts = self.storm.finish(Instant::now());
        let stayed = self.clients.iter().filter(|client| !client.has_lost_connection);
        self.tally.longest_delivery = stayed.map(|client| client.longest_delivery).max().unwrap_or_default();
        let homes = self.clients.into_iter().filter_map(|client| client.home);
        homes.for_each(|line| line.socket.close());
        Outcome {
            joined: self.joined,
            counts: *self.ledger.counts(),
            account: self.ledger.account(),
            tally: self.tally,
            last_arrival: self.last_arrival,
        }
    }

    fn read(
        &mut self,
        client: u32,
        line: &mut Line,
        buffer: &mut [u8],
        is_read_closed: bool,
    ) -> Result<(), End> {
        while let Some(count) = line.socket.receive(buffer)? {
            self.take_in(client, line, &buffer[..count], Instant::now())?;
            // A short read means that the socket is empty, unless an end follows: that is told only once.
            if count < buffer.len() && !is_read_closed {
                break;
            }
        }
        Ok(())
    }

    fn take_in(&mut self, client: u32, line: &mut Line, arrived: &[u8], now: Instant) -> Result<(), End> {
        let bytes = line.socket.gather(arrived)?;
        let mut bytes = &*bytes;
        while let Some(text) = line.socket.next_text(&mut bytes)? {
            match &self.script.plan.dialect {
                Protocol::DistrChat => self.handle_text(client, line, &text, now)?,
                Protocol::Foreign { .. } => self.handle_foreign(client, &text, now),
            }
        }
        self.join_foreign(client, line, now)
    }

    fn handle_text(&mut self, client: u32, line: &mut Line, text: &str, now: Instant) -> Result<(), End> {
        if let Some(Heard { mark, stream, seq }) = self.recall.find(text) {
            let mark = *mark;
            if self.ledger.arrive(client, mark.number, stream, *seq) == Arrival::First {
                self.time_arrival(client, mark, now);
            }
            return Ok(());
        }
        let Ok(message) = ServerMessage::parse(text) else {
            return Err(End::Failed("a frame that is not of the protocol".into()));
        };
        match message {
            ServerMessage::Message(said) => {
                if let Some(mark) = self.hear(client, &said, now) {
                    self.recall.keep(text, mark, &said.stream, said.seq);
                }
            }
            ServerMessage::Ack { id } => self.handle_ack(client, &id, now),
            ServerMessage::Welcome { .. } if line.standing == Standing::In => {
                return Err(End::Failed("a `welcome` without `resume`".into()));
            }
            ServerMessage::Welcome { node } => {
                line.node = Some(self.node(&node));
                return self.join(client, &mut line.socket);
            }
            ServerMessage::Joined { history, is_complete } => {
                return self.handle_joined(client, line, &history, is_complete, now);
            }
            // What was under way when another server took over is repeated when that has let the client in.
            ServerMessage::Error { code, .. } if code == "not_joined" && line.standing != Standing::In => {}
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
                self.tally.asked_to_move += 1;
                if self.clients[client as usize].way.is_none() {
                    // Not all at once, and well within the time.
                    let delay = Duration::from_millis(within_ms).mul_f64(self.rng.f64() / 2.0);
                    self.rest(client, Some(Arc::clone(&line.server)), now + delay);
                }
            }
            ServerMessage::Resume => self.handle_resume(client, line, now),
            ServerMessage::Other => {}
        }
        Ok(())
    }

    /// Another server takes the connection over.
    fn handle_resume(&mut self, client: u32, line: &mut Line, now: Instant) {
        // On one that is not in the room yet, the new server's welcome is all it takes.
        if let Standing::Coming { .. } = line.standing {
            return;
        }
        self.fall(line, now);
        let until = now + CONNECT_PATIENCE;
        line.standing = Standing::TakenOver { until };
        self.timers.push(Reverse((until, client)));
    }

    fn join(&self, client: u32, socket: &mut Socket) -> Result<(), End> {
        let room = self.share.room_name(client);
        let (user, nonce) = (self.share.user_name(client), self.share.nonce(client));
        // Whoever was here before wants everything since, also when it had seen nothing yet.
        let since =
            self.clients[client as usize].has_joined_before.then(|| self.ledger.since(client).collect());
        socket.send(ClientMessage::Join { room: &room, user: &user, client: &nonce, since }.to_json())
    }

    fn handle_joined(
        &mut self,
        client: u32,
        line: &mut Line,
        history: &[Said<'_>],
        is_complete: bool,
        now: Instant,
    ) -> Result<(), End> {
        let Some(node) = line.node else {
            return Err(End::Failed("`joined` before `welcome`".into()));
        };
        match mem::replace(&mut line.standing, Standing::In) {
            Standing::In => return Err(End::Failed("a second `joined`".into())),
            Standing::Coming { since } => {
                self.tally.connect.record(now.saturating_duration_since(since));
                self.arrive(client);
            }
            Standing::TakenOver { .. } => self.tally.resumed_in_place += 1,
        }
        self.joined += 1;
        self.servers[node].1 += 1;
        self.meet(&line.server);
        if self.joined == self.share.clients {
            self.storm.settle(now);
        }
        let one = &mut self.clients[client as usize];
        one.tries = 0;
        one.tries_in_vain = 0;
        let is_back = mem::replace(&mut one.has_joined_before, true);
        self.tally.resumed_incomplete += u64::from(is_back && !is_complete);
        self.ledger.reconnect(client);
        for said in history {
            self.hear(client, said, now);
        }
        for number in self.clients[client as usize].unacknowledged.clone() {
            self.send(client, number, &mut line.socket)?;
        }
        Ok(())
    }

    fn send(&mut self, client: u32, number: u32, socket: &mut Socket) -> Result<(), End> {
        let plan = &self.script.plan;
        let (room, id) = (self.share.room_name(client), format!("{number:x}"));
        let mut text = String::with_capacity(plan.payload_bytes);
        let mark = Mark { run: plan.run, number, intended_us: self.intended_us(number) };
        mark.write(plan.payload_bytes, &mut text);
        let frame = match &plan.dialect {
            Protocol::DistrChat => ClientMessage::Send { room: &room, id: &id, text: &text }.to_json(),
            Protocol::Foreign { send, .. } => {
                // Nobody will tell whether it came through.
                self.ledger.acknowledge(client, number);
                self.clients[client as usize].unacknowledged.retain(|&open| open != number);
                let user = &self.share.user_name(client);
                send.fill(&Values { room: &room, user, id: &id, text: &text })
            }
        };
        socket.send(frame)
    }

    /// A message; its mark, if it was ever planned.
    fn hear(&mut self, client: u32, said: &Said<'_>, now: Instant) -> Option<Mark> {
        let plan = &self.script.plan;
        let mark = Mark::read(&said.text, plan.payload_bytes).filter(|mark| self.is_planned(mark));
        let Some(mark) = mark else {
            self.ledger.unexpected();
            return None;
        };
        if self.ledger.arrive(client, mark.number, &said.stream, said.seq) == Arrival::First {
            self.time_arrival(client, mark, now);
        }
        Some(mark)
    }

    fn is_planned(&self, mark: &Mark) -> bool {
        mark.run == self.script.plan.run
            && mark.number < self.script.schedule.len()
            && mark.intended_us == self.intended_us(mark.number)
    }

    fn time_arrival(&mut self, client: u32, mark: Mark, now: Instant) {
        // Workers of another process may have been told of the beginning a little earlier.
        let Some(start) = self.start else { return };
        let latency = now.saturating_duration_since(start + Duration::from_micros(mark.intended_us));
        self.recent.record(latency);
        self.last_arrival = now;
        // What somebody says who has to come back first is late for a reason of his own.
        let sender = self.share.own(self.script.schedule.sender(mark.number));
        if sender.is_some_and(|sender| !self.clients[sender as usize].has_lost_connection) {
            let longest = &mut self.clients[client as usize].longest_delivery;
            *longest = latency.max(*longest);
        }
    }

    fn intended_us(&self, number: u32) -> u64 {
        self.script.schedule.at(number).as_micros() as u64
    }

    fn handle_ack(&mut self, client: u32, id: &str, now: Instant) {
        let Some(number) = read_id(id) else {
            self.ledger.unexpected();
            return;
        };
        if self.ledger.acknowledge(client, number)
            && let Some(start) = self.start
        {
            let intended = start + self.script.schedule.at(number);
            self.tally.acknowledge.record(now.saturating_duration_since(intended));
        }
        self.clients[client as usize].unacknowledged.retain(|&open| open != number);
    }

    /// Puts a connection back where it was taken from, unless it has come to its end.
    fn put_back(&mut self, client: u32, line: Box<Line>, result: Result<(), End>) {
        match (result, line.standing) {
            (Ok(()), _) => self.clients[client as usize].put_line(line),
            (Err(end), Standing::Coming { .. }) => {
                self.end_way(client, Some(line.server), &end, Instant::now());
            }
            (Err(end), _) => self.end_home(client, &line, &end, Instant::now()),
        }
    }

    fn note(&mut self, end: &End) {
        let error = match end {
            End::Closed(code) => {
                *self.tally.closes.entry(*code).or_default() += 1;
                format!("closed with {code}")
            }
            End::Refused(Refusal { reason, .. }) => reason.to_string(),
            End::Failed(error) => error.clone(),
        };
        if !matches!(end, End::Closed(_)) {
            self.tally.error(&error);
        }
        self.board.lock().note_error(&error);
    }

    /// Tells where a server is that let a client in.
    fn meet(&self, server: &Server) {
        let hosts = &mut self.board.lock().hosts;
        if !hosts.contains_key(&server.authority) {
            hosts.insert(server.authority.clone(), server.node.clone());
        }
    }

    fn node(&mut self, name: &str) -> usize {
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
