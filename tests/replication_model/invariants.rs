//! What must hold in every state, and at the end of every trouble.

use std::fmt;

use crate::actions::{Action, Step, enabled};
use crate::rules::Rules;
use crate::state::{Place, SERVERS, State, Status, has, members, name};

/// Rounds in which everybody is heard, asked and answered: many more than are needed.
const ROUNDS_MAX: usize = 40;

/// A sentence of the promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// An acknowledgement, and only one living server holds the message.
    AckedHeldOnce { server: u8, text: u8 },
    /// An acknowledgement by a server that is cut off from those that live on.
    AckedCutOff { server: u8, text: u8 },
    /// A `Have` that claims what was never stored.
    UntrueHave { server: u8, stream: u8, first: u8, last: u8 },
    /// A gap over a number that a living server keeps.
    GapOverKept { server: u8, place: Place, keeper: u8 },
    /// Shown at its origin before two hold it.
    ShownUnheld { server: u8, text: u8 },
    /// Shown to the members of one server in two places.
    ShownTwice { server: u8, text: u8 },
    /// Seen at one server, and again by the member that moves to another one.
    SeenTwice { from: u8, to: u8, text: u8 },
    /// Acknowledged and kept, and never seen by members of a server that lives.
    NeverSeen { server: u8, text: u8 },
    /// Sent again and again, and never acknowledged.
    NeverAcked { text: u8 },
    /// Servers that go on for ever though nothing happens.
    Restless,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AckedHeldOnce { server, text } => {
                write!(f, "{} acknowledges m{}, which no other living server holds", name(server), text + 1)
            }
            Self::AckedCutOff { server, text } => {
                write!(f, "{} is cut off and acknowledges m{} by itself", name(server), text + 1)
            }
            Self::UntrueHave { server, stream, first, last } => {
                write!(f, "{} claims {first}..={last} of {} and lacks some", name(server), name(stream))
            }
            Self::GapOverKept { server, place, keeper } => {
                write!(f, "{} passes over {place}, which {} keeps", name(server), name(keeper))
            }
            Self::ShownUnheld { server, text } => {
                write!(f, "{} shows m{}, which nobody else holds", name(server), text + 1)
            }
            Self::ShownTwice { server, text } => write!(f, "{} shows m{} twice", name(server), text + 1),
            Self::SeenTwice { from, to, text } => {
                write!(f, "who moves from {} to {} sees m{} twice", name(from), name(to), text + 1)
            }
            Self::NeverSeen { server, text } => {
                write!(
                    f,
                    "m{} was acknowledged and is kept, and members of {} never see it",
                    text + 1,
                    name(server)
                )
            }
            Self::NeverAcked { text } => write!(f, "m{} is never acknowledged", text + 1),
            Self::Restless => write!(f, "servers never come to rest"),
        }
    }
}

/// What is wrong with a state as it is.
pub fn breach_of(rules: Rules, state: &State) -> Option<Breach> {
    if let Some(breach) = seen_twice(state) {
        return Some(breach);
    }
    let is_calm = state.packets.is_empty()
        && state.cut.is_none()
        && state.nodes.iter().all(|node| node.status != Status::Stalled);
    if is_calm { breach_at_rest(rules, state) } else { None }
}

/// A member that comes from one server to another that has caught up with it sees what is shown behind its positions,
/// but for what the other one knows to stand also at a place that it has passed.
fn seen_twice(state: &State) -> Option<Breach> {
    for from in 0..SERVERS as u8 {
        for to in (0..SERVERS as u8).filter(|&to| to != from) {
            let (old, new) = (state.node(from), state.node(to));
            let has_caught_up = (0..SERVERS as u8).all(|s| state.position(to, s) >= state.position(from, s));
            if !old.is_open || !new.is_up() || !new.is_open || !has_caught_up {
                continue;
            }
            for text in 0..state.said {
                let index = usize::from(text);
                let (Some(seen), Some(shown)) = (old.shown[index], new.shown[index]) else { continue };
                let is_news = shown.number > state.position(from, shown.stream);
                let is_known_there = state.places(text).any(|place| {
                    has(state.view(to, place.stream).held, place.number)
                        && place.number <= state.position(from, place.stream)
                });
                if seen != shown && is_news && !is_known_there {
                    return Some(Breach::SeenTwice { from, to, text });
                }
            }
        }
    }
    None
}

/// Lets everybody be heard until nothing changes, and looks at what members have seen then.
fn breach_at_rest(rules: Rules, state: &State) -> Option<Breach> {
    if state.said == 0 {
        return None;
    }
    let mut step = Step { rules, state: state.clone(), breach: None };
    step.state.trouble = Default::default();
    let mut is_at_rest = false;
    for _ in 0..ROUNDS_MAX {
        let before = step.state.clone();
        round(&mut step);
        if step.breach.is_some() {
            return step.breach;
        }
        if step.state == before {
            is_at_rest = true;
            break;
        }
    }
    if !is_at_rest {
        return Some(Breach::Restless);
    }
    let state = &step.state;
    let up: Vec<u8> = (0..SERVERS as u8).filter(|&server| state.node(server).is_up()).collect();
    for text in 0..state.said {
        if !has(state.acked, text) {
            if up.is_empty() {
                continue;
            }
            return Some(Breach::NeverAcked { text });
        }
        let is_kept =
            up.iter().any(|&s| state.places(text).any(|p| has(state.view(s, p.stream).kept, p.number)));
        for &server in &up {
            let is_before = state.places(text).any(|p| p.number < state.view(server, p.stream).begin);
            let is_seen = state.node(server).shown[usize::from(text)].is_some();
            if is_kept && !is_seen && !is_before && !is_excepted(state, text) {
                return Some(Breach::NeverSeen { server, text });
            }
        }
    }
    None
}

/// A server that was alone acknowledged it, and died or evicted it before others could take it: what the promise excepts.
fn is_excepted(state: &State, text: u8) -> bool {
    state.acked_by[usize::from(text)].is_some_and(|server| {
        let keeps = |place: Place| has(state.view(server, place.stream).kept, place.number);
        state.node(server).status == Status::Dead || !state.places(text).any(keeps)
    })
}

/// Each server does all that it may, once, and all that is under way arrives.
fn round(step: &mut Step) {
    for action in enabled(step.rules, &step.state) {
        // Faults have no budget left, so these are deliveries, timers and repairs.
        if enabled(step.rules, &step.state).contains(&action) {
            step.take(action);
        }
    }
    for server in 0..SERVERS as u8 {
        let node = step.state.node(server);
        if node.is_up() {
            let live = node.live;
            step.republish(server, live);
        }
    }
    let first_open = (0..SERVERS as u8).find(|&s| step.state.node(s).is_up() && step.state.node(s).is_open);
    if let Some(server) = first_open {
        let waiting = (0..step.state.said).filter(|&text| !has(step.state.acked, text)).collect::<Vec<_>>();
        for text in waiting {
            let witness = members(step.state.node(server).live).next();
            step.take(Action::SayAgain { server, text, witness });
        }
    }
    while let Some(&packet) = step.state.packets.iter().find(|packet| step.state.node(packet.to).is_up()) {
        step.take(Action::Deliver(packet));
    }
}
