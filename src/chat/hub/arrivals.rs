//! Members that come from another server and are ahead of this one.

use std::mem;
use std::sync::Arc;

use super::Hub;
use crate::chat::branches::{Branch, entered};
use crate::chat::forerunners::Forerunner;
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::{Ask, Member, Now, RoomId};
use crate::wire::client_message::Since;

impl Hub {
    /// The ask, unless it waits with its member until more is known here, or was refused.
    pub(super) fn wait_to_catch_up(&mut self, member: Member, ask: Ask) -> Option<Ask> {
        let (Ask::Join { room, .. } | Ask::Send { room, .. } | Ask::Typing { room, .. }) = &ask else {
            return Some(ask);
        };
        let Some(&id) = self.by_name.get(room) else { return Some(ask) };
        let is_ahead = match &ask {
            Ask::Join { since: Some(since), .. } => self.is_behind(id, since),
            _ => false,
        };
        let limits = Arc::clone(&self.settings.limits);
        let room = self.room_mut(id);
        let forerunners = room.forerunners.as_deref_mut();
        let are_too_many = forerunners.as_deref().is_some_and(|waiting| waiting.are_too_many(&limits));
        let before = forerunners.and_then(|forerunners| forerunners.find(member));
        if before.is_none() && !is_ahead {
            return Some(ask);
        }
        if are_too_many {
            self.refuse(member, ask, "too many wait for this room: try again in a moment");
        } else if let Some(Forerunner { asks, .. }) = before {
            asks.push(ask);
        } else {
            entered(Branch::ForerunnerWaited);
            room.forerunners.get_or_insert_default().push(member, ask);
            self.behind.insert(id);
        }
        None
    }

    /// Whether somebody has seen what is not known here, or not shown here yet, and waiting may help.
    fn is_behind(&self, id: RoomId, since: &Since) -> bool {
        let room = self.room(id);
        !is_on(Mutant::NoForerunners) && (room.hides(since) || self.can_ask() && !self.knows(id, since))
    }

    fn can_ask(&self) -> bool {
        !self.is_degraded() && !self.is_alone()
    }

    /// Whether all that somebody has seen was heard of here too, but for streams of servers that are long gone: whoever has
    /// those has had them for long.
    fn knows(&self, id: RoomId, since: &Since) -> bool {
        let room = self.room(id);
        since.streams.iter().all(|(stream, seen)| match room.position(*stream) {
            Some(position) => position >= *seen,
            None => !self.peers.is_known(stream.origin),
        })
    }

    /// Lets those in who need not wait any longer in rooms of which something was heard, and asks other servers for the sake
    /// of the others.
    pub(super) fn let_forerunners_in(&mut self, now: Now) {
        for id in mem::take(&mut self.behind) {
            self.look_at_forerunners(id, now);
        }
        let mut unknown = mem::take(&mut self.unknown);
        unknown.retain(|id| self.rooms.contains(id.0 as usize));
        self.publish_sync(false, &unknown);
    }

    pub(super) fn look_at_forerunners(&mut self, id: RoomId, now: Now) {
        let Some(mut forerunners) = self.room_mut(id).forerunners.take() else { return };
        let room = self.room(id);
        let is_known = |since: &Since| !self.can_ask() || self.knows(id, since);
        let is_hidden = |since: &Since| room.hides(since);
        let ready = forerunners.take_ready(is_known, is_hidden, room.is_whole(), now.instant);
        if forerunners.have_to_ask(now.instant) {
            forerunners.ask(self.peers.live(), self.fetch_patience(), now.instant, self.limits());
            self.unknown.push(id);
        }
        if !forerunners.is_empty() {
            self.room_mut(id).forerunners = Some(forerunners);
        }
        for Forerunner { member, asks, .. } in ready {
            asks.into_iter().for_each(|ask| self.admit(member, ask, now));
        }
        self.reschedule(id);
        // They have just been looked at.
        self.behind.remove(&id);
    }
}
