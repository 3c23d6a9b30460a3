//! What a worker counted beside its ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::latency::Latency;
use crate::measure::storm::Burst;

/// Kinds of errors that are told apart; the rest is counted together.
const ERRORS_MAX: usize = 32;
const OTHER_ERRORS: &str = "others";

/// Counters and times; those of several workers are added up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Clients in their rooms, by server.
    pub servers: BTreeMap<String, u64>,
    /// Errors by the code of the server, or in words.
    pub errors: BTreeMap<String, u64>,
    /// Connections that ended, by close code; 1006 stands for none.
    pub closes: BTreeMap<u16, u64>,
    /// Clients whose connection ended by itself, each once.
    pub lost_connection: u64,
    /// Times that clients came back into their room on a new connection, after the end of the old one.
    pub resumed: u64,
    /// Times that clients came back into their room on the same connection, at another server.
    pub resumed_in_place: u64,
    /// Times that clients were asked to move.
    pub asked_to_move: u64,
    /// Of these, times that they were in their room at the new server before they left the old one.
    pub moved: u64,
    /// Of all these returns, those in which something was no longer to be had.
    pub resumed_incomplete: u64,
    /// Times that a balancer told a client to come back at its turn.
    pub delayed: u64,
    /// Connections that clients dropped because the plan says so.
    pub dropped: u64,
    /// Storms.
    pub bursts: Vec<Burst>,
    /// The longest time from when a message should have been sent to its arrival, among clients that never lost their
    /// connection, of senders that never did and have the same worker.
    pub longest_delivery: Duration,
    /// From dialling to being in the room.
    pub connect: Latency,
    /// From the intended time of a message to its acknowledgement.
    pub acknowledge: Latency,
    /// From the intended time of a message to its arrival at a member.
    pub deliver: Latency,
    /// From the intended time of a message to its being sent: how late this program is itself.
    pub late: Latency,
}

impl Stats {
    /// Counts an error.
    pub fn error(&mut self, what: &str) {
        let what = match self.errors.len() < ERRORS_MAX || self.errors.contains_key(what) {
            true => what,
            false => OTHER_ERRORS,
        };
        // An entry by reference first: the same few errors come again and again.
        match self.errors.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.errors.insert(what.to_owned(), 1)),
        }
    }

    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.servers, &other.servers);
        add(&mut self.errors, &other.errors);
        add(&mut self.closes, &other.closes);
        self.lost_connection += other.lost_connection;
        self.resumed += other.resumed;
        self.resumed_in_place += other.resumed_in_place;
        self.asked_to_move += other.asked_to_move;
        self.moved += other.moved;
        self.resumed_incomplete += other.resumed_incomplete;
        self.delayed += other.delayed;
        self.dropped += other.dropped;
        self.bursts.extend(&other.bursts);
        self.longest_delivery = self.longest_delivery.max(other.longest_delivery);
        self.connect.merge(&other.connect);
        self.acknowledge.merge(&other.acknowledge);
        self.deliver.merge(&other.deliver);
        self.late.merge(&other.late);
    }
}

fn add<K: Ord + Clone>(counts: &mut BTreeMap<K, u64>, others: &BTreeMap<K, u64>) {
    for (key, count) in others {
        *counts.entry(key.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up() {
        let mut one = Stats::default();
        one.error("rate_limited");
        one.closes.insert(1006, 2);
        let mut other = Stats { resumed: 1, ..Stats::default() };
        other.error("rate_limited");
        other.error("overloaded");
        other.closes.insert(1001, 1);
        one.merge(&other);
        assert_eq!(one.errors, BTreeMap::from([("rate_limited".into(), 2), ("overloaded".into(), 1)]));
        assert_eq!((one.closes, one.resumed), (BTreeMap::from([(1001, 1), (1006, 2)]), 1));
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut tally = Stats::default();
        (0..100).for_each(|kind| tally.error(&kind.to_string()));
        tally.error("0");
        assert_eq!(tally.errors.len(), ERRORS_MAX + 1);
        assert_eq!((tally.errors["0"], tally.errors[OTHER_ERRORS]), (2, 100 - ERRORS_MAX as u64));
    }
}
