//! What happens to the lanes, told to people: each change once, and none more often than they can read.

use std::time::{Duration, Instant};

use log::Level;

use crate::lanes::{Notice, State};
use crate::wire::EnvelopeError;

/// Between two lines about one lane. What changes and changes back meanwhile is not told.
const LANE_INTERVAL: Duration = Duration::from_secs(1);
/// Between two lines about one thing that is set up wrong.
const FAULT_INTERVAL: Duration = Duration::from_secs(60);

/// Writes to the log.
#[derive(Debug)]
pub struct LaneLog {
    /// Who writes.
    name: String,
    lanes: Vec<Told>,
    faults: Vec<(String, Instant)>,
}

#[derive(Debug)]
struct Told {
    node: String,
    /// How the lane is, and what went wrong last.
    now: (State, Option<String>),
    told: State,
    next: Instant,
}

impl LaneLog {
    /// For the server of that name and its nodes.
    pub fn new(name: String, nodes: &[String], now: Instant) -> Self {
        let told = |node: &String| Told {
            node: node.clone(),
            now: (State::Connecting, None),
            told: State::Connecting,
            next: now,
        };
        Self { name, lanes: nodes.iter().map(told).collect(), faults: Vec::new() }
    }

    /// Something happened.
    pub fn note(&mut self, notice: Notice, now: Instant) {
        match notice {
            Notice::State { lane, state, reason } => self.lanes[lane].now = (state, reason),
            Notice::SameNode { lane, other, address } => {
                let (one, other) = (&self.lanes[lane].node, &self.lanes[other].node);
                let text = format!("{one} and {other} are the same Redis ({address}): when it dies, both do");
                self.tell_fault(text, now);
            }
            Notice::Unheard { lane, peer } => {
                let node = &self.lanes[lane].node;
                let text = format!(
                    "{peer} says it is at the Redis that is {node} here, but is not heard there: \
                     all servers need the same list of nodes in the same order"
                );
                self.tell_fault(text, now);
            }
            Notice::Refused(error) => {
                let kind = match error {
                    EnvelopeError::Malformed => {
                        "somebody else publishes on the channels distr:*, or is broken"
                    }
                    EnvelopeError::Version(_) => "a server of another release is in the cluster",
                    EnvelopeError::TooLarge(_) => "a server says more at once than is allowed",
                };
                self.tell_fault(format!("thrown away: {error}; {kind}"), now);
            }
        }
    }

    fn tell_fault(&mut self, text: String, now: Instant) {
        self.faults.retain(|(_, told)| *told + FAULT_INTERVAL > now);
        if !self.faults.iter().any(|(other, _)| *other == text) {
            log::warn!("{}: {text}", self.name);
            self.faults.push((text, now));
        }
    }

    /// Writes what has changed, once a turn.
    pub fn tell(&mut self, now: Instant) {
        for lane in &mut self.lanes {
            if lane.now.0 == lane.told || now < lane.next {
                continue;
            }
            let (name, node) = (&self.name, &lane.node);
            let reason = lane.now.1.as_deref().unwrap_or("it is being connected");
            let (level, text) = match &lane.now.0 {
                State::Up => (Level::Info, "is up".to_owned()),
                State::Suspect => (Level::Warn, "does not answer in time; others are preferred".to_owned()),
                State::Connecting => (Level::Warn, format!("is down: {reason}; trying again")),
                State::Deaf => (Level::Error, format!("is connected and useless: {reason}; connecting anew")),
                State::Refused(reason) => (Level::Error, format!("cannot be used: {reason}")),
            };
            log::log!(level, "{name}: Redis {node} {text}");
            lane.told = lane.now.0.clone();
            lane.next = now + LANE_INTERVAL;
        }
    }
}
