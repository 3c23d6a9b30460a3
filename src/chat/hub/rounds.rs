//! What time brings.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::sweeps::Task;
use super::{BusState, Hub, split, strs};
use crate::chat::branches::{Branch, entered};
use crate::chat::fetch::Fetch;
use crate::chat::limits::{
    FRESH_ROOMS_PER_TURN, PRESENCE_DELIVERIES_PER_SECOND, PRESENCE_INTERVAL, PRESENCE_INTERVAL_MAX,
    PRESENCE_REFRESH, ROOMS_DUE_PER_TURN, SYNC_ROOMS_MAX, SYNC_ROOMS_PER_STEP, SYNC_STEP,
};
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::room::Room;
use crate::chat::stream::Stream;
use crate::chat::unconfirmed::Retry;
use crate::chat::{Message, Now, RoomId};
use crate::wire::ServerMessage;
use crate::wire::envelope::{RoomDigest, Span, Word};

/// Envelopes in which what nobody confirmed is published again, at a time.
const REPUBLISHED_ENVELOPES_MAX: usize = 4;

impl Hub {
    pub(super) fn pass_time(&mut self, now: Now) {
        let limits = Arc::clone(&self.settings.limits);
        if self.alive_due <= now.instant {
            self.alive_due = now.instant + limits.alive_interval;
            self.say_alive(false, now);
            for origin in self.peers.take_ended(now.instant, &limits) {
                entered(Branch::LeaseEnded);
                self.sweep(Task::EndLease(origin), now);
            }
            self.update_standing(now);
        }
        if self.peers.take_suspects(now.instant, &limits) && !is_on(Mutant::NoSuspicion) {
            entered(Branch::Suspect);
            self.sweep(Task::TurnToOthers, now);
        }
        self.continue_handover(now);
        self.give_encoded_back(now);
        self.swept = 0;
        self.continue_sweeps(now);
        self.drop_ended_rooms(now);
        for _ in 0..ROOMS_DUE_PER_TURN {
            let Some(&(_, room)) = self.agenda.first().filter(|(at, _)| *at <= now.instant) else { break };
            self.agenda.pop_first();
            self.room_mut(room).due = None;
            self.look_at(room, now);
        }
    }

    /// Something of the room is due.
    fn look_at(&mut self, id: RoomId, now: Now) {
        self.look_at_fetch(id, now);
        self.look_at_forerunners(id, now);
        self.look_at_presence(id, now);
        self.look_at_gaps(id, now);
        self.look_at_unconfirmed(id, now);
        if let Some(spans) = self.room_mut(id).take_due_digest(now.instant) {
            let room = Arc::clone(&self.room(id).name);
            let time = self.room(id).newest();
            self.digests.push(RoomDigest { room, is_held: true, time, spans });
        }
        let room = self.room_mut(id);
        if room.outgoing_due.take_if(|due| *due <= now.instant).is_some() {
            self.mark_dirty(id);
        }
        if self.room(id).has_ended(now.instant) && !self.room(id).is_ending {
            self.end_room(id, now);
        }
        if self.rooms.contains(id.0 as usize) {
            self.reschedule(id);
            debug_assert!(self.room(id).due > Some(now.instant), "or this would go on for ever");
        }
    }

    fn look_at_fetch(&mut self, id: RoomId, now: Now) {
        let limits = Arc::clone(&self.settings.limits);
        let is_heard = self.room(id).is_heard;
        let Some(fetch) = &mut self.room_mut(id).fetch else { return };
        if !is_heard && fetch.is_over(now.instant) {
            // Its turn to be fetched has not come.
            fetch.pause(now.instant, &limits);
        }
        let is_over = fetch.is_over(now.instant);
        if fetch.is_due(now.instant) {
            fetch.wait(now.instant, &limits);
            self.fresh.push_back(id);
        }
        if is_over {
            entered(Branch::FetchTimedOut);
            self.open(id, now);
            self.seek_holder(id, 0);
        }
    }

    /// Opens a room of which everything was learned that others know.
    pub(super) fn open_if_fetched(&mut self, id: RoomId, now: Now) {
        let room = self.room(id);
        let is_suspect = |peer| !self.peers.is_responsive(peer);
        let is_answered = |fetch: &Fetch| fetch.is_answered_but_for(is_suspect);
        if room.fetch.as_deref().is_some_and(is_answered) && room.is_whole() {
            self.begin_streams(id, now);
            self.open(id, now);
            self.with_ring(id, Room::settle);
            self.room_mut(id).fetch = None;
            self.seek_holder(id, 0);
        }
    }

    /// Streams begin here whose origin has told where, or is not waited for; then it is told what is held of them.
    pub(super) fn begin_streams(&mut self, id: RoomId, now: Now) {
        if !self.room(id).streams().iter().any(Stream::is_about_to_begin) {
            return;
        }
        let responsive: SmallVec<[u64; 8]> = self.peers.responsive().collect();
        let fetch = self.room_mut(id).fetch.take();
        let has_told = |origin| fetch.as_deref().is_none_or(|fetch| fetch.has_answered(origin));
        let may_begin =
            |origin| !responsive.contains(&origin) || has_told(origin) || is_on(Mutant::BeginAtFirstAnswer);
        let heard = self.with_ring(id, |room| room.begin_streams(may_begin, now));
        self.room_mut(id).fetch = fetch;
        self.gather_heard(id, heard);
        self.owe_all(id);
    }

    /// Asks all servers for rooms that are new here, and for those of which something may have been missed.
    pub(super) fn ask_for_rooms(&mut self, now: Now) {
        if self.is_settled(now) {
            let count = self.fresh.len().min(FRESH_ROOMS_PER_TURN);
            let mut fresh: Vec<_> = self.fresh.drain(..count).collect();
            fresh.retain(|id| self.is_asked_for(*id));
            for &id in &fresh {
                let peers: Vec<_> = self.peers.live().collect();
                let (patience, limits) = (self.fetch_patience(), Arc::clone(&self.settings.limits));
                if let Some(fetch) = &mut self.room_mut(id).fetch {
                    fetch.ask(peers.into_iter(), patience, now.instant, &limits);
                }
                self.open_if_fetched(id, now);
                self.reschedule(id);
            }
            self.publish_sync(true, &fresh);
        }
        if self.sync_due.take_if(|due| *due <= now.instant).is_some() {
            let rooms = self.sync.start..self.sync.end.min(self.sync.start + SYNC_ROOMS_PER_STEP);
            let is_there = |index: &usize| self.rooms.contains(*index);
            let step: Vec<_> = rooms.clone().filter(is_there).map(|index| RoomId(index as u32)).collect();
            self.sync.start = rooms.end;
            self.publish_sync(self.sync_greets, &step);
            let wait = if self.sync.is_empty() { self.limits().sync_interval } else { SYNC_STEP };
            self.sync_due = Some(now.instant + wait);
            if rooms.is_empty() {
                self.sync_due = None;
                self.sync_greets = false;
            }
        }
    }

    /// Whether it is still there, and to be fetched.
    fn is_asked_for(&self, id: RoomId) -> bool {
        let room = self.rooms.get(id.0 as usize);
        room.is_some_and(|room| room.fetch.as_deref().is_some_and(Fetch::is_subscribed))
    }

    pub(super) fn publish_sync(&mut self, is_fresh: bool, ids: &[RoomId]) {
        if self.peers.live().next().is_none() {
            return;
        }
        for ids in ids.chunks(SYNC_ROOMS_MAX) {
            let rooms = ids.iter().map(|id| Arc::clone(&self.room(*id).name)).collect();
            self.publish(Word::Sync { is_fresh, rooms });
        }
    }

    /// Something may have been missed in any room.
    pub(super) fn sync_all(&mut self, is_fresh: bool, now: Now) {
        self.sync = 0..self.rooms.iter().next_back().map_or(0, |(last, _)| last + 1);
        self.sync_greets |= is_fresh;
        // Not at once after the last time: what broke may go on breaking.
        self.sync_due.get_or_insert(now.instant);
    }

    fn look_at_presence(&mut self, id: RoomId, now: Now) {
        let room = self.room_mut(id);
        let is_stale = room.presence_told + PRESENCE_REFRESH <= now.instant;
        room.owes_presence |= is_stale;
        if is_stale || room.presence_due.is_some_and(|at| at <= now.instant) {
            self.tell_presence(id, now);
        }
        if is_stale {
            self.renew_hold(id);
        }
    }

    /// The roster changed: it is told in this turn, or when enough time has passed since it was told last.
    pub(super) fn note_presence(&mut self, id: RoomId, to_others: bool, now: Now) {
        let room = self.room_mut(id);
        room.owes_presence |= to_others;
        if room.presence_due.is_none() {
            let cost = Duration::from_secs(1) * room.members() / PRESENCE_DELIVERIES_PER_SECOND;
            let gap = cost.clamp(PRESENCE_INTERVAL, PRESENCE_INTERVAL_MAX);
            let at = room.presence_flushed.map_or(now.instant, |flushed| now.instant.max(flushed + gap));
            room.presence_due = Some(at);
        }
        self.reschedule(id);
    }

    fn tell_presence(&mut self, id: RoomId, now: Now) {
        let room = self.room_mut(id);
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
        let room = self.room_mut(id);
        if mem::take(&mut room.owes_presence) {
            room.presence_told = now.instant;
            let (users, names) = room.presence.own_word();
            let room = Arc::clone(&room.name);
            self.presence_version += 1;
            let version = self.presence_version;
            self.publish(Word::Presence { room, version, is_held: true, users, names });
        }
    }

    fn look_at_unconfirmed(&mut self, id: RoomId, now: Now) {
        let limits = Arc::clone(&self.settings.limits);
        if self.room(id).unconfirmed.publish_due(&limits).is_some_and(|due| due <= now.instant) {
            self.repeat_unconfirmed(id, now);
        }
    }

    /// Who could confirm what is said, or hold a room, has changed: nobody waits for a server that is suspect or leaves.
    pub(super) fn turn_to_others(&mut self, id: RoomId, now: Now) {
        self.open_if_fetched(id, now);
        self.seek_holder(id, 0);
        if !self.room(id).unconfirmed.is_empty() {
            self.repeat_unconfirmed(id, now);
            self.reschedule(id);
        }
    }

    fn repeat_unconfirmed(&mut self, id: RoomId, now: Now) {
        if self.is_alone() {
            self.confirm_all(id);
            return;
        }
        let limits = Arc::clone(&self.settings.limits);
        let unconfirmed = &mut self.room_mut(id).unconfirmed;
        // Here, since repeats that others' lateness causes put off the next one, again and again.
        unconfirmed.forget_retries(now.instant, &limits);
        if unconfirmed.is_empty() {
            return;
        }
        let tries = unconfirmed.publish_again(now.instant, &limits);
        if self.bus == BusState::Broken {
            return;
        }
        self.counts.republished += 1;
        self.seek_holder(id, tries);
        self.publish_unconfirmed(id, tries);
        if !is_on(Mutant::RetriesNotRepeated) {
            self.publish_retries(id, tries);
        }
    }

    fn publish_unconfirmed(&mut self, id: RoomId, tries: usize) {
        let messages: Vec<Arc<Message>> = self.room(id).unconfirmed.messages().cloned().collect();
        let Some(first) = self.room(id).unconfirmed.first() else { return };
        let parts = split(&messages, |message| message.weight());
        let count = parts.iter().take(REPUBLISHED_ENVELOPES_MAX).map(|part| part.len()).sum();
        let witness = self.witness(id, tries).unwrap_or(0);
        self.publish_messages(id, self.room(id).own(), first, witness, &messages[..count]);
    }

    /// What another server had said, and a client sends again, is published for another witness.
    fn publish_retries(&mut self, id: RoomId, tries: usize) {
        let retries: Vec<_> = self.room(id).unconfirmed.retries().cloned().collect();
        let witness = self.witness(id, tries).unwrap_or(0);
        for Retry { stamp, message, .. } in retries {
            entered(Branch::RetryRepublished);
            self.publish_messages(id, stamp.stream, stamp.seq, witness, &[message]);
        }
    }

    /// Nobody is left to confirm anything: this server is the only one.
    pub(super) fn confirm_all(&mut self, id: RoomId) {
        let own = self.room(id).own();
        self.confirm(id, Span { stream: own, first: 1, last: u64::MAX });
        let room = self.room(id);
        let streams = room.unconfirmed.retries().map(|retry| retry.stamp.stream);
        // Nobody is left who could fill a hole: what waits behind one may never be shown, so it is sent again.
        let shown = streams.map(|stream| (stream, room.position(stream).unwrap_or(u64::MAX)));
        for (stream, last) in shown.collect::<Vec<_>>() {
            self.confirm_retries(id, Span { stream, first: 1, last });
        }
        self.room_mut(id).unconfirmed.give_up_retries();
    }

    /// Sees to it that a second server holds a room that has members here.
    pub(super) fn seek_holder(&mut self, id: RoomId, tries: usize) {
        if self.lacks_replica(id, 0) && !is_on(Mutant::NoReplica) {
            let holders: Vec<_> = self.room(id).presence.holders().collect();
            let stays = |server: &u64| !self.peers.is_draining(*server) && !holders.contains(server);
            let candidates: Vec<_> = self.peers.responsive().filter(stays).collect();
            let turn = (id.0 as usize + tries).checked_rem(candidates.len());
            // Some that are said to hold it may have given it up: those are asked where nobody else is left.
            let to = turn.map(|turn| candidates[turn]).or_else(|| self.witness(id, tries));
            to.into_iter().for_each(|to| self.ask_to_hold(id, to));
        }
    }

    /// Those that hold a room without members of their own do so only as long as they are asked.
    fn renew_hold(&mut self, id: RoomId) {
        let room = self.room(id);
        if room.members() > 0 && !room.presence.is_used_elsewhere() {
            match self.witness(id, 0) {
                Some(to) => self.ask_to_hold(id, to),
                None => self.seek_holder(id, 0),
            }
        }
    }

    fn ask_to_hold(&mut self, id: RoomId, to: u64) {
        let room = Arc::clone(&self.room(id).name);
        self.publish(Word::Hold { to, room });
    }

    /// A server is gone, and its users with it; where it was the second holder, another one is found.
    pub(super) fn end_lease_in(&mut self, id: RoomId, origin: u64, now: Now) {
        let room = self.room_mut(id);
        if let Some(fetch) = &mut room.fetch {
            fetch.gone(origin);
        }
        if let Some(forerunners) = &mut room.forerunners {
            forerunners.strike_off(origin);
        }
        // It may be what a hole waited for.
        room.unpark(origin, now.instant);
        if room.presence.forget(origin) {
            self.note_presence(id, false, now);
            self.seek_holder(id, 0);
        }
        if self.room(id).is_open() {
            self.begin_streams(id, now);
        }
        self.open_if_fetched(id, now);
        self.reschedule(id);
    }
}
