//! How the clients of a crowd get into their rooms, move to other servers, and come back.

use std::cmp::Reverse;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use mio::Interest;

use super::faults::SLOW_BUFFER_BYTES;
use super::{CONNECT_PATIENCE, CONNECTING_MAX, Fleet};
use crate::clients::backoff;
use crate::clients::client::{self, Line, Stage, Standing, Way};
use crate::clients::mail::{Answer, Ask, Assignment, Server};
use crate::clients::socket::{End, NO_CLOSE_FRAME, Socket};
use crate::wire::refusal::{Reason, Refusal, Wait};

/// If a client finds no server in so many tries before anything was said, there is none.
const TRIES_IN_VAIN_MAX: u32 = 3;
/// Close codes after which a client is not to come back (docs/protocol.md, section 7).
const FINAL_CLOSE_CODES: [u16; 7] = [1000, 1002, 1003, 1007, 1008, 1009, 4002];

impl Fleet {
    /// Asks for servers for those who wait, as many as may connect at the same time.
    pub fn connect(&mut self, now: Instant) {
        let allowed = self.allowed_to_begin(now);
        self.waiting.extend(self.begun..allowed);
        self.begun = allowed;
        while self.connecting < CONNECTING_MAX
            && let Some(client) = self.waiting.pop_front()
        {
            // One that has gone for good in the meantime has no way.
            let Some(way) = &mut self.clients[client as usize].way else { continue };
            way.stage = Stage::Asking;
            self.connecting += 1;
            let ask = Ask { worker: self.place, client, avoid: way.avoid.clone() };
            // The assigner lives as long as anybody can ask.
            let _ = self.asks.send(ask);
        }
    }

    /// How many clients may have begun by now. It is looked at whenever news are told, which is often enough.
    fn allowed_to_begin(&self, now: Instant) -> u32 {
        let all = self.share.clients;
        let Some(ramp) = self.script.plan.ramp else { return all };
        let part = f64::from(ramp) / f64::from(self.share.workers);
        let allowed = now.saturating_duration_since(self.ramp_start).as_secs_f64() * part;
        (allowed.ceil() as u32).clamp(self.begun, all)
    }

    /// What the assigner found out for a client.
    pub fn handle_answer(&mut self, client: u32, answer: Answer, now: Instant) {
        // One that has gone for good in the meantime has no way.
        if self.clients[client as usize].way.is_none() {
            return;
        }
        match answer {
            Answer::Go(assignment) => {
                let server = Arc::clone(&assignment.server);
                if let Err(end) = self.dial(client, assignment, now) {
                    self.end_way(client, Some(server), &end, now);
                }
            }
            Answer::Later(wait) => self.postpone(client, wait, now),
            Answer::Nobody { error, wait } => {
                let one = &mut self.clients[client as usize];
                one.tries_in_vain += 1;
                if one.tries_in_vain >= TRIES_IN_VAIN_MAX && self.ledger.counts().sent == 0 {
                    self.board.lock().unreachable = Some(error.clone());
                }
                self.retry(client, None, wait, now);
                self.note(&End::Failed(error));
            }
        }
    }

    fn dial(&mut self, client: u32, assignment: Assignment, now: Instant) -> Result<(), End> {
        let Assignment { server, url } = assignment;
        let one = &mut self.clients[client as usize];
        one.dials = one.dials.wrapping_add(1);
        let address = server.addresses[one.tries as usize % server.addresses.len()];
        let from = self.sources.of(self.share.of_all(client).wrapping_add(one.tries), &address);
        let mut socket = Socket::dial(url, self.protocol(), address, from)?;
        if self.reads_slowly(client) {
            socket.limit_receive_buffer(SLOW_BUFFER_BYTES)?;
        }
        let one = &mut self.clients[client as usize];
        // Both directions once and for all: writable edges come by themselves.
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry
            .register(socket.source(), client::token(client, one.dials), interest)
            .map_err(|error: io::Error| End::Failed(format!("connect: {error}")))?;
        let standing = Standing::Coming { since: now };
        let line = Some(Box::new(Line { socket, dial: one.dials, server, node: None, standing }));
        let until = now + CONNECT_PATIENCE;
        let avoid = one.way.take().and_then(|way| way.avoid);
        one.way = Some(Way { avoid, stage: Stage::Connecting { until, line } });
        self.timers.push(Reverse((until, client)));
        Ok(())
    }

    /// A client's way has led into its room. If it was told to move, it breaks with its old server now.
    pub(super) fn arrive(&mut self, client: u32) {
        let one = &mut self.clients[client as usize];
        one.way = None;
        self.connecting -= 1;
        match one.home.take() {
            Some(old) => {
                self.tally.moved += 1;
                self.count_out(&old);
                old.socket.close();
            }
            None => self.tally.resumed += u64::from(one.has_joined_before),
        }
    }

    /// The way of a client came to nothing, at this server.
    pub(super) fn end_way(&mut self, client: u32, server: Option<Arc<Server>>, end: &End, now: Instant) {
        match end {
            End::Refused(Refusal { reason: Reason::Busy, wait }) => return self.postpone(client, *wait, now),
            End::Refused(Refusal { wait, .. }) => self.retry(client, server, Some(*wait), now),
            End::Closed(code) if FINAL_CLOSE_CODES.contains(code) => self.give_up(client),
            End::Closed(_) | End::Failed(_) => self.retry(client, server, None, now),
        }
        self.note(end);
    }

    /// The connection that a client spoke on has ended.
    pub(super) fn end_home(&mut self, client: u32, line: &Line, end: &End, now: Instant) {
        self.fall(line, now);
        let one = &mut self.clients[client as usize];
        self.tally.lost_connection += u64::from(!mem::replace(&mut one.has_lost_connection, true));
        let is_under_way = one.way.as_ref().is_some_and(|way| !matches!(way.stage, Stage::Resting { .. }));
        match end {
            End::Closed(code) if FINAL_CLOSE_CODES.contains(code) => self.give_up(client),
            // It was about to move, and moves on.
            _ if is_under_way => {}
            _ => {
                let avoid = match end {
                    // One that said goodbye may serve again soon.
                    End::Closed(code) if *code != NO_CLOSE_FRAME => one.way.take().and_then(|way| way.avoid),
                    _ => Some(Arc::clone(&line.server)),
                };
                let delay = backoff::delay(one.tries, &mut self.rng);
                one.tries += 1;
                self.rest(client, avoid, now + delay);
            }
        }
        self.note(end);
    }

    /// A client is no longer in its room, though it did not go.
    pub(super) fn fall(&mut self, line: &Line, now: Instant) {
        if line.standing == Standing::In {
            self.storm.fall(self.joined == self.share.clients, now);
            self.count_out(line);
        }
    }

    pub(super) fn count_out(&mut self, line: &Line) {
        if let (Standing::In, Some(node)) = (line.standing, line.node) {
            self.joined -= 1;
            self.servers[node].1 -= 1;
        }
    }

    /// It is a client's turn later, which is no failure.
    fn postpone(&mut self, client: u32, wait: Wait, now: Instant) {
        self.tally.delayed += 1;
        self.connecting -= 1;
        let avoid = self.clients[client as usize].way.take().and_then(|way| way.avoid);
        let delay = wait.delay(&mut self.rng);
        self.rest(client, avoid, now + delay);
    }

    /// A client failed, at this server, and tries again.
    fn retry(&mut self, client: u32, server: Option<Arc<Server>>, wait: Option<Wait>, now: Instant) {
        self.connecting -= 1;
        let one = &mut self.clients[client as usize];
        let avoid = server.or_else(|| one.way.take()?.avoid);
        let delay = match wait {
            Some(wait) => wait.delay(&mut self.rng),
            None => backoff::delay(one.tries, &mut self.rng),
        };
        one.tries += 1;
        self.rest(client, avoid, now + delay);
    }

    /// A client was told not to come back.
    fn give_up(&mut self, client: u32) {
        let way = self.clients[client as usize].way.take();
        let is_connecting =
            way.is_some_and(|way| matches!(way.stage, Stage::Asking | Stage::Connecting { .. }));
        self.connecting -= u32::from(is_connecting);
    }

    /// A client begins a new way at this time.
    pub(super) fn rest(&mut self, client: u32, avoid: Option<Arc<Server>>, until: Instant) {
        self.clients[client as usize].way = Some(Way { avoid, stage: Stage::Resting { until } });
        self.timers.push(Reverse((until, client)));
    }
}
