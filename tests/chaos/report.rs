//! What a run showed, for people.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::fault::{Fault, Kind};
use super::ledger::{Breach, Silence, Sums};

/// What a fault causes may come so much later.
const AFTERMATH: Duration = Duration::from_secs(1);
/// An acknowledgement takes no longer while no server, node or link is broken.
pub const ACK_MAX: Duration = Duration::from_secs(1);
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
    pub outcome: Outcome,
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
    /// Longest waits for an acknowledgement, at sound servers and at the broken one.
    pub ack: Duration,
    pub ack_there: Duration,
}

/// Silences and waits, by what was broken at the time.
#[derive(Default)]
pub struct Outcome {
    pub lines: BTreeMap<Kind, Line>,
    /// The longest with no fault at that time.
    pub worst_calm: Duration,
    pub ack_calm: Duration,
    /// Waits beyond [`ACK_MAX`] with nothing broken, or nothing but a clock.
    pub late_acks: usize,
}

impl Outcome {
    pub fn new(
        faults: &[Fault],
        silences: &[Silence],
        waits: &[Silence],
        quiet: &[(Instant, Instant)],
    ) -> Self {
        let lines = Kind::ALL.map(|kind| (kind, Line::default())).into();
        let mut outcome = Self { lines, ..Self::default() };
        for fault in faults {
            outcome.line(fault).count += 1;
        }
        let is_talk =
            |silence: &&Silence| !quiet.iter().any(|(from, to)| overlap(silence, *from, *to + AFTERMATH));
        for silence in silences.iter().filter(is_talk) {
            outcome.add_silence(silence, &near(silence, faults));
        }
        for wait in waits {
            outcome.add_wait(wait, &near(wait, faults));
        }
        outcome
    }

    fn line(&mut self, fault: &Fault) -> &mut Line {
        self.lines.get_mut(&fault.kind).unwrap()
    }

    fn add_silence(&mut self, silence: &Silence, near: &[&Fault]) {
        let length = silence.to - silence.from;
        let is_there = near.iter().any(|fault| fault.server == Some(silence.server));
        let has_server = near.iter().any(|fault| fault.kind.is_of_server());
        if near.is_empty() {
            self.worst_calm = self.worst_calm.max(length);
        }
        for fault in near {
            let line = self.line(fault);
            let worst = match (is_there, has_server) {
                (true, _) => &mut line.worst_there,
                (false, true) => &mut line.worst_with_server,
                (false, false) => &mut line.worst,
            };
            *worst = length.max(*worst);
        }
    }

    fn add_wait(&mut self, wait: &Silence, near: &[&Fault]) {
        let length = wait.to - wait.from;
        let is_there = near.iter().any(|fault| fault.server == Some(wait.server));
        if near.is_empty() {
            self.ack_calm = self.ack_calm.max(length);
        }
        if length > ACK_MAX && near.iter().all(|fault| fault.kind.is_of_clock()) {
            self.late_acks += 1;
        }
        for fault in near {
            let line = self.line(fault);
            let worst = if is_there { &mut line.ack_there } else { &mut line.ack };
            *worst = length.max(*worst);
        }
    }
}

/// What was broken meanwhile, or just before.
fn near<'a>(silence: &Silence, faults: &'a [Fault]) -> Vec<&'a Fault> {
    let is_near = |fault: &&Fault| overlap(silence, fault.from, fault.to.unwrap_or(silence.to) + AFTERMATH);
    faults.iter().filter(is_near).collect()
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
        for (kind, line) in &self.outcome.lines {
            let is_short = line.worst <= SILENCE_MAX && line.worst_with_server <= SILENCE_SERVER_MAX;
            assert!(is_short, "CHAOS_SEED={}: rooms were silent for too long: {kind}\n{self}", self.seed);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sums { said, acknowledged, owed, delivered, marked, expired, .. } = &self.sums;
        let Sums { cut_short, said_anew, refusals, worst_return, left, .. } = &self.sums;
        let count = |breach| self.sums.breaches.get(&breach).copied().unwrap_or_default();
        writeln!(f, "{:.0?} of chaos, CHAOS_SEED={}", self.chaos, self.seed)?;
        writeln!(f, "  said {said}, acknowledged {acknowledged}; owed {owed}, delivered {delivered}")?;
        writeln!(
            f,
            "  {} lost, {} doubled, {} out of order, {} resumed with a hole, {} late; {marked} numbers told as gaps",
            count(Breach::Lost) + count(Breach::Unanswered),
            count(Breach::Doubled),
            count(Breach::Disordered) + count(Breach::Confused),
            count(Breach::Incomplete),
            count(Breach::Late)
        )?;
        writeln!(
            f,
            "  no longer kept: {expired} sightings, {cut_short} returns cut short, {said_anew} said anew too late"
        )?;
        writeln!(
            f,
            "  worst silence of a room for a connected member, and slowest ack, by what was broken:"
        )?;
        writeln!(
            f,
            "    {:<26}{:>6}{:>12}{:>22}{:>12}{:>12}{:>12}",
            "", "times", "", "a server broken too", "at that one", "ack", "ack there"
        )?;
        let Outcome { lines, worst_calm, ack_calm, late_acks } = &self.outcome;
        for (kind, line) in lines {
            let [alone, with_server, there, ack, ack_there] =
                [line.worst, line.worst_with_server, line.worst_there, line.ack, line.ack_there]
                    .map(milliseconds);
            writeln!(
                f,
                "    {kind:<26}{:>6}{alone:>12}{with_server:>22}{there:>12}{ack:>12}{ack_there:>12}",
                line.count
            )?;
        }
        let [calm, ack] = [*worst_calm, *ack_calm].map(milliseconds);
        writeln!(f, "    {:<26}{:>6}{calm:>12}{:>22}{:>12}{ack:>12}", "nothing", "", "", "")?;
        writeln!(f, "  {late_acks} acks after more than {ACK_MAX:?} though at most a clock was wrong")?;
        writeln!(f, "  {left} times a member left a server that stood still")?;
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
