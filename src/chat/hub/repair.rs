//! What is missing: NACKs for holes, answers to those of other servers, and what becomes of a hole that nobody fills.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Hub, split};
use crate::chat::belief::are_in_order;
use crate::chat::limits::{GAPS_PASSED_MAX, REPAIR_BYTES_PER_TURN, WANT_SPANS_MAX};
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::room::{Room, Supply};
use crate::chat::stream::{Lack, Question, Verdict};
use crate::chat::{Now, RoomId};
use crate::wire::envelope::{Entry, SamePlaces, Span, Word};
use crate::wire::{ServerMessage, StreamId};

impl Hub {
    /// Asks for what is missing: first the server that appended it, then the one that told of it, then all that hold the
    /// room; when those lack it, everybody else that lives, at once.
    pub(super) fn look_at_gaps(&mut self, id: RoomId, now: Now) {
        let due: Vec<_> = self.room_mut(id).due_gaps(now.instant).map(|stream| stream.id).collect();
        if due.is_empty() {
            return;
        }
        self.judge_gaps(id, due, now);
        let limits = Arc::clone(&self.settings.limits);
        let round_trip = self.peers.shortest_round_trip(&limits);
        let wanted: Vec<_> = self
            .room_mut(id)
            .due_gaps(now.instant)
            .filter_map(|stream| Some((stream.id, stream.want(round_trip, now.instant, &limits)?)))
            .collect();
        for (stream, question) in wanted {
            for to in self.to_be_asked(id, stream, &question) {
                self.counts.wants += 1;
                self.publish_want(id, to, &question);
            }
        }
    }

    /// Which servers are asked in that attempt.
    fn to_be_asked(&self, id: RoomId, stream: StreamId, question: &Question) -> Vec<u64> {
        let Question { attempt, announcer, .. } = *question;
        let room = self.room(id);
        let may_have = |server: &u64| {
            self.peers.is_live(*server) && room.gap_of(stream).is_some_and(|gap| !gap.is_lacked_by(*server))
        };
        let mut likely = vec![stream.origin];
        likely.extend([announcer].into_iter().filter(|server| *server != stream.origin));
        let holders = room.presence.holders().filter(|holder| !likely.contains(holder)).collect::<Vec<_>>();
        likely.extend(holders);
        likely.retain(may_have);
        match attempt.checked_rem(likely.len()) {
            Some(turn) => vec![likely[turn]],
            None => self.peers.live().filter(may_have).collect(),
        }
    }

    fn publish_want(&mut self, id: RoomId, to: u64, question: &Question) {
        if is_on(Mutant::NoNack) {
            return;
        }
        for spans in split(&question.spans, |_| size_of::<Span>()) {
            let (room, spans) = (Arc::clone(&self.room(id).name), spans.into());
            self.publish(Word::Want { to, room, question: question.number, spans });
        }
    }

    /// Sends what another server misses, in parts, and says what is not here either.
    pub(super) fn supply(&mut self, to: u64, room: &Arc<str>, question: u64, wanted: &[Span]) {
        if wanted.len() > WANT_SPANS_MAX || !are_in_order(wanted) {
            self.counts.refused.lists += 1;
            return;
        }
        if self.repair_bytes > REPAIR_BYTES_PER_TURN {
            self.counts.refused.questions += 1;
            return;
        }
        let supply = match self.held(room) {
            Some(id) => self.room(id).supply(wanted),
            None => Supply { lacks: wanted.to_vec(), ..Supply::default() },
        };
        let Supply { entries, lacks, expired } = supply;
        self.counts.repaired += entries.len() as u64;
        self.repair_bytes += entries.iter().map(|entry| entry.message.weight()).sum::<usize>();
        let repair = |entries: &[Entry], places: &[SamePlaces], lacks: &[Span], expired: &[Span]| {
            let (entries, places) = (entries.into(), places.into());
            let (lacks, expired) = (lacks.into(), expired.into());
            Word::Repair { to, room: Arc::clone(room), question, entries, places, lacks, expired }
        };
        for part in split(&entries, |entry: &Entry| entry.message.weight()) {
            let places = self.held(room).map(|id| self.room(id).places_of(part)).unwrap_or_default();
            self.publish(repair(part, &places, &[], &[]));
        }
        for part in split(&lacks, |_| size_of::<Span>()) {
            self.publish(repair(&[], &[], part, &[]));
        }
        for part in split(&expired, |_| size_of::<Span>()) {
            self.publish(repair(&[], &[], &[], part));
        }
    }

    /// Another server has sent what it has of what was missing, and says what it has not.
    pub(super) fn hear_repair(
        &mut self,
        origin: u64,
        room: &Arc<str>,
        question: u64,
        (entries, places): (&[Entry], &[SamePlaces]),
        [lacks, expired]: [&[Span]; 2],
        now: Now,
    ) {
        let Some(id) = self.held(room) else { return };
        let own = self.room(id).own();
        // Before the messages: a ring that is full forgets the places of what it evicts.
        places.iter().for_each(|same| self.room_mut(id).note_places(*same));
        for Entry { stream, seq, message } in entries.iter().filter(|entry| entry.stream != own) {
            if !self.believe(id, *stream, *seq, now) {
                continue;
            }
            self.begin_if_new(id, *stream, origin, now);
            let heard = self.with_ring(id, |room| room.hear(*stream, *seq, message, origin, now));
            self.gather_heard(id, heard);
            // It may be the one that waits for a replica's ack.
            if stream.origin != self.settings.incarnation && self.peers.is_live(stream.origin) {
                self.owe_have(id, stream.origin, *stream);
            }
        }
        for (spans, is_expired) in [(lacks, false), (expired, true)] {
            for Span { stream, first, last } in spans.iter().copied() {
                let lack = Lack { server: origin, first, last, is_expired, question };
                self.room_mut(id).lack(stream, lack, now.instant);
            }
        }
        let streams: BTreeSet<_> = lacks.iter().chain(expired).map(|span| span.stream).collect();
        self.judge_gaps(id, streams.into_iter().collect(), now);
        self.open_if_fetched(id, now);
        self.reschedule(id);
    }

    /// Parks holes that nobody who lives can fill, and passes over those that retention has taken everywhere: members are
    /// told of the latter.
    pub(super) fn judge_gaps(&mut self, id: RoomId, streams: Vec<StreamId>, now: Now) {
        let live: Vec<_> = self.peers.live().collect();
        let may_come = self.may_any_come(now);
        let mut left = GAPS_PASSED_MAX;
        for stream in streams {
            // Servers answer for all that is missing, so one hole after the other may be decided.
            while left > 0 {
                left -= 1;
                let judge = |room: &mut Room| room.judge(stream, &live, may_come, now);
                let (Verdict::Expired { first, last, is_told }, heard) = self.with_ring(id, judge) else {
                    break;
                };
                if is_told && self.room(id).is_open() {
                    self.counts.missing += last + 1 - first;
                    let room = Arc::clone(&self.room(id).name);
                    self.gather(id, &ServerMessage::Gap { room: &room, stream, first, last });
                }
                self.gather_heard(id, heard);
            }
        }
    }
}
