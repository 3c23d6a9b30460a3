//! Every time that matters to lanes. The defaults are for nodes of one data centre.

use std::time::Duration;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// A connection on which nothing waits for an answer is asked something this long after it was asked last.
    pub ping_after: Duration,
    /// An answer that takes longer than this makes a lane suspect: what waits is sent on another lane as well.
    pub suspect_after: Duration,
    /// An answer that takes longer than this ends the connection.
    pub dead_after: Duration,
    /// To connect, to be greeted, and to have each batch of channels confirmed.
    pub connect_within: Duration,
    /// A lane is chosen over others only when it has been up for so long.
    pub preferred_after: Duration,
    /// Shortest time before a connection is tried again; the actual one is random.
    pub retry_min: Duration,
    /// Longest.
    pub retry_max: Duration,
    /// Time before a node is tried again that refused us for what it or we are.
    pub refused_retry: Duration,
    /// A server of which nothing is heard for so long is forgotten.
    pub peer_silence_max: Duration,
    /// A server's own word that does not come back on a lane within this time shows that the lane is deaf.
    pub canary_age_max: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            ping_after: Duration::from_millis(100),
            suspect_after: Duration::from_millis(150),
            dead_after: Duration::from_millis(600),
            connect_within: Duration::from_millis(500),
            preferred_after: Duration::from_secs(1),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(1),
            refused_retry: Duration::from_secs(5),
            peer_silence_max: Duration::from_secs(3),
            canary_age_max: Duration::from_millis(1500),
        }
    }
}
