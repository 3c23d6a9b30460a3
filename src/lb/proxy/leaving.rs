//! How a loop lets its clients go when the balancer leaves: told one after the other, then no longer waited for.

use std::time::{Duration, Instant};

use crate::net::Key;

use super::limits::LEAVE_STEP;

/// The pace. Pure: `now` is an argument.
#[derive(Debug)]
pub struct Leaving {
    start: Instant,
    over: Duration,
    until: Instant,
    next: Instant,
    waiting: Vec<Key>,
    total: usize,
    is_over: bool,
}

impl Leaving {
    /// These are told within `over`, and waited for until `limit` from now.
    pub fn new(waiting: Vec<Key>, over: Duration, limit: Duration, now: Instant) -> Self {
        Self {
            start: now,
            over,
            until: now + limit,
            next: now,
            total: waiting.len(),
            waiting,
            is_over: false,
        }
    }

    /// Those whose turn has come.
    pub fn take_due(&mut self, now: Instant) -> Vec<Key> {
        if now < self.next {
            return Vec::new();
        }
        self.next = now + LEAVE_STEP;
        let passed = now.saturating_duration_since(self.start) + LEAVE_STEP;
        let part = (passed.as_secs_f64() / self.over.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
        let due = (self.total as f64 * part).ceil() as usize;
        let told = self.total - self.waiting.len();
        self.waiting.split_off(self.waiting.len() - due.saturating_sub(told).min(self.waiting.len()))
    }

    /// True once: nobody is waited for any more.
    pub fn take_end(&mut self, now: Instant) -> bool {
        let ends = !self.is_over && self.until <= now;
        self.is_over |= ends;
        ends
    }

    /// When there is something to do; `None` once it is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = if self.waiting.is_empty() { self.until } else { self.next.min(self.until) };
        (!self.is_over).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_evenly_and_then_it_is_over() {
        let start = Instant::now();
        let keys: Vec<_> = (0..1000).map(Key::from_bits).collect();
        let (over, limit) = (Duration::from_secs(10), Duration::from_secs(30));
        let mut leaving = Leaving::new(keys.clone(), over, limit, start);
        let (mut told, mut now, mut ends) = (Vec::new(), start, 0);
        while let Some(at) = leaving.poll_timeout() {
            now = at;
            let due = leaving.take_due(now);
            assert!(due.len() <= 6, "{} at once", due.len());
            told.extend(due);
            ends += u32::from(leaving.take_end(now));
        }
        assert_eq!((now, ends, leaving.take_end(now)), (start + limit, 1, false));
        told.sort_unstable();
        assert_eq!(told, keys);
    }

    #[test]
    fn in_no_time_all_are_told_at_once() {
        let now = Instant::now();
        let mut leaving = Leaving::new(vec![Key::from_bits(7)], Duration::ZERO, Duration::ZERO, now);
        assert_eq!(leaving.take_due(now).len(), 1);
        assert!(leaving.take_end(now) && leaving.poll_timeout().is_none());
    }
}
