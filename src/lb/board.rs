//! What all threads of a balancer look at: which servers there are, who was sent where, what happened.
//!
//! The one thing here that threads share behind a lock. A pick must see the picks of all other reactors, or each would
//! send its next client to the same server; and a mailbox to a thread that owns the table would cost every client two
//! wake-ups to be told what takes a microsecond to find. It is held for one pick, one heartbeat, or the
//! writing of one status, never across I/O.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::balance::events::Kind;
use crate::balance::{Admission, Event, EventLog, Pick, Refused, Table, table::Change};
use crate::serve::clock;
use crate::wire::Heartbeat;

use super::client_counts::{ClientCounts, Counted};
use super::refusal::Refusal;
use super::upstreams::{News, Upstreams};
use super::ws_url;

/// In the log, where people look for it, and among the events.
pub const NONE_THERE: &str = "Client attempted to connect while all app servers were unavailable";
/// The same of servers that are there.
pub const NO_ANSWER: &str = "The servers that were chosen for a client did not answer";
const UNAVAILABLE: Refusal = Refusal::Unavailable;

/// The servers, and the last things that happened.
#[derive(Debug)]
pub struct Board {
    table: Table,
    upstreams: Upstreams,
    admission: Admission,
    events: EventLog,
    counts: ClientCounts,
    is_draining: bool,
    version: u64,
}

/// Where a client goes. Its text is its line among the events.
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

impl From<Pick<'_>> for Destination {
    fn from(pick: Pick<'_>) -> Self {
        let Pick { name, url, address, connections, time_ms } = pick;
        Self { name: name.to_owned(), url: url.to_owned(), address, connections, time_ms }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.connections == 1 { "" } else { "s" };
        write!(f, "Client sent to {} ({} connection{plural})", self.name, self.connections)
    }
}

impl Board {
    /// No servers yet.
    pub fn new(table: Table, admission: Admission, now: Instant) -> Self {
        Self {
            table,
            upstreams: Upstreams::default(),
            admission,
            events: EventLog::default(),
            counts: ClientCounts::new(now),
            is_draining: false,
            version: 0,
        }
    }

    /// Sends a client somewhere, and not to the server `not` if there is another.
    pub fn send_client(&mut self, not: Option<&str>, now: Instant) -> Result<Destination, Refusal> {
        self.admit(now)?;
        match self.table.pick(now, not).map(Destination::from) {
            Some(destination) => {
                self.note_sent(&destination);
                Ok(destination)
            }
            None => {
                self.note_refusal(UNAVAILABLE);
                Err(UNAVAILABLE)
            }
        }
    }

    /// The same for a client that is proxied: a server that can be reached from here, and where. Nothing is noted of a
    /// client that gets none, since it may wait and ask again.
    pub fn send_proxied(
        &mut self,
        not: Option<&str>,
        now: Instant,
    ) -> Result<(Destination, SocketAddr), Refusal> {
        self.admit(now)?;
        let upstreams = &self.upstreams;
        let pick = self.table.pick_of(now, not, |name| upstreams.address(name).is_some());
        let sent = pick.and_then(|pick| Some((upstreams.address(pick.name)?, Destination::from(pick))));
        let (address, destination) = sent.ok_or(UNAVAILABLE)?;
        self.note_sent(&destination);
        Ok((destination, address))
    }

    fn admit(&mut self, now: Instant) -> Result<(), Refusal> {
        match (self.is_draining, self.table.is_ready(now)) {
            (true, _) => Err(Refusal::Draining),
            (false, true) => self.admission.admit(now).map_err(Refusal::Busy),
            (false, false) => Ok(()),
        }
    }

    /// A client was sent away, for that reason.
    pub fn note_refusal(&mut self, refusal: Refusal) {
        self.counts.note_refusal(refusal);
        match refusal {
            Refusal::Unavailable => self.note(Kind::Unavailable, NONE_THERE.into()),
            Refusal::Unanswered => self.note(Kind::Unavailable, NO_ANSWER.into()),
            Refusal::NotReady | Refusal::Draining | Refusal::Busy(_) => {}
        }
    }

    /// What the log is to tell of clients, now and then.
    pub fn take_counts(&mut self, now: Instant) -> Option<Counted> {
        self.counts.take(now)
    }

    fn note_sent(&mut self, destination: &Destination) {
        self.counts.note_sent(&destination.name);
        self.note(Kind::Assigned, destination.to_string());
    }

    /// Takes a heartbeat that came from `address`. Tells what it changed, and what is new about the way there.
    pub fn handle_heartbeat(
        &mut self,
        heartbeat: Heartbeat,
        address: IpAddr,
        now: Instant,
    ) -> Result<(Vec<Change>, News), Refused> {
        let (name, url) = (heartbeat.name.clone(), heartbeat.url.clone());
        let changes = self.table.handle_heartbeat(heartbeat, address, now)?;
        self.version += 1;
        changes.iter().for_each(|change| self.note(Kind::Server, change.to_string()));
        Ok((changes, self.upstreams.note(&name, &url, address)))
    }

    /// Looks at the clock. Tells what that changed.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Change> {
        let changes = self.table.handle_timeout(now);
        changes.iter().for_each(|change| self.note(Kind::Server, change.to_string()));
        if !changes.is_empty() {
            let table = &self.table;
            self.upstreams.retain(|name| table.servers().any(|(known, _)| known == name));
        }
        changes
    }

    /// When [`Board::handle_timeout`] has something to see.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.table.poll_timeout()
    }

    /// From now on no client is sent anywhere.
    pub fn drain(&mut self) {
        self.is_draining = true;
        self.note(Kind::Balancer, "this balancer is leaving".into());
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

    /// Another server than the one that is known runs under its name, at that URL and address.
    /// Tells what to do.
    pub fn note_namesake(&mut self, name: &str, url: &str, address: IpAddr) -> Option<String> {
        let known = self.table.server(name)?;
        let at = |url: &str, address| url.replace("{host}", &ws_url::host(address));
        let text = format!(
            "two servers are named {name}: the one at {} gets clients, the one at {} does not, since it was started \
             earlier; give each a --name of its own",
            at(&known.heartbeat.url, known.address),
            at(url, address)
        );
        self.note(Kind::Server, text.clone());
        Some(text)
    }

    /// How the servers are reached from here.
    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// The same, to be told of names and of proxied clients.
    pub fn upstreams_mut(&mut self) -> &mut Upstreams {
        self.version += 1;
        &mut self.upstreams
    }

    /// What happened, the oldest first.
    pub fn events(&self) -> &EventLog {
        &self.events
    }

    /// Changes with whatever may be seen here.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn note(&mut self, kind: Kind, text: String) {
        self.version += 1;
        self.events.add(Event { time: clock::unix_ms(), kind, text });
    }
}
