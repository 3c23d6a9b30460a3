//! Who says something when: fixed beforehand, so that a slow server does not slow its own measurement down.

use std::time::Duration;

use crate::load::plan::Plan;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The messages of all clients, numbered from 0. All speak equally often, in an order that the seed decides.
#[derive(Debug)]
pub struct Schedule {
    order: Box<[u32]>,
    len: u32,
    /// Messages per second.
    rate: u64,
    /// Messages that are due at the same time.
    burst: u32,
}

impl Schedule {
    /// The messages of a plan.
    pub fn new(plan: &Plan) -> Self {
        let mut order: Box<[u32]> = (0..plan.clients).collect();
        fastrand::Rng::with_seed(plan.seed).shuffle(&mut order);
        let rate = u64::from(plan.rate);
        let len = (plan.duration.as_nanos() * u128::from(rate)).div_ceil(NANOS_PER_SECOND.into());
        Self { order, len: u32::try_from(len).unwrap_or(u32::MAX), rate, burst: plan.burst.get() }
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
        let first_of_burst = number - number % self.burst;
        // Fits: a number has 32 bits, and 30 are the nanoseconds of a second.
        Duration::from_nanos(u64::from(first_of_burst) * NANOS_PER_SECOND / self.rate)
    }

    /// Who sends it, among all clients.
    pub fn sender(&self, number: u32) -> u32 {
        self.order[number as usize % self.order.len()]
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn plan(rate: u32) -> Plan {
        Plan { clients: 10, rooms: 2, rate, duration: Duration::from_millis(2500), ..Plan::default() }
    }

    #[test]
    fn messages_are_due_at_the_rate_and_everyone_speaks_equally_often() {
        let plan = plan(7);
        let schedule = Schedule::new(&plan);
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
    fn a_burst_is_due_with_its_first_message() {
        let schedule = Schedule::new(&Plan { burst: NonZeroU32::new(3).unwrap(), ..plan(6) });
        let due: Vec<_> = (0..7).map(|number| schedule.at(number).as_millis()).collect();
        assert_eq!((schedule.len(), due), (15, vec![0, 0, 0, 500, 500, 500, 1000]), "the rate stays");
    }

    #[test]
    fn the_seed_decides() {
        let one = Plan { clients: 100, ..plan(7) };
        let other = Plan { seed: 6, ..one.clone() };
        let order = |plan: &Plan| Schedule::new(plan).order;
        assert_eq!(order(&one), order(&one));
        assert_ne!(order(&one), order(&other));
    }

    #[test]
    fn silence_is_a_plan_too() {
        assert!(Schedule::new(&plan(0)).is_empty());
    }
}
