//! Leaving without a moment in which a room is held once: a server that takes no more clients sees to it that two others
//! hold each of its rooms, and ends only then.

use std::time::Duration;

use super::Hub;
use super::sweeps::Task;
use crate::chat::branches::{Branch, entered};
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::{Now, RoomId};

/// What a server that leaves was the last to confirm, others fetch within this time: a digest goes after 50 ms, and NACKs
/// after 30, 90 and 210 ms more.
const FETCHED_WITHIN: Duration = Duration::from_millis(500);

/// Servers that hold a room besides one that leaves.
const REPLICAS_WHEN_LEAVING: usize = 2;

impl Hub {
    /// From here on others are asked to hold what this server holds.
    pub(super) fn begin_handover(&mut self, now: Now) {
        if !is_on(Mutant::NoHandover) {
            self.handover_due = Some(now.instant);
        }
    }

    /// Asks again for what is not handed over yet.
    pub(super) fn continue_handover(&mut self, now: Now) {
        if self.handover_due.is_some_and(|due| due <= now.instant) {
            self.handover_due = Some(now.instant + self.limits().handover_interval);
            self.sweep(Task::HandOver, now);
        }
    }

    /// Whether this server may end: each room with members or messages is held by two others, or by all that there are.
    /// The shell bounds how long it waits for that.
    pub fn is_handed_over(&self, now: Now) -> bool {
        if self.handover_due.is_none() {
            return true;
        }
        let is_fetched = self.confirmed_at.is_none_or(|at| at + FETCHED_WITHIN <= now.instant)
            || is_on(Mutant::LeaveUnfetched);
        // Who is away may be back before the shell waits no longer.
        let away = usize::from(self.peers.may_come_back(now.instant, self.limits()));
        let mut ids = self.rooms.iter().map(|(id, _)| RoomId(id as u32));
        let is_handed_over = is_fetched && ids.all(|id| !self.lacks_replica(id, away));
        if is_handed_over {
            entered(Branch::HandedOver);
        }
        is_handed_over
    }

    /// Whether a room should be held by one more of the other servers, and there is one, or one of those that are `away`.
    pub(super) fn lacks_replica(&self, id: RoomId, away: usize) -> bool {
        let room = self.room(id);
        let is_leaving = self.handover_due.is_some();
        let has_content = !room.unconfirmed.is_empty() || is_leaving && room.ring_bytes() > 0;
        let is_wanted = room.members() > 0 || has_content;
        let wanted = if is_leaving { REPLICAS_WHEN_LEAVING } else { 1 };
        let stays = |server: &u64| !self.peers.is_draining(*server);
        // Who leaves has time to wait for a suspect.
        let is_candidate = |server: &u64| is_leaving || self.peers.is_responsive(*server);
        let candidates = self.peers.live().filter(stays).filter(is_candidate).count() + away;
        // A server that has only asked for the room has nothing of it yet.
        let has_it =
            |server: &u64| !is_leaving || room.presence.has_opened(*server) || is_on(Mutant::LeaveUnfetched);
        let replicas = self.replicas(id).into_iter().filter(stays).filter(has_it).count();
        room.is_open() && is_wanted && replicas < wanted.min(candidates)
    }
}
