//! Branches of the core that the rules name and that few worlds enter. A simulation that never enters one says nothing
//! about it: a test runs worlds until all were.
//!
//! Only the test build counts: elsewhere [`entered`] is empty.

macro_rules! branches {
    ($($name:ident,)*) => {
        /// A rare branch.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(test), allow(dead_code, reason = "counted only by tests"))]
        #[allow(missing_docs, reason = "the name says what happened")]
        pub enum Branch {
            $($name,)*
        }

        #[cfg(test)]
        impl Branch {
            /// Every one of them.
            pub const ALL: [Self; [$(Self::$name),*].len()] = [$(Self::$name),*];
        }
    };
}

branches! {
    Parked,
    Unparked,
    ExpiryAwaited,
    ExpiryVoidsLacks,
    ExpiredTold,
    ExpiredUntold,
    BeganLower,
    RejectedAppendedAnew,
    RetryAppendedAnew,
    RetryRepublished,
    RetryGivenUp,
    Superseded,
    RepeatKept,
    ForerunnerWaited,
    ForerunnerTimedOut,
    FetchAskedAgain,
    FetchTimedOut,
    Alone,
    Isolated,
    ShownDegraded,
    StallExcused,
    Suspect,
    LeaseEnded,
    Returned,
    StaleDropped,
    Drained,
    HandedOver,
    Left,
    UnconfirmedOutlivesRing,
    StreamTrimmed,
}

#[cfg(not(test))]
/// Counts nothing outside of tests.
#[inline(always)]
pub const fn entered(_: Branch) {}

#[cfg(test)]
pub use counters::{entered, take};

#[cfg(test)]
mod counters {
    use std::cell::Cell;

    use super::Branch;

    type Counts = [u64; Branch::ALL.len()];

    thread_local! {
        static COUNTS: Cell<Counts> = const { Cell::new([0; Branch::ALL.len()]) };
    }

    /// This thread goes that way.
    pub fn entered(branch: Branch) {
        let mut counts = COUNTS.get();
        counts[branch as usize] += 1;
        COUNTS.set(counts);
    }

    /// How often this thread entered each, since it was asked last.
    pub fn take() -> Counts {
        COUNTS.replace([0; Branch::ALL.len()])
    }
}
