//! How a loop lets its clients go when the balancer leaves: told one after the other, then no longer waited for.

use std::time::{Duration, Instant};

use crate::balance::Exodus;
use crate::net::Key;

/// The pace, and the end. Pure: `now` is an argument.
#[derive(Debug)]
pub struct Leaving {
    exodus: Exodus<Key>,
    until: Instant,
    is_over: bool,
}

impl Leaving {
    /// These are told within `over`, and waited for until `limit` from now.
    pub fn new(waiting: Vec<Key>, over: Duration, limit: Duration, now: Instant) -> Self {
        Self { exodus: Exodus::new(waiting, over, now), until: now + limit, is_over: false }
    }

    /// Those whose turn has come.
    pub fn take_due(&mut self, now: Instant) -> Vec<Key> {
        self.exodus.take_due(now)
    }

    /// True once: nobody is waited for any more.
    pub fn take_end(&mut self, now: Instant) -> bool {
        let ends = !self.is_over && self.until <= now;
        self.is_over |= ends;
        ends
    }

    /// When there is something to do; `None` once it is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = self.exodus.poll_timeout().into_iter().fold(self.until, Instant::min);
        (!self.is_over).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_told_and_then_it_is_over_once() {
        let start = Instant::now();
        let keys: Vec<_> = (0..100).map(Key::from_bits).collect();
        let (over, limit) = (Duration::from_secs(1), Duration::from_secs(3));
        let mut leaving = Leaving::new(keys.clone(), over, limit, start);
        let (mut told, mut now, mut ends) = (Vec::new(), start, 0);
        while let Some(at) = leaving.poll_timeout() {
            now = at;
            told.extend(leaving.take_due(now));
            ends += u32::from(leaving.take_end(now));
        }
        assert_eq!((now, ends, leaving.take_end(now)), (start + limit, 1, false));
        told.sort_unstable();
        assert_eq!(told, keys);
    }
}
