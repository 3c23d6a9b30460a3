//! What came out: one value, its table for people, its JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use serde::Serialize;

use crate::load::plan::Plan;
use crate::load::workload::Workload;
use crate::measure::latency::{Bucket, Quantiles};
use crate::measure::outcome::Outcome;
use crate::measure::storm::{self, Burst};
use crate::measure::timeline::{Frame, Timeline};
use crate::results::chart::Chart;
use crate::results::number::grouped;
use crate::results::usage::Usage;
use crate::wire::protocol::Protocol;

/// What is said of a run without faults.
pub const KEPT: &str = "nothing that was acknowledged was lost, doubled or out of order";

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
    /// Whether the servers acknowledge and number messages; if not, what was sent is owed, and order is not checked.
    pub acknowledges: bool,
    /// Clients in their rooms at the end, by server.
    pub servers: BTreeMap<String, u64>,
    /// How far the number of clients of a server is off the mean, at most, in percent; of servers that have any.
    pub spread_percent: f64,
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
    /// Told again on another connection to a member that had it, and dropped by its position.
    pub repeated: u64,
    /// Arrived with a number that is not behind the last one of its stream.
    pub out_of_order: u64,
    /// Arrived, but nobody said it there.
    pub unexpected: u64,
    /// Clients whose connection ended by itself, each once.
    pub lost_connection: u64,
    /// Times that clients came back into their room on a new connection, after the end of the old one.
    pub resumed: u64,
    /// Times that clients came back into their room on the same connection, at another server.
    pub resumed_in_place: u64,
    /// Times that clients were asked to move.
    pub asked_to_move: u64,
    /// Of these, times that they were in their room at the new server before they left the old one.
    pub moved: u64,
    /// Of all these returns, those in which something was no longer to be had.
    pub resumed_incomplete: u64,
    /// Times that a balancer told a client to come back at its turn.
    pub delayed: u64,
    /// Connections that clients dropped because the plan says so.
    pub dropped: u64,
    /// Times that clients fell out of their rooms, until all were back in them.
    pub bursts: u64,
    /// How long the longest of these lasted, from the first one's falling out to the last one's being back.
    pub worst_burst_seconds: f64,
    /// How often a client fell out of its room in it.
    pub worst_burst_falls: u64,
    /// The longest time from when a message should have been sent to its arrival, among clients that never lost their
    /// connection: what the others' storm did to them.
    pub worst_stall_ms: f64,
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
    /// How it went, second by second.
    pub film: Vec<Frame>,
    /// What the servers told of themselves; absent if they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl Report {
    /// Brings everything together. The first message was due at `start`.
    pub fn new(
        plan: &Plan,
        outcome: Outcome,
        start: Instant,
        film: Timeline,
        usage: Option<Usage>,
        interrupted: bool,
    ) -> Self {
        let Outcome { joined, counts, account, tally, last_arrival } = outcome;
        let seconds = last_arrival.saturating_duration_since(start).as_secs_f64();
        let bursts = storm::unite(tally.bursts);
        let length = |burst: &Burst| burst.to.saturating_duration_since(burst.from);
        let worst_burst = bursts.iter().max_by_key(|burst| length(burst));
        Self {
            run: format!("{:08x}", plan.run),
            seed: plan.seed,
            clients: plan.clients,
            rooms: plan.rooms,
            rate: plan.rate,
            duration_seconds: plan.duration.as_secs_f64(),
            payload_bytes: plan.payload_bytes,
            interrupted,
            acknowledges: plan.dialect == Protocol::DistrChat,
            joined,
            sent: counts.sent,
            acknowledged: counts.acknowledged,
            refused: counts.refused,
            unacknowledged: counts.unacknowledged(),
            expected: counts.expected,
            delivered: counts.delivered,
            delivered_per_second: if seconds > 0.0 { counts.delivered as f64 / seconds } else { 0.0 },
            lost: account.lost(&Workload::new(plan)),
            doubled: counts.doubled,
            repeated: counts.repeated,
            out_of_order: counts.out_of_order,
            unexpected: counts.unexpected,
            lost_connection: tally.lost_connection,
            resumed: tally.resumed,
            resumed_in_place: tally.resumed_in_place,
            asked_to_move: tally.asked_to_move,
            moved: tally.moved,
            resumed_incomplete: tally.resumed_incomplete,
            delayed: tally.delayed,
            dropped: tally.dropped,
            bursts: bursts.len() as u64,
            worst_burst_seconds: worst_burst.map_or(0.0, |burst| length(burst).as_secs_f64()),
            worst_burst_falls: worst_burst.map_or(0, |burst| burst.falls),
            worst_stall_ms: tally.longest_delivery.as_secs_f64() * 1000.0,
            connect_ms: tally.connect.quantiles(),
            acknowledge_ms: tally.acknowledge.quantiles(),
            deliver_ms: tally.deliver.quantiles(),
            late_ms: tally.late.quantiles(),
            deliver_histogram: tally.deliver.buckets(),
            film: film.develop(start),
            usage,
            spread_percent: spread_percent(tally.servers.values().copied()),
            servers: tally.servers,
            errors: tally.errors,
            closes: tally.closes,
        }
    }

    /// What went wrong, in words; empty if the servers did what was asked of them. Who interrupts a run does not wait for
    /// acknowledgements, so those that are missing then are no fault.
    pub fn faults(&self) -> Vec<String> {
        let away = u64::from(self.clients - self.joined);
        let unacknowledged = if self.interrupted { 0 } else { self.unacknowledged };
        let faults = [
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (self.out_of_order, "out of order"),
            (self.unexpected, "unexpected"),
            (
                unacknowledged,
                if unacknowledged == 1 {
                    "message was never acknowledged"
                } else {
                    "messages were never acknowledged"
                },
            ),
            (away, "clients not in their rooms"),
        ];
        let faults = faults.into_iter().filter(|(count, _)| *count > 0);
        faults.map(|(count, what)| format!("{} {what}", grouped(count))).collect()
    }

    /// All that was timed, by name.
    pub fn latencies(&self) -> [(&'static str, &Quantiles); 4] {
        [
            ("connect", &self.connect_ms),
            ("acknowledge", &self.acknowledge_ms),
            ("deliver", &self.deliver_ms),
            ("sent late by", &self.late_ms),
        ]
    }

    /// Who came back, and how; what did not happen is not told.
    fn write_returns(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.resumed + self.resumed_in_place + self.moved > 0 {
            let returns = [self.resumed, self.resumed_in_place, self.moved, self.resumed_incomplete];
            let [new, same, moved, incomplete] = returns.map(grouped);
            writeln!(
                f,
                "returns   {new} on a new connection, {same} on the same, {moved} by moving; of these {incomplete} \
                 incomplete"
            )?;
        }
        if self.asked_to_move > 0 {
            writeln!(f, "moves     {} asked for", grouped(self.asked_to_move))?;
        }
        if self.dropped > 0 {
            writeln!(f, "dropped   {} connections, as planned", grouped(self.dropped))?;
        }
        if self.delayed > 0 {
            writeln!(f, "delayed   {} by balancers, until their turn", grouped(self.delayed))?;
        }
        if self.bursts > 0 {
            let (bursts, falls) = (grouped(self.bursts), grouped(self.worst_burst_falls));
            let seconds = self.worst_burst_seconds;
            writeln!(
                f,
                "storms    {bursts}; the worst: {falls} out of their rooms, all back after {seconds:.2} s"
            )?;
            writeln!(f, "lost      {} connections", grouped(self.lost_connection))?;
            if self.lost_connection < self.clients.into() {
                let ms = self.worst_stall_ms;
                writeln!(f, "stall     {ms:.2} ms at most, for those who kept their connection")?;
            }
        }
        Ok(())
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
        let (servers, spread) = (list(&self.servers), self.spread_percent);
        writeln!(f, "\nclients per server   {servers}; at most {spread:.1} % off the mean")?;

        writeln!(f, "\nlatency, ms       p50       p90       p99     p99.9    p99.99       max       count")?;
        for (name, quantiles) in self.latencies() {
            let Quantiles { count, p50, p90, p99, p99_9, p99_99, max } = quantiles;
            writeln!(
                f,
                "{name:<12} {p50:>8.2}  {p90:>8.2}  {p99:>8.2}  {p99_9:>8.2}  {p99_99:>8.2}  {max:>8.2}  {:>10}",
                grouped(*count)
            )?;
        }

        if let Some(usage) = &self.usage {
            write!(f, "\n{usage}")?;
        }

        let per_second = format!("{} per second", grouped(self.delivered_per_second.round() as u64));
        let acknowledged = match self.acknowledges {
            true => "",
            false => "these servers tell nobody: all that was sent is owed, its order is not checked",
        };
        writeln!(f, "\nmessages")?;
        for (name, count, note, is_always_told) in [
            ("sent", self.sent, "", true),
            ("acknowledged", self.acknowledged, acknowledged, true),
            ("refused", self.refused, "", false),
            ("unacknowledged", self.unacknowledged, "neither acknowledged nor refused", false),
            ("expected", self.expected, "acknowledged × members", true),
            ("delivered", self.delivered, &per_second, true),
            ("lost", self.lost, "", true),
            ("doubled", self.doubled, "", true),
            ("out of order", self.out_of_order, "", true),
            ("repeated", self.repeated, "on another connection; no fault", false),
            ("unexpected", self.unexpected, "", false),
        ] {
            if is_always_told || count > 0 {
                let line = format!("  {name:<15} {:>12}  {note}", grouped(count));
                writeln!(f, "{}", line.trim_end())?;
            }
        }
        writeln!(f, "\nerrors    {}", list(&self.errors))?;
        writeln!(f, "closes    {}", list(&self.closes))?;
        self.write_returns(f)?;
        if !self.deliver_histogram.is_empty() {
            write!(f, "\ndelivery latency\n{}", Chart(&self.deliver_histogram))?;
        }
        match &*self.faults() {
            [] => writeln!(f, "\nok: {KEPT}"),
            faults => writeln!(f, "\nFAILED: {}", faults.join(", ")),
        }
    }
}

/// The largest deviation from the mean. A server without clients is dead, or has just come back.
fn spread_percent(clients: impl Iterator<Item = u64>) -> f64 {
    let clients: Vec<_> = clients.filter(|&count| count > 0).collect();
    let mean = clients.iter().sum::<u64>() as f64 / clients.len() as f64;
    let deviations = clients.iter().map(|&count| (count as f64 - mean).abs() * 100.0 / mean);
    deviations.fold(0.0, f64::max)
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
    use std::time::Duration;

    use super::*;
    use crate::measure::account::Account;
    use crate::measure::ledger::Counts;
    use crate::measure::stats::Stats;
    use crate::results::exposition::Reading;
    use crate::results::usage::Diary;

    fn report(counts: Counts, tally: Stats) -> Report {
        let duration = Duration::from_secs(2);
        let plan =
            Plan { clients: 4, rooms: 2, rate: 500, duration, seed: 9, run: 0xbeef, ..Plan::default() };
        let start = Instant::now();
        let account = Account::default();
        let outcome = Outcome { joined: 4, counts, account, tally, last_arrival: start + duration };
        Report::new(&plan, outcome, start, Timeline::new(start), None, false)
    }

    #[test]
    fn a_good_run() {
        let counts =
            Counts { sent: 1000, acknowledged: 1000, expected: 2000, delivered: 2000, ..Counts::default() };
        let mut tally = Stats::default();
        tally.servers.extend([("app-1".to_owned(), 2), ("app-2".to_owned(), 2)]);
        (0..2000).for_each(|index| tally.deliver.record(Duration::from_micros(300 + index)));
        let report = report(counts, tally);
        assert_eq!(report.faults(), [""; 0]);
        let text = report.to_string();
        for line in [
            "run 0000beef, seed 9: 4 clients in 2 rooms, 500 messages/s of 32 bytes for 2 s\n",
            "clients per server   app-1: 2, app-2: 2; at most 0.0 % off the mean\n",
            "deliver          1.30      2.10      2.28      2.30      2.30      2.30       2,000\n",
            "  delivered              2,000  1,000 per second\n",
            "  lost                       0\n",
            "errors    none\n",
            "ok: nothing",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        for name in ["refused", "returns", "moves", "delayed", "storms", "lost", "stall"] {
            assert!(!text.contains(&format!("\n{name}")), "{name} is told, but did not happen");
        }
    }

    #[test]
    fn a_storm_is_told() {
        let start = Instant::now();
        let burst = |from, to, falls| Burst {
            from: start + Duration::from_millis(from),
            to: start + Duration::from_millis(to),
            falls,
        };
        let mut tally = Stats {
            lost_connection: 3,
            resumed: 1002,
            resumed_in_place: 1,
            asked_to_move: 8,
            moved: 7,
            delayed: 20,
            bursts: vec![burst(0, 2000, 2), burst(3000, 4000, 300), burst(3500, 6250, 701)],
            longest_delivery: Duration::from_micros(12_340),
            ..Stats::default()
        };
        tally.servers.extend([("app-1".to_owned(), 9), ("app-2".to_owned(), 0), ("app-3".to_owned(), 11)]);
        let text = report(Counts::default(), tally).to_string();
        for line in [
            "clients per server   app-1: 9, app-2: 0, app-3: 11; at most 10.0 % off the mean\n",
            "returns   1,002 on a new connection, 1 on the same, 7 by moving; of these 0 incomplete\n",
            "moves     8 asked for\n",
            "delayed   20 by balancers, until their turn\n",
            "storms    2; the worst: 1,001 out of their rooms, all back after 3.25 s\n",
            "lost      3 connections\nstall     12.34 ms at most, for those who kept their connection\n",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn faults_are_told() {
        let counts = Counts { sent: 1, acknowledged: 1, doubled: 2000, ..Counts::default() };
        let mut report = report(counts, Stats::default());
        (report.joined, report.lost) = (3, 1);
        assert_eq!(report.faults(), ["1 lost", "2,000 doubled", "1 clients not in their rooms"]);
        assert!(
            report.to_string().ends_with("\nFAILED: 1 lost, 2,000 doubled, 1 clients not in their rooms\n")
        );
    }

    #[test]
    fn what_is_never_acknowledged_is_a_fault_unless_nobody_waited_for_it() {
        let counts = Counts { sent: 120_000, acknowledged: 78_673, ..Counts::default() };
        let mut report = report(counts, Stats::default());
        let fault = "41,327 messages were never acknowledged";
        assert_eq!(report.faults(), [fault]);
        let text = report.to_string();
        assert!(text.ends_with(&format!("\nFAILED: {fault}\n")), "{text}");
        assert!(crate::results::page::Page(&report).to_string().contains(fault));
        report.interrupted = true;
        assert_eq!(report.faults(), [""; 0]);
        assert!(report.to_string().contains("  unacknowledged        41,327  neither"), "{report}");
        // A server that says no has said so.
        let counts = Counts { sent: 3, acknowledged: 1, refused: 2, ..Counts::default() };
        assert_eq!(self::report(counts, Stats::default()).faults(), [""; 0]);
    }

    #[test]
    fn the_page_tells_the_same() {
        let mut report =
            report(Counts { sent: 1234, acknowledged: 1234, ..Counts::default() }, Stats::default());
        report.lost = 7;
        let page = crate::results::page::Page(&report).to_string();
        for part in ["<title>loadgen 0000beef<", "<dd>1,234<", "<dd class=\"bad\">7<", "7 lost", "<figure>"] {
            assert!(page.contains(part), "{part} is not in:\n{page}");
        }
        assert!(
            !page.contains("<b>CPU<") && !page.contains("<th>servers"),
            "nothing is known of the servers"
        );
    }

    #[test]
    fn what_servers_used_is_told_where_they_tell_it() {
        let mut report = report(Counts::default(), Stats::default());
        assert!(!report.to_string().contains("servers  ") && !as_json(&report).contains_key("usage"));
        let start = Instant::now();
        let told = |seconds, deliveries| {
            let page = format!(
                "distr_websockets 4\ndistr_deliveries_total {deliveries}\nprocess_cpu_seconds_total {seconds}\n\
                 process_resident_memory_bytes 4194304\n"
            );
            Reading::parse(&page).unwrap()
        };
        let later = start + Duration::from_secs(2);
        let diary = Diary {
            name: "<app-1>".into(),
            readings: vec![(start, told(1.0, 1000)), (later, told(1.5, 3000))],
        };
        report.usage = Usage::new(vec![diary], start);
        let line = "<app-1>              0.50   0.25      4.0    1,048,576        2,000";
        assert!(report.to_string().contains(line), "{report}");
        assert_eq!(as_json(&report)["usage"]["servers"][0]["cores"], 0.25);
        let page = crate::results::page::Page(&report).to_string();
        for part in
            ["<b>CPU<", "<b>Memory<", "<tr><td>&lt;app-1&gt;<td>0.50<td>0.25<td>4.0", "<tr><td>all<td>0.50"]
        {
            assert!(page.contains(part), "{part} is not in:\n{page}");
        }
    }

    fn as_json(report: &Report) -> serde_json::Map<String, serde_json::Value> {
        serde_json::to_value(report).unwrap().as_object().unwrap().clone()
    }

    #[test]
    fn the_json_is_flat_and_in_numbers() {
        let mut tally = Stats::default();
        tally.closes.insert(1001, 3);
        let json = serde_json::to_value(report(Counts { doubled: 1, ..Counts::default() }, tally)).unwrap();
        assert_eq!((&json["doubled"], &json["closes"]["1001"]), (&1.into(), &3.into()));
        assert_eq!(json["deliver_ms"]["p99_9"], 0.0);
    }

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
