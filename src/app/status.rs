//! `GET /status` of an application server. The shape is docs/status.json's.

use std::sync::Arc;

use serde::Serialize;

use crate::chat::{Hub, Now};
use crate::lanes::{LaneStatus, State};
use crate::wire::Response;

use super::bus::Bus;
use super::node::Node;

/// Rooms listed, those with the most users first. The page can search no others; they make about 40 KB of JSON.
const ROOMS_LISTED: usize = 500;

#[derive(Serialize)]
struct Status<'a> {
    role: &'static str,
    node: &'a str,
    version: &'static str,
    url: &'a str,
    uptime_seconds: u64,
    connections: u32,
    connections_max: u32,
    ready: bool,
    draining: bool,
    backplane: Backplane,
    rooms_total: usize,
    rooms: Vec<Room<'a>>,
    totals: Totals,
    reactors: Vec<Reactor>,
}

#[derive(Serialize)]
struct Backplane {
    kind: &'static str,
    ready: bool,
    lanes: Vec<Lane>,
    peers: Vec<Peer>,
}

#[derive(Serialize)]
struct Lane {
    node: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    for_seconds: u64,
}

impl From<LaneStatus> for Lane {
    fn from(status: LaneStatus) -> Self {
        let reason = match &status.state {
            State::Up => None,
            State::Refused(reason) => Some(reason.clone()),
            _ => status.last_error,
        };
        Self { node: status.node, state: status.state.word(), reason, for_seconds: status.since.as_secs() }
    }
}

#[derive(Serialize)]
struct Peer {
    name: Arc<str>,
    up: bool,
}

#[derive(Serialize)]
struct Room<'a> {
    room: &'a str,
    users: usize,
    members_here: u32,
    messages: u64,
}

#[derive(Serialize)]
struct Totals {
    accepted: u64,
    messages: u64,
    deliveries: u64,
    writes: u64,
    turns: u64,
    errors: u64,
    closed_slow: u64,
}

#[derive(Serialize)]
struct Reactor {
    connections: u64,
}

/// The answer, as the backplane thread sees the server.
pub fn respond(node: &Node, hub: &Hub, bus: &impl Bus, now: Now) -> Response {
    let options = &node.options;
    let ready = node.is_ready(now.instant);
    let peers = hub.peers().by_name().into_iter().map(|(name, up)| Peer { name, up }).collect();
    let lanes = bus.lanes().into_iter().map(Lane::from).collect();
    let mut rooms: Vec<_> = hub
        .rooms()
        .map(|room| Room {
            room: &room.name,
            users: room.presence.users(),
            members_here: room.members(),
            messages: room.messages,
        })
        .collect();
    let rooms_total = rooms.len();
    let by_users = |a: &Room<'_>, b: &Room<'_>| b.users.cmp(&a.users).then_with(|| a.room.cmp(b.room));
    if rooms_total > ROOMS_LISTED {
        rooms.select_nth_unstable_by(ROOMS_LISTED, by_users);
        rooms.truncate(ROOMS_LISTED);
    }
    rooms.sort_unstable_by(by_users);
    let totals = node.serving.totals();
    Response::json(&Status {
        role: "app",
        node: &options.name,
        version: env!("CARGO_PKG_VERSION"),
        url: &options.public_url,
        uptime_seconds: now.instant.saturating_duration_since(node.started).as_secs(),
        connections: node.serving.websockets(),
        connections_max: options.limits.connections_max,
        ready,
        draining: node.is_draining(),
        backplane: Backplane { kind: bus.kind(), ready, lanes, peers },
        rooms_total,
        rooms,
        totals: Totals {
            accepted: node.serving.accepted_total(),
            messages: node.metrics.said_total(),
            deliveries: totals.deliveries,
            writes: totals.writes,
            turns: totals.turns,
            errors: node.metrics.errors_total(),
            closed_slow: node.serving.closed_slow_total(),
        },
        reactors: node.serving.per_reactor().into_iter().map(|connections| Reactor { connections }).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lanes_are_told_as_the_docs_say() {
        let docs: serde_json::Value = serde_json::from_str(include_str!("../../docs/status.json")).unwrap();
        let old = "Redis 6.2.7 has no sharded pub/sub: Redis 7 or newer is needed";
        let lanes = [
            (6401, State::Up, 12, Some("connection reset")),
            (6402, State::Suspect, 0, None),
            (6403, State::Connecting, 7, Some("connection refused")),
            (6404, State::Refused(old.into()), 9, Some(old)),
        ]
        .map(|(port, state, seconds, last_error)| {
            Lane::from(LaneStatus {
                node: format!("127.0.0.1:{port}"),
                state,
                since: Duration::from_secs(seconds),
                canary_age: None,
                last_error: last_error.map(str::to_owned),
                in_flight: 0,
                counts: Default::default(),
            })
        });
        assert_eq!(serde_json::to_value(lanes).unwrap(), docs["app"]["backplane"]["lanes"]);
    }
}
