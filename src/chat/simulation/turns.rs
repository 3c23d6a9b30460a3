//! A server's turn, in the order and with the budget of `app::backplane`, and what its effects lead to.

use std::sync::Arc;

use super::client::Told;
use super::frame::{self, Frame, Place};
use super::oracle::Said;
use super::story::Check;
use super::world::{Event, World};
use crate::chat::hub::Effect;
use crate::chat::{BusEvent, Message, Notice};
use crate::wire::Envelope;
use crate::wire::envelope::Word;

/// Turns that one moment may take: more would be a hub that never rests.
const TURNS_MAX: usize = 20_000;

impl World {
    pub fn turn(&mut self, server: usize) {
        for _ in 0..TURNS_MAX {
            let carrying = self.network.carrying(server, self.now);
            self.servers[server].begin_turn(carrying, self.now);
            for _ in 0..self.plan.budget {
                let Some(event) = self.network.poll_event(server, self.now) else { break };
                self.note_hearing(server, &event);
                self.servers[server].hear(event, self.now);
            }
            self.servers[server].finish_turn(self.now);
            self.carry_out(server);
            let has_more = self.servers[server].has_asks() || self.network.has_event(server);
            if !has_more || !self.servers[server].is_alive() {
                return;
            }
        }
        panic!("server {server} never rests");
    }

    /// All effects of a turn, or those before its death.
    pub fn carry_out(&mut self, server: usize) {
        let (mut count, mut had_any) = (0, false);
        while let Some(effect) = self.servers[server].poll_effect() {
            had_any = true;
            if self.servers[server].dies_after.is_some_and(|last| count >= last) {
                break;
            }
            count += 1;
            match effect {
                Effect::Tell(reactor, notice) => self.tell(server, reactor, notice),
                Effect::Subscribe(room) => self.network.subscribe(server, room, self.now),
                Effect::Unsubscribe(room) => {
                    self.network.unsubscribe(server, &room);
                    self.note_given_up(server, &room);
                }
                Effect::Publish(envelope) => self.publish(server, envelope),
            }
        }
        if had_any && self.servers[server].dies_after.take().is_some() {
            self.story
                .tell(self.now, None, || format!("server {server} dies after {count} effects of a turn"));
            self.bury(server, true);
            self.reach.note_death(self.now);
        }
    }

    fn publish(&mut self, server: usize, envelope: Envelope) {
        match &envelope.word {
            Word::Messages { stream, first_seq, messages, .. } => {
                for (seq, message) in (*first_seq..).zip(messages.iter()) {
                    let text = frame::number(&message.text);
                    if stream.origin == envelope.origin && self.oracle.note_place((*stream, seq), text) {
                        self.oracle.hold(text, server);
                        self.note_late_retry(server, text);
                        self.story.tell(self.now, Some(text), || {
                            format!("server {server} publishes {text} as {stream} {seq}")
                        });
                    }
                }
            }
            Word::Have { .. } => self.check_have(server, &envelope.word),
            Word::Want { to, room, spans, .. } => {
                let to = self.server_of(*to);
                let tell = || format!("server {server} asks {to} for {spans:?} of {room}");
                self.story.tell(self.now, None, tell);
            }
            Word::Repair { to, room, entries, lacks, expired, .. } => {
                let to = self.server_of(*to);
                let seqs: Vec<_> = entries.iter().map(|entry| entry.seq).collect();
                let tell =
                    || format!("server {server} sends {to} {seqs:?} of {room}, not {lacks:?} or {expired:?}");
                self.story.tell(self.now, None, tell);
            }
            _ => {}
        }
        self.network.publish(server, envelope, self.now);
    }

    /// What a server is about to hear it stores, if it has not gone past it.
    fn note_hearing(&mut self, server: usize, event: &BusEvent) {
        let BusEvent::Received(Envelope { origin, word }) = event else { return };
        if !matches!(word, Word::Messages { .. } | Word::Repair { .. })
            || !self.servers[server].takes_for_live(*origin)
        {
            return;
        }
        match word {
            Word::Messages { room, stream, first_seq, messages, .. } => {
                let position = self.servers[server].position(room, *stream);
                for (seq, message) in (*first_seq..).zip(messages.iter()) {
                    self.note_heard(server, *origin, room, position, (*stream, seq), message);
                }
            }
            Word::Repair { to, room, entries, .. } if *to == self.servers[server].incarnation => {
                for entry in entries.iter() {
                    let position = self.servers[server].position(room, entry.stream);
                    let place = (entry.stream, entry.seq);
                    self.note_heard(server, *origin, room, position, place, &entry.message);
                }
            }
            _ => {}
        }
    }

    /// A retry that comes after every other ring has evicted the message is a new message to a server that was not there,
    /// or stood still, when it was sent first: docs/replication.md has the bound.
    fn note_late_retry(&mut self, server: usize, text: u64) {
        let said = self.oracle.get(text);
        let Some((_, before)) = said.places.split_last() else { return };
        let room = super::world::ROOMS[said.room];
        let is_kept = |place: &frame::Place| {
            self.live().into_iter().any(|other| other != server && self.servers[other].keeps(room, *place))
        };
        let is_late = !self.is_roomy() && !before.is_empty() && !before.iter().any(is_kept);
        self.oracle.get_mut(text).is_tainted |= is_late;
    }

    fn note_heard(
        &mut self,
        server: usize,
        origin: u64,
        room: &str,
        position: Option<u64>,
        place: frame::Place,
        message: &Message,
    ) {
        let text = frame::number(&message.text);
        let is_new = position.is_none_or(|position| position < place.1);
        let is_held = self.servers[server].room(room).is_some();
        if is_held && is_new {
            self.oracle.hold(text, server);
        }
        self.story.tell(self.now, Some(text), || {
            let from = self.servers.iter().position(|server| server.incarnation == origin);
            let (stream, seq) = place;
            format!("server {server} hears {text} as {stream} {seq} from {from:?}; it is at {position:?}")
        });
    }

    /// The server has dropped a room, and all that it held of it.
    fn note_given_up(&mut self, server: usize, name: &str) {
        let Some(room) = super::world::ROOMS.iter().position(|room| *room == name) else { return };
        self.oracle.give_up(room, server);
        self.story.tell(self.now, None, || format!("server {server} gives up {name}"));
    }

    fn tell(&mut self, server: usize, reactor: usize, notice: Notice) {
        match notice {
            Notice::Entered { connection, room, name, user, frame, .. } => {
                let frame = frame.concat();
                self.servers[server].note_answer(connection, frame.len(), self.now);
                if self.servers[server].enter(connection, room, name, user) {
                    let frames = Arc::new(frame::parse(&frame));
                    self.note_shown(server, &frames);
                    self.send_to_client(connection, &frames);
                }
            }
            Notice::Deliver { room, frames, .. } => {
                let members = self.servers[server].members(reactor, room);
                if !members.is_empty() {
                    let frames = Arc::new(frame::parse(&frames));
                    self.note_shown(server, &frames);
                    members.into_iter().for_each(|connection| self.send_to_client(connection, &frames));
                }
            }
            Notice::Reply { connection, frame } => {
                let frames = Arc::new(frame::parse(&frame));
                for frame in frames.iter() {
                    if let Frame::Ack { id, place } = frame {
                        self.check_ack(server, connection, id, *place);
                    }
                }
                self.send_to_client(connection, &frames);
            }
            Notice::Everyone { .. } | Notice::RoomMade { .. } => {}
            Notice::Refused { frame, .. } => {
                self.fail(Check::NoError, None, format!("a join was refused: {:?}", frame::parse(&frame)));
            }
        }
    }

    /// A server without a way to another shows what is not acknowledged: that is another promise.
    fn note_shown(&mut self, server: usize, frames: &[Frame]) {
        if !self.reach.is_apart(server, self.plan.leg_max(), self.now) {
            return;
        }
        for frame in frames {
            let shown = match frame {
                Frame::Message(shown) => std::slice::from_ref(shown),
                Frame::Joined { history, .. } => &history[..],
                _ => &[],
            };
            for shown in shown {
                let said: &mut Said = self.oracle.get_mut(shown.text);
                said.is_tainted |= said.promised != Some(shown.place);
            }
        }
    }

    fn send_to_client(&mut self, connection: u64, frames: &Arc<Vec<Frame>>) {
        let Some(person) = self.lines.get(&connection).and_then(|client| self.clients.get(client)) else {
            return;
        };
        match person.leg {
            0 => self.bring(connection, frames),
            leg => self.plan_in(leg, Event::ToClient { connection, frames: Arc::clone(frames) }),
        }
    }

    /// Frames arrive at a client.
    pub fn bring(&mut self, connection: u64, frames: &[Frame]) {
        let Some(&client) = self.lines.get(&connection) else { return };
        for frame in frames {
            let Some(person) = self.clients.get_mut(&client) else { return };
            for told in person.receive(connection, frame, self.now) {
                self.watch(client, connection, told);
            }
        }
    }

    fn watch(&mut self, client: usize, connection: u64, told: Told) {
        match told {
            Told::Joined { is_complete, came_back, before, waited } => {
                self.check_joined(client, connection, is_complete && came_back, waited);
                if came_back && !is_complete {
                    // What it has seen is not all known there, so an answer may stand above it.
                    let unacked = self.clients[&client].unacked.iter().map(|unacked| unacked.text);
                    unacked.for_each(|text| self.oracle.get_mut(text).floor = None);
                    self.check_incomplete(client, connection, &before);
                }
                self.after_joined(client, connection);
            }
            Told::Saw(shown) => {
                let text = shown.text;
                self.story.tell(self.now, Some(text), || format!("client {client} sees {text}: {shown:?}"));
                self.check_answer(&shown);
            }
            Told::Acked { text, place, waited } => {
                let (stream, seq) = place;
                self.story.tell(self.now, Some(text), || {
                    format!("client {client} is told that {text} is safe, {stream} {seq}")
                });
                let said = self.oracle.get_mut(text);
                said.is_acked = true;
                if !said.acked_places.contains(&place) {
                    said.acked_places.push(place);
                }
                self.check_quick_ack(text, waited);
            }
            Told::Gap { stream, first, last } => {
                self.story.tell(self.now, None, || {
                    format!("client {client} is told a gap: {stream} {first}..{last}")
                });
                (first..=last).for_each(|seq| self.check_gap(client, connection, (stream, seq)));
            }
            Told::Hole { stream, first, last } => {
                if !self.clients[&client].is_told_all && !self.is_roomy() {
                    // It knows that it misses something: the server did not know the stream when it came in.
                    self.not_owed(client, (first..=last).map(|seq| (stream, seq)));
                }
                self.oracle.holes.extend((first..=last).map(|seq| (client, (stream, seq))));
            }
            Told::Broken(check, what) => self.check_broken(client, connection, check, &what),
        }
    }

    fn not_owed(&mut self, client: usize, places: impl Iterator<Item = Place>) {
        for place in places {
            if let Some(text) = self.oracle.text_at(place) {
                self.oracle.get_mut(text).audience.remove(&client);
            }
        }
    }

    /// What it has said meanwhile is sent, and the line before this one is closed.
    fn after_joined(&mut self, client: usize, connection: u64) {
        let Some(person) = self.clients.get(&client) else { return };
        let line = person.lines.iter().find(|line| line.connection == connection);
        if !line.is_some_and(|line| line.has_unacked) {
            self.send_unacked(client);
        }
        let person = &self.clients[&client];
        let others = person.lines.iter().map(|line| line.connection).filter(|other| *other < connection);
        for other in others.collect::<Vec<_>>() {
            let wait = self.rng.u64(1..200);
            self.plan_in(wait, Event::Uncross { connection: other });
        }
    }
}
