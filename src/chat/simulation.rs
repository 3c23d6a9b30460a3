//! Seeded worlds: two to six hubs on three lanes, clients that speak, come, go and are moved by the death of their
//! server, and faults: nodes killed, frozen and thawed, links cut in one direction or both, packets lost, servers killed
//! and stalled. After every step the invariants are checked that hold at any time, at the end of a world those of
//! docs/architecture.md, «The promise». One seed replays one failure to the step.
//!
//! `SIMULATION_SEED=7 cargo test simulation` replays one world, `SIMULATION_WORLDS=100000` runs as many.

mod client;
mod network;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::hub::{Effect, Hub, Settings};
use super::limits::{PRESENCE_INTERVAL_MAX, PRESENCE_REFRESH};
use super::room::Room;
use super::{Ask, BusEvent, Member, Notice, Now, RoomId};
use crate::wire::client_message::Since;
use crate::wire::envelope::{Position, Span, Word};
use crate::wire::{ClientNonce, Envelope};
use client::{Client, Told};
use network::{LANES, Network, Node};

const WORLDS: u64 = 1000;
const REACTORS: usize = 2;
const ROOMS: [&str; 3] = ["red", "blue", "green"];
const SERVERS_MAX: usize = 6;
const CLIENTS_MAX: usize = 14;
const STEP: Duration = Duration::from_millis(4);
const QUIET_STEP: Duration = Duration::from_millis(50);
/// Times of faults and traffic, then of traffic alone, then of nothing: every lease, roster and refresh has its time.
const TROUBLE: Duration = Duration::from_secs(8);
const PEACE: Duration = Duration::from_secs(5);
const QUIET: Duration =
    Duration::from_secs(PRESENCE_REFRESH.as_secs() + 2 * PRESENCE_INTERVAL_MAX.as_secs() + 3);
/// The promise is about one server at a time: the next one may die when what the last one held is held twice again.
const BETWEEN_DEATHS: Duration = Duration::from_secs(6);
/// A lane counts when it has been whole for so long.
const SOUND: Duration = Duration::from_secs(1);

/// What a world does wrong on purpose, to see that the checks find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    None,
    /// Nobody asks for what is missing.
    NoRepair,
    /// Messages are confirmed as soon as they are published.
    EarlyAck,
    /// What was said before is not known again.
    NoDedupe,
}

#[test]
fn worlds_keep_the_promise() {
    if let Some(seed) = environment("SIMULATION_SEED") {
        return World::new(seed, Sabotage::None).run();
    }
    let worlds = environment("SIMULATION_WORLDS").unwrap_or(WORLDS);
    let failed = failures(0..worlds, Sabotage::None);
    assert!(failed.is_empty(), "replay with SIMULATION_SEED={}; of {worlds}: {failed:?}", failed[0]);
}

#[test]
fn worlds_without_repair_fail() {
    assert!(!failures(0..40, Sabotage::NoRepair).is_empty());
}

#[test]
fn worlds_that_promise_early_fail() {
    assert!(!failures(0..600, Sabotage::EarlyAck).is_empty());
}

#[test]
fn worlds_without_memory_fail() {
    assert!(!failures(0..40, Sabotage::NoDedupe).is_empty());
}

/// The seeds whose worlds break an invariant; two threads share the work.
fn failures(seeds: std::ops::Range<u64>, sabotage: Sabotage) -> Vec<u64> {
    let fails = |seed: &u64| catch_unwind(AssertUnwindSafe(|| World::new(*seed, sabotage).run())).is_err();
    let mut failed: Vec<_> = thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let seeds = seeds.clone();
            scope.spawn(move || seeds.filter(|seed| seed % 2 == half).filter(fails).collect::<Vec<_>>())
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    failed.sort_unstable();
    failed
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

struct Server {
    /// `None`: it was killed.
    hub: Option<Hub>,
    stalled_until: Option<Instant>,
    members: BTreeMap<(usize, RoomId), Vec<u64>>,
}

/// What ends at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relief {
    Node(usize),
    Link(usize, usize),
    Loss,
    NewServer,
}

struct World {
    rng: Rng,
    sabotage: Sabotage,
    is_traced: bool,
    start: Now,
    now: Now,
    servers: Vec<Server>,
    network: Network,
    clients: BTreeMap<u64, Client>,
    /// Clients on their way to another server.
    returning: Vec<(Instant, u64)>,
    reliefs: Vec<(Instant, Relief)>,
    /// Until when a server's lane was broken.
    unsound: BTreeMap<(usize, usize), Instant>,
    server_died: Instant,
    born: u64,
    said: u64,
    /// Numbers that clients were not shown: of messages that they see in another place.
    holes: Vec<(u64, (String, u64))>,
    /// Which message stands where, as it was published.
    places: BTreeMap<(String, u64), String>,
    /// Who was in the room when a message was said; and those of them to whom it is owed since it was acknowledged.
    audience: BTreeMap<String, BTreeSet<u64>>,
    owed: BTreeMap<String, BTreeSet<u64>>,
    /// Places that were told in an acknowledgement.
    acked: BTreeSet<(String, u64)>,
}

impl World {
    fn new(seed: u64, sabotage: Sabotage) -> Self {
        let mut rng = Rng::with_seed(seed);
        let now = Now { instant: Instant::now(), unix_ms: 1_700_000_000_000 };
        let mut world = Self {
            network: Network::new(rng.u64(..)),
            sabotage,
            is_traced: environment("SIMULATION_SEED").is_some(),
            start: now,
            now,
            servers: Vec::new(),
            clients: BTreeMap::new(),
            returning: Vec::new(),
            reliefs: Vec::new(),
            unsound: BTreeMap::new(),
            server_died: now.instant,
            born: 0,
            said: 0,
            holes: Vec::new(),
            places: BTreeMap::new(),
            audience: BTreeMap::new(),
            owed: BTreeMap::new(),
            acked: BTreeSet::new(),
            rng,
        };
        let servers = world.rng.usize(2..=5);
        (0..servers).for_each(|_| world.start_server());
        world
    }

    fn run(mut self) {
        let has_trouble = self.rng.u8(..) > 25;
        self.pass(Duration::from_secs(1), false, false);
        self.pass(TROUBLE, true, has_trouble);
        self.relieve_all();
        self.pass(PEACE, true, false);
        self.pass(Duration::from_secs(3), false, false);
        self.check_deliveries();
        self.check_hubs();
        self.pass(QUIET, false, false);
        self.check_presence();
    }

    fn pass(&mut self, time: Duration, has_traffic: bool, has_trouble: bool) {
        let end = self.now.instant + time;
        let step = if time == QUIET { QUIET_STEP } else { STEP };
        while self.now.instant < end {
            if has_traffic && self.rng.u8(..) < 100 {
                self.act();
            }
            if has_trouble && self.rng.u16(..) < 500 {
                self.break_something();
            }
            self.relieve();
            self.bring_back();
            self.now.instant += step;
            self.now.unix_ms =
                self.start.unix_ms + self.now.instant.duration_since(self.start.instant).as_millis() as u64;
            self.network.pass(self.now.instant);
            (0..self.servers.len()).for_each(|server| self.turn(server));
        }
    }

    fn start_server(&mut self) {
        let incarnation = (self.now.unix_ms << 22) + self.servers.len() as u64 + 1;
        let settings = Settings {
            name: format!("app-{}", self.servers.len() + 1).into(),
            incarnation,
            reactors: REACTORS,
            seed: self.rng.u64(..),
            settle: Duration::from_millis(500),
            flush_delay: Duration::from_millis(if self.rng.u8(..) < 50 { 3 } else { 0 }),
            limits: Arc::default(),
        };
        let hub = Some(Hub::new(settings, self.now.instant));
        self.servers.push(Server { hub, stalled_until: None, members: BTreeMap::new() });
        self.network.add(incarnation, self.now.instant);
    }

    /// What happens, for whoever replays a seed.
    fn trace(&self, what: std::fmt::Arguments<'_>) {
        if self.is_traced {
            println!("{:>6} ms  {what}", self.now.unix_ms - self.start.unix_ms);
        }
    }

    fn live(&self) -> Vec<usize> {
        (0..self.servers.len()).filter(|server| self.servers[*server].hub.is_some()).collect()
    }

    /// A client does something.
    fn act(&mut self) {
        match self.rng.u8(0..100) {
            0..12 if self.clients.len() < CLIENTS_MAX => self.join(),
            12..15 => self.leave(),
            15..18 => self.move_on(),
            _ => self.say(),
        }
    }

    fn join(&mut self) {
        self.born += 1;
        let (id, room, live) = (self.born, self.rng.usize(0..ROOMS.len()), self.live());
        let server = live[self.rng.usize(0..live.len())];
        self.clients.insert(id, Client::new(id, room, server));
        let ask =
            Ask::Join { room: ROOMS[room].into(), user: user(id), client: nonce(id), visit: 0, since: None };
        self.ask(server, id, ask);
    }

    fn leave(&mut self) {
        let Some(id) = self.any_client() else { return };
        let Some(client) = self.clients.remove(&id) else { return };
        self.returning.retain(|(_, returning)| *returning != id);
        for owed in self.owed.values_mut().chain(self.audience.values_mut()) {
            owed.remove(&id);
        }
        self.depart(&client);
    }

    /// A client goes to another server though its own lives, as in a drain.
    fn move_on(&mut self) {
        let Some(id) = self.any_client().filter(|_| self.all_hear_each_other()) else { return };
        let Some(mut client) = self.clients.remove(&id) else { return };
        if client.has_entered {
            self.trace(format_args!("client {id} moves on"));
            self.depart(&client);
            client.server = None;
            client.has_entered = false;
            let time = Duration::from_millis(self.rng.u64(0..100));
            self.returning.push((self.now.instant + time, id));
        }
        self.clients.insert(id, client);
    }

    fn depart(&mut self, client: &Client) {
        let (id, Some(server)) = (client.id, client.server) else { return };
        for members in self.servers[server].members.values_mut() {
            members.retain(|member| *member != id);
        }
        // One who has not come in yet leaves when it does.
        if client.has_entered {
            self.ask(server, id, Ask::Leave { room: ROOMS[client.room].into(), user: user(id) });
        }
    }

    /// Says something new, or something again as a client does that has not heard the answer.
    fn say(&mut self) {
        let Some(id) = self.any_client() else { return };
        let client = self.clients.get_mut(&id).unwrap();
        let Some(server) = client.server.filter(|_| client.has_entered) else { return };
        let room = client.room;
        let again = client.unacked.first().filter(|_| self.rng.u8(..) < 20).cloned();
        let message = again.unwrap_or_else(|| {
            self.said += 1;
            client.unacked.push(self.said.to_string());
            self.said.to_string()
        });
        let in_room = |client: &&Client| client.room == room && client.was_in_before;
        let audience = self.clients.values().filter(in_room).map(|client| client.id).collect();
        self.audience.entry(message.clone()).or_insert(audience);
        self.send(server, id, room, message);
    }

    fn send(&mut self, server: usize, id: u64, room: usize, message: String) {
        let (room, text) = (ROOMS[room].into(), message.as_str().into());
        self.ask(
            server,
            id,
            Ask::Send { room, user: user(id), client: nonce(id).key(), id: message.into(), text },
        );
    }

    fn any_client(&mut self) -> Option<u64> {
        let count = self.clients.len();
        (count > 0).then(|| *self.clients.keys().nth(self.rng.usize(0..count)).unwrap())
    }

    fn ask(&mut self, server: usize, id: u64, ask: Ask) {
        let member = Member { reactor: id as usize % REACTORS, connection: id };
        // What is sent to a server that stands still lies in its socket; it is as good as asked when it goes on.
        if let Some(hub) = &mut self.servers[server].hub {
            hub.handle_ask(member, ask, self.now);
        }
    }

    fn break_something(&mut self) {
        let until = self.now.instant + Duration::from_millis(self.rng.u64(50..4000));
        let live = self.live();
        let server = live[self.rng.usize(0..live.len())];
        let lane = self.rng.usize(0..LANES);
        let may_break_server = live.len() > 1 && !self.has_lately_died() && self.all_hear_each_other();
        match self.rng.u8(0..10) {
            0..4 if self.leaves_a_way(|_, broken| broken == lane) => {
                let node = if self.rng.bool() { Node::Dead } else { Node::Frozen };
                self.trace(format_args!("node {lane} is {node:?}"));
                match node {
                    Node::Dead => self.network.kill_node(lane),
                    other => self.network.nodes[lane] = other,
                }
                self.reliefs.push((until, Relief::Node(lane)));
            }
            4 if self.leaves_a_way(|cut, broken| (cut, broken) == (server, lane)) => {
                let (no_up, no_down) = [(true, false), (false, true), (true, true)][self.rng.usize(0..3)];
                self.trace(format_args!("server {server} and node {lane} are cut: {no_up} {no_down}"));
                self.network.cut(server, lane, no_up, no_down);
                self.reliefs.push((until, Relief::Link(server, lane)));
            }
            // No lane leads from one server to another.
            5 if live.len() > 2 => {
                let other = *live.iter().find(|other| **other != server).expect("there are more");
                let is_cut =
                    |cut, broken| (cut == server) == (broken == lane) && (cut == server || cut == other);
                if self.leaves_a_way(is_cut) {
                    for (cut, broken) in (0..LANES).flat_map(|lane| [(server, lane), (other, lane)]) {
                        if is_cut(cut, broken) {
                            self.trace(format_args!("server {cut} and node {broken} are cut"));
                            self.network.cut(cut, broken, true, true);
                            self.reliefs.push((until, Relief::Link(cut, broken)));
                        }
                    }
                }
            }
            6 => {
                self.network.loss = 0.1;
                self.reliefs.push((until, Relief::Loss));
            }
            7..9 if may_break_server => self.kill_server(server, until),
            9 if may_break_server => {
                self.trace(format_args!("server {server} stands still"));
                self.server_died = until;
                self.servers[server].stalled_until = Some(until);
                self.network.stall(server, true, self.now.instant);
            }
            _ => {}
        }
    }

    fn has_lately_died(&self) -> bool {
        self.now.instant < self.server_died + BETWEEN_DEATHS
    }

    /// Whether every server keeps a lane that has been sound for a while, though one more is broken, and any two of them
    /// share one while somebody moves: what holds for those that share none is another promise.
    fn leaves_a_way(&self, breaks: impl Fn(usize, usize) -> bool) -> bool {
        let is_sound = |server: usize, lane: usize| self.is_sound(server, lane) && !breaks(server, lane);
        if self.returning.is_empty() && !self.has_lately_died() {
            self.live().into_iter().all(|server| (0..LANES).any(|lane| is_sound(server, lane)))
        } else {
            self.all_share(is_sound)
        }
    }

    fn all_hear_each_other(&self) -> bool {
        self.all_share(|server, lane| self.is_sound(server, lane))
    }

    fn all_share(&self, is_sound: impl Fn(usize, usize) -> bool) -> bool {
        let live = self.live();
        let share = |one, other| (0..LANES).any(|lane| is_sound(one, lane) && is_sound(other, lane));
        live.iter().all(|one| live.iter().all(|other| share(*one, *other)))
    }

    fn is_sound(&self, server: usize, lane: usize) -> bool {
        let is_old = self.unsound.get(&(server, lane)).is_none_or(|at| self.now.instant >= *at + SOUND);
        let breaks = |relief| relief == Relief::Node(lane) || relief == Relief::Link(server, lane);
        is_old && !self.reliefs.iter().any(|(_, relief)| breaks(*relief))
    }

    fn kill_server(&mut self, server: usize, until: Instant) {
        self.trace(format_args!("server {server} is killed"));
        self.server_died = self.now.instant;
        self.servers[server].hub = None;
        self.servers[server].members.clear();
        self.network.kill(server);
        for client in self.clients.values_mut().filter(|client| client.server == Some(server)) {
            client.server = None;
            client.has_entered = false;
            let time = Duration::from_millis(self.rng.u64(1..800));
            self.returning.push((self.now.instant + time, client.id));
        }
        if self.live().len() < SERVERS_MAX {
            self.reliefs.push((until, Relief::NewServer));
        }
    }

    fn relieve(&mut self) {
        let now = self.now.instant;
        let due: Vec<_> = self.reliefs.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, relief) in due {
            self.trace(format_args!("over: {relief:?}"));
            match relief {
                Relief::Node(lane) => {
                    self.network.nodes[lane] = Node::Up;
                    self.unsound.extend((0..self.servers.len()).map(|server| ((server, lane), now)));
                }
                Relief::Link(server, lane) => {
                    self.network.cut(server, lane, false, false);
                    self.unsound.insert((server, lane), now);
                }
                Relief::Loss => self.network.loss = 0.0,
                Relief::NewServer => self.start_server(),
            }
        }
        for server in 0..self.servers.len() {
            if self.servers[server].stalled_until.take_if(|until| *until <= now).is_some() {
                self.network.stall(server, false, now);
            }
        }
    }

    fn relieve_all(&mut self) {
        self.reliefs.iter_mut().for_each(|(at, _)| *at = self.now.instant);
        for server in &mut self.servers {
            server.stalled_until = server.stalled_until.map(|_| self.now.instant);
        }
        self.relieve();
    }

    /// Those whose server died come to another one: they say how far they have seen, and repeat what was not acknowledged.
    fn bring_back(&mut self) {
        let now = self.now.instant;
        let due: Vec<_> = self.returning.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, id) in due {
            let live = self.live();
            let server = live[self.rng.usize(0..live.len())];
            self.trace(format_args!("client {id} comes to server {server}"));
            let Some(client) = self.clients.get_mut(&id) else { continue };
            client.server = Some(server);
            let streams =
                client.positions.iter().map(|(stream, seq)| (stream.parse().unwrap(), *seq)).collect();
            let since = client.was_in_before.then_some(Since { streams, names_strangers: false });
            let (room, unacked) = (client.room, client.unacked.clone());
            let ask =
                Ask::Join { room: ROOMS[room].into(), user: user(id), client: nonce(id), visit: 0, since };
            self.ask(server, id, ask);
            unacked.into_iter().for_each(|message| self.send(server, id, room, message));
        }
    }

    fn turn(&mut self, server: usize) {
        if self.servers[server].stalled_until.is_some() {
            return;
        }
        let now = self.now;
        let carrying = self.network.carrying(server, now.instant);
        let Some(hub) = &mut self.servers[server].hub else { return };
        hub.handle_bus_state(carrying, now);
        while let Some(event) = self.network.poll_event(server) {
            let event = match self.sabotage {
                Sabotage::NoDedupe => forget(event, &mut self.rng),
                _ => event,
            };
            hub.handle_bus(event, now);
        }
        if hub.poll_timeout() <= now.instant {
            hub.handle_timeout(now);
        }
        hub.finish_turn(now);
        while let Some(effect) = self.servers[server].hub.as_mut().and_then(Hub::poll_effect) {
            match effect {
                Effect::Tell(reactor, notice) => self.tell(server, reactor, notice),
                Effect::Subscribe(room) => self.network.subscribe(server, room, now.instant),
                Effect::Unsubscribe(room) => self.network.unsubscribe(server, &room),
                Effect::Publish(envelope) => self.publish(server, envelope),
            }
        }
    }

    fn publish(&mut self, server: usize, envelope: Envelope) {
        if let Word::Messages { room, stream, first_seq, messages, .. } = &envelope.word {
            for (seq, message) in (*first_seq..).zip(messages.iter()) {
                self.places.insert((stream.to_string(), seq), message.id.to_string());
            }
            if self.sabotage == Sabotage::EarlyAck {
                let last = first_seq + messages.len() as u64 - 1;
                let span = Span { stream: *stream, first: 1, last };
                let position = Position { room: Arc::clone(room), span };
                let peer = self.live().into_iter().find(|other| *other != server);
                if let (Some(peer), Some(hub)) = (peer, &mut self.servers[server].hub) {
                    let origin = self.network.ends[peer].incarnation;
                    let word = Word::Have { to: envelope.origin, positions: [position].into() };
                    hub.handle_bus(BusEvent::Received(Envelope { origin, word }), self.now);
                }
            }
        }
        let is_lost = self.sabotage == Sabotage::NoRepair && matches!(envelope.word, Word::Want { .. });
        if !is_lost {
            self.network.publish(server, envelope, self.now.instant);
        }
    }

    fn tell(&mut self, server: usize, reactor: usize, notice: Notice) {
        match notice {
            Notice::Entered { connection, room, name, user, frame, .. } => {
                match self.clients.get_mut(&connection).filter(|client| client.server == Some(server)) {
                    Some(client) => {
                        client.has_entered = true;
                        self.servers[server].members.entry((reactor, room)).or_default().push(connection);
                        self.receive(connection, &frame);
                    }
                    None => self.ask(server, connection, Ask::Leave { room: name, user }),
                }
            }
            Notice::Deliver { room, frames, .. } => {
                let members = self.servers[server].members.get(&(reactor, room)).cloned();
                members.into_iter().flatten().for_each(|id| self.receive(id, &frames));
            }
            Notice::Reply { connection, frame } => self.receive(connection, &frame),
            Notice::Everyone { .. } => {}
            Notice::Refused { frame, .. } => panic!("refused: {frame:?}"),
        }
    }

    fn receive(&mut self, id: u64, frames: &[u8]) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let was_in_before = client.was_in_before;
        let before = client.positions.clone();
        let told = client.receive(frames);
        for told in told {
            match told {
                Told::Acked { message, place } => {
                    self.acked.insert(place);
                    let audience = self.audience.get(&message).cloned().unwrap_or_default();
                    self.owed.entry(message).or_insert(audience);
                }
                Told::Joined { is_complete } => {
                    let is_fine = is_complete || !was_in_before || self.misses_only_what_is_lost(id, &before);
                    assert!(is_fine, "{}", self.explain_incomplete(id));
                }
                Told::Hole { stream, first, last, is_marked: false } => {
                    self.holes.extend((first..=last).map(|seq| (id, (stream.clone(), seq))));
                }
                Told::Hole { .. } | Told::Saw(_) => {}
            }
        }
    }

    /// Whether the server has given up numbers that the client has not seen, all of them of messages that were not
    /// acknowledged and died with their server.
    fn misses_only_what_is_lost(&self, id: u64, seen: &BTreeMap<String, u64>) -> bool {
        let Some(room) = self.room_of(id) else { return false };
        let missing: Vec<_> = room
            .digest(None)
            .into_iter()
            .flat_map(|span| {
                let stream = span.stream.to_string();
                let seen = seen.get(&stream).copied().unwrap_or(0);
                (seen + 1..span.first).map(move |seq| (stream.clone(), seq))
            })
            .collect();
        let is_acked = |place: &(String, u64)| self.acked.contains(place);
        !missing.is_empty() && !missing.iter().any(is_acked)
    }

    fn room_of(&self, id: u64) -> Option<&Room> {
        let client = &self.clients[&id];
        let hub = self.servers[client.server?].hub.as_ref()?;
        hub.rooms().find(|room| *room.name == *ROOMS[client.room])
    }

    fn explain_incomplete(&self, id: u64) -> String {
        let (client, room) = (&self.clients[&id], self.room_of(id));
        let digest = room.map(|room| (room.digest(None), &room.fetch));
        let positions = &client.positions;
        format!("client {id} came back to {digest:?} and could not be told all after {positions:?}")
    }

    /// Every acknowledged message reached everybody who was in its room.
    fn check_deliveries(&self) {
        for (message, members) in &self.owed {
            for id in members {
                let client = &self.clients[id];
                let place = self.places.iter().find(|(_, id)| *id == message);
                assert!(client.seen.contains(message), "{message} at {place:?} never reached client {id}");
            }
        }
        for (id, place) in &self.holes {
            let message = self.places.get(place).expect("what has a number was published");
            let is_owed = self.audience[message].contains(id);
            let has_seen = self.clients.get(id).is_none_or(|client| client.seen.contains(message));
            assert!(has_seen || !is_owed, "client {id} was not shown {message} at {place:?}");
        }
        for client in self.clients.values() {
            assert!(client.server.is_some() && client.has_entered, "client {} is nowhere", client.id);
            assert!(client.unacked.is_empty(), "client {} waits for {:?}", client.id, client.unacked);
        }
    }

    /// All servers that hold a room have the same of it, nothing waits any more, and every room is held twice.
    fn check_hubs(&self) {
        let hubs: Vec<_> = self.servers.iter().filter_map(|server| server.hub.as_ref()).collect();
        for name in ROOMS {
            let rooms: Vec<_> =
                hubs.iter().flat_map(|hub| hub.rooms().filter(|room| &*room.name == name)).collect();
            let members: u32 = rooms.iter().map(|room| room.members()).sum();
            assert!(members == 0 || hubs.len() == 1 || rooms.len() > 1, "{name} is held once");
            for room in &rooms {
                assert!(room.is_whole() && room.unconfirmed.is_empty() && room.fetch.is_none(), "{room:?}");
                for other in &rooms {
                    for span in room.digest(None) {
                        let last = other.position(span.stream);
                        assert_eq!(last, Some(span.last), "{name}: {}", span.stream);
                    }
                }
            }
        }
    }

    /// What each client was told of its room is what is true.
    fn check_presence(&self) {
        for client in self.clients.values() {
            let here: BTreeSet<_> = self
                .clients
                .values()
                .filter(|other| other.room == client.room)
                .map(|other| user(other.id).to_string())
                .collect();
            assert_eq!((client.users as usize, &client.roster), (here.len(), &here), "client {}", client.id);
        }
    }
}

fn user(id: u64) -> Arc<str> {
    format!("user {id}").into()
}

fn nonce(id: u64) -> ClientNonce {
    ClientNonce::from_seed(id.into())
}

/// The ids of what a server hears are made unknown to it, so that it cannot know a message again.
fn forget(event: BusEvent, rng: &mut Rng) -> BusEvent {
    let BusEvent::Received(Envelope { origin, word }) = event else { return event };
    let word = match word {
        Word::Messages { room, stream, first_seq, witness, messages } => {
            let strange = |message: &Arc<super::Message>| {
                let id = rng.u64(..).to_string().into();
                let (from, text) = (Arc::clone(&message.from), message.text.clone());
                Arc::new(super::Message { from, client: message.client, id, text, time: message.time })
            };
            let messages = messages.iter().map(strange).collect();
            Word::Messages { room, stream, first_seq, witness, messages }
        }
        word => word,
    };
    BusEvent::Received(Envelope { origin, word })
}
