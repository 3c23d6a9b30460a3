//! What a program does with its requests and messages.

use std::time::Instant;

use mio::net::TcpStream;

use crate::net::Key;
use crate::wire::{CloseReason, Event, Request, Response};

use super::clients::Clients;

/// The answer to a request.
pub enum Answer<S> {
    /// This.
    Respond(Response),
    /// This, and the connection ends: what follows such a request may be anything.
    Refuse(Response),
    /// It comes later through [`Clients::respond`], within [`super::Limits::answer_timeout`].
    Later,
    /// The client may open a WebSocket here; this is what the service keeps for it.
    WebSocket(S),
    /// The connection is no longer this reactor's: it goes to this.
    HandOver(HandOver),
}

/// Takes a socket that no poller watches, and the bytes that came behind the request head.
pub type HandOver = Box<dyn FnOnce(TcpStream, &[u8])>;

/// How soon the next turn must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When something happens.
    Wait,
    /// At this time at the latest.
    Until(Instant),
    /// At once: work was left for the next turn.
    Again,
}

/// One per reactor, owned by its thread. In a turn the reactor calls, in this order: requests and messages as they
/// were read, then [`Service::handle_turn`] once, then [`Service::check`] for those whose time has come.
pub trait Service: Send + 'static {
    /// What is kept for each WebSocket.
    type Session: Send;

    /// Paths to which a client may `POST`.
    const POSTS: &[&str] = &[];

    /// The origin whose pages may ask for this path, or `*`; `None`: only pages from here.
    fn allowed_origin(&self, _path: &str) -> Option<&str> {
        None
    }

    /// A request head, of any method but `OPTIONS`. Its `id` names the connection until it ends.
    fn handle_request(&mut self, id: Key, request: &Request<'_>, now: Instant) -> Answer<Self::Session>;

    /// The WebSocket is open.
    fn handle_open(&mut self, _id: Key, _clients: &mut Clients<Self::Session>, _now: Instant) {}

    /// A whole message: [`Event::Text`] or [`Event::Binary`], the other events are the reactor's.
    fn handle_message(
        &mut self,
        id: Key,
        message: Event<'_>,
        clients: &mut Clients<Self::Session>,
        now: Instant,
    );

    /// The WebSocket is gone, whoever ended it.
    fn handle_gone(&mut self, _id: Key, _session: Self::Session, _clients: &mut Clients<Self::Session>) {}

    /// The kernel has taken what was queued when [`Clients::note_when_sent`] was called. A WebSocket that ends before is
    /// only told as gone, or after that.
    fn handle_sent(&mut self, _id: Key) {}

    /// Once a turn, between reading and writing: mail from other threads, and to them.
    fn handle_turn(&mut self, _clients: &mut Clients<Self::Session>, _now: Instant) -> Pace {
        Pace::Wait
    }

    /// Asked now and then for each WebSocket: a reason to end it.
    fn check(&self, _session: &Self::Session, _now: Instant) -> Option<CloseReason> {
        None
    }

    /// Whether this WebSocket is used. One that is not may have to give its place to another client.
    fn is_established(&self, _session: &Self::Session) -> bool {
        true
    }

    /// True while no more messages should be read, because what they lead to cannot be handed on.
    fn is_congested(&self) -> bool {
        false
    }
}
