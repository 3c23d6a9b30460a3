//! Which of a reactor's clients are told to move, and when: all of them when the server drains, some when it has more
//! than its share.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::net::Key;

/// A client that is told to move has so long for it.
pub const MOVE_WITHIN: Duration = Duration::from_secs(4);
/// How often those whose turn has come are told.
const STEP: Duration = Duration::from_millis(50);

/// The pace at which clients go. Pure: `now` is an argument.
#[derive(Debug, Default)]
pub struct Departures {
    drain: Option<Drain>,
    /// Those who were told to make room for others, and when they must have gone.
    moving: VecDeque<(Instant, Key)>,
}

#[derive(Debug)]
struct Drain {
    start: Instant,
    over: Duration,
    waiting: Vec<Key>,
    total: usize,
    next: Instant,
}

impl Departures {
    /// All of these are to go, spread evenly over a time.
    pub fn drain(&mut self, clients: Vec<Key>, over: Duration, now: Instant) {
        self.drain = Some(Drain { start: now, over, total: clients.len(), waiting: clients, next: now });
    }

    /// Whether all are to go.
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
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

    /// Those of a drain whose turn has come.
    pub fn take_due(&mut self, now: Instant) -> Vec<Key> {
        let Some(drain) = self.drain.as_mut().filter(|drain| drain.next <= now) else { return Vec::new() };
        drain.next = now + STEP;
        let passed = now.saturating_duration_since(drain.start) + STEP;
        let part = passed.as_secs_f64() / drain.over.as_secs_f64().max(f64::MIN_POSITIVE);
        let due = (drain.total as f64 * part).ceil().min(drain.total as f64) as usize;
        let told = drain.total - drain.waiting.len();
        drain.waiting.split_off(drain.waiting.len() - due.saturating_sub(told))
    }

    /// When the next are due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.drain.as_ref().filter(|drain| !drain.waiting.is_empty()).map(|drain| drain.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: u64) -> Vec<Key> {
        (0..count).map(Key::from_bits).collect()
    }

    #[test]
    fn a_drain_tells_each_once_and_evenly() {
        let start = Instant::now();
        let mut departures = Departures::default();
        departures.drain(keys(1000), Duration::from_secs(10), start);
        let (mut told, mut now) = (Vec::new(), start);
        while let Some(at) = departures.poll_timeout() {
            now = now.max(at);
            let due = departures.take_due(now);
            assert!(due.len() <= 6, "{} at once", due.len());
            told.extend(due);
            assert!(departures.take_due(now).is_empty(), "not before the next step");
        }
        told.sort_unstable();
        assert_eq!(told, keys(1000));
        assert!(now - start >= Duration::from_millis(9_900) && now - start <= Duration::from_secs(10));
    }

    #[test]
    fn a_drain_in_no_time_and_one_of_nobody() {
        let now = Instant::now();
        let mut departures = Departures::default();
        departures.drain(keys(7), Duration::ZERO, now);
        assert_eq!(departures.take_due(now).len(), 7);
        assert_eq!(departures.poll_timeout(), None);
        departures.drain(Vec::new(), Duration::from_secs(1), now);
        assert!(departures.is_draining() && departures.poll_timeout().is_none());
    }

    #[test]
    fn who_was_told_counts_as_moving_until_it_is_gone_or_has_stayed() {
        let now = Instant::now();
        let mut departures = Departures::default();
        keys(3).into_iter().for_each(|client| departures.note_told(client, now));
        departures.note_gone(keys(3)[1]);
        assert_eq!(departures.moving(now), 2);
        assert_eq!(departures.moving(now + MOVE_WITHIN), 0);
    }
}
