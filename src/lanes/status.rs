//! How lanes are, for status pages and logs.

use std::time::Duration;

/// How a lane is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being connected.
    Connecting,
    /// Envelopes pass both ways.
    Up,
    /// Its node has not answered for a while: others are preferred.
    Suspect,
    /// Its node will not have us, or we cannot use it, for a reason that a person has to remove.
    Refused(String),
    /// It was connected, but what the server said itself did not come back: it is being connected anew.
    Deaf,
}

impl State {
    /// A word for status pages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Refused(_) => "refused",
            Self::Deaf => "deaf",
        }
    }
}

/// What is told of one lane.
#[derive(Clone, Debug)]
pub struct LaneStatus {
    /// The node, as it is configured.
    pub node: String,
    /// How it is.
    pub state: State,
    /// For how long.
    pub since: Duration,
    /// How long ago the server last heard itself on it.
    pub canary_age: Option<Duration>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Envelopes whose arrival at the node is not confirmed yet.
    pub in_flight: usize,
    /// What it did.
    pub counts: Counts,
}

/// Since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Envelopes sent.
    pub published: u64,
    /// Their bytes.
    pub publish_bytes: u64,
    /// Envelopes that came, own ones and refused ones too.
    pub received: u64,
    /// Of those sent, second copies of what another lane did not confirm in time.
    pub resent: u64,
    /// Of those sent, others' envelopes for servers that share no lane with them.
    pub relayed: u64,
    /// Connections made after the first two.
    pub reconnects: u64,
}

/// Of all lanes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What came and was no whole envelope.
    pub malformed: u64,
    /// Envelopes of other releases.
    pub foreign_version: u64,
    /// Envelopes that came and were too large.
    pub too_large: u64,
    /// Envelopes thrown away: no lane was up, or too many waited, or they were too large.
    pub dropped: u64,
}
