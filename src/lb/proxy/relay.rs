//! The proxy's event loop: one thread, one poller, and the lines of the clients that a reactor handed to it.
//!
//! A burst costs one read and one write. Both sockets of a line are watched once, for both directions and by edges, so
//! passing on costs no call to the poller; what is left over waits for the edge that tells of room.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::lb::address;
use crate::lb::board::Destination;
use crate::lb::node::Node;
use crate::lb::refusal::Refusal;
use crate::lb::ws_url;
use crate::net::buffers;
use crate::net::dial::{dial, outcome};
use crate::net::{Key, Mailbox, Poller, Post, Readiness, Slots, TimerWheel, mailbox::mailbox};
use crate::serve::loops::{Loop, Stage};
use crate::wire::{Forward, ServerMessage};

use super::leaving::Leaving;
use super::leg::{Leg, Side, Tally};
use super::limits::{BUFFER_BYTES, LETTERS_MAX, LETTERS_PER_TURN, MOVE_WITHIN, PAUSE_MS, TICK};
use super::line::{Failure, Line, Pacing};
use super::pair::{Act, Pair};
use super::place::Place;

/// What other threads tell a loop.
#[derive(Debug)]
pub enum Letter {
    /// A client is handed over.
    Client(Box<Newcomer>),
    /// Nobody hears of that server any more, or it has begun anew.
    Gone(Arc<str>),
    /// The balancer leaves: its clients are told over the first time, and waited for until the second is over.
    Leave(Duration, Duration),
}

/// A client that is to be proxied.
#[derive(Debug)]
pub struct Newcomer {
    /// Its socket, that no poller watches.
    pub stream: TcpStream,
    /// What came behind its request.
    pub rest: Box<[u8]>,
    /// What each server is asked.
    pub request: Forward,
    /// What answers it when a server is there.
    pub greeting: Box<[u8]>,
    /// Its place.
    pub place: Place,
}

/// One core's share of the proxied clients.
pub struct Relay {
    node: Arc<Node>,
    watched: Arc<Loop>,
    poller: Poller,
    letters: Mailbox<Letter>,
    has_letters: bool,
    lines: Slots<Line>,
    wheel: TimerWheel<Key>,
    /// Tokens of the sockets that have something to read.
    ready: Vec<Key>,
    /// Empty vectors that keep their memory from turn to turn.
    spare: (Vec<Readiness>, Vec<Key>),
    buffer: Box<[u8]>,
    tally: Tally,
    leaving: Option<Leaving>,
}

impl Relay {
    /// A loop without clients, and where letters to it go.
    pub fn new(node: Arc<Node>, watched: Arc<Loop>) -> io::Result<(Self, Post<Letter>)> {
        let poller = Poller::new()?;
        let (post, letters) = mailbox(LETTERS_MAX, poller.waker());
        let relay = Self {
            node,
            watched,
            poller,
            letters,
            has_letters: false,
            lines: Slots::default(),
            wheel: TimerWheel::new(TICK, Instant::now()),
            ready: Vec::new(),
            spare: Default::default(),
            buffer: vec![0; BUFFER_BYTES].into(),
            tally: Tally::default(),
            leaving: None,
        };
        Ok((relay, post))
    }

    /// Turns until the balancer leaves and nobody is left.
    pub fn run(mut self) -> io::Result<()> {
        while self.leaving.is_none() || !self.lines.is_empty() {
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        let now = self.wait()?;
        self.watched.enter(Stage::Letters, now);
        self.take_letters(now);
        self.watched.enter(Stage::Read, now);
        self.read(now);
        self.watched.enter(Stage::Expire, now);
        self.expire(now);
        self.let_go(now);
        let Tally { up, down, writes } = std::mem::take(&mut self.tally);
        self.node.metrics.passed_on(up, down, writes);
        self.watched.enter(Stage::Wait, now);
        Ok(())
    }

    /// Sleeps until something happens; the only place that does.
    fn wait(&mut self) -> io::Result<Instant> {
        let now = Instant::now();
        self.poller.wait(self.timeout(now))?;
        let now = Instant::now();
        self.watched.enter(Stage::Read, now);
        let mut told = std::mem::take(&mut self.spare.0);
        told.extend(self.poller.ready());
        told.drain(..).for_each(|readiness| self.handle_ready(readiness, now));
        self.spare.0 = told;
        Ok(now)
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        if self.has_letters || !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let leaving = self.leaving.as_ref().and_then(Leaving::poll_timeout);
        let deadline = [leaving, self.wheel.next_deadline()].into_iter().flatten().min();
        deadline.map(|at| at.saturating_duration_since(now))
    }

    fn handle_ready(&mut self, readiness: Readiness, now: Instant) {
        let Readiness::Connection { key: token, read_closed, writable, .. } = readiness else { return };
        let (key, side) = of_token(token);
        let Some(line) = self.lines.get_mut(key) else { return };
        let is_next = line.next.as_ref().is_some_and(|leg| leg.side == side);
        let Some(leg) = line.leg(side) else { return };
        leg.note(readiness);
        let is_relieved = writable && !leg.is_flushed();
        if is_next && (writable || read_closed) {
            self.handle_connected(key, now);
        } else if side == Side::Client && read_closed && !line.pair.may_hear_client() {
            // Who ends before the 101 waits for nothing.
            line.pair.handle_client_lost();
        } else if !is_relieved {
            return list(line, key, &mut self.ready);
        }
        self.settle(key, now);
    }

    fn take_letters(&mut self, now: Instant) {
        let mut letters = Vec::new();
        self.has_letters = self.letters.drain(LETTERS_PER_TURN, |letter| letters.push(letter));
        for letter in letters {
            match letter {
                Letter::Client(newcomer) => self.welcome(*newcomer, now),
                Letter::Gone(name) => self.leave_server(&name, now),
                Letter::Leave(over, limit) => {
                    self.leaving = Some(Leaving::new(self.lines.keys().collect(), over, limit, now));
                }
            }
        }
    }

    fn welcome(&mut self, newcomer: Newcomer, now: Instant) {
        let Newcomer { stream, rest, request, greeting, place } = newcomer;
        let key = self.lines.next_key();
        let mut client = Leg::new(Side::Client, stream);
        if self.poller.add_connection(client.connection().source(), token(key, Side::Client)).is_err() {
            return self.node.metrics.newcomer_lost();
        }
        // What came early is a frame at best: it waits for the 101 like its client should have.
        client.connection().hold_for_next_turn(&rest);
        let mut pair = Pair::new(&greeting, now);
        if self.leaving.is_some() {
            pair.handle_left(now);
        }
        let line = Line {
            pair,
            request,
            client,
            server: None,
            next: None,
            pacing: Pacing::new(now),
            scheduled: None,
            _place: place,
        };
        self.lines.insert(line);
        self.settle(key, now);
    }

    fn leave_server(&mut self, name: &str, now: Instant) {
        let keys: Vec<_> = self.lines.keys().collect();
        for key in keys {
            let Some(line) = self.lines.get_mut(key) else { continue };
            if line.pair.server().is_some_and(|server| **server == *name) {
                line.pair.handle_move_wanted(now);
                self.settle(key, now);
            }
        }
    }

    fn read(&mut self, now: Instant) {
        let mut ready = std::mem::replace(&mut self.ready, std::mem::take(&mut self.spare.1));
        for token in ready.drain(..) {
            let (key, side) = of_token(token);
            let Some(line) = self.lines.get_mut(key) else { continue };
            let Some(leg) = line.leg(side) else { continue };
            leg.is_listed = false;
            if line.readable().any(|readable| readable == side) {
                let failure = line.relay(side, &mut self.buffer, &mut self.tally, pause(), now);
                failure.into_iter().for_each(|failure| self.node.metrics.dial_failed(failure.name()));
            }
            self.settle(key, now);
        }
        self.spare.1 = ready;
    }

    fn expire(&mut self, now: Instant) {
        let (lines, mut due) = (&mut self.lines, Vec::new());
        self.wheel.expire(now, |key| {
            let line = lines.get_mut(key)?;
            // An entry that comes earlier than it should is left over.
            line.scheduled.take_if(|scheduled| *scheduled <= now)?;
            due.push(key);
            None
        });
        for key in due {
            let Some(line) = self.lines.get_mut(key) else { continue };
            let stalls = |leg: &Leg| leg.stalls_at().is_some_and(|at| at <= now);
            if stalls(&line.client) {
                line.pair.handle_client_lost();
            } else if line.server.as_ref().is_some_and(stalls) {
                line.pair.handle_server_lost(now);
            }
            line.pacing.handle_timeout(now);
            let awaited = line.pair.awaits_answer();
            line.pair.handle_timeout(pause(), now);
            if awaited && !line.pair.awaits_answer() {
                self.node.metrics.dial_failed(Failure::Timeout.name());
            }
            self.settle(key, now);
        }
    }

    /// Those who are to leave with this balancer are told, and in the end not waited for.
    fn let_go(&mut self, now: Instant) {
        let Some(leaving) = &mut self.leaving else { return };
        let farewell = ServerMessage::Move { within_ms: MOVE_WITHIN.as_millis() as u64 }.to_frame();
        for key in leaving.take_due(now) {
            if let Some(line) = self.lines.get_mut(key) {
                line.pair.handle_leaving(&farewell, now);
                self.settle(key, now);
            }
        }
        if self.leaving.as_mut().is_some_and(|leaving| leaving.take_end(now)) {
            let keys: Vec<_> = self.lines.keys().collect();
            for key in keys {
                if let Some(line) = self.lines.get_mut(key) {
                    line.pair.handle_left(now);
                    self.settle(key, now);
                }
            }
        }
    }

    /// The server that was dialed is there, or cannot be reached.
    fn handle_connected(&mut self, key: Key, now: Instant) {
        let Some(line) = self.lines.get_mut(key) else { return };
        let Some(next) = &mut line.next else { return };
        match outcome(next.connection().source()) {
            Ok(None) => {}
            Ok(Some(_)) if next.is_flushed() => {}
            Ok(Some(_)) => match next.flush(&mut self.tally, now) {
                Ok(()) => line.pair.handle_connected(now),
                Err(_) => self.fail_attempt(key, Failure::Connect, now),
            },
            Err(_) => self.fail_attempt(key, Failure::Connect, now),
        }
    }

    fn fail_attempt(&mut self, key: Key, failure: Failure, now: Instant) {
        if let Some(line) = self.lines.get_mut(key) {
            self.node.metrics.dial_failed(failure.name());
            line.pair.handle_attempt_failed(pause(), now);
        }
    }

    /// Writes and carries out what was decided, until nothing more is; then sees to it that the line is looked at again.
    fn settle(&mut self, key: Key, now: Instant) {
        loop {
            let Some(line) = self.lines.get_mut(key) else { return };
            line.flush(&mut self.buffer, &mut self.tally, now);
            let acts = line.pair.take_acts();
            if acts.is_empty() {
                break;
            }
            for act in acts {
                self.carry_out(key, act, now);
            }
        }
        let Some(line) = self.lines.get_mut(key) else { return };
        list(line, key, &mut self.ready);
        if let Some(deadline) = line.deadline()
            && line.scheduled.is_none_or(|scheduled| deadline < scheduled)
        {
            line.scheduled = Some(deadline);
            self.wheel.schedule(key, deadline);
        }
    }

    fn carry_out(&mut self, key: Key, act: Act, now: Instant) {
        let Some(line) = self.lines.get_mut(key) else { return };
        match act {
            Act::Dial { not } => self.dial(key, not.as_deref(), now),
            Act::DropNext => line.next = None,
            Act::Switch { is_first } => {
                line.server = line.next.take();
                if let Some(name) = line.pair.server() {
                    self.node.board().upstreams_mut().client_came(name);
                }
                if !is_first {
                    self.node.metrics.moved();
                }
            }
            Act::Detach(name) => {
                line.server = None;
                self.node.board().upstreams_mut().client_went(&name);
            }
            Act::FinishServer => line.server.iter_mut().for_each(Leg::finish),
            Act::Tell(bytes) => line.client.queue(bytes),
            Act::Refuse(refusal) => {
                self.note_refusal(refusal);
                let response = refusal.respond();
                let line = self.lines.get_mut(key);
                line.into_iter().for_each(|line| {
                    line.client.queue(response.head(false));
                    line.client.queue(response.body.clone());
                });
            }
            Act::End => {
                (line.server, line.next) = (None, None);
                line.client.finish();
            }
            Act::Abort => drop(self.lines.remove(key)),
        }
    }

    fn note_refusal(&self, refusal: Refusal) {
        self.node.metrics.refused_client(refusal);
        self.node.board().note_refusal(refusal);
    }

    fn dial(&mut self, key: Key, not: Option<&str>, now: Instant) {
        let sent = self.node.board().send_proxied(not, now);
        let Some(line) = self.lines.get_mut(key) else { return };
        let (destination, address) = match sent {
            Ok(sent) => sent,
            Err(refusal) => return line.pair.handle_refusal(refusal, pause(), now),
        };
        self.node.metrics.assigned();
        log::debug!("{}: {destination}", self.node.options.name);
        line.pair.handle_dialing(destination.name.as_str().into(), now);
        match self.connect(key, &destination, address) {
            Ok(()) => {}
            Err(error) => {
                log::warn!("{}: cannot connect to {address}: {error}", self.node.options.name);
                self.fail_attempt(key, Failure::Connect, now);
            }
        }
    }

    fn connect(&mut self, key: Key, to: &Destination, at: SocketAddr) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(key) else { return Ok(()) };
        let options = &self.node.options;
        let url = address::url(to, &ws_url::host(to.address), &options.name, options.cluster_key.as_ref());
        let (authority, target) = ws_url::split(&url).ok_or(io::ErrorKind::InvalidInput)?;
        let peer = line.client.connection().peer().map(|peer| peer.ip());
        let side = line.free_side();
        let stream = dial(at)?;
        buffers::bound(&stream)?;
        let mut next = Leg::new(side, stream);
        self.poller.add_connection(next.connection().source(), token(key, side))?;
        next.queue(line.request.head(authority, target, peer));
        line.next = Some(next);
        Ok(())
    }
}

/// Sockets that have something to read and may be read are read in the next turn.
fn list(line: &mut Line, key: Key, ready: &mut Vec<Key>) {
    for side in line.readable() {
        if let Some(leg) = line.leg(side).filter(|leg| !leg.is_listed) {
            leg.is_listed = true;
            ready.push(token(key, side));
        }
    }
}

/// Those who try again do not do it together.
fn pause() -> Duration {
    Duration::from_millis(fastrand::u64(PAUSE_MS))
}

/// The poller's name for one socket of a line: the line's key, with the side in two bits below its slot.
fn token(key: Key, side: Side) -> Key {
    let (generation, slot) = (key.to_bits() >> 32, key.to_bits() & u64::from(u32::MAX));
    Key::from_bits(generation << 32 | slot << 2 | side as u64)
}

fn of_token(token: Key) -> (Key, Side) {
    let (generation, low) = (token.to_bits() >> 32, token.to_bits() & u64::from(u32::MAX));
    let side = match low & 3 {
        0 => Side::Client,
        1 => Side::Left,
        _ => Side::Right,
    };
    (Key::from_bits(generation << 32 | low >> 2), side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_a_line_and_a_side() {
        for side in [Side::Client, Side::Left, Side::Right] {
            for bits in [0, 7, (u64::from(u32::MAX) - 1) << 32 | 0x3fff_ffff] {
                assert_eq!(of_token(token(Key::from_bits(bits), side)), (Key::from_bits(bits), side));
            }
        }
    }
}
