//! What happened in a world, for whoever has to understand why it failed.

use super::plan::Ms;

const ALL: [Check; 21] = [
    Check::AckHeld,
    Check::AckOfMinority,
    Check::AckOfRetry,
    Check::HaveTrue,
    Check::GapTrue,
    Check::Order,
    Check::CompleteTrue,
    Check::IncompleteTrue,
    Check::Once,
    Check::AnswerBelow,
    Check::Bounds,
    Check::Delivered,
    Check::Holes,
    Check::NobodyWaits,
    Check::Digests,
    Check::HeldTwice,
    Check::Presence,
    Check::QuickAck,
    Check::QuickJoin,
    Check::NoError,
    Check::Panic,
];

/// Which rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    AckHeld,
    /// Acknowledged by a server that is alone with a minority of lanes.
    AckOfMinority,
    /// A retry of another server's message is acknowledged though only one has it.
    AckOfRetry,
    HaveTrue,
    GapTrue,
    Order,
    CompleteTrue,
    IncompleteTrue,
    Once,
    AnswerBelow,
    Bounds,
    Delivered,
    Holes,
    NobodyWaits,
    Digests,
    HeldTwice,
    Presence,
    QuickAck,
    QuickJoin,
    NoError,
    Panic,
}

impl Check {
    /// Those named in `SIMULATION_IGNORE`, separated by commas.
    pub fn ignored() -> Vec<Self> {
        let named = std::env::var("SIMULATION_IGNORE").unwrap_or_default();
        ALL.into_iter().filter(|check| named.split(',').any(|name| name == format!("{check:?}"))).collect()
    }
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub at: Ms,
    pub check: Check,
    pub what: String,
    /// The message that it is about.
    pub text: Option<u64>,
}

/// Lines of a world, each about all or about one message.
#[derive(Debug)]
pub struct Story {
    is_told: bool,
    lines: Vec<(Ms, Option<u64>, String)>,
}

impl Story {
    pub fn new(is_told: bool) -> Self {
        Self { is_told, lines: Vec::new() }
    }

    pub fn tell(&mut self, at: Ms, text: Option<u64>, line: impl FnOnce() -> String) {
        if self.is_told {
            self.lines.push((at, text, line()));
        }
    }

    /// What is about all, and what is about one message; without one, everything.
    pub fn about(&self, text: Option<u64>) -> String {
        let is_told = |of: &Option<u64>| of.is_none() || text.is_none() || *of == text;
        let lines = self.lines.iter().filter(|(_, of, _)| is_told(of));
        lines.map(|(at, _, line)| format!("{at:>7} ms  {line}\n")).collect()
    }
}
