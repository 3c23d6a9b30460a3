//! A run from beginning to end: connect, speak, drain, report.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, mem};

use crate::clients::mail::Order;
use crate::load::plan::{Plan, PlanError};
use crate::load::sources::Sources;
use crate::measure::progress::{News, Snapshot};
use crate::measure::timeline::Timeline;
use crate::results::report::Report;
use crate::results::usage::Usage;
use crate::runner::assigner::Entrance;
use crate::runner::capacity::{Capacity, TooMany};
use crate::runner::job::Job;
use crate::runner::observer::Observer;
use crate::runner::worker_pool::WorkerPool;
use crate::wire::url::Url;

/// How often it is looked whether a phase is over.
const TICK: Duration = Duration::from_millis(50);
/// From the order to begin to the first message: workers of all processes have mostly read it by then.
const BEGIN_DELAY: Duration = Duration::from_millis(200);
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
    /// Where they come from.
    pub sources: Sources,
    /// Whose `/metrics` are read beside those of the servers that clients are at.
    pub metrics: Vec<Url>,
    /// Event loops of each process, at most.
    pub threads: u32,
    /// Who holds the clients.
    pub processes: Processes,
    /// For how long.
    pub patience: Patience,
}

/// Who holds the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Processes {
    /// This process alone.
    This,
    /// This process, if it can, or as many processes as are needed.
    AsNeeded {
        /// What they run: this program, or another that calls [`process::serve`].
        ///
        /// [`process::serve`]: crate::runner::process::serve
        program: PathBuf,
    },
    /// So many processes.
    Of {
        /// What they run.
        program: PathBuf,
        /// How many.
        count: u32,
    },
}

impl Options {
    /// A plan to be carried out in one thread of this process.
    pub fn new(plan: Plan, entrance: Entrance) -> Self {
        let sources = Sources::for_clients(plan.clients);
        let patience = Patience::default();
        let metrics = Vec::new();
        Self { plan, entrance, sources, metrics, threads: 1, processes: Processes::This, patience }
    }

    /// Starts the workers. Each needs a client.
    fn start(&self) -> Result<WorkerPool, Failure> {
        let Self { plan, processes, .. } = self;
        let needed = self.capacity().processes(plan.clients)?;
        let team = match processes {
            Processes::Of { program, count } => {
                WorkerPool::of_processes(program, &self.jobs((*count).clamp(needed, plan.clients)))
            }
            Processes::AsNeeded { program } if needed > 1 => {
                WorkerPool::of_processes(program, &self.jobs(needed))
            }
            Processes::This | Processes::AsNeeded { .. } => WorkerPool::of_threads(&self.job(0, 1)),
        };
        Ok(team?)
    }

    /// How many clients are possible, and what these need, in words.
    pub fn outlook(&self) -> String {
        let capacity = self.capacity();
        let processes = match &self.processes {
            Processes::Of { count, .. } => *count,
            Processes::This | Processes::AsNeeded { .. } => 0,
        };
        let needed = capacity.processes(self.plan.clients).map_or(0, |needed| needed.max(processes));
        let held = match needed {
            0 => String::new(),
            1 => ": these in one process".into(),
            needed => format!(": these in {needed} processes{}", self.sources),
        };
        format!("{capacity} are possible{held}")
    }

    fn capacity(&self) -> Capacity {
        Capacity::of_this_machine(self.threads, self.processes != Processes::This)
    }

    fn jobs(&self, processes: u32) -> Vec<Job> {
        (0..processes).map(|process| self.job(process, processes)).collect()
    }

    /// The same number of workers for each process.
    fn job(&self, process: u32, processes: u32) -> Job {
        let threads = self.threads.clamp(1, (self.plan.clients / processes).max(1));
        Job {
            plan: self.plan.clone(),
            entrance: self.entrance.clone(),
            sources: self.sources.clone(),
            first: process * threads,
            threads,
            workers: processes * threads,
        }
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
    #[error(transparent)]
    TooMany(#[from] TooMany),
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
            Self::Plan(_) | Self::TooMany(_) | Self::Unreachable(_) => 2,
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
    let observer = Observer::new(&options.metrics);
    let mut show = Show { team: options.start()?, watch, film: Timeline::new(Instant::now()), observer };

    let ramp = plan.ramp.map_or(Duration::ZERO, |ramp| Duration::from_secs((plan.clients / ramp).into()));
    let join = patience.join + ramp;
    let deadline = Instant::now() + join;
    let is_stopped = || stop.load(Ordering::Relaxed);
    let news = show.wait(Phase::Connecting, |news, now| {
        news.joined == plan.clients || news.unreachable.is_some() || deadline <= now || is_stopped()
    })?;
    let News { joined, errors, unreachable, .. } = news;
    let clients = plan.clients;
    if joined < clients {
        return Err(match unreachable {
            Some(why) => Failure::Unreachable(why),
            None if is_stopped() => Failure::Interrupted { joined, clients },
            None => Failure::NotJoined { joined, clients, patience: join, errors },
        });
    }

    let start = Instant::now() + BEGIN_DELAY;
    let end = start + plan.duration;
    show.team.tell(Order::Begin(start));
    show.wait(Phase::Sending, |news, now| news.has_said_all && end <= now || is_stopped())?;
    let interrupted = is_stopped();
    show.team.tell(Order::Stop);

    let drain = if interrupted { DRAIN_WHEN_INTERRUPTED.min(patience.drain) } else { patience.drain };
    let deadline = Instant::now() + drain;
    let mut settled_since = None;
    show.wait(Phase::Draining, |news, now| {
        match news.has_said_all && news.counts.is_settled() && news.joined == clients {
            true => settled_since = settled_since.or(Some(now)),
            false => settled_since = None,
        }
        settled_since.is_some_and(|since| since + QUIET <= now) || deadline <= now
    })?;

    let Show { team, film, observer, .. } = show;
    // While the clients are still there.
    let usage = Usage::new(observer.finish(), start);
    let outcome = team.finish()?;
    Ok(Report::new(plan, outcome, start, film, usage, interrupted))
}

/// A run being watched.
struct Show<'a> {
    team: WorkerPool,
    watch: &'a mut dyn FnMut(Phase, &Snapshot),
    film: Timeline,
    observer: Observer,
}

impl Show<'_> {
    /// Watches until a phase is over.
    fn wait(
        &mut self,
        phase: Phase,
        mut is_over: impl FnMut(&News, Instant) -> bool,
    ) -> Result<News, Failure> {
        loop {
            let is_early_end = !self.team.rest(TICK);
            let now = Instant::now();
            let news = self.team.news();
            self.observer.meet(&news.hosts);
            let snapshot = Snapshot { recent: self.film.take(now, &news), news };
            (self.watch)(phase, &snapshot);
            if is_early_end {
                let result = mem::take(&mut self.team).finish();
                let error = result.err().unwrap_or_else(|| io::Error::other("a worker ended too early"));
                return Err(Failure::Io(error));
            }
            if is_over(&snapshot.news, now) {
                return Ok(snapshot.news);
            }
        }
    }
}

fn first_errors(errors: &[String]) -> String {
    match errors {
        [] => "no errors: the servers are slow".into(),
        errors => format!("first errors: {}", errors.join("; ")),
    }
}
