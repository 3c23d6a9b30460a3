//! The server's one place where rooms are: every message gets its order here, also one between two members of the
//! same reactor, so that all members of a server see one order.
//!
//! Pure. In a turn the shell calls [`Hub::handle_ask`], [`Hub::handle_bus`] and [`Hub::handle_timeout`] in any order,
//! then [`Hub::finish_turn`] once, then [`Hub::poll_effect`] until it has none.

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;

use super::bus::{BusEvent, Envelope};
use super::limits::{
    ALIVE_INTERVAL, ENVELOPE_MESSAGES_MAX, PRESENCE_DELIVERIES_PER_SECOND, PRESENCE_INTERVAL,
    PRESENCE_INTERVAL_MAX, PRESENCE_REFRESH, RING_BYTES_MIN, RINGS_BYTES_MAX, ROOMS_MAX, ROSTER_MAX,
};
use super::peers::Peers;
use super::room::{Heard, Room, Stamp, message_frame};
use super::{Ask, Member, Notice, Now, RoomId};
use crate::wire::client_message::{ErrorCode, Since};
use crate::wire::server_message::Streams;
use crate::wire::{ServerMessage, StreamId};

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
}

/// What the hub counted since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that got their place here.
    pub said: u64,
    /// Messages of other servers.
    pub heard: u64,
    /// Retries of clients that were answered from the ring, and messages heard twice.
    pub duplicates: u64,
    /// Messages of other servers that never arrived.
    pub missing: u64,
    /// Envelopes that the bus threw away.
    pub dropped: u64,
    /// Sends whose id was used for another text.
    pub id_reused: u64,
    /// Joins beyond [`ROOMS_MAX`].
    pub overloaded: u64,
    /// Sends behind a join that was refused.
    pub not_joined: u64,
}

/// All rooms of a server.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    rooms: Slab<Room>,
    by_name: HashMap<Arc<str>, RoomId, FixedState>,
    peers: Peers,
    agenda: BTreeSet<(Instant, RoomId)>,
    /// Rooms without members, by since when.
    empty: BTreeSet<(Instant, RoomId)>,
    alive_due: Instant,
    /// Bytes that all rings hold.
    ring_bytes: usize,
    rooms_made: u32,
    presence_version: u64,
    dirty: Vec<RoomId>,
    effects: VecDeque<Effect>,
    counts: Counts,
    scratch: Vec<u8>,
}

impl Hub {
    /// A hub without rooms.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            rooms: Slab::new(),
            by_name: HashMap::with_hasher(FixedState::with_seed(settings.seed)),
            peers: Peers::default(),
            agenda: BTreeSet::new(),
            empty: BTreeSet::new(),
            alive_due: now,
            ring_bytes: 0,
            rooms_made: 0,
            presence_version: 0,
            dirty: Vec::new(),
            effects: VecDeque::new(),
            counts: Counts::default(),
            scratch: Vec::new(),
            settings,
        }
    }

    /// What a client of a reactor wants.
    pub fn handle_ask(&mut self, member: Member, ask: Ask, now: Now) {
        match ask {
            Ask::Join { room, user, visit, since } => {
                self.join(member, &room, &user, visit, since.as_ref(), now);
            }
            Ask::Send { room, user, id, text } => self.send(member, &room, user, id, text, now),
            Ask::Typing { room, user } => self.typing(&room, user),
            Ask::Leave { room, user } => self.leave(member, &room, &user, now),
        }
    }

    /// What other servers say.
    pub fn handle_bus(&mut self, event: BusEvent, now: Now) {
        let envelope = match event {
            BusEvent::Received(envelope) => envelope,
            BusEvent::Dropped(count) => {
                self.counts.dropped += count;
                return;
            }
        };
        let origin = envelope.origin();
        if origin == self.settings.incarnation {
            return;
        }
        let name = match &envelope {
            Envelope::Alive { name, .. } => Some(name),
            _ => None,
        };
        if self.peers.hear(origin, name, now.instant) {
            self.greet_everywhere();
        }
        // A late envelope for a room that was left.
        let Some(room) = envelope.room().and_then(|name| self.by_name.get(name)).copied() else { return };
        match envelope {
            Envelope::Messages { room: name, stream, first_seq, messages } => {
                for (seq, message) in (first_seq..).zip(messages.iter()) {
                    match self.with_ring(room, |room| room.hear(stream, seq, message, now)) {
                        Heard::New { missing } => {
                            self.counts.heard += 1;
                            self.counts.missing += missing;
                            self.gather(room, &message_frame(&name, stream, seq, message));
                        }
                        Heard::Duplicate => self.counts.duplicates += 1,
                    }
                }
            }
            Envelope::Presence { version, users, names, .. } => {
                if self.rooms[room.0 as usize].presence.hear(origin, version, users, names) {
                    self.note_presence(room, false, now);
                }
            }
            Envelope::Hello { .. } => self.note_presence(room, true, now),
            Envelope::Typing { room: name, user, .. } => self.gather_typing(room, &name, &user),
            Envelope::Alive { .. } => {}
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.peers.forgive(now.instant.saturating_duration_since(self.alive_due));
        if self.alive_due <= now.instant {
            self.alive_due = now.instant + ALIVE_INTERVAL;
            let (origin, name) = (self.settings.incarnation, Arc::clone(&self.settings.name));
            self.effects.push_back(Effect::Publish(Envelope::Alive { origin, name }));
            self.end_leases(now);
        }
        while let Some(&(at, room)) = self.agenda.first()
            && at <= now.instant
        {
            self.agenda.pop_first();
            self.rooms[room.0 as usize].due = None;
            self.look_at(room, now);
        }
    }

    /// Hands on what the turn gathered: one notice per room and reactor, one envelope per room.
    pub fn finish_turn(&mut self) {
        let mut dirty = mem::take(&mut self.dirty);
        for room in dirty.drain(..) {
            self.rooms[room.0 as usize].is_dirty = false;
            self.hand_on(room);
        }
        self.dirty = dirty;
    }

    /// The next thing for the shell to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Hub::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Instant {
        self.agenda.first().map_or(self.alive_due, |&(at, _)| at.min(self.alive_due))
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

    fn join(
        &mut self,
        member: Member,
        name: &Arc<str>,
        user: &Arc<str>,
        visit: u32,
        since: Option<&Since>,
        now: Now,
    ) {
        let Member { reactor, connection } = member;
        let Some(id) = self.room(name, now) else {
            self.counts.overloaded += 1;
            let message = format!("this server holds {ROOMS_MAX} rooms, as many as it may");
            let frame = error_frame(ErrorCode::Overloaded, &message, name, None);
            self.effects.push_back(Effect::Tell(reactor, Notice::Refused { connection, visit, frame }));
            return;
        };
        // What was said before belongs to those who were here before; the newcomer has it in its history.
        self.hand_on(id);
        let room = &mut self.rooms[id.0 as usize];
        room.here[reactor] += 1;
        if let Some(since) = room.empty_since.take() {
            self.empty.remove(&(since, id));
        }
        let is_new = room.presence.enter(user);
        let frame = joined_frame(room, user, since);
        let name = Arc::clone(&room.name);
        let user = Arc::clone(user);
        let entered = Notice::Entered { connection, visit, room: id, name, user, frame };
        self.effects.push_back(Effect::Tell(reactor, entered));
        if is_new {
            self.note_presence(id, true, now);
        }
    }

    fn send(&mut self, member: Member, name: &str, user: Arc<str>, id: Box<str>, text: Box<str>, now: Now) {
        let Member { reactor, connection } = member;
        let room_id = self.by_name.get(name).copied();
        let Some(room_id) = room_id.filter(|id| self.rooms[id.0 as usize].here[reactor] > 0) else {
            // The join before it was refused.
            self.counts.not_joined += 1;
            let frame = error_frame(ErrorCode::NotJoined, "join the room first", name, Some(&id));
            self.effects.push_back(Effect::Tell(reactor, Notice::Reply { connection, frame }));
            return;
        };
        let room = &mut self.rooms[room_id.0 as usize];
        let reply = match room.said_before(&user, &id) {
            Some((stamp, message)) if message.text == text => {
                self.counts.duplicates += 1;
                ack_frame(name, &id, stamp)
            }
            Some(_) => {
                self.counts.id_reused += 1;
                let message = "this id was used before with another text";
                error_frame(ErrorCode::IdReused, message, name, Some(&id))
            }
            None => {
                self.counts.said += 1;
                let (stamp, message) = self.with_ring(room_id, |room| room.say(user, id, text, now));
                self.gather(room_id, &message_frame(name, stamp.stream, stamp.seq, &message));
                ack_frame(name, &message.id, stamp)
            }
        };
        self.effects.push_back(Effect::Tell(reactor, Notice::Reply { connection, frame: reply }));
    }

    fn typing(&mut self, name: &str, user: Arc<str>) {
        let Some(&id) = self.by_name.get(name) else { return };
        self.gather_typing(id, name, &user);
        let room = Arc::clone(&self.rooms[id.0 as usize].name);
        let origin = self.settings.incarnation;
        self.effects.push_back(Effect::Publish(Envelope::Typing { room, origin, user }));
    }

    fn leave(&mut self, member: Member, name: &str, user: &Arc<str>, now: Now) {
        let id = *self.by_name.get(name).expect("a room with a member is there");
        let room = &mut self.rooms[id.0 as usize];
        room.here[member.reactor] -= 1;
        let was_last_of_name = room.presence.leave(user);
        if room.members() == 0 {
            room.empty_since = Some(now.instant);
            let end = room.end().unwrap_or(now.instant);
            self.empty.insert((now.instant, id));
            self.schedule(id, end);
        }
        if was_last_of_name {
            self.note_presence(id, true, now);
        }
    }

    /// The room of that name, made if there is none; `None` beyond [`ROOMS_MAX`].
    fn room(&mut self, name: &Arc<str>, now: Now) -> Option<RoomId> {
        if let Some(&id) = self.by_name.get(name) {
            return Some(id);
        }
        if self.rooms.len() == ROOMS_MAX {
            let &(_, longest_empty) = self.empty.first()?;
            self.drop_room(longest_empty);
        }
        let Settings { incarnation: origin, reactors, seed, .. } = self.settings;
        let own = StreamId { origin, generation: self.rooms_made };
        self.rooms_made += 1;
        let id = RoomId(self.rooms.insert(Room::new(Arc::clone(name), own, reactors, seed, now)) as u32);
        self.by_name.insert(Arc::clone(name), id);
        self.effects.push_back(Effect::Subscribe(Arc::clone(name)));
        self.effects.push_back(Effect::Publish(Envelope::Hello { room: Arc::clone(name), origin }));
        Some(id)
    }

    /// Lets a room's ring grow, within what all of them may hold together.
    fn with_ring<T>(&mut self, id: RoomId, change: impl FnOnce(&mut Room) -> T) -> T {
        let room = &mut self.rooms[id.0 as usize];
        self.ring_bytes -= room.ring_bytes();
        let outcome = change(room);
        if self.ring_bytes + room.ring_bytes() > RINGS_BYTES_MAX {
            room.shrink_ring(RING_BYTES_MIN);
        }
        self.ring_bytes += room.ring_bytes();
        outcome
    }

    /// Adds a frame to what the members of a room are sent at the end of the turn.
    fn gather(&mut self, id: RoomId, frame: &ServerMessage<'_>) {
        let room = &mut self.rooms[id.0 as usize];
        let is_enough = room.gather(frame, &mut self.scratch);
        if !mem::replace(&mut room.is_dirty, true) {
            self.dirty.push(id);
        }
        if is_enough {
            self.hand_on(id);
        }
    }

    fn gather_typing(&mut self, id: RoomId, room: &str, user: &str) {
        if self.rooms[id.0 as usize].members() as usize <= ROSTER_MAX {
            self.gather(id, &ServerMessage::Typing { room, user });
        }
    }

    /// The roster changed: it is told in this turn, or when enough time has passed since it was told last.
    fn note_presence(&mut self, id: RoomId, to_others: bool, now: Now) {
        let room = &mut self.rooms[id.0 as usize];
        room.owes_presence |= to_others;
        if room.presence_due.is_none() {
            let cost = Duration::from_secs(1) * room.members() / PRESENCE_DELIVERIES_PER_SECOND;
            let gap = cost.clamp(PRESENCE_INTERVAL, PRESENCE_INTERVAL_MAX);
            let at = room.presence_flushed.map_or(now.instant, |flushed| now.instant.max(flushed + gap));
            room.presence_due = Some(at);
            self.schedule(id, at);
        }
    }

    fn schedule(&mut self, id: RoomId, at: Instant) {
        let room = &mut self.rooms[id.0 as usize];
        match room.due {
            Some(due) if due <= at => return,
            Some(due) => drop(self.agenda.remove(&(due, id))),
            None => {}
        }
        room.due = Some(at);
        self.agenda.insert((at, id));
    }

    /// The room's time has come: for its roster, or for its end.
    fn look_at(&mut self, id: RoomId, now: Now) {
        let room = &mut self.rooms[id.0 as usize];
        let refresh = room.presence_told + PRESENCE_REFRESH;
        room.owes_presence |= refresh <= now.instant;
        if room.owes_presence && refresh <= now.instant
            || room.presence_due.is_some_and(|at| at <= now.instant)
        {
            self.tell_presence(id, now);
        }
        let room = &self.rooms[id.0 as usize];
        match room.end() {
            Some(end) if end <= now.instant && room.presence_due.is_none() => self.drop_room(id),
            end => {
                let refresh = room.presence_told + PRESENCE_REFRESH;
                // A room whose end has come waits for its last roster to be told.
                let end = end.filter(|end| *end > now.instant);
                let next = [room.presence_due, end].into_iter().flatten().fold(refresh, Instant::min);
                debug_assert!(next > now.instant, "or this would go on for ever");
                self.schedule(id, next);
            }
        }
    }

    fn tell_presence(&mut self, id: RoomId, now: Now) {
        let room = &mut self.rooms[id.0 as usize];
        room.presence_due = None;
        room.presence_flushed = Some(now.instant);
        if let Some(change) = room.presence.take_change()
            && room.members() > 0
        {
            let joined = change.names.as_ref().map(|names| strs(&names.joined));
            let left = change.names.as_ref().map(|names| strs(&names.left));
            let (users, joined, left) = (change.users, joined.as_deref(), left.as_deref());
            let name = Arc::clone(&room.name);
            self.gather(id, &ServerMessage::Presence { room: &name, users, joined, left });
        }
        let room = &mut self.rooms[id.0 as usize];
        if mem::take(&mut room.owes_presence) {
            room.presence_told = now.instant;
            self.presence_version += 1;
            let (users, names) = room.presence.own_word();
            let (room, origin, version) =
                (Arc::clone(&room.name), self.settings.incarnation, self.presence_version);
            let envelope = Envelope::Presence { room, origin, version, users, names };
            self.effects.push_back(Effect::Publish(envelope));
        }
    }

    fn drop_room(&mut self, id: RoomId) {
        self.hand_on(id);
        self.dirty.retain(|dirty| *dirty != id);
        let room = self.rooms.remove(id.0 as usize);
        self.ring_bytes -= room.ring_bytes();
        self.by_name.remove(&room.name);
        room.due.map(|due| self.agenda.remove(&(due, id)));
        room.empty_since.map(|since| self.empty.remove(&(since, id)));
        self.effects.push_back(Effect::Unsubscribe(room.name));
    }

    /// Sends what was gathered for a room to the reactors that have members, and what was said here to the bus.
    fn hand_on(&mut self, id: RoomId) {
        let room = &mut self.rooms[id.0 as usize];
        if let Some((frames, messages)) = room.take_frames() {
            for reactor in (0..room.here.len()).filter(|&reactor| room.here[reactor] > 0) {
                let frames = Bytes::clone(&frames);
                self.effects.push_back(Effect::Tell(reactor, Notice::Deliver { room: id, frames, messages }));
            }
        }
        if let Some((stream, first, messages)) = room.take_outgoing() {
            for (index, part) in messages.chunks(ENVELOPE_MESSAGES_MAX).enumerate() {
                self.effects.push_back(Effect::Publish(Envelope::Messages {
                    room: Arc::clone(&room.name),
                    stream,
                    first_seq: first + (index * ENVELOPE_MESSAGES_MAX) as u64,
                    messages: part.into(),
                }));
            }
        }
    }

    /// A server was given up and lives: its users are asked for anew.
    fn greet_everywhere(&mut self) {
        let origin = self.settings.incarnation;
        let rooms = self.rooms.iter().map(|(_, room)| Arc::clone(&room.name));
        self.effects.extend(rooms.map(|room| Effect::Publish(Envelope::Hello { room, origin })));
    }

    /// Servers not heard of for a while are gone, and their users with them.
    fn end_leases(&mut self, now: Now) {
        for origin in self.peers.take_ended(now.instant) {
            let affected: Vec<_> = self
                .rooms
                .iter_mut()
                .filter_map(|(id, room)| room.presence.forget(origin).then_some(RoomId(id as u32)))
                .collect();
            affected.into_iter().for_each(|id| self.note_presence(id, false, now));
        }
    }
}

fn strs(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

fn joined_frame(room: &Room, user: &Arc<str>, since: Option<&Since>) -> Bytes {
    let view = room.presence.view_for(user);
    let roster = view.names.as_deref().map(strs);
    let (entries, complete) = room.history(since);
    let history: Vec<_> = entries
        .iter()
        .map(|entry| message_frame(&room.name, entry.stream, entry.seq, &entry.message))
        .collect();
    let (users, roster, positions) = (view.users, roster.as_deref(), room.positions());
    let streams = Streams(&positions);
    ServerMessage::Joined { room: &room.name, users, roster, history: &history, complete, streams }.to_frame()
}

fn ack_frame(room: &str, id: &str, Stamp { stream, seq, time }: Stamp) -> Bytes {
    ServerMessage::Ack { room, id, stream, seq, time }.to_frame()
}

fn error_frame(code: ErrorCode, message: &str, room: &str, id: Option<&str>) -> Bytes {
    ServerMessage::Error { code: code.name(), message, room: Some(room), id }.to_frame()
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
