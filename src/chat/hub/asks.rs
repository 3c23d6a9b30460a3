//! What clients want.

use std::sync::Arc;

use super::{Effect, Hub, error_frame};
use crate::chat::branches::{Branch, entered};
use crate::chat::encoded::message_frame;
use crate::chat::fetch::Fetch;
use crate::chat::limits::ROSTER_MAX;
use crate::chat::mutants::{Mutant, is_on};
use crate::chat::ring::Stamp;
use crate::chat::unconfirmed::Retry;
use crate::chat::{Ask, Member, Message, Notice, Now, RoomId};
use crate::wire::ServerMessage;
use crate::wire::client_message::ErrorCode;
use crate::wire::envelope::{Span, Word};

impl Hub {
    pub(super) fn carry_out(&mut self, member: Member, ask: Ask, now: Now) {
        // Who asks for a room that is still being fetched waits, and with it all that it asks.
        let ask = self.wait_for_room(member, ask, now).and_then(|ask| self.wait_to_catch_up(member, ask));
        if let Some(ask) = ask {
            self.admit(member, ask, now);
        }
    }

    pub(super) fn admit(&mut self, member: Member, ask: Ask, now: Now) {
        let Some(ask) = self.wait_for_join(member, ask) else { return };
        match ask {
            Ask::Join { .. } => self.line_up(member, ask, now),
            Ask::Send { room, user, client, id, text } => {
                self.send(member, &room, user, client, id, text, now);
            }
            Ask::Typing { room, user } => self.typing(&room, user),
            Ask::Leave { room, user } => self.leave_room(member, &room, &user, now),
            Ask::Withdraw { room, visit } => self.withdraw(member, &room, visit),
            Ask::Received => self.joins.note_received(member),
        }
    }

    /// The ask, unless it waits or was refused.
    fn wait_for_room(&mut self, member: Member, ask: Ask, now: Now) -> Option<Ask> {
        let (name, is_join) = match &ask {
            Ask::Join { room, .. } => (Arc::clone(room), true),
            Ask::Send { room, .. } | Ask::Typing { room, .. } => (Arc::clone(room), false),
            Ask::Leave { .. } | Ask::Withdraw { .. } | Ask::Received => return Some(ask),
        };
        let id = match self.by_name.get(&name) {
            Some(&id) => id,
            None if is_join => match self.make_wanted_room(&name, now) {
                Ok(id) => {
                    let Member { reactor, connection } = member;
                    self.effects.push_back(Effect::Tell(reactor, Notice::RoomMade { connection }));
                    id
                }
                Err(message) => {
                    self.refuse(member, ask, &message);
                    return None;
                }
            },
            None => return Some(ask),
        };
        let limits = Arc::clone(&self.settings.limits);
        let fetch = self.room_mut(id).fetch.as_mut().filter(|fetch| fetch.is_awaited());
        let Some(fetch) = fetch else { return Some(ask) };
        if let Err(ask) = fetch.push(member, ask, &limits) {
            self.refuse(member, ask, "too many wait for this room: try again in a moment");
        }
        None
    }

    pub(super) fn refuse(&mut self, Member { reactor, connection }: Member, ask: Ask, message: &str) {
        self.counts.overloaded += 1;
        let notice = match ask {
            Ask::Join { room, visit, .. } => {
                let frame = error_frame(ErrorCode::Overloaded, message, &room, None);
                Notice::Refused { connection, visit, frame }
            }
            Ask::Send { room, id, .. } => Notice::Reply {
                connection,
                frame: error_frame(ErrorCode::Overloaded, message, &room, Some(&id)),
            },
            Ask::Typing { .. } | Ask::Leave { .. } | Ask::Withdraw { .. } | Ask::Received => return,
        };
        self.effects.push_back(Effect::Tell(reactor, notice));
    }

    #[allow(clippy::too_many_arguments, reason = "they are the fields of one ask")]
    fn send(
        &mut self,
        member: Member,
        name: &str,
        user: Arc<str>,
        client: u64,
        id: Box<str>,
        text: Box<str>,
        now: Now,
    ) {
        let Member { reactor, connection } = member;
        let room_id = self.by_name.get(name).copied();
        let Some(room_id) = room_id.filter(|id| self.room(*id).here[reactor] > 0) else {
            // The join before it was refused.
            self.counts.not_joined += 1;
            let frame = error_frame(ErrorCode::NotJoined, "join the room first", name, Some(&id));
            self.effects.push_back(Effect::Tell(reactor, Notice::Reply { connection, frame }));
            return;
        };
        match self.room(room_id).said_before(client, &id, &text) {
            None if self.room(room_id).is_reused(client, &id, &text) => {
                self.counts.id_reused += 1;
                let message = "this id was used before with another text";
                let frame = error_frame(ErrorCode::IdReused, message, name, Some(&id));
                self.effects.push_back(Effect::Tell(reactor, Notice::Reply { connection, frame }));
            }
            Some((stamp, kept)) => {
                let kept = kept.map(Arc::clone);
                self.counts.duplicates += 1;
                let message = Message { from: user, client, id, text, time: stamp.time };
                self.answer_retry(room_id, member, (stamp, kept), message, now);
            }
            None if self.room(room_id).unconfirmed.is_full(self.limits()) => {
                let ask = Ask::Send { room: name.into(), user, client, id, text };
                self.refuse(member, ask, "too many messages wait for other servers: send this one again");
            }
            None => {
                self.counts.said += 1;
                let Stamp { seq, .. } =
                    self.with_ring(room_id, |room| room.say(user, client, id, text, member, now));
                self.hold_back(room_id, now);
                if self.is_alone() || is_on(Mutant::AckAtOnce) {
                    self.confirm_all(room_id);
                } else if self.is_degraded() || is_on(Mutant::ShowAtOnce) {
                    entered(Branch::ShownDegraded);
                    self.show(room_id, seq);
                }
            }
        }
        self.reschedule(room_id);
    }

    /// What was said goes to other servers at the end of the turn, or a little later so that more goes with it.
    fn hold_back(&mut self, id: RoomId, now: Now) {
        let delay = self.settings.flush_delay;
        if !delay.is_zero() {
            self.room_mut(id).outgoing_due.get_or_insert(now.instant + delay);
        }
        self.mark_dirty(id);
    }

    /// A client sends again what was said: it is acknowledged once a replica acks it, whoever said it first. At once only if
    /// one did already.
    fn answer_retry(
        &mut self,
        id: RoomId,
        member: Member,
        (stamp, kept): (Stamp, Option<Arc<Message>>),
        message: Message,
        now: Now,
    ) {
        let is_live = self.peers.is_live(stamp.stream.origin) && is_on(Mutant::AckRetryOnLease);
        let is_safe = self.is_alone() || is_live || is_on(Mutant::AckRetryAtOnce);
        let room = self.room_mut(id);
        let is_own = stamp.stream == room.own();
        if is_own && room.unconfirmed.repeat(stamp.seq, member) {
            return;
        }
        let is_shown = room.position(stamp.stream).is_none_or(|last| stamp.seq <= last);
        if is_own || is_safe && is_shown {
            return self.acknowledge(id, member, &message.id, stamp);
        }
        // A replica that held it says so, even where no ring has it any more.
        let message = kept.unwrap_or_else(|| Arc::new(message));
        room.unconfirmed.push_retry(stamp, Arc::clone(&message), member, now.instant);
        let witness = self.witness(id, 0).unwrap_or(0);
        self.publish_messages(id, stamp.stream, stamp.seq, witness, &[message]);
    }

    /// Every replica begins behind what waits here. Our own messages are appended anew, and so are other servers' messages
    /// that only this server keeps; of what retention has taken here too, nobody could have more.
    pub(super) fn resolve_rejected(&mut self, id: RoomId, now: Now) {
        if !self.room(id).unconfirmed.has_rejections() || is_on(Mutant::NoReappend) {
            return;
        }
        let replicas = self.replicas(id);
        for Retry { stamp, message, sender, .. } in self.room_mut(id).take_gone_retries(&replicas) {
            self.acknowledge(id, sender, &message.id, stamp);
        }
        // A server that is away may hold it, and have shown it.
        if !self.may_any_come(now) {
            self.with_ring(id, |room| room.append_rejected(&replicas, now));
        }
        self.mark_dirty(id);
    }

    fn acknowledge(&mut self, id: RoomId, member: Member, message: &str, stamp: Stamp) {
        let Stamp { stream, seq, time } = stamp;
        let room = &self.room(id).name;
        let frame = ServerMessage::Ack { room, id: message, stream, seq, time }.to_frame();
        let reply = Notice::Reply { connection: member.connection, frame };
        self.effects.push_back(Effect::Tell(member.reactor, reply));
    }

    /// Members here see our own messages up to that number.
    pub(super) fn show(&mut self, id: RoomId, last: u64) {
        let room = self.room_mut(id);
        let (name, own) = (Arc::clone(&room.name), room.own());
        for (seq, message) in room.unconfirmed.show(last).collect::<Vec<_>>() {
            self.gather(id, &message_frame(&name, own, seq, &message));
        }
    }

    /// Our own messages of that span are safe: members see them, and their senders are told. Nothing happens while one
    /// before them is not safe: members see a stream in its order.
    pub(super) fn confirm(&mut self, id: RoomId, span: Span) {
        if self.room(id).unconfirmed.first().is_none_or(|first| first < span.first) {
            return;
        }
        self.show(id, span.last);
        let room = self.room_mut(id);
        let stream = room.own();
        let confirmed = room.unconfirmed.confirm(span);
        self.counts.confirmed += confirmed.len() as u64;
        for waiting in confirmed {
            let stamp = Stamp { stream, seq: waiting.seq, time: waiting.message.time };
            for sender in waiting.senders {
                self.acknowledge(id, sender, &waiting.message.id, stamp);
            }
        }
    }

    /// Another server holds a span of a stream that is not ours.
    pub(super) fn confirm_retries(&mut self, id: RoomId, span: Span) {
        let holds =
            |stamp: &Stamp| stamp.stream == span.stream && (span.first..=span.last).contains(&stamp.seq);
        for retry in self.room_mut(id).unconfirmed.confirm_retries(holds) {
            self.acknowledge(id, retry.sender, &retry.message.id, retry.stamp);
        }
    }

    fn typing(&mut self, name: &str, user: Arc<str>) {
        let Some(&id) = self.by_name.get(name) else { return };
        self.gather_typing(id, name, &user);
        let room = Arc::clone(&self.room(id).name);
        self.publish(Word::Typing { room, user });
    }

    pub(super) fn gather_typing(&mut self, id: RoomId, room: &str, user: &str) {
        if self.room(id).members() as usize <= ROSTER_MAX {
            self.gather(id, &ServerMessage::Typing { room, user });
        }
    }

    fn leave_room(&mut self, member: Member, name: &str, user: &Arc<str>, now: Now) {
        let id = *self.by_name.get(name).expect("a room with a member is there");
        let room = self.room_mut(id);
        room.here[member.reactor] -= 1;
        let was_last_of_name = room.presence.leave(user);
        if room.members() == 0 {
            room.empty_since = Some(now.instant);
            self.empty.insert((now.instant, id));
        }
        if was_last_of_name {
            self.note_presence(id, true, now);
        }
        self.reschedule(id);
    }

    /// Those who waited come in.
    pub(super) fn open(&mut self, id: RoomId, now: Now) {
        let released = self.room_mut(id).fetch.as_deref_mut().and_then(Fetch::release);
        let Some(asks) = released else { return };
        self.begin_streams(id, now);
        self.room_mut(id).order();
        asks.into_iter().for_each(|(member, ask)| self.carry_out(member, ask, now));
        self.note_presence(id, true, now);
        self.reschedule(id);
    }

    /// Without a bus there is nobody to fetch a room from or to confirm what is said.
    pub(super) fn go_on_alone(&mut self, id: RoomId, now: Now) {
        self.open(id, now);
        let own = self.room(id).own();
        let last = self.room(id).position(own).unwrap_or(0);
        self.show(id, last);
        self.reschedule(id);
    }
}
