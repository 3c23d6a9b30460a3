//! A hashed timer wheel (Varghese and Lauck, scheme 6) with lazy re-arming, for tens of thousands of deadlines that
//! mostly move before they come.
//!
//! Each thing has one entry. Activity only changes the deadline that the thing itself keeps; when the entry's slot
//! comes round, the owner is asked, and an entry whose deadline has moved is put where it now belongs.

use std::time::{Duration, Instant};

const SLOTS: usize = 512;

/// Keys by the tick at which to ask for them. Pure: `now` is an argument.
#[derive(Debug)]
pub struct TimerWheel<K> {
    /// Keys with the tick that they are due at, which may be rounds away.
    slots: Box<[Vec<(K, u64)>; SLOTS]>,
    occupied: [u64; SLOTS / 64],
    tick: Duration,
    start: Instant,
    next_tick: u64,
}

impl<K: Copy> TimerWheel<K> {
    /// A wheel that turns one slot per `tick`. Deadlines are met within one tick, never early.
    pub fn new(tick: Duration, now: Instant) -> Self {
        Self {
            slots: Box::new([const { Vec::new() }; SLOTS]),
            occupied: [0; SLOTS / 64],
            tick,
            start: now,
            next_tick: 0,
        }
    }

    /// Enters a key.
    pub fn schedule(&mut self, key: K, deadline: Instant) {
        let since_start = deadline.saturating_duration_since(self.start).as_nanos();
        self.insert(key, since_start.div_ceil(self.tick.as_nanos()) as u64);
    }

    fn insert(&mut self, key: K, due: u64) {
        let tick = due.clamp(self.next_tick, self.next_tick + SLOTS as u64 - 1);
        let slot = (tick % SLOTS as u64) as usize;
        self.slots[slot].push((key, due));
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// Asks for every key whose deadline has come. `handle` answers with the thing's deadline if it has one in the
    /// future, and the key is entered anew; with `None` it is forgotten.
    pub fn expire(&mut self, now: Instant, mut handle: impl FnMut(K) -> Option<Instant>) {
        let last_tick = (now.saturating_duration_since(self.start).as_nanos() / self.tick.as_nanos()) as u64;
        // After a pause of more than a round, one round visits every slot.
        self.next_tick = self.next_tick.max((last_tick + 1).saturating_sub(SLOTS as u64));
        while self.next_tick <= last_tick {
            let slot = (self.next_tick % SLOTS as u64) as usize;
            self.next_tick += 1;
            self.occupied[slot / 64] &= !(1 << (slot % 64));
            let mut due = std::mem::take(&mut self.slots[slot]);
            for (key, due) in due.drain(..) {
                if due >= self.next_tick {
                    self.insert(key, due);
                } else if let Some(deadline) = handle(key) {
                    self.schedule(key, deadline);
                }
            }
            if self.slots[slot].is_empty() {
                self.slots[slot] = due;
                self.slots[slot].shrink_to(64);
            }
        }
    }

    /// When [`TimerWheel::expire`] next has something to ask for.
    pub fn next_deadline(&self) -> Option<Instant> {
        (self.next_tick..self.next_tick + SLOTS as u64)
            .find(|tick| {
                let slot = (tick % SLOTS as u64) as usize;
                self.occupied[slot / 64] & (1 << (slot % 64)) != 0
            })
            .map(|tick| self.start + Duration::from_nanos((self.tick.as_nanos() as u64) * tick))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_deadline_is_never_early_and_at_most_a_tick_late() {
        let start = Instant::now();
        let mut wheel = TimerWheel::new(TICK, start);
        wheel.schedule('a', at(start, 250));
        assert_eq!(wheel.next_deadline(), Some(at(start, 300)));
        let mut fired = Vec::new();
        wheel.expire(at(start, 299), |key| {
            fired.push(key);
            None
        });
        assert!(fired.is_empty());
        wheel.expire(at(start, 300), |key| {
            fired.push(key);
            None
        });
        assert_eq!(fired, ['a']);
        assert_eq!(wheel.next_deadline(), None);
    }

    proptest! {
        /// Against a map from key to deadline: each key is told once, in the tick after its deadline.
        #[test]
        fn it_fires_what_a_map_would(
            moves in proptest::collection::vec((0..20_u32, 0..200_000_u64, 0..3_000_u64), 1..60),
        ) {
            let start = Instant::now();
            let mut wheel = TimerWheel::new(TICK, start);
            let mut deadlines: BTreeMap<u32, Instant> = BTreeMap::new();
            let (mut clock, mut moved) = (0, BTreeSet::new());
            for (key, delay, step) in moves {
                let deadline = at(start, clock + delay);
                // A deadline may only move later without a new entry.
                match deadlines.get_mut(&key) {
                    Some(current) => {
                        moved.insert(key);
                        *current = deadline.max(*current);
                    }
                    None => {
                        deadlines.insert(key, deadline);
                        wheel.schedule(key, deadline);
                    }
                }
                clock += step;
                let now = at(start, clock);
                wheel.expire(now, |key| match deadlines.get(&key) {
                    Some(&deadline) if deadline > now => {
                        assert!(moved.contains(&key), "asked for {key} before its time");
                        Some(deadline)
                    }
                    Some(_) => { deadlines.remove(&key); None }
                    None => unreachable!("fired twice"),
                });
                for deadline in deadlines.values() {
                    prop_assert!(*deadline + TICK > now, "fired at most a tick late");
                }
            }
        }
    }
}
