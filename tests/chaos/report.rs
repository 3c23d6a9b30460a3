//! What a run showed, for people.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::fault::{Fault, Kind};
use super::ledger::{Breach, Silence, Sums};

/// What a fault causes may come so much later.
const AFTERMATH: Duration = Duration::from_secs(1);
/// A room may be silent for a member so long, because of Redis or the network.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// The same because of the death of a server where the member is not.
const SILENCE_SERVER_MAX: Duration = Duration::from_secs(5);

pub struct Report {
    pub seed: u64,
    pub chaos: Duration,
    pub sums: Sums,
    pub breaches: BTreeMap<Breach, Vec<String>>,
    pub counters: BTreeMap<&'static str, u64>,
    pub lines: BTreeMap<Kind, Line>,
    /// Longest silence with no fault at that time.
    pub worst_calm: Duration,
    pub worst_tail: Duration,
    pub settled: Duration,
    pub lanes_up: Duration,
    pub memory: (u64, u64),
}

/// What is told of a kind of fault.
#[derive(Clone, Copy, Default)]
pub struct Line {
    pub count: usize,
    /// Longest silences of members of sound servers, while no server was broken and while one was; and of members of
    /// the broken one.
    pub worst: Duration,
    pub worst_with_server: Duration,
    pub worst_there: Duration,
}

/// Sorts silences by what was broken at the time.
pub fn lines(
    faults: &[Fault],
    silences: &[Silence],
    quiet: &[(Instant, Instant)],
) -> (BTreeMap<Kind, Line>, Duration) {
    let mut lines: BTreeMap<Kind, Line> = Kind::ALL.map(|kind| (kind, Line::default())).into();
    for fault in faults {
        lines.get_mut(&fault.kind).unwrap().count += 1;
    }
    let mut worst_calm = Duration::ZERO;
    for silence in silences {
        if quiet.iter().any(|(from, to)| overlap(silence, *from, *to + AFTERMATH)) {
            continue;
        }
        let length = silence.to - silence.from;
        let is_near =
            |fault: &&Fault| overlap(silence, fault.from, fault.to.unwrap_or(silence.to) + AFTERMATH);
        let near: Vec<_> = faults.iter().filter(is_near).collect();
        let is_there = near.iter().any(|fault| fault.server == Some(silence.server));
        let has_server = near.iter().any(|fault| fault.kind.is_of_server());
        if near.is_empty() {
            worst_calm = worst_calm.max(length);
        }
        for fault in near {
            let line = lines.get_mut(&fault.kind).unwrap();
            let worst = match (is_there, has_server) {
                (true, _) => &mut line.worst_there,
                (false, true) => &mut line.worst_with_server,
                (false, false) => &mut line.worst,
            };
            *worst = length.max(*worst);
        }
    }
    (lines, worst_calm)
}

fn overlap(silence: &Silence, from: Instant, to: Instant) -> bool {
    silence.from <= to && from <= silence.to
}

impl Report {
    /// Fails if the promise was broken.
    pub fn check(&self) {
        assert!(
            self.breaches.is_empty(),
            "CHAOS_SEED={}: the promise was broken: {:#?}",
            self.seed,
            self.breaches
        );
        for (kind, line) in &self.lines {
            let is_short = line.worst <= SILENCE_MAX && line.worst_with_server <= SILENCE_SERVER_MAX;
            assert!(is_short, "CHAOS_SEED={}: rooms were silent for too long: {kind}\n{self}", self.seed);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sums { said, acknowledged, owed, delivered, marked, refusals, worst_return } = &self.sums;
        let count = |breach| self.breaches.get(&breach).map_or(0, Vec::len);
        writeln!(f, "{:.0?} of chaos, CHAOS_SEED={}", self.chaos, self.seed)?;
        writeln!(f, "  said {said}, acknowledged {acknowledged}; owed {owed}, delivered {delivered}")?;
        writeln!(
            f,
            "  {} lost, {} doubled, {} out of order, {} resumed with a hole; {marked} marked gaps, all of known messages",
            count(Breach::Lost) + count(Breach::Unanswered),
            count(Breach::Doubled),
            count(Breach::Disordered) + count(Breach::Confused),
            count(Breach::Incomplete)
        )?;
        writeln!(f, "  worst silence of a room for a connected member, by what was broken:")?;
        writeln!(
            f,
            "    {:<26}{:>6}{:>12}{:>22}{:>12}",
            "", "times", "", "a server broken too", "at that one"
        )?;
        for (kind, line) in &self.lines {
            let [alone, with_server, there] =
                [line.worst, line.worst_with_server, line.worst_there].map(milliseconds);
            writeln!(f, "    {kind:<26}{:>6}{alone:>12}{with_server:>22}{there:>12}", line.count)?;
        }
        writeln!(f, "    {:<26}{:>6}{:>12}", "nothing", "", milliseconds(self.worst_calm))?;
        writeln!(f, "  longest way to another server {worst_return:.0?}")?;
        writeln!(f, "  the last word before a fault was everywhere after {:.0?} at most", self.worst_tail)?;
        writeln!(
            f,
            "  after the last fault: all messages everywhere after {:.0?}, all lanes up after {:.0?}",
            self.settled, self.lanes_up
        )?;
        for (name, value) in &self.counters {
            writeln!(f, "  {name} {value}")?;
        }
        writeln!(f, "  refusals {refusals:?}")?;
        let (server, redis) = self.memory;
        write!(f, "  memory: {} MiB the largest server, {} MiB the largest Redis", server >> 20, redis >> 20)
    }
}

fn milliseconds(time: Duration) -> String {
    if time.is_zero() { "-".to_owned() } else { format!("{} ms", time.as_millis()) }
}
