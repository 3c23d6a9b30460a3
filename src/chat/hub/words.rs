//! What other servers say.

use std::sync::Arc;

use super::{Hub, split};
use crate::chat::limits::{HOLD_TIME, NEWCOMER_AGE_MAX};
use crate::chat::peers::News;
use crate::chat::{Message, Now, RoomId};
use crate::wire::envelope::{Entry, Position, RoomDigest, Span, Word};
use crate::wire::{Envelope, ServerMessage, StreamId};

impl Hub {
    pub(super) fn hear(&mut self, envelope: Envelope, now: Now) {
        let Envelope { origin, word } = envelope;
        if origin == self.settings.incarnation {
            return;
        }
        if let Word::Alive { name, sent_ms, is_leaving, load, .. } = word {
            return self.hear_alive(origin, &name, sent_ms, is_leaving, load, now);
        }
        // A word of somebody who does not live was under way for long. If it was worth hearing, those who live repair it.
        if !self.peers.is_live(origin) {
            self.counts.stale += 1;
            return;
        }
        match word {
            Word::Messages { room, stream, first_seq, witness, messages } => {
                self.hear_messages(origin, &room, stream, first_seq, witness, &messages, now);
            }
            Word::Presence { room, version, is_held, users, names } => {
                let Some(id) = self.held(&room) else { return };
                if self.room_mut(id).presence.hear(origin, version, is_held, users, names) {
                    self.note_presence(id, false, now);
                }
                if !is_held {
                    self.seek_holder(id, 0);
                }
                self.reschedule(id);
            }
            Word::Typing { room, user } => {
                if let Some(id) = self.held(&room) {
                    self.gather_typing(id, &room, &user);
                }
            }
            Word::Sync { is_fresh, rooms } => self.answer_sync(origin, is_fresh, &rooms, now),
            Word::Digest { to, rooms } if self.is_for_us(to) => {
                rooms.iter().for_each(|digest| self.hear_digest(origin, to != 0, digest, now));
            }
            Word::Want { to, room, spans } if self.is_for_us(to) => self.supply(origin, &room, &spans),
            Word::Repair { to, room, entries, lacks } if self.is_for_us(to) => {
                self.hear_repair(origin, &room, &entries, &lacks, now);
            }
            Word::Have { to, positions } if self.is_for_us(to) => {
                positions.iter().for_each(|position| self.hear_have(position));
            }
            Word::Hold { to, room } if self.is_for_us(to) => self.hold(&room, now),
            // For another server: the bus need not tell them apart.
            _ => {}
        }
    }

    fn is_for_us(&self, to: u64) -> bool {
        to == 0 || to == self.settings.incarnation
    }

    /// A late word may be about a room that was given up.
    fn held(&self, room: &Arc<str>) -> Option<RoomId> {
        self.by_name.get(room).copied()
    }

    fn hear_alive(
        &mut self,
        origin: u64,
        name: &Arc<str>,
        sent_ms: u64,
        is_leaving: bool,
        load: Option<u32>,
        now: Now,
    ) {
        // The incarnation begins with the time of the start, by the same clock as the stamp.
        let age_ms = sent_ms.saturating_sub(origin >> 22);
        let news = self.peers.hear(origin, name, sent_ms, is_leaving, now);
        if news != News::Stale {
            self.peers.note_load(origin, load);
        }
        match news {
            News::New => {
                // It learns of us at once, and not only at our next beat.
                self.alive_due = now.instant;
                if u128::from(age_ms) > NEWCOMER_AGE_MAX.as_millis() {
                    self.sync_all(true, now);
                }
                self.ids().for_each(|id| self.seek_holder(id, 0));
            }
            News::Returned => {
                self.alive_due = now.instant;
                self.sync_all(true, now);
            }
            News::Left => self.end_lease(origin, now),
            News::Stale => self.counts.stale += 1,
            News::Renewed => {}
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one word")]
    fn hear_messages(
        &mut self,
        origin: u64,
        room: &Arc<str>,
        stream: StreamId,
        first_seq: u64,
        witness: u64,
        messages: &[Arc<Message>],
        now: Now,
    ) {
        let Some(id) = self.held(room) else { return };
        if stream == self.room(id).own() {
            return;
        }
        for (seq, message) in (first_seq..).zip(messages) {
            let heard = self.with_ring(id, |room| room.hear(stream, seq, message, origin, now));
            self.gather_heard(id, heard);
        }
        if witness == self.settings.incarnation {
            self.owe_have(id, origin, stream);
        }
        self.reschedule(id);
    }

    fn owe_have(&mut self, id: RoomId, to: u64, stream: StreamId) {
        let room = self.room_mut(id);
        if room.owes_have.is_empty() {
            self.owing.push(id);
        }
        let room = self.room_mut(id);
        if !room.owes_have.contains(&(to, stream)) {
            room.owes_have.push((to, stream));
        }
    }

    /// Every room that is asked for is in the answer, also one that is not held here.
    fn answer_sync(&mut self, origin: u64, is_fresh: bool, rooms: &[Arc<str>], now: Now) {
        let mut digests = Vec::with_capacity(rooms.len());
        for room in rooms {
            let id = self.held(room);
            let spans = id.map_or_else(Vec::new, |id| self.room(id).digest(None));
            digests.push(RoomDigest { room: Arc::clone(room), is_held: id.is_some(), spans });
            let Some(id) = id else { continue };
            self.room_mut(id).presence.hear_held(origin, true);
            if is_fresh {
                self.note_presence(id, true, now);
                self.reschedule(id);
            }
        }
        self.publish_digests(origin, &digests);
    }

    fn hear_digest(&mut self, origin: u64, is_answer: bool, digest: &RoomDigest, now: Now) {
        let Some(id) = self.held(&digest.room) else { return };
        let room = self.room_mut(id);
        if is_answer || digest.is_held {
            room.presence.hear_held(origin, digest.is_held);
        }
        for span in &digest.spans {
            let heard = self.with_ring(id, |room| room.announce(*span, origin, now));
            self.gather_heard(id, heard);
        }
        let room = self.room_mut(id);
        if is_answer && let Some(fetch) = &mut room.fetch {
            fetch.answered(origin);
        }
        if is_answer && let Some(forerunners) = &mut room.forerunners {
            forerunners.strike_off(origin);
        }
        self.open_if_fetched(id, now);
        self.reschedule(id);
    }

    /// Sends what another server misses, in parts, and says what is not here either.
    fn supply(&mut self, to: u64, room: &Arc<str>, wanted: &[Span]) {
        let (entries, lacks) = match self.held(room) {
            Some(id) => self.room(id).supply(wanted),
            None => (Vec::new(), wanted.to_vec()),
        };
        self.counts.repaired += entries.len() as u64;
        for part in split(&entries, |entry: &Entry| entry.message.weight()) {
            let (room, entries) = (Arc::clone(room), part.into());
            self.publish(Word::Repair { to, room, entries, lacks: Arc::new([]) });
        }
        for part in split(&lacks, |_| size_of::<Span>()) {
            let (room, lacks) = (Arc::clone(room), part.into());
            self.publish(Word::Repair { to, room, entries: Arc::new([]), lacks });
        }
    }

    fn hear_repair(&mut self, origin: u64, room: &Arc<str>, entries: &[Entry], lacks: &[Span], now: Now) {
        let Some(id) = self.held(room) else { return };
        let own = self.room(id).own();
        for Entry { stream, seq, message } in entries.iter().filter(|entry| entry.stream != own) {
            let heard = self.with_ring(id, |room| room.hear(*stream, *seq, message, origin, now));
            self.gather_heard(id, heard);
            // It may be the one that waits for a second holder.
            if stream.origin != self.settings.incarnation && self.peers.is_live(stream.origin) {
                self.owe_have(id, stream.origin, *stream);
            }
        }
        lacks.iter().for_each(|span| self.room_mut(id).lack(*span, origin));
        self.pass_over_gaps(id, lacks.iter().map(|span| span.stream).collect(), now);
        self.open_if_fetched(id, now);
        self.reschedule(id);
    }

    /// Whoever lives and may have messages of a stream: the server that said them, and those that hold the room.
    pub(super) fn can_be_asked(&self, id: RoomId, stream: StreamId) -> Vec<u64> {
        let mut servers = vec![stream.origin];
        servers.extend(self.room(id).presence.holders().filter(|holder| *holder != stream.origin));
        servers.retain(|server| self.peers.is_live(*server));
        servers
    }

    /// Marks what nobody has, and tells members so.
    pub(super) fn pass_over_gaps(&mut self, id: RoomId, streams: Vec<StreamId>, now: Now) {
        for stream in streams {
            let servers = self.can_be_asked(id, stream);
            let outcome = self.with_ring(id, |room| room.give_up(stream, &servers, now));
            let Some(((first, last), heard)) = outcome else { continue };
            if self.room(id).is_open() {
                self.counts.missing += last + 1 - first;
                let room = Arc::clone(&self.room(id).name);
                self.gather(id, &ServerMessage::Gap { room: &room, stream, first, last });
            }
            self.gather_heard(id, heard);
        }
    }

    fn hear_have(&mut self, Position { room, stream, last }: &Position) {
        let Some(id) = self.held(room) else { return };
        let room = self.room(id);
        if *stream == room.own() {
            let last = room.position(*stream).unwrap_or(0).min(*last);
            self.confirm(id, last);
        } else {
            self.confirm_retries(id, *stream, *last);
        }
        self.reschedule(id);
    }

    /// Another server has members in a room and nobody else to hold it.
    fn hold(&mut self, name: &Arc<str>, now: Now) {
        let Some(id) = self.held(name).or_else(|| self.make_room(name, now)) else {
            // It asks another one.
            self.counts.overloaded += 1;
            return;
        };
        let room = self.room_mut(id);
        room.held_until = Some(now.instant + HOLD_TIME);
        if room.is_open() {
            self.note_presence(id, true, now);
        }
        self.reschedule(id);
    }
}
