//! A client as docs/protocol.md wants it: it keeps its position in each stream, repeats what was not acknowledged under
//! the same id, and when a connection ends it comes back elsewhere and says how far it has seen.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::crowd::Shared;
use super::ledger::{Breach, Silence};
use super::memory;
use crate::support::http_get;

/// A connection that is not opened by then is given up: the server is frozen.
const OPEN_MAX: Duration = Duration::from_secs(2);
/// A message is said again when it was not acknowledged for so long.
const ACK_PATIENCE: Duration = Duration::from_secs(2);
/// Messages that may wait for their acknowledgement before a member says no more.
const UNACKED_MAX: usize = 64;
/// Waiting between attempts to connect: a random part of this, doubled by each failure.
const BACK_OFF: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);
/// A member stays at one server for about so long: then it moves without need.
const STAY: Duration = Duration::from_secs(20);
/// Those who leave a server that stands still do so after this time without an answer.
const PATIENCE_MIN: Duration = Duration::from_secs(1);
const PATIENCE_MAX: Duration = Duration::from_secs(3);
/// They ask it whether it is there after such a silence.
const UNHEARD: Duration = Duration::from_millis(500);
/// One wait for frames.
const READ_MAX: Duration = Duration::from_millis(50);

/// One member of one room.
pub struct Member {
    number: usize,
    room: usize,
    /// Where it is, was, or wants to be first.
    server: usize,
    shared: Arc<Shared>,
    /// What it is known by at every server.
    nonce: String,
    rng: Rng,
    /// How far it has seen each stream; `None`: it has not been in the room yet.
    positions: Option<BTreeMap<String, u64>>,
    unacked: BTreeMap<u64, Said>,
    /// How long it waits for an answer before it leaves.
    patience: Option<Duration>,
    speaks_at: Instant,
    /// When it lost its server.
    left: Option<Instant>,
}

/// What waits for its acknowledgement.
struct Said {
    /// On this connection.
    first: Instant,
    last: Instant,
}

/// A connection, from `joined` on with what the server has told on it.
struct Visit {
    socket: WebSocket<TcpStream>,
    told: Option<BTreeMap<String, u64>>,
    heard: Instant,
    /// When a frame of any kind came.
    answered: Instant,
    /// When it was asked whether it is there.
    pinged: Option<Instant>,
}

impl Member {
    pub fn new(number: usize, room: usize, server: usize, shared: Arc<Shared>, mut rng: Rng) -> Self {
        let nonce = format!("{:032x}", rng.u128(..));
        let patience = PATIENCE_MIN + (PATIENCE_MAX - PATIENCE_MIN).mul_f32(rng.f32());
        let patience = Some(patience).filter(|_| shared.habits.leave_who_stalls && rng.u8(0..3) > 0);
        let speaks_at = Instant::now();
        let (positions, unacked, left) = (None, BTreeMap::new(), None);
        Self { number, room, server, shared, nonce, rng, positions, unacked, patience, speaks_at, left }
    }

    /// Comes when it is time, and stays until all is over.
    pub fn run(mut self, late: Duration) {
        let begin = Instant::now() + late;
        while Instant::now() < begin && !self.shared.is_over() {
            thread::sleep(READ_MAX);
        }
        let mut failures = 0;
        while !self.shared.is_over() {
            match self.open() {
                Some(visit) => {
                    failures = 0;
                    self.stay(visit);
                    self.left = Some(Instant::now());
                }
                None => failures += 1,
            }
            // Full jitter.
            thread::sleep(BACK_OFF_MAX.min(BACK_OFF * (1 << failures.min(8))).mul_f32(self.rng.f32()));
            self.server = self.elsewhere();
        }
    }

    /// Another server than the last, or whichever a balancer tells.
    fn elsewhere(&mut self) -> usize {
        let Shared { servers, balancers, .. } = &*self.shared;
        if !balancers.is_empty() && self.rng.bool() {
            let balancer = balancers[self.rng.usize(0..balancers.len())];
            // There is none any more when the test has failed.
            let answer = TcpStream::connect(balancer).ok().map(|_| http_get(balancer, "/assign"));
            let answer = answer.filter(|answer| answer.status == 200);
            let url = answer.map(|answer| answer.json()["url"].as_str().unwrap().to_owned());
            let assigned = |url: String| servers.iter().position(|server| url.contains(&server.to_string()));
            if let Some(server) = url.and_then(assigned) {
                return server;
            }
        }
        (self.server + self.rng.usize(1..servers.len())) % servers.len()
    }

    fn open(&mut self) -> Option<Visit> {
        let address: SocketAddr = self.shared.servers[self.server];
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(OPEN_MAX)).ok()?;
        stream.set_write_timeout(Some(OPEN_MAX)).ok()?;
        let (socket, _) = tungstenite::client(format!("ws://{address}/ws"), stream).ok()?;
        let now = Instant::now();
        let mut visit = Visit { socket, told: None, heard: now, answered: now, pinged: None };
        let mut join = json!({
            "type": "join", "room": self.room_name(), "user": self.name(), "client": self.nonce
        });
        if let Some(positions) = &self.positions {
            join["since"] = json!(positions);
        }
        visit.ask(&join)?;
        Some(visit)
    }

    /// Speaks and listens until the connection ends, or it is time to move.
    fn stay(&mut self, mut visit: Visit) -> Option<()> {
        let moves_at = Instant::now() + STAY.mul_f32(0.5 + self.rng.f32());
        let stays = self.shared.habits.stay;
        while !self.shared.is_over() && (stays || Instant::now() < moves_at) {
            self.ask_whether_it_stands_still(&mut visit)?;
            let wait = match visit.told {
                Some(_) => self.speak(&mut visit)?,
                None => READ_MAX,
            };
            if let Some(frame) = visit.read(wait)? {
                self.take(&mut visit, &frame)?;
            }
        }
        None
    }

    /// `None`: it does, for longer than this member waits.
    fn ask_whether_it_stands_still(&mut self, visit: &mut Visit) -> Option<()> {
        let Some(patience) = self.patience else { return Some(()) };
        match visit.pinged {
            None if visit.answered.elapsed() >= UNHEARD => {
                visit.pinged = Some(Instant::now());
                visit.ask(&json!({"type": "ping"}))
            }
            Some(at) if at.elapsed() >= patience => {
                self.shared.ledger.note(&format!("member {} leaves server {}", self.number, self.server));
                self.shared.ledger.left();
                None
            }
            _ => Some(()),
        }
    }

    /// Says what it is time to say. How long it need not look again.
    fn speak(&mut self, visit: &mut Visit) -> Option<Duration> {
        let now = Instant::now();
        let is_due = |(number, said): (&u64, &Said)| (now >= said.last + ACK_PATIENCE).then_some(*number);
        for number in self.unacked.iter().filter_map(is_due).collect::<Vec<_>>() {
            self.send(visit, number)?;
        }
        if let Some(interval) = self.shared.interval()
            && now >= self.speaks_at
            && self.unacked.len() < UNACKED_MAX
        {
            self.speaks_at = now + interval.mul_f32(0.5 + self.rng.f32());
            let number = self.shared.ledger.say(self.number);
            self.send(visit, number)?;
        }
        Some(self.speaks_at.saturating_duration_since(now).min(READ_MAX))
    }

    fn send(&mut self, visit: &mut Visit, number: u64) -> Option<()> {
        let now = Instant::now();
        self.unacked.entry(number).or_insert(Said { first: now, last: now }).last = now;
        let (text, _) = memory::text(number, self.shared.habits.is_memory_short);
        let id = format!("{}-{number}", self.number);
        visit.ask(&json!({"type": "send", "room": self.room_name(), "id": id, "text": text}))
    }

    fn take(&mut self, visit: &mut Visit, frame: &Value) -> Option<()> {
        match frame["type"].as_str().unwrap() {
            "joined" => self.enter(visit, frame)?,
            "message" => {
                let now = Instant::now();
                let silence = Silence { server: self.server, from: visit.heard, to: now };
                self.shared.ledger.silent(silence);
                visit.heard = now;
                self.check_order(visit, frame);
                self.see(frame, true);
            }
            "ack" => {
                let id = frame["id"].as_str().unwrap();
                let number = id.rsplit('-').next().unwrap().parse().unwrap();
                let said = self.unacked.remove(&number);
                let to = Instant::now();
                let wait = said.map(|said| Silence { server: self.server, from: said.first, to });
                self.shared.ledger.acknowledged(number, &place(frame), wait);
            }
            "gap" => self.pass_over(visit, frame),
            "error" => {
                let words = format!("member {} was told {frame}", self.number);
                self.shared.ledger.refused(frame["code"].as_str().unwrap(), words);
            }
            "presence" => self.note_names(frame),
            "welcome" | "degraded" | "pong" => {}
            "move" => return None,
            other => panic!("unexpected {other}: {frame}"),
        }
        Some(())
    }

    fn enter(&mut self, visit: &mut Visit, joined: &Value) -> Option<()> {
        let (is_back, is_complete) = (self.positions.is_some(), joined["complete"].as_bool().unwrap());
        let streams: BTreeMap<String, u64> = serde_json::from_value(joined["streams"].clone()).unwrap();
        let mut incomplete = None;
        if is_back && !is_complete {
            let positions = &self.positions;
            let words = format!("member {} had {positions:?}; there is {streams:?}", self.number);
            incomplete = Some(words);
        }
        self.shared.ledger.note(&format!(
            "member {} of room {} is at server {} with {:?}, complete: {is_complete}, there is {streams:?}",
            self.number, self.room, self.server, self.positions
        ));
        // The history of a first visit begins somewhere; that of a return goes on where it ended.
        let history = joined["history"].as_array().unwrap();
        history.iter().for_each(|message| self.see(message, is_back && is_complete));
        // Where it had seen as far elsewhere, what it has seen may come here again.
        let is_echo = |(stream, last): (&String, &u64)| {
            self.positions.as_ref().and_then(|seen| seen.get(stream)).is_some_and(|seen| seen >= last)
        };
        let told =
            streams.iter().filter(|told| !is_echo(*told)).map(|(stream, last)| (stream.clone(), *last));
        visit.told = Some(told.collect());
        let positions = self.positions.get_or_insert_default();
        positions.retain(|stream, _| streams.contains_key(stream));
        for (stream, last) in &streams {
            let position = positions.entry(stream.clone()).or_default();
            *position = (*position).max(*last);
        }
        if let Some(words) = incomplete {
            self.shared.ledger.resumed_with_a_hole(self.number, &words);
        }
        self.shared.ledger.entered(self.number, self.left.take().map(|left| left.elapsed()));
        let now = Instant::now();
        visit.heard = now;
        for number in self.unacked.keys().copied().collect::<Vec<_>>() {
            self.unacked.insert(number, Said { first: now, last: now });
            self.send(visit, number)?;
        }
        Some(())
    }

    /// On one connection a stream only goes forward.
    fn check_order(&mut self, visit: &mut Visit, message: &Value) {
        let (stream, seq) = place(message);
        let told = visit.told.as_mut().expect("messages come after joined").entry(stream).or_default();
        if seq <= *told {
            let words = format!("member {} had been told {told} before {message}", self.number);
            self.shared.ledger.breach(Breach::Disordered, words);
        }
        *told = seq.max(*told);
    }

    fn see(&mut self, message: &Value, goes_on: bool) {
        let (stream, seq) = place(message);
        let position = self.positions.get_or_insert_default().entry(stream.clone()).or_default();
        if seq <= *position {
            return;
        }
        if goes_on && seq > *position + 1 {
            self.shared.ledger.passed_over(self.number, &stream, *position + 1, seq - 1, false);
        }
        *position = seq;
        let number = memory::number(message["text"].as_str().unwrap());
        self.shared.ledger.saw(self.number, number, &(stream, seq));
    }

    fn pass_over(&mut self, visit: &mut Visit, gap: &Value) {
        let stream = gap["stream"].as_str().unwrap();
        let (first, last) = (gap["first"].as_u64().unwrap(), gap["last"].as_u64().unwrap());
        let told = visit.told.get_or_insert_default().entry(stream.to_owned()).or_default();
        *told = last.max(*told);
        let position = self.positions.get_or_insert_default().entry(stream.to_owned()).or_default();
        if last > *position {
            self.shared.ledger.passed_over(self.number, stream, first.max(*position + 1), last, true);
            *position = last;
        }
    }

    /// Who comes and goes is told of a server that is gone, too.
    fn note_names(&self, presence: &Value) {
        let names = |which| presence[which].as_array().is_some_and(|names| !names.is_empty());
        if names("joined") || names("left") {
            self.shared.ledger.named(format!("at server {}: {presence}", self.server));
        }
    }

    fn name(&self) -> String {
        format!("user-{}", self.number)
    }

    fn room_name(&self) -> String {
        format!("room-{}", self.room)
    }
}

impl Visit {
    /// `None`: the connection has ended.
    fn ask(&mut self, frame: &Value) -> Option<()> {
        self.socket.send(Message::text(frame.to_string())).ok()
    }

    /// The next frame, if one comes by then. `None`: the connection has ended.
    fn read(&mut self, wait: Duration) -> Option<Option<Value>> {
        // No time at all would mean to wait without end.
        self.socket.get_ref().set_read_timeout(Some(wait.max(Duration::from_millis(1)))).ok()?;
        match self.socket.read() {
            Ok(Message::Text(text)) => {
                (self.answered, self.pinged) = (Instant::now(), None);
                Some(Some(serde_json::from_str(&text).unwrap()))
            }
            Ok(Message::Ping(_)) => Some(None),
            Ok(_) => None,
            Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                Some(None)
            }
            Err(_) => None,
        }
    }
}

fn place(frame: &Value) -> (String, u64) {
    (frame["stream"].as_str().unwrap().to_owned(), frame["seq"].as_u64().unwrap())
}
