//! What may break beyond processes, links and nodes. All of it does, unless `CHAOS_WITHOUT=stalls,clocks` names it.

use fastrand::Rng;

use super::crowd::Habits;
use crate::support::fleet::Kind;

/// Worlds with little memory: one in so many.
const SHORT: usize = 3;
/// What all rooms of a server may keep together there, in bytes: nothing beyond 8 KiB a room, or hardly more.
const MEMORIES: [usize; 3] = [0, 64 << 10, 256 << 10];

#[derive(Clone, Copy, Debug)]
pub struct Freedoms {
    /// `stalls`: servers stand still for up to 15 s, some together with a node.
    pub stalls: bool,
    /// `clocks`: the clock of a server is wrong for a while.
    pub clocks: bool,
    /// `leaving`: clients leave a server that stands still.
    pub leaving: bool,
    /// `memory`: by seed, or as `CHAOS_MEMORY=0` says, servers keep few messages, and some messages are long.
    pub memory: Option<usize>,
    /// `CHAOS_SPLITS=1`: servers that share no Redis node, which is more than is promised: a member that then moves from one to
    /// the other with a message that was not acknowledged may see it twice.
    pub splits: bool,
}

impl Freedoms {
    pub fn new(rng: &mut Rng) -> Self {
        const NAMES: [&str; 4] = ["stalls", "clocks", "leaving", "memory"];
        let without = std::env::var("CHAOS_WITHOUT").unwrap_or_default();
        let without: Vec<_> = without.split(',').filter(|name| !name.is_empty()).collect();
        for name in &without {
            assert!(NAMES.contains(name), "CHAOS_WITHOUT: {name} is none of {NAMES:?}");
        }
        let has = |name| !without.contains(&name);
        let is_short = rng.usize(0..SHORT) == 0;
        let drawn = MEMORIES[rng.usize(0..MEMORIES.len())];
        let told = super::environment("CHAOS_MEMORY").map(|bytes| bytes as usize);
        Self {
            stalls: has("stalls"),
            clocks: has("clocks"),
            leaving: has("leaving"),
            memory: told.or(is_short.then_some(drawn)).filter(|_| has("memory")),
            splits: super::environment("CHAOS_SPLITS") == Some(1),
        }
    }

    /// What servers are started as.
    pub fn kind(&self) -> Kind {
        let arguments = self.memory.map(|bytes| format!("--history-memory {bytes}"));
        Kind { arguments: arguments.unwrap_or_default(), has_clocks: self.clocks, ..Kind::default() }
    }

    pub fn habits(&self) -> Habits {
        Habits { stay: false, leave_who_stalls: self.leaving, is_memory_short: self.memory.is_some() }
    }
}
