//! The freedoms of a world. Each seed switches a random part of them off (swarm testing): a fault that is always there
//! hides what another one would show.

/// Something that a world may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    // Faults with a time and an end.
    NodeKill,
    NodeFreeze,
    Cut,
    Split,
    Dark,
    Loss,
    HeavyLoss,
    Stall,
    LongStall,
    Kill,
    KillInTurn,
    KillWithNode,
    KillWithSplit,
    Leave,
    ClockStep,
    ClockDrift,
    // What clients do.
    Moves,
    TwoLines,
    /// They forget streams that `joined` does not name, as docs/protocol.md has it.
    Forgetful,
    Impatience,
    Partings,
    Bursts,
    BigTexts,
    SameNames,
    SameIds,
    // How the world is.
    Latency,
    Reordering,
    ClientLegs,
    SmallBudget,
    SmallRings,
    FewStreams,
    ShortLives,
}

use Kind::{
    BigTexts, Bursts, ClientLegs, ClockDrift, ClockStep, Cut, Dark, FewStreams, Forgetful, HeavyLoss,
    Impatience, Kill, KillInTurn, KillWithNode, KillWithSplit, Latency, Leave, LongStall, Loss, Moves,
    NodeFreeze, NodeKill, Partings, Reordering, SameIds, SameNames, ShortLives, SmallBudget, SmallRings,
    Split, Stall, TwoLines,
};

const ALL: [Kind; 32] = [
    NodeKill,
    NodeFreeze,
    Cut,
    Split,
    Dark,
    Loss,
    HeavyLoss,
    Stall,
    LongStall,
    Kill,
    KillInTurn,
    KillWithNode,
    KillWithSplit,
    Leave,
    ClockStep,
    ClockDrift,
    Moves,
    TwoLines,
    Forgetful,
    Impatience,
    Partings,
    Bursts,
    BigTexts,
    SameNames,
    SameIds,
    Latency,
    Reordering,
    ClientLegs,
    SmallBudget,
    SmallRings,
    FewStreams,
    ShortLives,
];

/// Those that break something for a while.
const FAULTS: [Kind; 16] = [
    NodeKill,
    NodeFreeze,
    Cut,
    Split,
    Dark,
    Loss,
    HeavyLoss,
    Stall,
    LongStall,
    Kill,
    KillInTurn,
    KillWithNode,
    KillWithSplit,
    Leave,
    ClockStep,
    ClockDrift,
];

/// What the simulation of 5cb1a44 could do.
const OLD: [Kind; 9] = [NodeKill, NodeFreeze, Cut, Split, Loss, Stall, Kill, Moves, Partings];

/// Worlds beyond the bounds that docs/replication.md states, so only where they are named. `ShortLives`: rooms are given up
/// before the 30 s after which others ask again to have them held. `SmallRings`: rings of 8 to 60 messages beside stalls of
/// 20 s, so that two servers may evict what the other has not fetched; one in 2,000 fails.
const BY_NAME: [Kind; 2] = [ShortLives, SmallRings];

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u64);

impl Kinds {
    /// All that the core is meant to bear.
    pub fn all() -> Self {
        BY_NAME.iter().fold(Self::of(&ALL), |kinds, kind| kinds.without(*kind))
    }

    /// Those that worlds had before.
    pub fn old() -> Self {
        Self::of(&OLD)
    }

    /// Those named, separated by commas; `old` and `all` stand for theirs, and `-Name` takes one away.
    pub fn parse(names: &str) -> Self {
        let mut kinds = Self(0);
        for name in names.split(',') {
            let (name, is_out) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
            let named = match name {
                "old" => Self::old(),
                "all" => Self::all(),
                name => Self::of(&[*ALL
                    .iter()
                    .find(|kind| format!("{kind:?}") == name)
                    .unwrap_or_else(|| panic!("{name} is none of {ALL:?}"))]),
            };
            kinds = Self(if is_out { kinds.0 & !named.0 } else { kinds.0 | named.0 });
        }
        kinds
    }

    pub fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u8))
    }

    pub fn has(self, kind: Kind) -> bool {
        self.0 >> kind as u8 & 1 == 1
    }

    pub fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u8))
    }

    pub fn iter(self) -> impl Iterator<Item = Kind> {
        ALL.into_iter().filter(move |kind| self.has(*kind))
    }

    /// Those that break something.
    pub fn faults(self) -> Vec<Kind> {
        FAULTS.into_iter().filter(|kind| self.has(*kind)).collect()
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
