//! Lanes as bad as real ones: nodes that die, freeze and thaw, links that are cut in one direction, packets that are
//! lost, late or overtaken. What a bus does about it (suspect, resend, give up, connect again) is modelled with the
//! timings of the real one (`lanes::timings`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use fastrand::Rng;

use super::plan::Ms;
use crate::chat::BusEvent;
use crate::wire::Envelope;
use crate::wire::envelope::{Target, Word};

pub const LANES: usize = 3;
const SUSPECT: Ms = 150;
const DEAD: Ms = 600;
const RETRY: Ms = 100;
const CANARY_MAX: Ms = 1500;
/// A peer's lanes are known for this long after it was heard.
const MASK_AGE: Ms = 3000;
/// How often a server looks at lanes that are not well.
const WATCH: Ms = 10;
/// A packet that is overtaken is late by up to this.
const OVERTAKEN_MAX: Ms = 60;

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
    Down { retry: Ms },
}

/// On its way: to a node, or from there to a server.
#[derive(Debug)]
struct Packet {
    at: Ms,
    number: u64,
    lane: usize,
    /// Of the node's life, or of the receiver's connection.
    life: u64,
    to: Option<usize>,
    from: usize,
    envelope: Envelope,
}

/// One server's connection to one node.
#[derive(Debug)]
struct Link {
    sight: Sight,
    /// Which life of the node it is connected to, and how often it was connected.
    life: u64,
    connection: u64,
    /// Since when nothing is answered.
    silent: Option<Ms>,
    /// From when on a server has heard itself on it.
    proven: Ms,
    last_up: Ms,
    last_down: Ms,
    in_flight: VecDeque<(u64, Envelope)>,
    no_up: bool,
    no_down: bool,
}

/// One server's end.
#[derive(Debug)]
struct End {
    incarnation: u64,
    links: Vec<Link>,
    /// Rooms, each from when on the nodes know.
    rooms: BTreeMap<Arc<str>, Ms>,
    confirmations: VecDeque<(Ms, Arc<str>)>,
    masks: BTreeMap<u64, (u64, Ms)>,
    /// What has arrived in its sockets.
    inbox: VecDeque<BusEvent>,
    rotation: usize,
    is_dead: bool,
    is_stalled: bool,
}

#[derive(Debug)]
pub struct Network {
    nodes: [Node; LANES],
    /// How often each node has died.
    lives: [u64; LANES],
    /// What has arrived at nodes that stand still.
    backlogs: [Vec<Packet>; LANES],
    ends: Vec<End>,
    packets: BinaryHeap<Reverse<Packet>>,
    watch_due: Ms,
    pub loss: f32,
    leg: RangeInclusive<Ms>,
    reorders: bool,
    count: u64,
    rng: Rng,
}

impl Network {
    pub fn new(seed: u64, leg: RangeInclusive<Ms>, reorders: bool) -> Self {
        Self {
            nodes: [Node::Up; LANES],
            lives: [0; LANES],
            backlogs: [const { Vec::new() }; LANES],
            ends: Vec::new(),
            packets: BinaryHeap::new(),
            watch_due: 0,
            loss: 0.0,
            leg,
            reorders,
            count: 0,
            rng: Rng::with_seed(seed),
        }
    }

    pub fn add(&mut self, incarnation: u64, now: Ms) {
        let link = |_| Link {
            sight: Sight::Down { retry: now },
            life: 0,
            connection: 0,
            silent: None,
            proven: Ms::MAX,
            last_up: 0,
            last_down: 0,
            in_flight: VecDeque::new(),
            no_up: false,
            no_down: false,
        };
        self.ends.push(End {
            incarnation,
            links: (0..LANES).map(link).collect(),
            rooms: BTreeMap::new(),
            confirmations: VecDeque::new(),
            masks: BTreeMap::new(),
            inbox: VecDeque::new(),
            rotation: 0,
            is_dead: false,
            is_stalled: false,
        });
        self.watch_due = now;
    }

    /// The process is gone. What it had sent may still be executed.
    pub fn kill(&mut self, server: usize) {
        let end = &mut self.ends[server];
        end.is_dead = true;
        end.rooms.clear();
        end.inbox.clear();
    }

    /// The process stands still, or goes on: how long it stood is not taken for the silence of others.
    pub fn stall(&mut self, server: usize, is_stalled: bool, now: Ms) {
        let end = &mut self.ends[server];
        end.is_stalled = is_stalled;
        end.links.iter_mut().for_each(|link| link.silent = None);
        self.watch_due = now;
    }

    /// How many lanes bring a server back what it says.
    pub fn carrying(&self, server: usize, now: Ms) -> usize {
        let carries = |link: &&Link| {
            !matches!(link.sight, Sight::Down { .. })
                && link.proven <= now
                && link.silent.is_none_or(|since| now < since + CANARY_MAX)
        };
        self.ends[server].links.iter().filter(carries).count()
    }

    /// Whether what one of two says on some lane comes to the other.
    pub fn share_a_lane(&self, one: usize, other: usize) -> bool {
        let works = |server: usize, lane: usize| {
            self.ends[server].links[lane].sight == Sight::Up && self.answers(server, lane)
        };
        (0..LANES).any(|lane| works(one, lane) && works(other, lane))
    }

    fn answers(&self, server: usize, lane: usize) -> bool {
        let link = &self.ends[server].links[lane];
        self.nodes[lane] == Node::Up && !link.no_up && !link.no_down
    }

    pub fn cut(&mut self, server: usize, lane: usize, no_up: bool, no_down: bool, now: Ms) {
        let link = &mut self.ends[server].links[lane];
        (link.no_up, link.no_down) = (no_up, no_down);
        self.watch_due = now;
    }

    /// A node that dies forgets all.
    pub fn set_node(&mut self, lane: usize, node: Node, now: Ms) {
        self.watch_due = now;
        self.nodes[lane] = node;
        match node {
            Node::Dead => {
                self.lives[lane] += 1;
                self.backlogs[lane].clear();
            }
            Node::Up => {
                for packet in std::mem::take(&mut self.backlogs[lane]) {
                    self.execute(packet, now);
                }
            }
            Node::Frozen => {}
        }
    }

    pub fn subscribe(&mut self, server: usize, room: Arc<str>, now: Ms) {
        let (there, back) = (self.latency(), self.latency());
        let end = &mut self.ends[server];
        end.confirmations.push_back((now + there + back, Arc::clone(&room)));
        end.rooms.insert(room, now + there);
        self.watch_due = self.watch_due.min(now + there + back);
    }

    pub fn unsubscribe(&mut self, server: usize, room: &Arc<str>) {
        let end = &mut self.ends[server];
        end.rooms.remove(room);
        end.confirmations.retain(|(_, waiting)| waiting != room);
    }

    pub fn publish(&mut self, server: usize, mut envelope: Envelope, now: Ms) {
        let mask = self.ends[server].mask();
        if let Word::Alive { lanes, .. } = &mut envelope.word {
            *lanes = mask;
        }
        for lane in self.route(server, &envelope, now) {
            self.send(server, lane, envelope.clone(), now);
        }
    }

    fn send(&mut self, server: usize, lane: usize, envelope: Envelope, now: Ms) {
        self.count += 1;
        let number = self.count;
        let mut at = now + self.latency();
        let link = &mut self.ends[server].links[lane];
        link.in_flight.push_back((number, envelope.clone()));
        if link.no_up {
            return;
        }
        at = in_order(&mut link.last_up, at, self.reorders, &mut self.rng);
        let life = link.life;
        self.packets.push(Reverse(Packet { at, number, lane, life, to: None, from: server, envelope }));
    }

    /// The first lane that everybody hears; else as few as reach everybody.
    fn route(&mut self, server: usize, envelope: &Envelope, now: Ms) -> Vec<usize> {
        let end = &mut self.ends[server];
        end.masks.retain(|_, (_, heard)| now.saturating_sub(*heard) < MASK_AGE);
        let mut up: Vec<_> = (0..LANES).filter(|lane| end.links[*lane].sight == Sight::Up).collect();
        if up.is_empty() {
            up = (0..LANES).filter(|lane| end.links[*lane].sight == Sight::Suspect).collect();
        }
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
                    (0..LANES).map(|lane| (lane + start) % LANES).filter(|lane| up.contains(lane)).collect();
                let mut unreached: Vec<u64> = end.masks.values().map(|(mask, _)| *mask).collect();
                let common = order.iter().find(|lane| unreached.iter().all(|mask| mask >> **lane & 1 == 1));
                if let Some(lane) = common {
                    return vec![*lane];
                }
                let mut chosen = Vec::new();
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

    fn latency(&mut self) -> Ms {
        self.rng.u64(self.leg.clone())
    }

    /// When there is something to do.
    pub fn due(&self) -> Ms {
        self.packets.peek().map_or(Ms::MAX, |Reverse(packet)| packet.at).min(self.watch_due)
    }

    /// Time passes at the nodes and on the links. True: servers have looked at their lanes.
    pub fn pass(&mut self, now: Ms) -> bool {
        while self.packets.peek().is_some_and(|Reverse(packet)| packet.at <= now) {
            let Some(Reverse(packet)) = self.packets.pop() else { break };
            match packet.to {
                Some(to) => self.arrive(to, packet),
                None if self.lives[packet.lane] != packet.life || self.nodes[packet.lane] == Node::Dead => {}
                None if self.nodes[packet.lane] == Node::Frozen => self.backlogs[packet.lane].push(packet),
                None => self.execute(packet, now),
            }
        }
        if self.watch_due > now {
            return false;
        }
        self.watch_due = Ms::MAX;
        for server in 0..self.ends.len() {
            if !self.ends[server].is_dead && !self.ends[server].is_stalled {
                self.watch(server, now);
            }
        }
        true
    }

    /// A node hands on what has reached it.
    fn execute(&mut self, packet: Packet, now: Ms) {
        let Packet { number, lane, from, envelope, .. } = packet;
        for to in 0..self.ends.len() {
            let end = &self.ends[to];
            let hears = match envelope.target() {
                Target::All => true,
                Target::Server(incarnation) => end.incarnation == incarnation,
                Target::Room(room) => end.rooms.get(room).is_some_and(|from| *from <= now),
            };
            let link = &end.links[lane];
            let is_connected = !matches!(link.sight, Sight::Down { .. }) && link.life == self.lives[lane];
            if !hears || end.is_dead || end.incarnation == envelope.origin || !is_connected || link.no_down {
                continue;
            }
            let at = now + self.latency();
            if self.rng.f32() < self.loss {
                continue;
            }
            let link = &mut self.ends[to].links[lane];
            let at = in_order(&mut link.last_down, at, self.reorders, &mut self.rng);
            let life = link.connection;
            self.count += 1;
            let (to, envelope) = (Some(to), envelope.clone());
            self.packets.push(Reverse(Packet { at, number: self.count, lane, life, to, from, envelope }));
        }
        // The integer reply.
        let link = &mut self.ends[from].links[lane];
        if !link.no_down {
            link.in_flight.retain(|(sent, _)| *sent != number);
        }
    }

    fn arrive(&mut self, server: usize, packet: Packet) {
        let end = &mut self.ends[server];
        if !end.is_dead && end.links[packet.lane].connection == packet.life {
            end.inbox.push_back(BusEvent::Received(packet.envelope));
        }
    }

    /// A server's own watch over its lanes.
    fn watch(&mut self, server: usize, now: Ms) {
        for lane in 0..LANES {
            let answers = self.answers(server, lane);
            let life = self.lives[lane];
            let connected = now + 2 * self.leg.end();
            let link = &mut self.ends[server].links[lane];
            if answers {
                link.silent = None;
            } else {
                link.silent.get_or_insert(now);
            }
            let silence = link.silent.map_or(0, |since| now - since);
            match link.sight {
                Sight::Down { retry } if retry <= now => {
                    link.sight = if answers { Sight::Up } else { Sight::Down { retry: now + RETRY } };
                    if answers {
                        (link.life, link.proven) = (life, connected);
                        link.connection += 1;
                        let ups =
                            self.ends[server].links.iter().filter(|link| link.sight == Sight::Up).count();
                        if ups == 1 {
                            self.ends[server].inbox.push_back(BusEvent::Lost);
                        }
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
            let link = &self.ends[server].links[lane];
            if link.sight != Sight::Up || link.silent.is_some() {
                self.watch_due = self.watch_due.min(now + WATCH);
            } else if link.proven > now {
                self.watch_due = self.watch_due.min(link.proven);
            }
        }
        let end = &mut self.ends[server];
        let is_up = end.links.iter().any(|link| link.sight == Sight::Up);
        while is_up && end.confirmations.front().is_some_and(|(at, _)| *at <= now) {
            let room = end.confirmations.pop_front().map(|(_, room)| room);
            end.inbox.extend(room.map(BusEvent::Subscribed));
        }
        if let Some((at, _)) = end.confirmations.front() {
            self.watch_due = self.watch_due.min(*at).max(now + 1);
        }
    }

    fn give_up(&mut self, server: usize, lane: usize, now: Ms) {
        let link = &mut self.ends[server].links[lane];
        link.sight = Sight::Down { retry: now + RETRY };
        link.connection += 1;
        link.proven = Ms::MAX;
        self.resend(server, lane, now);
        self.ends[server].inbox.push_back(BusEvent::Lost);
    }

    fn resend(&mut self, server: usize, lane: usize, now: Ms) {
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

    pub fn has_event(&self, server: usize) -> bool {
        !self.ends[server].inbox.is_empty()
    }

    /// The server reads what has come.
    pub fn poll_event(&mut self, server: usize, now: Ms) -> Option<BusEvent> {
        let end = &mut self.ends[server];
        let event = end.inbox.pop_front()?;
        if let BusEvent::Received(Envelope { origin, word: Word::Alive { lanes, .. } }) = &event {
            end.masks.insert(*origin, (*lanes, now));
        }
        Some(event)
    }
}

/// When a packet arrives that must not overtake the one before it, or may.
fn in_order(last: &mut Ms, at: Ms, reorders: bool, rng: &mut Rng) -> Ms {
    if reorders && rng.u8(..) < 40 {
        return at + rng.u64(1..=OVERTAKEN_MAX);
    }
    *last = at.max(*last);
    *last
}

impl End {
    fn mask(&self) -> u64 {
        let is_up = |(_, link): &(usize, &Link)| link.sight == Sight::Up;
        self.links.iter().enumerate().filter(is_up).fold(0, |mask, (lane, _)| mask | 1 << lane)
    }
}

impl Packet {
    fn key(&self) -> (Ms, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Packet {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Packet {}

impl PartialOrd for Packet {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Packet {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
