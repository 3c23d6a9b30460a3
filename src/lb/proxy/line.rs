//! A client's line: its socket, those of its servers, and the pair that decides what passes between them.

use std::time::{Duration, Instant};

use crate::net::Received;
use crate::serve::work::Work;
use crate::wire::{Forward, switching};

use super::leg::{Leg, Side, Tally};
use super::limits::{CLIENT_WORK, TICK};
use super::pair::Pair;
use super::place::Place;

/// Reads of what a server said before it broke.
const LAST_READS_MAX: usize = 16;

/// Why a server that was dialed is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be connected to.
    Connect,
    /// It ended the connection before it answered.
    Ended,
    /// It answered, but not 101.
    Answer,
    /// It took too long.
    Timeout,
}

impl Failure {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Ended => "ended",
            Self::Answer => "answer",
            Self::Timeout => "timeout",
        }
    }
}

/// One proxied client.
#[derive(Debug)]
pub struct Line {
    /// What is decided.
    pub pair: Pair,
    /// What each server is asked.
    pub request: Forward,
    /// The client's socket.
    pub client: Leg,
    /// The server's.
    pub server: Option<Leg>,
    /// That of a server that was dialed.
    pub next: Option<Leg>,
    /// How much is read from the client.
    pub pacing: Pacing,
    /// When its entry in the wheel comes round.
    pub scheduled: Option<Instant>,
    /// One of the places for proxied clients, until it goes.
    pub _place: Place,
}

/// Keeps a client that sends much in small segments from having the loop do little else.
#[derive(Debug)]
pub struct Pacing {
    work: Work,
    read: Instant,
    /// Nothing is read before.
    until: Option<Instant>,
}

impl Pacing {
    /// Nothing was read so far.
    pub fn new(now: Instant) -> Self {
        Self { work: Work::default(), read: now, until: None }
    }

    /// The time has come, perhaps, to read again.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.until.take_if(|until| *until <= now);
    }

    fn note_read(&mut self, bytes: usize, now: Instant) {
        self.work.rest(now.saturating_duration_since(self.read), CLIENT_WORK);
        self.read = now;
        if !self.work.read(bytes, CLIENT_WORK) {
            self.until = Some(now + TICK);
        }
    }
}

impl Line {
    /// The socket of that side.
    pub fn leg(&mut self, side: Side) -> Option<&mut Leg> {
        let legs = [Some(&mut self.client), self.server.as_mut(), self.next.as_mut()];
        legs.into_iter().flatten().find(|leg| leg.side == side)
    }

    /// The side that is free for another server.
    pub fn free_side(&self) -> Side {
        match self.server.as_ref().map(|leg| leg.side) {
            Some(Side::Left) => Side::Right,
            _ => Side::Left,
        }
    }

    /// The sides that have something to read and may be read: a side is not asked for more than the other takes.
    pub fn readable(&self) -> impl Iterator<Item = Side> + use<> {
        let client = Some(&self.client).filter(|_| self.may_hear_client());
        let server = self.server.as_ref().filter(|_| self.client.is_flushed());
        let next = self.next.as_ref().filter(|_| self.pair.awaits_answer());
        let legs = [client, server, next].map(|leg| leg.filter(|leg| leg.is_readable()).map(|leg| leg.side));
        legs.into_iter().flatten()
    }

    fn may_hear_client(&self) -> bool {
        self.pacing.until.is_none()
            && self.pair.may_hear_client()
            && self.server.as_ref().is_none_or(Leg::is_flushed)
    }

    /// When something has to be looked at.
    pub fn deadline(&self) -> Option<Instant> {
        let server = self.server.as_ref().and_then(Leg::stalls_at);
        [self.pair.poll_timeout(), self.client.stalls_at(), server, self.pacing.until]
            .into_iter()
            .flatten()
            .min()
    }

    /// One read from that side, and one write to the other. Tells when the server that was dialed is none.
    pub fn relay(
        &mut self,
        side: Side,
        buffer: &mut [u8],
        tally: &mut Tally,
        pause: Duration,
        now: Instant,
    ) -> Option<Failure> {
        if side == Side::Client {
            self.hear_client(buffer, tally, now);
        } else if self.server.as_ref().is_some_and(|leg| leg.side == side) {
            self.hear_server(buffer, tally, now);
        } else {
            return self.hear_next(buffer, pause, now);
        }
        None
    }

    /// Writes what is queued.
    pub fn flush(&mut self, buffer: &mut [u8], tally: &mut Tally, now: Instant) {
        if self.server.as_mut().is_some_and(|server| server.flush(tally, now).is_err()) {
            self.hear_last(buffer, tally, now);
        }
        if self.client.flush(tally, now).is_err() || (self.pair.is_over() && self.client.is_flushed()) {
            self.pair.handle_client_lost();
        }
    }

    fn hear_client(&mut self, buffer: &mut [u8], tally: &mut Tally, now: Instant) {
        match self.client.receive(buffer) {
            Received::Bytes(filled) => {
                self.pacing.note_read(filled, now);
                let range = self.pair.handle_client_bytes(&buffer[..filled], now);
                let Some(server) = self.server.as_mut().filter(|_| !range.is_empty()) else { return };
                tally.up += range.len() as u64;
                if server.pass_on(&buffer[range], tally, now).is_err() {
                    self.hear_last(buffer, tally, now);
                }
            }
            Received::Nothing => {}
            Received::End => self.pair.handle_client_end(now),
        }
    }

    fn hear_server(&mut self, buffer: &mut [u8], tally: &mut Tally, now: Instant) {
        let Some(server) = &mut self.server else { return };
        match server.receive(buffer) {
            Received::Bytes(filled) => {
                let downward = self.pair.handle_server_bytes(&mut buffer[..filled], now);
                if !downward.hold.is_empty() {
                    server.connection().hold(&buffer[downward.hold]);
                }
                tally.down += downward.forward as u64;
                let forward = &buffer[..downward.forward];
                if !forward.is_empty() && self.client.pass_on(forward, tally, now).is_err() {
                    self.pair.handle_client_lost();
                }
            }
            Received::Nothing => {}
            Received::End => self.pair.handle_server_lost(now),
        }
    }

    /// A server that takes nothing any more may have said why before, in a close frame that is still to be read.
    fn hear_last(&mut self, buffer: &mut [u8], tally: &mut Tally, now: Instant) {
        for _ in 0..LAST_READS_MAX {
            let is_heard = self.client.is_flushed() && self.server.as_ref().is_some_and(Leg::is_readable);
            if !is_heard || self.pair.server().is_none() {
                break;
            }
            self.hear_server(buffer, tally, now);
        }
        self.pair.handle_server_lost(now);
    }

    fn hear_next(&mut self, buffer: &mut [u8], pause: Duration, now: Instant) -> Option<Failure> {
        let next = self.next.as_mut()?;
        let failure = match next.receive(buffer) {
            Received::Bytes(filled) => match switching::parse(&buffer[..filled], self.request.key()) {
                Ok(None) => {
                    next.connection().hold(&buffer[..filled]);
                    None
                }
                Ok(Some(end)) => {
                    next.connection().hold_for_next_turn(&buffer[end..filled]);
                    self.pair.handle_accepted();
                    None
                }
                Err(error) => {
                    log::debug!("a server that was chosen for a client: {error}");
                    Some(Failure::Answer)
                }
            },
            Received::Nothing => None,
            Received::End => Some(Failure::Ended),
        };
        if failure.is_some() {
            self.pair.handle_attempt_failed(pause, now);
        }
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_sends_much_is_read_less_often() {
        let now = Instant::now();
        let mut pacing = Pacing::new(now);
        (0..CLIENT_WORK.burst).for_each(|_| pacing.note_read(1, now));
        assert_eq!(pacing.until, None);
        pacing.note_read(1, now);
        assert_eq!(pacing.until, Some(now + TICK));
        pacing.handle_timeout(now);
        assert_eq!(pacing.until, Some(now + TICK), "it is too early");
        pacing.handle_timeout(now + TICK);
        pacing.note_read(1, now + TICK);
        assert_eq!(pacing.until, None);
    }
}
