//! All lanes of a server together: what its hub subscribes to and publishes goes in, what the others say comes out.
//!
//! The shell makes the connections that [`Lanes::poll_command`] asks for, hands in what they bring, and writes what
//! [`Lanes::take_output`] gives. In one turn it hands in bytes first and time last: an answer that has come is no silence.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::wire::envelope::{Target, Word};
use crate::wire::limits::ENVELOPE_BYTES_MAX;
use crate::wire::resp::Incoming;
use crate::wire::resp_command::Credentials;
use crate::wire::resp_reply::Reply;
use crate::wire::{Envelope, EnvelopeError};

use super::channel::Address;
use super::contract::{Command, Event, Notice, ROLES, Role, Settings};
use super::failure::Failure;
use super::lane::Lane;
use super::link::Link;
use super::parcel::Parcel;
use super::peers::{Peers, Sign};
use super::relay::{self, Relayer};
use super::rendezvous;
use super::rooms::Rooms;
use super::route::{self, Health};
use super::set::{LANES_MAX, LaneSet};
use super::status::{LaneStatus, Totals};
use super::subscriber::Heard;

/// Most notices that wait for the log; one more is not told.
const NOTICES_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Lanes {
    settings: Settings,
    lanes: Vec<Lane>,
    rooms: Rooms,
    peers: Peers,
    health: Health,
    /// What this server said last about itself; said again when its lanes change.
    alive: Option<Envelope>,
    /// What was left behind by a lane that failed.
    orphans: VecDeque<Parcel>,
    /// Counts what was sent to single servers, so that it takes turns with the lanes.
    turn: usize,
    /// By how much this server was late so far. Inside here all times are without that: a stall stops the clock.
    lag: Duration,
    now: Instant,
    /// What the shell said last that the time is.
    told: Instant,
    /// Rooms may have become certain.
    is_news: bool,
    /// Kept for its memory.
    encoded: Vec<u8>,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
    notices: VecDeque<Notice>,
    newly_dropped: u64,
    totals: Totals,
}

impl Lanes {
    /// Nothing is connected yet.
    ///
    /// # Panics
    /// Without a node, or with more than [`LANES_MAX`].
    pub fn new(settings: Settings, now: Instant) -> Self {
        let count = settings.nodes.len();
        assert!((1..=LANES_MAX).contains(&count), "there are 1 to {LANES_MAX} nodes");
        let lanes = settings.nodes.iter().enumerate();
        let lanes =
            lanes.map(|(index, node)| Lane::new(node.clone(), index, count, settings.seed, now)).collect();
        Self {
            lanes,
            rooms: Rooms::new(count),
            peers: Peers::new(count),
            health: Health::default(),
            alive: None,
            orphans: VecDeque::new(),
            turn: 0,
            lag: Duration::ZERO,
            now,
            told: now,
            is_news: false,
            encoded: Vec::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            notices: VecDeque::new(),
            newly_dropped: 0,
            totals: Totals::default(),
            settings,
        }
    }

    /// How many lanes are proven to deliver: this server received its own word on them a short time ago.
    pub fn proven(&self) -> usize {
        let age_max = self.settings.timings.canary_age_max;
        let is_proven = |lane: &Lane| lane.canary.is_some_and(|canary| canary + age_max > self.now);
        self.lanes.iter().filter(|lane| lane.is_open() && is_proven(lane)).count()
    }

    /// How each lane is.
    pub fn status(&self) -> Vec<LaneStatus> {
        self.lanes.iter().map(|lane| lane.status(self.now)).collect()
    }

    /// What all of them did together.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The room is to be heard. [`Event::Subscribed`] tells when it is.
    pub fn subscribe(&mut self, room: &Arc<str>) {
        for lane in self.rooms.insert(room).iter() {
            self.lanes[lane].subscriber.change(Address::Room(Arc::clone(room)), true);
        }
    }

    /// No longer.
    pub fn unsubscribe(&mut self, room: &Arc<str>) {
        for lane in self.rooms.remove(room).iter() {
            self.lanes[lane].subscriber.change(Address::Room(Arc::clone(room)), false);
        }
    }

    /// Sends an envelope where it belongs; with no lane up it is thrown away and counted.
    pub fn publish(&mut self, envelope: &Envelope, now: Instant) {
        let now = self.awake(now);
        if let Word::Alive { .. } = envelope.word {
            self.alive = Some(envelope.clone());
            return self.tell_alive(now);
        }
        let lanes = match envelope.target() {
            Target::All => route::for_all(self.health),
            Target::Room(room) => {
                route::for_room(&rendezvous::order(room, self.lanes.len()), self.health, &self.peers)
            }
            Target::Server(server) => {
                self.turn = self.turn.wrapping_add(1);
                let usable = route::for_all(self.health);
                let lane = route::for_server(self.peers.lanes_of(server), usable, self.turn);
                lane.into_iter().collect()
            }
        };
        self.send(envelope, lanes, now);
    }

    /// Says what this server said last about itself, with the lanes that are best for others to reach it.
    fn tell_alive(&mut self, now: Instant) {
        let Some(mut alive) = self.alive.take() else { return };
        let best = route::for_all(self.health);
        if let Word::Alive { lanes, .. } = &mut alive.word {
            *lanes = best.to_bits();
        }
        self.send(&alive, best, now);
        self.alive = Some(alive);
    }

    fn send(&mut self, envelope: &Envelope, lanes: LaneSet, now: Instant) {
        self.encoded.clear();
        envelope.encode(&mut self.encoded);
        if self.encoded.len() > ENVELOPE_BYTES_MAX || lanes.is_empty() {
            return self.drop_one();
        }
        let payload = Bytes::copy_from_slice(&self.encoded);
        let parcel = Parcel { to: envelope.target().into(), payload, tried: lanes };
        self.put(&parcel, lanes, now);
    }

    /// Publishes a parcel on these lanes. Whether any took it.
    fn put(&mut self, parcel: &Parcel, lanes: LaneSet, now: Instant) -> bool {
        let mut is_taken = false;
        for lane in lanes.iter() {
            is_taken |= self.lanes[lane].publish(parcel.clone(), now).is_ok();
        }
        if !is_taken {
            self.drop_one();
        }
        is_taken
    }

    fn drop_one(&mut self) {
        self.totals.dropped += 1;
        self.newly_dropped += 1;
    }

    /// A connection was made. `peer_address` is the node's, `local_address` ours, as the node sees it if nobody
    /// translates addresses between.
    pub fn handle_connected(
        &mut self,
        lane: usize,
        role: Role,
        peer_address: String,
        local_address: String,
        now: Instant,
    ) {
        let now = self.awake(now);
        let credentials = self.settings.credentials.as_ref();
        let credentials = credentials.map(|(user, password)| Credentials { user, password });
        link(&mut self.lanes[lane], role).handle_connected(local_address, credentials, now);
        let is_same = |other: &Lane| {
            other.publisher.link.is_in_use() && other.peer_address.as_ref() == Some(&peer_address)
        };
        let mut others = self.lanes.iter().enumerate().filter(|(index, _)| *index != lane);
        if let Some(other) = others.find(|(_, other)| is_same(other)).map(|(index, _)| index) {
            self.notice(Notice::SameNode { lane, other, address: peer_address.clone() });
        }
        self.lanes[lane].peer_address = Some(peer_address);
    }

    /// A connection was not made, or has ended.
    pub fn handle_closed(&mut self, lane: usize, role: Role, reason: String, now: Instant) {
        let now = self.awake(now);
        if !link(&mut self.lanes[lane], role).is_resting() {
            self.fail(lane, role, reason.into(), now);
            self.settle(now);
        }
    }

    /// A connection brought these bytes. Returns how many of them are dealt with; the rest has to be handed in again
    /// with what comes next.
    pub fn handle_bytes(&mut self, lane: usize, role: Role, bytes: &[u8], now: Instant) -> usize {
        let now = self.awake(now);
        if !link(&mut self.lanes[lane], role).is_in_use() {
            // The shell has not closed it yet.
            return bytes.len();
        }
        let mut at = 0;
        while at < bytes.len() {
            let failure = match link(&mut self.lanes[lane], role).parser.next(&bytes[at..]) {
                Ok(None) => break,
                Ok(Some((length, Incoming::Message { payload, .. }))) => {
                    at += length;
                    self.receive(lane, payload, now);
                    None
                }
                Ok(Some((length, Incoming::Reply(reply)))) => {
                    at += length;
                    self.handle_reply(lane, role, reply, now)
                }
                Err(error) => Some(format!("it says what cannot be understood: {error}").into()),
            };
            if let Some(failure) = failure {
                self.fail(lane, role, failure, now);
                at = bytes.len();
            }
        }
        self.settle(now);
        at
    }

    /// A connection has more to read than was read in this turn.
    pub fn handle_unread(&mut self, lane: usize, role: Role, now: Instant) {
        let now = self.awake(now);
        link(&mut self.lanes[lane], role).excuse(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.awake(now);
        let timings = self.settings.timings;
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].is_found_deaf(now, &timings) {
                let reason = format!("it did not bring back what we said for {:?}", timings.canary_age_max);
                self.lanes[lane].mark_deaf();
                ROLES.into_iter().for_each(|role| self.fail(lane, role, reason.clone().into(), now));
            }
            for role in ROLES {
                if let Some(failure) = link(&mut self.lanes[lane], role).handle_timeout(now, &timings) {
                    self.fail(lane, role, failure, now);
                }
                let link = link(&mut self.lanes[lane], role);
                if link.dial(now, &timings) {
                    let hint = link.take_hint();
                    self.commands.push_back(Command::Connect { lane, role, hint });
                }
            }
        }
        self.peers.expire(timings.peer_silence_max, now);
        self.settle(now);
    }

    /// When [`Lanes::handle_timeout`] is next to be called.
    pub fn poll_timeout(&self) -> Instant {
        self.deadline() + self.lag
    }

    /// What the shell is to do next.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// What the hub is to know next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| {
            let count = std::mem::take(&mut self.newly_dropped);
            (count > 0).then_some(Event::Dropped(count))
        })
    }

    /// What the log is to know next.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// What is to be written to a connection, once a turn.
    pub fn take_output(&mut self, lane: usize, role: Role, now: Instant) -> Vec<u8> {
        let now = self.awake(now);
        let lane = &mut self.lanes[lane];
        if role == Role::Subscriber {
            lane.subscriber.pump(&lane.channels, now);
        }
        std::mem::take(&mut link(lane, role).out)
    }

    /// How late it is is not held against the nodes: after a stall the clock in here goes on from the time at which
    /// something was to be done.
    fn awake(&mut self, now: Instant) -> Instant {
        // A turn has one time, and hands in many things: only the first can be late.
        if now == self.told {
            return self.now;
        }
        self.told = now;
        let now = now.checked_sub(self.lag).unwrap_or(now);
        let late = now.saturating_duration_since(self.deadline());
        self.lag += late;
        self.now = now.checked_sub(late).unwrap_or(now);
        self.now
    }

    fn deadline(&self) -> Instant {
        let lanes = self.lanes.iter().map(|lane| lane.poll_timeout(self.now, &self.settings.timings));
        lanes.chain(self.peers.next_expiry()).min().expect("there is a lane")
    }

    fn handle_reply(&mut self, lane: usize, role: Role, reply: Reply, now: Instant) -> Option<Failure> {
        let timings = self.settings.timings;
        let Lane { publisher, subscriber, channels, .. } = &mut self.lanes[lane];
        if role == Role::Publisher {
            return publisher.handle_reply(reply, now, &timings);
        }
        match subscriber.handle_reply(reply, channels, now, &timings) {
            Heard::Nothing => {}
            Heard::Greeted => {
                let rooms = self.rooms.of_lane(lane).cloned().map(Address::Room);
                let own = [Address::All, Address::Server(self.settings.incarnation)];
                subscriber.start(own.into_iter().chain(rooms), now, &timings);
            }
            Heard::Confirmed(Address::Room(room)) => {
                self.rooms.confirm(&room, lane);
                self.is_news = true;
            }
            Heard::Confirmed(_) => {}
            Heard::Fail(failure) => return Some(failure),
        }
        None
    }

    fn receive(&mut self, lane: usize, payload: &[u8], now: Instant) {
        self.lanes[lane].counts.received += 1;
        // In a room where this server speaks, most of what comes is its own.
        if Envelope::is_echo(payload, self.settings.incarnation) {
            return;
        }
        let envelope = match Envelope::parse(payload) {
            Ok(envelope) => envelope,
            Err(error) => return self.refuse(error),
        };
        let origin = envelope.origin;
        if let Word::Alive { name, beat, lanes, is_leaving, .. } = &envelope.word {
            if origin == self.settings.incarnation {
                return self.lanes[lane].handle_canary(now);
            }
            let lanes = LaneSet::from_bits(*lanes);
            let sign = Sign { origin, name: Arc::clone(name), beat: *beat, lanes, is_leaving: *is_leaving };
            let silence_max = self.settings.timings.peer_silence_max;
            self.peers.hear(lane, &sign, silence_max, now);
            if let Some((lane, peer)) = self.peers.unheard(origin, self.health.settled, silence_max, now) {
                self.notice(Notice::Unheard { lane, peer });
            }
        }
        if self.peers.is_split() {
            self.relay(lane, &envelope, payload, now);
        }
        self.events.push_back(Event::Received(envelope));
    }

    fn refuse(&mut self, error: EnvelopeError) {
        match error {
            EnvelopeError::Malformed => self.totals.malformed += 1,
            EnvelopeError::Version(_) => self.totals.foreign_version += 1,
            EnvelopeError::TooLarge(_) => self.totals.too_large += 1,
        }
        self.notice(Notice::Refused(error));
    }

    fn relay(&mut self, lane: usize, envelope: &Envelope, payload: &[u8], now: Instant) {
        let usable = match envelope.target() {
            Target::Room(room) => rendezvous::lanes_of(room, self.lanes.len()),
            // It comes on each of its origin's lanes.
            Target::All if self.first_common(envelope.origin) == Some(lane) => LaneSet::all(self.lanes.len()),
            Target::All | Target::Server(_) => return,
        };
        let relayer = Relayer { incarnation: self.settings.incarnation, healthy: self.health.healthy };
        let lanes = relay::lanes_for(relayer, envelope.origin, lane, usable, &self.peers);
        if lanes.is_empty() {
            return;
        }
        let parcel =
            Parcel { to: envelope.target().into(), payload: Bytes::copy_from_slice(payload), tried: lanes };
        if self.put(&parcel, lanes, now) {
            lanes.iter().for_each(|lane| self.lanes[lane].counts.relayed += 1);
        }
    }

    fn first_common(&self, origin: u64) -> Option<usize> {
        self.peers.lanes_of(origin)?.and(self.health.healthy).first()
    }

    fn notice(&mut self, notice: Notice) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push_back(notice);
        }
    }

    fn fail(&mut self, lane: usize, role: Role, failure: Failure, now: Instant) {
        let timings = self.settings.timings;
        if link(&mut self.lanes[lane], role).is_resting() {
            return;
        }
        match role {
            Role::Publisher => {
                let orphans = self.lanes[lane].fail_publisher(failure, now, &timings);
                self.orphans.extend(orphans);
            }
            Role::Subscriber => {
                self.lanes[lane].fail_subscriber(failure, now, &timings);
                self.rooms.lose(lane);
            }
        }
        self.commands.push_back(Command::Close { lane, role });
    }

    /// Draws the conclusions from what has changed.
    fn settle(&mut self, now: Instant) {
        let timings = self.settings.timings;
        let (mut health, was) = (Health::default(), self.health);
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            if let Some(state) = lane.refresh(now, &timings).cloned() {
                let reason = lane.last_error().map(str::to_owned);
                self.notice(Notice::State { lane: index, state, reason });
            }
            let lane = &self.lanes[index];
            let set = |holds: bool| if holds { LaneSet::of(index) } else { LaneSet::EMPTY };
            health.open = health.open.or(set(lane.is_open()));
            health.healthy = health.healthy.or(set(lane.is_healthy()));
            health.settled = health.settled.or(set(lane.is_settled(now, &timings)));
        }
        self.health = health;
        let (gone, come) = (was.open.without(health.open), health.open.without(was.open));
        come.iter().for_each(|lane| self.peers.forgive(lane, now));
        // What was said while a room had no lane at all was missed, too.
        if !gone.is_empty() || !come.is_empty() && self.rooms.is_any_unheard(was.open) {
            self.events.push_back(Event::Lost);
        }
        if std::mem::take(&mut self.is_news) || was.open != health.open {
            let certain = self.rooms.take_certain(health.open);
            self.events.extend(certain.into_iter().map(Event::Subscribed));
        }
        self.rescue(now);
        if was.healthy != health.healthy && !health.open.is_empty() {
            self.tell_alive(now);
        }
    }

    /// Sends on another lane what a dead one left behind, and a copy of what a suspect one does not confirm. When all
    /// are suspect, it is this server that is slow, and copies would make it slower.
    fn rescue(&mut self, now: Instant) {
        let Health { open, healthy, .. } = self.health;
        if !healthy.is_empty() {
            for lane in open.without(healthy).iter() {
                let copies = self.lanes[lane].publisher.copy_in_flight();
                self.orphans.extend(copies);
            }
        }
        let usable = route::for_all(self.health);
        for mut parcel in std::mem::take(&mut self.orphans) {
            let lane = match &parcel.to {
                Address::Room(room) => {
                    route::for_copy(&rendezvous::order(room, self.lanes.len()), usable, parcel.tried)
                }
                Address::Server(_) => usable.without(parcel.tried).first(),
                Address::All => None,
            };
            match lane {
                Some(lane) => {
                    parcel.tried.insert(lane);
                    if self.put(&parcel, LaneSet::of(lane), now) {
                        self.lanes[lane].counts.resent += 1;
                    }
                }
                // A copy is under way on each lane that there is.
                None if !parcel.tried.and(open).is_empty() => {}
                None => self.drop_one(),
            }
        }
    }
}

fn link(lane: &mut Lane, role: Role) -> &mut Link {
    match role {
        Role::Publisher => &mut lane.publisher.link,
        Role::Subscriber => &mut lane.subscriber.link,
    }
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
