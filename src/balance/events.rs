//! The last things that happened at a balancer, for its page.

use std::collections::VecDeque;

use serde::Serialize;

/// Events kept of clients, and as many of nodes: clients come by the thousand, and must not bury
/// what happens to nodes.
const EVENTS_MAX: usize = 100;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A client was sent to a server.
    Assigned,
    /// A client was sent away, since no server was there.
    Unavailable,
    /// A server's state.
    Server,
    /// This balancer's.
    Balancer,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Milliseconds since the epoch.
    pub time: u64,
    /// What it is about.
    pub kind: Kind,
    /// For people.
    pub text: String,
}

/// The last events of nodes and the last of clients.
#[derive(Debug, Default)]
pub struct EventLog {
    added: u64,
    nodes: VecDeque<(u64, Event)>,
    clients: VecDeque<(u64, Event)>,
}

impl EventLog {
    /// Adds one; the oldest of its kind goes.
    pub fn add(&mut self, event: Event) {
        let events = match event.kind {
            Kind::Assigned | Kind::Unavailable => &mut self.clients,
            Kind::Server | Kind::Balancer => &mut self.nodes,
        };
        if events.len() == EVENTS_MAX {
            events.pop_front();
        }
        events.push_back((self.added, event));
        self.added += 1;
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        let (mut nodes, mut clients) = (self.nodes.iter().peekable(), self.clients.iter().peekable());
        std::iter::from_fn(move || match (nodes.peek(), clients.peek()) {
            (Some((node, _)), Some((client, _))) if node > client => clients.next(),
            (None, _) => clients.next(),
            _ => nodes.next(),
        })
        .map(|(_, event)| event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_do_not_bury_what_happened_to_nodes() {
        let mut log = EventLog::default();
        let add = |log: &mut EventLog, kind, time| log.add(Event { time, kind, text: String::new() });
        add(&mut log, Kind::Server, 0);
        (1..1000).for_each(|time| add(&mut log, Kind::Assigned, time));
        add(&mut log, Kind::Balancer, 1000);
        add(&mut log, Kind::Unavailable, 1001);
        let times: Vec<_> = log.iter().map(|event| event.time).collect();
        assert_eq!((times.len(), times[0], times[1]), (102, 0, 901));
        assert!(times.is_sorted() && times.ends_with(&[999, 1000, 1001]), "{times:?}");
        (0..1000).for_each(|time| add(&mut log, Kind::Server, time));
        assert_eq!(log.iter().filter(|event| event.kind == Kind::Server).count(), EVENTS_MAX);
    }
}
