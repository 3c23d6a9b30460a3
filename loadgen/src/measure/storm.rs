//! Storms: many clients fall out of their rooms together, and come back.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::measure::clock;

/// From the first client's falling out of its room, when all were in theirs, until all are again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// When it began.
    #[serde(with = "clock")]
    pub from: Instant,
    /// When it was over.
    #[serde(with = "clock")]
    pub to: Instant,
    /// How often a client fell out of its room in between.
    pub falls: u64,
}

/// Watches the clients of one worker.
#[derive(Debug, Default)]
pub struct Storm {
    over: Vec<Burst>,
    raging: Option<Burst>,
}

impl Storm {
    /// A client falls out of its room. Before all were in for the first time there is no storm, only a beginning.
    pub fn fall(&mut self, were_all_in: bool, now: Instant) {
        if were_all_in {
            self.raging = self.raging.or(Some(Burst { from: now, to: now, falls: 0 }));
        }
        if let Some(burst) = &mut self.raging {
            burst.falls += 1;
        }
    }

    /// All clients are in their rooms.
    pub fn settle(&mut self, now: Instant) {
        self.over.extend(self.raging.take().map(|burst| Burst { to: now, ..burst }));
    }

    /// What there was; a burst that is not over lasts until now.
    pub fn finish(mut self, now: Instant) -> Vec<Burst> {
        self.settle(now);
        self.over
    }
}

/// The bursts of all workers together: all are in their rooms when those of each worker are.
pub fn unite(mut bursts: Vec<Burst>) -> Vec<Burst> {
    bursts.sort_by_key(|burst| burst.from);
    let mut united: Vec<Burst> = Vec::new();
    for burst in bursts {
        match united.last_mut().filter(|last| burst.from <= last.to) {
            Some(last) => {
                last.to = last.to.max(burst.to);
                last.falls += burst.falls;
            }
            None => united.push(burst),
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_lasts_until_all_are_back() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut storm = Storm::default();
        storm.fall(false, at(0));
        storm.settle(at(1));
        storm.fall(true, at(2));
        storm.fall(false, at(3));
        storm.settle(at(5));
        storm.settle(at(6));
        storm.fall(true, at(8));
        let bursts = storm.finish(at(9));
        let expected =
            [(2, 5, 2), (8, 9, 1)].map(|(from, to, falls)| Burst { from: at(from), to: at(to), falls });
        assert_eq!(bursts, expected);
    }

    #[test]
    fn bursts_of_workers_are_one_where_they_overlap() {
        let start = Instant::now();
        let burst = |(from, to, falls)| Burst {
            from: start + Duration::from_secs(from),
            to: start + Duration::from_secs(to),
            falls,
        };
        let bursts = [(7, 8, 1), (1, 4, 10), (2, 3, 5), (4, 5, 1)].map(burst);
        assert_eq!(unite(bursts.into()), [(1, 5, 16), (7, 8, 1)].map(burst));
    }
}
