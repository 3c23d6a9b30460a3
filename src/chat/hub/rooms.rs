//! How rooms come and go: as fast as the bus and other servers can be told of it.

use std::sync::Arc;

use super::{Effect, Hub};
use crate::chat::fetch::Fetch;
use crate::chat::limits::{
    EMPTY_ROOMS_LOOKED_AT, HOLDS_BURST, HOLDS_PER_SECOND, ROOMS_DROPPED_BURST, ROOMS_DROPPED_PER_SECOND,
    ROOMS_MADE_BURST, ROOMS_MADE_PER_SECOND, ROOMS_MAX, ROOMS_QUEUED_MAX,
};
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::rate::{Bucket, Rate, Verdict};
use crate::chat::room::Room;
use crate::chat::{Now, RoomId};
use crate::wire::StreamId;
use crate::wire::envelope::Word;

const MADE: Rate = Rate { per_second: ROOMS_MADE_PER_SECOND, burst: ROOMS_MADE_BURST };
const HELD: Rate = Rate { per_second: HOLDS_PER_SECOND, burst: HOLDS_BURST };
const DROPPED: Rate = Rate { per_second: ROOMS_DROPPED_PER_SECOND, burst: ROOMS_DROPPED_BURST };

/// How many rooms may come and go.
#[derive(Debug)]
pub(super) struct Paces {
    made: Bucket,
    held: Bucket,
    dropped: Bucket,
}

impl Paces {
    pub(super) fn new(now: std::time::Instant) -> Self {
        let bucket = |rate| Bucket::new(rate, now);
        Self { made: bucket(MADE), held: bucket(HELD), dropped: bucket(DROPPED) }
    }
}

impl Hub {
    /// A room that a client asks for. Those who want to come in wait in it until it is its turn to be made known.
    pub(super) fn make_wanted_room(&mut self, name: &Arc<str>, now: Now) -> Result<RoomId, String> {
        if self.unheard.len() >= ROOMS_QUEUED_MAX {
            return Err(format!(
                "{ROOMS_QUEUED_MAX} new rooms wait, of which this server makes {ROOMS_MADE_PER_SECOND} a second: \
                 try again in some seconds"
            ));
        }
        let full = || format!("this server holds {ROOMS_MAX} rooms, as many as it may");
        let id = self.make_room(name, now).ok_or_else(full)?;
        self.unheard.push_back(id);
        Ok(id)
    }

    /// A room that another server wants to be held. That is not put off: it may be about to end.
    pub(super) fn make_held_room(&mut self, name: &Arc<str>, now: Now) -> Option<RoomId> {
        if self.paces.held.take(HELD, now.instant) != Verdict::Allowed {
            return None;
        }
        let id = self.make_room(name, now)?;
        self.make_heard(id, now);
        Some(id)
    }

    /// A room of that name, to be heard and fetched; `None` beyond [`ROOMS_MAX`].
    fn make_room(&mut self, name: &Arc<str>, now: Now) -> Option<RoomId> {
        if self.rooms.len() >= ROOMS_MAX {
            let is_idle = |(_, id): &&_| self.room(*id).is_idle();
            let &(_, longest_empty) = self.empty.iter().take(EMPTY_ROOMS_LOOKED_AT).find(is_idle)?;
            self.drop_room(longest_empty);
        }
        let own = StreamId { origin: self.settings.incarnation, generation: self.rooms_made };
        self.rooms_made += 1;
        let (reactors, seed) = (self.settings.reactors, self.settings.seed);
        let limits = Arc::clone(&self.settings.limits);
        let room = Room::new(Arc::clone(name), own, reactors, seed, limits, now);
        let id = RoomId(self.rooms.insert(room) as u32);
        self.empty.insert((now.instant, id));
        self.by_name.insert(Arc::clone(name), id);
        if self.is_degraded() || is_on(Mutant::NoFetch) {
            self.go_on_alone(id, now);
        }
        self.reschedule(id);
        Some(id)
    }

    /// Those rooms are subscribed to whose turn it is; those that nobody wants any longer are not.
    pub(super) fn make_rooms_heard(&mut self, now: Now) {
        while let Some(&id) = self.unheard.front() {
            let is_waiting = |room: &Room| !room.is_heard;
            let Some(room) = self.rooms.get(id.0 as usize).filter(|room| is_waiting(room)) else {
                self.unheard.pop_front();
                continue;
            };
            let is_wanted = room.members() > 0 || room.held_until.is_some() || room.queued_joins > 0;
            if !is_wanted && room.fetch.as_deref().is_none_or(Fetch::is_unwanted) && room.is_quiet() {
                self.unheard.pop_front();
                self.drop_room(id);
                continue;
            }
            if self.paces.made.debt(MADE, now.instant).is_some() {
                return;
            }
            self.paces.made.owe(1);
            self.unheard.pop_front();
            self.make_heard(id, now);
        }
    }

    fn make_heard(&mut self, id: RoomId, now: Now) {
        let limits = Arc::clone(&self.settings.limits);
        let room = self.room_mut(id);
        room.is_heard = true;
        if let Some(fetch) = &mut room.fetch {
            fetch.pause(now.instant, &limits);
        }
        let name = Arc::clone(&room.name);
        self.effects.push_back(Effect::Subscribe(name));
        self.reschedule(id);
    }

    /// It goes in its turn.
    pub(super) fn end_room(&mut self, id: RoomId, now: Now) {
        self.room_mut(id).is_ending = true;
        self.ending.push_back(id);
        self.drop_ended_rooms(now);
    }

    pub(super) fn drop_ended_rooms(&mut self, now: Now) {
        while let Some(&id) = self.ending.front() {
            if self.paces.dropped.debt(DROPPED, now.instant).is_some() {
                return;
            }
            self.ending.pop_front();
            let Some(room) = self.rooms.get_mut(id.0 as usize).filter(|room| room.is_ending) else {
                continue;
            };
            room.is_ending = false;
            if room.has_ended(now.instant) {
                self.paces.dropped.owe(1);
                self.drop_room(id);
            } else {
                // Somebody has come, or wants it to be held.
                self.reschedule(id);
            }
        }
    }

    /// Lists that have it keep its number, and pass it over.
    pub(super) fn drop_room(&mut self, id: RoomId) {
        self.deliver(id);
        debug_assert!(!self.behind.contains(&id), "a room that somebody waits for stays");
        let room = self.rooms.remove(id.0 as usize);
        self.ring_bytes -= room.ring_bytes();
        self.encoded_bytes -= room.encoded_bytes();
        self.by_name.remove(&room.name);
        room.due.map(|due| self.agenda.remove(&(due, id)));
        room.empty_since.map(|since| self.empty.remove(&(since, id)));
        if !room.is_heard {
            return;
        }
        self.presence_version += 1;
        let (version, names) = (self.presence_version, Some(Arc::new([]) as Arc<[Arc<str>]>));
        let name = Arc::clone(&room.name);
        self.publish(Word::Presence { room: name, version, is_held: false, users: 0, names });
        self.effects.push_back(Effect::Unsubscribe(room.name));
    }

    /// When a room comes or goes whose turn it is not yet.
    pub(super) fn rooms_due(&self) -> Option<std::time::Instant> {
        let made = self.unheard.front().map(|_| self.paces.made.next(MADE));
        let dropped = self.ending.front().map(|_| self.paces.dropped.next(DROPPED));
        made.into_iter().chain(dropped).min()
    }
}
