//! The acts of an attack: quiet, attacked, after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::world::World;

/// Before the attack, and again for [`AFTER`] behind it, the bystanders are alone.
const QUIET: Duration = Duration::from_secs(3);
/// An attack has so long.
const ATTACKED: Duration = Duration::from_secs(8);
/// So long after it, memory has to be given back.
const AFTER: Duration = Duration::from_secs(10);

/// What an attack sees.
pub struct Scene<'w> {
    pub world: &'w World,
    /// What the servers' streams in the bystanders' room are called.
    pub streams: [String; 2],
    is_stopped: Arc<AtomicBool>,
    acts: Acts,
}

/// When each act began.
#[derive(Clone, Copy)]
pub struct Acts {
    pub quiet: Instant,
    pub attacked: Instant,
    pub after: Instant,
    pub end: Instant,
}

impl<'w> Scene<'w> {
    /// `is_stopped` ends the attack before its time.
    pub fn new(world: &'w World, streams: [String; 2], is_stopped: Arc<AtomicBool>) -> Self {
        let now = Instant::now();
        Self { world, streams, is_stopped, acts: Acts { quiet: now, attacked: now, after: now, end: now } }
    }

    /// What is needed for the attack is there: measures the quiet, and lets it begin.
    pub fn begin(&mut self) {
        self.acts.quiet = Instant::now();
        thread::sleep(QUIET);
        self.acts.attacked = Instant::now();
    }

    /// The attack's time is up.
    pub fn is_over(&self) -> bool {
        self.acts.attacked.elapsed() >= ATTACKED || self.is_stopped.load(Ordering::Relaxed)
    }

    /// The attackers are gone: waits for what they leave behind.
    pub fn end(mut self) -> Acts {
        self.acts.after = Instant::now();
        thread::sleep(AFTER);
        self.acts.end = Instant::now();
        self.acts
    }
}
