//! What all threads of a balancer look at: which servers there are, who was sent where, what happened.
//!
//! The one thing here that threads share behind a lock. A pick must see the picks of all other reactors, or each would
//! send its next client to the same server; and a mailbox to a thread that owns the table would cost every client two
//! wake-ups to be told what takes a microsecond to find. It is held for one pick or one heartbeat, never across I/O.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use crate::balance::{Admission, Event, EventLog, Health, Refused, Table, table::Change};
use crate::serve::clock;
use crate::wire::Heartbeat;

use super::refusal::Refusal;

/// What the original wrote; people look for it.
const UNAVAILABLE: &str = "Client attempted to connect while all app servers were unavailable";

/// The servers, and the last things that happened.
#[derive(Debug)]
pub struct Board {
    table: Table,
    admission: Admission,
    events: EventLog,
    is_draining: bool,
}

/// Where a client goes. Its text is the line of the log.
#[derive(Debug, PartialEq, Eq)]
pub struct Destination {
    /// The server's name.
    pub name: String,
    /// Its public URL, as it tells it: `{host}` may stand in it.
    pub url: String,
    /// Where it was last heard from.
    pub address: IpAddr,
    /// Its connections with this one, as far as is known here.
    pub connections: u32,
    /// What its clock says, in milliseconds since the epoch.
    pub time_ms: u64,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.connections == 1 { "" } else { "s" };
        write!(f, "Client sent to {} ({} connection{plural})", self.name, self.connections)
    }
}

impl Board {
    /// No servers yet.
    pub fn new(table: Table, admission: Admission) -> Self {
        Self { table, admission, events: EventLog::default(), is_draining: false }
    }

    /// Sends a client somewhere, and not to the server `not` if there is another.
    pub fn send_client(&mut self, not: Option<&str>, now: Instant) -> Result<Destination, Refusal> {
        if self.is_draining {
            return Err(Refusal::Draining);
        }
        if self.table.is_ready(now) {
            self.admission.admit(now).map_err(Refusal::Busy)?;
        }
        let Some(pick) = self.table.pick(now, not) else {
            self.note("unavailable", UNAVAILABLE.into());
            return Err(Refusal::Unavailable(UNAVAILABLE));
        };
        let destination = Destination {
            name: pick.name.to_owned(),
            url: pick.url.to_owned(),
            address: pick.address,
            connections: pick.connections,
            time_ms: pick.time_ms,
        };
        self.note("assigned", destination.to_string());
        Ok(destination)
    }

    /// Takes a heartbeat that came from `address`. A text: what it changed, for the log.
    pub fn handle_heartbeat(
        &mut self,
        heartbeat: Heartbeat,
        address: IpAddr,
        now: Instant,
    ) -> Result<Option<String>, Refused> {
        let change = self.table.handle_heartbeat(heartbeat, address, now)?;
        Ok(change.map(|change| self.note_change(&change)))
    }

    /// Looks at the clock. The texts: what that changed, for the log.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<String> {
        let changes = self.table.handle_timeout(now);
        changes.iter().map(|change| self.note_change(change)).collect()
    }

    /// When [`Board::handle_timeout`] has something to see.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.table.poll_timeout()
    }

    /// From now on no client is sent anywhere.
    pub fn drain(&mut self) {
        self.is_draining = true;
        self.note("balancer", "this balancer is leaving".into());
    }

    /// Whether it is leaving.
    pub fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// Why no client may come, if so.
    pub fn check_ready(&self, now: Instant) -> Result<(), Refusal> {
        match (self.is_draining, self.table.is_ready(now)) {
            (true, _) => Err(Refusal::Draining),
            (false, true) => Ok(()),
            (false, false) => Err(Refusal::NotReady),
        }
    }

    /// The servers.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What happened, the oldest first.
    pub fn events(&self) -> &EventLog {
        &self.events
    }

    fn note(&mut self, kind: &'static str, text: String) {
        self.events.add(Event { time: clock::unix_ms(), kind, text });
    }

    fn note_change(&mut self, change: &Change) -> String {
        let Change { name, health, has_restarted } = change;
        let text = match health {
            Health::Up if *has_restarted => format!("{name} has restarted"),
            health => format!("{name} is {}", health.name()),
        };
        self.note("server", text.clone());
        text
    }
}
