//! What an event loop's time goes to: the clock is read once at the end of each phase of a turn, never for an event.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;

use super::loops::{Loop, Stage};

/// Seconds that a phase has taken in all turns.
pub type Seconds = Counter<f64, AtomicU64>;

/// Runs as long as its loop, and tells others where that is.
#[derive(Debug)]
pub struct Stopwatch {
    at: Instant,
    watched: Arc<Loop>,
}

impl Stopwatch {
    /// The loop waits for its first turn.
    pub fn start(at: Instant, watched: Arc<Loop>) -> Self {
        Self { at, watched }
    }

    /// A phase ends, which is charged with all the time since the last one, and another begins: now.
    pub fn lap(&mut self, phase: &Seconds, next: Stage) -> Instant {
        let now = Instant::now();
        phase.inc_by(now.saturating_duration_since(self.at).as_secs_f64());
        self.watched.enter(next, now);
        self.at = now;
        now
    }

    /// The phase that runs is another one for those who look, since there was nothing of the last.
    pub fn enter(&self, next: Stage) {
        self.watched.enter(next, self.at);
    }

    /// When the phase that runs began.
    pub fn at(&self) -> Instant {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::loops::Loops;

    #[test]
    fn all_time_is_charged_once_and_the_phase_is_known() {
        let start = Instant::now();
        let (read, write) = (Seconds::default(), Seconds::default());
        let loops = Loops::default();
        let mut watch = Stopwatch::start(start, loops.add("loop"));
        let mut end = start;
        for (phase, next) in [(&read, Stage::Flush), (&write, Stage::Read), (&read, Stage::Serve)] {
            end = watch.lap(phase, next);
            assert_eq!(loops.longest(end).unwrap().stage, next);
        }
        assert_eq!(watch.at(), end);
        let difference = read.get() + write.get() - (end - start).as_secs_f64();
        assert!(difference.abs() < 1e-9, "{difference}");
        watch.lap(&write, Stage::Wait);
        assert_eq!(loops.longest(end), None);
    }
}
