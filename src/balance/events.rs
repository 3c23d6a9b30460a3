//! The last things that happened at a balancer, for its page.

use std::collections::VecDeque;

use serde::Serialize;

/// Events kept.
const EVENTS_MAX: usize = 200;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Milliseconds since the epoch.
    pub time: u64,
    /// `assigned`, `unavailable`, `server` or `balancer`.
    pub kind: &'static str,
    /// For people.
    pub text: String,
}

/// Oldest first.
#[derive(Debug, Default)]
pub struct EventLog {
    events: VecDeque<Event>,
}

impl EventLog {
    /// Adds one; the oldest goes.
    pub fn add(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }
}
