//! One client's state on its reactor: which rooms it is in, how much it may still send, and what its frames lead to.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;

use super::limits::{
    ANSWER_KIB_BURST, ANSWER_KIB_PER_SECOND, CLIENT_ROOMS_BURST, CLIENT_ROOMS_PER_SECOND, JOIN_FRAMES,
    ROOMLESS_MAX, TYPING_INTERVAL,
};
use super::rate::{Bucket, Rate, Verdict};
use super::{Ask, RoomId};
use crate::wire::client_message::{ErrorCode, Since};
use crate::wire::limits::ROOMS_MAX;
use crate::wire::name::Name;
use crate::wire::subject::Subject;
use crate::wire::{ClientMessage, ClientNonce, CloseReason, Refusal, ServerMessage};

/// What a client may be sent of history, in KiB.
const ANSWERS: Rate = Rate { per_second: ANSWER_KIB_PER_SECOND, burst: ANSWER_KIB_BURST };
/// New rooms that a client may have made.
const NEW_ROOMS: Rate = Rate { per_second: CLIENT_ROOMS_PER_SECOND, burst: CLIENT_ROOMS_BURST };

/// A client between its `welcome` and its end.
#[derive(Debug)]
pub struct Session {
    visits: SmallVec<[Visit; 1]>,
    visits_made: u32,
    bucket: Bucket,
    /// Of [`ANSWERS`]: what a join costs is known when it is answered.
    answers: Bucket,
    /// Of [`NEW_ROOMS`]: only the hub knows whether a room is new.
    new_rooms: Bucket,
    /// Makes the secret name of a client that gives none.
    seed: u128,
    roomless_since: Instant,
    has_been_told_to_move: bool,
}

/// A stay in a room, from the request to come in.
#[derive(Debug)]
struct Visit {
    number: u32,
    room: Arc<str>,
    user: Arc<str>,
    /// [`ClientNonce::key`].
    client: u64,
    place: Option<Place>,
    typed: Option<Instant>,
}

/// Where a member stands in its reactor's [`super::Members`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The room.
    pub room: RoomId,
    /// The index in its list.
    pub index: u32,
}

/// A stay that ends.
#[derive(Debug)]
pub struct Stay {
    /// Where it stood, if it had come in.
    pub place: Option<Place>,
    /// What the hub has to be told.
    pub ask: Ask,
}

/// What a frame leads to.
#[derive(Debug)]
pub enum Outcome {
    /// Ask the hub.
    Ask(Ask),
    /// Answer the client.
    Reply(Bytes),
    /// Answer the client, and count what it did wrong.
    Refuse(ErrorCode, Bytes),
    /// The client leaves: answer it, tell the hub, and take it off the list if it had come in already.
    Leave {
        /// `left`.
        reply: Bytes,
        /// What it leaves.
        stay: Stay,
    },
    /// Nothing: a hint that came too soon after the last.
    Ignore,
    /// End the connection.
    Close(CloseReason, &'static str),
}

impl Session {
    /// A client that has just been welcomed. `seed` is random, secret and its own.
    pub fn new(rate: Rate, seed: u128, now: Instant) -> Self {
        Self {
            visits: SmallVec::new(),
            visits_made: 0,
            bucket: Bucket::new(rate, now),
            answers: Bucket::new(ANSWERS, now),
            new_rooms: Bucket::new(NEW_ROOMS, now),
            seed,
            roomless_since: now,
            has_been_told_to_move: false,
        }
    }

    /// Whether the client should be told to move: it is not told twice.
    pub fn take_move(&mut self) -> bool {
        !std::mem::replace(&mut self.has_been_told_to_move, true)
    }

    /// Whether it was.
    pub fn was_told_to_move(&self) -> bool {
        self.has_been_told_to_move
    }

    /// One text frame.
    pub fn handle_text(&mut self, text: &str, rate: Rate, now: Instant) -> Outcome {
        match self.bucket.take(rate, now) {
            Verdict::Allowed => {}
            Verdict::Limited => {
                let message = format!("at most {} frames a second; this one was ignored", rate.per_second);
                let Subject { room, id } = Subject::read(text);
                return refuse(&Refusal { code: ErrorCode::RateLimited, message, room, id });
            }
            Verdict::Hopeless => return Outcome::Close(CloseReason::Policy, "far too many frames"),
        }
        match ClientMessage::parse(&ClientMessage::prepare(text)) {
            Ok(ClientMessage::Join { room, user, client, since }) => {
                self.join(&room, &user, client, since, now)
            }
            Ok(ClientMessage::Send { room, id, text }) => self.send(&room, &id, &text),
            Ok(ClientMessage::Typing { room }) => self.typing(&room, now),
            Ok(ClientMessage::Leave { room }) => self.leave(&room, now),
            Ok(ClientMessage::Ping) => Outcome::Reply(ServerMessage::Pong.to_frame()),
            Err(refusal) => refuse(&refusal),
        }
    }

    /// The hub let the client in, with an answer of so many bytes. False: it has left meanwhile, and is no member.
    pub fn handle_entered(
        &mut self,
        visit: u32,
        name: Arc<str>,
        answer_bytes: usize,
        place: impl FnOnce() -> Place,
    ) -> bool {
        self.answers.owe(u32::try_from(answer_bytes / 1024).unwrap_or(u32::MAX));
        let Some(visit) = self.visits.iter_mut().find(|known| known.number == visit) else { return false };
        debug_assert!(visit.place.is_none(), "a visit is entered once");
        visit.place = Some(place());
        visit.room = name;
        true
    }

    /// The hub made a room that the client asked for.
    pub fn handle_room_made(&mut self) {
        self.new_rooms.owe(1);
    }

    /// The hub did not let the client in.
    pub fn handle_refused(&mut self, visit: u32, now: Instant) {
        self.visits.retain(|known| known.number != visit);
        self.roomless_since = now;
    }

    /// The member's index changed because another one left the list.
    pub fn handle_moved(&mut self, to: Place) {
        for visit in &mut self.visits {
            if let Some(place) = &mut visit.place
                && place.room == to.room
            {
                *place = to;
            }
        }
    }

    /// The connection is gone, and leaves every room that it had come into or was about to.
    pub fn handle_gone(self) -> impl Iterator<Item = Stay> {
        self.visits.into_iter().map(Visit::leave)
    }

    /// Whether the client holds a connection for nothing.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.visits.is_empty() && now.saturating_duration_since(self.roomless_since) >= ROOMLESS_MAX
    }

    /// Whether the client is in a room, or has asked to come into one.
    pub fn is_in_a_room(&self) -> bool {
        !self.visits.is_empty()
    }

    fn join(
        &mut self,
        room: &Name<'_>,
        user: &Name<'_>,
        client: Option<ClientNonce>,
        since: Option<Since>,
        now: Instant,
    ) -> Outcome {
        if self.visit(room).is_some() {
            return about(room, ErrorCode::AlreadyJoined, "this connection is in the room already");
        }
        if self.visits.len() == ROOMS_MAX {
            let message = format!("a connection may be in at most {ROOMS_MAX} rooms: leave one first");
            return about(room, ErrorCode::TooManyRooms, &message);
        }
        if let Some(debt) = self.answers.debt(ANSWERS, now) {
            let wait = debt.as_millis().div_ceil(1000);
            let message = format!("the answers to the joins before were large: join again in {wait} s");
            return about(room, ErrorCode::RateLimited, &message);
        }
        if let Some(debt) = self.new_rooms.debt(NEW_ROOMS, now) {
            let wait = debt.as_millis().div_ceil(1000);
            let message = format!("the joins before made many new rooms: join again in {wait} s");
            return about(room, ErrorCode::RateLimited, &message);
        }
        self.bucket.charge(JOIN_FRAMES - 1);
        let (room, user): (Arc<str>, Arc<str>) = (room.as_str().into(), user.as_str().into());
        let number = self.visits_made;
        self.visits_made = number.wrapping_add(1);
        let client = client.unwrap_or_else(|| ClientNonce::from_seed(self.seed));
        self.visits.push(Visit {
            number,
            room: Arc::clone(&room),
            user: Arc::clone(&user),
            client: client.key(),
            place: None,
            typed: None,
        });
        Outcome::Ask(Ask::Join { room, user, client, visit: number, since })
    }

    fn send(&mut self, room: &Name<'_>, id: &Name<'_>, text: &str) -> Outcome {
        match self.visit(room) {
            Some(visit) => Outcome::Ask(Ask::Send {
                room: Arc::clone(&visit.room),
                user: Arc::clone(&visit.user),
                client: visit.client,
                id: id.as_str().into(),
                text: text.into(),
            }),
            None => refuse(&Refusal {
                code: ErrorCode::NotJoined,
                message: "join the room first".into(),
                room: Some(room.as_str().into()),
                id: Some(id.as_str().into()),
            }),
        }
    }

    fn typing(&mut self, room: &Name<'_>, now: Instant) -> Outcome {
        let Some(visit) = self.visits.iter_mut().find(|visit| *visit.room == *room.as_str()) else {
            return about(room, ErrorCode::NotJoined, "join the room first");
        };
        if visit.typed.is_some_and(|typed| now.saturating_duration_since(typed) < TYPING_INTERVAL) {
            return Outcome::Ignore;
        }
        visit.typed = Some(now);
        Outcome::Ask(Ask::Typing { room: Arc::clone(&visit.room), user: Arc::clone(&visit.user) })
    }

    fn leave(&mut self, room: &Name<'_>, now: Instant) -> Outcome {
        let Some(index) = self.visits.iter().position(|visit| *visit.room == *room.as_str()) else {
            return about(room, ErrorCode::NotJoined, "this connection is not in the room");
        };
        let visit = self.visits.swap_remove(index);
        self.roomless_since = now;
        let reply = ServerMessage::Left { room: &visit.room }.to_frame();
        Outcome::Leave { reply, stay: visit.leave() }
    }

    fn visit(&self, room: &Name<'_>) -> Option<&Visit> {
        self.visits.iter().find(|visit| *visit.room == *room.as_str())
    }
}

impl Visit {
    /// A visit that the hub has not answered yet is withdrawn, and left if the answer is under way.
    fn leave(self) -> Stay {
        let Self { number: visit, room, user, place, .. } = self;
        let ask = if place.is_some() { Ask::Leave { room, user } } else { Ask::Withdraw { room, visit } };
        Stay { place, ask }
    }
}

fn about(room: &Name<'_>, code: ErrorCode, message: &str) -> Outcome {
    refuse(&Refusal { code, message: message.into(), room: Some(room.as_str().into()), id: None })
}

fn refuse(refusal: &Refusal<'_>) -> Outcome {
    let frame = ServerMessage::Error {
        code: refusal.code.name(),
        message: &refusal.message,
        room: refusal.room.as_deref(),
        id: refusal.id.as_deref(),
    };
    Outcome::Refuse(refusal.code, frame.to_frame())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { per_second: 50, burst: 200 };
    const SEED: u128 = 0xb194_6ac9;

    fn refused(outcome: &Outcome) -> ErrorCode {
        match outcome {
            Outcome::Refuse(code, _) => *code,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn join(session: &mut Session, room: &str, now: Instant) -> Outcome {
        session.handle_text(&format!(r#"{{"type":"join","room":"{room}","user":"ann"}}"#), RATE, now)
    }

    #[test]
    fn who_makes_many_new_rooms_waits_before_the_next_join() {
        let now = Instant::now();
        let mut session = Session::new(RATE, SEED, now);
        (0..CLIENT_ROOMS_BURST).for_each(|_| session.handle_room_made());
        assert!(matches!(join(&mut session, "a", now), Outcome::Ask(_)), "as many as are allowed at once");
        session.handle_room_made();
        assert_eq!(refused(&join(&mut session, "b", now)), ErrorCode::RateLimited);
        let later = now + Duration::from_secs(1) / CLIENT_ROOMS_PER_SECOND;
        assert!(matches!(join(&mut session, "b", later), Outcome::Ask(_)));
    }

    #[test]
    fn a_client_may_send_as_soon_as_it_has_asked_to_come_in() {
        let now = Instant::now();
        let mut session = Session::new(RATE, SEED, now);
        let send = r#"{"type":"send","room":"r","id":"1","text":"hi"}"#;
        assert_eq!(refused(&session.handle_text(send, RATE, now)), ErrorCode::NotJoined);
        assert!(matches!(join(&mut session, "r", now), Outcome::Ask(Ask::Join { visit: 0, .. })));
        assert!(matches!(session.handle_text(send, RATE, now), Outcome::Ask(Ask::Send { .. })));
        assert_eq!(refused(&join(&mut session, "r", now)), ErrorCode::AlreadyJoined);
    }

    /// The nonce that the hub is told for a join, and the key for a send behind it.
    fn nonce_and_key(session: &mut Session, room: &str, client: &str) -> (String, u64) {
        let now = Instant::now();
        let join = format!(r#"{{"type":"join","room":"{room}","user":"ann"{client}}}"#);
        let Outcome::Ask(Ask::Join { client, .. }) = session.handle_text(&join, RATE, now) else {
            panic!("a join")
        };
        let send = format!(r#"{{"type":"send","room":"{room}","id":"1","text":"hi"}}"#);
        let Outcome::Ask(Ask::Send { client: key, .. }) = session.handle_text(&send, RATE, now) else {
            panic!("a send")
        };
        assert_eq!(key, client.key());
        (client.as_str().to_owned(), key)
    }

    #[test]
    fn a_nonce_is_that_of_the_join_or_the_servers() {
        let mut session = Session::new(RATE, SEED, Instant::now());
        let given = r#","client":"a-nonce-of-the-client""#;
        let (first, key) = nonce_and_key(&mut session, "r", given);
        assert_eq!(first, "a-nonce-of-the-client");
        let (second, other) = nonce_and_key(&mut session, "s", r#","client":"another-of-the-client""#);
        assert!(second == "another-of-the-client" && other != key, "each room has its own");
        assert_eq!(nonce_and_key(&mut session, "t", given), (first, key));
        let made = nonce_and_key(&mut session, "u", "");
        assert_eq!(made.0, ClientNonce::from_seed(SEED).as_str());
        assert_eq!(nonce_and_key(&mut session, "v", ""), made, "the same in all rooms of a connection");
        let mut stranger = Session::new(RATE, SEED + 1, Instant::now());
        assert_ne!(nonce_and_key(&mut stranger, "u", ""), made);
    }

    #[test]
    fn a_late_answer_does_not_make_a_member_of_one_who_left() {
        let now = Instant::now();
        let mut session = Session::new(RATE, SEED, now);
        join(&mut session, "r", now);
        let leave = session.handle_text(r#"{"type":"leave","room":"r"}"#, RATE, now);
        assert!(matches!(
            leave,
            Outcome::Leave { stay: Stay { place: None, ask: Ask::Withdraw { visit: 0, .. } }, .. }
        ));
        join(&mut session, "r", now);
        assert!(!session.handle_entered(0, "r".into(), 0, || unreachable!("no place is taken")));
        let place = Place { room: RoomId(4), index: 2 };
        assert!(session.handle_entered(1, "r".into(), 0, || place));
        session.handle_moved(Place { room: RoomId(4), index: 0 });
        let gone: Vec<_> = session.handle_gone().map(|stay| stay.place).collect();
        assert_eq!(gone, [Some(Place { room: RoomId(4), index: 0 })]);
    }

    #[test]
    fn who_was_sent_much_history_joins_again_later() {
        let now = Instant::now();
        let mut session = Session::new(RATE, SEED, now);
        let leave = r#"{"type":"leave","room":"r"}"#;
        let answer_bytes = 1024 * 1024;
        let mut answers = 0;
        while let Outcome::Ask(Ask::Join { visit, .. }) = join(&mut session, "r", now) {
            // The answer counts though the client has left before it comes.
            session.handle_text(leave, RATE, now);
            session.handle_entered(visit, "r".into(), answer_bytes, || unreachable!("it has left"));
            answers += 1;
        }
        assert_eq!(answers, ANSWER_KIB_BURST as usize / 1024 + 1);
        let refusal = join(&mut session, "r", now);
        let Outcome::Refuse(ErrorCode::RateLimited, frame) = &refusal else { panic!("{refusal:?}") };
        assert!(String::from_utf8_lossy(frame).contains("join again in 4 s"), "{frame:?}");
        let paid = now + Duration::from_secs(4);
        assert!(matches!(join(&mut session, "r", paid), Outcome::Ask(Ask::Join { .. })));
    }

    #[test]
    fn rooms_and_frames_are_limited() {
        let now = Instant::now();
        let mut session = Session::new(RATE, SEED, now);
        for room in 0..ROOMS_MAX {
            assert!(matches!(join(&mut session, &room.to_string(), now), Outcome::Ask(_)));
        }
        assert_eq!(refused(&join(&mut session, "one more", now)), ErrorCode::TooManyRooms);
        let mut outcomes = (0..1000).map(|_| session.handle_text(r#"{"type":"ping"}"#, RATE, now));
        let limited = outcomes.find(|outcome| !matches!(outcome, Outcome::Reply(_))).unwrap();
        assert_eq!(refused(&limited), ErrorCode::RateLimited);
        assert!(outcomes.any(|outcome| matches!(outcome, Outcome::Close(CloseReason::Policy, _))));
    }

    #[test]
    fn a_message_that_came_too_soon_is_named_so_that_it_can_be_repeated() {
        let now = Instant::now();
        let rate = Rate { per_second: 1, burst: 1 };
        let mut session = Session::new(rate, SEED, now);
        join(&mut session, "r", now);
        let send = r#"{"type":"send","room":"r","id":"7","text":"hi"}"#;
        let Outcome::Refuse(ErrorCode::RateLimited, frame) = session.handle_text(send, rate, now) else {
            panic!("limited")
        };
        let text = String::from_utf8_lossy(&frame);
        assert!(text.contains(r#""room":"r""#) && text.contains(r#""id":"7""#), "{text}");
    }

    #[test]
    fn typing_is_relayed_at_most_once_a_second() {
        let now = Instant::now();
        let mut session = Session::new(RATE, SEED, now);
        join(&mut session, "r", now);
        let typing = r#"{"type":"typing","room":"r"}"#;
        assert!(matches!(session.handle_text(typing, RATE, now), Outcome::Ask(Ask::Typing { .. })));
        assert!(matches!(session.handle_text(typing, RATE, now), Outcome::Ignore));
        let later = now + Duration::from_secs(1);
        assert!(matches!(session.handle_text(typing, RATE, later), Outcome::Ask(Ask::Typing { .. })));
    }

    #[test]
    fn a_client_in_no_room_is_idle_after_a_while() {
        let now = Instant::now();
        let mut session = Session::new(RATE, SEED, now);
        let later = now + ROOMLESS_MAX;
        assert!(!session.is_idle(now));
        assert!(session.is_idle(later));
        join(&mut session, "r", now);
        assert!(!session.is_idle(later));
        session.handle_refused(0, later);
        assert!(!session.is_idle(later) && session.is_idle(later + ROOMLESS_MAX));
    }
}
