//! What workers tell while they run.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::measure::latency::{Latency, Quantiles};
use crate::measure::ledger::Counts;

/// Errors that are remembered word by word.
const ERRORS_MAX: usize = 3;

/// The news of a worker, or of several.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct News {
    /// Clients in their rooms.
    pub joined: u32,
    /// Of these, how many are at each server.
    pub servers: BTreeMap<String, u64>,
    /// Hosts and ports of servers that let clients in, and the names that balancers know them by; empty where none told.
    pub hosts: BTreeMap<String, String>,
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

/// How a run goes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The news of all workers.
    pub news: News,
    /// Delivery latencies of about the last second.
    pub recent: Quantiles,
}

/// The place where a worker leaves its news.
#[derive(Debug, Default)]
pub struct Board(Mutex<News>);

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

impl News {
    /// Adds the news of another worker.
    pub fn merge(&mut self, other: &Self) {
        self.joined += other.joined;
        for (server, clients) in &other.servers {
            *self.servers.entry(server.clone()).or_default() += clients;
        }
        self.hosts.extend(other.hosts.iter().map(|(host, name)| (host.clone(), name.clone())));
        self.counts.merge(&other.counts);
        self.has_said_all &= other.has_said_all;
        self.recent.merge(&other.recent);
        other.errors.iter().for_each(|error| self.note_error(error));
        self.unreachable = self.unreachable.take().or_else(|| other.unreachable.clone());
    }
}

/// All boards together. Recent latencies are taken from them.
pub fn collect<'a>(boards: impl IntoIterator<Item = &'a Board>) -> News {
    let mut all = News { has_said_all: true, ..News::default() };
    for board in boards {
        let mut news = board.lock();
        all.merge(&news);
        news.recent.clear();
    }
    all
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
            news.servers.insert("app-1".into(), 2);
            news.has_said_all = true;
            news.recent.record(Duration::from_millis(1));
            news.note_error("refused");
            news.note_error("refused");
        }
        let News { joined, servers, errors, has_said_all, recent, .. } = collect(&boards);
        assert_eq!((joined, servers["app-1"], has_said_all), (4, 4, true));
        assert_eq!((errors, recent.quantiles().count), (vec!["refused".to_owned()], 2));
        boards[0].lock().has_said_all = false;
        let news = collect(&boards);
        assert_eq!((news.has_said_all, news.recent.quantiles().count), (false, 0));
    }
}
