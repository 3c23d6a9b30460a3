//! Seeded worlds of balancers, servers that die and return, a network that loses, delays, doubles, reorders and forges
//! heartbeats, and clients that follow. After each step it is checked what must always hold.
//!
//! `BALANCE_SEED=7 cargo test --lib balance::simulation` runs one world again; `BALANCE_WORLDS=100000` more of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::health::{GONE_AFTER, SUSPECT_AFTER};
use super::table::{Table, Weights};
use crate::wire::heartbeat::{Heartbeat, INTERVAL};
use crate::wire::{ClusterKey, heartbeat};

const WORLDS: u64 = 1000;
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const STEP: Duration = Duration::from_millis(10);
/// Steps of trouble, then of calm.
const TROUBLED: u32 = 1500;
const CALM: u32 = 600;

#[test]
fn no_world_sends_a_client_to_a_server_that_is_not_there() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match number("BALANCE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BALANCE_WORLDS").unwrap_or(WORLDS),
    };
    for seed in seeds {
        // A failure names its seed, and running that alone fails at the same step.
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(outcome.is_ok(), "BALANCE_SEED={seed} fails, see above");
    }
}

/// What a balancer can know of a server, kept apart from the table that is tested.
#[derive(Clone, Copy)]
struct Heard {
    at: Instant,
    order: (u64, u64),
    takes_clients: bool,
}

struct Server {
    is_up: bool,
    incarnation: u64,
    number: u64,
    draining: bool,
    deaf: bool,
    connections: u32,
    accepted: BTreeMap<String, u64>,
    next_beat: Instant,
}

struct Balancer {
    name: String,
    table: Table,
    heard: BTreeMap<String, Heard>,
    /// All heartbeats of this server are lost on the way here.
    is_cut_from: BTreeSet<String>,
}

struct World {
    rng: fastrand::Rng,
    now: Instant,
    key: ClusterKey,
    servers: BTreeMap<String, Server>,
    balancers: Vec<Balancer>,
    /// Datagrams under way: when they arrive, at which balancer.
    network: Vec<(Instant, usize, Vec<u8>)>,
    /// Those that were sent, for somebody who sends them again.
    recorded: Vec<Vec<u8>>,
    /// Clients under way: when they arrive, which balancer sent them where.
    clients: Vec<(Instant, usize, String)>,
    is_calm: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let now = Instant::now();
        let server = |rng: &mut fastrand::Rng| Server {
            is_up: true,
            incarnation: (1000 << 32) + rng.u64(..1 << 32),
            number: 0,
            draining: false,
            deaf: false,
            connections: 0,
            accepted: BTreeMap::new(),
            next_beat: now + INTERVAL.mul_f64(rng.f64()),
        };
        let count = rng.usize(2..=6);
        let servers = (1..=count).map(|index| (format!("app-{index}"), server(&mut rng))).collect();
        let balancer = |index: usize| Balancer {
            name: format!("lb-{index}"),
            table: Table::new(format!("lb-{index}"), Weights::Equal),
            heard: BTreeMap::new(),
            is_cut_from: BTreeSet::new(),
        };
        let balancers = (1..=rng.usize(1..=4)).map(balancer).collect();
        let key = ClusterKey::parse("the-simulated-cluster").unwrap();
        let (network, recorded, clients) = Default::default();
        Self { rng, now, key, servers, balancers, network, recorded, clients, is_calm: false }
    }

    fn run(mut self) {
        for _ in 0..TROUBLED {
            self.make_trouble();
            self.step();
        }
        self.calm_down();
        for _ in 0..CALM {
            self.step();
        }
        self.check_all_is_known();
        self.check_no_herd();
    }

    fn step(&mut self) {
        self.now += STEP;
        self.beat();
        self.deliver();
        self.arrive();
        for balancer in &mut self.balancers {
            balancer.table.handle_timeout(self.now);
        }
        let asking = if self.rng.u8(..) < 4 { 200 } else { self.rng.usize(..3) };
        (0..asking).for_each(|_| self.assign());
    }

    /// One thing goes wrong now and then.
    fn make_trouble(&mut self) {
        if self.rng.u8(..) > 6 {
            return;
        }
        let name = format!("app-{}", self.rng.usize(1..=self.servers.len()));
        let balancer = self.rng.usize(..self.balancers.len());
        match self.rng.u8(..8) {
            0 => self.kill(&name),
            1 => self.restart(&name, true),
            // Its clock was set back: it begins an earlier incarnation.
            2 => self.restart(&name, false),
            3 => self.server(&name).draining ^= true,
            4 => self.server(&name).deaf ^= true,
            5 => drop(self.balancers[balancer].is_cut_from.insert(name)),
            6 => drop(self.balancers[balancer].is_cut_from.remove(&name)),
            _ => self.forge(&name, balancer),
        }
    }

    fn server(&mut self, name: &str) -> &mut Server {
        self.servers.get_mut(name).unwrap()
    }

    fn kill(&mut self, name: &str) {
        let server = self.server(name);
        (server.is_up, server.connections) = (false, 0);
    }

    fn restart(&mut self, name: &str, is_later: bool) {
        let (now, step) = (self.now, self.rng.u64(1..1 << 34));
        let server = self.server(name);
        server.incarnation = if is_later { server.incarnation + step } else { server.incarnation - step };
        (server.is_up, server.number, server.connections) = (true, 0, 0);
        (server.draining, server.deaf) = (false, false);
        server.accepted.clear();
        server.next_beat = now;
    }

    /// What others send: something signed with another key, something unsigned, something old.
    fn forge(&mut self, name: &str, balancer: usize) {
        let beat = Heartbeat { number: u64::MAX, ..self.heartbeat(name) };
        let other = ClusterKey::parse("not-the-simulated-cluster").unwrap();
        let datagram = match self.rng.u8(..3) {
            0 => beat.encode(Some(&other)),
            1 => beat.encode(None),
            _ if self.recorded.is_empty() => Vec::new(),
            _ => self.recorded[self.rng.usize(..self.recorded.len())].clone(),
        };
        // An old one must change nothing while its server is known; that it may bring up one that is gone for good is
        // the price of soft state, and left out here.
        let known = &self.balancers[balancer].heard;
        let is_replay_of_the_gone = Heartbeat::parse(&datagram, Some(&self.key))
            .is_ok_and(|beat| known.get(&beat.name).is_none_or(|heard| self.now >= heard.at + SUSPECT_AFTER));
        if !is_replay_of_the_gone {
            self.network.push((self.now, balancer, datagram));
        }
    }

    fn heartbeat(&self, name: &str) -> Heartbeat {
        let server = &self.servers[name];
        Heartbeat {
            name: name.to_owned(),
            incarnation: server.incarnation,
            number: server.number,
            time_ms: 0,
            url: format!("ws://{name}/ws"),
            connections: server.connections,
            capacity: 1_000_000,
            loop_lag_us: 0,
            accepted: server.accepted.clone().into_iter().collect(),
            draining: server.draining,
            deaf: server.deaf,
            full: false,
        }
    }

    fn beat(&mut self) {
        let names: Vec<_> = self.servers.keys().cloned().collect();
        for name in names {
            let now = self.now;
            let server = self.server(&name);
            if !server.is_up || server.next_beat > now {
                continue;
            }
            server.number += 1;
            server.next_beat = now + INTERVAL;
            let datagram = self.heartbeat(&name).encode(Some(&self.key));
            self.recorded.push(datagram.clone());
            for balancer in 0..self.balancers.len() {
                self.send(&name, balancer, &datagram);
            }
        }
    }

    fn send(&mut self, from: &str, balancer: usize, datagram: &[u8]) {
        let delay = |rng: &mut fastrand::Rng, most: u64| Duration::from_millis(rng.u64(..most));
        if self.is_calm {
            let at = self.now + delay(&mut self.rng, 5);
            self.network.push((at, balancer, datagram.to_vec()));
            return;
        }
        if self.balancers[balancer].is_cut_from.contains(from) || self.rng.u8(..) < 30 {
            return;
        }
        let copies = if self.rng.u8(..) < 10 { 2 } else { 1 };
        for _ in 0..copies {
            let most = if self.rng.u8(..) < 20 { 900 } else { 20 };
            let at = self.now + delay(&mut self.rng, most);
            self.network.push((at, balancer, datagram.to_vec()));
        }
    }

    fn deliver(&mut self) {
        let now = self.now;
        let mut arriving: Vec<_> = self.network.extract_if(.., |(at, ..)| *at <= now).collect();
        arriving.sort_by_key(|(at, ..)| *at);
        for (_, balancer, datagram) in arriving {
            let Ok(beat) = Heartbeat::parse(&datagram, Some(&self.key)) else { continue };
            assert!(beat.number != u64::MAX, "a forged heartbeat got in");
            let balancer = &mut self.balancers[balancer];
            balancer.note(&beat, now);
            let _ = balancer.table.handle_heartbeat(beat, ADDRESS, now);
        }
    }

    /// Clients come to the server that they were sent to, or find nobody.
    fn arrive(&mut self) {
        let now = self.now;
        let arriving: Vec<_> = self.clients.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, balancer, name) in arriving {
            let by = self.balancers[balancer].name.clone();
            let server = self.server(&name);
            if server.is_up {
                server.connections += 1;
                *server.accepted.entry(by).or_default() += 1;
            }
        }
    }

    fn assign(&mut self) {
        let index = self.rng.usize(..self.balancers.len());
        let (now, delay) = (self.now, Duration::from_millis(self.rng.u64(1..30)));
        let balancer = &mut self.balancers[index];
        let picked = balancer.table.pick(now, None).map(|pick| pick.name.to_owned());
        let is_fine = |heard: &Heard| heard.takes_clients && now < heard.at + SUSPECT_AFTER;
        match picked {
            Some(name) => {
                let heard = balancer.heard.get(&name).expect("a server that was never heard of was picked");
                assert!(is_fine(heard), "{name} was picked by {}", balancer.name);
                self.clients.push((now + delay, index, name));
            }
            None => assert!(!balancer.heard.values().any(is_fine), "a server was there for the client"),
        }
    }

    fn calm_down(&mut self) {
        self.is_calm = true;
        let names: Vec<_> = self.servers.keys().cloned().collect();
        for name in names {
            if !self.servers[&name].is_up {
                self.restart(&name, true);
            }
            let server = self.server(&name);
            (server.draining, server.deaf) = (false, false);
        }
    }

    /// Whatever happened, an interval of heartbeats later every balancer knows every server.
    fn check_all_is_known(&mut self) {
        for balancer in &mut self.balancers {
            let known = balancer.table.servers().filter(|(_, server)| server.health.name() == "up").count();
            assert_eq!(known, self.servers.len(), "{} knows all that live", balancer.name);
        }
    }

    /// A crowd that comes at once, all of it before any heartbeat, is spread: what the balancers cannot know of each other
    /// makes a difference of some clients, and none gets twice its share.
    fn check_no_herd(&mut self) {
        // Even at first, and all of it reported.
        let most = self.servers.values().map(|server| server.connections).max().unwrap();
        for server in self.servers.values_mut() {
            server.connections = most;
        }
        for _ in 0..100 {
            self.now += STEP;
            self.beat();
            self.deliver();
            self.arrive();
        }
        let before: BTreeMap<_, _> =
            self.servers.iter().map(|(name, server)| (name.clone(), server.connections)).collect();
        let crowd = 300 * self.servers.len();
        (0..crowd).for_each(|_| self.assign());
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for (_, _, name) in &self.clients {
            *counts.entry(name.clone()).or_default() += 1;
        }
        let share = crowd as u32 / self.servers.len() as u32;
        let spread = before.values().max().unwrap() - before.values().min().unwrap();
        for name in self.servers.keys() {
            let got = counts.get(name).copied().unwrap_or(0);
            assert!(got.abs_diff(share) <= share / 10 + spread, "{counts:?}, before {before:?}");
        }
    }
}

impl Balancer {
    /// The latest genuine word of the server, as the documentation of the table has it.
    fn note(&mut self, beat: &heartbeat::Heartbeat, now: Instant) {
        let order = (beat.incarnation, beat.number);
        let known = self.heard.get(&beat.name);
        let is_news = known.is_none_or(|known| {
            let is_gone = now >= known.at + GONE_AFTER;
            order > known.order || (is_gone && order.0 != known.order.0)
        });
        if is_news {
            let takes_clients = !beat.draining && !beat.deaf;
            self.heard.insert(beat.name.clone(), Heard { at: now, order, takes_clients });
        }
    }
}
