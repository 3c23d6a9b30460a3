//! Clients sent to a server that it has not yet reported as arrived.
//!
//! Without this a thousand clients that ask within one heartbeat would all be sent to the server that was the least
//! loaded at its beginning.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A client that has not arrived by then will not come.
pub const ARRIVAL_MAX: Duration = Duration::from_secs(5);

/// The account of one server.
#[derive(Debug, Default)]
pub struct InFlight {
    sent: VecDeque<Instant>,
    arrived: u64,
}

impl InFlight {
    /// A client was sent.
    pub fn send(&mut self, now: Instant) {
        self.sent.push_back(now);
    }

    /// The server reports how many of ours have arrived in all. Reports come in their order; a smaller number means
    /// that the server lost count of us and has begun anew.
    pub fn handle_report(&mut self, arrived: u64) {
        let news = if arrived < self.arrived { arrived } else { arrived - self.arrived };
        self.sent.drain(..(news as usize).min(self.sent.len()));
        self.arrived = arrived;
    }

    /// The server has started anew and counts from zero; who was under way finds nobody there.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Forgets those who will not come.
    pub fn expire(&mut self, now: Instant) {
        while self.sent.front().is_some_and(|&sent| now.saturating_duration_since(sent) >= ARRIVAL_MAX) {
            self.sent.pop_front();
        }
    }

    /// How many are under way.
    pub fn count(&self) -> u32 {
        self.sent.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_arrived_is_no_longer_under_way() {
        let now = Instant::now();
        let mut account = InFlight::default();
        (0..5).for_each(|_| account.send(now));
        account.handle_report(3);
        assert_eq!(account.count(), 2);
        account.handle_report(3);
        assert_eq!(account.count(), 2, "nobody new");
        account.handle_report(1);
        assert_eq!(account.count(), 1, "counted anew");
        account.handle_report(9);
        assert_eq!(account.count(), 0, "more than were sent by this run of the balancer");
        account.send(now);
        account.expire(now + ARRIVAL_MAX);
        assert_eq!(account.count(), 0);
    }
}
