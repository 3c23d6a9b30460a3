//! The workers of a run, in threads of this process or in processes of their own: told the same, telling the same.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::Waker;

use crate::clients::mail::{Mail, Order};
use crate::load::shard::Shard;
use crate::load::workload::Workload;
use crate::measure::outcome::Outcome;
use crate::measure::progress::{self, Board, News};
use crate::runner::assigner;
use crate::runner::job::Job;
use crate::runner::process::Process;
use crate::runner::worker::Worker;

/// The workers. When it is dropped, they are sent home.
#[derive(Default)]
pub struct WorkerPool {
    boards: Vec<Arc<Board>>,
    members: Vec<Member>,
    /// Told by each member that ends.
    ended: Option<Receiver<()>>,
}

struct Member {
    ear: Ear,
    end: JoinHandle<io::Result<Outcome>>,
}

enum Ear {
    Thread(Sender<Mail>, Arc<Waker>),
    Process(Process),
}

impl WorkerPool {
    /// Workers in threads.
    pub fn of_threads(job: &Job) -> io::Result<Self> {
        let script = Arc::new(Workload::new(&job.plan));
        let (ends, ended) = unbounded();
        // Neither channel can grow: a worker asks for a bounded number of clients at a time.
        let (asks, asked) = unbounded();
        let mut team = Self::told_by(ended);
        let mut mails = Vec::new();
        for place in 0..job.threads {
            let (mail, mailed) = unbounded();
            let board = Arc::new(Board::default());
            let share = Shard::new(Arc::clone(&script), job.first + place, job.workers);
            let asks = asks.clone();
            let sources = job.sources.clone();
            let (worker, waker) =
                Worker::new(place as usize, share, sources, asks, mailed, Arc::clone(&board))?;
            let name = format!("worker-{place}");
            let end = spawn(name, ends.clone(), move || worker.run())?;
            mails.push((mail.clone(), Arc::clone(&waker)));
            team.boards.push(board);
            team.members.push(Member { ear: Ear::Thread(mail, waker), end });
        }
        assigner::start(job.entrance.clone(), job.plan.seed, asked, mails)?;
        Ok(team)
    }

    /// Workers in processes, each of which runs `program` as a worker.
    pub fn of_processes(program: &PathBuf, jobs: &[Job]) -> io::Result<Self> {
        let (ends, ended) = unbounded();
        let mut team = Self::told_by(ended);
        for job in jobs {
            let board = Arc::new(Board::default());
            let (process, voice) = Process::start(program, job)?;
            let heard = Arc::clone(&board);
            let name = format!("process-{}", team.members.len());
            let end = spawn(name, ends.clone(), move || voice.listen(&heard))?;
            team.boards.push(board);
            team.members.push(Member { ear: Ear::Process(process), end });
        }
        Ok(team)
    }

    fn told_by(ended: Receiver<()>) -> Self {
        Self { boards: Vec::new(), members: Vec::new(), ended: Some(ended) }
    }

    /// Waits a little; false if a worker has ended meanwhile, which it should not.
    pub fn rest(&self, time: Duration) -> bool {
        self.ended.as_ref().is_none_or(|ended| ended.recv_timeout(time).is_err())
    }

    /// What the workers tell. Recent latencies are told once.
    pub fn news(&self) -> News {
        progress::collect(self.boards.iter().map(|board| &**board))
    }

    /// Tells all workers.
    pub fn tell(&mut self, order: Order) {
        for Member { ear, .. } in &mut self.members {
            match ear {
                // One that has ended hears nothing; that is told by `ended`.
                Ear::Thread(mail, waker) => {
                    let _ = mail.send(Mail::Order(order));
                    let _ = waker.wake();
                }
                Ear::Process(process) => process.tell(order),
            }
        }
    }

    /// Sends the workers home, and puts together what they leave. Where one fails, its error.
    pub fn finish(mut self) -> io::Result<Outcome> {
        self.tell(Order::Finish);
        let mut all: Option<Outcome> = None;
        for outcome in self.go_home() {
            let outcome = outcome?;
            all = Some(match all {
                Some(all) => all.merge(&outcome),
                None => outcome,
            });
        }
        all.ok_or_else(|| io::Error::other("there are no workers"))
    }

    fn go_home(&mut self) -> Vec<io::Result<Outcome>> {
        let ends = self.members.drain(..).map(|Member { ear, end }| {
            let result = end.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked")));
            drop(ear);
            result
        });
        ends.collect()
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.tell(Order::Finish);
        self.go_home();
    }
}

/// A thread that tells when it ends.
fn spawn(
    name: String,
    ends: Sender<()>,
    work: impl FnOnce() -> io::Result<Outcome> + Send + 'static,
) -> io::Result<JoinHandle<io::Result<Outcome>>> {
    thread::Builder::new().name(name).spawn(move || {
        let result = work();
        let _ = ends.send(());
        result
    })
}
