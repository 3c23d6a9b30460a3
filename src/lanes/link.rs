//! One connection to a node: when it is made, greeted, asked whether it lives, and given up.
//!
//! Redis answers in order, so what waits for an answer is a queue, and its oldest entry tells how long the node has
//! been silent. A reply to something newer never excuses the oldest.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::wire::resp::Parser;
use crate::wire::resp_command::{self, Credentials};
use crate::wire::resp_reply::{Hello, Reply};

use super::failure::{self, Failure};
use super::parcel::InFlight;
use super::rendezvous::mix;
use super::timings::Timings;

/// What a connection is called in `CLIENT LIST`.
pub const CLIENT_NAME: &str = "distr-chat";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waits for the next attempt.
    Resting { until: Instant },
    /// The shell connects.
    Dialing { deadline: Instant },
    /// `HELLO` is under way.
    Greeting { deadline: Instant },
    /// Channels are being subscribed to, for the first time on this connection.
    Subscribing { deadline: Instant },
    /// In use.
    Open,
}

/// What an answer will be about.
#[derive(Debug)]
pub enum Awaited {
    Hello,
    /// The end of our former connection, of which the node may not have heard.
    Kill,
    Ping,
    /// The `PING` behind a batch of channels: with its answer all of them are dealt with.
    Fence,
    Publish(InFlight),
}

/// What a reply led to.
#[derive(Debug)]
pub enum Step {
    Nothing,
    Greeted,
    Fenced,
    Published,
    /// The link has to be ended, for this reason.
    Fail(Failure),
}

/// The node's name for a connection: its number there, and our end of it.
type Identity = (i64, String);

#[derive(Debug)]
pub struct Link {
    phase: Phase,
    awaited: VecDeque<(Instant, Awaited)>,
    pub parser: Parser,
    /// To be written.
    pub out: Vec<u8>,
    last_sent: Instant,
    /// Silence before this is not the node's: what it said was not read yet.
    excused_until: Instant,
    is_suspect: bool,
    /// Attempts since it last was of use.
    failures: u32,
    chance: u64,
    hint: Option<String>,
    local_address: String,
    identity: Option<Identity>,
    former: Option<Identity>,
    pub is_refused: bool,
    pub last_error: Option<String>,
    /// How often it was greeted.
    pub greeted: u64,
}

impl Link {
    pub fn new(seed: u64, now: Instant) -> Self {
        Self {
            phase: Phase::Resting { until: now },
            awaited: VecDeque::new(),
            parser: Parser::default(),
            out: Vec::new(),
            last_sent: now,
            excused_until: now,
            is_suspect: false,
            failures: 0,
            chance: seed,
            hint: None,
            local_address: String::new(),
            identity: None,
            former: None,
            is_refused: false,
            last_error: None,
            greeted: 0,
        }
    }

    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub fn is_resting(&self) -> bool {
        matches!(self.phase, Phase::Resting { .. })
    }

    /// Whether there is a connection.
    pub fn is_in_use(&self) -> bool {
        !matches!(self.phase, Phase::Resting { .. } | Phase::Dialing { .. })
    }

    pub fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The address to try instead of the configured one; it is given once.
    pub fn take_hint(&mut self) -> Option<String> {
        self.hint.take()
    }

    /// Whether to connect now. Then the shell does.
    pub fn dial(&mut self, now: Instant, timings: &Timings) -> bool {
        let is_due = matches!(self.phase, Phase::Resting { until } if until <= now);
        if is_due {
            self.phase = Phase::Dialing { deadline: now + timings.connect_within };
        }
        is_due
    }

    pub fn handle_connected(
        &mut self,
        local_address: String,
        credentials: Option<Credentials<'_>>,
        now: Instant,
    ) {
        let Phase::Dialing { deadline } = self.phase else { return };
        self.phase = Phase::Greeting { deadline };
        self.local_address = local_address;
        resp_command::hello(&mut self.out, credentials, CLIENT_NAME);
        self.expect(Awaited::Hello, now);
    }

    pub fn expect(&mut self, awaited: Awaited, now: Instant) {
        self.last_sent = now;
        self.awaited.push_back((now, awaited));
    }

    /// Sends the `PING` that ends a batch.
    pub fn fence(&mut self, now: Instant) {
        resp_command::ping(&mut self.out, "batch");
        self.expect(Awaited::Fence, now);
    }

    /// An answer came. Pushes are not answers.
    pub fn handle_reply(&mut self, reply: Reply, now: Instant, timings: &Timings) -> Step {
        if let Reply::Error(error) = &reply
            && !matches!(self.awaited.front(), Some((_, Awaited::Kill)))
        {
            return Step::Fail(error.clone().into());
        }
        let step = match (self.awaited.pop_front().map(|(_, awaited)| awaited), reply) {
            (Some(Awaited::Hello), Reply::Hello(hello)) => match self.greet(&hello, now) {
                Ok(()) => Step::Greeted,
                Err(failure) => Step::Fail(failure),
            },
            (Some(Awaited::Publish(_)), Reply::Integer(_)) => Step::Published,
            (Some(Awaited::Fence), Reply::Text(_)) => Step::Fenced,
            (Some(Awaited::Ping), Reply::Text(_)) | (Some(Awaited::Kill), _) => Step::Nothing,
            (_, reply) => Step::Fail(format!("an answer to nothing that was asked: {reply:?}").into()),
        };
        // Only when the answers have caught up is it above suspicion.
        self.is_suspect &= self.silence(now) > timings.suspect_after;
        step
    }

    fn greet(&mut self, hello: &Hello, now: Instant) -> Result<(), Failure> {
        failure::check(hello)?;
        self.greeted += 1;
        self.is_refused = false;
        self.identity = Some((hello.id, self.local_address.clone()));
        // A node that was cut off goes on counting our former connection among the receivers.
        if let Some((id, address)) = self.former.take() {
            resp_command::client_kill(&mut self.out, id, &address);
            self.expect(Awaited::Kill, now);
        }
        Ok(())
    }

    pub fn subscribe_until(&mut self, deadline: Instant) {
        self.phase = Phase::Subscribing { deadline };
    }

    pub fn open(&mut self) {
        self.phase = Phase::Open;
    }

    /// It has been of use: the next attempt, should one be needed, comes soon.
    pub fn settle(&mut self) {
        self.failures = 0;
    }

    /// The node has said more than was read: if it seems silent, that is not its fault.
    pub fn excuse(&mut self, now: Instant) {
        self.excused_until = now;
    }

    /// Since when the oldest question waits.
    fn silent_since(&self) -> Option<Instant> {
        self.awaited.front().map(|(sent, _)| self.excused_until.max(*sent))
    }

    fn silence(&self, now: Instant) -> Duration {
        self.silent_since().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Asks whether the node lives, or finds that it does not.
    pub fn handle_timeout(&mut self, now: Instant, timings: &Timings) -> Option<Failure> {
        match self.phase {
            Phase::Resting { .. } => None,
            Phase::Dialing { deadline } if deadline <= now => Some("no connection in time".to_owned().into()),
            Phase::Greeting { deadline } | Phase::Subscribing { deadline } if deadline <= now => {
                Some("connected, but no answer in time".to_owned().into())
            }
            Phase::Open if self.silence(now) >= timings.dead_after => {
                Some(format!("no answer for {:?}", timings.dead_after).into())
            }
            Phase::Open => {
                self.is_suspect |= self.silence(now) >= timings.suspect_after;
                if self.awaited.is_empty() && now >= self.last_sent + timings.ping_after {
                    resp_command::ping(&mut self.out, "alive");
                    self.expect(Awaited::Ping, now);
                }
                None
            }
            _ => None,
        }
    }

    pub fn poll_timeout(&self, timings: &Timings) -> Instant {
        match self.phase {
            Phase::Resting { until: deadline }
            | Phase::Dialing { deadline }
            | Phase::Greeting { deadline }
            | Phase::Subscribing { deadline } => deadline,
            Phase::Open => match self.silent_since() {
                Some(since) if self.is_suspect => since + timings.dead_after,
                Some(since) => since + timings.suspect_after,
                None => self.last_sent + timings.ping_after,
            },
        }
    }

    /// Ends it. What was in flight comes back; the next attempt comes after a random time.
    pub fn fail(&mut self, failure: Failure, now: Instant, timings: &Timings) -> Vec<InFlight> {
        let delay = match failure.is_refusal {
            true => timings.refused_retry,
            false => self.jitter(timings),
        };
        self.phase = Phase::Resting { until: now + delay };
        self.failures = self.failures.saturating_add(1);
        self.is_suspect = false;
        self.is_refused = failure.is_refusal;
        self.hint = failure.hint;
        self.last_error = Some(failure.reason);
        self.former = self.identity.take().or(self.former.take());
        self.parser = Parser::default();
        self.out.clear();
        let awaited = std::mem::take(&mut self.awaited).into_iter();
        awaited
            .filter_map(|(_, awaited)| match awaited {
                Awaited::Publish(in_flight) => Some(in_flight),
                _ => None,
            })
            .collect()
    }

    /// Full jitter: any time up to a bound that doubles with each failure.
    fn jitter(&mut self, timings: &Timings) -> Duration {
        let bound = timings.retry_min * 2_u32.saturating_pow(self.failures.min(16) + 1);
        let span = bound.min(timings.retry_max).saturating_sub(timings.retry_min);
        self.chance = mix(self.chance);
        timings.retry_min + span.mul_f64(self.chance as f64 / u64::MAX as f64)
    }

    pub fn in_flight_mut(&mut self) -> impl Iterator<Item = &mut InFlight> {
        self.awaited.iter_mut().filter_map(|(_, awaited)| match awaited {
            Awaited::Publish(in_flight) => Some(in_flight),
            _ => None,
        })
    }

    /// The length of what the next answer confirms, if that is an envelope.
    pub fn next_in_flight(&self) -> Option<&InFlight> {
        match self.awaited.front() {
            Some((_, Awaited::Publish(in_flight))) => Some(in_flight),
            _ => None,
        }
    }
}
