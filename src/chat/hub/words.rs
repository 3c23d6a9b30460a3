//! What other servers say.

use std::sync::Arc;
use std::time::Duration;

use super::Hub;
use super::sweeps::Task;
use crate::chat::belief::{is_credible, is_credible_at_first};
use crate::chat::branches::{Branch, entered};
use crate::chat::limits::{BEAT_ANSWERS_PER_SECOND, ROSTER_MAX, SYNC_ROOMS_MAX};
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::peers::{Beat, News};
use crate::chat::rate::{Rate, Verdict};
use crate::chat::ring::Stamp;
use crate::chat::room::Begin;
use crate::chat::stream::Stream;
use crate::chat::{Message, Now, RoomId};
use crate::wire::envelope::{Echo, Position, RoomDigest, Span, Word};
use crate::wire::{Envelope, StreamId};

pub(super) const BEAT_ANSWERS: Rate =
    Rate { per_second: BEAT_ANSWERS_PER_SECOND, burst: BEAT_ANSWERS_PER_SECOND };

impl Hub {
    pub(super) fn hear(&mut self, envelope: Envelope, now: Now) {
        let Envelope { origin, word } = envelope;
        if origin == self.settings.incarnation {
            return;
        }
        if let Word::Alive { name, beat, age_ms, is_leaving, load, echoes, .. } = word {
            let is_ours = |echo: &&Echo| echo.to == self.settings.incarnation;
            let echo = echoes.iter().find(is_ours).map_or(0, |echo| echo.beat);
            let age = Duration::from_millis(age_ms);
            return self.hear_alive(Beat { origin, name: &name, beat, age, echo, is_leaving, load }, now);
        }
        // A word of a server that does not answer was under way for long. If it was worth hearing, those who live repair it.
        if !self.peers.is_live(origin) && !is_on(Mutant::BelieveTheDead) {
            entered(Branch::StaleDropped);
            self.counts.stale += 1;
            return;
        }
        match word {
            Word::Messages { room, stream, first_seq, witness, messages } => {
                self.hear_messages(origin, &room, stream, first_seq, witness, &messages, now);
            }
            Word::Presence { room, version, is_held, users, names } => {
                let Some(id) = self.held(&room) else { return };
                let names = self
                    .believe_list(names.as_deref().map_or(0, <[_]>::len), ROSTER_MAX)
                    .then_some(names)
                    .flatten();
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
            Word::Want { to, room, question, spans } if self.is_for_us(to) => {
                self.supply(origin, &room, question, &spans);
            }
            Word::Repair { to, room, question, entries, places, lacks, expired } if self.is_for_us(to) => {
                self.hear_repair(origin, &room, question, (&entries, &places), [&lacks, &expired], now);
            }
            Word::Have { to, positions } if self.is_for_us(to) => {
                positions.iter().for_each(|position| self.hear_have(origin, position, now));
            }
            Word::Hold { to, room } if self.is_for_us(to) => self.hold(&room, now),
            // For another server: the bus need not tell them apart.
            _ => {}
        }
    }

    /// Whether a stream can have come to that number. If not, it is counted.
    pub(super) fn believe(&mut self, id: RoomId, stream: StreamId, seq: u64, now: Now) -> bool {
        let known = self.room(id).gap_of(stream);
        let is_believed = known.map_or(is_credible_at_first(seq), |known| {
            let is_first = known.known() == 0;
            is_first && is_credible_at_first(seq)
                || is_credible(seq, known.known(), known.changed, now.instant, self.limits())
        });
        self.counts.refused.jumps += u64::from(!is_believed);
        is_believed
    }

    /// Whether a list is as long as servers say it. If not, it is counted.
    fn believe_list(&mut self, items: usize, max: usize) -> bool {
        self.counts.refused.lists += u64::from(items > max);
        items <= max
    }

    fn is_for_us(&self, to: u64) -> bool {
        to == 0 || to == self.settings.incarnation
    }

    /// A late word may be about a room that was given up.
    pub(super) fn held(&self, room: &Arc<str>) -> Option<RoomId> {
        self.by_name.get(room).copied()
    }

    fn hear_alive(&mut self, sign: Beat<'_>, now: Now) {
        let limits = Arc::clone(&self.settings.limits);
        match self.peers.hear(sign, now.instant, &limits) {
            // It learns of us at once, and not only at our next beat.
            News::Met => self.answer_alive(now),
            News::New => {
                self.answer_alive(now);
                if sign.age > limits.newcomer_age {
                    self.sync_all(true, now);
                }
                self.sweep(Task::TurnToOthers, now);
                self.sweep(Task::Unpark(sign.origin), now);
            }
            News::Returned => {
                entered(Branch::Returned);
                self.answer_alive(now);
                if !is_on(Mutant::NoSyncOnReturn) {
                    self.sync_all(true, now);
                }
                self.sweep(Task::TurnToOthers, now);
                self.sweep(Task::Unpark(sign.origin), now);
            }
            News::Drains => {
                entered(Branch::Drained);
                self.sweep(Task::TurnToOthers, now);
            }
            News::Left => {
                entered(Branch::Left);
                self.sweep(Task::EndLease(sign.origin), now);
            }
            News::Stale => self.counts.stale += 1,
            News::Refused => self.counts.refused.peers += 1,
            // Every sign comes by each lane.
            News::Old | News::Renewed => {}
        }
    }

    /// Another server learns of us at once, and not only at our next beat. Not each of very many.
    fn answer_alive(&mut self, now: Now) {
        if self.beat_answers.take(BEAT_ANSWERS, now.instant) == Verdict::Allowed {
            self.alive_due = now.instant;
        }
    }

    pub(super) fn unpark(&mut self, id: RoomId, server: u64, now: Now) {
        if self.room(id).has_gap() {
            self.room_mut(id).unpark(server, now.instant);
            self.reschedule(id);
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
        let last = first_seq.saturating_add(messages.len() as u64);
        if !self.believe(id, stream, last, now) {
            return;
        }
        // A client's retry at another server brings back what this one appended: it is asked to confirm that, as any replica.
        let foreign = if stream == self.room(id).own() { &[] } else { messages };
        self.begin_if_new(id, stream, origin, now);
        for (seq, message) in (first_seq..).zip(foreign) {
            let heard = self.with_ring(id, |room| room.hear(stream, seq, message, origin, now));
            self.gather_heard(id, heard);
        }
        if witness == self.settings.incarnation {
            self.owe_have(id, origin, stream);
        }
        self.reschedule(id);
    }

    pub(super) fn owe_have(&mut self, id: RoomId, to: u64, stream: StreamId) {
        let room = self.room_mut(id);
        if room.owes_have.is_empty() {
            self.owing.push(id);
        }
        let room = self.room_mut(id);
        if !room.owes_have.contains(&(to, stream)) {
            room.owes_have.push((to, stream));
        }
    }

    /// Tells every server that lives what is held here of its streams: it may wait for that.
    pub(super) fn owe_all(&mut self, id: RoomId) {
        let streams: Vec<_> = self.room(id).streams().iter().map(|stream| stream.id).collect();
        for stream in streams {
            if self.peers.is_live(stream.origin) {
                self.owe_have(id, stream.origin, stream);
            }
        }
    }

    /// Every room that is asked for is in the answer, also one that is not held here.
    fn answer_sync(&mut self, origin: u64, is_fresh: bool, rooms: &[Arc<str>], now: Now) {
        self.believe_list(rooms.len(), SYNC_ROOMS_MAX);
        let rooms = &rooms[..rooms.len().min(SYNC_ROOMS_MAX)];
        let mut digests = Vec::with_capacity(rooms.len());
        for room in rooms {
            let id = self.held(room);
            let spans = id.map_or_else(Vec::new, |id| self.room(id).digest(None));
            let time = id.map_or(0, |id| self.room(id).newest());
            digests.push(RoomDigest { room: Arc::clone(room), is_held: id.is_some(), time, spans });
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
        if !is_answer && is_on(Mutant::NoDigest) {
            return;
        }
        let room = self.room_mut(id);
        if is_answer || digest.is_held {
            room.presence.hear_held(origin, digest.is_held);
        }
        if is_answer && digest.is_held {
            room.note_takeover(origin, &digest.spans);
        }
        self.room_mut(id).note_time(digest.time);
        for span in &digest.spans {
            if !self.believe(id, span.stream, span.last.max(span.first), now) {
                continue;
            }
            let begin = self.beginning_of(id, span.stream, origin);
            let heard = self.with_ring(id, |room| room.announce(*span, origin, begin, now));
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

    /// Where a stream begins of which a server tells: `trim_streams` may have forgotten those of servers that are gone.
    fn beginning_of(&self, id: RoomId, stream: StreamId, teller: u64) -> Begin {
        let room = self.room(id);
        let is_newest =
            |known: &Stream| known.id.origin != stream.origin || known.id.generation <= stream.generation;
        let is_learned = room.fetch.as_deref().is_none_or(|fetch| fetch.has_answered(stream.origin));
        if is_learned && self.peers.is_known(stream.origin) && room.streams().iter().all(is_newest) {
            Begin::AtOne
        } else if stream.origin == teller || !self.peers.is_responsive(stream.origin) {
            Begin::AtTold
        } else {
            Begin::Later
        }
    }

    /// What arrives first of a stream that its origin began meanwhile may be any message of it.
    pub(super) fn begin_if_new(&mut self, id: RoomId, stream: StreamId, teller: u64, now: Now) {
        let is_new = !self.room(id).has_heard_of(stream);
        let is_new = is_new && !is_on(Mutant::BeginAtArrival);
        if is_new && self.beginning_of(id, stream, teller) == Begin::AtOne {
            self.room_mut(id).begin_at_one(stream, now);
        }
    }

    fn hear_have(&mut self, origin: u64, Position { room, span }: &Position, now: Now) {
        let Some(id) = self.held(room) else { return };
        let Span { stream, first, last } = *span;
        let room = self.room_mut(id);
        let own = room.own();
        if stream == own {
            let last = room.position(own).unwrap_or(0).min(last);
            if room.unconfirmed.first().is_some_and(|waiting| waiting < first) {
                room.unconfirmed.note_rejection(origin, own, first);
            }
            self.confirm(id, Span { last, ..*span });
        } else {
            let is_rejected = |stamp: &Stamp| stamp.stream == stream && stamp.seq < first;
            if room.unconfirmed.retries().any(|retry| is_rejected(&retry.stamp)) {
                room.unconfirmed.note_rejection(origin, stream, first);
            }
            self.confirm_retries(id, *span);
        }
        self.resolve_rejected(id, now);
        self.reschedule(id);
    }

    /// Another server has members in a room and nobody else to hold it.
    fn hold(&mut self, name: &Arc<str>, now: Now) {
        let Some(id) = self.held(name).or_else(|| self.make_held_room(name, now)) else {
            // It asks another one.
            self.counts.refused.rooms += 1;
            return;
        };
        let hold_time = self.limits().hold_time;
        let room = self.room_mut(id);
        room.held_until = Some(now.instant + hold_time);
        if room.is_open() {
            self.note_presence(id, true, now);
        }
        self.reschedule(id);
    }
}
