//! What a world is going to do, drawn from its seed before it begins, so that parts of it can be left out when a failure
//! is shrunk. What a fault hits is decided when it comes, by what lives then.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;

use crate::chat::Limits;

use super::kinds::{Kind, Kinds};

/// Milliseconds since the world began.
pub type Ms = u64;

/// Servers start, connect and find each other.
pub const START: Ms = 1000;
/// Traffic without faults: all that trouble left behind is mended meanwhile.
pub const PEACE: Ms = 7000;
/// So long after the last fault everything is as quick as it is meant to be.
pub const CALM_AFTER: Ms = 4000;
const CLIENTS_MAX: usize = 14;

/// One fault, with numbers that say what it hits.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub at: Ms,
    pub lasts: Ms,
    pub kind: Kind,
    pub dice: [u64; 3],
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Join,
    /// So many messages at once.
    Say(u32),
    Move,
    /// To another server, and only then from the first.
    Cross,
    Part,
}

#[derive(Clone, Copy, Debug)]
pub struct Act {
    pub at: Ms,
    pub client: usize,
    pub what: What,
}

/// How large things are in a world.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub ring_messages: usize,
    pub streams: usize,
    pub ids: usize,
    /// A room without members is kept for so long, and one that another server wants held.
    pub linger: Ms,
    pub hold: Ms,
}

impl Sizes {
    const PRODUCTION: Self =
        Self { ring_messages: 1000, streams: 64, ids: 4096, linger: 60_000, hold: 75_000 };

    fn draw(rng: &mut Rng) -> Self {
        Self {
            ring_messages: rng.usize(8..=60),
            // Those of servers that live are kept whatever the bound.
            streams: rng.usize(6..=10),
            ids: rng.usize(16..=200),
            linger: rng.u64(500..=4000),
            hold: rng.u64(2000..=8000),
        }
    }

    /// Small where the kinds say so.
    fn only(self, kinds: Kinds) -> Self {
        let mut sizes = Self::PRODUCTION;
        if kinds.has(Kind::SmallRings) {
            // A ring lasts for some round trips at least.
            let times = if kinds.has(Kind::Latency) { 10 } else { 1 };
            (sizes.ring_messages, sizes.ids) = (self.ring_messages * times, self.ids * times);
        }
        if kinds.has(Kind::FewStreams) {
            sizes.streams = self.streams;
        }
        if kinds.has(Kind::ShortLives) {
            (sizes.linger, sizes.hold) = (self.linger, self.hold);
        }
        sizes
    }

    /// What servers are given.
    pub fn limits(&self) -> Limits {
        let Self { ring_messages, streams, ids, linger, hold } = *self;
        let (room_linger, hold_time) = (Duration::from_millis(linger), Duration::from_millis(hold));
        Limits { ring_messages, streams, ids, room_linger, hold_time, ..Limits::default() }
    }

    /// No stream is forgotten in the life of a world.
    pub fn have_all_streams(&self) -> bool {
        self.streams >= Self::PRODUCTION.streams
    }

    /// No number of messages evicts one in the life of a world.
    fn are_roomy(&self) -> bool {
        self.ring_messages >= Self::PRODUCTION.ring_messages
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub kinds: Kinds,
    pub servers: usize,
    pub rooms: usize,
    pub faults: Vec<Fault>,
    pub acts: Vec<Act>,
    /// When the trouble is over.
    pub peace: Ms,
    /// From a server to a node and from there to another.
    pub leg: RangeInclusive<Ms>,
    /// The longest way from a client to its server.
    pub client_leg: Ms,
    /// Envelopes that a server reads in one turn.
    pub budget: usize,
    pub flush_delay: Ms,
    pub text_bytes: usize,
    pub sizes: Sizes,
    /// Whether the world goes on until rosters have to be right.
    pub is_long: bool,
}

impl Plan {
    /// The plan of a seed, with a part of the kinds that are `allowed`.
    pub fn draw(seed: u64, allowed: Kinds) -> Self {
        let mut rng = Rng::with_seed(seed);
        let keep = rng.u8(50..=255);
        let kinds = allowed.iter().filter(|_| rng.u8(..) <= keep).collect::<Vec<_>>();
        let kinds = Kinds::of(&kinds);
        let has_stalls = kinds.has(Kind::LongStall);
        let trouble = if has_stalls { rng.u64(8000..=26_000) } else { rng.u64(4000..=12_000) };
        let peace = START + trouble;
        let small_leg = 1..=rng.u64(1..=3);
        let long = rng.u64(10..=500);
        let leg = if kinds.has(Kind::Latency) { long * 2 / 3..=long } else { small_leg };
        Self {
            seed,
            kinds,
            servers: rng.usize(2..=5),
            rooms: rng.usize(1..=3),
            faults: faults(&mut rng, kinds, trouble),
            acts: acts(&mut rng, kinds, peace + PEACE),
            peace,
            leg,
            client_leg: if kinds.has(Kind::ClientLegs) { rng.u64(1..=100) } else { 0 },
            budget: if kinds.has(Kind::SmallBudget) { rng.usize(1..=64) } else { 4096 },
            flush_delay: if rng.u8(..) < 50 { 3 } else { 0 },
            text_bytes: text_bytes(&mut rng, kinds),
            sizes: Sizes::draw(&mut rng).only(kinds),
            is_long: rng.u8(..) < 64,
        }
    }

    /// Nothing is evicted in the life of the world.
    pub fn is_roomy(&self) -> bool {
        self.sizes.are_roomy() && self.text_bytes == 0
    }

    /// The longest way from one server to another.
    pub fn leg_max(&self) -> Ms {
        *self.leg.end()
    }

    /// When everybody falls silent.
    pub fn silence(&self) -> Ms {
        self.peace + PEACE + 6 * self.leg_max()
    }

    /// When all must have been mended.
    pub fn end(&self) -> Ms {
        self.silence() + 5000 + 10 * self.leg_max()
    }

    /// The same without one kind of freedom.
    pub fn without_kind(&self, kind: Kind) -> Self {
        let mut plan = self.clone();
        plan.kinds = plan.kinds.without(kind);
        plan.faults.retain(|fault| fault.kind != kind);
        match kind {
            Kind::Moves => plan.acts.retain(|act| act.what != What::Move),
            Kind::TwoLines => plan.acts.retain(|act| act.what != What::Cross),
            Kind::Partings => plan.acts.retain(|act| act.what != What::Part),
            Kind::Latency => plan.leg = 1..=2,
            Kind::ClientLegs => plan.client_leg = 0,
            Kind::SmallBudget => plan.budget = 4096,
            Kind::BigTexts => plan.text_bytes = 0,
            Kind::SmallRings | Kind::FewStreams | Kind::ShortLives => {
                plan.sizes = plan.sizes.only(plan.kinds);
            }
            _ => {}
        }
        plan
    }

    pub fn without_fault(&self, index: usize) -> Self {
        let mut plan = self.clone();
        plan.faults.remove(index);
        plan
    }

    pub fn without_client(&self, client: usize) -> Self {
        let mut plan = self.clone();
        plan.acts.retain(|act| act.client != client);
        plan
    }

    /// Without what clients do in a part of the time.
    pub fn without_acts(&self, times: &std::ops::Range<Ms>) -> Self {
        let mut plan = self.clone();
        plan.acts.retain(|act| act.what == What::Join || !times.contains(&act.at));
        plan
    }

    /// Those that do anything.
    pub fn clients(&self) -> Vec<usize> {
        let mut clients: Vec<_> = self.acts.iter().map(|act| act.client).collect();
        clients.sort_unstable();
        clients.dedup();
        clients
    }
}

/// A ring lasts for some round trips at least: docs/replication.md states that as a bound of the promise.
fn text_bytes(rng: &mut Rng, kinds: Kinds) -> usize {
    match (kinds.has(Kind::BigTexts), kinds.has(Kind::Latency)) {
        (false, _) => 0,
        (true, false) => rng.usize(10..=4000),
        (true, true) => rng.usize(10..=400),
    }
}

fn faults(rng: &mut Rng, kinds: Kinds, trouble: Ms) -> Vec<Fault> {
    let kinds = kinds.faults();
    if kinds.is_empty() {
        return Vec::new();
    }
    // From one in three seconds to four a second.
    let mean = [250, 500, 1000, 3000][rng.usize(0..4)];
    let count = trouble / mean;
    let draw = |_| {
        let kind = kinds[rng.usize(0..kinds.len())];
        let lasts = match kind {
            Kind::LongStall => rng.u64(3000..=20_000),
            Kind::Stall => rng.u64(50..=3900),
            Kind::Dark => rng.u64(100..=8000),
            _ => rng.u64(50..=4000),
        };
        Fault { at: START + rng.u64(0..trouble), lasts, kind, dice: [rng.u64(..), rng.u64(..), rng.u64(..)] }
    };
    let mut faults: Vec<_> = (0..=count).map(draw).collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn acts(rng: &mut Rng, kinds: Kinds, end: Ms) -> Vec<Act> {
    let mut acts = Vec::new();
    // Of all clients together, from 4 to 60 messages a second.
    let mean = [16, 30, 60, 120, 250][rng.usize(0..5)];
    let clients = rng.usize(2..=CLIENTS_MAX);
    for client in 0..clients {
        let is_early = rng.u8(..) < 160;
        let mut at = if is_early { START + rng.u64(0..500) } else { rng.u64(START..end - 3000) };
        acts.push(Act { at, client, what: What::Join });
        let can_move = kinds.has(Kind::Moves) && rng.bool();
        let can_cross = kinds.has(Kind::TwoLines) && rng.bool();
        let parts = kinds.has(Kind::Partings) && rng.u8(..) < 100;
        let parts_at = if parts { rng.u64(at..end) } else { Ms::MAX };
        loop {
            at += rng.u64(1..=2 * mean * clients as u64);
            if at >= end.min(parts_at) {
                break;
            }
            let what = match rng.u8(..) {
                0..12 if can_move => What::Move,
                12..24 if can_cross => What::Cross,
                24..32 if kinds.has(Kind::Bursts) => What::Say(rng.u32(5..=30)),
                _ => What::Say(1),
            };
            acts.push(Act { at, client, what });
        }
        if parts {
            acts.push(Act { at: parts_at, client, what: What::Part });
        }
    }
    acts.sort_by_key(|act| act.at);
    acts
}
