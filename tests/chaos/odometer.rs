//! What servers counted in all their lives: a server that is killed begins anew.

use std::collections::BTreeMap;

use crate::support::fleet::Fleet;
use crate::support::metric;

/// Counters that a report shows.
pub const COUNTERS: [&str; 6] = [
    "distr_chat_republished_total",
    "distr_chat_repaired_total",
    "distr_chat_wants_total",
    "distr_chat_missing_total",
    "distr_bus_stale_total",
    "distr_bus_dropped_total",
];

#[derive(Default)]
pub struct Odometer {
    /// Of lives that are over.
    before: BTreeMap<&'static str, u64>,
    /// By server.
    now: BTreeMap<usize, BTreeMap<&'static str, u64>>,
}

impl Odometer {
    /// Looks at a server, which must run.
    pub fn read(&mut self, fleet: &Fleet, server: usize) {
        let address = fleet.servers[server].address;
        self.now.insert(server, COUNTERS.into_iter().map(|name| (name, metric(address, name))).collect());
    }

    /// The server is about to be killed.
    pub fn forget(&mut self, server: usize) {
        for (name, value) in self.now.remove(&server).into_iter().flatten() {
            *self.before.entry(name).or_default() += value;
        }
    }

    /// Looks at all servers; the sum of each counter.
    pub fn sums(&mut self, fleet: &Fleet) -> BTreeMap<&'static str, u64> {
        (0..fleet.servers.len()).for_each(|server| self.read(fleet, server));
        let mut sums = self.before.clone();
        for (name, value) in self.now.values().flatten() {
            *sums.entry(name).or_default() += value;
        }
        sums
    }
}
