//! Rooms full of members, each a thread of its own, and what they share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;

use super::ledger::Ledger;
use super::member::Member;
use crate::support::fleet::Fleet;
use crate::support::{PATIENCE, comes_true};

/// Rooms, with three to six members each.
pub const ROOMS: usize = 20;
/// Messages a second of all members together.
pub const CALM: u32 = 300;
/// The same when a server is to die under load.
pub const RUSH: u32 = 1000;
/// The third and later members of a room come for the first time within this time.
const LATE: Duration = Duration::from_secs(15);

/// What the members share.
pub struct Shared {
    pub ledger: Ledger,
    pub servers: Vec<SocketAddr>,
    pub balancers: Vec<SocketAddr>,
    pub members: u32,
    pub habits: Habits,
    /// Messages of all members in a second.
    pace: AtomicU32,
    is_over: AtomicBool,
}

/// What members do besides talking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// Everybody comes at once and stays at its server as long as that lives.
    pub stay: bool,
    /// Most of them leave a server that stands still.
    pub leave_who_stalls: bool,
    /// Some of what they say is long, and servers need not keep all of it.
    pub is_memory_short: bool,
}

/// All members.
pub struct Crowd {
    pub shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Two members of each room are in it, at different servers, the others come soon. They say nothing yet.
    pub fn gather(fleet: &Fleet, habits: Habits, rng: &mut Rng) -> Self {
        let sizes: Vec<_> = (0..ROOMS).map(|_| rng.usize(3..=6)).collect();
        let shared = Arc::new(Shared {
            ledger: Ledger::new(fleet.folder(), habits.is_memory_short),
            servers: fleet.servers.iter().map(|server| server.address).collect(),
            balancers: fleet.balancers.iter().map(|balancer| balancer.address).collect(),
            members: sizes.iter().sum::<usize>() as u32,
            habits,
            pace: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        });
        let mut threads = Vec::new();
        for (room, size) in sizes.into_iter().enumerate() {
            for place in 0..size {
                let comes_at_once = place < 2 || habits.stay;
                let late = if comes_at_once { Duration::ZERO } else { LATE.mul_f32(rng.f32()) };
                let server = (room + place) % shared.servers.len();
                let number = shared.ledger.enroll(room);
                let member =
                    Member::new(number, room, server, Arc::clone(&shared), Rng::with_seed(rng.u64(..)));
                threads.push(thread::spawn(move || member.run(late)));
            }
        }
        Self { shared, threads }
    }

    /// So many messages a second from now on.
    pub fn pace(&self, per_second: u32) {
        self.shared.pace.store(per_second, Ordering::Relaxed);
    }

    /// Nobody says anything new any more. Whether everything that was said reaches everybody in time.
    pub fn falls_silent(&self, within: Duration) -> bool {
        self.pace(0);
        comes_true(within, || self.shared.ledger.is_settled())
    }

    /// Everybody leaves.
    pub fn go(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut self.threads);
        assert!(comes_true(PATIENCE, || threads.iter().all(JoinHandle::is_finished)), "members do not end");
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// How long a member waits, on average, between two messages; `None`: for better times.
    pub fn interval(&self) -> Option<Duration> {
        let pace = self.pace.load(Ordering::Relaxed);
        (pace > 0).then(|| Duration::from_secs(self.members.into()) / pace)
    }
}
