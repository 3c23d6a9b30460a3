//! What a worker process does: it reads a job and orders, runs workers in threads, and writes news.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, unbounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::clients::mail::Order;
use crate::measure::outcome::Outcome;
use crate::runner::capacity::Capacity;
use crate::runner::job::Job;
use crate::runner::process::{Word, read_line, write_line};
use crate::runner::worker_pool::WorkerPool;

/// How often news are told.
const NEWS_INTERVAL: Duration = Duration::from_millis(100);

/// What the worker process does: a job, from the first line to the last.
pub fn serve() -> io::Result<()> {
    // Ctrl-C reaches all processes of a terminal; the parent tells what is to follow from it.
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let job = read_line(&mut io::stdin().lock())?;
    let job: Job = job.ok_or_else(|| io::Error::other("a worker process without a job"))?;
    let result = work(&job);
    let word = match result {
        Ok(outcome) => Word::Outcome(Box::new(outcome)),
        Err(error) => Word::Failed(error.to_string()),
    };
    write_line(&mut io::stdout().lock(), &word)
}

fn work(job: &Job) -> io::Result<Outcome> {
    Capacity::of_this_machine(job.threads, false);
    let mut team = WorkerPool::of_threads(job)?;
    let (orders, ordered) = unbounded();
    thread::Builder::new().name("orders".into()).spawn(move || {
        let mut lines = io::stdin().lock();
        while let Ok(Some(order)) = read_line::<Order>(&mut lines) {
            if orders.send(order).is_err() {
                break;
            }
        }
    })?;
    loop {
        match ordered.recv_timeout(NEWS_INTERVAL) {
            Ok(Order::Finish) => return team.finish(),
            Ok(order) => team.tell(order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("the parent has ended")),
        }
        if !team.rest(Duration::ZERO) {
            return team.finish();
        }
        write_line(&mut io::stdout().lock(), &Word::News(Box::new(team.news())))?;
    }
}
