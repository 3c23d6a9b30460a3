//! What a balancer answers.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::net::{Key, Post};
use crate::serve::assets::{self, Page};
use crate::serve::service::{Answer, Pace, Service};
use crate::serve::{Clients, metrics};
use crate::wire::forward::Accepted;
use crate::wire::http::Method;
use crate::wire::{self, CloseReason, Forward, Request, Response, Status};

use super::address;
use super::live::{Live, Watcher};
use super::node::Node;
use super::proxy::Place;
use super::proxy::relay::{Letter, Newcomer};
use super::refusal::Refusal;
use super::{status, ws_url};

/// One per reactor.
pub struct BalancerService {
    node: Arc<Node>,
    relay: Post<Letter>,
    live: Live,
}

#[derive(Serialize)]
struct Assignment<'a> {
    url: &'a str,
    node: &'a str,
}

impl BalancerService {
    /// Answers from the node's board; clients that are to be proxied go to `relay`.
    pub fn new(node: Arc<Node>, relay: Post<Letter>) -> Self {
        let live = Live::new(Arc::clone(&node));
        Self { node, relay, live }
    }

    fn assign(&self, request: &Request<'_>, now: Instant) -> Response {
        let balancer = &self.node.options.name;
        let sent = self.node.board().send_client(request.query_value("not"), now);
        match sent {
            Ok(destination) => {
                self.node.metrics.assigned();
                log::debug!("{balancer}: {destination}");
                let key = self.node.options.cluster_key.as_ref();
                // HTTP/1.0 may name no host: then the server is where its heartbeats come from.
                let own = ws_url::host(destination.address);
                let url = address::url(&destination, request.hostname().unwrap_or(&own), balancer, key);
                Response::json(&Assignment { url: &url, node: &destination.name })
            }
            Err(refusal) => {
                self.node.metrics.refused_client(refusal);
                refusal.respond()
            }
        }
    }

    fn ready(&self, now: Instant) -> Response {
        // First of all: a thread that hangs may have the board.
        if let Some(stuck) = metrics::respond_stuck(&self.node.serving.loops, &self.node.options.limits) {
            return stuck;
        }
        let ready = self.node.board().check_ready(now);
        match ready {
            Ok(()) => Response::ok("text/plain", "ready\n"),
            Err(refusal) => refusal.respond(),
        }
    }

    /// What is refused here is refused before any server hears of it.
    fn proxy(&self, request: &Request<'_>) -> Answer<Watcher> {
        let Accepted { forward, greeting, left_out } = match Forward::parse(request) {
            Ok(accepted) => accepted,
            Err(error) => {
                self.node.metrics.head_refused(error.name());
                return Answer::Refuse(Response::error(error.status(), error.code(), &error.to_string()));
            }
        };
        self.node.metrics.left_out(left_out);
        if self.node.board().is_draining() {
            return Answer::Refuse(Refusal::Draining.respond());
        }
        let Some(place) = Place::take(&self.node) else {
            self.node.metrics.head_refused("full");
            let message = "this balancer proxies as many clients as it may: ask another";
            return Answer::Refuse(Response::error(Status::UNAVAILABLE, "full", message));
        };
        let (node, relay) = (Arc::clone(&self.node), self.relay.clone());
        Answer::HandOver(Box::new(move |stream, rest| {
            let (rest, greeting) = (rest.into(), greeting[..].into());
            let newcomer = Newcomer { stream, rest, request: forward, greeting, place };
            if relay.send(Letter::Client(Box::new(newcomer))).is_err() {
                node.metrics.newcomer_lost();
            }
        }))
    }
}

impl Service for BalancerService {
    type Session = Watcher;

    fn allowed_origin(&self, path: &str) -> Option<&str> {
        matches!(path, "/assign" | "/status").then_some(&*self.node.options.cors_origin)
    }

    fn handle_request(&mut self, _: Key, request: &Request<'_>, now: Instant) -> Answer<Watcher> {
        Answer::Respond(match request.path {
            "/ws" => return self.proxy(request),
            "/status" if request.wants_websocket() => return Answer::WebSocket(Watcher),
            "/assign" if request.method == Method::Get => self.assign(request, now),
            "/assign" => Response::only("GET, OPTIONS", "only GET assigns"),
            "/status" => status::respond(&self.node, now),
            "/metrics" => metrics::respond(&self.node.registry),
            "/live" => metrics::respond_live(&self.node.serving.loops, &self.node.options.limits),
            "/ready" => self.ready(now),
            _ => assets::respond(Page::Balancer, request).unwrap_or_else(Response::not_found),
        })
    }

    fn handle_open(&mut self, id: Key, clients: &mut Clients<Watcher>, now: Instant) {
        self.live.add(id, clients, now);
    }

    /// A page only listens, and nothing here would count what it says.
    fn handle_message(&mut self, id: Key, _: wire::Event<'_>, clients: &mut Clients<Watcher>, _: Instant) {
        clients.close(id, CloseReason::Policy, "a status page only listens");
    }

    fn handle_gone(&mut self, _: Key, _: Watcher, _: &mut Clients<Watcher>) {
        self.live.remove();
    }

    fn handle_turn(&mut self, clients: &mut Clients<Watcher>, now: Instant) -> Pace {
        self.live.handle_turn(clients, now)
    }
}
