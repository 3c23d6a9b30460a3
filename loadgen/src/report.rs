//! What came out: one value, its table for people, its JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::chart::Chart;
use crate::latency::{Bucket, Quantiles};
use crate::ledger::Counts;
use crate::number::grouped;
use crate::plan::Plan;
use crate::tally::Tally;

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The run's name, as it stands in rooms and users.
    pub run: String,
    /// The seed.
    pub seed: u64,
    /// Clients, all in all.
    pub clients: u32,
    /// Rooms.
    pub rooms: u32,
    /// Messages per second that were planned.
    pub rate: u32,
    /// Seconds for which they were planned.
    pub duration_seconds: f64,
    /// Bytes of text of a message.
    pub payload_bytes: usize,
    /// Whether somebody pressed Ctrl-C before the end.
    pub interrupted: bool,
    /// Clients in their rooms at the end, by server.
    pub servers: BTreeMap<String, u64>,
    /// Clients in their rooms at the end.
    pub joined: u32,
    /// Messages said.
    pub sent: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Of these, neither.
    pub unacknowledged: u64,
    /// Acknowledged messages times the members of their rooms.
    pub expected: u64,
    /// First arrivals, also of messages that are not acknowledged.
    pub delivered: u64,
    /// First arrivals per second, from the start to the last arrival.
    pub delivered_per_second: f64,
    /// Acknowledged, but not arrived at some member.
    pub lost: u64,
    /// Arrived at a member that had it.
    pub doubled: u64,
    /// Told again in a history to a member that had it.
    pub repeated: u64,
    /// Arrived with a number that is not behind the last one of its stream.
    pub out_of_order: u64,
    /// Arrived, but nobody said it there.
    pub unexpected: u64,
    /// Clients that came back into their room.
    pub resumed: u64,
    /// Of these, those who were told that something is no longer to be had.
    pub resumed_incomplete: u64,
    /// Clients that were asked to move.
    pub moved: u64,
    /// Errors by code, or in words.
    pub errors: BTreeMap<String, u64>,
    /// Connections that ended by themselves, by close code; 1006 stands for none.
    pub closes: BTreeMap<u16, u64>,
    /// From dialling to being in the room.
    pub connect_ms: Quantiles,
    /// From the intended time to the acknowledgement.
    pub acknowledge_ms: Quantiles,
    /// From the intended time to the arrival at a member.
    pub deliver_ms: Quantiles,
    /// From the intended time to the sending.
    pub late_ms: Quantiles,
    /// Delivery latencies.
    pub deliver_histogram: Vec<Bucket>,
}

impl Report {
    /// Brings everything together. `took` is the time from the start to the last arrival.
    pub fn new(
        plan: &Plan,
        joined: u32,
        counts: &Counts,
        tally: Tally,
        took: Duration,
        interrupted: bool,
    ) -> Self {
        let seconds = took.as_secs_f64();
        Self {
            run: format!("{:08x}", plan.run),
            seed: plan.seed,
            clients: plan.clients,
            rooms: plan.rooms,
            rate: plan.rate,
            duration_seconds: plan.duration.as_secs_f64(),
            payload_bytes: plan.payload_bytes,
            interrupted,
            joined,
            sent: counts.sent,
            acknowledged: counts.acknowledged,
            refused: counts.refused,
            unacknowledged: counts.unacknowledged(),
            expected: counts.expected,
            delivered: counts.delivered,
            delivered_per_second: if seconds > 0.0 { counts.delivered as f64 / seconds } else { 0.0 },
            lost: counts.missing,
            doubled: counts.doubled,
            repeated: counts.repeated,
            out_of_order: counts.out_of_order,
            unexpected: counts.unexpected,
            resumed: tally.resumed,
            resumed_incomplete: tally.resumed_incomplete,
            moved: tally.moved,
            connect_ms: tally.connect.quantiles(),
            acknowledge_ms: tally.acknowledge.quantiles(),
            deliver_ms: tally.deliver.quantiles(),
            late_ms: tally.late.quantiles(),
            deliver_histogram: tally.deliver.buckets(),
            servers: tally.servers,
            errors: tally.errors,
            closes: tally.closes,
        }
    }

    /// What went wrong, in words; empty if the servers kept their promise.
    pub fn faults(&self) -> Vec<String> {
        let away = u64::from(self.clients - self.joined);
        let faults = [
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (self.out_of_order, "out of order"),
            (self.unexpected, "unexpected"),
            (away, "clients not in their rooms"),
        ];
        let faults = faults.into_iter().filter(|(count, _)| *count > 0);
        faults.map(|(count, what)| format!("{} {what}", grouped(count))).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, seed, clients, rooms, rate, duration_seconds, payload_bytes, .. } = self;
        writeln!(
            f,
            "run {run}, seed {seed}: {clients} clients in {rooms} rooms, {rate} messages/s of {payload_bytes} bytes \
             for {duration_seconds} s{}",
            if self.interrupted { ", interrupted" } else { "" }
        )?;
        writeln!(f, "\nclients per server   {}", list(&self.servers))?;

        writeln!(f, "\nlatency, ms       p50       p90       p99     p99.9       max       count")?;
        for (name, quantiles) in [
            ("connect", &self.connect_ms),
            ("acknowledge", &self.acknowledge_ms),
            ("deliver", &self.deliver_ms),
            ("sent late by", &self.late_ms),
        ] {
            let Quantiles { count, p50, p90, p99, p99_9, max } = quantiles;
            writeln!(
                f,
                "{name:<12} {p50:>8.2}  {p90:>8.2}  {p99:>8.2}  {p99_9:>8.2}  {max:>8.2}  {:>10}",
                grouped(*count)
            )?;
        }

        let per_second = format!("{} per second", grouped(self.delivered_per_second.round() as u64));
        writeln!(f, "\nmessages")?;
        for (name, count, note, is_always_told) in [
            ("sent", self.sent, "", true),
            ("acknowledged", self.acknowledged, "", true),
            ("refused", self.refused, "", false),
            ("unacknowledged", self.unacknowledged, "", false),
            ("expected", self.expected, "acknowledged × members", true),
            ("delivered", self.delivered, &per_second, true),
            ("lost", self.lost, "", true),
            ("doubled", self.doubled, "", true),
            ("out of order", self.out_of_order, "", true),
            ("repeated", self.repeated, "in a history; no fault", false),
            ("unexpected", self.unexpected, "", false),
        ] {
            if is_always_told || count > 0 {
                let line = format!("  {name:<15} {:>12}  {note}", grouped(count));
                writeln!(f, "{}", line.trim_end())?;
            }
        }
        writeln!(f, "\nerrors    {}", list(&self.errors))?;
        writeln!(f, "closes    {}", list(&self.closes))?;
        if self.resumed + self.moved > 0 {
            let Self { resumed, resumed_incomplete, moved, .. } = self;
            writeln!(
                f,
                "resumed   {resumed}, of these {resumed_incomplete} incomplete; asked to move: {moved}"
            )?;
        }
        if !self.deliver_histogram.is_empty() {
            write!(f, "\ndelivery latency\n{}", Chart(&self.deliver_histogram))?;
        }
        match &*self.faults() {
            [] => writeln!(f, "\nok: nothing that was acknowledged was lost, doubled or out of order"),
            faults => writeln!(f, "\nFAILED: {}", faults.join(", ")),
        }
    }
}

fn list<K: fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    if counts.is_empty() {
        return "none".into();
    }
    let items: Vec<_> = counts.iter().map(|(name, count)| format!("{name}: {}", grouped(*count))).collect();
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(counts: &Counts, tally: Tally) -> Report {
        let duration = Duration::from_secs(2);
        let plan =
            Plan { clients: 4, rooms: 2, rate: 500, duration, payload_bytes: 32, seed: 9, run: 0xbeef };
        Report::new(&plan, 4, counts, tally, duration, false)
    }

    #[test]
    fn a_good_run() {
        let counts =
            Counts { sent: 1000, acknowledged: 1000, expected: 2000, delivered: 2000, ..Counts::default() };
        let mut tally = Tally::default();
        tally.servers.extend([("app-1".to_owned(), 2), ("app-2".to_owned(), 2)]);
        (0..2000).for_each(|index| tally.deliver.record(Duration::from_micros(300 + index)));
        let report = report(&counts, tally);
        assert_eq!(report.faults(), [""; 0]);
        let text = report.to_string();
        for line in [
            "run 0000beef, seed 9: 4 clients in 2 rooms, 500 messages/s of 32 bytes for 2 s\n",
            "clients per server   app-1: 2, app-2: 2\n",
            "deliver          1.30      2.10      2.28      2.30      2.30       2,000\n",
            "  delivered              2,000  1,000 per second\n",
            "  lost                       0\n",
            "errors    none\n",
            "ok: nothing",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("refused") && !text.contains("resumed"), "what did not happen is not told");
    }

    #[test]
    fn faults_are_told() {
        let counts = Counts { sent: 1, acknowledged: 1, missing: 1, doubled: 2000, ..Counts::default() };
        let mut report = report(&counts, Tally::default());
        report.joined = 3;
        assert_eq!(report.faults(), ["1 lost", "2,000 doubled", "1 clients not in their rooms"]);
        assert!(
            report.to_string().ends_with("\nFAILED: 1 lost, 2,000 doubled, 1 clients not in their rooms\n")
        );
    }

    #[test]
    fn the_json_is_flat_and_in_numbers() {
        let mut tally = Tally::default();
        tally.closes.insert(1001, 3);
        let json = serde_json::to_value(report(&Counts { missing: 1, ..Counts::default() }, tally)).unwrap();
        assert_eq!((&json["lost"], &json["closes"]["1001"]), (&1.into(), &3.into()));
        assert_eq!(json["deliver_ms"]["p99_9"], 0.0);
    }

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
