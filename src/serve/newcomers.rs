//! Who has not shown yet what it came for, the oldest first.

use std::collections::VecDeque;

use crate::net::Key;

/// How a connection stands that may be closed for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has been told all, and was to end.
    Ending,
    /// It has sent no whole request.
    Silent,
    /// It has, and may send another, or waits for the answer.
    Asked,
    /// It has a WebSocket, and did not use it when that was looked at.
    Open,
}

impl Standing {
    /// Those that may go for any newcomer, in that order. Few silent ones are newcomers themselves, of which the request
    /// is on its way.
    pub(super) fn evicted(are_many_silent: bool) -> [Self; 3] {
        match are_many_silent {
            true => [Self::Ending, Self::Silent, Self::Asked],
            false => [Self::Ending, Self::Asked, Self::Silent],
        }
    }

    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ending => "ending",
            Self::Silent => "silent",
            Self::Asked => "asked",
            Self::Open => "unused",
        }
    }
}

/// What is to be done with the oldest of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is another kind by now, or gone.
    Forget,
    /// Not now: it is looked at again after the others.
    Spare,
    /// This one.
    Take,
}

/// What a search brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This is to be taken.
    One(Key),
    /// Those that were looked at are spared.
    Spared,
    /// There is none.
    None,
}

/// Connections looked at in one search, so that none is long.
const LOOKS_MAX: usize = 64;
/// Stale entries that may be kept beside as many as there are others.
const STALE_MAX: usize = 64;

/// Connections by how they stand, each in the order in which they came to stand so. An entry may be stale.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    queues: [Queue; 4],
}

#[derive(Debug, Default)]
struct Queue {
    keys: VecDeque<Key>,
    /// Those that were not stale when that was looked at last.
    live: usize,
}

impl Newcomers {
    /// A connection stands so from now on.
    pub(super) fn note(&mut self, key: Key, standing: Standing, is_so: impl Fn(Key) -> bool) {
        let Queue { keys, live } = &mut self.queues[standing as usize];
        keys.push_back(key);
        // At most two looks for each that was noted since the last time.
        if keys.len() > 2 * *live + STALE_MAX {
            keys.retain(|key| is_so(*key));
            *live = keys.len();
        }
    }

    /// Whether more than so many of those that came last stand so.
    pub(super) fn are_more(&self, standing: Standing, than: usize, is_so: impl Fn(Key) -> bool) -> bool {
        let latest = self.queues[standing as usize].keys.iter().rev().take(LOOKS_MAX);
        latest.filter(|key| is_so(**key)).take(than + 1).count() > than
    }

    /// The oldest that is to be taken.
    pub(super) fn take(&mut self, standing: Standing, look: impl Fn(Key) -> Look) -> Found {
        let queue = &mut self.queues[standing as usize].keys;
        for _ in 0..queue.len().min(LOOKS_MAX) {
            let Some(key) = queue.pop_front() else { break };
            match look(key) {
                Look::Forget => {}
                Look::Spare => queue.push_back(key),
                Look::Take => return Found::One(key),
            }
        }
        if queue.is_empty() { Found::None } else { Found::Spared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: u64) -> Vec<Key> {
        (0..count).map(Key::from_bits).collect()
    }

    #[test]
    fn the_oldest_goes_first_and_who_is_spared_last() {
        let (mut newcomers, keys) = (Newcomers::default(), keys(4));
        keys.iter().for_each(|&key| newcomers.note(key, Standing::Silent, |_| true));
        let take =
            |newcomers: &mut Newcomers, look: &dyn Fn(Key) -> Look| newcomers.take(Standing::Silent, look);
        let one = |number: usize| Found::One(keys[number]);
        let spare_0_forget_1 =
            |key: Key| [Look::Spare, Look::Forget, Look::Take][key.to_bits().min(2) as usize];
        assert_eq!(take(&mut newcomers, &spare_0_forget_1), one(2));
        assert_eq!(take(&mut newcomers, &|_| Look::Take), one(3));
        assert_eq!(take(&mut newcomers, &|_| Look::Spare), Found::Spared, "a search ends");
        assert_eq!(take(&mut newcomers, &|_| Look::Take), one(0));
        assert_eq!(take(&mut newcomers, &|_| Look::Take), Found::None);
        assert!(!newcomers.are_more(Standing::Silent, 0, |_| true));
        newcomers.note(keys[1], Standing::Silent, |_| true);
        assert!(newcomers.are_more(Standing::Silent, 0, |_| true));
        assert!(!newcomers.are_more(Standing::Silent, 1, |_| true));
        assert!(!newcomers.are_more(Standing::Silent, 0, |_| false));
        assert_eq!(newcomers.take(Standing::Ending, |_| Look::Take), Found::None);
    }

    #[test]
    fn stale_entries_are_forgotten() {
        let mut newcomers = Newcomers::default();
        for key in keys(10_000) {
            newcomers.note(key, Standing::Asked, |known| known == key);
            assert!(newcomers.queues[Standing::Asked as usize].keys.len() <= 2 + STALE_MAX);
        }
        assert!(matches!(newcomers.take(Standing::Asked, |_| Look::Take), Found::One(_)));
    }
}
