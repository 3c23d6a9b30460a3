//! What an event loop's time goes to: the clock is read once at the end of each phase of a turn, never for an event.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;

/// Seconds that a phase has taken in all turns.
pub type Seconds = Counter<f64, AtomicU64>;

/// Runs as long as its loop.
#[derive(Debug)]
pub struct Stopwatch {
    at: Instant,
}

impl Stopwatch {
    /// The first phase begins.
    pub fn start(at: Instant) -> Self {
        Self { at }
    }

    /// A phase ends, which is charged with all the time since the last one, and another begins: now.
    pub fn lap(&mut self, phase: &Seconds) -> Instant {
        let now = Instant::now();
        phase.inc_by(now.saturating_duration_since(self.at).as_secs_f64());
        self.at = now;
        now
    }

    /// When the phase that runs began.
    pub fn at(&self) -> Instant {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_time_is_charged_once() {
        let start = Instant::now();
        let (read, write) = (Seconds::default(), Seconds::default());
        let mut watch = Stopwatch::start(start);
        let mut end = start;
        for phase in [&read, &write, &read] {
            end = watch.lap(phase);
        }
        assert_eq!(watch.at(), end);
        let difference = read.get() + write.get() - (end - start).as_secs_f64();
        assert!(difference.abs() < 1e-9, "{difference}");
    }
}
