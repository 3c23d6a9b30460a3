//! Clients of a node that leaves are told to move one after the other, evenly over a time: those who take them in get
//! them at that pace.

use std::time::{Duration, Instant};

/// How often those whose turn has come are told.
const STEP: Duration = Duration::from_millis(50);

/// Who is still to be told, and when.
#[derive(Debug)]
pub struct Exodus<K> {
    start: Instant,
    over: Duration,
    waiting: Vec<K>,
    total: usize,
    next: Instant,
}

impl<K> Exodus<K> {
    /// All of these are told within `over`.
    pub fn new(waiting: Vec<K>, over: Duration, now: Instant) -> Self {
        Self { start: now, over, total: waiting.len(), waiting, next: now }
    }

    /// Those whose turn has come.
    pub fn take_due(&mut self, now: Instant) -> Vec<K> {
        if now < self.next {
            return Vec::new();
        }
        self.next = now + STEP;
        let passed = now.saturating_duration_since(self.start) + STEP;
        let part = (passed.as_secs_f64() / self.over.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
        let due = (self.total as f64 * part).ceil() as usize;
        let told = self.total - self.waiting.len();
        self.waiting.split_off(self.waiting.len() - due.saturating_sub(told).min(self.waiting.len()))
    }

    /// When the next are due; `None` once all were told.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_evenly() {
        let start = Instant::now();
        let mut exodus = Exodus::new((0..1000).collect(), Duration::from_secs(10), start);
        let (mut told, mut now) = (Vec::new(), start);
        while let Some(at) = exodus.poll_timeout() {
            now = now.max(at);
            let due = exodus.take_due(now);
            assert!(due.len() <= 6, "{} at once", due.len());
            told.extend(due);
            assert!(exodus.take_due(now).is_empty(), "not before the next step");
        }
        told.sort_unstable();
        assert_eq!(told, (0..1000).collect::<Vec<_>>());
        assert!(now - start >= Duration::from_millis(9_900) && now - start <= Duration::from_secs(10));
    }

    #[test]
    fn in_no_time_all_are_told_at_once_and_nobody_is_no_trouble() {
        let now = Instant::now();
        let mut exodus = Exodus::new((0..7).collect(), Duration::ZERO, now);
        assert_eq!(exodus.take_due(now).len(), 7);
        assert_eq!(exodus.poll_timeout(), None);
        assert_eq!(Exodus::<u8>::new(Vec::new(), Duration::from_secs(1), now).poll_timeout(), None);
    }
}
