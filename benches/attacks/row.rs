//! One attack's line of the table, and the verdict.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::bystanders::Heard;
use super::frames::Seen;
use super::meter::{Amounts, Cost};
use super::probe::Probed;
use super::scene::Acts;

/// What bystanders may wait while others are attacked.
const P99_MAX: Duration = Duration::from_millis(100);
/// Cores that whoever else runs on the machine may use, or delays are theirs.
const OTHERS_CORES_MAX: f64 = 0.5;
/// What may be left of memory, in percent of what it was before.
const LEFT_PERCENT: u64 = 110;
/// And besides: what an allocator keeps of a burst, and rings of rooms, which stay for 60 s. A server takes about 15 MiB.
const LEFT_BYTES: u64 = 16 << 20;
const MIB: f64 = (1 << 20) as f64;

/// What was measured.
pub struct Row {
    pub name: &'static str,
    pub acts: Acts,
    pub heard: Heard,
    pub cost: Cost,
    pub probed: Probed,
    /// What attackers were told; `None`: it could not be carried out.
    pub seen: Option<Seen>,
    /// By how much counters rose.
    pub refusals: BTreeMap<String, u64>,
}

/// The end of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Withstood,
    Fell,
    /// The machine is too busy for a verdict about delays.
    Noisy,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Withstood => "withstood",
            Self::Fell => "NOT WITHSTOOD",
            Self::Noisy => "noisy",
        }
    }
}

/// Of the bystanders, in each act.
struct Delays {
    quiet: Duration,
    attacked: Duration,
    after: Duration,
    missing: usize,
}

impl Row {
    fn delays(&self) -> Delays {
        let Acts { quiet, attacked, after, end } = self.acts;
        // Who waits for what was said in the attack waits in the second half as well.
        let later = after + (end - after) / 2;
        let of = |from, to| self.heard.latencies(from, to);
        Delays {
            quiet: of(quiet, attacked).p99,
            attacked: of(attacked, after).p99,
            after: of(later, end - (end - later) / 5).p99,
            missing: of(quiet, end - (end - later) / 5).missing,
        }
    }

    /// Whether the attack was withstood.
    pub fn verdict(&self) -> Verdict {
        match &*self.faults() {
            [] if self.is_late() => Verdict::Noisy,
            [] => Verdict::Withstood,
            _ => Verdict::Fell,
        }
    }

    /// Why it was not withstood.
    fn faults(&self) -> Vec<String> {
        let (delays, mut faults) = (self.delays(), Vec::new());
        if self.seen.is_none() {
            faults.push("it could not be carried out".into());
        }
        if self.is_late() && !self.is_noisy() {
            let (attacked, after) = (ms(delays.attacked), ms(delays.after));
            faults.push(format!("bystanders' p99 {attacked:.0} ms, after it {after:.0} ms"));
        }
        let Amounts { before, after, .. } = self.cost.resident;
        if after > before * LEFT_PERCENT / 100 + LEFT_BYTES {
            faults.push(format!("memory {:.0} MiB, was {:.0}", mib(after), mib(before)));
        }
        if self.cost.is_stopped {
            faults.push("stopped, since it takes too much memory".into());
        }
        if self.probed.unanswered > 0 {
            faults.push(format!("/live: {} of {} unanswered", self.probed.unanswered, self.probed.checks));
        }
        if delays.missing > 0 {
            faults.push(format!("{} deliveries did not come", delays.missing));
        }
        if self.heard.lost > 0 {
            faults.push(format!("{} bystanders were cut off", self.heard.lost));
        }
        faults
    }

    fn is_late(&self) -> bool {
        let Delays { attacked, after, .. } = self.delays();
        attacked.max(after) > P99_MAX
    }

    fn is_noisy(&self) -> bool {
        self.delays().quiet > P99_MAX || self.cost.others_cores > OTHERS_CORES_MAX
    }

    /// The head of the table.
    pub fn print_head() {
        println!(
            "                       bystanders' p99, ms          memory, MiB        sockets, MiB  cores  newcomer, ms"
        );
        println!(
            "attack                 quiet  attacked  after    before  peak  after    before   peak   used   during  after"
        );
    }

    /// Its line, and below it what the attackers were told and the verdict.
    pub fn print(&self) {
        let (delays, resident, kernel) = (self.delays(), &self.cost.resident, &self.cost.kernel);
        let [during, after] = self.probed.slowest_join;
        println!(
            "{:<21} {:>6.1} {:>9.1} {:>6.1} {:>9.0} {:>5.0} {:>6.0} {:>9.1} {:>6.1} {:>6.2} {:>8.0} {:>6.0}",
            self.name,
            ms(delays.quiet),
            ms(delays.attacked),
            ms(delays.after),
            mib(resident.before),
            mib(resident.peak),
            mib(resident.after),
            mib(kernel.before),
            mib(kernel.peak),
            self.cost.cores,
            ms(during),
            ms(after),
        );
        println!("    attackers: {}", self.seen.as_ref().map_or_else(|| "-".into(), list));
        println!("    counters: {}", list(&self.refusals));
        if !self.heard.complaints.is_empty() {
            println!("    bystanders: {}", list(&self.heard.complaints));
        }
        if self.probed.not_ready > 0 {
            println!("    /ready: {} of {} not 200", self.probed.not_ready, self.probed.checks);
        }
        if self.is_noisy() {
            println!("    others on this machine used {:.1} cores", self.cost.others_cores);
        }
        let faults = self.faults();
        let separator = if faults.is_empty() { "" } else { ": " };
        println!("    {}{separator}{}", self.verdict().name(), faults.join("; "));
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let (delays, faults) = (self.delays(), self.faults());
        let amounts = |of: &Amounts| json!({"before": of.before, "peak": of.peak, "after": of.after});
        let [during, after] = self.probed.slowest_join.map(ms);
        json!({
            "attack": self.name,
            "p99_ms": {"quiet": ms(delays.quiet), "attacked": ms(delays.attacked), "after": ms(delays.after)},
            "deliveries_missing": delays.missing,
            "bystanders_lost": self.heard.lost,
            "bystanders_told": self.heard.complaints,
            "resident_bytes": amounts(&self.cost.resident),
            "tcp_bytes": amounts(&self.cost.kernel),
            "cores": self.cost.cores,
            "others_cores": self.cost.others_cores,
            "newcomer_ms": {"attacked": during, "after": after},
            "live": {"checks": self.probed.checks, "unanswered": self.probed.unanswered, "not_ready": self.probed.not_ready},
            "attackers": self.seen,
            "counters": self.refusals,
            "verdict": self.verdict().name(),
            "faults": faults,
        })
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    for (kind, count) in counts {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{kind} {count}");
    }
    if text.is_empty() { "-".into() } else { text }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
