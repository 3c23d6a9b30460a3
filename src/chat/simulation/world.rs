//! A world: servers, lanes, clients, and what happens to them, from one thing that is due to the next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::client::Client;
use super::frame::Frame;
use super::kinds::Kind;
use super::network::Network;
use super::oracle::Oracle;
use super::plan::{Ms, Plan, START};
use super::reach::Reach;
use super::server::{Incoming, Server};
use super::story::{Check, Failure, Story};
use crate::chat::limits::{PRESENCE_INTERVAL_MAX, PRESENCE_REFRESH};

pub const ROOMS: [&str; 3] = ["red", "blue", "green"];
/// Every lease, roster and refresh has its time.
const PRESENCE: Duration =
    Duration::from_secs(PRESENCE_REFRESH.as_secs() + 2 * PRESENCE_INTERVAL_MAX.as_secs() + 3);

#[derive(Debug)]
pub enum Event {
    Act(usize),
    Fault(usize),
    Relief(Relief),
    ToServer {
        server: usize,
        incoming: Incoming,
    },
    ToClient {
        connection: u64,
        frames: Arc<Vec<Frame>>,
    },
    /// A client notices that its server is dead.
    Broken {
        connection: u64,
    },
    /// A client that is nowhere comes to some server.
    Return {
        client: usize,
    },
    Retry {
        client: usize,
    },
    /// A server has said nothing for too long.
    Impatient {
        connection: u64,
    },
    /// The client is at its next server and goes from the one before.
    Uncross {
        connection: u64,
    },
    /// A draining server ends.
    End {
        server: usize,
        /// Whether others hold what it holds or not.
        by: Ms,
    },
}

/// What ends at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    Node(usize),
    Link(usize, usize),
    Loss,
    Thaw(usize),
    NewServer,
    /// A client was told to go to another server.
    Move(usize),
}

#[derive(Debug)]
struct Timed {
    at: Ms,
    number: u64,
    event: Event,
}

pub struct World {
    pub(super) plan: Arc<Plan>,
    pub(super) rng: Rng,
    pub(super) start: Instant,
    pub(super) now: Ms,
    agenda: BinaryHeap<Reverse<Timed>>,
    events: u64,
    pub(super) servers: Vec<Server>,
    pub(super) network: Network,
    pub(super) reach: Reach,
    pub(super) reach_is_old: bool,
    pub(super) clients: BTreeMap<usize, Client>,
    /// Open connections: whose.
    pub(super) lines: BTreeMap<u64, usize>,
    pub(super) connections: u64,
    pub(super) oracle: Oracle,
    pub story: Story,
    failure: Option<Failure>,
    bounds_due: Ms,
    /// Checks that are not made, to look for what is behind them.
    ignored: Vec<Check>,
}

impl World {
    pub fn new(plan: Arc<Plan>, is_told: bool) -> Self {
        let mut rng = Rng::with_seed(plan.seed ^ 0x5eed);
        let network = Network::new(rng.u64(..), plan.leg.clone(), plan.kinds.has(Kind::Reordering));
        let mut world = Self {
            rng,
            start: Instant::now(),
            now: 0,
            agenda: BinaryHeap::new(),
            events: 0,
            servers: Vec::new(),
            network,
            reach: Reach::default(),
            reach_is_old: true,
            clients: BTreeMap::new(),
            lines: BTreeMap::new(),
            connections: 0,
            oracle: Oracle::default(),
            story: Story::new(is_told),
            failure: None,
            bounds_due: 0,
            ignored: Check::ignored(),
            plan,
        };
        (0..world.plan.servers).for_each(|_| world.start_server());
        let plan = Arc::clone(&world.plan);
        plan.acts.iter().enumerate().for_each(|(index, act)| world.plan_at(act.at, Event::Act(index)));
        plan.faults
            .iter()
            .enumerate()
            .for_each(|(index, fault)| world.plan_at(fault.at, Event::Fault(index)));
        world
    }

    /// Until it fails or all is well at its end.
    pub fn run(&mut self) -> Result<(), Failure> {
        let plan = Arc::clone(&self.plan);
        self.pass_until(plan.peace)?;
        self.relieve_all();
        self.pass_until(plan.end())?;
        self.check_end();
        self.outcome()?;
        if plan.is_long {
            self.pass_until(plan.end() + PRESENCE.as_millis() as Ms)?;
            self.check_presence();
        }
        self.outcome()
    }

    pub fn fail(&mut self, check: Check, text: Option<u64>, what: String) {
        if self.failure.is_none() && !self.ignored.contains(&check) {
            self.story.tell(self.now, text, || format!("FAILED {check:?}: {what}"));
            self.failure = Some(Failure { at: self.now, check, what, text });
        }
    }

    fn outcome(&self) -> Result<(), Failure> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    pub fn plan_at(&mut self, at: Ms, event: Event) {
        self.events += 1;
        self.agenda.push(Reverse(Timed { at, number: self.events, event }));
    }

    pub fn plan_in(&mut self, wait: Ms, event: Event) {
        self.plan_at(self.now + wait, event);
    }

    pub fn pass_until(&mut self, end: Ms) -> Result<(), Failure> {
        while self.failure.is_none() {
            let due = self.next_due();
            if due >= end {
                self.now = end;
                break;
            }
            self.now = due.max(self.now);
            self.step();
        }
        self.outcome()
    }

    fn next_due(&self) -> Ms {
        let agenda = self.agenda.peek().map_or(Ms::MAX, |Reverse(timed)| timed.at);
        let servers = (0..self.servers.len()).map(|server| self.server_due(server));
        servers.fold(agenda.min(self.network.due()), Ms::min)
    }

    fn server_due(&self, server: usize) -> Ms {
        if !self.servers[server].is_running() {
            return Ms::MAX;
        }
        if self.servers[server].has_asks() || self.network.has_event(server) {
            return self.now;
        }
        self.servers[server].due(self.network.carrying(server, self.now))
    }

    fn step(&mut self) {
        while self.agenda.peek().is_some_and(|Reverse(timed)| timed.at <= self.now) {
            let Some(Reverse(timed)) = self.agenda.pop() else { break };
            self.happen(timed.event);
        }
        self.reach_is_old |= self.network.pass(self.now);
        if std::mem::take(&mut self.reach_is_old) {
            self.reach.look(&self.servers, &self.network, self.plan.leg_max(), self.now);
        }
        for server in 0..self.servers.len() {
            if self.server_due(server) <= self.now {
                self.turn(server);
            }
        }
        if self.bounds_due <= self.now {
            self.bounds_due = self.now + 500;
            self.check_bounds();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Act(index) => self.act(self.plan.acts[index]),
            Event::Fault(index) => self.break_something(self.plan.faults[index]),
            Event::Relief(relief) => self.relieve(relief),
            Event::ToServer { server, incoming } => self.servers[server].receive(incoming),
            Event::ToClient { connection, frames } => self.bring(connection, &frames),
            Event::Broken { connection } => self.lose_line(connection),
            Event::Return { client } => self.come_back(client),
            Event::Retry { client } => self.retry(client),
            Event::Impatient { connection } => self.lose_patience(connection),
            Event::Uncross { connection } => {
                let client = self.lines.get(&connection).and_then(|client| self.clients.get(client));
                // The next line may have broken meanwhile.
                if client.is_some_and(|client| client.lines.len() > 1) {
                    self.close_line(connection);
                }
            }
            Event::End { server, by } => self.end_server(server, by),
        }
    }

    pub fn start_server(&mut self) {
        let seed = self.rng.u64(..);
        let index = self.servers.len();
        let server = Server::new(index, &self.plan, self.start, self.now, seed);
        self.network.add(server.incarnation, self.now);
        self.servers.push(server);
        self.reach_is_old = true;
        self.story.tell(self.now, None, || format!("server {index} starts"));
    }

    pub fn live(&self) -> Vec<usize> {
        (0..self.servers.len()).filter(|server| self.servers[*server].is_alive()).collect()
    }

    /// The server whose stream it is.
    pub fn server_of(&self, origin: u64) -> usize {
        let found = self.servers.iter().position(|server| server.incarnation == origin);
        found.expect("only servers speak")
    }

    /// Whether no ring has evicted anything yet: a world of long stalls may have more messages than a ring holds.
    pub fn is_roomy(&self) -> bool {
        self.plan.is_roomy() && self.oracle.count() < self.plan.sizes.ring_messages
    }

    /// Whether nothing was broken for so long that everything is as quick as it is meant to be.
    pub fn is_calm(&self) -> bool {
        self.calm_for().is_some()
    }

    /// For how long it has been so.
    pub fn calm_for(&self) -> Option<Ms> {
        // What retention took elsewhere is waited for until 2 s after the lease of who may have it, and holes with it.
        let expiry = if self.is_roomy() { 0 } else { 2000 };
        let after_trouble = self.plan.peace + super::plan::CALM_AFTER + expiry + 6 * self.plan.leg_max();
        let since = if self.plan.faults.is_empty() { START + 1500 } else { after_trouble };
        self.now.checked_sub(since)
    }
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
