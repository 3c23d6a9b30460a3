//! The server's one place where rooms are: every message gets its order here, also one between two members of the
//! same reactor, so that all members of a server see one order.
//!
//! Pure. In a turn the shell calls [`Hub::handle_ask`], [`Hub::handle_bus`], [`Hub::handle_bus_state`] and
//! [`Hub::handle_timeout`] in any order, then [`Hub::finish_turn`] once, then [`Hub::poll_effect`] until it has none.
//!
//! What clients want is in `asks`, how they come in in `joins`, who comes from another server and is ahead of this one in `arrivals`, what other
//! servers say in `words`, what time brings in `rounds`, what is missing in `repair`, whether this server is alone in
//! `standing`, how it leaves in `handover`.

mod arrivals;
mod asks;
mod handover;
mod joins;
mod repair;
mod rooms;
mod rounds;
mod standing;
mod sweeps;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;
use smallvec::SmallVec;

use self::rooms::Paces;
use self::sweeps::{Sweep, Task};
use super::bus::{BusEvent, Carrying};
use super::encoded::message_frame;
use super::join_queue::JoinQueue;
use super::limits::{ENVELOPE_BYTES_SOFT, Limits};
use super::mutants::{Mutant, is_on};
use super::peers::Peers;
use super::rate::Bucket;
use super::room::{Heard, Room};
use super::{Ask, Member, Message, Notice, Now, RoomId};
use crate::wire::client_message::ErrorCode;
use crate::wire::envelope::{Position, RoomDigest, Word};
use crate::wire::{Envelope, ServerMessage, StreamId};

/// What the shell has to do for the hub.
#[derive(Debug)]
pub enum Effect {
    /// Tell a reactor.
    Tell(usize, Notice),
    /// Hand an envelope to the bus.
    Publish(Envelope),
    /// Hear a room from now on.
    Subscribe(Arc<str>),
    /// No longer.
    Unsubscribe(Arc<str>),
}

/// What a hub is given at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's name.
    pub name: Arc<str>,
    /// New at each start of the process, and at no other server.
    pub incarnation: u64,
    /// How many reactors there are.
    pub reactors: usize,
    /// Random: makes hashes of what clients choose unpredictable to them.
    pub seed: u64,
    /// How long the bus must have carried before silence means that there is no other server.
    pub settle: Duration,
    /// How long what is said may wait for more of its room, so that fewer envelopes carry it.
    pub flush_delay: Duration,
    /// What it may keep, wait for and repeat.
    pub limits: Arc<Limits>,
}

/// What the hub counted since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that got their place here.
    pub said: u64,
    /// Messages of other servers.
    pub heard: u64,
    /// Retries of clients, and messages heard twice.
    pub duplicates: u64,
    /// Messages that another server confirmed, or that no other was there to confirm.
    pub confirmed: u64,
    /// Times that messages were published again because nobody confirmed them.
    pub republished: u64,
    /// Messages of which members here were told `gap`.
    pub missing: u64,
    /// Questions for missing messages.
    pub wants: u64,
    /// Messages sent to servers that missed them.
    pub repaired: u64,
    /// Envelopes of servers that do not live, as far as is known.
    pub stale: u64,
    /// Envelopes that the bus threw away.
    pub dropped: u64,
    /// Sends whose id was used for another text.
    pub id_reused: u64,
    /// Joins and sends beyond a limit.
    pub overloaded: u64,
    /// Sends behind a join that was refused.
    pub not_joined: u64,
    /// What other servers said that is not believed, or is more than is taken of it.
    pub refused: Refused,
}

/// Words of other servers that are beyond a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Signs of life of servers beyond [`super::limits::PEERS_MAX`].
    pub peers: u64,
    /// Numbers that a stream cannot have come to.
    pub jumps: u64,
    /// Lists that are longer than any server says, or out of order.
    pub lists: u64,
    /// Rooms that others want to be held, beyond [`super::limits::HOLDS_PER_SECOND`] or the most of rooms: they ask others.
    pub rooms: u64,
    /// Questions beyond [`super::limits::REPAIR_BYTES_PER_TURN`]: they come again.
    pub questions: u64,
}

/// Whether the bus carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BusState {
    /// Not now, and that is no wonder: it is being connected.
    Pausing { until: Instant },
    /// It does.
    Carries { since: Instant },
    /// It does not: this server is by itself.
    Broken,
}

/// Who could confirm what is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Another server, or it is too early to tell.
    Among,
    /// Nobody, since this is the only server.
    Alone,
    /// Nobody, and it cannot be told whether there are others: most lanes are away.
    Isolated,
}

/// All rooms of a server.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    rooms: Slab<Room>,
    joins: JoinQueue,
    /// Rooms whose history is kept encoded; it may name some twice, or that are gone.
    encoded: VecDeque<RoomId>,
    encoded_bytes: usize,
    by_name: HashMap<Arc<str>, RoomId, FixedState>,
    peers: Peers,
    agenda: BTreeSet<(Instant, RoomId)>,
    /// Rooms without members, by since when.
    empty: BTreeSet<(Instant, RoomId)>,
    started: Instant,
    alive_due: Instant,
    beat_answers: Bucket,
    /// When it began to run, or ran again after it had stood still.
    resumed: Instant,
    bus: BusState,
    standing: Standing,
    /// Since when a majority of lanes has carried without a pause.
    majority_since: Option<Instant>,
    /// Clients were told that nothing is acknowledged.
    has_told_degraded: bool,
    /// When rooms are handed over next; `None`: the server stays.
    handover_due: Option<Instant>,
    /// Rooms whose subscription was confirmed, to be asked for.
    fresh: VecDeque<RoomId>,
    /// Rooms to be asked for because something may have been missed, whether those who have them are to tell their users
    /// too, and when the next are asked for.
    sync: Range<usize>,
    sync_greets: bool,
    sync_due: Option<Instant>,
    /// Rooms for which members wait that have seen more of them, and of which something was heard since they were looked at.
    behind: BTreeSet<RoomId>,
    /// Rooms that others are to be asked for on behalf of those members.
    unknown: Vec<RoomId>,
    /// What others are told of this server's clients.
    load: Option<u32>,
    /// Bytes that all rings hold.
    ring_bytes: usize,
    rooms_made: u32,
    paces: Paces,
    /// New rooms that the bus does not hear yet, in the order of their turns.
    unheard: VecDeque<RoomId>,
    /// Rooms that go when it is their turn.
    ending: VecDeque<RoomId>,
    /// What has to be done in every room.
    sweeps: VecDeque<Sweep>,
    /// Rooms in which that was done in this turn.
    swept: usize,
    presence_version: u64,
    dirty: Vec<RoomId>,
    /// Holes that were passed over in this turn.
    gaps_passed: usize,
    /// Rooms that owe a [`Word::Have`].
    owing: Vec<RoomId>,
    digests: Vec<RoomDigest>,
    /// Bytes of messages that were sent in this turn to servers that miss them.
    repair_bytes: usize,
    effects: VecDeque<Effect>,
    counts: Counts,
    scratch: Vec<u8>,
}

impl Hub {
    /// A hub without rooms, and without a bus until [`Hub::handle_bus_state`] says otherwise.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            rooms: Slab::new(),
            joins: JoinQueue::new(settings.reactors, settings.seed),
            encoded: VecDeque::new(),
            encoded_bytes: 0,
            by_name: HashMap::with_hasher(FixedState::with_seed(settings.seed)),
            peers: Peers::default(),
            agenda: BTreeSet::new(),
            empty: BTreeSet::new(),
            started: now,
            alive_due: now,
            beat_answers: Bucket::new(words::BEAT_ANSWERS, now),
            resumed: now,
            bus: BusState::Pausing { until: now + settings.limits.bus_start },
            standing: Standing::Among,
            majority_since: None,
            has_told_degraded: false,
            handover_due: None,
            fresh: VecDeque::new(),
            sync: 0..0,
            sync_greets: false,
            sync_due: None,
            behind: BTreeSet::new(),
            unknown: Vec::new(),
            load: Some(0),
            ring_bytes: 0,
            rooms_made: 0,
            paces: Paces::new(now),
            unheard: VecDeque::new(),
            ending: VecDeque::new(),
            sweeps: VecDeque::new(),
            swept: 0,
            presence_version: 0,
            dirty: Vec::new(),
            gaps_passed: 0,
            owing: Vec::new(),
            digests: Vec::new(),
            repair_bytes: 0,
            effects: VecDeque::new(),
            counts: Counts::default(),
            scratch: Vec::new(),
            settings,
        }
    }

    /// What a client of a reactor wants.
    pub fn handle_ask(&mut self, member: Member, ask: Ask, now: Now) {
        self.carry_out(member, ask, now);
    }

    /// A reactor has taken answers to joins from its mailbox, of so many bytes together.
    pub fn handle_answers_taken(&mut self, reactor: usize, bytes: usize) {
        self.joins.note_mail_taken(reactor, bytes);
    }

    /// How many clients the server has; `None`: it takes no more, since it leaves.
    pub fn handle_load(&mut self, load: Option<u32>, now: Now) {
        if self.load.is_some() && load.is_none() {
            self.begin_handover(now);
        }
        self.load = load;
    }

    /// What the bus brings.
    pub fn handle_bus(&mut self, event: BusEvent, now: Now) {
        match event {
            BusEvent::Received(envelope) => self.hear(envelope, now),
            BusEvent::Subscribed(room) => {
                let Some(&id) = self.by_name.get(&room) else { return };
                if let Some(fetch) = &mut self.room_mut(id).fetch {
                    fetch.note_subscribed();
                    self.fresh.push_back(id);
                }
            }
            BusEvent::Lost if is_on(Mutant::NoSyncOnLost) => {}
            BusEvent::Lost => self.sync_all(false, now),
            BusEvent::Dropped(count) => self.counts.dropped += count,
        }
    }

    /// How many lanes carry. Told first in every turn, so that a time in which this server stood still is noticed before
    /// anything is judged by it.
    pub fn handle_bus_state(&mut self, carrying: Carrying, now: Now) {
        self.excuse_stall(now);
        self.note_majority(carrying, now);
        match (self.bus, carrying.is_any()) {
            (BusState::Carries { .. }, true) | (BusState::Broken, false) => {}
            (BusState::Pausing { until }, false) if now.instant < until => {}
            (BusState::Carries { .. }, false) => {
                self.bus = BusState::Pausing { until: now.instant + self.limits().bus_pause };
                self.sweep(Task::PauseFetch, now);
            }
            (_, true) => {
                self.bus = BusState::Carries { since: now.instant };
                self.alive_due = now.instant;
                self.fresh.clear();
                self.sweep(Task::FetchAnew, now);
                self.sync_all(true, now);
            }
            (BusState::Pausing { .. }, false) => self.bus = BusState::Broken,
        }
        self.update_standing(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.pass_time(now);
    }

    /// Hands on what the turn gathered: one notice per room and reactor, one envelope per room.
    pub fn finish_turn(&mut self, now: Now) {
        self.repair_bytes = 0;
        self.gaps_passed = 0;
        self.make_rooms_heard(now);
        self.ask_for_rooms(now);
        self.let_forerunners_in(now);
        self.answer_joins(now);
        let mut dirty = mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            let Some(room) = self.rooms.get_mut(id.0 as usize) else { continue };
            room.is_dirty = false;
            self.hand_on(id, now);
        }
        self.dirty = dirty;
        self.confirm_to_others();
        let digests = mem::take(&mut self.digests);
        self.publish_digests(0, &digests);
    }

    /// The next thing for the shell to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Hub::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Instant {
        let agenda = self.agenda.first().map(|(at, _)| *at);
        let settled = match self.bus {
            BusState::Carries { since } if !self.fresh.is_empty() => {
                let settled = since + self.settings.settle;
                Some(self.peers.new_until(self.limits()).map_or(settled, |until| settled.max(until)))
            }
            BusState::Pausing { until } => Some(until),
            _ => None,
        };
        let suspected = self.peers.suspect_due(self.limits());
        let joins = self.joins.is_due().then_some(self.started);
        let sweeps = self.sweeps.front().map(|_| self.started);
        [agenda, joins, sweeps, self.rooms_due(), self.sync_due, settled, suspected, self.handover_due]
            .into_iter()
            .flatten()
            .fold(self.alive_due, Instant::min)
    }

    /// What it may keep, wait for and repeat.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Tells other servers that this one ends, once [`Hub::is_handed_over`].
    pub fn leave(&mut self, now: Now) {
        self.say_alive(true, now);
    }

    /// What was counted since the last call.
    pub fn take_counts(&mut self) -> Counts {
        mem::take(&mut self.counts)
    }

    /// Every room.
    pub fn rooms(&self) -> impl ExactSizeIterator<Item = &Room> {
        self.rooms.iter().map(|(_, room)| room)
    }

    /// The other servers.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    fn ids(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.iter().map(|(id, _)| RoomId(id as u32))
    }

    fn room(&self, id: RoomId) -> &Room {
        &self.rooms[id.0 as usize]
    }

    fn room_mut(&mut self, id: RoomId) -> &mut Room {
        &mut self.rooms[id.0 as usize]
    }

    /// Lets a room's ring grow, within what all of them may hold together.
    fn with_ring<T>(&mut self, id: RoomId, change: impl FnOnce(&mut Room) -> T) -> T {
        let room = &mut self.rooms[id.0 as usize];
        let limits = &self.settings.limits;
        self.ring_bytes -= room.ring_bytes();
        let outcome = change(room);
        room.trim_streams(|origin| self.peers.is_known(origin));
        if self.ring_bytes + room.ring_bytes() > limits.rings_bytes {
            room.shrink_ring(limits.ring_bytes_short);
        }
        self.ring_bytes += room.ring_bytes();
        outcome
    }

    /// Adds a frame to what the members of a room are sent at the end of the turn.
    fn gather(&mut self, id: RoomId, frame: &ServerMessage<'_>) {
        let room = &mut self.rooms[id.0 as usize];
        if room.members() == 0 {
            return;
        }
        let is_enough = room.gather(frame, &mut self.scratch);
        self.mark_dirty(id);
        if is_enough {
            self.deliver(id);
        }
    }

    fn gather_heard(&mut self, id: RoomId, heard: Heard) {
        self.counts.heard += heard.shown.len() as u64;
        self.counts.duplicates += heard.known;
        let name = Arc::clone(&self.room(id).name);
        for entry in heard.shown {
            self.gather(id, &message_frame(&name, entry.stream, entry.seq, &entry.message));
        }
    }

    fn mark_dirty(&mut self, id: RoomId) {
        if !mem::replace(&mut self.room_mut(id).is_dirty, true) {
            self.dirty.push(id);
        }
    }

    /// Sends what was gathered for a room to the reactors that have members, and what was said here to the bus.
    fn hand_on(&mut self, id: RoomId, now: Now) {
        self.deliver(id);
        let room = self.room_mut(id);
        let may_wait = room.outgoing_due.is_some_and(|due| due > now.instant);
        if !may_wait && let Some((first, messages)) = room.take_outgoing() {
            let own = room.own();
            let witness = self.witness(id, 0).unwrap_or(0);
            self.publish_messages(id, own, first, witness, &messages);
        }
    }

    fn deliver(&mut self, id: RoomId) {
        let room = &mut self.rooms[id.0 as usize];
        if let Some((frames, messages)) = room.take_frames() {
            for reactor in (0..room.here.len()).filter(|&reactor| room.here[reactor] > 0) {
                let frames = Bytes::clone(&frames);
                self.effects.push_back(Effect::Tell(reactor, Notice::Deliver { room: id, frames, messages }));
            }
        }
    }

    fn publish_messages(
        &mut self,
        id: RoomId,
        stream: StreamId,
        first: u64,
        witness: u64,
        messages: &[Arc<Message>],
    ) {
        let mut first_seq = first;
        for part in split(messages, |message| message.weight()) {
            let (room, messages) = (Arc::clone(&self.room(id).name), part.into());
            self.publish(Word::Messages { room, stream, first_seq, witness, messages });
            first_seq += part.len() as u64;
        }
    }

    /// Tells servers that wait for it what is kept here.
    fn confirm_to_others(&mut self) {
        let mut by_server: BTreeMap<u64, Vec<Position>> = BTreeMap::new();
        for id in mem::take(&mut self.owing) {
            let Some(room) = self.rooms.get_mut(id.0 as usize) else { continue };
            for (to, stream) in mem::take(&mut room.owes_have) {
                let Some(span) = room.claim(stream) else { continue };
                let position = Position { room: Arc::clone(&room.name), span };
                by_server.entry(to).or_default().push(position);
                // Perhaps only the two have it.
                room.reopen_takeover(Some(to));
            }
        }
        for (to, positions) in by_server {
            for part in split(&positions, |position| position.room.len() + 32) {
                self.publish(Word::Have { to, positions: part.into() });
            }
        }
    }

    fn publish_digests(&mut self, to: u64, digests: &[RoomDigest]) {
        for part in split(digests, |digest| digest.room.len() + 16 + digest.spans.len() * 32) {
            self.publish(Word::Digest { to, rooms: part.into() });
        }
    }

    fn publish(&mut self, word: Word) {
        self.effects.push_back(Effect::Publish(Envelope { origin: self.settings.incarnation, word }));
    }

    fn say_alive(&mut self, is_leaving: bool, now: Now) {
        let name = Arc::clone(&self.settings.name);
        let load = self.load;
        let limits = Arc::clone(&self.settings.limits);
        let beat = self.peers.next_beat(now.instant, &limits);
        let echoes = self.peers.echoes().into();
        let age_ms = now.instant.saturating_duration_since(self.started).as_millis() as u64;
        self.publish(Word::Alive { name, beat, age_ms, lanes: 0, is_leaving, load, echoes });
    }

    /// The server that is to confirm what is said in a room: a replica, another after each that did not; one that leaves
    /// only where no other is.
    fn witness(&self, id: RoomId, tries: usize) -> Option<u64> {
        let replicas = self.replicas(id);
        let stays = |server: &&u64| !self.peers.is_draining(**server);
        let count = replicas.iter().filter(stays).count();
        let turn = id.0 as usize + if is_on(Mutant::SameWitness) { 0 } else { tries };
        match turn.checked_rem(count) {
            Some(turn) => replicas.iter().filter(stays).nth(turn).copied(),
            None => replicas.get(turn.checked_rem(replicas.len())?).copied(),
        }
    }

    /// Other servers that hold a room and answer in time.
    fn replicas(&self, id: RoomId) -> SmallVec<[u64; 8]> {
        let responsive: SmallVec<[u64; 8]> = self.peers.responsive().collect();
        self.room(id).presence.holders().filter(|origin| responsive.contains(origin)).collect()
    }

    /// Something changed in the room: its next look is at the earliest of what waits in it, and those who are ahead of it are
    /// looked at when the turn ends.
    fn reschedule(&mut self, id: RoomId) {
        if self.room(id).forerunners.is_some() {
            self.behind.insert(id);
        }
        let at = self.room(id).next_due();
        let due = self.room_mut(id).due.replace(at);
        if due != Some(at) {
            due.map(|due| self.agenda.remove(&(due, id)));
            self.agenda.insert((at, id));
        }
    }

    fn tell_degraded(&mut self, degraded: bool) {
        let frame = ServerMessage::Degraded { degraded }.to_frame();
        for reactor in 0..self.settings.reactors {
            let frame = Bytes::clone(&frame);
            self.effects.push_back(Effect::Tell(reactor, Notice::Everyone { frame }));
        }
    }
}

/// Consecutive parts of about [`ENVELOPE_BYTES_SOFT`].
fn split<T>(items: &[T], weight: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, item) in items.iter().enumerate() {
        let weight = weight(item);
        if bytes + weight > ENVELOPE_BYTES_SOFT && index > start {
            parts.push(&items[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += weight;
    }
    parts.extend(Some(&items[start..]).filter(|rest| !rest.is_empty()));
    parts
}

fn strs(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

fn error_frame(code: ErrorCode, message: &str, room: &str, id: Option<&str>) -> Bytes {
    ServerMessage::Error { code: code.name(), message, room: Some(room), id }.to_frame()
}

#[cfg(test)]
#[path = "hub_tests.rs"]
pub(super) mod tests;
