//! What a balancer counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;

use crate::balance::Refused;
use crate::wire::heartbeat::HeartbeatError;

use super::refusal::Refusal;

/// Counters of one balancer.
#[derive(Debug, Default)]
pub struct Metrics {
    assigned: Counter,
    unavailable: Counter,
    delayed: Counter,
    accepted: Counter,
    refused: Family<Rule, Counter>,
    proxied: Gauge,
    moved: Counter,
    newcomers_lost: Counter,
    heads_refused: Family<Rule, Counter>,
    left_out: Counter,
    dials_failed: Family<Reason, Counter>,
    bytes: Family<Direction, Counter>,
    writes: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rule {
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

/// Heartbeats by what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Heartbeats {
    /// Taken.
    pub accepted: u64,
    /// Not a whole heartbeat.
    pub malformed: u64,
    /// Of a version that is not spoken here.
    pub version: u64,
    /// Not signed with the cluster's key.
    pub forged: u64,
    /// Late, repeated, or of an earlier run.
    pub stale: u64,
    /// Of a server that runs under another one's name.
    pub namesake: u64,
    /// The table is full.
    pub table_full: u64,
}

const MALFORMED: Rule = Rule { rule: "malformed" };
const VERSION: Rule = Rule { rule: "version" };
const FORGED: Rule = Rule { rule: "forged" };
const NAMESAKE: Rule = Rule { rule: "namesake" };
const STALE: Rule = Rule { rule: "stale" };
const TABLE_FULL: Rule = Rule { rule: "table_full" };
const UP: Direction = Direction { direction: "up" };
const DOWN: Direction = Direction { direction: "down" };

impl Metrics {
    /// Counters under their names in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        registry.register("clients_assigned", "clients sent to a server", m.assigned.clone());
        registry.register(
            "clients_unavailable",
            "clients for whom no server was there",
            m.unavailable.clone(),
        );
        registry.register("clients_delayed", "clients told to come back at their turn", m.delayed.clone());
        registry.register("heartbeats_accepted", "heartbeats taken", m.accepted.clone());
        registry.register("heartbeats_refused", "heartbeats refused, by the rule", m.refused.clone());
        m.register_proxy(registry);
        m
    }

    fn register_proxy(&self, registry: &mut Registry) {
        registry.register("proxied", "clients proxied now", self.proxied.clone());
        registry.register(
            "proxied_moved",
            "proxied clients that another server took over",
            self.moved.clone(),
        );
        registry.register(
            "proxy_newcomers_lost",
            "clients dropped because a proxy loop could not take them",
            self.newcomers_lost.clone(),
        );
        registry.register(
            "proxy_requests_refused",
            "requests for a WebSocket that were not passed on, by the rule they broke",
            self.heads_refused.clone(),
        );
        registry.register(
            "proxy_fields_left_out",
            "fields of proxied requests, and parts of their queries, that no server was told: too much, or not understood",
            self.left_out.clone(),
        );
        registry.register(
            "proxy_dials_failed",
            "servers that did not take a proxied client, by what happened",
            self.dials_failed.clone(),
        );
        registry.register(
            "proxy_bytes",
            "bytes passed on, up to servers and down to clients",
            self.bytes.clone(),
        );
        registry.register("proxy_writes", "write system calls of the proxy loops", self.writes.clone());
    }

    /// A client was sent to a server.
    pub fn assigned(&self) {
        self.assigned.inc();
    }

    /// A client was sent away.
    pub fn refused_client(&self, why: Refusal) {
        match why {
            Refusal::Unavailable | Refusal::Unanswered => self.unavailable.inc(),
            Refusal::Busy(_) => self.delayed.inc(),
            Refusal::Draining | Refusal::NotReady => 0,
        };
    }

    /// A heartbeat was taken.
    pub fn accepted(&self) {
        self.accepted.inc();
    }

    /// A datagram was refused.
    pub fn malformed(&self, error: HeartbeatError) {
        let rule = match error {
            HeartbeatError::Malformed => MALFORMED,
            HeartbeatError::Version => VERSION,
            HeartbeatError::Forged => FORGED,
        };
        self.refused.get_or_create(&rule).inc();
    }

    /// A heartbeat was refused.
    pub fn refused(&self, why: Refused) {
        let rule = match why {
            Refused::Stale => STALE,
            Refused::Namesake { .. } => NAMESAKE,
            Refused::TableFull => TABLE_FULL,
        };
        self.refused.get_or_create(&rule).inc();
    }

    /// Takes a place for one more proxied client, unless so many are taken.
    pub fn take_place(&self, proxied_max: u32) -> bool {
        if self.proxied.inc() >= i64::from(proxied_max) {
            self.proxied.dec();
            return false;
        }
        true
    }

    /// A proxied client is gone.
    pub fn free_place(&self) {
        self.proxied.dec();
    }

    /// Another server took over a proxied client.
    pub fn moved(&self) {
        self.moved.inc();
    }

    /// A client could not be handed to its loop.
    pub fn newcomer_lost(&self) {
        self.newcomers_lost.inc();
    }

    /// A request was not passed on.
    pub fn head_refused(&self, rule: &'static str) {
        self.heads_refused.get_or_create(&Rule { rule }).inc();
    }

    /// So much of a request was not passed on.
    pub fn left_out(&self, count: usize) {
        self.left_out.inc_by(count as u64);
    }

    /// A server did not take a proxied client.
    pub fn dial_failed(&self, reason: &'static str) {
        self.dials_failed.get_or_create(&Reason { reason }).inc();
    }

    /// What a proxy loop did in a turn, in bytes and calls.
    pub fn passed_on(&self, up: u64, down: u64, writes: u64) {
        for (direction, bytes) in [(UP, up), (DOWN, down)] {
            if bytes > 0 {
                self.bytes.get_or_create(&direction).inc_by(bytes);
            }
        }
        self.writes.inc_by(writes);
    }

    /// Clients proxied now, and clients that another server took over so far.
    pub fn proxied(&self) -> (u32, u64) {
        (self.proxied.get().max(0) as u32, self.moved.get())
    }

    /// Clients sent, clients for whom no server was there, and clients told to come back at their turn.
    pub fn clients(&self) -> (u64, u64, u64) {
        (self.assigned.get(), self.unavailable.get(), self.delayed.get())
    }

    /// Heartbeats so far.
    pub fn heartbeats(&self) -> Heartbeats {
        let refused = |rule: &Rule| self.refused.get_or_create(rule).get();
        Heartbeats {
            accepted: self.accepted.get(),
            malformed: refused(&MALFORMED),
            version: refused(&VERSION),
            forged: refused(&FORGED),
            stale: refused(&STALE),
            namesake: refused(&NAMESAKE),
            table_full: refused(&TABLE_FULL),
        }
    }
}
