//! Rules that a test may switch off, one at a time, to see that some test fails without them.
//!
//! Only the test build has the switch: elsewhere [`is_on`] is a constant, and nothing of this is left in the binary.
//! docs/replication.md has the table of which world notices which.

macro_rules! mutants {
    ($($name:ident,)*) => {
        /// A rule that is off, or the wrong rule in its place; `simulation::mutant_table` says which and who notices.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(not(test), allow(dead_code, reason = "named only by tests"))]
        #[allow(missing_docs, reason = "the table says what each does")]
        pub enum Mutant {
            $($name,)*
        }

        #[cfg(test)]
        impl Mutant {
            /// Every one of them.
            pub const ALL: [Self; [$(Self::$name),*].len()] = [$(Self::$name),*];
        }
    };
}

mutants! {
    CumulativeHave,
    HaveCountsHoles,
    PassOverWhatIsLacked,
    ParkWhenOneLacks,
    StayParked,
    OldLacksStand,
    NoNack,
    NoDigest,
    NoDigestRepeats,
    NoSyncOnLost,
    NoSyncOnReturn,
    AckAtOnce,
    ShowAtOnce,
    NoSupersede,
    NoDedup,
    ForgetIds,
    AckRetryAtOnce,
    AckRetryOnLease,
    EvictUnconfirmed,
    NoFetch,
    OneAnswerIsEnough,
    AwaitSuspects,
    NoForerunners,
    NoReplica,
    NoSuspicion,
    SameWitness,
    AloneWithoutMajority,
    AloneAtOnce,
    LeaseWithoutEcho,
    StallCounts,
    KeptFromStays,
    AlwaysComplete,
    HistoryShowsHidden,
    HistoryIgnoresRepeats,
    PositionsAheadOfShown,
    JoinBeforeFrames,
    NoHandover,
    WallClock,
    ForgetLiveStreams,
    BelieveTheDead,
    PresenceUnordered,
    NoReappend,
    BeginAtFirstAnswer,
    RetriesNotRepeated,
    NoGapBeforeBegin,
    LeaveUnfetched,
    PlacesNotSent,
    LearnTheForgotten,
    OnlyTheRingKnows,
    FirstExpiryDecides,
    PassOverUnsettled,
    BeginAtArrival,
    TakeoverUnread,
    RetriesStay,
    OnlyIdsTellRepeats,
}

#[cfg(not(test))]
/// Whether that rule is off: never, outside of tests.
#[inline(always)]
pub const fn is_on(_: Mutant) -> bool {
    false
}

#[cfg(test)]
pub use switch::{is_on, switch};

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ON: Cell<Option<Mutant>> = Cell::new(named());
    }

    /// The one that `MUTANT` names, so that all tests can be run with it: those that fail notice it.
    fn named() -> Option<Mutant> {
        let name = std::env::var("MUTANT").ok()?;
        Mutant::ALL.into_iter().find(|mutant| format!("{mutant:?}") == name)
    }

    /// Whether that rule is off in this thread.
    pub fn is_on(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }

    /// Switches a rule off in this thread, or all on.
    pub fn switch(mutant: Option<Mutant>) {
        ON.set(mutant);
    }
}
