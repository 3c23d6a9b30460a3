//! What a balancer answers when it cannot serve (docs/protocol.md, section 1).

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::wire::http::Response;

/// Longest wait that is taken from a balancer.
const WAIT_MAX: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Why, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// When to come back.
    pub wait: Wait,
}

/// Why a balancer does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No server is alive.
    Unavailable,
    /// This client's turn is later.
    Busy,
    /// The balancer is leaving.
    Draining,
}

/// How long to stay away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The balancer chose a time for this client.
    Exactly(Duration),
    /// It told the same to everybody: a random part of a second is to be added.
    AtLeast(Duration),
}

impl Refusal {
    /// Reads an answer; `None` if it is no refusal of a balancer.
    pub fn read(response: &Response) -> Option<Self> {
        let body: Value = serde_json::from_str(&response.body).ok()?;
        let reason = match (response.status, body["error"].as_str()?) {
            (503, "unavailable") => Reason::Unavailable,
            (503, "busy") => Reason::Busy,
            (503, "draining") => Reason::Draining,
            _ => return None,
        };
        let wait = match body["retry_after_ms"].as_u64() {
            Some(millis) => Wait::Exactly(Duration::from_millis(millis).min(WAIT_MAX)),
            None => Wait::AtLeast(response.retry_after.unwrap_or_default().min(WAIT_MAX)),
        };
        Some(Self { reason, wait })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "no server is available",
            Self::Busy => "too many clients come",
            Self::Draining => "the balancer is leaving",
        })
    }
}

impl Wait {
    /// The time for one client.
    pub fn delay(self, rng: &mut fastrand::Rng) -> Duration {
        match self {
            Self::Exactly(time) => time,
            Self::AtLeast(time) => time + SECOND.mul_f64(rng.f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Option<Refusal> {
        let retry_after = Some(Duration::from_secs(2));
        Refusal::read(&Response { status, body: body.into(), retry_after, keep_alive: true })
    }

    #[test]
    fn three_kinds_are_told_apart() {
        let wait = Wait::Exactly(Duration::from_millis(1460));
        for (error, reason) in
            [("unavailable", Reason::Unavailable), ("busy", Reason::Busy), ("draining", Reason::Draining)]
        {
            let body = format!(r#"{{"error":"{error}","message":"m","retry_after_ms":1460}}"#);
            assert_eq!(read(503, &body), Some(Refusal { reason, wait }), "{error}");
            assert_eq!(read(500, &body), None);
        }
        for other in ["", "{}", "[]", "no", r#"{"error":"full"}"#, r#"{"error":7}"#] {
            assert_eq!(read(503, other), None, "{other}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_read_is_that_of_the_header_and_a_random_part_of_a_second() {
        let mut rng = fastrand::Rng::with_seed(1);
        for body in [r#"{"error":"busy"}"#, r#"{"error":"busy","retry_after_ms":-1}"#] {
            let Refusal { wait, .. } = read(503, body).unwrap();
            assert_eq!(wait, Wait::AtLeast(Duration::from_secs(2)));
            let delay = wait.delay(&mut rng);
            assert!(delay > Duration::from_secs(2) && delay < Duration::from_secs(3), "{delay:?}");
        }
    }

    #[test]
    fn nobody_is_sent_away_for_ever() {
        let body = format!(r#"{{"error":"busy","retry_after_ms":{}}}"#, u64::MAX);
        assert_eq!(read(503, &body).unwrap().wait, Wait::Exactly(WAIT_MAX));
    }
}
