//! How a run is shown while it goes on: a bar on a terminal, lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::progress::{News, Snapshot};
use crate::results::number::grouped;
use crate::runner::run::Phase;

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// The whole line is one text, so that the bar and the numbers in it change together.
const STYLE: &str = "{wide_msg}";
/// Cells of the bar.
const CELLS: u64 = 30;

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
            ProgressBar::no_length().with_style(style)
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
            let (done_of_all, message) = (of(done, all), message(phase, snapshot));
            bar.set_message(format!("{name:>10} [{}] {done_of_all}  {message}", cells(done, all)));
            return;
        }
        let now = Instant::now();
        if is_new || self.line_due <= now {
            self.line_due = now + LINE_INTERVAL;
            // Where nobody reads it there is nothing to do.
            let message = message(phase, snapshot);
            let _ = writeln!(io::stderr(), "{name} {}  {message}", of(done, all));
        }
    }

    /// Makes room for the report.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn of(done: u64, all: u64) -> String {
    format!("{}/{}", grouped(done), grouped(all))
}

/// The bar: as much of it as there is of all, and nothing of nothing.
fn cells(done: u64, all: u64) -> String {
    let full = u128::from(done.min(all)) * u128::from(CELLS) / u128::from(all.max(1));
    (0..CELLS).map(|cell| if u128::from(cell) < full { '#' } else { '-' }).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_shows_what_there_is() {
        let full = |done, all| cells(done, all).matches('#').count();
        for (done, all, expected) in [
            (0, 0, 0),
            (5, 0, 0),
            (0, 50, 0),
            (1, 50, 0),
            (25, 50, 15),
            (49, 50, 29),
            (50, 50, 30),
            (60, 50, 30),
        ] {
            assert_eq!(full(done, all), expected, "{done}/{all}");
        }
        assert_eq!((full(u64::MAX, u64::MAX), cells(1, 2).len()), (30, 30));
        assert_eq!(of(1_200, 3_000), format!("{}/{}", grouped(1_200), grouped(3_000)));
    }
}
