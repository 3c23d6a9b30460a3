//! The times of messages.

use crate::chat::limits::TIME_MAX;
use crate::chat::mutants::{Mutant, is_on};

/// A hybrid logical clock (Kulkarni 2014): who has seen a message and answers it stands below it, whatever the clocks say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// The newest stamp of our own.
    pub own: u64,
    /// The newest stamp of another server. Of equal stamps the order is the streams', so ours is greater.
    pub others: u64,
}

impl Clock {
    /// The stamp of a message that is appended here, in milliseconds since the epoch.
    pub fn stamp(&mut self, wall_ms: u64) -> u64 {
        let time =
            if is_on(Mutant::WallClock) { wall_ms } else { wall_ms.max(self.own).max(self.others + 1) };
        self.own = time;
        time
    }

    /// A message of another server is known here.
    pub fn note(&mut self, time: u64) {
        self.others = self.others.max(time.min(TIME_MAX));
    }
}
