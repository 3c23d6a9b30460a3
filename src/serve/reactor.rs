//! The event loop: one thread, one poller, one listener, and the connections that it accepted, for their life.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::Waker;

use crate::net::{Key, Listener, Poller, Readiness, Received};
use crate::wire::http::{self, Method, Request};
use crate::wire::response::ALLOWED;
use crate::wire::upgrade::Upgrade;
use crate::wire::{CloseReason, Event, HeadError, Response, Status, cors, frame};

use super::clients::{Client, Clients, Phase};
use super::limits::{Limits, READ_BUFFER_BYTES_MIN, RETRY, TICK};
use super::loops::Stage;
use super::metrics::{Metrics, TurnSeconds};
use super::pongs::Pongs;
use super::service::{Answer, Pace, Service};
use super::stopwatch::Stopwatch;

mod accept;

/// One core's share of a server.
pub struct Reactor<S: Service> {
    index: usize,
    poller: Poller,
    listener: Listener,
    service: S,
    clients: Clients<S::Session>,
    buffer: Box<[u8]>,
    ready: Vec<Key>,
    may_accept: bool,
    is_exhausted: bool,
    /// Newcomers closed for others since that was logged, and when it was.
    evicted: u64,
    evictions_logged: Option<Instant>,
    pace: Pace,
    limits: Limits,
    metrics: Arc<Metrics>,
    watch: Stopwatch,
    seconds: TurnSeconds,
    stop: Arc<AtomicBool>,
}

impl<S: Service> Reactor<S> {
    /// Registers the listener; `make_service` gets the waker by which other threads reach this reactor.
    pub fn new(
        (name, index): (&str, usize),
        mut listener: Listener,
        limits: Limits,
        metrics: Arc<Metrics>,
        stop: Arc<AtomicBool>,
        make_service: impl FnOnce(Arc<Waker>) -> S,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        listener.register(&poller)?;
        let service = make_service(poller.waker());
        // A held message and its header must leave room for at least one more byte.
        let buffer_bytes = READ_BUFFER_BYTES_MIN.max(limits.message_bytes_max + frame::HEADER_BYTES_MAX + 1);
        let now = Instant::now();
        Ok(Self {
            index,
            poller,
            listener,
            service,
            clients: Clients::new(limits, Arc::clone(&metrics), now),
            buffer: vec![0; buffer_bytes].into(),
            ready: Vec::new(),
            may_accept: false,
            is_exhausted: false,
            evicted: 0,
            evictions_logged: None,
            pace: Pace::Wait,
            limits,
            watch: Stopwatch::start(now, metrics.loops.add(format!("{name}/{index}"))),
            seconds: metrics.turn_seconds(index),
            metrics,
            stop,
        })
    }

    /// The waker of this reactor.
    pub fn waker(&self) -> Arc<Waker> {
        self.poller.waker()
    }

    /// Turns until it is stopped; then says goodbye to its clients and waits for them, a short while.
    pub fn run(mut self) -> io::Result<()> {
        while !self.stop.load(Ordering::Acquire) {
            self.turn()?;
        }
        for id in self.clients.open() {
            self.clients.close(id, CloseReason::GoingAway, "the server is leaving");
        }
        let until = Instant::now() + self.limits.linger;
        while !self.clients.all_have_ended() && Instant::now() < until {
            self.pace = Pace::Until(until);
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        let now = self.wait()?;
        self.accept();
        self.read(now);
        self.watch.lap(&self.seconds.read, Stage::Serve);
        self.serve(now);
        self.expire(now);
        self.watch.lap(&self.seconds.serve, Stage::Flush);
        self.clients.flush();
        self.ready.extend(self.clients.take_relieved());
        self.metrics.add(&mut self.clients.tally);
        let end = self.watch.lap(&self.seconds.flush, Stage::Wait);
        self.metrics.turned(end.duration_since(now));
        Ok(())
    }

    /// Sleeps until something happens; the only place that does. The turn's present is when it woke.
    fn wait(&mut self) -> io::Result<Instant> {
        self.poller.wait(self.timeout(self.watch.at()))?;
        let now = self.watch.lap(&self.seconds.wait, Stage::Accept);
        for readiness in self.poller.ready() {
            match readiness {
                Readiness::Listener => self.may_accept = true,
                Readiness::Connection { key, writable, .. } => {
                    let Some(client) = self.clients.slots.get_mut(key) else { continue };
                    client.connection.note(readiness);
                    if client.connection.is_readable() && !client.is_listed {
                        client.is_listed = true;
                        self.ready.push(key);
                    }
                    if writable {
                        self.clients.mark_writable(key);
                    }
                }
            }
        }
        self.clients.begin_turn(now);
        Ok(now)
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        if self.clients.is_behind() {
            return Some(Duration::ZERO);
        }
        let has_work = self.may_accept || !self.ready.is_empty();
        if has_work && self.service.is_congested() {
            return Some(RETRY);
        }
        if self.is_exhausted && self.ready.is_empty() && self.pace != Pace::Again {
            return Some(TICK);
        }
        if has_work || self.pace == Pace::Again || self.clients.has_gone() || self.clients.has_sent() {
            return Some(Duration::ZERO);
        }
        let paced = match self.pace {
            Pace::Until(at) => Some(at),
            _ => None,
        };
        let deadline = [paced, self.clients.wheel.next_deadline()].into_iter().flatten().min();
        deadline.map(|at| at.saturating_duration_since(now))
    }

    /// One read for each connection that has something; what is left waits for the next turn, so that nobody who
    /// sends a lot keeps the others waiting.
    fn read(&mut self, now: Instant) {
        let mut ready = std::mem::take(&mut self.ready);
        ready.retain(|&id| {
            if self.service.is_congested() {
                return true;
            }
            let Some(client) = self.clients.slots.get_mut(id) else { return false };
            client.is_listed = false;
            if !may_read(client, &self.limits) {
                // It is listed again when it has taken what waits for it.
                return false;
            }
            match client.connection.receive(&mut self.buffer) {
                Received::Bytes(filled) => {
                    client.work.rest(now.saturating_duration_since(client.heard), self.limits.work);
                    client.heard = now;
                    // A whole request is its service's to count: of a proxy, one connection brings those of many.
                    let is_head = matches!(client.phase, Phase::Head { .. });
                    match is_head || client.work.read(filled, self.limits.work) {
                        true => self.handle_bytes(id, filled, now),
                        false => self.clients.end_flood(id),
                    }
                }
                Received::Nothing => {}
                Received::End => self.clients.ended_by_peer(id),
            }
            let Some(client) = self.clients.slots.get_mut(id) else { return false };
            client.is_listed = client.connection.is_readable();
            client.is_listed
        });
        self.ready = ready;
    }

    fn handle_bytes(&mut self, id: Key, filled: usize, now: Instant) {
        let (mut from, mut pongs) = (0, Pongs::default());
        while let Some(used) = self.handle_next(id, from, filled, &mut pongs, now) {
            from += used;
        }
        pongs.take().iter().for_each(|pong| self.clients.send(id, pong));
    }

    /// One request or frame. Returns how many bytes it had; `None` when the rest has to wait or does not count.
    fn handle_next(
        &mut self,
        id: Key,
        from: usize,
        filled: usize,
        pongs: &mut Pongs,
        now: Instant,
    ) -> Option<usize> {
        let client = self.clients.slots.get_mut(id)?;
        let bytes = &mut self.buffer[from..filled];
        match &mut client.phase {
            Phase::Head { searched } => match http::head_end(bytes, *searched) {
                Ok(Some(end)) => {
                    self.handle_head(id, from..from + end, filled, now);
                    self.hold_further_requests(id, from + end, filled).then_some(end)
                }
                Ok(None) => {
                    let is_first = *searched == 0;
                    *searched = bytes.len();
                    client.connection.hold(bytes);
                    if !client.work.read(bytes.len(), self.limits.work) {
                        self.metrics.flooded("head");
                        self.refuse_head(id, HeadError::TooSlow, false);
                    } else if is_first {
                        // A request may begin when the wait for it is nearly over.
                        self.clients.set_deadline(id, now + self.limits.head_timeout);
                    }
                    None
                }
                Err(error) => {
                    let wants_page = wants_page(bytes);
                    self.refuse_head(id, error, wants_page);
                    None
                }
            },
            Phase::Open { decoder } => match decoder.decode(bytes, self.limits.message_bytes_max) {
                Ok((0, _)) => {
                    client.connection.hold(bytes);
                    None
                }
                Ok((used, event)) => {
                    let is_message = matches!(event, Some(Event::Text(_) | Event::Binary(_)));
                    if !is_message && !client.work.frame(self.limits.work) {
                        self.clients.end_flood(id);
                        return None;
                    }
                    match event {
                        None | Some(Event::Pong(_)) => {}
                        Some(Event::Ping(payload)) => {
                            if let Some(pong) = pongs.answer(payload) {
                                self.clients.send(id, &pong);
                            }
                        }
                        Some(Event::Close(code)) => {
                            pongs.take().iter().for_each(|pong| self.clients.send(id, pong));
                            self.clients.closed_by_peer(id, code);
                        }
                        Some(message) => {
                            pongs.take().iter().for_each(|pong| self.clients.send(id, pong));
                            self.clients.tally.messages += 1;
                            self.service.handle_message(id, message, &mut self.clients, now);
                        }
                    }
                    Some(used)
                }
                Err(violation) => {
                    self.metrics.frame_refused(violation);
                    self.clients.close(id, violation.close_reason(), &violation.to_string());
                    None
                }
            },
            // Nobody here pipelines behind a request that takes time: such a client is answered and closed.
            Phase::Waiting { keep_alive, .. } => {
                *keep_alive &= bytes.is_empty();
                None
            }
            Phase::Ending | Phase::Dead => None,
        }
    }

    /// One request a turn, or a client that pipelines a thousand keeps the others waiting. True: go on, these are
    /// frames.
    fn hold_further_requests(&mut self, id: Key, from: usize, filled: usize) -> bool {
        match self.clients.slots.get_mut(id) {
            Some(Client { phase: Phase::Head { .. }, connection, .. }) => {
                connection.hold_for_next_turn(&self.buffer[from..filled]);
                false
            }
            _ => true,
        }
    }

    fn handle_head(&mut self, id: Key, head: Range<usize>, filled: usize, now: Instant) {
        let rest = head.end..filled;
        let request = match Request::parse(&self.buffer[head.clone()]) {
            Ok(request) => request,
            Err(error) => return self.refuse_head(id, error, wants_page(&self.buffer[head])),
        };
        let is_for_posts = S::POSTS.contains(&request.path);
        if request.method == Method::Post && !is_for_posts {
            return self.refuse_head(id, HeadError::Method, false);
        }
        let (head_only, keep_alive) = (request.method == Method::Head, request.keep_alive);
        let origin = self.service.allowed_origin(request.path).map(str::to_owned);
        let allow = |response: Response| match &origin {
            Some(origin) => cors::allow(response, origin),
            None => response,
        };
        if request.method == Method::Options {
            let response = match (&origin, is_for_posts) {
                (Some(origin), _) => cors::preflight(&request, origin, ALLOWED),
                (None, true) => Response::options("POST, OPTIONS"),
                (None, false) => Response::options(ALLOWED),
            };
            return self.clients.answer(id, &response, head_only, keep_alive);
        }
        match self.service.handle_request(id, &request, now) {
            Answer::Respond(response) => self.clients.answer(id, &allow(response), head_only, keep_alive),
            Answer::Refuse(response) => self.clients.answer(id, &allow(response), head_only, false),
            Answer::HandOver(take) => {
                if let Some(stream) = self.clients.release(id, &self.poller) {
                    take(stream, &self.buffer[rest]);
                }
            }
            Answer::Later => self.clients.wait_for_answer(id, head_only, keep_alive),
            Answer::WebSocket(session) => match Upgrade::parse(&request) {
                Err(error) => {
                    self.metrics.upgrade_refused(error);
                    self.clients.refuse(id, error.status(), error.code(), &error.to_string(), head_only);
                }
                Ok(_) if !self.take_place() => {
                    self.metrics.full();
                    let message = "this server holds as many clients as it may: ask a balancer for another";
                    self.clients.refuse(id, Status::UNAVAILABLE, "full", message, head_only);
                }
                Ok(upgrade) => {
                    self.clients.open_websocket(id, upgrade.response(), session);
                    self.service.handle_open(id, &mut self.clients, now);
                }
            },
        }
    }

    fn refuse_head(&mut self, id: Key, error: HeadError, wants_page: bool) {
        self.metrics.head_refused(error);
        let (status, message) = (error.status(), error.to_string());
        let response = match wants_page {
            true => Response::error_page(status, &message),
            false => Response::error(status, error.code(), &message),
        };
        self.clients.answer(id, &response, false, false);
    }

    fn serve(&mut self, now: Instant) {
        self.bury();
        for id in self.clients.take_sent() {
            self.service.handle_sent(id);
        }
        self.pace = self.service.handle_turn(&mut self.clients, now);
    }

    /// Those whose deadline has come are pinged, answered or ended.
    fn expire(&mut self, now: Instant) {
        for id in self.clients.take_due() {
            let Some(client) = self.clients.slots.get(id) else { continue };
            match client.phase {
                // An answer on its way to a slow reader.
                Phase::Head { .. }
                    if !client.connection.is_flushed() && now < client.heard + self.limits.send_timeout =>
                {
                    self.clients.set_deadline(id, now + self.limits.keep_alive_timeout);
                }
                Phase::Head { .. } if client.connection.held() == 0 => self.clients.remove(id),
                Phase::Head { .. } => self.refuse_head(id, HeadError::TooSlow, false),
                Phase::Waiting { head_only, .. } => {
                    let message = "the server is too busy to answer";
                    self.clients.refuse(id, Status::UNAVAILABLE, "busy", message, head_only);
                }
                Phase::Open { .. } => self.check(id, now),
                Phase::Ending => self.clients.remove(id),
                Phase::Dead => {}
            }
        }
    }

    /// A WebSocket is pinged after some silence, and ended after more, or when the service sees a reason.
    fn check(&mut self, id: Key, now: Instant) {
        let Some(Client { session: Some(session), heard, .. }) = self.clients.slots.get(id) else { return };
        let is_used = self.service.is_established(session);
        let (silence, heard) = (now.saturating_duration_since(*heard), *heard);
        if silence >= self.limits.silence_max {
            self.clients.close(id, CloseReason::PingTimeout, "the client was silent for too long");
        } else if let Some(reason) = self.service.check(session, now) {
            self.clients.close(id, reason, "");
        } else {
            if !is_used {
                self.clients.note_unused(id);
            }
            let next = if silence >= self.limits.ping_after {
                self.clients.ping(id);
                (now + self.limits.ping_after).min(heard + self.limits.silence_max)
            } else {
                heard + self.limits.ping_after
            };
            self.clients.set_deadline(id, next);
        }
    }

    /// Tells the service of those that are gone, before it goes through its mail.
    fn bury(&mut self) {
        while let Some((id, session)) = self.clients.take_gone() {
            self.metrics.free_place(self.index);
            self.service.handle_gone(id, session, &mut self.clients);
        }
    }
}

/// Whether somebody looks at the answer to a head that was not understood: browsers ask for pages,
/// before they tell their cookies.
fn wants_page(head: &[u8]) -> bool {
    memchr::memmem::find(head, b"text/html").is_some()
}

/// A peer that does not take what it was sent is not asked for more: a WebSocket may have a little waiting, and the
/// next HTTP request is read when the answer to the last one is gone.
fn may_read<S>(client: &Client<S>, limits: &Limits) -> bool {
    match client.phase {
        Phase::Head { .. } => client.connection.is_flushed(),
        Phase::Open { .. } => client.connection.queued() <= limits.read_ahead_bytes_max,
        Phase::Waiting { .. } | Phase::Ending | Phase::Dead => true,
    }
}
