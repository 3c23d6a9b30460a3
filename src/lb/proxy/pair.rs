//! What is decided about one client and the server behind it. No sockets, no clock, no chance: bytes and events come in,
//! [`Act`]s go out.
//!
//! ```text
//!          ┌───────────── no server: another attempt, after a pause ─────────────┐
//!          ▼                                                                     │
//!  new ─▶ seeking ─ 101 ─▶ attached ─ the server is lost ─────────────────▶ seeking
//!                           │    ▲                                               │
//!                           └────┴── it says `move`, or is gone: seeking beside ─┘
//! ```
//! To the client go whole frames (what is larger than the buffer in parts), so that between two of them another server may
//! take over: first `resume`, then that server's frames from its first on. To the server goes what the client says as it
//! comes; another server gets it from the next message on, and the client says again what nobody acknowledged.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::lb::refusal::Refusal;
use crate::wire::frame_tracker::Piece;
use crate::wire::{CloseReason, FrameSplitter, FrameTracker, ServerMessage, frame};

use super::limits::{
    BUFFER_BYTES, CONNECT_TIMEOUT, FIRST_TRIES_MAX, HALF_CLOSED_MAX, HANDSHAKE_TIMEOUT, LINGER, PATIENCE,
};

/// The first byte of a whole text frame, and what its payload begins with when the server wants its client to move.
const WHOLE_TEXT: u8 = 0x81;
const MOVE: &[u8] = br#"{"type":"move""#;
/// Longest payload whose length stands in the second byte: no `move` is longer.
const SHORT_MAX: u8 = 125;

/// For a new client that no server took.
const UNANSWERED: Refusal = Refusal::Unanswered;

/// What is to be done. Carried out in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// Choose a server, not this one if there is another, and begin to connect to it.
    Dial {
        /// Where the client was, or did not get to.
        not: Option<Arc<str>>,
    },
    /// Give up the server that was dialed.
    DropNext,
    /// The server that was dialed takes the place of the one there was, which is closed.
    Switch {
        /// There was none.
        is_first: bool,
    },
    /// The client is no longer that server's.
    Detach(Arc<str>),
    /// The server is told that its client will say nothing more.
    FinishServer,
    /// These bytes are queued for the client.
    Tell(Bytes),
    /// The client, which has no WebSocket yet, is told why not; [`Act::End`] follows.
    Refuse(Refusal),
    /// The servers are closed; the client's connection ends behind what is queued for it.
    End,
    /// All is closed at once.
    Abort,
}

/// What is to be done with bytes of a server.
#[derive(Debug, PartialEq, Eq)]
pub struct Downward {
    /// So many bytes, which are now at the front, go to the client.
    pub forward: usize,
    /// These are the beginning of a frame: hold them.
    pub hold: Range<usize>,
}

/// How a move ended, or what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The client is new.
    First,
    /// Its server wants it to move, or has fallen silent.
    Move,
    /// Its server is lost.
    Lost,
}

/// One client.
#[derive(Debug)]
pub struct Pair {
    client: FrameTracker,
    server: FrameSplitter,
    /// Whose server it is.
    name: Option<Arc<str>>,
    seeking: Option<Box<Seeking>>,
    /// What the client gets when a server is there for the first time: its 101.
    greeting: Option<Box<[u8]>>,
    /// For the client, once no message is under way to it.
    farewell: Option<Box<[u8]>>,
    /// What the client says belongs to a message that another server got the beginning of.
    is_skipping: bool,
    client_has_ended: bool,
    /// Nothing more is decided; what is queued for the client may go.
    has_ended: bool,
    deadline: Option<Instant>,
    acts: Vec<Act>,
}

#[derive(Debug)]
struct Seeking {
    why: Why,
    not: Option<Arc<str>>,
    attempt: Option<Attempt>,
    failures: u32,
    /// When the attempt fails, or the next one is made.
    next: Instant,
    /// When all is given up.
    until: Instant,
}

#[derive(Debug)]
struct Attempt {
    name: Arc<str>,
    /// It has answered 101, and waits for the end of what is under way to the client.
    is_ready: bool,
}

impl Pair {
    /// A client that waits for its 101, `greeting`.
    pub fn new(greeting: &[u8], now: Instant) -> Self {
        let mut pair = Self {
            client: FrameTracker::default(),
            server: FrameSplitter::default(),
            name: None,
            seeking: None,
            greeting: Some(greeting.into()),
            farewell: None,
            is_skipping: false,
            client_has_ended: false,
            has_ended: false,
            deadline: None,
            acts: Vec::new(),
        };
        pair.seek(Why::First, None, now);
        pair
    }

    /// What is to be done.
    pub fn take_acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    /// When [`Pair::handle_timeout`] has something to see.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let seeking = self.seeking.as_ref().map(|seeking| seeking.next.min(seeking.until));
        seeking.into_iter().chain(self.deadline).min()
    }

    /// The server that it is attached to.
    pub fn server(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// Whether what the client says can be used, if only to see its end: before its 101 it has nothing to say.
    pub fn may_hear_client(&self) -> bool {
        self.greeting.is_none()
    }

    /// Whether both sides have said all.
    pub fn is_over(&self) -> bool {
        self.has_ended && self.client_has_ended
    }

    /// Whether the server that was dialed has still to answer.
    pub fn awaits_answer(&self) -> bool {
        let attempt = self.seeking.as_ref().and_then(|seeking| seeking.attempt.as_ref());
        attempt.is_some_and(|attempt| !attempt.is_ready)
    }

    /// The client says something. Returns what of it goes to the server.
    pub fn handle_client_bytes(&mut self, bytes: &[u8], now: Instant) -> Range<usize> {
        let (mut at, mut from) = (0, 0);
        while at < bytes.len() {
            if self.is_skipping && self.client.is_between_messages() {
                (self.is_skipping, from) = (false, at);
            }
            at += self.client.advance(&bytes[at..]);
        }
        let is_lost = self.is_skipping || self.name.is_none() || self.has_ended;
        if self.client.is_closed() {
            self.stop_seeking();
            if is_lost {
                // Its close frame reaches no server, so it is answered here.
                self.end_with(frame::close_echo(None), now);
            }
        }
        if is_lost { 0..0 } else { from..bytes.len() }
    }

    /// The client will say nothing more.
    pub fn handle_client_end(&mut self, now: Instant) {
        self.client_has_ended = true;
        self.stop_seeking();
        if self.has_ended {
            // What is queued for it still goes.
        } else if self.name.is_none() {
            self.abort();
        } else {
            self.deadline = Some(now + HALF_CLOSED_MAX);
            self.acts.push(Act::FinishServer);
        }
    }

    /// The client is gone, or takes nothing.
    pub fn handle_client_lost(&mut self) {
        self.abort();
    }

    /// The server says something. What goes to the client is moved to the front.
    pub fn handle_server_bytes(&mut self, bytes: &mut [u8], now: Instant) -> Downward {
        let (mut at, mut forward) = (0, 0);
        while at < bytes.len() {
            let length = match self.server.next(&bytes[at..], BUFFER_BYTES) {
                Piece::Beginning => break,
                Piece::Frame(length) if is_move(&bytes[at..at + length]) => {
                    self.handle_move_wanted(now);
                    at += length;
                    continue;
                }
                Piece::Frame(length) | Piece::Part(length) => length,
            };
            if forward < at {
                bytes.copy_within(at..at + length, forward);
            }
            (at, forward) = (at + length, forward + length);
        }
        if self.server.is_closed() {
            self.stop_seeking();
        }
        self.handle_boundary();
        Downward { forward, hold: at..bytes.len() }
    }

    /// The server has ended its side, or is broken, or takes nothing.
    pub fn handle_server_lost(&mut self, now: Instant) {
        let Some(name) = self.detach() else { return };
        if self.client_has_ended || self.client.is_closed() || self.server.is_closed() {
            return self.end(now);
        }
        if !self.server.is_between_messages() {
            // The client has a part of a message, and nobody else has the rest.
            return self.abort();
        }
        self.server = FrameSplitter::default();
        match &mut self.seeking {
            Some(seeking) => {
                seeking.why = Why::Lost;
                seeking.until = now + PATIENCE;
                self.handle_boundary();
            }
            None => self.seek(Why::Lost, Some(name), now),
        }
    }

    /// The server wants its client to go elsewhere, or nobody hears of it any more.
    pub fn handle_move_wanted(&mut self, now: Instant) {
        let may_move = !self.client_has_ended && !self.client.is_closed() && !self.server.is_closed();
        if self.seeking.is_none() && !self.has_ended && may_move {
            let from = self.name.clone();
            self.seek(Why::Move, from, now);
        }
    }

    /// A server was chosen, and is being connected to.
    pub fn handle_dialing(&mut self, name: Arc<str>, now: Instant) {
        if let Some(seeking) = &mut self.seeking {
            seeking.attempt = Some(Attempt { name, is_ready: false });
            seeking.next = now + CONNECT_TIMEOUT;
        }
    }

    /// It is connected.
    pub fn handle_connected(&mut self, now: Instant) {
        if let Some(seeking) = &mut self.seeking {
            seeking.next = now + HANDSHAKE_TIMEOUT;
        }
    }

    /// It has answered 101.
    pub fn handle_accepted(&mut self) {
        if let Some(Seeking { attempt: Some(attempt), next, until, .. }) = self.seeking.as_deref_mut() {
            attempt.is_ready = true;
            *next = *until;
            self.handle_boundary();
        }
    }

    /// It cannot be reached, or wants no client. The next attempt is made after `pause`, a new client's at once.
    pub fn handle_attempt_failed(&mut self, pause: Duration, now: Instant) {
        let Some(seeking) = &mut self.seeking else { return };
        let Some(attempt) = seeking.attempt.take() else { return };
        self.acts.push(Act::DropNext);
        seeking.failures += 1;
        seeking.not = Some(attempt.name);
        match seeking.why {
            Why::First if seeking.failures >= FIRST_TRIES_MAX => self.refuse(UNANSWERED, now),
            Why::First => self.dial(now),
            Why::Move | Why::Lost => seeking.next = now + pause,
        }
    }

    /// No server may be had. Asked for again after `pause`, or at this client's turn.
    pub fn handle_refusal(&mut self, refusal: Refusal, pause: Duration, now: Instant) {
        let Some(seeking) = &mut self.seeking else { return };
        if seeking.why == Why::First {
            return self.refuse(refusal, now);
        }
        if let Refusal::Busy(turn) = refusal {
            seeking.until = seeking.until.max(now + turn + PATIENCE);
            seeking.next = now + turn;
        } else {
            seeking.next = now + pause;
        }
    }

    /// This balancer leaves: the client is told `farewell` once no message is under way to it. One that has no server yet
    /// is refused.
    pub fn handle_leaving(&mut self, farewell: &[u8], now: Instant) {
        if self.greeting.is_some() {
            self.refuse(Refusal::Draining, now);
        } else if !self.has_ended && !self.server.is_closed() {
            self.farewell = Some(farewell.into());
            self.handle_boundary();
        }
    }

    /// This balancer waits no longer.
    pub fn handle_left(&mut self, now: Instant) {
        if self.greeting.is_some() {
            self.refuse(Refusal::Draining, now);
        } else if self.has_ended {
            // It has its own time for that.
        } else if !self.server.is_between_messages() {
            self.abort();
        } else if self.server.is_closed() {
            self.end(now);
        } else {
            self.end_with(frame::close(CloseReason::GoingAway, "the balancer is leaving"), now);
        }
    }

    /// Looks at the clock. `pause` is as for [`Pair::handle_attempt_failed`].
    pub fn handle_timeout(&mut self, pause: Duration, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return self.abort();
        }
        let Some(seeking) = &self.seeking else { return };
        if seeking.until <= now {
            self.give_up(now);
        } else if seeking.next <= now && seeking.attempt.is_some() {
            self.handle_attempt_failed(pause, now);
        } else if seeking.next <= now {
            self.dial(now);
        }
    }

    fn seek(&mut self, why: Why, not: Option<Arc<str>>, now: Instant) {
        let until = now + PATIENCE;
        let seeking = Seeking { why, not, attempt: None, failures: 0, next: until, until };
        self.seeking = Some(Box::new(seeking));
        self.dial(now);
    }

    fn dial(&mut self, now: Instant) {
        if let Some(seeking) = &mut self.seeking {
            seeking.next = now + CONNECT_TIMEOUT;
            self.acts.push(Act::Dial { not: seeking.not.clone() });
        }
    }

    fn stop_seeking(&mut self) {
        if self.seeking.take().is_some_and(|seeking| seeking.attempt.is_some()) {
            self.acts.push(Act::DropNext);
        }
    }

    /// What waits for the end of a message to the client, if that is now.
    fn handle_boundary(&mut self) {
        if self.has_ended || !self.server.is_between_messages() || self.server.is_closed() {
            return;
        }
        if let Some(farewell) = self.farewell.take() {
            self.acts.push(Act::Tell(farewell.into()));
        }
        let Some(seeking) = self.seeking.take_if(|seeking| seeking.is_ready()) else { return };
        self.detach();
        self.name = seeking.attempt.map(|attempt| attempt.name);
        self.server = FrameSplitter::default();
        self.is_skipping = !self.client.is_between_messages();
        self.acts.push(Act::Switch { is_first: self.greeting.is_some() });
        let hello = self.greeting.take().map_or_else(|| ServerMessage::Resume.to_frame(), Bytes::from);
        self.acts.push(Act::Tell(hello));
    }

    fn give_up(&mut self, now: Instant) {
        let why = self.seeking.as_ref().map(|seeking| seeking.why);
        self.stop_seeking();
        match why {
            Some(Why::First) => self.refuse(UNANSWERED, now),
            Some(Why::Lost) => {
                let detail = "no server could be found in time";
                self.end_with(frame::close(CloseReason::TryLater, detail), now);
            }
            // It stays where it is.
            Some(Why::Move) | None => {}
        }
    }

    fn refuse(&mut self, refusal: Refusal, now: Instant) {
        self.greeting = None;
        self.acts.push(Act::Refuse(refusal));
        self.end(now);
    }

    fn end_with(&mut self, last: Bytes, now: Instant) {
        if !self.has_ended {
            self.acts.push(Act::Tell(last));
            self.end(now);
        }
    }

    fn end(&mut self, now: Instant) {
        if !self.has_ended {
            self.close();
            self.deadline = Some(now + LINGER);
            self.acts.push(Act::End);
        }
    }

    fn abort(&mut self) {
        self.close();
        self.acts.push(Act::Abort);
    }

    fn close(&mut self) {
        self.has_ended = true;
        self.detach();
        self.seeking = None;
        self.farewell = None;
    }

    fn detach(&mut self) -> Option<Arc<str>> {
        let name = self.name.take()?;
        self.acts.push(Act::Detach(Arc::clone(&name)));
        Some(name)
    }
}

impl Seeking {
    fn is_ready(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.is_ready)
    }
}

/// Whether a whole frame of a server says `move`.
fn is_move(frame: &[u8]) -> bool {
    match frame {
        [WHOLE_TEXT, length, payload @ ..] if *length <= SHORT_MAX => {
            let rest = payload.strip_prefix(MOVE);
            rest.is_some_and(|rest| matches!(rest.first(), Some(b',' | b'}')))
        }
        _ => false,
    }
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
