//! A run from beginning to end: connect, speak, drain, report.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::Waker;

use crate::assigner::{self, Entrance};
use crate::crowd::Outcome;
use crate::descriptors;
use crate::latency::Quantiles;
use crate::ledger::Counts;
use crate::mail::Mail;
use crate::plan::{Plan, PlanError};
use crate::progress::{self, Board, Snapshot};
use crate::report::Report;
use crate::tally::Tally;
use crate::worker::Worker;

/// How often it is looked whether a phase is over.
const TICK: Duration = Duration::from_millis(50);
/// How often recent latencies are told.
const RECENT_INTERVAL: Duration = Duration::from_secs(1);
/// From the order to begin to the first message: all workers have read it by then.
const BEGIN_DELAY: Duration = Duration::from_millis(50);
/// When everything has arrived, second copies may still be on their way.
const QUIET: Duration = Duration::from_millis(300);
/// After Ctrl-C nobody wants to wait long.
const DRAIN_WHEN_INTERRUPTED: Duration = Duration::from_secs(2);

/// What to do, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// What.
    pub plan: Plan,
    /// Where clients begin.
    pub entrance: Entrance,
    /// Event loops, at most; no more than there are rooms.
    pub threads: u32,
    /// For how long.
    pub patience: Patience,
}

impl Options {
    /// Each event loop needs a room.
    fn workers(&self) -> u32 {
        self.threads.clamp(1, self.plan.rooms)
    }
}

/// How long phases may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until all clients are in their rooms.
    pub join: Duration,
    /// Until everything acknowledged has arrived.
    pub drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { join: Duration::from_secs(60), drain: Duration::from_secs(10) }
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Clients connect and join.
    Connecting,
    /// They speak.
    Sending,
    /// What was said arrives.
    Draining,
}

/// There is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The plan cannot be carried out anywhere.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan cannot be carried out here.
    #[error(
        "{clients} clients need more descriptors than this process may open: {possible} clients are possible here; \
         raise the hard limit (ulimit -Hn) for more"
    )]
    Descriptors {
        /// Asked for.
        clients: u32,
        /// Possible.
        possible: u64,
    },
    /// Nobody told the clients where to go.
    #[error("no server to connect to: {0}")]
    Unreachable(String),
    /// Some clients did not get into their rooms.
    #[error("{joined} of {clients} clients joined within {} s; {}", .patience.as_secs_f64(), first_errors(.errors))]
    NotJoined {
        /// These did.
        joined: u32,
        /// All.
        clients: u32,
        /// The time that was given.
        patience: Duration,
        /// The first errors.
        errors: Vec<String>,
    },
    /// Ctrl-C before the first message.
    #[error("interrupted before anything was sent; {joined} of {clients} clients had joined")]
    Interrupted {
        /// These were in.
        joined: u32,
        /// All.
        clients: u32,
    },
    /// This machine lacks something.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Failure {
    /// 2 for what was wrong before it began, 1 for what went wrong.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Plan(_) | Self::Descriptors { .. } | Self::Unreachable(_) => 2,
            Self::NotJoined { .. } | Self::Interrupted { .. } | Self::Io(_) => 1,
        }
    }
}

/// Carries a plan out. `stop` ends it early; `watch` is told how it goes.
pub fn run(
    options: &Options,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(Phase, &Snapshot),
) -> Result<Report, Failure> {
    let Options { plan, patience, .. } = options;
    plan.check()?;
    let possible = descriptors::clients_max(options.workers());
    if u64::from(plan.clients) > possible {
        return Err(Failure::Descriptors { clients: plan.clients, possible });
    }
    let mut team = Team::start(options, watch)?;

    let deadline = Instant::now() + patience.join;
    let is_stopped = || stop.load(Ordering::Relaxed);
    let snapshot = team.wait(Phase::Connecting, |snapshot, now| {
        snapshot.joined == plan.clients || snapshot.unreachable.is_some() || deadline <= now || is_stopped()
    })?;
    let Snapshot { joined, errors, unreachable, .. } = snapshot;
    let clients = plan.clients;
    if joined < clients {
        return Err(match unreachable {
            Some(why) => Failure::Unreachable(why),
            None if is_stopped() => Failure::Interrupted { joined, clients },
            None => Failure::NotJoined { joined, clients, patience: patience.join, errors },
        });
    }

    let start = Instant::now() + BEGIN_DELAY;
    let end = start + plan.duration;
    team.tell(|| Mail::Begin(start));
    team.wait(Phase::Sending, |snapshot, now| snapshot.has_said_all && end <= now || is_stopped())?;
    let interrupted = is_stopped();
    team.tell(|| Mail::Stop);

    let drain = if interrupted { DRAIN_WHEN_INTERRUPTED.min(patience.drain) } else { patience.drain };
    let deadline = Instant::now() + drain;
    let mut settled_since = None;
    team.wait(Phase::Draining, |snapshot, now| {
        match snapshot.has_said_all && snapshot.counts.is_settled() {
            true => settled_since = settled_since.or(Some(now)),
            false => settled_since = None,
        }
        settled_since.is_some_and(|since| since + QUIET <= now) || deadline <= now
    })?;

    let (mut joined, mut counts, mut tally, mut took) =
        (0, Counts::default(), Tally::default(), Duration::ZERO);
    for outcome in team.finish()? {
        joined += outcome.joined;
        counts.merge(outcome.ledger.counts());
        tally.merge(&outcome.tally);
        took = took.max(outcome.last_arrival.saturating_duration_since(start));
    }
    Ok(Report::new(plan, joined, &counts, tally, took, interrupted))
}

/// The workers. When it is dropped, they are sent home.
struct Team<'a> {
    boards: Vec<Arc<Board>>,
    mails: Vec<(Sender<Mail>, Arc<Waker>)>,
    threads: Vec<JoinHandle<io::Result<Outcome>>>,
    /// Told by each worker that ends.
    ended: Receiver<()>,
    watch: &'a mut dyn FnMut(Phase, &Snapshot),
    recent: Quantiles,
    recent_due: Instant,
}

impl<'a> Team<'a> {
    fn start(options: &Options, watch: &'a mut dyn FnMut(Phase, &Snapshot)) -> io::Result<Self> {
        let plan = Arc::new(options.plan.clone());
        let workers = options.workers();
        let (ends, ended) = unbounded();
        // Neither channel can grow: a worker asks for a bounded number of clients at a time.
        let (asks, asked) = unbounded();
        let mut team = Self {
            boards: Vec::new(),
            mails: Vec::new(),
            threads: Vec::new(),
            ended,
            watch,
            recent: Quantiles::default(),
            recent_due: Instant::now(),
        };
        for index in 0..workers {
            let (mail, mailed) = unbounded();
            let board = Arc::new(Board::default());
            let share = plan.share(index, workers);
            let (worker, waker) = Worker::new(&plan, share, asks.clone(), mailed, Arc::clone(&board))?;
            let ends = ends.clone();
            let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                let result = worker.run();
                let _ = ends.send(());
                result
            })?;
            team.boards.push(board);
            team.mails.push((mail, waker));
            team.threads.push(thread);
        }
        assigner::start(options.entrance.clone(), plan.seed, asked, team.mails.clone())?;
        Ok(team)
    }

    /// Watches until a phase is over.
    fn wait(
        &mut self,
        phase: Phase,
        mut is_over: impl FnMut(&Snapshot, Instant) -> bool,
    ) -> Result<Snapshot, Failure> {
        loop {
            let is_early_end = self.ended.recv_timeout(TICK).is_ok();
            let now = Instant::now();
            let mut snapshot = Snapshot::take(self.boards.iter().map(|board| &**board));
            if self.recent_due <= now {
                self.recent_due = now + RECENT_INTERVAL;
                self.recent = progress::take_recent(self.boards.iter().map(|board| &**board));
            }
            snapshot.recent = self.recent;
            (self.watch)(phase, &snapshot);
            if is_early_end {
                return Err(Failure::Io(self.first_error()));
            }
            if is_over(&snapshot, now) {
                return Ok(snapshot);
            }
        }
    }

    fn tell(&self, mail: impl Fn() -> Mail) {
        for (sender, waker) in &self.mails {
            // One that has ended hears nothing; that is told by `ended`.
            let _ = sender.send(mail());
            let _ = waker.wake();
        }
    }

    fn finish(mut self) -> io::Result<Vec<Outcome>> {
        self.tell(|| Mail::Finish);
        std::mem::take(&mut self.threads).into_iter().map(join).collect()
    }

    fn first_error(&mut self) -> io::Error {
        self.tell(|| Mail::Finish);
        let results = std::mem::take(&mut self.threads).into_iter().map(join);
        results.filter_map(Result::err).next().unwrap_or_else(|| io::Error::other("a worker ended too early"))
    }
}

impl Drop for Team<'_> {
    fn drop(&mut self) {
        self.tell(|| Mail::Finish);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn join(thread: JoinHandle<io::Result<Outcome>>) -> io::Result<Outcome> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked")))
}

fn first_errors(errors: &[String]) -> String {
    match errors {
        [] => "no errors: the servers are slow".into(),
        errors => format!("first errors: {}", errors.join("; ")),
    }
}
