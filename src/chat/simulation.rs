//! A seeded world of hubs, clients and a bus that loses and delays. After every step the invariants of the hub are
//! checked; one seed replays one failure to the step.
//!
//! `SIMULATION_SEED=7 cargo test simulation` replays one world, `SIMULATION_WORLDS=10000` runs as many.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use serde_json::Value;

use super::bus::{BusEvent, Envelope};
use super::hub::{Effect, Hub, Settings};
use super::limits::{LEASE, PRESENCE_INTERVAL_MAX, PRESENCE_REFRESH};
use super::{Ask, Member, Notice, Now, RoomId};

const WORLDS: u64 = 300;
const STEPS: usize = 300;
const REACTORS: usize = 2;
const ROOMS: [&str; 2] = ["red", "blue"];
const TICK: Duration = Duration::from_millis(20);
/// Long enough for every lease, roster and refresh to have had its time.
const QUIET: Duration =
    Duration::from_secs(PRESENCE_REFRESH.as_secs() + 2 * PRESENCE_INTERVAL_MAX.as_secs() + LEASE.as_secs());

#[test]
fn worlds_keep_the_invariants() {
    if let Some(seed) = environment("SIMULATION_SEED") {
        return World::new(seed).run();
    }
    for seed in 0..environment("SIMULATION_WORLDS").unwrap_or(WORLDS) {
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(outcome.is_ok(), "replay with SIMULATION_SEED={seed}");
    }
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A bus as bad as its contract allows: FIFO for each publisher, receiver and room, and nothing else.
#[derive(Default)]
struct Wire {
    in_flight: BTreeMap<Route, VecDeque<Envelope>>,
    lost: BTreeSet<(usize, String)>,
}

/// Publisher, receiver, room.
type Route = (usize, usize, Option<Arc<str>>);

struct Server {
    hub: Hub,
    subscribed: BTreeSet<Arc<str>>,
    members: BTreeMap<(usize, RoomId), Vec<u64>>,
}

#[derive(Default)]
struct Client {
    server: usize,
    room: usize,
    has_entered: bool,
    last: BTreeMap<String, u64>,
    seen: BTreeSet<String>,
    acked: BTreeSet<String>,
    users: u64,
    roster: BTreeSet<String>,
}

struct World {
    rng: Rng,
    now: Now,
    servers: Vec<Server>,
    wire: Wire,
    loss: f32,
    clients: BTreeMap<u64, Client>,
    born: u64,
    said: u64,
    /// For each message that was acknowledged, who was in its room when it was said.
    owed: BTreeMap<String, BTreeSet<u64>>,
    waiting: BTreeMap<String, BTreeSet<u64>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let now = Now { instant: Instant::now(), unix_ms: 1_700_000_000_000 };
        let servers = (1..=rng.u64(2..=5))
            .map(|incarnation| {
                let name = format!("app-{incarnation}").into();
                let settings = Settings { name, incarnation, reactors: REACTORS, seed: rng.u64(..) };
                Server {
                    hub: Hub::new(settings, now.instant),
                    subscribed: BTreeSet::new(),
                    members: BTreeMap::new(),
                }
            })
            .collect();
        let loss = if rng.bool() { 0.0 } else { 0.2 };
        let (wire, clients, owed, waiting) = Default::default();
        Self { rng, now, servers, wire, loss, clients, born: 0, said: 0, owed, waiting }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        // Everything that is under way arrives, and then the rosters have time to settle.
        self.loss = 0.0;
        let quiet_from = self.now.instant;
        while self.now.instant < quiet_from + QUIET {
            self.pass(TICK * 10);
            while self.carry() {}
        }
        self.check_deliveries();
        self.check_presence();
    }

    fn step(&mut self) {
        match self.rng.u32(0..100) {
            0..15 => self.join(),
            15..22 => self.leave(),
            22..60 => self.say(),
            60..90 => drop(self.carry()),
            _ => self.pass(TICK),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.unix_ms += time.as_millis() as u64;
        for server in 0..self.servers.len() {
            self.servers[server].hub.handle_timeout(self.now);
            self.turn(server);
        }
    }

    fn join(&mut self) {
        self.born += 1;
        let (server, room) = (self.rng.usize(0..self.servers.len()), self.rng.usize(0..ROOMS.len()));
        let id = self.born;
        self.clients.insert(id, Client { server, room, ..Client::default() });
        let ask = Ask::Join { room: ROOMS[room].into(), user: user(id), visit: 0, since: None };
        self.ask(server, id, ask);
    }

    fn leave(&mut self) {
        let Some(id) = self.any_client() else { return };
        let Some(Client { server, room, has_entered, .. }) = self.clients.remove(&id) else { return };
        for members in self.servers[server].members.values_mut() {
            members.retain(|member| *member != id);
        }
        // One who has not come in yet leaves when it does.
        if has_entered {
            self.ask(server, id, Ask::Leave { room: ROOMS[room].into(), user: user(id) });
        }
        for owed in self.owed.values_mut().chain(self.waiting.values_mut()) {
            owed.remove(&id);
        }
    }

    /// Says something new, or something again as a client does that has not heard the answer.
    fn say(&mut self) {
        let Some(id) = self.any_client() else { return };
        let Client { server, room, acked, .. } = &self.clients[&id];
        let again = acked.first().filter(|_| self.rng.u8(..) < 30).cloned();
        let message = again.unwrap_or_else(|| {
            self.said += 1;
            self.said.to_string()
        });
        if !self.owed.contains_key(&message) {
            let members = self.clients.iter().filter(|(_, other)| other.has_entered && other.room == *room);
            self.waiting.insert(message.clone(), members.map(|(id, _)| *id).collect());
        }
        let (server, room, text) = (*server, ROOMS[*room].into(), message.as_str().into());
        self.ask(server, id, Ask::Send { room, user: user(id), id: message.into(), text });
    }

    fn any_client(&mut self) -> Option<u64> {
        let count = self.clients.len();
        (count > 0).then(|| *self.clients.keys().nth(self.rng.usize(0..count)).unwrap())
    }

    fn ask(&mut self, server: usize, id: u64, ask: Ask) {
        self.servers[server].hub.handle_ask(
            Member { reactor: id as usize % REACTORS, connection: id },
            ask,
            self.now,
        );
        // Often several asks share a turn.
        if self.rng.bool() {
            self.turn(server);
        }
    }

    /// One envelope of any queue arrives, or is lost. False: none is under way.
    fn carry(&mut self) -> bool {
        self.wire.in_flight.retain(|_, queue| !queue.is_empty());
        let queues = self.wire.in_flight.len();
        if queues == 0 {
            return false;
        }
        let at = self.rng.usize(0..queues);
        let (&(_, to, _), queue) = self.wire.in_flight.iter_mut().nth(at).unwrap();
        let envelope = queue.pop_front().unwrap();
        if self.rng.f32() < self.loss {
            if let Envelope::Messages { messages, .. } = &envelope {
                self.wire.lost.extend(messages.iter().map(|message| (to, message.id.to_string())));
            }
            return true;
        }
        self.servers[to].hub.handle_bus(BusEvent::Received(envelope), self.now);
        self.turn(to);
        true
    }

    fn turn(&mut self, server: usize) {
        self.servers[server].hub.finish_turn();
        while let Some(effect) = self.servers[server].hub.poll_effect() {
            match effect {
                Effect::Tell(reactor, notice) => self.tell(server, reactor, notice),
                Effect::Subscribe(room) => drop(self.servers[server].subscribed.insert(room)),
                Effect::Unsubscribe(room) => drop(self.servers[server].subscribed.remove(&room)),
                Effect::Publish(envelope) => self.publish(server, &envelope),
            }
        }
    }

    fn publish(&mut self, from: usize, envelope: &Envelope) {
        let room = envelope.room().cloned();
        for to in 0..self.servers.len() {
            let hears = room.as_ref().is_none_or(|room| self.servers[to].subscribed.contains(room));
            if to != from && hears {
                self.wire.in_flight.entry((from, to, room.clone())).or_default().push_back(envelope.clone());
            } else if to != from
                && let Envelope::Messages { messages, .. } = envelope
            {
                // Who comes to this server later was not there when it was said, or has it in another's history.
                self.wire.lost.extend(messages.iter().map(|message| (to, message.id.to_string())));
            }
        }
    }

    fn tell(&mut self, server: usize, reactor: usize, notice: Notice) {
        match notice {
            Notice::Entered { connection, room, name, user, frame, .. } => {
                let Some(client) = self.clients.get_mut(&connection) else {
                    let member = Member { reactor, connection };
                    return self.servers[server].hub.handle_ask(
                        member,
                        Ask::Leave { room: name, user },
                        self.now,
                    );
                };
                client.has_entered = true;
                self.servers[server].members.entry((reactor, room)).or_default().push(connection);
                client.receive(connection, &frame);
            }
            Notice::Deliver { room, frames, .. } => {
                for id in self.servers[server].members.get(&(reactor, room)).into_iter().flatten() {
                    self.clients.get_mut(id).expect("a member is a client").receive(*id, &frames);
                }
            }
            Notice::Reply { connection, frame } => {
                let Some(client) = self.clients.get_mut(&connection) else { return };
                for message in client.receive(connection, &frame) {
                    let Some(owed) = self.waiting.remove(&message) else { continue };
                    self.owed.insert(message, owed);
                }
            }
            Notice::Refused { .. } => panic!("no join is refused here"),
        }
    }

    /// Every acknowledged message reached every member, unless the bus lost it on the way to that member's server.
    fn check_deliveries(&self) {
        for (message, members) in &self.owed {
            for id in members {
                let client = &self.clients[id];
                let was_lost = self.wire.lost.contains(&(client.server, message.clone()));
                assert!(client.seen.contains(message) || was_lost, "{message} never reached {}", user(*id));
            }
        }
    }

    /// What each client was told of its room is what is true.
    fn check_presence(&self) {
        for client in self.clients.values() {
            let here: BTreeSet<_> = self
                .clients
                .iter()
                .filter(|(_, other)| other.room == client.room)
                .map(|(id, _)| user(*id).to_string())
                .collect();
            assert_eq!((client.users as usize, &client.roster), (here.len(), &here));
        }
    }
}

impl Client {
    /// Takes whole frames and checks what must hold for each. Returns the ids that they acknowledge.
    fn receive(&mut self, id: u64, mut frames: &[u8]) -> Vec<String> {
        let mut acked = Vec::new();
        while let Some((frame, rest)) = next_frame(frames) {
            frames = rest;
            let message: Value = serde_json::from_slice(frame).expect("frames are JSON");
            match message["type"].as_str().unwrap() {
                "message" => self.see(id, &message),
                "joined" => {
                    self.users = message["users"].as_u64().unwrap();
                    self.roster = names(&message["roster"]).collect();
                    message["history"].as_array().unwrap().iter().for_each(|message| self.see(id, message));
                }
                "presence" => {
                    self.users = message["users"].as_u64().unwrap();
                    self.roster.extend(names(&message["joined"]));
                    self.roster = &self.roster - &names(&message["left"]).collect();
                }
                "ack" => {
                    let message = message["id"].as_str().unwrap().to_owned();
                    self.acked.insert(message.clone());
                    acked.push(message);
                }
                other => panic!("unexpected {other}"),
            }
        }
        acked
    }

    fn see(&mut self, id: u64, message: &Value) {
        let (stream, seq) = (message["stream"].as_str().unwrap(), message["seq"].as_u64().unwrap());
        let last = self.last.insert(stream.to_owned(), seq).unwrap_or(0);
        assert!(seq > last, "{}: {stream} goes from {last} to {seq}", user(id));
        let said = message["id"].as_str().unwrap();
        assert!(self.seen.insert(said.to_owned()), "{} saw {said} twice", user(id));
    }
}

fn user(id: u64) -> Arc<str> {
    format!("user {id}").into()
}

fn names(list: &Value) -> impl Iterator<Item = String> {
    list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned())
}

/// The payload of the first frame of a server, and what follows it.
fn next_frame(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = *frames.get(1)?;
    let (start, length) = match header {
        126 => (4, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
        127 => {
            (10, u64::from_be_bytes(Bytes::copy_from_slice(&frames[2..10])[..].try_into().unwrap()) as usize)
        }
        short => (2, usize::from(short)),
    };
    Some(frames[start..].split_at(length))
}
