//! Whom a turn writes to: all who are sent little, and of those who are sent much as many as one turn may serve.
//!
//! A write of a whole history takes the kernel about a millisecond. When 804 clients come at once and each takes 1.5 MB,
//! a turn that serves all of them takes half a second, in which nobody else hears anything.

use std::collections::VecDeque;

use crate::net::Key;

/// More than this waits for a connection: it is sent much. A message for a room and an answer to a small join are less.
const MUCH_BYTES: usize = 64 * 1024;
/// What may wait for those who are sent much and are served in one turn; one is served whatever waits. Some 2 ms.
const BYTES_PER_TURN: usize = 4 * 1024 * 1024;

/// Those who are sent much and wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Backlog(VecDeque<Key>);

impl Backlog {
    /// Leaves in `due` those whom this turn serves. `queued` says how many bytes wait for one; `None`: it is gone.
    pub(super) fn choose(&mut self, due: &mut Vec<Key>, queued: impl Fn(Key) -> Option<usize>) {
        due.retain(|&key| {
            let is_much = queued(key).is_some_and(|bytes| bytes > MUCH_BYTES);
            if is_much {
                self.0.push_back(key);
            }
            !is_much
        });
        let mut left = BYTES_PER_TURN;
        while left > 0
            && let Some(key) = self.0.pop_front()
        {
            if let Some(bytes) = queued(key) {
                left = left.saturating_sub(bytes);
                due.push(key);
            }
        }
    }

    /// Whether somebody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_sent_little_waits_for_nobody_and_the_others_take_turns() {
        let small = |key: Key| key.to_bits() < 10;
        let bytes = |key: Key| Some(if small(key) { MUCH_BYTES } else { BYTES_PER_TURN / 4 });
        let (mut backlog, mut served) = (Backlog::default(), Vec::new());
        let mut due: Vec<_> = (0..30).map(Key::from_bits).rev().collect();
        backlog.choose(&mut due, bytes);
        assert_eq!(due.iter().filter(|key| small(**key)).count(), 10);
        assert_eq!(due.len(), 10 + 4);
        served.append(&mut due);
        for _ in 0..4 {
            assert!(!backlog.is_empty());
            // Who comes meanwhile and is sent little is served at once.
            due.push(Key::from_bits(0));
            backlog.choose(&mut due, bytes);
            assert_eq!((due[0], due.len()), (Key::from_bits(0), 1 + 4));
            served.extend(due.drain(1..));
            due.clear();
        }
        assert!(backlog.is_empty());
        let large: Vec<_> = served.into_iter().filter(|key| !small(*key)).collect();
        assert_eq!(
            large,
            (10..30).map(Key::from_bits).rev().collect::<Vec<_>>(),
            "in their order, each once"
        );
    }

    #[test]
    fn one_is_served_whatever_waits_and_who_is_gone_is_forgotten() {
        let mut backlog = Backlog::default();
        let mut due: Vec<_> = (0..4).map(Key::from_bits).collect();
        backlog.choose(&mut due, |_| Some(3 * BYTES_PER_TURN));
        assert_eq!(due, [Key::from_bits(0)]);
        let gone = |key: Key| (key.to_bits() > 2).then_some(3 * BYTES_PER_TURN);
        due.clear();
        backlog.choose(&mut due, gone);
        assert_eq!(due, [Key::from_bits(3)]);
        assert!(backlog.is_empty());
    }
}
