//! What a balancer answers.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::balance::{Event, EventLog, Health, Table, table::Change};
use crate::net::Key;
use crate::net::mailbox::Mailbox;
use crate::serve::assets::{self, Page};
use crate::serve::service::{Answer, Pace, Service};
use crate::serve::{Clients, clock, metrics};
use crate::wire::http::Method;
use crate::wire::{self, Heartbeat, Request, Response, Status};

use super::node::Node;
use super::status;

/// Heartbeats taken in one turn.
const HEARTBEATS_PER_TURN: usize = 1024;
/// What the original wrote; people look for it.
const UNAVAILABLE: &str = "Client attempted to connect while all app servers were unavailable";
/// Seconds after which a client that found no server may ask again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The balancer's one reactor owns the table.
pub struct AssignService {
    node: Arc<Node>,
    heard: Mailbox<Heartbeat>,
    table: Table,
    events: EventLog,
}

#[derive(Serialize)]
struct Assignment<'a> {
    url: &'a str,
    node: &'a str,
}

impl AssignService {
    /// An empty table, fed by `heard`.
    pub fn new(node: Arc<Node>, heard: Mailbox<Heartbeat>) -> Self {
        let table = Table::new(node.options.name.clone(), node.options.weights);
        Self { node, heard, table, events: EventLog::default() }
    }

    fn assign(&mut self, request: &Request<'_>, now: Instant) -> Response {
        let Some(pick) = self.table.pick(now) else {
            self.node.metrics.unavailable();
            log::warn!("{}: {UNAVAILABLE}", self.node.options.name);
            self.note("unavailable", UNAVAILABLE.into());
            return Response::error(Status::UNAVAILABLE, "unavailable", "no application server is available")
                .with("Retry-After", RETRY_AFTER_SECONDS.to_string());
        };
        let url = pick.url.replace("{host}", request.hostname());
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}via={}", self.node.options.name);
        let plural = if pick.connections == 1 { "" } else { "s" };
        let text = format!("Client sent to {} ({} connection{plural})", pick.name, pick.connections);
        log::info!("{}: {text}", self.node.options.name);
        let response = Response::json(&Assignment { url: &url, node: pick.name });
        self.node.metrics.assigned();
        self.note("assigned", text);
        response
    }

    fn note(&mut self, kind: &'static str, text: String) {
        self.events.add(Event { time: clock::unix_ms(), kind, text });
    }

    fn note_change(&mut self, change: &Change) {
        let Change { name, health, has_restarted } = change;
        let text = match health {
            Health::Up if *has_restarted => format!("{name} has restarted"),
            health => format!("{name} is {}", health.name()),
        };
        log::info!("{}: {text}", self.node.options.name);
        self.note("server", text);
    }
}

impl Service for AssignService {
    type Session = ();

    fn handle_request(&mut self, _: Key, request: &Request<'_>, now: Instant) -> Answer<()> {
        let is_for_pages = matches!(request.path, "/assign" | "/status");
        let response = match request.path {
            "/assign" if request.method == Method::Get => self.assign(request, now),
            "/assign" => {
                Response::error(Status::METHOD_NOT_ALLOWED, "method_not_allowed", "only GET assigns")
            }
            "/status" => status::respond(&self.node, &self.table, &self.events, now),
            "/metrics" => metrics::respond(&self.node.registry),
            "/live" => Response::ok("text/plain", "live\n"),
            "/ready" if self.table.is_ready(now) => Response::ok("text/plain", "ready\n"),
            "/ready" => {
                Response::error(Status::UNAVAILABLE, "not_ready", "no application server is available")
            }
            _ => assets::respond(Page::Balancer, request).unwrap_or_else(Response::not_found),
        };
        Answer::Respond(match is_for_pages {
            true => response.with("Access-Control-Allow-Origin", self.node.options.cors_origin.clone()),
            false => response,
        })
    }

    fn handle_message(&mut self, _: Key, _: wire::Event<'_>, _: &mut Clients<()>, _: Instant) {
        unreachable!("a balancer opens no WebSocket")
    }

    fn handle_turn(&mut self, _: &mut Clients<()>, now: Instant) -> Pace {
        let mut heartbeats = Vec::new();
        let more = self.heard.drain(HEARTBEATS_PER_TURN, |heartbeat| heartbeats.push(heartbeat));
        for heartbeat in heartbeats {
            match self.table.handle_heartbeat(heartbeat, now) {
                Ok(change) => {
                    self.node.metrics.accepted();
                    change.iter().for_each(|change| self.note_change(change));
                }
                Err(why) => self.node.metrics.refused(why),
            }
        }
        for change in self.table.handle_timeout(now) {
            self.note_change(&change);
        }
        match (more, self.table.poll_timeout()) {
            (true, _) => Pace::Again,
            (false, Some(at)) => Pace::Until(at),
            (false, None) => Pace::Wait,
        }
    }
}
