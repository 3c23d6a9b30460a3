//! What time brings.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::{Hub, split, strs};
use crate::chat::fetch::Fetch;
use crate::chat::limits::{
    ALIVE_INTERVAL, PRESENCE_DELIVERIES_PER_SECOND, PRESENCE_INTERVAL, PRESENCE_INTERVAL_MAX,
    PRESENCE_REFRESH, SYNC_INTERVAL, SYNC_ROOMS_MAX, SYNC_ROOMS_PER_STEP, SYNC_STEP,
};
use crate::chat::room::Room;
use crate::chat::{Message, Now, RoomId};
use crate::wire::ServerMessage;
use crate::wire::StreamId;
use crate::wire::envelope::{RoomDigest, Span, Word};

/// Envelopes in which what nobody confirmed is published again, at a time.
const REPUBLISHED_ENVELOPES_MAX: usize = 4;

impl Hub {
    pub(super) fn pass_time(&mut self, now: Now) {
        self.peers.forgive(now.instant.saturating_duration_since(self.alive_due));
        if self.alive_due <= now.instant {
            self.alive_due = now.instant + ALIVE_INTERVAL;
            self.say_alive(false, now);
            for origin in self.peers.take_ended(now.instant) {
                self.end_lease(origin, now);
            }
        }
        if self.peers.take_quiet(now.instant) {
            self.ids().for_each(|id| self.turn_to_others(id, now));
        }
        while let Some(&(at, room)) = self.agenda.first()
            && at <= now.instant
        {
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
            self.digests.push(RoomDigest { room, is_held: true, spans });
        }
        let room = self.room_mut(id);
        if room.outgoing_due.take_if(|due| *due <= now.instant).is_some() {
            self.mark_dirty(id);
        }
        if self.room(id).has_ended(now.instant) {
            self.drop_room(id);
        } else {
            self.reschedule(id);
            debug_assert!(self.room(id).due > Some(now.instant), "or this would go on for ever");
        }
    }

    fn look_at_fetch(&mut self, id: RoomId, now: Now) {
        let Some(fetch) = &mut self.room_mut(id).fetch else { return };
        let is_over = fetch.is_over(now.instant);
        if fetch.is_due(now.instant) {
            fetch.wait(now.instant);
            self.fresh.push(id);
        }
        if is_over {
            self.open(id, now);
            self.seek_holder(id, 0);
        }
    }

    /// Opens a room of which everything was learned that others know.
    pub(super) fn open_if_fetched(&mut self, id: RoomId, now: Now) {
        let room = self.room(id);
        if room.fetch.as_deref().is_some_and(Fetch::is_answered) && room.is_whole() {
            self.with_ring(id, Room::settle);
            self.open(id, now);
            self.room_mut(id).fetch = None;
            self.seek_holder(id, 0);
        }
    }

    /// Asks all servers for rooms that are new here, and for those of which something may have been missed.
    pub(super) fn ask_for_rooms(&mut self, now: Now) {
        if self.is_settled(now) {
            let fresh = mem::take(&mut self.fresh);
            for &id in &fresh {
                let peers: Vec<_> = self.peers.live().collect();
                if let Some(fetch) = &mut self.room_mut(id).fetch {
                    fetch.ask(peers.into_iter(), now.instant);
                }
                self.open_if_fetched(id, now);
                self.reschedule(id);
            }
            self.publish_sync(true, &fresh);
        }
        if self.sync_due.take_if(|due| *due <= now.instant).is_some() {
            let step: Vec<_> = self.sync.drain(..self.sync.len().min(SYNC_ROOMS_PER_STEP)).collect();
            self.publish_sync(self.sync_greets, &step);
            let wait = if self.sync.is_empty() { SYNC_INTERVAL } else { SYNC_STEP };
            self.sync_due = Some(now.instant + wait);
            if step.is_empty() {
                self.sync_due = None;
                self.sync_greets = false;
            }
        }
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
        self.sync = self.ids().collect();
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

    /// Asks for what is missing: first the server that said it, then whoever spoke of it, then all that hold the room.
    fn look_at_gaps(&mut self, id: RoomId, now: Now) {
        let due: Vec<_> = self.room_mut(id).due_gaps(now.instant).map(|stream| stream.id).collect();
        if due.is_empty() {
            return;
        }
        self.pass_over_gaps(id, due, now);
        let wanted: Vec<_> = self
            .room_mut(id)
            .due_gaps(now.instant)
            .filter_map(|stream| Some((stream.id, stream.want(now.instant)?)))
            .collect();
        for (stream, (spans, attempt, announcer)) in wanted {
            let mut servers = self.can_be_asked(id, stream);
            if let Some(place) = servers.iter().position(|server| *server == announcer) {
                let first = usize::from(servers[0] == stream.origin && place > 0);
                servers.swap(first, place);
            }
            if let Some(&to) = servers.get(attempt % servers.len().max(1)) {
                self.counts.wants += 1;
                self.publish_want(id, to, &spans);
            }
        }
    }

    fn publish_want(&mut self, id: RoomId, to: u64, spans: &[Span]) {
        for spans in split(spans, |_| size_of::<Span>()) {
            let (room, spans) = (Arc::clone(&self.room(id).name), spans.into());
            self.publish(Word::Want { to, room, spans });
        }
    }

    fn look_at_unconfirmed(&mut self, id: RoomId, now: Now) {
        let room = self.room_mut(id);
        room.unconfirmed.forget_retries(now.instant);
        if room.unconfirmed.show_due().is_some_and(|due| due <= now.instant) {
            let last = room.position(room.own()).unwrap_or(0);
            self.show(id, last);
        }
        if self.room(id).unconfirmed.publish_due().is_some_and(|due| due <= now.instant) {
            self.repeat_unconfirmed(id, now);
        }
    }

    /// The server that was to confirm what is said in a room is quiet: another one shall.
    fn turn_to_others(&mut self, id: RoomId, now: Now) {
        self.seek_holder(id, 0);
        if !self.room(id).unconfirmed.is_empty() {
            self.repeat_unconfirmed(id, now);
            self.reschedule(id);
        }
    }

    fn repeat_unconfirmed(&mut self, id: RoomId, now: Now) {
        if self.is_alone(now) {
            self.confirm_all(id);
            return;
        }
        let tries = self.room_mut(id).unconfirmed.publish_again(now.instant);
        if self.is_degraded() {
            return;
        }
        self.counts.republished += 1;
        self.seek_holder(id, tries);
        self.publish_unconfirmed(id, tries);
        self.publish_retries(id, tries);
    }

    fn publish_unconfirmed(&mut self, id: RoomId, tries: usize) {
        let messages: Vec<Arc<Message>> = self.room(id).unconfirmed.messages().cloned().collect();
        let Some(first) = self.room(id).unconfirmed.first() else { return };
        let parts = split(&messages, |message| message.weight());
        let count = parts.iter().take(REPUBLISHED_ENVELOPES_MAX).map(|part| part.len()).sum();
        let witness = self.witness(id, tries).unwrap_or(0);
        self.publish_messages(id, self.room(id).own(), first, witness, &messages[..count]);
    }

    /// What a server that is gone had said, and a client sends again, is published for another witness.
    pub(super) fn publish_retries(&mut self, id: RoomId, tries: usize) {
        let stamps: Vec<_> = self.room(id).unconfirmed.retries().map(|retry| retry.stamp).collect();
        let witness = self.witness(id, tries).unwrap_or(0);
        for stamp in stamps {
            let span = Span { stream: stamp.stream, first: stamp.seq, last: stamp.seq };
            let (entries, _) = self.room(id).supply(&[span]);
            let messages: Vec<_> = entries.into_iter().map(|entry| entry.message).collect();
            self.publish_messages(id, stamp.stream, stamp.seq, witness, &messages);
        }
    }

    /// Nobody is left to confirm anything: this server is the only one.
    fn confirm_all(&mut self, id: RoomId) {
        let own = self.room(id).own();
        let last = self.room(id).position(own).unwrap_or(0);
        self.confirm(id, last);
        let streams: Vec<StreamId> =
            self.room(id).unconfirmed.retries().map(|retry| retry.stamp.stream).collect();
        streams.into_iter().for_each(|stream| self.confirm_retries(id, stream, u64::MAX));
    }

    /// Sees to it that a second server holds a room that has members here.
    pub(super) fn seek_holder(&mut self, id: RoomId, tries: usize) {
        let room = self.room(id);
        if room.is_open() && room.members() > 0 && self.witness(id, 0).is_none() {
            self.ask_to_hold(id, tries);
        }
    }

    /// Those that hold a room without members of their own do so only as long as they are asked.
    fn renew_hold(&mut self, id: RoomId) {
        let room = self.room(id);
        if room.members() > 0 && !room.presence.is_used_elsewhere() {
            self.ask_to_hold(id, 0);
        }
    }

    fn ask_to_hold(&mut self, id: RoomId, tries: usize) {
        let peers: Vec<_> = self.peers.talking().collect();
        let chosen = peers.get((id.0 as usize + tries) % peers.len().max(1)).copied();
        if let Some(to) = self.witness(id, tries).or(chosen) {
            let room = Arc::clone(&self.room(id).name);
            self.publish(Word::Hold { to, room });
        }
    }

    /// A server is gone, and its users with it; where it was the second holder, another one is found.
    pub(super) fn end_lease(&mut self, origin: u64, now: Now) {
        let is_alone = self.is_alone(now);
        for id in self.ids() {
            let room = self.room_mut(id);
            if let Some(fetch) = &mut room.fetch {
                fetch.gone(origin);
            }
            if let Some(forerunners) = &mut room.forerunners {
                forerunners.strike_off(origin);
            }
            if room.presence.forget(origin) {
                self.note_presence(id, false, now);
                self.seek_holder(id, 0);
            }
            if is_alone {
                self.confirm_all(id);
            }
            self.open_if_fetched(id, now);
            self.reschedule(id);
        }
    }
}
