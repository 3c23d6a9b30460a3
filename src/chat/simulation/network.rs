//! Lanes as bad as real ones: nodes that die, freeze and thaw, links that are cut in one direction, packets that are
//! lost. What a bus does about it (suspect, resend, give up, connect again) is modelled with the timings of the real
//! one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::chat::{BusEvent, Carrying};
use crate::wire::Envelope;
use crate::wire::envelope::{Target, Word};

pub const LANES: usize = 3;
const SUSPECT: Duration = Duration::from_millis(150);
const DEAD: Duration = Duration::from_millis(600);
const RETRY: Duration = Duration::from_millis(100);
const CANARY_MAX: Duration = Duration::from_millis(1500);
/// A peer's lanes are known for this long after it was heard.
const MASK_AGE: Duration = Duration::from_secs(3);

/// Where a packet is: on its way from a server to a node, or back.
#[derive(Debug)]
struct Packet {
    at: Instant,
    envelope: Envelope,
    /// Of which connection of its sender; a node executes what a connection that was closed has left behind.
    number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    Up,
    Frozen,
    Dead,
}

/// What a server sees of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Up,
    Suspect,
    Down { retry: Instant },
}

/// One server's connection to one node.
#[derive(Debug)]
struct Link {
    sight: Sight,
    /// Which life of the node it is connected to.
    life: u64,
    /// When it was last known to answer.
    answered: Instant,
    up: VecDeque<Packet>,
    down: VecDeque<Packet>,
    in_flight: VecDeque<(u64, Envelope)>,
    no_up: bool,
    no_down: bool,
}

/// One server's end.
#[derive(Debug)]
pub struct End {
    pub incarnation: u64,
    links: Vec<Link>,
    rooms: BTreeSet<Arc<str>>,
    confirmations: VecDeque<(Instant, Arc<str>)>,
    masks: BTreeMap<u64, (u64, Instant)>,
    events: VecDeque<BusEvent>,
    rotation: usize,
    is_dead: bool,
    is_stalled: bool,
}

#[derive(Debug)]
pub struct Network {
    pub nodes: [Node; LANES],
    /// How often each node has died.
    lives: [u64; LANES],
    pub ends: Vec<End>,
    pub loss: f32,
    published: u64,
    rng: Rng,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        let rng = Rng::with_seed(seed);
        Self { nodes: [Node::Up; LANES], lives: [0; LANES], ends: Vec::new(), loss: 0.0, published: 0, rng }
    }

    pub fn add(&mut self, incarnation: u64, now: Instant) -> usize {
        let links = (0..LANES)
            .map(|_| Link {
                sight: Sight::Down { retry: now },
                life: 0,
                answered: now,
                up: VecDeque::new(),
                down: VecDeque::new(),
                in_flight: VecDeque::new(),
                no_up: false,
                no_down: false,
            })
            .collect();
        self.ends.push(End {
            incarnation,
            links,
            rooms: BTreeSet::new(),
            confirmations: VecDeque::new(),
            masks: BTreeMap::new(),
            events: VecDeque::new(),
            rotation: 0,
            is_dead: false,
            is_stalled: false,
        });
        self.ends.len() - 1
    }

    /// The process is gone. What it had sent may still be executed.
    pub fn kill(&mut self, server: usize) {
        self.ends[server].is_dead = true;
        self.ends[server].rooms.clear();
    }

    /// The process stands still, or goes on: how long it stood is not taken for the silence of others.
    pub fn stall(&mut self, server: usize, is_stalled: bool, now: Instant) {
        let end = &mut self.ends[server];
        end.is_stalled = is_stalled;
        end.links.iter_mut().for_each(|link| link.answered = now);
    }

    pub fn carrying(&self, server: usize, now: Instant) -> Carrying {
        let carries = |link: &&Link| {
            link.sight == Sight::Up && now.saturating_duration_since(link.answered) < CANARY_MAX
        };
        Carrying { lanes: self.ends[server].links.iter().filter(carries).count(), of: LANES }
    }

    pub fn cut(&mut self, server: usize, lane: usize, no_up: bool, no_down: bool) {
        let link = &mut self.ends[server].links[lane];
        (link.no_up, link.no_down) = (no_up, no_down);
    }

    /// The node's memory is gone with it.
    pub fn kill_node(&mut self, lane: usize) {
        self.nodes[lane] = Node::Dead;
        self.lives[lane] += 1;
        for end in &mut self.ends {
            end.links[lane].up.clear();
            end.links[lane].down.clear();
        }
    }

    pub fn subscribe(&mut self, server: usize, room: Arc<str>, now: Instant) {
        let end = &mut self.ends[server];
        end.confirmations.push_back((now + Duration::from_millis(1), Arc::clone(&room)));
        end.rooms.insert(room);
    }

    pub fn unsubscribe(&mut self, server: usize, room: &Arc<str>) {
        self.ends[server].rooms.remove(room);
    }

    pub fn publish(&mut self, server: usize, mut envelope: Envelope, now: Instant) {
        let mask = self.ends[server].mask();
        if let Word::Alive { lanes, .. } = &mut envelope.word {
            *lanes = mask;
        }
        for lane in self.route(server, &envelope, now) {
            self.send(server, lane, envelope.clone(), now);
        }
    }

    fn send(&mut self, server: usize, lane: usize, envelope: Envelope, now: Instant) {
        let latency = self.latency();
        self.published += 1;
        let number = self.published;
        let link = &mut self.ends[server].links[lane];
        link.in_flight.push_back((number, envelope.clone()));
        if !link.no_up {
            let at = link.up.back().map_or(now, |last| last.at.max(now)) + latency;
            link.up.push_back(Packet { at, envelope, number });
        }
    }

    /// The first lane that everybody hears; else as few as reach everybody.
    fn route(&mut self, server: usize, envelope: &Envelope, now: Instant) -> Vec<usize> {
        let end = &mut self.ends[server];
        end.masks.retain(|_, (_, heard)| now.saturating_duration_since(*heard) < MASK_AGE);
        let up: Vec<_> = (0..LANES).filter(|lane| end.links[*lane].sight == Sight::Up).collect();
        match envelope.target() {
            Target::All => up,
            Target::Server(to) => {
                end.rotation += 1;
                let mask = end.masks.get(&to).map_or(u64::MAX, |(mask, _)| *mask);
                let shared: Vec<_> = up.iter().copied().filter(|lane| mask >> lane & 1 == 1).collect();
                let any = if shared.is_empty() { up } else { shared };
                any.get(end.rotation % any.len().max(1)).copied().into_iter().collect()
            }
            Target::Room(room) => {
                let start = room.len() + room.as_bytes()[0] as usize;
                let order: Vec<_> =
                    up.iter().map(|lane| (lane + start) % LANES).filter(|lane| up.contains(lane)).collect();
                let order = if order.len() == up.len() { order } else { up.clone() };
                let mut unreached: Vec<u64> = end.masks.values().map(|(mask, _)| *mask).collect();
                let mut chosen = Vec::new();
                for lane in &order {
                    if unreached.iter().all(|mask| mask >> lane & 1 == 1) {
                        return vec![*lane];
                    }
                }
                for lane in order {
                    let before = unreached.len();
                    unreached.retain(|mask| mask >> lane & 1 == 0);
                    if unreached.len() < before || chosen.is_empty() {
                        chosen.push(lane);
                    }
                }
                chosen
            }
        }
    }

    fn latency(&mut self) -> Duration {
        Duration::from_micros(self.rng.u64(100..1500))
    }

    /// Time passes at the nodes and on the links.
    pub fn pass(&mut self, now: Instant) {
        for lane in 0..LANES {
            if self.nodes[lane] == Node::Up {
                self.execute(lane, now);
            }
        }
        for server in 0..self.ends.len() {
            if !self.ends[server].is_dead && !self.ends[server].is_stalled {
                self.arrive(server, now);
                self.watch(server, now);
            }
        }
    }

    /// A node hands on what has reached it, in the order of its arrival.
    fn execute(&mut self, lane: usize, now: Instant) {
        let mut arrived = Vec::new();
        for (server, end) in self.ends.iter_mut().enumerate() {
            let link = &mut end.links[lane];
            while link.up.front().is_some_and(|packet| packet.at <= now) {
                arrived.extend(link.up.pop_front().map(|packet| (packet.at, server, packet)));
            }
        }
        arrived.sort_by_key(|(at, server, _)| (*at, *server));
        for (_, from, packet) in arrived {
            for to in 0..self.ends.len() {
                let latency = self.latency();
                let is_lost = self.rng.f32() < self.loss;
                let end = &mut self.ends[to];
                let hears = match packet.envelope.target() {
                    Target::All => true,
                    Target::Server(incarnation) => end.incarnation == incarnation,
                    Target::Room(room) => end.rooms.contains(room),
                };
                let link = &mut end.links[lane];
                let is_connected = !matches!(link.sight, Sight::Down { .. }) && !end.is_dead;
                if hears && is_connected && !link.no_down && !is_lost {
                    let at = link.down.back().map_or(now, |last| last.at.max(now)) + latency;
                    let (envelope, number) = (packet.envelope.clone(), packet.number);
                    link.down.push_back(Packet { at, envelope, number });
                }
            }
            // The integer reply.
            let link = &mut self.ends[from].links[lane];
            if !link.no_down {
                link.in_flight.retain(|(number, _)| *number != packet.number);
            }
        }
    }

    fn arrive(&mut self, server: usize, now: Instant) {
        let end = &mut self.ends[server];
        for link in &mut end.links {
            while link.down.front().is_some_and(|packet| packet.at <= now) {
                let Some(packet) = link.down.pop_front() else { break };
                if packet.envelope.origin == end.incarnation {
                    continue;
                }
                if let Word::Alive { lanes, .. } = &packet.envelope.word {
                    end.masks.insert(packet.envelope.origin, (*lanes, now));
                }
                end.events.push_back(BusEvent::Received(packet.envelope));
            }
        }
        let is_subscribed = end.links.iter().any(|link| link.sight == Sight::Up);
        while is_subscribed && end.confirmations.front().is_some_and(|(at, _)| *at <= now) {
            let room = end.confirmations.pop_front().map(|(_, room)| room);
            end.events.extend(room.map(BusEvent::Subscribed));
        }
    }

    /// A server's own watch over its lanes.
    fn watch(&mut self, server: usize, now: Instant) {
        for lane in 0..LANES {
            let (node, life) = (self.nodes[lane], self.lives[lane]);
            let link = &mut self.ends[server].links[lane];
            let answers = node == Node::Up && !link.no_up && !link.no_down;
            if answers {
                link.answered = now;
            }
            let silence = now.saturating_duration_since(link.answered);
            match link.sight {
                Sight::Down { retry } if retry <= now => {
                    link.sight = if answers { Sight::Up } else { Sight::Down { retry: now + RETRY } };
                    if answers {
                        link.life = life;
                        link.down.clear();
                    }
                }
                Sight::Down { .. } => {}
                _ if link.life != life || silence >= DEAD => self.give_up(server, lane, now),
                Sight::Up if silence >= SUSPECT => {
                    link.sight = Sight::Suspect;
                    self.resend(server, lane, now);
                }
                Sight::Suspect if answers => link.sight = Sight::Up,
                Sight::Up | Sight::Suspect => {}
            }
        }
    }

    fn give_up(&mut self, server: usize, lane: usize, now: Instant) {
        let link = &mut self.ends[server].links[lane];
        link.sight = Sight::Down { retry: now + RETRY };
        link.down.clear();
        self.resend(server, lane, now);
        self.ends[server].events.push_back(BusEvent::Lost);
    }

    fn resend(&mut self, server: usize, lane: usize, now: Instant) {
        let in_flight = std::mem::take(&mut self.ends[server].links[lane].in_flight);
        let next = (0..LANES).find(|next| self.ends[server].links[*next].sight == Sight::Up);
        for (_, envelope) in in_flight {
            if let Some(next) = next
                && !matches!(envelope.target(), Target::All)
            {
                self.send(server, next, envelope, now);
            }
        }
    }

    pub fn poll_event(&mut self, server: usize) -> Option<BusEvent> {
        self.ends[server].events.pop_front()
    }
}

impl End {
    fn mask(&self) -> u64 {
        let is_up = |(_, link): &(usize, &Link)| link.sight == Sight::Up;
        self.links.iter().enumerate().filter(is_up).fold(0, |mask, (lane, _)| mask | 1 << lane)
    }
}
