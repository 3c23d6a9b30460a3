//! A token bucket (one per connection, 16 bytes).

use std::time::{Duration, Instant};

/// What a frame costs a client that sends too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allowed,
    /// Ignore the frame and say so.
    Limited,
    /// It does not listen: it has sent a whole burst more than it may.
    Hopeless,
}

/// Sustained rate and burst of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Frames per second.
    pub per_second: u32,
    /// Frames at once.
    pub burst: u32,
}

/// Counts down from the burst and fills up with time; below zero it counts what was ignored.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    filled: Instant,
    millitokens: i32,
}

const MILLI: i64 = 1000;

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { filled: now, millitokens: full(rate) }
    }

    /// One frame.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Verdict {
        let level = self.refill(rate, now) - MILLI;
        let floor = -i64::from(full(rate));
        self.millitokens = level.max(floor) as i32;
        match level {
            0.. => Verdict::Allowed,
            level if level >= floor => Verdict::Limited,
            _ => Verdict::Hopeless,
        }
    }

    /// What costs more than one frame. It may empty the bucket, but nobody gets into debt for what was allowed.
    pub fn charge(&mut self, frames: u32) {
        let cost = i32::try_from(i64::from(frames) * MILLI).unwrap_or(i32::MAX);
        self.millitokens = self.millitokens.saturating_sub(cost).max(self.millitokens.min(0));
    }
}

impl Bucket {
    /// What is known only afterwards: it may lead into debt.
    pub fn owe(&mut self, tokens: u32) {
        let cost = i32::try_from(i64::from(tokens) * MILLI).unwrap_or(i32::MAX);
        self.millitokens = self.millitokens.saturating_sub(cost);
    }

    /// When the debt is paid, if there is one.
    pub fn debt(&mut self, rate: Rate, now: Instant) -> Option<Duration> {
        let level = self.refill(rate, now);
        self.millitokens = level as i32;
        let owed = u64::try_from(-level).ok().filter(|owed| *owed > 0)?;
        Some(Duration::from_millis(owed.div_ceil(u64::from(rate.per_second.max(1)))))
    }

    /// When the debt is paid, at the earliest some milliseconds from when it was last looked at.
    pub fn next(&self, rate: Rate) -> Instant {
        let owed = u64::from(self.millitokens.min(0).unsigned_abs());
        self.filled + Duration::from_millis(owed.div_ceil(u64::from(rate.per_second.max(1))))
    }

    /// The level after what time has brought.
    fn refill(&mut self, rate: Rate, now: Instant) -> i64 {
        let elapsed_ms = now.saturating_duration_since(self.filled).as_millis().min(1 << 32) as i64;
        let refill = elapsed_ms * i64::from(rate.per_second);
        if refill > 0 {
            self.filled = now;
        }
        (i64::from(self.millitokens) + refill).min(i64::from(full(rate)))
    }
}

fn full(rate: Rate) -> i32 {
    (i64::from(rate.burst) * MILLI).min(i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 5 };

    #[test]
    fn a_burst_then_the_rate_then_the_end() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        for _ in 0..5 {
            assert_eq!(bucket.take(RATE, start), Verdict::Allowed);
        }
        assert_eq!(bucket.take(RATE, start), Verdict::Limited);
        let later = start + Duration::from_millis(200);
        assert_eq!(bucket.take(RATE, later), Verdict::Allowed, "one in debt, two earned");
        for _ in 0..5 {
            assert_eq!(bucket.take(RATE, later), Verdict::Limited);
        }
        assert_eq!(bucket.take(RATE, later), Verdict::Hopeless);
    }

    #[test]
    fn a_charge_empties_the_bucket_and_no_more() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        assert_eq!(bucket.take(RATE, start), Verdict::Allowed);
        bucket.charge(3);
        assert_eq!(bucket.take(RATE, start), Verdict::Allowed);
        assert_eq!(bucket.take(RATE, start), Verdict::Limited);
        bucket.charge(100);
        for _ in 0..4 {
            assert_eq!(bucket.take(RATE, start), Verdict::Limited);
        }
    }

    #[test]
    fn what_is_owed_is_paid_with_time() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        bucket.owe(5);
        assert_eq!(bucket.debt(RATE, start), None, "a full bucket pays for it");
        bucket.owe(20);
        assert_eq!(bucket.debt(RATE, start), Some(Duration::from_secs(2)));
        let later = start + Duration::from_millis(1500);
        assert_eq!(bucket.debt(RATE, later), Some(Duration::from_millis(500)));
        assert_eq!(bucket.debt(RATE, later + Duration::from_millis(500)), None);
        bucket.owe(u32::MAX);
        assert!(bucket.debt(RATE, later).is_some_and(|debt| debt > Duration::from_secs(100_000)));
    }

    #[test]
    fn a_long_rest_earns_no_more_than_a_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        let later = start + Duration::from_secs(1 << 24);
        let allowed = (0..100).filter(|_| bucket.take(RATE, later) == Verdict::Allowed).count();
        assert_eq!(allowed, 5);
    }
}
