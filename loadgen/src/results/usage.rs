//! What servers used while a run lasted, by what they told.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Instant;

use serde::Serialize;

use crate::results::exposition::{Counters, Reading};
use crate::results::number::grouped;

/// The kernel counts CPU time in hundredths of a second, so over less than this it says nothing of how it went.
const SHARE_SECONDS_MIN: f64 = 0.5;
/// Bytes.
pub const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What one server told, by time.
#[derive(Clone, Debug)]
pub struct Diary {
    /// Its name.
    pub name: String,
    /// What it told; what it did not answer is not there.
    pub readings: Vec<(Instant, Reading)>,
}

/// Of all servers that told something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Usage {
    /// Each by itself.
    pub servers: Vec<Server>,
    /// All together; what several servers of one process have in common is in it once.
    pub all: Sum,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Times that it was started again.
    pub restarts: u64,
    /// What it used.
    #[serde(flatten)]
    pub sum: Sum,
    /// How it went.
    pub moments: Vec<Moment>,
    #[serde(skip)]
    process: (Option<f64>, Option<f64>),
}

/// What one server, or several, used from the first message to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sum {
    /// What was counted.
    #[serde(flatten)]
    pub counters: Counters,
    /// CPU seconds a second.
    pub cores: Option<f64>,
    /// Memory at the end.
    pub resident_bytes: Option<f64>,
    /// WebSockets at the end.
    pub connections: Option<f64>,
    /// All memory of the process, divided by them.
    pub bytes_per_connection: Option<f64>,
    /// Write system calls.
    pub writes_per_delivery: Option<f64>,
    /// Envelopes of all kinds to other servers, for each message that got its place here.
    pub publishes_per_message: Option<f64>,
}

/// What a server told at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Seconds since the first message was due; before that, negative.
    pub at: f64,
    /// CPU seconds a second since the moment before.
    pub cores: Option<f64>,
    /// Memory.
    pub resident_bytes: Option<f64>,
}

impl Usage {
    /// Reads diaries. The first message was due at `start`. `None` if nobody told anything.
    pub fn new(diaries: Vec<Diary>, start: Instant) -> Option<Self> {
        let servers: Vec<_> = diaries.into_iter().filter_map(|diary| Server::new(diary, start)).collect();
        let mut processes = BTreeSet::new();
        let sums = servers.iter().map(|server| {
            match server.process().is_none_or(|process| processes.insert(process)) {
                true => server.sum,
                false => server.sum.without_process(),
            }
        });
        let all = sums.reduce(Sum::plus)?;
        Some(Self { servers, all: all.divide() })
    }

    fn share_a_process(&self) -> bool {
        let processes: Vec<_> = self.servers.iter().filter_map(Server::process).collect();
        processes.len() > processes.iter().collect::<BTreeSet<_>>().len()
    }
}

impl Server {
    fn new(Diary { name, readings }: Diary, start: Instant) -> Option<Self> {
        let (_, last) = *readings.last()?;
        let since = |at: Instant| match at.checked_duration_since(start) {
            Some(time) => time.as_secs_f64(),
            None => -(start - at).as_secs_f64(),
        };
        let (mut counters, mut seconds, mut restarts) = (None::<Counters>, 0.0, 0);
        let first =
            Moment { at: since(readings[0].0), cores: None, resident_bytes: readings[0].1.resident_bytes };
        let mut moments = vec![first];
        for pair in readings.windows(2) {
            let [(from, before), (to, now)] = pair else { continue };
            let was_restarted = now.counters.went_back(&before.counters) || now.process != before.process;
            let growth = now.counters.growth(&before.counters, was_restarted);
            let passed = (*to - *from).as_secs_f64();
            restarts += u64::from(was_restarted);
            moments.push(Moment {
                at: since(*to),
                cores: share(growth.cpu_seconds, Some(passed)).filter(|_| passed >= SHARE_SECONDS_MIN),
                resident_bytes: now.resident_bytes,
            });
            if *to > start {
                counters = Some(counters.map_or(growth, |counters| counters.plus(&growth)));
                seconds += passed;
            }
        }
        let counters = counters.unwrap_or_default();
        let Reading { process, connections, resident_bytes, .. } = last;
        let cores = share(counters.cpu_seconds, Some(seconds));
        let sum = Sum { counters, cores, resident_bytes, connections, ..Sum::default() }.divide();
        Some(Self { name, restarts, sum, moments, process })
    }

    /// What tells its process from others.
    fn process(&self) -> Option<(u64, u64)> {
        let (id, start) = self.process;
        Some((id?.to_bits(), start?.to_bits()))
    }
}

impl Sum {
    fn without_process(self) -> Self {
        let counters = Counters { cpu_seconds: None, ..self.counters };
        Self { counters, cores: None, resident_bytes: None, ..self }
    }

    fn plus(self, other: Self) -> Self {
        let add = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
        Self {
            counters: self.counters.plus(&other.counters),
            cores: add(self.cores, other.cores),
            resident_bytes: add(self.resident_bytes, other.resident_bytes),
            connections: add(self.connections, other.connections),
            ..Self::default()
        }
    }

    fn divide(self) -> Self {
        let Self { counters, resident_bytes, connections, .. } = self;
        Self {
            bytes_per_connection: share(resident_bytes, connections),
            writes_per_delivery: share(counters.writes, counters.deliveries),
            publishes_per_message: share(counters.publishes, counters.messages),
            ..self
        }
    }

    /// What is under [`HEADS`].
    pub fn cells(&self) -> [String; 8] {
        let Self { counters, cores, resident_bytes, bytes_per_connection, .. } = self;
        let cells = [
            decimal(counters.cpu_seconds),
            decimal(*cores),
            resident_bytes.map(|bytes| format!("{:.1}", bytes / MEBIBYTE)),
            whole(*bytes_per_connection),
            whole(counters.deliveries),
            decimal(self.writes_per_delivery),
            decimal(self.publishes_per_message),
            whole(counters.republished),
        ];
        cells.map(|cell| cell.unwrap_or_else(|| "–".into()))
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, cells: &[impl fmt::Display]) -> fmt::Result {
    write!(f, "{name:<16}")?;
    for (cell, width) in cells.iter().zip(WIDTHS) {
        write!(f, " {cell:>width$}")?;
    }
    writeln!(f)
}

/// Columns of the table.
pub const HEADS: [&str; 8] = [
    "CPU, s",
    "cores",
    "MiB",
    "B/connection",
    "deliveries",
    "writes/delivery",
    "publishes/message",
    "republished",
];
/// How wide they are in characters.
const WIDTHS: [usize; 8] = [8, 6, 8, 12, 12, 15, 17, 11];

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_row(f, "servers", &HEADS)?;
        for Server { name, restarts, sum, .. } in &self.servers {
            write_row(f, name, &sum.cells())?;
            if *restarts > 0 {
                writeln!(f, "  started again {}", times(*restarts))?;
            }
        }
        if self.servers.len() > 1 {
            write_row(f, "all", &self.all.cells())?;
        }
        if self.share_a_process() {
            writeln!(f, "  servers of one process: its CPU and memory stand at each, and once in the sum")?;
        }
        Ok(())
    }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".into(),
        count => format!("{} times", grouped(count)),
    }
}

fn share(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    let whole = whole.filter(|whole| *whole > 0.0)?;
    Some(part? / whole)
}

fn decimal(value: Option<f64>) -> Option<String> {
    value.map(|value| format!("{value:.2}"))
}

fn whole(value: Option<f64>) -> Option<String> {
    value.map(|value| grouped(value.round() as u64))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reading(process: f64, cpu: f64, deliveries: f64) -> Reading {
        Reading {
            process: (Some(process), Some(1.0)),
            connections: Some(10.0),
            resident_bytes: Some(1000.0),
            counters: Counters {
                cpu_seconds: Some(cpu),
                deliveries: Some(deliveries),
                writes: Some(deliveries / 2.0),
                ..Counters::default()
            },
        }
    }

    /// A server that told this, a second each after the other; the first message was due at the second.
    fn diary(name: &str, start: Instant, readings: &[Reading]) -> Diary {
        let begin = start - Duration::from_secs(1);
        let times = (0..).map(|second| begin + Duration::from_secs(second));
        Diary { name: name.into(), readings: times.zip(readings.iter().copied()).collect() }
    }

    fn start() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[test]
    fn what_was_used_counts_from_the_first_message() {
        let start = start();
        let readings = [reading(1.0, 5.0, 0.0), reading(1.0, 6.0, 0.0), reading(1.0, 6.5, 100.0)];
        let Usage { servers, all } = Usage::new(vec![diary("a", start, &readings)], start).unwrap();
        assert_eq!((all.counters.cpu_seconds, all.cores), (Some(0.5), Some(0.5)));
        assert_eq!((all.counters.deliveries, all.writes_per_delivery), (Some(100.0), Some(0.5)));
        assert_eq!((all.bytes_per_connection, all.publishes_per_message), (Some(100.0), None));
        let cores: Vec<_> = servers[0].moments.iter().map(|moment| (moment.at, moment.cores)).collect();
        assert_eq!(cores, [(-1.0, None), (0.0, Some(1.0)), (1.0, Some(0.5))]);
    }

    #[test]
    fn a_counter_that_goes_back_means_that_the_server_was_started_again() {
        let start = start();
        let told = [(1.0, 5.0, 100.0), (1.0, 6.0, 200.0), (1.0, 0.5, 30.0), (1.0, 0.75, 50.0)];
        let readings = told.map(|(process, cpu, deliveries)| reading(process, cpu, deliveries));
        let usage = Usage::new(vec![diary("a", start, &readings)], start).unwrap();
        assert_eq!(usage.servers[0].restarts, 1);
        assert_eq!(usage.all.counters.deliveries, Some(50.0));
        assert_eq!(usage.all.counters.cpu_seconds, Some(0.75));
        assert!(usage.to_string().contains("started again once"), "{usage}");
        // Another process that has counted further already.
        let readings = [reading(1.0, 1.0, 1.0), reading(1.0, 2.0, 2.0), reading(2.0, 3.0, 7.0)];
        let usage = Usage::new(vec![diary("a", start, &readings)], start).unwrap();
        assert_eq!((usage.servers[0].restarts, usage.all.counters.deliveries), (1, Some(7.0)));
    }

    #[test]
    fn servers_add_up_and_a_process_counts_once() {
        let start = start();
        let told = |process, cpu| [reading(process, cpu, 0.0), reading(process, cpu + 1.0, 10.0)];
        let at = start - Duration::from_secs(1);
        let diaries = [("a", 1.0), ("b", 1.0), ("c", 2.0)].map(|(name, process)| {
            let mut diary = diary(name, start, &told(process, 3.0));
            diary.readings[0].0 = at;
            diary.readings[1].0 = at + Duration::from_secs(2);
            diary
        });
        let usage = Usage::new(diaries.into(), start).unwrap();
        assert_eq!((usage.all.counters.cpu_seconds, usage.all.counters.deliveries), (Some(2.0), Some(30.0)));
        assert_eq!((usage.all.cores, usage.all.resident_bytes), (Some(1.0), Some(2000.0)));
        let text = usage.to_string();
        assert!(text.contains("\nall ") && text.contains("servers of one process"), "{text}");
    }

    #[test]
    fn who_told_nothing_is_not_there_and_one_word_is_no_rate() {
        let start = start();
        assert_eq!(Usage::new(vec![diary("a", start, &[])], start), None);
        let usage = Usage::new(vec![diary("a", start, &[reading(1.0, 5.0, 9.0)])], start).unwrap();
        assert_eq!((usage.all.counters, usage.all.cores), (Counters::default(), None));
        assert!(usage.to_string().contains('–'), "{usage}");
        assert!(serde_json::to_value(&usage).unwrap()["servers"][0]["cpu_seconds"].is_null());
    }
}
