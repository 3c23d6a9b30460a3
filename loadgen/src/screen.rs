//! How a run is shown while it goes on: a bar on a terminal, lines elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::number::grouped;
use crate::progress::{News, Snapshot};
use crate::run::Phase;

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
const STYLE: &str = "{prefix:>10} [{bar:30}] {pos}/{len}  {msg}";

/// Shows snapshots, on standard error: standard output is for the report.
#[derive(Debug)]
pub struct Screen {
    clients: u32,
    messages: u64,
    phase: Option<Phase>,
    bar: Option<ProgressBar>,
    line_due: Instant,
}

impl Screen {
    /// A screen for so many clients and messages.
    pub fn new(clients: u32, messages: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(STYLE).expect("the template is a constant that parses");
            ProgressBar::new(0).with_style(style.progress_chars("##-"))
        });
        Self { clients, messages, phase: None, bar, line_due: Instant::now() }
    }

    /// Shows how it goes.
    pub fn show(&mut self, phase: Phase, snapshot: &Snapshot) {
        let is_new = self.phase.replace(phase) != Some(phase);
        let (name, done, all) = match phase {
            Phase::Connecting => ("connecting", snapshot.news.joined.into(), self.clients.into()),
            Phase::Sending => ("sending", snapshot.news.counts.sent, self.messages),
            Phase::Draining => {
                let counts = &snapshot.news.counts;
                ("draining", counts.delivered.min(counts.expected), counts.expected)
            }
        };
        if let Some(bar) = &self.bar {
            bar.set_prefix(name);
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(message(phase, snapshot));
            return;
        }
        let now = Instant::now();
        if is_new || self.line_due <= now {
            self.line_due = now + LINE_INTERVAL;
            eprintln!("{name} {}/{}  {}", grouped(done), grouped(all), message(phase, snapshot));
        }
    }

    /// Makes room for the report.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn message(phase: Phase, snapshot: &Snapshot) -> String {
    if phase == Phase::Connecting {
        return snapshot.news.errors.first().cloned().unwrap_or_default();
    }
    let Snapshot { news: News { joined, counts, .. }, recent } = snapshot;
    format!(
        "connected {}, sent {}, acked {}, delivered {}, p50 {:.2} ms, p99 {:.2} ms",
        grouped((*joined).into()),
        grouped(counts.sent),
        grouped(counts.acknowledged),
        grouped(counts.delivered),
        recent.p50,
        recent.p99
    )
}
