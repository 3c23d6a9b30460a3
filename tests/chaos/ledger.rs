//! What was said, to whom it is owed, and what every member saw: the promise, checked from outside. A message is known by
//! its text, which is its number, so that a server cannot hide it behind another id.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::memory::{KEPT_MIN, text};

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

/// A member that was connected heard nothing for a while, or no acknowledgement of what it said.
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
    /// By server, what it acknowledged to those who said it there.
    pub acks_at: BTreeMap<usize, u64>,
    /// Sightings that were owed, and those that were made.
    pub owed: u64,
    pub delivered: u64,
    /// Numbers that members were told as gaps, and sightings that were owed but not kept for as long as it took.
    pub marked: u64,
    pub expired: u64,
    /// Returns to servers that did not keep all, and messages that were said anew so late that they were seen twice; both are
    /// as they must be where memory is short.
    pub cut_short: u64,
    pub said_anew: u64,
    pub refusals: BTreeMap<String, u64>,
    pub breaches: BTreeMap<Breach, u64>,
    /// Longest way of a member from one server to another.
    pub worst_return: Duration,
    /// Servers that members left because they stood still.
    pub left: u64,
}

/// Members of a room that were told who comes or goes.
pub type Namings = Vec<(Instant, String)>;

/// Shared by all members.
pub struct Ledger {
    state: Mutex<State>,
    is_memory_short: bool,
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
    /// By number, less one.
    said: Vec<Said>,
    /// What was said in each room, in bytes.
    spoken: HashMap<usize, u64>,
    /// And what of it has been acknowledged.
    settled: HashMap<usize, u64>,
    holes: Vec<Hole>,
    silences: Vec<Silence>,
    waits: Vec<Silence>,
    namings: Namings,
    breaches: BTreeMap<Breach, Vec<String>>,
    sums: Sums,
}

/// A message, by what had been said in its room.
#[derive(Clone, Copy)]
struct Said {
    room: usize,
    /// Bytes that stood before it for certain: they had been acknowledged. Others may wait in the socket of a server that
    /// stands still, and are appended when it goes on.
    before: u64,
    weight: u64,
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
    /// What had been said in the room by then, in bytes.
    spoken: u64,
}

impl Ledger {
    /// Its diary is a file of that folder.
    pub fn new(folder: &Path, is_memory_short: bool) -> Self {
        let diary = File::create(folder.join("members.log")).unwrap();
        Self { state: Mutex::default(), is_memory_short, diary, begun: Instant::now() }
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

    /// The member came back and was not told all. That is as it must be if servers need not have kept what it lacks, or if it
    /// lacks nothing: numbers that it need not be shown, since it knows the messages, are forgotten as all others are.
    pub fn resumed_with_a_hole(&self, member: usize, words: &str) {
        let mut state = self.state();
        let spoken = state.spoken_where(member);
        let is_owed = |(number, open): (&u64, &Open)| open.owed.contains(&member).then_some(*number);
        let owed: Vec<_> = state.open.iter().filter_map(is_owed).collect();
        let is_lawful = owed.first().is_none_or(|oldest| state.is_forgotten(*oldest, spoken));
        if !self.is_memory_short || !is_lawful {
            let after = owed.first().map(|oldest| (oldest, spoken - state.said[*oldest as usize - 1].before));
            state.breach(Breach::Incomplete, format!("{words}; (oldest owed, bytes after): {after:?}"));
            return;
        }
        state.sums.cut_short += 1;
        for number in owed {
            if state.is_forgotten(number, spoken) {
                state.expire(number, member);
            }
        }
    }

    /// The member left a server that stood still.
    pub fn left(&self) {
        self.state().sums.left += 1;
    }

    /// Members of a room were told who came or went.
    pub fn named(&self, words: String) {
        self.state().namings.push((Instant::now(), words));
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
        let (_, weight) = text(number, self.is_memory_short);
        *state.spoken.entry(room).or_default() += weight;
        let before = state.settled.get(&room).copied().unwrap_or_default();
        state.said.push(Said { room, before, weight });
        state.open.insert(number, Open { is_acknowledged: false, owed });
        number
    }

    /// The member was told that the message is safe, after it had waited on one connection.
    pub fn acknowledged(&self, number: u64, place: &(String, u64), wait: Option<Silence>) {
        let mut state = self.state();
        if let Some(wait) = &wait {
            *state.sums.acks_at.entry(wait.server).or_default() += 1;
        }
        state.waits.extend(wait.filter(|wait| wait.to - wait.from >= SILENCE_MIN));
        state.place(number, place, self.is_memory_short);
        if let Some(open) = state.open.get_mut(&number).filter(|open| !open.is_acknowledged) {
            open.is_acknowledged = true;
            let Said { room, weight, .. } = state.said[number as usize - 1];
            *state.settled.entry(room).or_default() += weight;
            state.sums.acknowledged += 1;
            state.close(number);
        }
    }

    /// The member was shown a message.
    pub fn saw(&self, member: usize, number: u64, place: &(String, u64)) {
        let mut state = self.state();
        state.place(number, place, self.is_memory_short);
        if !state.members[member].seen.insert(number) {
            let spoken = state.spoken_where(member);
            if self.is_memory_short && state.is_forgotten(number, spoken) {
                state.sums.said_anew += 1;
                return;
            }
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
        let spoken = state.spoken_where(member);
        let hole = Hole { member, stream: stream.to_owned(), first, last, is_marked, spoken };
        if is_marked {
            self.note(&format!("member {member} was told a gap, {stream} {first} to {last}"));
            state.sums.marked += last - first + 1;
        }
        for seq in first..=last {
            let place = (stream.to_owned(), seq);
            if let Some(number) = state.places.get(&place).copied().filter(|_| self.is_memory_short) {
                state.expire_in(&hole, number);
            }
        }
        state.holes.push(hole);
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
        for Hole { member, stream, first, last, is_marked, spoken } in std::mem::take(&mut state.holes) {
            for seq in first..=last {
                let Some(number) = state.places.get(&(stream.clone(), seq)).copied() else { continue };
                let member_of = &state.members[member];
                let is_owed = member_of.since.is_some_and(|since| number >= since);
                let is_expired = is_marked && self.is_memory_short && state.is_forgotten(number, spoken);
                if is_owed && !is_expired && !member_of.seen.contains(&number) {
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

    /// Long waits for acknowledgements.
    pub fn waits(&self) -> Vec<Silence> {
        self.state().waits.clone()
    }

    pub fn namings(&self) -> Namings {
        self.state().namings.clone()
    }

    /// Whether every member has come into its room.
    pub fn are_all_here(&self) -> bool {
        self.state().members.iter().all(|member| member.since.is_some())
    }

    pub fn sums(&self) -> Sums {
        self.state().sums.clone()
    }
}

impl State {
    /// Whoever tells where a message stands, tells the same.
    fn place(&mut self, number: u64, place: &(String, u64), is_memory_short: bool) {
        let other = self.places.insert(place.clone(), number);
        if let Some(other) = other.filter(|other| *other != number) {
            self.places.insert(place.clone(), other);
            self.breach(Breach::Confused, format!("{number} and {other} are both at {place:?}"));
        } else if other.is_none() && is_memory_short {
            // It is known only now whom a gap kept from it.
            let holes = std::mem::take(&mut self.holes);
            let (stream, seq) = place;
            for hole in &holes {
                if hole.stream == *stream && (hole.first..=hole.last).contains(seq) {
                    self.expire_in(hole, number);
                }
            }
            self.holes = holes;
        }
    }

    fn spoken_where(&self, member: usize) -> u64 {
        self.spoken.get(&self.members[member].room).copied().unwrap_or_default()
    }

    /// Whether no server need have kept it by the time when so much had been said in its room.
    fn is_forgotten(&self, number: u64, spoken: u64) -> bool {
        let Said { before, weight, .. } = self.said[number as usize - 1];
        spoken >= before + weight + KEPT_MIN
    }

    /// The gap kept the member from that message, as it must where no server keeps it.
    fn expire_in(&mut self, hole: &Hole, number: u64) {
        if hole.is_marked && self.is_forgotten(number, hole.spoken) {
            self.expire(number, hole.member);
        }
    }

    /// The member is not to see it any more.
    fn expire(&mut self, number: u64, member: usize) {
        if self.open.get_mut(&number).is_some_and(|open| open.owed.remove(&member)) {
            self.sums.expired += 1;
            self.close(number);
        }
    }

    fn close(&mut self, number: u64) {
        if self.open.get(&number).is_some_and(|open| open.is_acknowledged && open.owed.is_empty()) {
            self.open.remove(&number);
        }
    }

    fn breach(&mut self, breach: Breach, words: String) {
        *self.sums.breaches.entry(breach).or_default() += 1;
        let all = self.breaches.entry(breach).or_default();
        if all.len() < WORDS_MAX {
            all.push(words);
        } else if all.len() == WORDS_MAX {
            all.push("and more".to_owned());
        }
    }
}
