//! Whether the threads of a node turn. Each stamps when its turn began and where it is in it, and all others may look: one
//! that hangs can tell nobody.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a thread does in its turn, by what its time is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Nothing: it waits for something to do.
    Wait,
    /// A reactor takes in newcomers.
    Accept,
    /// A reactor or a proxy loop reads from its sockets.
    Read,
    /// A reactor goes through its mail and deadlines.
    Serve,
    /// A reactor writes.
    Flush,
    /// The hub takes what clients want.
    Asks,
    /// The hub takes what the bus brings.
    Hear,
    /// The hub does what is due, and gathers what the turn led to.
    Finish,
    /// The hub's effects are carried out.
    CarryOut,
    /// The hub's mail goes to the reactors and the bus.
    HandOn,
    /// A proxy loop goes through its mail.
    Letters,
    /// A proxy loop goes through its deadlines.
    Expire,
    /// A balancer notes a heartbeat.
    Heartbeat,
}

impl Stage {
    const ALL: [Self; 13] = [
        Self::Wait,
        Self::Accept,
        Self::Read,
        Self::Serve,
        Self::Flush,
        Self::Asks,
        Self::Hear,
        Self::Finish,
        Self::CarryOut,
        Self::HandOn,
        Self::Letters,
        Self::Expire,
        Self::Heartbeat,
    ];

    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Accept => "accept",
            Self::Read => "read",
            Self::Serve => "serve",
            Self::Flush => "flush",
            Self::Asks => "asks",
            Self::Hear => "hear",
            Self::Finish => "finish",
            Self::CarryOut => "carry_out",
            Self::HandOn => "hand_on",
            Self::Letters => "letters",
            Self::Expire => "expire",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// One thread's loop. It alone writes; a look may be between two stores, which a turn that hangs is not.
#[derive(Debug)]
pub struct Loop {
    name: String,
    start: Instant,
    /// When the turn under way began, in microseconds since `start`; 0: none is.
    began: AtomicU64,
    stage: AtomicU8,
}

impl Loop {
    /// From now on it does this. A turn begins with the first stage after a wait, and ends with the next wait.
    pub fn enter(&self, stage: Stage, now: Instant) {
        if stage == Stage::Wait {
            self.began.store(0, Ordering::Relaxed);
        } else if self.began.load(Ordering::Relaxed) == 0 {
            self.began.store(us(self.start, now).max(1), Ordering::Relaxed);
        }
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    fn turn(&self, now: Instant) -> Option<Turn> {
        let began = self.began.load(Ordering::Relaxed);
        let stage = Stage::ALL[usize::from(self.stage.load(Ordering::Relaxed))];
        let age = Duration::from_micros(us(self.start, now).saturating_sub(began));
        (began > 0).then(|| Turn { name: self.name.clone(), began, stage, age })
    }
}

fn us(start: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(start).as_micros() as u64
}

/// A turn that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The thread's name.
    pub name: String,
    /// Tells one turn of a thread from another.
    pub began: u64,
    /// Where it is.
    pub stage: Stage,
    /// For how long it has lasted.
    pub age: Duration,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, stage, age, .. } = self;
        write!(f, "{name}: {:.1} s in one turn, phase \"{}\"", age.as_secs_f64(), stage.name())
    }
}

/// All loops of a node.
#[derive(Debug)]
pub struct Loops {
    start: Instant,
    loops: Mutex<Vec<Arc<Loop>>>,
}

impl Default for Loops {
    fn default() -> Self {
        Self { start: Instant::now(), loops: Mutex::default() }
    }
}

impl Loops {
    /// One more, which waits.
    pub fn add(&self, name: impl Into<String>) -> Arc<Loop> {
        let (began, stage) = (AtomicU64::new(0), AtomicU8::new(Stage::Wait as u8));
        let new = Arc::new(Loop { name: name.into(), start: self.start, began, stage });
        self.all().push(Arc::clone(&new));
        new
    }

    /// The turns that are under way.
    pub fn turns(&self, now: Instant) -> Vec<Turn> {
        self.all().iter().filter_map(|one| one.turn(now)).collect()
    }

    /// The turn that has lasted longest.
    pub fn longest(&self, now: Instant) -> Option<Turn> {
        self.turns(now).into_iter().max_by_key(|turn| turn.age)
    }

    /// The turn that has lasted longest, if that is longer than it may.
    pub fn stuck(&self, max: Duration, now: Instant) -> Option<Turn> {
        self.longest(now).filter(|turn| turn.age >= max)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Loop>>> {
        // Nothing that is done while it is held can fail half-way, or take long.
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_turn_lasts_from_one_wait_to_the_next() {
        let loops = Loops::default();
        let (hub, reactor) = (loops.add("hub"), loops.add("app/0"));
        let start = loops.start;
        assert_eq!(loops.longest(start + S), None, "who waits is well, for however long");
        hub.enter(Stage::Asks, start + S);
        reactor.enter(Stage::Read, start + 2 * S);
        hub.enter(Stage::Hear, start + 3 * S);
        let turn = loops.stuck(3 * S, start + 4 * S).unwrap();
        assert_eq!(turn.to_string(), "hub: 3.0 s in one turn, phase \"hear\"");
        assert_eq!(loops.stuck(4 * S, start + 4 * S), None);
        hub.enter(Stage::Wait, start + 4 * S);
        assert_eq!(loops.longest(start + 4 * S).unwrap().name, "app/0");
        hub.enter(Stage::Asks, start + 5 * S);
        assert_eq!(loops.turns(start + 5 * S)[0].age, Duration::ZERO, "another turn");
    }

    #[test]
    fn each_stage_is_found_by_its_number() {
        for (number, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, number);
        }
    }
}
