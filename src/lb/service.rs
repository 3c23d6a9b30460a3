//! What a balancer answers.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::net::Key;
use crate::serve::assets::{self, Page};
use crate::serve::service::{Answer, Service};
use crate::serve::{Clients, metrics};
use crate::wire::http::Method;
use crate::wire::{self, Request, Response, Status};

use super::address;
use super::node::Node;
use super::refusal::Refusal;
use super::status;

/// One per reactor.
pub struct AssignService {
    node: Arc<Node>,
}

#[derive(Serialize)]
struct Assignment<'a> {
    url: &'a str,
    node: &'a str,
}

impl AssignService {
    /// Answers from the node's board.
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    fn assign(&self, request: &Request<'_>, now: Instant) -> Response {
        let balancer = &self.node.options.name;
        let sent = self.node.board().send_client(request.query_value("not"), now);
        match sent {
            Ok(destination) => {
                self.node.metrics.assigned();
                log::info!("{balancer}: {destination}");
                let key = self.node.options.cluster_key.as_ref();
                let url = address::url(&destination, request.hostname(), balancer, key);
                Response::json(&Assignment { url: &url, node: &destination.name })
            }
            Err(refusal) => {
                self.node.metrics.refused_client(refusal);
                if let Refusal::Unavailable(text) = refusal {
                    log::warn!("{balancer}: {text}");
                }
                refusal.respond()
            }
        }
    }

    fn ready(&self, now: Instant) -> Response {
        let ready = self.node.board().check_ready(now);
        match ready {
            Ok(()) => Response::ok("text/plain", "ready\n"),
            Err(refusal) => refusal.respond(),
        }
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
            "/status" => status::respond(&self.node, now),
            "/metrics" => metrics::respond(&self.node.registry),
            "/live" => Response::ok("text/plain", "live\n"),
            "/ready" => self.ready(now),
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
}
