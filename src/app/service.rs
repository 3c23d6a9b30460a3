//! What a reactor of the application server does with requests and frames: sessions here, everything else by mail.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;

use crate::chat::session::{Outcome, Place, Stay};
use crate::chat::{Ask, Member, Members, Notice, Session};
use crate::net::Key;
use crate::net::mailbox::{Mailbox, Post, Undelivered};
use crate::serve::assets::{self, Page};
use crate::serve::clock::unix_ms;
use crate::serve::service::{Answer, Pace, Service};
use crate::serve::{Clients, limits::RETRY, metrics};
use crate::wire::http::Method;
use crate::wire::{CloseReason, Event, Request, Response, ServerMessage, Status, TicketError};

use super::client_address::{client_address, forwarded_for};
use super::departures::{Departures, MOVE_WITHIN};
use super::heartbeat::Pulse;
use super::mail::{ASKS_HELD_MAX, ToHub, ToReactor};
use super::node::Node;

/// Batches of notices taken in one turn.
const BATCHES_PER_TURN: usize = 64;

/// One per reactor.
pub struct ChatService {
    node: Arc<Node>,
    reactor: usize,
    members: Members<Key>,
    asks: Post<Vec<ToHub>>,
    held: Vec<ToHub>,
    noticed: Mailbox<Vec<ToReactor>>,
    pulse: Pulse,
    departures: Departures,
    /// Bytes of answers to joins that this turn took from the mailbox.
    answers_taken: usize,
    /// What the request that is being answered says of its way.
    forwarded: Vec<String>,
}

impl ChatService {
    /// A service whose hub is reached through `asks` and answers through `noticed`.
    pub fn new(
        node: Arc<Node>,
        reactor: usize,
        asks: Post<Vec<ToHub>>,
        noticed: Mailbox<Vec<ToReactor>>,
        pulse: Pulse,
    ) -> Self {
        Self {
            node,
            reactor,
            members: Members::default(),
            asks,
            held: Vec::new(),
            noticed,
            pulse,
            departures: Departures::default(),
            answers_taken: 0,
            forwarded: Vec::new(),
        }
    }

    fn member(&self, id: Key) -> Member {
        Member { reactor: self.reactor, connection: id.to_bits() }
    }

    fn ask(&mut self, id: Key, ask: Ask) {
        self.held.push(ToHub::Ask(self.member(id), ask));
    }

    fn leave(&mut self, id: Key, Stay { place, ask }: Stay, clients: &mut Clients<Session>) {
        self.ask(id, ask);
        if let Some(place) = place
            && let Some(moved) = self.members.remove(place.room, place.index)
            && let Some(session) = clients.session(moved)
        {
            session.handle_moved(place);
        }
    }

    fn handle_notice(&mut self, notice: Notice, clients: &mut Clients<Session>, now: Instant) {
        match notice {
            Notice::Deliver { room, frames, messages } => {
                clients.send_to_all(self.members.of(room), &frames, u64::from(messages));
            }
            Notice::Everyone { frame } => {
                clients.open().into_iter().for_each(|id| clients.send(id, &frame));
            }
            Notice::Reply { connection, frame } => clients.send(Key::from_bits(connection), &frame),
            Notice::Entered { connection, visit, room, name, user, frame } => {
                let (id, members) = (Key::from_bits(connection), &mut self.members);
                let bytes = frame.iter().map(Bytes::len).sum();
                self.answers_taken += bytes;
                let has_entered = clients.session(id).is_some_and(|session| {
                    let place = || Place { room, index: members.add(room, id) };
                    session.handle_entered(visit, Arc::clone(&name), bytes, place)
                });
                if has_entered {
                    clients.send_answer(id, &frame);
                    clients.note_when_sent(id);
                } else {
                    self.ask(id, Ask::Leave { room: name, user });
                    self.ask(id, Ask::Received);
                }
            }
            Notice::RoomMade { connection } => {
                if let Some(session) = clients.session(Key::from_bits(connection)) {
                    session.handle_room_made();
                }
            }
            Notice::Refused { connection, visit, frame } => {
                let id = Key::from_bits(connection);
                if let Some(session) = clients.session(id) {
                    session.handle_refused(visit, now);
                    clients.send(id, &frame);
                }
            }
        }
    }

    /// Lets a client in that the gate takes, unless the server is leaving.
    fn enter(&mut self, request: &Request<'_>, now: Instant) -> Answer<Session> {
        if self.node.is_draining() {
            let message = "this server is leaving: ask a balancer for another";
            let response = Response::error(Status::UNAVAILABLE, "draining", message);
            return Answer::Respond(response.with("Retry-After", "1".into()));
        }
        match self.node.gate.enter(request, unix_ms()) {
            Ok(balancer) => {
                self.pulse.arriving(balancer);
                if log::log_enabled!(log::Level::Debug) {
                    self.forwarded = forwarded_for(request);
                }
                Answer::WebSocket(Session::new(self.node.options.rate, random_seed(), now))
            }
            Err(error) => Answer::Respond(self.refuse(error)),
        }
    }

    /// An operator wants the server to drain.
    fn drain(&self, request: &Request<'_>) -> Response {
        #[derive(Serialize)]
        struct Draining {
            draining: bool,
        }
        match self.node.gate.may_drain(request, unix_ms()) {
            Ok(()) => {
                log::info!("{} is to drain, somebody asked for it", self.node.options.name);
                // Whoever asked before has been heard.
                let _ = self.node.drain_asked.try_send(());
                Response { status: Status::ACCEPTED, ..Response::json(&Draining { draining: true }) }
            }
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(&self, error: TicketError) -> Response {
        self.node.metrics.ticket_refused(error);
        Response::error(error.status(), error.name(), &error.to_string())
    }

    /// Tells those whose turn it is in a drain.
    fn depart(&mut self, clients: &mut Clients<Session>, now: Instant) {
        if self.node.is_draining() && !self.departures.is_draining() {
            self.departures.drain(clients.open(), self.node.options.drain_over, now);
        }
        for id in self.departures.take_due(now) {
            self.tell_to_move(id, clients);
        }
        self.node.moving[self.reactor].store(self.departures.moving(now), Ordering::Relaxed);
    }

    /// Tells so many clients that were not told before, any of them.
    fn shed(&mut self, count: u32, clients: &mut Clients<Session>, now: Instant) {
        let mut open = clients.open();
        fastrand::shuffle(&mut open);
        let mut left = count;
        for id in open {
            if left == 0 {
                break;
            }
            if clients.session(id).is_some_and(Session::take_move) {
                self.tell_to_move(id, clients);
                self.departures.note_told(id, now);
                left -= 1;
            }
        }
    }

    fn tell_to_move(&self, id: Key, clients: &mut Clients<Session>) {
        let within_ms = MOVE_WITHIN.as_millis() as u64;
        clients.send(id, &ServerMessage::Move { within_ms }.to_frame());
        self.node.metrics.moved();
    }

    /// One batch for all that the turn led to.
    fn post(&mut self) {
        if !self.held.is_empty()
            && let Err(Undelivered::Full(held)) = self.asks.send(std::mem::take(&mut self.held))
        {
            self.held = held;
        }
    }
}

/// Secret, so it is not from a generator whose state can be told from what it gave before.
fn random_seed() -> u128 {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u128::from_be_bytes(bytes),
        Err(error) => {
            log::error!("the system gives no random bytes, clients without a nonce get a weak one: {error}");
            fastrand::u128(..)
        }
    }
}

impl Service for ChatService {
    type Session = Session;

    const POSTS: &[&str] = &["/drain"];

    fn handle_request(&mut self, id: Key, request: &Request<'_>, now: Instant) -> Answer<Session> {
        Answer::Respond(match request.path {
            "/ws" => return self.enter(request, now),
            "/drain" if request.method == Method::Post => self.drain(request),
            "/drain" => Response::only("POST, OPTIONS", "only POST drains"),
            "/status" => {
                self.held.push(ToHub::Status(self.member(id)));
                return Answer::Later;
            }
            "/metrics" => metrics::respond(&self.node.registry),
            "/live" => metrics::respond_live(&self.node.serving.loops, &self.node.options.limits),
            "/ready" if self.node.is_draining() => {
                Response::error(Status::UNAVAILABLE, "draining", "this server is leaving")
            }
            "/ready" if !self.node.is_ready.load(Ordering::Relaxed) => {
                Response::error(Status::UNAVAILABLE, "not_ready", "the backplane does not carry")
            }
            "/ready" => metrics::respond_stuck(&self.node.serving.loops, &self.node.options.limits)
                .unwrap_or_else(|| Response::ok("text/plain", "ready\n")),
            _ => assets::respond(Page::Server, request).unwrap_or_else(Response::not_found),
        })
    }

    fn handle_open(&mut self, id: Key, clients: &mut Clients<Session>, _: Instant) {
        let session = format!("{:016x}-{:x}-{:x}", self.node.options.incarnation, self.reactor, id.to_bits());
        let node = &self.node.options.name;
        let welcome = ServerMessage::Welcome { node, session: &session, limits: &self.node.limits };
        clients.send(id, &welcome.to_frame());
        self.pulse.opened();
        if log::log_enabled!(log::Level::Debug)
            && let Some(peer) = clients.peer(id)
        {
            let client = client_address(peer.ip(), &self.forwarded, &self.node.options.trusted_proxies);
            log::debug!("{node}: {client} is here as {session}, from {peer}");
        }
    }

    fn handle_message(&mut self, id: Key, message: Event<'_>, clients: &mut Clients<Session>, now: Instant) {
        let Event::Text(text) = message else {
            clients.close(
                id,
                CloseReason::UnsupportedData,
                "the protocol is text; a binary message was sent",
            );
            return;
        };
        let Some(session) = clients.session(id) else { return };
        match session.handle_text(&text, self.node.options.rate, now) {
            Outcome::Ask(ask) => self.ask(id, ask),
            Outcome::Reply(frame) => clients.send(id, &frame),
            Outcome::Refuse(code, frame) => {
                self.node.metrics.error(code);
                clients.send(id, &frame);
            }
            Outcome::Leave { reply, stay } => {
                clients.send(id, &reply);
                self.leave(id, stay, clients);
            }
            Outcome::Ignore => {}
            Outcome::Close(reason, detail) => clients.close(id, reason, detail),
        }
    }

    fn handle_gone(&mut self, id: Key, session: Session, clients: &mut Clients<Session>) {
        if session.was_told_to_move() {
            self.departures.note_gone(id);
        }
        session.handle_gone().for_each(|stay| self.leave(id, stay, clients));
        // An answer may be under way that nobody takes.
        self.ask(id, Ask::Received);
        self.pulse.closed();
    }

    fn handle_sent(&mut self, id: Key) {
        self.ask(id, Ask::Received);
    }

    fn handle_turn(&mut self, clients: &mut Clients<Session>, now: Instant) -> Pace {
        let mut batches = Vec::new();
        let more = self.noticed.drain(BATCHES_PER_TURN, |batch| batches.push(batch));
        for mail in batches.into_iter().flatten() {
            match mail {
                ToReactor::Notice(notice) => self.handle_notice(notice, clients, now),
                ToReactor::Shed(count) => self.shed(count, clients, now),
                ToReactor::Status { connection, response } => {
                    clients.respond(Key::from_bits(connection), &response);
                }
            }
        }
        if self.answers_taken > 0 {
            let bytes = std::mem::take(&mut self.answers_taken);
            self.held.push(ToHub::AnswersTaken { reactor: self.reactor, bytes });
        }
        self.depart(clients, now);
        self.post();
        let retry = (!self.held.is_empty()).then(|| now + RETRY);
        match retry.into_iter().chain(self.departures.poll_timeout()).min() {
            _ if more => Pace::Again,
            Some(at) => Pace::Until(at),
            None => Pace::Wait,
        }
    }

    fn check(&self, session: &Session, now: Instant) -> Option<CloseReason> {
        session.is_idle(now).then_some(CloseReason::Idle)
    }

    fn is_established(&self, session: &Session) -> bool {
        session.is_in_a_room()
    }

    fn is_congested(&self) -> bool {
        self.held.len() >= ASKS_HELD_MAX
    }
}
