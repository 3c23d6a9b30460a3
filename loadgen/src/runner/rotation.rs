//! Which balancer is asked first.

use std::time::{Duration, Instant};

/// How long one that did not answer is asked after all others: each question to a frozen one holds up everybody.
const BENCH: Duration = Duration::from_secs(5);

/// Round robin, those on the bench last.
#[derive(Debug)]
pub struct Rotation {
    next: usize,
    /// Until when each sits on the bench.
    benched: Vec<Option<Instant>>,
}

impl Rotation {
    /// Takes turns among so many.
    pub fn new(count: usize) -> Self {
        Self { next: 0, benched: vec![None; count] }
    }

    /// All of them, in the order in which they are to be asked this time.
    pub fn order(&mut self, now: Instant) -> Vec<usize> {
        let count = self.benched.len();
        let mut order: Vec<_> = (self.next..self.next + count).map(|index| index % count).collect();
        order.sort_by_key(|&index| self.benched[index].is_some_and(|until| now < until));
        // From the one that comes first: else the one behind a benched one would have its turn as well.
        self.next = order.first().map_or(0, |first| first + 1);
        order
    }

    /// This one did not answer.
    pub fn bench(&mut self, index: usize, now: Instant) {
        self.benched[index] = Some(now + BENCH);
    }

    /// This one serves.
    pub fn recall(&mut self, index: usize) {
        self.benched[index] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_take_turns() {
        let now = Instant::now();
        let mut rotation = Rotation::new(3);
        let orders: Vec<_> = (0..4).map(|_| rotation.order(now)).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
    }

    #[test]
    fn one_that_does_not_answer_is_last_for_a_while_and_the_others_take_equal_turns() {
        let now = Instant::now();
        let mut rotation = Rotation::new(3);
        rotation.bench(1, now);
        let orders: Vec<_> = (0..4).map(|_| rotation.order(now)).collect();
        assert_eq!(orders, [[0, 2, 1], [2, 0, 1], [0, 2, 1], [2, 0, 1]]);
        assert_eq!([rotation.order(now + BENCH), rotation.order(now + BENCH)], [[0, 1, 2], [1, 2, 0]]);
        rotation.recall(1);
        assert_eq!(rotation.order(now), [2, 0, 1]);
        assert_eq!(rotation.order(now), [0, 1, 2]);
    }
}
