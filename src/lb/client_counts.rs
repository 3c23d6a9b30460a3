//! Clients counted for the log: a line for each would bury what happens to servers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::refusal::Refusal;

/// From one line to the next.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Servers that a line names; the rest is added up.
const NAMES_MAX: usize = 10;

/// Clients since the last line.
#[derive(Debug)]
pub struct ClientCounts {
    counted: Counted,
    due: Instant,
}

/// What is to be told of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// By the server that they were sent to.
    pub sent: BTreeMap<String, u32>,
    /// For whom no server was there.
    pub unavailable: u32,
    /// Whose servers did not answer.
    pub unanswered: u32,
}

impl ClientCounts {
    /// Nobody came before `now`.
    pub fn new(now: Instant) -> Self {
        Self { counted: Counted::default(), due: now }
    }

    /// A client was sent to that server.
    pub fn note_sent(&mut self, server: &str) {
        let sent = &mut self.counted.sent;
        match sent.get_mut(server) {
            Some(count) => *count = count.saturating_add(1),
            None => drop(sent.insert(server.to_owned(), 1)),
        }
    }

    /// A client was sent away.
    pub fn note_refusal(&mut self, refusal: Refusal) {
        let count = match refusal {
            Refusal::Unavailable => &mut self.counted.unavailable,
            Refusal::Unanswered => &mut self.counted.unanswered,
            Refusal::NotReady | Refusal::Draining | Refusal::Busy(_) => return,
        };
        *count = count.saturating_add(1);
    }

    /// Once an interval, if anybody came.
    pub fn take(&mut self, now: Instant) -> Option<Counted> {
        if now < self.due || self.counted == Counted::default() {
            return None;
        }
        self.due = now + INTERVAL;
        Some(std::mem::take(&mut self.counted))
    }
}

impl fmt::Display for Counted {
    /// Of those who were sent somewhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent =
            |counts: &mut dyn Iterator<Item = &u32>| counts.map(|count| u64::from(*count)).sum::<u64>();
        let all = sent(&mut self.sent.values());
        let mut by_count: Vec<_> = self.sent.iter().collect();
        by_count.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        write!(f, "{all} client{} sent:", if all == 1 { "" } else { "s" })?;
        for (index, (name, count)) in by_count.iter().take(NAMES_MAX).enumerate() {
            write!(f, "{} {count} to {name}", if index == 0 { "" } else { "," })?;
        }
        match sent(&mut by_count.iter().skip(NAMES_MAX).map(|(_, count)| *count)) {
            0 => Ok(()),
            rest => write!(f, ", {rest} to others"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_counted_once_an_interval() {
        let start = Instant::now();
        let mut counts = ClientCounts::new(start);
        assert_eq!(counts.take(start), None);
        counts.note_sent("app-1");
        let first = counts.take(start).unwrap();
        assert_eq!((first.to_string().as_str(), first.unavailable), ("1 client sent: 1 to app-1", 0));
        for name in ["app-1", "app-2", "app-2"] {
            counts.note_sent(name);
        }
        counts.note_refusal(Refusal::Unavailable);
        counts.note_refusal(Refusal::Draining);
        assert_eq!(counts.take(start + INTERVAL / 2), None);
        let second = counts.take(start + INTERVAL).unwrap();
        assert_eq!(second.to_string(), "3 clients sent: 2 to app-2, 1 to app-1");
        assert_eq!(second.unavailable, 1);
        assert_eq!(counts.take(start + INTERVAL * 2), None);
    }

    #[test]
    fn of_many_servers_the_first_are_named() {
        let mut counts = ClientCounts::new(Instant::now());
        (0..30).for_each(|number| counts.note_sent(&format!("app-{number:02}")));
        let line = counts.take(Instant::now()).unwrap().to_string();
        assert!(
            line.starts_with("30 clients sent: 1 to app-00,") && line.ends_with(", 20 to others"),
            "{line}"
        );
    }
}
