//! What a balancer knows of the servers. Soft state: one interval of heartbeats rebuilds it.

// Addresses are plain data; what `std::net` has beyond them is not for this layer.
use core::net::IpAddr;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::health::Health;
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
    /// As of the last look.
    pub health: Health,
    /// Clients sent there that have not arrived.
    pub in_flight: InFlight,
    /// Clients sent there in all.
    pub assigned: u64,
    former: FormerRun,
}

/// The run before, of which a heartbeat or two may come late. One that goes on is no run of the same server.
#[derive(Debug, Default)]
struct FormerRun {
    incarnation: u64,
    number: u64,
    /// Heartbeats with ever greater numbers since the later run began.
    heard: u32,
}

/// So many of them may have been under way.
const LATE_MAX: u32 = 2;

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
    Namesake,
    /// The table is full of servers that live.
    TableFull,
}

/// A server's state changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub name: String,
    /// What it is now.
    pub health: Health,
    /// It is a new run of a server that was known.
    pub has_restarted: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, health, has_restarted } = self;
        match health {
            Health::Up if *has_restarted => write!(f, "{name} has restarted"),
            health => write!(f, "{name} is {}", health.name()),
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

/// The servers by name.
#[derive(Debug)]
pub struct Table {
    balancer: String,
    weights: Weights,
    /// Where in the list of servers this balancer begins when several are equally loaded. Several balancers with the
    /// same numbers before them should not all send their next client to the same server; the sum of a name's bytes
    /// gives names that count up (lb-1, lb-2, …) places that do too.
    turn: usize,
    servers: BTreeMap<String, Server>,
}

impl Table {
    /// An empty table of the balancer of that name.
    pub fn new(balancer: String, weights: Weights) -> Self {
        let turn = balancer.bytes().map(usize::from).sum();
        Self { balancer, weights, turn, servers: BTreeMap::new() }
    }

    /// Takes a heartbeat that came from `address`. Tells when it changed the server's state.
    pub fn handle_heartbeat(
        &mut self,
        heartbeat: Heartbeat,
        address: IpAddr,
        now: Instant,
    ) -> Result<Option<Change>, Refused> {
        if !self.servers.contains_key(&heartbeat.name) {
            self.make_room()?;
        }
        let arrived =
            heartbeat.accepted.iter().find(|(name, _)| *name == self.balancer).map_or(0, |(_, n)| *n);
        let Some(server) = self.servers.get_mut(&heartbeat.name) else {
            let change = Change { name: heartbeat.name.clone(), health: Health::Up, has_restarted: false };
            let mut in_flight = InFlight::default();
            in_flight.handle_report(arrived);
            let server = Server {
                heard: now,
                health: Health::Up,
                in_flight,
                assigned: 0,
                former: FormerRun::default(),
                heartbeat,
                address,
            };
            self.servers.insert(change.name.clone(), server);
            return Ok(Some(change));
        };
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
            server.former = FormerRun { incarnation: known.0, number: known.1, heard: 0 };
            server.in_flight.restart();
        }
        server.in_flight.handle_report(arrived);
        server.heartbeat = heartbeat;
        server.address = address;
        server.heard = now;
        let was = std::mem::replace(&mut server.health, Health::Up);
        let is_news = has_restarted || was != Health::Up;
        let name = || server.heartbeat.name.clone();
        Ok(is_news.then(|| Change { name: name(), health: Health::Up, has_restarted }))
    }

    /// Looks at the clock. Tells whose state it changed.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        self.servers.retain(|name, server| {
            let health = Health::judge(server.heard, now);
            server.in_flight.expire(now);
            if health != server.health {
                server.health = health;
                changes.push(Change { name: name.clone(), health, has_restarted: false });
            }
            now.saturating_duration_since(server.heard) < SHOWN_WHEN_GONE
        });
        changes
    }

    /// When [`Table::handle_timeout`] has something to see.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.servers.values().filter_map(|server| server.health.changes_at(server.heard)).min()
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
        let (turn, weights, count) = (self.turn, self.weights, self.servers.len());
        // Of all servers, since the one whose heartbeat is late knows fewer.
        let balancers = self.servers.values().map(|server| server.heartbeat.accepted.len()).max()?.max(1);
        let (_, (name, server)) = self
            .servers
            .iter_mut()
            .enumerate()
            .filter(|(_, (name, server))| server.is_eligible(now) && may_be(name))
            .min_by_key(|(index, (name, server))| {
                (Some(name.as_str()) == not, server.load(balancers, weights), (index + turn) % count)
            })?;
        server.in_flight.expire(now);
        server.in_flight.send(now);
        server.assigned += 1;
        let (address, connections) = (server.address, server.connections());
        let time_ms = server.time_ms(now);
        Some(Pick { name, url: &server.heartbeat.url, address, connections, time_ms })
    }

    /// Whether a client could be sent anywhere.
    pub fn is_ready(&self, now: Instant) -> bool {
        self.servers.values().any(|server| server.is_eligible(now))
    }

    /// All of them, by name.
    pub fn servers(&self) -> impl Iterator<Item = (&str, &Server)> {
        self.servers.iter().map(|(name, server)| (name.as_str(), server))
    }

    fn make_room(&mut self) -> Result<(), Refused> {
        if self.servers.len() < SERVERS_MAX {
            return Ok(());
        }
        let gone = self.servers.iter().filter(|(_, server)| server.health == Health::Gone);
        let oldest = gone.min_by_key(|(_, server)| server.heard).map(|(name, _)| name.clone());
        self.servers.remove(&oldest.ok_or(Refused::TableFull)?);
        Ok(())
    }
}

impl Server {
    /// Connections reported, and this balancer's clients under way.
    pub fn connections(&self) -> u32 {
        self.heartbeat.connections.saturating_add(self.in_flight.count())
    }

    /// Why a heartbeat that is not news is refused.
    fn refuse(&mut self, news: (u64, u64)) -> Refused {
        let former = &mut self.former;
        if news.0 != former.incarnation || news.1 <= former.number {
            return Refused::Stale;
        }
        former.number = news.1;
        former.heard += 1;
        if former.heard > LATE_MAX { Refused::Namesake } else { Refused::Stale }
    }

    /// What its clock says now, by its last word; in milliseconds since the epoch.
    pub fn time_ms(&self, now: Instant) -> u64 {
        self.heartbeat.time_ms + now.saturating_duration_since(self.heard).as_millis() as u64
    }

    /// What a pick goes by. The other balancers have clients under way too, and cannot be asked; that they send as
    /// many as this one keeps several balancers from filling up the server whose heartbeat is a little late.
    fn load(&self, balancers: usize, weights: Weights) -> u64 {
        let under_way = self.in_flight.count().saturating_mul(balancers as u32);
        let connections = u64::from(self.heartbeat.connections.saturating_add(under_way));
        match weights {
            Weights::Equal => connections,
            Weights::Capacity => (connections << 32) / u64::from(self.heartbeat.capacity.max(1)),
        }
    }

    fn is_eligible(&self, now: Instant) -> bool {
        let Heartbeat { draining, deaf, full, capacity, .. } = self.heartbeat;
        let may_have_more = !draining && !deaf && !full && self.connections() < capacity;
        may_have_more && Health::judge(self.heard, now) == Health::Up
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
