//! Leaving without a moment in which a room is held once: a server that takes no more clients sees to it that two others
//! have all that it has of each of its rooms, and ends only then.

use super::Hub;
use crate::chat::branches::{Branch, entered};
use crate::chat::limits::{SYNC_ROOMS_PER_STEP, SYNC_STEP};
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::{Now, RoomId};
use crate::wire::envelope::RoomDigest;

/// Servers that hold a room besides one that leaves.
const REPLICAS_WHEN_LEAVING: usize = 2;

impl Hub {
    /// From here on others are asked to hold what this server holds.
    pub(super) fn begin_handover(&mut self, now: Now) {
        if !is_on(Mutant::NoHandover) {
            self.handover_due = Some(now.instant);
        }
    }

    /// Asks others to hold what is not handed over yet, tells them what there is, and asks what they have of it.
    pub(super) fn continue_handover(&mut self, now: Now) {
        if self.handover_due.is_none_or(|due| due > now.instant) {
            return;
        }
        let (interval, away) = (self.limits().handover_interval, self.away(now));
        let mut asked = Vec::new();
        for id in self.ids().collect::<Vec<_>>() {
            if asked.len() == SYNC_ROOMS_PER_STEP {
                break;
            }
            if self.lacks_replica(id, away) && self.room_mut(id).ask_for_takeover(interval, now) {
                asked.push(id);
            }
        }
        let is_all = asked.len() < SYNC_ROOMS_PER_STEP;
        self.handover_due = Some(now.instant + if is_all { interval } else { SYNC_STEP });
        asked.iter().for_each(|id| self.seek_holder(*id, 0));
        let digest = |id: &RoomId| {
            let room = self.room(*id);
            let (name, time, spans) = (room.name.clone(), room.newest(), room.digest(None));
            RoomDigest { room: name, is_held: true, time, spans }
        };
        let digests: Vec<_> = asked.iter().map(digest).collect();
        self.publish_digests(0, &digests);
        self.publish_sync(false, &asked);
    }

    /// Whether this server may end: each room with members or messages is held by two others, or by all that there are.
    /// The shell bounds how long it waits for that.
    pub fn is_handed_over(&self, now: Now) -> bool {
        if self.handover_due.is_none() {
            return true;
        }
        let away = self.away(now);
        let is_handed_over = self.ids().all(|id| !self.lacks_replica(id, away));
        if is_handed_over {
            entered(Branch::HandedOver);
        }
        is_handed_over
    }

    /// Servers that may be back before the shell waits no longer.
    fn away(&self, now: Now) -> usize {
        usize::from(self.peers.may_come_back(now.instant, self.limits()))
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
        // One that has only subscribed has nothing of it yet.
        let has_all =
            |server: &u64| !is_leaving || room.is_taken_over_by(*server) || is_on(Mutant::LeaveUnfetched);
        let replicas = self.replicas(id).into_iter().filter(stays).filter(has_all).count();
        room.is_open() && is_wanted && replicas < wanted.min(candidates)
    }
}
