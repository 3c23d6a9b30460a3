//! One hub with the shell that it has in reality: what lies in its sockets, its clock, its reactors' lists of members.
//! The only file of the simulation that calls the hub.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::frame::Place;
use super::network::LANES;
use super::plan::{Ms, Plan};
use crate::chat::hub::{Effect, Hub, Settings};
use crate::chat::room::Room;
use crate::chat::{Ask, BusEvent, Carrying, Member, Now, RoomId};
use crate::wire::client_message::Since;
use crate::wire::envelope::{Position, Span, Word};
use crate::wire::{ClientNonce, StreamId};

const REACTORS: u64 = 2;
/// Asks that one turn takes in: 64 batches of a few each.
const ASKS_PER_TURN: usize = 256;

/// What comes on a client's connection.
#[derive(Debug)]
pub enum Incoming {
    Ask(u64, Ask),
    Close(u64),
}

/// A connection, as the reactors know it.
#[derive(Debug, Default)]
struct Line {
    /// The room that it has entered, and under which name.
    entered: Option<(RoomId, Arc<str>, Arc<str>)>,
    is_closed: bool,
}

#[derive(Debug)]
pub struct Server {
    /// `None`: it is dead.
    hub: Option<Hub>,
    pub incarnation: u64,
    pub clock: Clock,
    pub started: Ms,
    pub stalled_since: Option<Ms>,
    pub stalled_until: Ms,
    /// When it went on after it had stood still.
    pub thawed: Ms,
    pub is_draining: bool,
    /// It dies after so many effects of its next turn.
    pub dies_after: Option<usize>,
    start: Instant,
    asks: VecDeque<Incoming>,
    lines: BTreeMap<u64, Line>,
    members: BTreeMap<(usize, RoomId), Vec<u64>>,
    turned: Option<Ms>,
    carried: usize,
}

impl Server {
    pub fn new(index: usize, plan: &Plan, start: Instant, now: Ms, seed: u64) -> Self {
        let clock = Clock::new();
        let incarnation = (clock.read(now) << 22) + index as u64 + 1;
        let settings = Settings {
            name: format!("app-{}", index + 1).into(),
            incarnation,
            reactors: REACTORS as usize,
            seed,
            settle: Duration::from_millis(500),
            flush_delay: Duration::from_millis(plan.flush_delay),
            limits: plan.sizes.limits().into(),
        };
        Self {
            hub: Some(Hub::new(settings, start + Duration::from_millis(now))),
            incarnation,
            clock,
            started: now,
            stalled_since: None,
            stalled_until: 0,
            thawed: now,
            is_draining: false,
            dies_after: None,
            start,
            asks: VecDeque::new(),
            lines: BTreeMap::new(),
            members: BTreeMap::new(),
            turned: None,
            carried: 0,
        }
    }

    pub fn is_alive(&self) -> bool {
        self.hub.is_some()
    }

    pub fn is_running(&self) -> bool {
        self.hub.is_some() && self.stalled_since.is_none()
    }

    pub fn kill(&mut self) {
        self.hub = None;
        self.stalled_since = None;
        self.lines.clear();
        self.members.clear();
        self.asks.clear();
    }

    fn now(&self, now: Ms) -> Now {
        Now { instant: self.start + Duration::from_millis(now), unix_ms: self.clock.read(now) }
    }

    /// What a client sends lies in the server's socket until it reads.
    pub fn receive(&mut self, incoming: Incoming) {
        if self.is_alive() {
            self.asks.push_back(incoming);
        }
    }

    pub fn has_asks(&self) -> bool {
        !self.asks.is_empty()
    }

    /// When the hub has something to do by itself.
    pub fn due(&self, carried: usize) -> Ms {
        let Some(hub) = self.hub.as_ref().filter(|_| self.stalled_since.is_none()) else { return Ms::MAX };
        if carried != self.carried {
            return 0;
        }
        let wait = hub.poll_timeout().saturating_duration_since(self.start);
        let due = (wait.as_micros() as Ms).div_ceil(1000);
        self.turned.map_or(due, |turned| due.max(turned + 1))
    }

    /// First part of a turn: the state of the bus, and what clients ask.
    pub fn begin_turn(&mut self, carrying: usize, now: Ms) {
        let at = self.now(now);
        self.turned = Some(now);
        self.carried = carrying;
        let load = (!self.is_draining).then_some(self.lines.len() as u32);
        let Some(hub) = &mut self.hub else { return };
        hub.handle_bus_state(Carrying { lanes: carrying, of: LANES }, at);
        hub.handle_load(load, at);
        for _ in 0..ASKS_PER_TURN {
            match self.asks.pop_front() {
                None => break,
                Some(Incoming::Ask(connection, ask)) => {
                    self.lines.entry(connection).or_default();
                    hub.handle_ask(member(connection), ask, at);
                }
                Some(Incoming::Close(connection)) => {
                    let Some(line) = self.lines.get_mut(&connection) else { continue };
                    line.is_closed = true;
                    let Some((room, name, user)) = line.entered.take() else { continue };
                    self.lines.remove(&connection);
                    let member = member(connection);
                    if let Some(members) = self.members.get_mut(&(member.reactor, room)) {
                        members.retain(|other| *other != connection);
                    }
                    hub.handle_ask(member, Ask::Leave { room: name, user }, at);
                }
            }
        }
    }

    pub fn hear(&mut self, event: BusEvent, now: Ms) {
        let at = self.now(now);
        if let Some(hub) = &mut self.hub {
            hub.handle_bus(event, at);
        }
    }

    /// Last part of a turn.
    pub fn finish_turn(&mut self, now: Ms) {
        let at = self.now(now);
        if let Some(hub) = &mut self.hub {
            hub.handle_timeout(at);
            hub.finish_turn(at);
        }
    }

    /// Tells the others that it ends.
    pub fn leave(&mut self, now: Ms) {
        let at = self.now(now);
        if let Some(hub) = &mut self.hub {
            hub.leave(at);
        }
    }

    /// Whether a server that drains may end.
    pub fn may_end(&self, now: Ms) -> bool {
        let at = self.now(now);
        self.hub.as_ref().is_none_or(|hub| hub.is_handed_over(at))
    }

    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.hub.as_mut().and_then(Hub::poll_effect)
    }

    /// The answer to a join is taken by the mailbox and the socket.
    pub fn note_answer(&mut self, connection: u64, bytes: usize, now: Ms) {
        let at = self.now(now);
        if let Some(hub) = &mut self.hub {
            let member = member(connection);
            hub.handle_answers_taken(member.reactor, bytes);
            hub.handle_ask(member, Ask::Received, at);
        }
    }

    /// A connection has entered a room. False: it is gone, and leaves.
    pub fn enter(&mut self, connection: u64, room: RoomId, name: Arc<str>, user: Arc<str>) -> bool {
        match self.lines.get_mut(&connection).filter(|line| !line.is_closed) {
            Some(line) => {
                line.entered = Some((room, name, user));
                self.members.entry((member(connection).reactor, room)).or_default().push(connection);
                true
            }
            None => {
                self.lines.remove(&connection);
                self.asks.push_back(Incoming::Ask(connection, Ask::Leave { room: name, user }));
                false
            }
        }
    }

    pub fn members(&self, reactor: usize, room: RoomId) -> Vec<u64> {
        self.members.get(&(reactor, room)).cloned().unwrap_or_default()
    }

    pub fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.hub.iter().flat_map(Hub::rooms)
    }

    pub fn room(&self, name: &str) -> Option<&Room> {
        self.rooms().find(|room| *room.name == *name)
    }

    pub fn takes_for_live(&self, peer: u64) -> bool {
        self.hub.as_ref().is_some_and(|hub| hub.peers().is_live(peer))
    }

    /// Whether it has the message of that place now.
    pub fn keeps(&self, room: &str, (stream, seq): Place) -> bool {
        let span = Span { stream, first: seq, last: seq };
        self.room(room).is_some_and(|room| !room.supply(&[span]).entries.is_empty())
    }

    pub fn position(&self, room: &str, stream: StreamId) -> Option<u64> {
        self.room(room)?.position(stream)
    }

    /// Whether a room is being learned, and nobody waits for that for longer than may be.
    pub fn is_fetching(&self, room: &str, now: Ms) -> bool {
        let fetch = self.room(room).and_then(|room| room.fetch.as_deref());
        fetch.is_some_and(|fetch| fetch.is_awaited() && !fetch.is_over(self.now(now).instant))
    }

    /// The retries that wait for a confirmation of one of these numbers.
    pub fn retries_of(&self, room: &str, stream: StreamId, range: RangeInclusive<u64>) -> Vec<u64> {
        let retries = self.room(room).into_iter().flat_map(|room| room.unconfirmed.retries());
        let of_stream = retries.map(|retry| retry.stamp).filter(|stamp| stamp.stream == stream);
        of_stream.map(|stamp| stamp.seq).filter(|seq| range.contains(seq)).collect()
    }

    /// Whether the first server of a message still waits for somebody else to hold it.
    pub fn waits_for_have(&self, room: &str, (stream, seq): Place) -> bool {
        let Some(room) = self.room(room).filter(|room| room.own() == stream) else { return false };
        let first = room.unconfirmed.first();
        first.is_some_and(|first| first <= seq)
    }
}

fn member(connection: u64) -> Member {
    Member { reactor: (connection % REACTORS) as usize, connection }
}

/// A client comes in.
pub fn join(room: &Arc<str>, user: &Arc<str>, client: u64, since: Option<Vec<Place>>) -> Ask {
    let since = since.map(|streams| Since { streams, names_strangers: false });
    let client = ClientNonce::from_seed(client.into());
    Ask::Join { room: Arc::clone(room), user: Arc::clone(user), client, visit: 0, since }
}

/// A client says something.
pub fn send(room: &Arc<str>, user: &Arc<str>, client: u64, id: &str, text: String) -> Ask {
    let client = ClientNonce::from_seed(client.into()).key();
    Ask::Send { room: Arc::clone(room), user: Arc::clone(user), client, id: id.into(), text: text.into() }
}

/// What a confirmation claims: of each room and stream which numbers.
pub fn claims(word: &Word) -> Vec<(Arc<str>, StreamId, std::ops::RangeInclusive<u64>)> {
    let Word::Have { positions, .. } = word else { return Vec::new() };
    let claim = |Position { room, span }: &Position| (Arc::clone(room), span.stream, span.first..=span.last);
    positions.iter().map(claim).collect()
}
