//! Why a client is not served now, and when it may come again (docs/protocol.md, section 1).

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::wire::{Response, Status};

/// Where a client is told to wait, it waits for so many milliseconds: those who ask together do not come back together.
const RETRY_AFTER_MS: Range<u64> = 500..1500;
/// The same in whole seconds, for those who read only the header.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No server is there.
    Unavailable,
    /// The servers that were chosen did not answer.
    Unanswered,
    /// The same, to somebody who only asks whether clients may come.
    NotReady,
    /// This balancer is leaving.
    Draining,
    /// More clients come than may be let in at once: this one's turn is after so long.
    Busy(Duration),
}

#[derive(Serialize)]
struct Body {
    error: &'static str,
    message: &'static str,
    retry_after_ms: u64,
}

impl Refusal {
    /// The answer, with a time to wait that is another one each time.
    pub fn respond(self) -> Response {
        let (error, message) = match self {
            Self::Unavailable | Self::Unanswered => ("unavailable", "no application server is available"),
            Self::NotReady => ("not_ready", "no application server is available"),
            Self::Draining => ("draining", "this balancer is leaving: ask another"),
            Self::Busy(_) => ("busy", "many clients come at once: come back at your turn"),
        };
        let retry_after_ms = match self {
            Self::Busy(turn) => turn.as_millis() as u64,
            _ => fastrand::u64(RETRY_AFTER_MS),
        };
        let seconds = match self {
            Self::Busy(turn) => turn.as_secs_f64().ceil() as u64,
            _ => RETRY_AFTER_SECONDS,
        };
        let body = Body { error, message, retry_after_ms };
        Response { status: Status::UNAVAILABLE, ..Response::json(&body) }
            .with("Retry-After", seconds.to_string())
    }
}
