//! One server's clock for stamps: it may be stepped, and run fast or slow.

use super::plan::Ms;

const EPOCH_MS: u64 = 1_700_000_000_000;

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// At this time it showed that.
    at: Ms,
    shown: f64,
    rate: f64,
}

impl Clock {
    pub fn new() -> Self {
        Self { at: 0, shown: EPOCH_MS as f64, rate: 1.0 }
    }

    pub fn read(&self, now: Ms) -> u64 {
        (self.shown + (now - self.at) as f64 * self.rate) as u64
    }

    pub fn step(&mut self, by: i64, now: Ms) {
        *self = Self { at: now, shown: self.read(now) as f64 + by as f64, ..*self };
    }

    pub fn drift(&mut self, rate: f64, now: Ms) {
        *self = Self { at: now, shown: self.read(now) as f64, rate };
    }
}
