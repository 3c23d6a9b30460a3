//! When clients drop their connections, because the plan says so.

use std::time::{Duration, Instant};

use crate::load::plan;

/// Drops of one worker's clients, from the first message on.
#[derive(Debug, Default)]
pub struct Drops {
    /// The next single one, and the time between two.
    churn: Option<(Instant, Duration)>,
    /// When this share of all drops at once.
    storm: Option<(Instant, f64)>,
}

/// Who drops its connection now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drop {
    /// Any one.
    One,
    /// Each with this probability.
    Shard(f64),
}

impl Drops {
    /// What a plan has in store for so many clients.
    pub fn new(plan: &plan::Faults, clients: u32, start: Instant) -> Self {
        let per_second = plan.churn * f64::from(clients);
        let churn = (per_second > 0.0).then(|| {
            let interval = Duration::from_secs_f64(1.0 / per_second);
            (start + interval, interval)
        });
        Self { churn, storm: (plan.storm > 0.0).then_some((start + plan.storm_at, plan.storm)) }
    }

    /// When there is something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let churn = self.churn.map(|(at, _)| at);
        churn.into_iter().chain(self.storm.map(|(at, _)| at)).min()
    }

    /// What is to be done now; to be asked again until it is nothing.
    pub fn next(&mut self, now: Instant) -> Option<Drop> {
        if let Some((_, share)) = self.storm.take_if(|(at, _)| *at <= now) {
            return Some(Drop::Shard(share));
        }
        let (at, interval) = self.churn.as_mut()?;
        (*at <= now).then(|| {
            *at += *interval;
            Drop::One
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn churn_is_a_share_per_second_and_a_storm_comes_once() {
        let start = Instant::now();
        let plan =
            plan::Faults { churn: 0.01, storm: 0.5, storm_at: Duration::from_secs(3), ..Default::default() };
        let mut drops = Drops::new(&plan, 1000, start);
        let mut all = Vec::new();
        while let Some(at) = drops.poll_timeout().filter(|&at| at <= start + Duration::from_secs(10)) {
            all.extend(drops.next(at));
        }
        let storms = all.iter().filter(|&&drop| drop == Drop::Shard(0.5)).count();
        assert_eq!((all.len() - storms, storms), (100, 1));
    }

    #[test]
    fn peace_is_a_plan_too() {
        let mut drops = Drops::new(&plan::Faults::default(), 1000, Instant::now());
        assert_eq!((drops.poll_timeout(), drops.next(Instant::now())), (None, None));
    }
}
