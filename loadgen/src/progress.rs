//! What workers tell while they run.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::latency::{Latency, Quantiles};
use crate::ledger::Counts;

/// Errors that are remembered word by word.
const ERRORS_MAX: usize = 3;

/// One worker's news.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// Clients in their rooms.
    pub joined: u32,
    /// Its ledger.
    pub counts: Counts,
    /// Whether the schedule is at its end.
    pub has_said_all: bool,
    /// Delivery latencies since they were taken last.
    pub recent: Latency,
    /// The first errors.
    pub errors: Vec<String>,
    /// Why there is no server for its clients.
    pub unreachable: Option<String>,
}

/// The place where a worker leaves its news.
#[derive(Debug, Default)]
pub struct Board(Mutex<News>);

/// The news of all workers.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Clients in their rooms.
    pub joined: u32,
    /// All ledgers.
    pub counts: Counts,
    /// Whether all schedules are at their ends.
    pub has_said_all: bool,
    /// Delivery latencies of about the last second.
    pub recent: Quantiles,
    /// The first errors.
    pub errors: Vec<String>,
    /// Why there is no server for some client.
    pub unreachable: Option<String>,
}

impl Board {
    /// The news, to be changed.
    pub fn lock(&self) -> MutexGuard<'_, News> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News {
    /// Remembers an error if it is new and among the first.
    pub fn note_error(&mut self, error: &str) {
        if self.errors.len() < ERRORS_MAX && !self.errors.iter().any(|known| known == error) {
            self.errors.push(error.to_owned());
        }
    }
}

impl Snapshot {
    /// Adds up the boards; `recent` stays empty.
    pub fn take<'a>(boards: impl IntoIterator<Item = &'a Board>) -> Self {
        let mut all = Self { has_said_all: true, ..Self::default() };
        for board in boards {
            let news = board.lock();
            all.joined += news.joined;
            all.counts.merge(&news.counts);
            all.has_said_all &= news.has_said_all;
            for error in &news.errors {
                if all.errors.len() < ERRORS_MAX && !all.errors.contains(error) {
                    all.errors.push(error.clone());
                }
            }
            all.unreachable = all.unreachable.or_else(|| news.unreachable.clone());
        }
        all
    }
}

/// Takes the latencies since the last call from the boards.
pub fn take_recent<'a>(boards: impl IntoIterator<Item = &'a Board>) -> Quantiles {
    let mut recent = Latency::default();
    for board in boards {
        let mut news = board.lock();
        recent.merge(&news.recent);
        news.recent.clear();
    }
    recent.quantiles()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn boards_add_up_and_recent_times_are_taken_once() {
        let boards = [Board::default(), Board::default()];
        for board in &boards {
            let mut news = board.lock();
            news.joined = 2;
            news.has_said_all = true;
            news.recent.record(Duration::from_millis(1));
            news.note_error("refused");
            news.note_error("refused");
        }
        let Snapshot { joined, errors, has_said_all, .. } = Snapshot::take(&boards);
        assert_eq!((joined, has_said_all), (4, true));
        assert_eq!(errors, ["refused"]);
        boards[0].lock().has_said_all = false;
        assert!(!Snapshot::take(&boards).has_said_all);
        assert_eq!(take_recent(&boards).count, 2);
        assert_eq!(take_recent(&boards).count, 0);
    }
}
