//! What one connection has a reactor do beside what its service counts: reads, bytes, and frames that are no messages.
//!
//! A service counts messages and requests. A ping, an empty fragment or a byte in a segment of its own reaches no service,
//! and costs the reactor about as much.

use std::time::Duration;

/// One read of the socket, whatever it brought, in units.
const READ: u64 = 1;
/// Bytes looked at in a read, held ones too, for each of which it costs a unit more.
const BYTES_A_UNIT: usize = 4096;
/// A frame that is no message, in units: a control frame, or a fragment that is not the last.
const FRAME: u64 = 8;
/// The part of a burst that is left for what comes behind the end.
const PART_FOR_THE_END: u64 = 16;
/// What is spent is kept in millionths of a unit: a rate per second times microseconds.
const MICRO: u64 = 1_000_000;

/// What a connection may spend, in units.
#[derive(Clone, Copy, Debug)]
pub struct WorkRate {
    /// Units per second.
    pub per_second: u32,
    /// Units at once after a rest.
    pub burst: u32,
}

impl WorkRate {
    /// Units for each message that a client may send. A message of 4 KiB comes in three segments and
    /// costs six; the rest lets half of the frames be others.
    const UNITS_A_MESSAGE: u32 = 16;

    /// For clients that may send so many messages.
    pub const fn beside_messages(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: per_second.saturating_mul(Self::UNITS_A_MESSAGE),
            burst: burst.saturating_mul(Self::UNITS_A_MESSAGE),
        }
    }
}

/// A leaky bucket in eight bytes: whoever has it knows since when it leaks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    spent: u64,
}

impl Work {
    /// So much time has passed.
    pub fn rest(&mut self, time: Duration, rate: WorkRate) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.spent = self.spent.saturating_sub(us.saturating_mul(rate.per_second.into()));
    }

    /// A read, after which so many bytes were looked at. False: that was too much.
    #[must_use]
    pub fn read(&mut self, bytes: usize, rate: WorkRate) -> bool {
        self.spend(READ + (bytes / BYTES_A_UNIT) as u64, rate)
    }

    /// A frame that is no message. False: that was too much.
    #[must_use]
    pub fn frame(&mut self, rate: WorkRate) -> bool {
        self.spend(FRAME, rate)
    }

    /// The connection is to end: what still comes is thrown away, and not much of it has to be read for that. What is under
    /// way when a client is told is 128 KiB at most, four reads.
    pub fn end(&mut self, rate: WorkRate) {
        let full = u64::from(rate.burst) * MICRO;
        self.spent = self.spent.max(full - full / PART_FOR_THE_END);
    }

    /// What is too much is not spent: nobody gets into debt.
    fn spend(&mut self, units: u64, rate: WorkRate) -> bool {
        let spent = self.spent.saturating_add(units * MICRO);
        let may_go_on = spent <= u64::from(rate.burst) * MICRO;
        if may_go_on {
            self.spent = spent;
        }
        may_go_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: WorkRate = WorkRate { per_second: 100, burst: 40 };

    #[test]
    fn a_burst_then_the_rate() {
        let mut work = Work::default();
        assert!((0..40).all(|_| work.read(1, RATE)));
        assert!(!work.read(1, RATE));
        // A hundredth of a second pays for one unit.
        work.rest(Duration::from_millis(10), RATE);
        assert!(work.read(1, RATE) && !work.read(1, RATE));
        work.rest(Duration::from_secs(1 << 40), RATE);
        assert!((0..40).all(|_| work.read(1, RATE)), "a long rest earns a burst");
        assert!(!work.read(1, RATE));
    }

    #[test]
    fn rests_shorter_than_a_unit_add_up() {
        let mut work = Work::default();
        assert!((0..40).all(|_| work.read(1, RATE)));
        (0..1000).for_each(|_| work.rest(Duration::from_micros(10), RATE));
        assert!(work.read(1, RATE) && !work.read(1, RATE));
    }

    #[test]
    fn frames_and_bytes_cost_more_than_a_small_read() {
        let mut work = Work::default();
        assert!((0..5).all(|_| work.frame(RATE)) && !work.frame(RATE));
        let mut work = Work::default();
        assert!(work.read(39 * BYTES_A_UNIT, RATE) && !work.read(0, RATE));
    }

    #[test]
    fn little_is_left_for_what_comes_behind_the_end() {
        let mut work = Work::default();
        work.end(RATE);
        assert!((0..2).all(|_| work.read(1, RATE)) && !work.read(1, RATE));
    }

    #[test]
    fn the_largest_rate_is_none() {
        let rate = WorkRate::beside_messages(u32::MAX, u32::MAX);
        let mut work = Work::default();
        assert!((0..1000).all(|_| work.read(64 * 1024, rate) && work.frame(rate)));
        work.rest(Duration::MAX, rate);
        assert_eq!(work.spent, 0);
    }
}
