//! How clients come in: each join is answered in its turn, with a history that is encoded once for all.

use std::sync::Arc;

use bytes::Bytes;

use super::{Effect, Hub, strs};
use crate::chat::join_queue::Waiting;
use crate::chat::limits::{ENCODED_AGE_MAX, ENCODED_BYTES_MAX, ENCODED_LOOKS_PER_TURN};
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::{Ask, Member, Notice, Now, RoomId};
use crate::wire::ServerMessage;
use crate::wire::client_message::Since;
use crate::wire::joined::{Parts, joined_frame};
use crate::wire::server_message::Streams;

/// Why a join is refused, or what follows it.
const TOO_MANY: &str = "too many wait for their rooms at this server: try again in a moment";

impl Hub {
    /// Lets a client in, or has it wait for its turn.
    pub(super) fn line_up(&mut self, member: Member, join: Ask, now: Now) {
        let Ask::Join { room, .. } = &join else { return };
        let id = self.by_name[room];
        if self.joins.take_turn(member) {
            return self.join(member, id, join, now);
        }
        match self.joins.push(member, id, join) {
            Ok(()) => self.room_mut(id).queued_joins += 1,
            Err(join) => self.refuse(member, join, TOO_MANY),
        }
    }

    /// The ask, unless it waits behind a join for the same room.
    pub(super) fn wait_for_join(&mut self, member: Member, ask: Ask) -> Option<Ask> {
        let (Ask::Send { room, .. } | Ask::Typing { room, .. }) = &ask else { return Some(ask) };
        let Some(&id) = self.by_name.get(room) else { return Some(ask) };
        if !self.joins.is_waiting(member, id) {
            return Some(ask);
        }
        if let Err(ask) = self.joins.push(member, id, ask) {
            self.refuse(member, ask, TOO_MANY);
        }
        None
    }

    /// Those whose turn it is come in.
    pub(super) fn answer_joins(&mut self, now: Now) {
        while let Some((member, Waiting { room, asks })) = self.joins.pop() {
            self.room_mut(room).queued_joins -= 1;
            for ask in asks {
                match ask {
                    Ask::Join { .. } => self.join(member, room, ask, now),
                    ask => self.admit(member, ask, now),
                }
            }
        }
        self.joins.begin_turn();
    }

    /// Who has left before it came in, or is gone, waits no longer.
    pub(super) fn withdraw(&mut self, member: Member, room: &Arc<str>, visit: u32) {
        let Some(&id) = self.by_name.get(room) else { return };
        let is_queued = self.joins.withdraw(member, id, visit);
        let room = self.room_mut(id);
        room.queued_joins -= u32::from(is_queued);
        if let Some(fetch) = &mut room.fetch {
            fetch.withdraw(member, visit);
        }
        if let Some(forerunners) = &mut room.forerunners {
            forerunners.withdraw(member, visit);
        }
        room.forerunners.take_if(|forerunners| forerunners.is_empty());
        self.reschedule(id);
    }

    fn join(&mut self, member: Member, id: RoomId, join: Ask, now: Now) {
        let Ask::Join { user, client, visit, since, .. } = join else { return };
        let Member { reactor, connection } = member;
        // What was said before belongs to those who were here before; the newcomer has it in its history.
        if !is_on(Mutant::JoinBeforeFrames) {
            self.hand_on(id, now);
        }
        let room = self.room_mut(id);
        room.here[reactor] += 1;
        let was_empty_since = room.empty_since.take();
        let is_new = room.presence.enter(&user);
        let frame = self.answer(id, &user, client.as_str(), since.as_ref(), now);
        self.joins.note_mail(reactor, frame.iter().map(Bytes::len).sum());
        let name = Arc::clone(&self.room(id).name);
        let entered = Notice::Entered { connection, visit, room: id, name, user, frame };
        self.effects.push_back(Effect::Tell(reactor, entered));
        if self.has_told_degraded {
            let frame = ServerMessage::Degraded { degraded: true }.to_frame();
            self.effects.push_back(Effect::Tell(reactor, Notice::Reply { connection, frame }));
        }
        if let Some(since) = was_empty_since {
            self.empty.remove(&(since, id));
            self.seek_holder(id, 0);
        }
        if is_new {
            self.note_presence(id, true, now);
        }
        self.reschedule(id);
    }

    /// `joined`.
    fn answer(
        &mut self,
        id: RoomId,
        user: &Arc<str>,
        client: &str,
        since: Option<&Since>,
        now: Now,
    ) -> Parts {
        let room = &mut self.rooms[id.0 as usize];
        let bytes_before = room.encoded_bytes();
        let (history, complete) = room.encoded_history(since);
        self.encoded_bytes = self.encoded_bytes - bytes_before + room.encoded_bytes();
        if room.encoded_used.replace(now.instant).is_none() {
            self.encoded.push_back(id);
        }
        let view = room.presence.view_for(user);
        let roster = view.names.as_deref().map(strs);
        let (users, roster, positions) = (view.users, roster.as_deref(), room.positions(since));
        let streams = Streams(&positions);
        let joined = ServerMessage::Joined {
            room: &room.name,
            client,
            users,
            roster,
            complete,
            streams,
            history: &[],
        };
        joined_frame(&joined, history)
    }

    /// Encoded history is kept as long as it is used, and no more of it than may be.
    pub(super) fn give_encoded_back(&mut self, now: Now) {
        for _ in 0..ENCODED_LOOKS_PER_TURN.min(self.encoded.len()) {
            let Some(id) = self.encoded.pop_front() else { return };
            let Some(room) = self.rooms.get_mut(id.0 as usize) else { continue };
            let Some(used) = room.encoded_used else { continue };
            if self.encoded_bytes > ENCODED_BYTES_MAX || used + ENCODED_AGE_MAX <= now.instant {
                self.encoded_bytes -= room.encoded_bytes();
                room.forget_encoded();
            } else {
                self.encoded.push_back(id);
            }
        }
    }
}
