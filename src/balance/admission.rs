//! How many clients a balancer lets in per second, and when the others may come.
//!
//! When a server dies, all of its clients come at once. What each costs the servers (a handshake, a join, a resume) is
//! paid on the cores that also serve those who are connected, so they are let in at a pace. A client beyond it is told
//! its turn: those who wait are spread over the seconds to come at the same pace, and need no jitter.

use std::time::{Duration, Instant};

/// The longest that a client is told to wait.
pub const WAIT_MAX: Duration = Duration::from_secs(10);

/// A bucket of admissions that fills at a rate, and the end of the line of those who were sent away.
#[derive(Debug)]
pub struct Admission {
    /// Time between two admissions at the rate.
    interval: Duration,
    burst: u32,
    /// When the bucket will be, or was, full.
    full_at: Instant,
    /// The turn of the last who was sent away.
    last_turn: Instant,
}

impl Admission {
    /// Lets in `per_second` clients on average, and so many at once after a second's rest.
    pub fn new(per_second: u32, now: Instant) -> Self {
        let per_second = per_second.max(1);
        let interval = Duration::from_secs(1) / per_second;
        Self { interval, burst: per_second, full_at: now, last_turn: now }
    }

    /// Lets a client in, or tells how long it has to wait.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + self.interval;
        if full_at.saturating_duration_since(now) <= self.interval * self.burst {
            self.full_at = full_at;
            return Ok(());
        }
        // Beyond the longest wait the line begins anew, behind those whose turn comes first.
        let is_long = self.last_turn.saturating_duration_since(now) >= WAIT_MAX;
        let behind = if is_long { now } else { self.last_turn.max(now) };
        self.last_turn = behind + self.interval;
        Err(self.last_turn - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_in_and_the_others_are_told_turns_at_the_same_pace() {
        let now = Instant::now();
        let mut admission = Admission::new(100, now);
        assert!((0..100).all(|_| admission.admit(now).is_ok()));
        let turns: Vec<_> = (0..3).filter_map(|_| admission.admit(now).err()).collect();
        assert_eq!(turns, [10, 20, 30].map(Duration::from_millis));
        assert_eq!(admission.admit(now + Duration::from_millis(10)), Ok(()), "its turn has come");
        assert!(admission.admit(now + Duration::from_millis(10)).is_err());
    }

    /// Fifteen thousand at once, who come back when they are told: all are in after about as long as the rate wants.
    #[test]
    fn a_storm_is_over_when_the_rate_says_so() {
        let start = Instant::now();
        let mut admission = Admission::new(1000, start);
        let mut waiting = std::collections::BTreeMap::from([(Duration::ZERO, 15_000_u32)]);
        let (mut asked, mut last) = (0, Duration::ZERO);
        while let Some((at, clients)) = waiting.pop_first() {
            for _ in 0..clients {
                asked += 1;
                match admission.admit(start + at) {
                    Ok(()) => last = at,
                    Err(wait) => {
                        assert!(wait <= WAIT_MAX + Duration::from_millis(1));
                        *waiting.entry(at + wait).or_default() += 1;
                    }
                }
            }
        }
        assert!(last >= Duration::from_secs(14) && last <= Duration::from_secs(16), "{last:?}");
        assert!(asked <= 3 * 15_000, "{asked} requests: each comes about twice");
    }
}
