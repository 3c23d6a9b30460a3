//! The rules of replication that the model is a parameter of: today's, and those that were in force before, to see what each is for.

/// What a `Have` claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Have {
    /// The numbers that the server holds: none before where it began or behind what it passed over.
    Held,
    /// Everything up to its cursor.
    Cursor,
}

/// When a server stops waiting for a number that it misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hole {
    /// When all that live answered, nobody has it, and one had it once. Else it stays behind the hole.
    Expired,
    /// When all that live lack it, or nobody lives that could be asked.
    GivenUp,
}

/// How a message of another server's stream is acknowledged when its sender sends it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// When a second replica says `Have`.
    Confirmed,
    /// At once, as long as the lease of its origin runs.
    Lease,
}

/// When a server acknowledges by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// When nobody else lives and most lanes carry.
    Majority,
    /// When nobody else lives.
    NoLease,
}

/// When members at the origin see a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// When it is confirmed.
    Confirmed,
    /// After a second even if it is not.
    Patience,
}

/// What the origin answers for a message that nobody confirmed and that its ring evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It is kept until it is confirmed.
    Kept,
    /// The ring decides.
    Ring,
}

/// What an "it has expired" makes of the "I lack it" that others said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// They are asked again: they may have got it since. What they answer to an earlier question does not count.
    Void,
    /// They are asked again, and any answer counts, also one that was under way.
    VoidOnce,
    /// They stand.
    Stand,
}

/// Which digests make a server that lacked a number worth asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparks {
    /// Those that go past the number: the teller has dealt with it since.
    Past,
    /// Those that say it is kept.
    Covering,
}

/// Whose answers are needed before a number is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Those of all that were started and are not gone for good: who stalls is waited for.
    OfAll,
    /// Those of all whose lease runs.
    OfLive,
}

/// Who tells a newcomer where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Its origin, while that lives: it alone keeps what nobody has confirmed. Else whoever keeps most.
    AtOrigin,
    /// Whoever keeps most of those heard so far.
    AtAny,
}

/// What becomes of a retry of a message that another server said, and that is no longer kept here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evicted {
    /// It is appended anew, from what the client sent, and shown to nobody who has seen it.
    Appended,
    /// It waits for a replica, to which it cannot be sent.
    Waits,
}

/// One value a rule.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// R2.
    pub have: Have,
    /// R4 and R5.
    pub hole: Hole,
    /// R9.
    pub retry: Retry,
    /// R8.
    pub alone: Alone,
    /// R3.
    pub shown: Shown,
    /// R1.
    pub waiting: Waiting,
    /// R6: what no replica can hold any more is appended anew.
    pub appends_rejected: bool,
    /// R4: who comes back is asked again.
    pub asks_returned: bool,
    /// R14: a message that is known in another place is not shown.
    pub knows_again: bool,
    /// R5: a server that had a number, or began behind it, says so; else it says that it lacks it.
    pub says_expired: bool,
    /// R5.
    pub lacks: Lacks,
    /// R4.
    pub unparks: Unparks,
    /// R5.
    pub answers: Answers,
    /// R2 and R6.
    pub begin: Begin,
    /// R9.
    pub evicted: Evicted,
}

impl Rules {
    /// Those of docs/replication.md.
    pub const TODAY: Self = Self {
        have: Have::Held,
        hole: Hole::Expired,
        retry: Retry::Confirmed,
        alone: Alone::Majority,
        shown: Shown::Confirmed,
        waiting: Waiting::Kept,
        appends_rejected: true,
        asks_returned: true,
        knows_again: true,
        says_expired: true,
        lacks: Lacks::Void,
        unparks: Unparks::Past,
        answers: Answers::OfAll,
        begin: Begin::AtOrigin,
        evicted: Evicted::Appended,
    };
}
