//! What a balancer knows of the servers. Soft state: one interval of heartbeats rebuilds it.

// Addresses are plain data; what `std::net` has beyond them is not for this layer.
use core::net::IpAddr;
use std::fmt;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::health::{Health, SUSPECT_AFTER};
use super::in_flight::InFlight;
use crate::wire::Heartbeat;

/// Servers that the table holds.
pub const SERVERS_MAX: usize = 1000;
/// A server that is gone is shown for this long.
pub const SHOWN_WHEN_GONE: Duration = Duration::from_secs(600);

/// One server.
#[derive(Debug)]
pub struct Server {
    /// The last word of it.
    pub heartbeat: Heartbeat,
    /// Where it came from: the host of a URL with `{host}`, for who connects to the server from here.
    pub address: IpAddr,
    /// When that came.
    pub heard: Instant,
    /// From then on it is suspect.
    suspect_at: Instant,
    /// As of the last look.
    pub health: Health,
    /// Clients sent there that have not arrived.
    pub in_flight: InFlight,
    /// Clients sent there in all.
    pub assigned: u64,
    /// The last first.
    former: SmallVec<[FormerRun; 1]>,
}

/// A run before, of which a heartbeat or two may come late. One that goes on is no run of the same
/// server.
#[derive(Debug, Default)]
struct FormerRun {
    incarnation: u64,
    number: u64,
    /// Heartbeats with ever greater numbers since the later run began.
    heard: u32,
}

/// So many of them may have been under way.
const LATE_MAX: u32 = 2;
/// Former runs that are remembered of a server; as many may go on under its name and be noticed.
const FORMER_MAX: usize = 4;

/// Where a client is sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Pick<'a> {
    /// The server's name.
    pub name: &'a str,
    /// Its public URL.
    pub url: &'a str,
    /// Where it was last heard from.
    pub address: IpAddr,
    /// The connections that it has with this one, as far as is known here.
    pub connections: u32,
    /// What its clock says, in milliseconds since the epoch.
    pub time_ms: u64,
}

/// Why a heartbeat changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// From an earlier run of the server, or late, or heard before.
    Stale,
    /// From a server that runs on under the name of another one that was started later.
    Namesake {
        /// It is the first that proves it.
        is_first: bool,
    },
    /// The table is full of servers that live.
    TableFull,
}

/// A server's state changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub name: String,
    /// How.
    pub turn: Turn,
}

/// What is new about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is heard, late or gone.
    Health(Health),
    /// It is a new run of a server that was known.
    Restarted,
    /// It leaves, or no more.
    Drains(bool),
    /// The bus does not carry for it or a thread of it hangs, or no more.
    Deaf(bool),
}

impl Change {
    /// Whether somebody should look at it.
    pub fn is_bad(&self) -> bool {
        matches!(self.turn, Turn::Health(Health::Suspect | Health::Gone) | Turn::Deaf(true))
    }

    /// Whether clients of the server have nobody there any more.
    pub fn orphans_clients(&self) -> bool {
        matches!(self.turn, Turn::Health(Health::Gone) | Turn::Restarted)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, turn } = self;
        match turn {
            Turn::Health(health) => write!(f, "{name} is {}", health.name()),
            Turn::Restarted => write!(f, "{name} has restarted"),
            Turn::Drains(true) => write!(f, "{name} is draining"),
            Turn::Drains(false) => write!(f, "{name} is no longer draining"),
            Turn::Deaf(true) => {
                write!(f, "{name} is deaf: its backplane does not carry, or a thread of it hangs")
            }
            Turn::Deaf(false) => write!(f, "{name} is no longer deaf"),
        }
    }
}

/// What a server's connections are measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// All servers should have as many.
    #[default]
    Equal,
    /// All should be filled to the same part of what they may hold.
    Capacity,
}

/// The servers.
#[derive(Debug)]
pub struct Table {
    balancer: String,
    weights: Weights,
    /// Where in the list of servers this balancer begins when several are equally loaded. Several balancers with the
    /// same numbers before them should not all send their next client to the same server; the sum of a name's bytes
    /// gives names that count up (lb-1, lb-2, …) places that do too.
    turn: usize,
    /// How many balancers there are, as far as servers tell. The most that any tells, since the one whose heartbeat is late
    /// knows fewer.
    balancers: usize,
    /// In the order of their names: a pick looks at each of them, one beside the other in memory.
    servers: Vec<Server>,
}

impl Table {
    /// An empty table of the balancer of that name.
    pub fn new(balancer: String, weights: Weights) -> Self {
        let turn = balancer.bytes().map(usize::from).sum();
        Self { balancer, weights, turn, balancers: 1, servers: Vec::new() }
    }

    /// Takes a heartbeat that came from `address`. Tells how it changed the server's state.
    pub fn handle_heartbeat(
        &mut self,
        heartbeat: Heartbeat,
        address: IpAddr,
        now: Instant,
    ) -> Result<Vec<Change>, Refused> {
        if self.find(&heartbeat.name).is_err() {
            self.make_room()?;
        }
        let arrived =
            heartbeat.accepted.iter().find(|(name, _)| *name == self.balancer).map_or(0, |(_, n)| *n);
        self.balancers = self.balancers.max(heartbeat.accepted.len());
        let place = match self.find(&heartbeat.name) {
            Ok(place) => place,
            Err(place) => {
                let server = Server::new(heartbeat, address, arrived, now);
                let changes = server.changes(Some(Turn::Health(Health::Up)), (false, false));
                self.servers.insert(place, server);
                return Ok(changes);
            }
        };
        let server = &mut self.servers[place];
        let known = (server.heartbeat.incarnation, server.heartbeat.number);
        let news = (heartbeat.incarnation, heartbeat.number);
        // A server whose clock was set back begins an earlier incarnation: it has to wait until the other is gone.
        let is_other_run_after_the_end =
            Health::judge(server.heard, now) == Health::Gone && news.0 != known.0;
        if news <= known && !is_other_run_after_the_end {
            return Err(server.refuse(news));
        }
        let has_restarted = news.0 != known.0;
        if has_restarted {
            server.former.truncate(FORMER_MAX - 1);
            server.former.insert(0, FormerRun { incarnation: known.0, number: known.1, heard: 0 });
            server.in_flight.restart();
        }
        server.in_flight.handle_report(arrived);
        let before = (server.heartbeat.draining, server.heartbeat.deaf);
        server.heartbeat = heartbeat;
        server.address = address;
        server.heard = now;
        server.suspect_at = now + SUSPECT_AFTER;
        let was = std::mem::replace(&mut server.health, Health::Up);
        let turn = match has_restarted {
            true => Some(Turn::Restarted),
            false => (was != Health::Up).then_some(Turn::Health(Health::Up)),
        };
        Ok(server.changes(turn, before))
    }

    /// Looks at the clock. Tells whose state it changed.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let counts = self.servers.iter().map(|server| server.heartbeat.accepted.len());
        self.balancers = counts.max().unwrap_or(0).max(1);
        self.servers.retain_mut(|server| {
            let health = Health::judge(server.heard, now);
            server.in_flight.expire(now);
            if health != server.health {
                server.health = health;
                changes.push(server.change(Turn::Health(health)));
            }
            now.saturating_duration_since(server.heard) < SHOWN_WHEN_GONE
        });
        changes
    }

    /// When [`Table::handle_timeout`] has something to see.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.servers.iter().filter_map(|server| server.health.changes_at(server.heard)).min()
    }

    /// The least loaded server that may have another client; counts the client as under way to it. The server `not` is
    /// taken only where there is no other: the client comes from there, or did not get there.
    pub fn pick(&mut self, now: Instant, not: Option<&str>) -> Option<Pick<'_>> {
        self.pick_of(now, not, |_| true)
    }

    /// The same, of the servers for whose names `may_be` holds.
    pub fn pick_of(
        &mut self,
        now: Instant,
        not: Option<&str>,
        may_be: impl Fn(&str) -> bool,
    ) -> Option<Pick<'_>> {
        let (weights, balancers) = (self.weights, self.balancers);
        let first = self.turn.checked_rem(self.servers.len())?;
        let eligible = self
            .servers
            .iter_mut()
            .enumerate()
            .filter(|(_, server)| server.is_eligible(now) && may_be(&server.heartbeat.name));
        // One number to compare, since a branch for each server is what a pick would wait for. The places before the
        // first one wrap around, and so come behind the last.
        let (_, server) = eligible.min_by_key(|(place, server)| {
            let is_not = u64::from(not == Some(server.heartbeat.name.as_str()));
            let place = place.wrapping_sub(first) as u16;
            is_not << 63 | u64::from(server.load(balancers, weights)) << 16 | u64::from(place)
        })?;
        server.in_flight.expire(now);
        server.in_flight.send(now);
        server.assigned += 1;
        let (address, connections) = (server.address, server.connections());
        let time_ms = server.time_ms(now);
        let Heartbeat { name, url, .. } = &server.heartbeat;
        Some(Pick { name, url, address, connections, time_ms })
    }

    /// Whether a client could be sent anywhere.
    pub fn is_ready(&self, now: Instant) -> bool {
        self.servers.iter().any(|server| server.is_eligible(now))
    }

    /// All of them, by name.
    pub fn servers(&self) -> impl Iterator<Item = (&str, &Server)> {
        self.servers.iter().map(|server| (server.heartbeat.name.as_str(), server))
    }

    /// The server of that name.
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.find(name).ok().map(|place| &self.servers[place])
    }

    /// Where the server of that name is, or would be.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.servers.binary_search_by(|server| server.heartbeat.name.as_str().cmp(name))
    }

    fn make_room(&mut self) -> Result<(), Refused> {
        if self.servers.len() < SERVERS_MAX {
            return Ok(());
        }
        let gone = self.servers.iter().enumerate().filter(|(_, server)| server.health == Health::Gone);
        let (oldest, _) = gone.min_by_key(|(_, server)| server.heard).ok_or(Refused::TableFull)?;
        self.servers.remove(oldest);
        Ok(())
    }
}

impl Server {
    fn new(heartbeat: Heartbeat, address: IpAddr, arrived: u64, now: Instant) -> Self {
        let mut in_flight = InFlight::default();
        in_flight.handle_report(arrived);
        Self {
            heartbeat,
            address,
            heard: now,
            suspect_at: now + SUSPECT_AFTER,
            health: Health::Up,
            in_flight,
            assigned: 0,
            former: SmallVec::new(),
        }
    }

    fn change(&self, turn: Turn) -> Change {
        Change { name: self.heartbeat.name.clone(), turn }
    }

    /// This turn, and what else is new since it was `(draining, deaf)`.
    fn changes(&self, turn: Option<Turn>, before: (bool, bool)) -> Vec<Change> {
        let Heartbeat { draining, deaf, .. } = self.heartbeat;
        let drains = (draining != before.0).then_some(Turn::Drains(draining));
        let deaf = (deaf != before.1).then_some(Turn::Deaf(deaf));
        [turn, drains, deaf].into_iter().flatten().map(|turn| self.change(turn)).collect()
    }

    /// Connections reported, and this balancer's clients under way.
    pub fn connections(&self) -> u32 {
        self.heartbeat.connections.saturating_add(self.in_flight.count())
    }

    /// Why a heartbeat that is not news is refused.
    fn refuse(&mut self, news: (u64, u64)) -> Refused {
        if news.0 == self.heartbeat.incarnation {
            return Refused::Stale;
        }
        let Some(former) = self.former.iter_mut().find(|run| run.incarnation == news.0) else {
            // A balancer that was started since has not seen the earlier run before.
            self.former.truncate(FORMER_MAX - 1);
            self.former.push(FormerRun { incarnation: news.0, number: news.1, heard: 0 });
            return Refused::Stale;
        };
        if news.1 <= former.number {
            return Refused::Stale;
        }
        former.number = news.1;
        former.heard = former.heard.saturating_add(1);
        match former.heard {
            ..=LATE_MAX => Refused::Stale,
            heard => Refused::Namesake { is_first: heard == LATE_MAX + 1 },
        }
    }

    /// What its clock says now, by its last word; in milliseconds since the epoch.
    pub fn time_ms(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.heard).as_millis() as u64;
        self.heartbeat.time_ms.saturating_add(since)
    }

    /// What a pick goes by. The other balancers have clients under way too, and cannot be asked; that they send as
    /// many as this one keeps several balancers from filling up the server whose heartbeat is a little late.
    fn load(&self, balancers: usize, weights: Weights) -> u32 {
        let under_way = self.in_flight.count().saturating_mul(balancers as u32);
        let connections = self.heartbeat.connections.saturating_add(under_way);
        match weights {
            Weights::Equal => connections,
            // In parts of 2²⁴ of what it may hold.
            Weights::Capacity => {
                let part = (u64::from(connections) << 24) / u64::from(self.heartbeat.capacity.max(1));
                u32::try_from(part).unwrap_or(u32::MAX)
            }
        }
    }

    fn is_eligible(&self, now: Instant) -> bool {
        let Heartbeat { draining, deaf, full, capacity, .. } = self.heartbeat;
        let may_have_more = !draining && !deaf && !full && self.connections() < capacity;
        may_have_more && now < self.suspect_at
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
