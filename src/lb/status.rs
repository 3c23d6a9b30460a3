//! `GET /status` of a balancer. The shape is docs/status.json's.

use std::time::Instant;

use serde::Serialize;

use crate::balance::Event;
use crate::wire::Response;

use super::metrics::Heartbeats;
use super::node::Node;

#[derive(Serialize)]
struct Status<'a> {
    role: &'static str,
    node: &'a str,
    version: &'static str,
    uptime_seconds: u64,
    ready: bool,
    draining: bool,
    assigned_total: u64,
    unavailable_total: u64,
    delayed_total: u64,
    proxied: u32,
    moved_total: u64,
    servers: Vec<Server<'a>>,
    heartbeats: Heartbeats,
    events: Vec<&'a Event>,
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    url: &'a str,
    state: &'static str,
    connections: u32,
    capacity: u32,
    loop_lag_ms: f64,
    in_flight: u32,
    assigned: u64,
    proxied: u32,
    last_heartbeat_ms: u64,
    draining: bool,
    deaf: bool,
    full: bool,
}

/// The answer.
pub fn respond(node: &Node, now: Instant) -> Response {
    let board = node.board();
    let table = board.table();
    let (assigned_total, unavailable_total, delayed_total) = node.metrics.clients();
    let (proxied, moved_total) = node.metrics.proxied();
    let servers = table.servers().map(|(name, server)| Server {
        name,
        url: &server.heartbeat.url,
        state: server.health.name(),
        connections: server.heartbeat.connections,
        capacity: server.heartbeat.capacity,
        loop_lag_ms: f64::from(server.heartbeat.loop_lag_us) / 1000.0,
        in_flight: server.in_flight.count(),
        assigned: server.assigned,
        proxied: board.upstreams().clients(name),
        last_heartbeat_ms: now.saturating_duration_since(server.heard).as_millis() as u64,
        draining: server.heartbeat.draining,
        deaf: server.heartbeat.deaf,
        full: server.heartbeat.full,
    });
    Response::json(&Status {
        role: "lb",
        node: &node.options.name,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: now.saturating_duration_since(node.started).as_secs(),
        ready: board.check_ready(now).is_ok(),
        draining: board.is_draining(),
        assigned_total,
        unavailable_total,
        delayed_total,
        proxied,
        moved_total,
        servers: servers.collect(),
        heartbeats: node.metrics.heartbeats(),
        events: board.events().iter().collect(),
    })
}
