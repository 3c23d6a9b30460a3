//! Which of a reactor's clients are told to move, and when: all of them when the server drains, some when it has more
//! than its share.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::balance::Exodus;
use crate::net::Key;

/// A client that is told to move has so long for it.
pub const MOVE_WITHIN: Duration = Duration::from_secs(4);

/// Pure: `now` is an argument.
#[derive(Debug, Default)]
pub struct Departures {
    drain: Option<Exodus<Key>>,
    /// Those who were told to make room for others, and when they must have gone.
    moving: VecDeque<(Instant, Key)>,
}

impl Departures {
    /// All of these are to go, spread evenly over a time.
    pub fn drain(&mut self, clients: Vec<Key>, over: Duration, now: Instant) {
        self.drain = Some(Exodus::new(clients, over, now));
    }

    /// Whether all are to go.
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Those of a drain whose turn has come.
    pub fn take_due(&mut self, now: Instant) -> Vec<Key> {
        self.drain.as_mut().map_or_else(Vec::new, |drain| drain.take_due(now))
    }

    /// When the next are due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.drain.as_ref().and_then(Exodus::poll_timeout)
    }

    /// A client was told to make room.
    pub fn note_told(&mut self, client: Key, now: Instant) {
        self.moving.push_back((now + MOVE_WITHIN, client));
    }

    /// It is gone.
    pub fn note_gone(&mut self, client: Key) {
        self.moving.retain(|(_, moving)| *moving != client);
    }

    /// Clients that were told to make room, are still here and have time left.
    pub fn moving(&mut self, now: Instant) -> u32 {
        while self.moving.front().is_some_and(|(until, _)| *until <= now) {
            self.moving.pop_front();
        }
        self.moving.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_told_counts_as_moving_until_it_is_gone_or_has_stayed() {
        let (now, key) = (Instant::now(), Key::from_bits);
        let mut departures = Departures::default();
        (0..3).for_each(|client| departures.note_told(key(client), now));
        departures.note_gone(key(1));
        assert_eq!(departures.moving(now), 2);
        assert_eq!(departures.moving(now + MOVE_WITHIN), 0);
    }

    #[test]
    fn a_drain_is_one_even_when_nobody_is_there() {
        let now = Instant::now();
        let mut departures = Departures::default();
        departures.drain(Vec::new(), Duration::from_secs(1), now);
        assert!(departures.is_draining() && departures.poll_timeout().is_none());
        assert!(departures.take_due(now).is_empty());
    }
}
