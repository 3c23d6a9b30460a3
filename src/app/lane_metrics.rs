//! What the lanes count, as the registry has it.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::lanes::{LaneStatus, State, Totals};

type PerNode<T> = Family<Node, T>;
type Total = Counter<u64, AtomicU64>;

/// Of each lane, by the Redis node that it leads to.
#[derive(Debug, Default)]
pub struct LaneMetrics {
    up: PerNode<Gauge>,
    in_flight: PerNode<Gauge>,
    published: PerNode<Total>,
    published_bytes: PerNode<Total>,
    received: PerNode<Total>,
    resent: PerNode<Total>,
    relayed: PerNode<Total>,
    reconnects: PerNode<Total>,
    refused: Family<Rule, Total>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Node {
    node: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rule {
    rule: &'static str,
}

impl LaneMetrics {
    /// Under their names in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        registry.register("lane_up", "1 if envelopes pass both ways", m.up.clone());
        registry.register("lane_in_flight", "envelopes that Redis has not confirmed", m.in_flight.clone());
        registry.register("lane_published", "envelopes sent", m.published.clone());
        registry.register("lane_published_bytes", "their bytes", m.published_bytes.clone());
        registry.register("lane_received", "envelopes that came, own ones too", m.received.clone());
        registry.register("lane_resent", "envelopes that another lane did not confirm", m.resent.clone());
        registry.register("lane_relayed", "envelopes handed on between servers", m.relayed.clone());
        registry.register("lane_reconnects", "connections made anew", m.reconnects.clone());
        registry.register("bus_refused", "what came and is no envelope, by rule", m.refused.clone());
        m
    }

    /// What the lanes have counted so far.
    pub fn set(&self, lanes: Vec<LaneStatus>, totals: Totals) {
        for LaneStatus { node, state, in_flight, counts, .. } in lanes {
            let node = Node { node };
            self.up.get_or_create(&node).set(i64::from(state == State::Up));
            self.in_flight.get_or_create(&node).set(in_flight as i64);
            let set = |family: &PerNode<Total>, value| store(&family.get_or_create(&node), value);
            set(&self.published, counts.published);
            set(&self.published_bytes, counts.publish_bytes);
            set(&self.received, counts.received);
            set(&self.resent, counts.resent);
            set(&self.relayed, counts.relayed);
            set(&self.reconnects, counts.reconnects);
        }
        let Totals { malformed, foreign_version, too_large, .. } = totals;
        for (rule, value) in
            [("malformed", malformed), ("version", foreign_version), ("too_large", too_large)]
        {
            store(&self.refused.get_or_create(&Rule { rule }), value);
        }
    }
}

fn store(counter: &Total, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}
