//! Who says something when: fixed beforehand, so that a slow server does not slow its own measurement down.

use std::time::Duration;

use crate::plan::{Plan, Share};

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The messages of one worker, numbered from 0. All clients speak equally often, in an order that the seed decides.
#[derive(Debug)]
pub struct Schedule {
    order: Box<[u32]>,
    len: u32,
    /// A message is due every `nanos / shares` nanoseconds; whole numbers, so that nothing drifts.
    nanos: u128,
    shares: u128,
    phase: Duration,
}

impl Schedule {
    /// The part of the plan's messages that falls to a share.
    pub fn new(plan: &Plan, share: &Share) -> Self {
        let mut order: Box<[u32]> = (0..share.clients).collect();
        fastrand::Rng::with_seed(plan.seed.wrapping_add(share.worker.into())).shuffle(&mut order);
        let nanos = u128::from(plan.clients) * NANOS_PER_SECOND;
        let shares = u128::from(plan.rate) * u128::from(share.clients);
        let mut schedule = Self { order, len: 0, nanos, shares, phase: Duration::ZERO };
        if shares > 0 {
            // Workers take turns instead of speaking at once.
            schedule.phase =
                nanos_to_duration(nanos * u128::from(share.worker) / (shares * u128::from(share.workers)));
            let time = plan.duration.saturating_sub(schedule.phase).as_nanos();
            schedule.len = u32::try_from((time * shares).div_ceil(nanos)).unwrap_or(u32::MAX);
        }
        schedule
    }

    /// How many messages there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether nobody says anything.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When a message is to be sent, from the start.
    pub fn at(&self, number: u32) -> Duration {
        self.phase + nanos_to_duration(u128::from(number) * self.nanos / self.shares)
    }

    /// Who sends it.
    pub fn sender(&self, number: u32) -> u32 {
        self.order[number as usize % self.order.len()]
    }
}

fn nanos_to_duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(clients: u32, rooms: u32, rate: u32) -> Plan {
        let duration = Duration::from_millis(2500);
        Plan { clients, rooms, rate, duration, payload_bytes: 32, seed: 5, run: 7 }
    }

    #[test]
    fn messages_are_due_at_the_rate_and_everyone_speaks_equally_often() {
        let plan = plan(10, 2, 7);
        let schedule = Schedule::new(&plan, &plan.share(0, 1));
        assert_eq!(schedule.len(), 18, "7/s for 2.5 s, the first at once");
        assert_eq!(schedule.at(0), Duration::ZERO);
        assert_eq!(schedule.at(7), Duration::from_secs(1));
        assert!(schedule.at(17) < plan.duration && schedule.at(18) >= plan.duration);
        let mut senders: Vec<_> = (0..10).map(|number| schedule.sender(number)).collect();
        assert_ne!(senders, (0..10).collect::<Vec<_>>(), "shuffled");
        assert_eq!(schedule.sender(13), schedule.sender(3));
        senders.sort_unstable();
        assert_eq!(senders, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn the_seed_decides() {
        let one = plan(100, 2, 7);
        let other = Plan { seed: 6, ..one.clone() };
        let order = |plan: &Plan| Schedule::new(plan, &plan.share(0, 1)).order;
        assert_eq!(order(&one), order(&one));
        assert_ne!(order(&one), order(&other));
    }

    #[test]
    fn workers_together_keep_the_rate() {
        let plan = plan(10, 3, 100);
        let schedules: Vec<_> = (0..3).map(|worker| Schedule::new(&plan, &plan.share(worker, 3))).collect();
        let messages: u32 = schedules.iter().map(Schedule::len).sum();
        assert!((249..=252).contains(&messages), "{messages}");
        assert!(schedules[1].at(0) > Duration::ZERO);
    }

    #[test]
    fn silence_is_a_plan_too() {
        let plan = plan(10, 2, 0);
        assert!(Schedule::new(&plan, &plan.share(0, 1)).is_empty());
    }
}
