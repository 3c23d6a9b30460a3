//! What was said, to whom it is owed, and what every member saw: the promise, checked from outside. A message is known by
//! its text, which is its number, so that a server cannot hide it behind another id.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A silence is worth noting from here on; rooms hear something about every 70 ms.
const SILENCE_MIN: Duration = Duration::from_millis(300);
/// Violations that are kept in words; further ones are only counted.
const WORDS_MAX: usize = 20;

/// How the promise can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breach {
    /// An acknowledged message did not reach a member.
    Lost,
    /// A message was not acknowledged in the end.
    Unanswered,
    /// A member saw a message twice.
    Doubled,
    /// A stream went backwards.
    Disordered,
    /// Two messages have one place.
    Confused,
    /// A member that came back could not be told all.
    Incomplete,
    /// A server refused what it should not.
    Refused,
    /// Something took too long.
    Late,
}

/// A member that was connected heard nothing for a while.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    pub server: usize,
    pub from: Instant,
    pub to: Instant,
}

/// The sums of a run.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    pub said: u64,
    pub acknowledged: u64,
    /// Sightings that were owed, and those that were made.
    pub owed: u64,
    pub delivered: u64,
    pub marked: u64,
    pub refusals: BTreeMap<String, u64>,
    /// Longest way of a member from one server to another.
    pub worst_return: Duration,
}

/// Shared by all members.
pub struct Ledger {
    state: Mutex<State>,
    /// Who came where and was told what, for whoever looks into a breach.
    diary: File,
    begun: Instant,
}

#[derive(Default)]
struct State {
    members: Vec<Member>,
    /// By number, until everything is done.
    open: BTreeMap<u64, Open>,
    places: HashMap<(String, u64), u64>,
    holes: Vec<Hole>,
    silences: Vec<Silence>,
    breaches: BTreeMap<Breach, Vec<String>>,
    sums: Sums,
}

struct Member {
    room: usize,
    /// The first number said after it came into the room for the first time.
    since: Option<u64>,
    seen: HashSet<u64>,
}

struct Open {
    is_acknowledged: bool,
    owed: BTreeSet<usize>,
}

struct Hole {
    member: usize,
    stream: String,
    first: u64,
    last: u64,
    is_marked: bool,
}

impl Ledger {
    /// Its diary is a file of that folder.
    pub fn new(folder: &Path) -> Self {
        let diary = File::create(folder.join("members.log")).unwrap();
        Self { state: Mutex::default(), diary, begun: Instant::now() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A line in the diary.
    pub fn note(&self, words: &str) {
        let time = self.begun.elapsed().as_millis();
        // One write a line, so that lines of several members do not mix.
        (&self.diary).write_all(format!("{time:>7} ms  {words}\n").as_bytes()).unwrap();
    }

    /// A member that has not come into the room yet. Its number.
    pub fn enroll(&self, room: usize) -> usize {
        let mut state = self.state();
        state.members.push(Member { room, since: None, seen: HashSet::new() });
        state.members.len() - 1
    }

    /// The member is in its room: for the first time, or again after so long.
    pub fn entered(&self, member: usize, away: Option<Duration>) {
        let mut state = self.state();
        let next = state.sums.said + 1;
        state.members[member].since.get_or_insert(next);
        state.sums.worst_return = state.sums.worst_return.max(away.unwrap_or_default());
    }

    /// The member is about to say something. Its number.
    pub fn say(&self, member: usize) -> u64 {
        let mut state = self.state();
        state.sums.said += 1;
        let room = state.members[member].room;
        let is_owed = |other: &&(usize, &Member)| other.1.room == room && other.1.since.is_some();
        let owed: BTreeSet<_> = state
            .members
            .iter()
            .enumerate()
            .filter(|other| is_owed(&other))
            .map(|(index, _)| index)
            .collect();
        let number = state.sums.said;
        state.sums.owed += owed.len() as u64;
        state.open.insert(number, Open { is_acknowledged: false, owed });
        number
    }

    /// The member was told that the message is safe.
    pub fn acknowledged(&self, number: u64, place: &(String, u64)) {
        let mut state = self.state();
        state.place(number, place);
        if let Some(open) = state.open.get_mut(&number).filter(|open| !open.is_acknowledged) {
            open.is_acknowledged = true;
            state.sums.acknowledged += 1;
            state.close(number);
        }
    }

    /// The member was shown a message.
    pub fn saw(&self, member: usize, number: u64, place: &(String, u64)) {
        let mut state = self.state();
        state.place(number, place);
        if !state.members[member].seen.insert(number) {
            let words = format!("member {member} saw {number} again, now at {place:?}");
            self.note(&words);
            state.breach(Breach::Doubled, words);
        } else if state.open.get_mut(&number).is_some_and(|open| open.owed.remove(&member)) {
            state.sums.delivered += 1;
            state.close(number);
        }
    }

    /// The member was not shown some numbers, whether it was told so or not: messages that it knows from another place.
    pub fn passed_over(&self, member: usize, stream: &str, first: u64, last: u64, is_marked: bool) {
        let mut state = self.state();
        state.sums.marked += u64::from(is_marked);
        state.holes.push(Hole { member, stream: stream.to_owned(), first, last, is_marked });
    }

    /// The member was connected and heard nothing.
    pub fn silent(&self, silence: Silence) {
        if silence.to - silence.from >= SILENCE_MIN {
            self.state().silences.push(silence);
        }
    }

    /// A server answered with an error. Some ask for patience.
    pub fn refused(&self, code: &str, words: String) {
        let mut state = self.state();
        *state.sums.refusals.entry(code.to_owned()).or_default() += 1;
        if code != "overloaded" {
            state.breach(Breach::Refused, words);
        }
    }

    /// The promise was broken.
    pub fn breach(&self, breach: Breach, words: String) {
        self.state().breach(breach, words);
    }

    /// Whether everything that was said was acknowledged and reached everybody.
    pub fn is_settled(&self) -> bool {
        self.state().open.is_empty()
    }

    /// What the rest of a run shows: what is open now stays open.
    pub fn conclude(&self) {
        let mut state = self.state();
        for (number, open) in std::mem::take(&mut state.open) {
            let Open { is_acknowledged, owed } = open;
            if is_acknowledged {
                state.breach(Breach::Lost, format!("{number} never reached the members {owed:?}"));
            } else {
                state.breach(Breach::Unanswered, format!("{number} was never acknowledged; not at {owed:?}"));
            }
        }
        for Hole { member, stream, first, last, is_marked } in std::mem::take(&mut state.holes) {
            for seq in first..=last {
                let Some(number) = state.places.get(&(stream.clone(), seq)).copied() else { continue };
                let member_of = &state.members[member];
                let is_owed = member_of.since.is_some_and(|since| number >= since);
                if is_owed && !member_of.seen.contains(&number) {
                    let word = if is_marked { "marked as a gap" } else { "passed over" };
                    let words = format!("{number} at {stream} {seq} was {word} for member {member}");
                    state.breach(Breach::Lost, words);
                }
            }
        }
    }

    /// All that was broken, with the first words about each.
    pub fn breaches(&self) -> BTreeMap<Breach, Vec<String>> {
        self.state().breaches.clone()
    }

    pub fn silences(&self) -> Vec<Silence> {
        self.state().silences.clone()
    }

    pub fn sums(&self) -> Sums {
        self.state().sums.clone()
    }
}

impl State {
    /// Whoever tells where a message stands, tells the same.
    fn place(&mut self, number: u64, place: &(String, u64)) {
        let other = *self.places.entry(place.clone()).or_insert(number);
        if other != number {
            self.breach(Breach::Confused, format!("{number} and {other} are both at {place:?}"));
        }
    }

    fn close(&mut self, number: u64) {
        if self.open.get(&number).is_some_and(|open| open.is_acknowledged && open.owed.is_empty()) {
            self.open.remove(&number);
        }
    }

    fn breach(&mut self, breach: Breach, words: String) {
        let all = self.breaches.entry(breach).or_default();
        if all.len() < WORDS_MAX {
            all.push(words);
        } else if all.len() == WORDS_MAX {
            all.push("and more".to_owned());
        }
    }
}
