//! Breadth-first search through all states, so that the trace to the first breach is as short as there is one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::actions::{Action, apply, enabled};
use crate::invariants::{Breach, breach_of};
use crate::rules::Rules;
use crate::state::State;

/// What a search found.
pub struct Outcome {
    pub states: usize,
    pub depth: usize,
    pub took: Duration,
    /// No state was left out.
    pub is_complete: bool,
    pub failure: Option<Failure>,
}

/// How a rule is broken.
pub struct Failure {
    pub breach: Breach,
    pub steps: Vec<Action>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:3}. {step}", index + 1)?;
        }
        writeln!(f, "  => {}", self.breach)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, depth, took, .. } = self;
        write!(f, "{states} states, {depth} steps deep, {:.1} s", took.as_secs_f64())
    }
}

/// States are told apart by 64 bits of SipHash: with ten million of them, two are taken for one in 3 of a million runs.
fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Explores everything that can be reached, up to the first breach that counts.
pub fn search(rules: Rules, start: &State, states_max: usize, counts: impl Fn(&Breach) -> bool) -> Outcome {
    let began = Instant::now();
    let origin = fingerprint(start);
    let mut parents = HashMap::from([(origin, origin)]);
    let mut level = vec![start.clone()];
    let mut depth = 0;
    let mut failure = None;
    'levels: while !level.is_empty() && parents.len() < states_max {
        let mut next_level = Vec::new();
        for state in &level {
            let parent = fingerprint(state);
            for action in enabled(rules, state) {
                let (next, broken) = apply(rules, state, action);
                let breach = broken.filter(&counts);
                let Entry::Vacant(entry) = parents.entry(fingerprint(&next)) else {
                    if let Some(breach) = breach {
                        let steps = trace(rules, start, &parents, parent, Some(action));
                        failure = Some(Failure { breach, steps });
                        break 'levels;
                    }
                    continue;
                };
                entry.insert(parent);
                if let Some(breach) = breach.or_else(|| breach_of(rules, &next).filter(&counts)) {
                    let steps = trace(rules, start, &parents, parent, Some(action));
                    failure = Some(Failure { breach, steps });
                    break 'levels;
                }
                next_level.push(next);
            }
        }
        level = next_level;
        depth += 1;
    }
    let is_complete = level.is_empty() && failure.is_none();
    Outcome { is_complete, states: parents.len(), depth, took: began.elapsed(), failure }
}

/// Walks back by the parents, and forward again to learn the actions.
fn trace(
    rules: Rules,
    start: &State,
    parents: &HashMap<u64, u64>,
    end: u64,
    last: Option<Action>,
) -> Vec<Action> {
    let mut path = vec![end];
    while let Some(&parent) = parents.get(&path[path.len() - 1])
        && parent != path[path.len() - 1]
    {
        path.push(parent);
    }
    path.reverse();
    let mut state = start.clone();
    let mut steps = Vec::new();
    for wanted in &path[1..] {
        let found = enabled(rules, &state)
            .into_iter()
            .map(|action| (action, apply(rules, &state, action).0))
            .find(|(_, next)| fingerprint(next) == *wanted);
        let (action, next) = found.expect("the path was walked before");
        steps.push(action);
        state = next;
    }
    steps.extend(last);
    steps
}
