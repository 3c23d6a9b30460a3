//! Workers in a process of their own: the same program, which reads orders and writes news, one JSON value a line.
//!
//! ```text
//!  parent ── Job, Order… ──▶ stdin   worker process ── News…, Outcome ──▶ stdout
//! ```
//! A worker process ends when its standard input does, so none outlives its parent, however that ends.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clients::mail::Order;
use crate::measure::outcome::Outcome;
use crate::measure::progress::{Board, News};
use crate::runner::job::Job;

/// The argument that makes this program a worker.
pub const WORKER_ARGUMENT: &str = "worker-process";
/// What a worker process says.
#[derive(Serialize, Deserialize)]
pub(super) enum Word {
    /// How it goes.
    News(Box<News>),
    /// The last word.
    Outcome(Box<Outcome>),
    /// The last word, too.
    Failed(String),
}

/// A worker process, as its parent speaks to it.
pub struct Process {
    child: Child,
    ear: BufWriter<ChildStdin>,
}

/// What a worker process says, as its parent hears it.
pub struct Voice(BufReader<ChildStdout>);

impl Process {
    /// Starts one.
    pub fn start(program: &PathBuf, job: &Job) -> io::Result<(Self, Voice)> {
        let mut command = Command::new(program);
        command.arg(WORKER_ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a worker process without pipes"));
        };
        let mut process = Self { child, ear: BufWriter::new(stdin) };
        write_line(&mut process.ear, job)?;
        Ok((process, Voice(BufReader::new(stdout))))
    }

    /// Tells it what to do next. One that has ended hears nothing, which its voice shows.
    pub fn tell(&mut self, order: Order) {
        let _ = write_line(&mut self.ear, &order);
    }
}

impl Drop for Process {
    /// It has said its last word, or will never.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Voice {
    /// Puts news on the board until the last word.
    pub fn listen(mut self, board: &Board) -> io::Result<Outcome> {
        loop {
            match read_line(&mut self.0)? {
                Some(Word::News(mut news)) => {
                    let mut last = board.lock();
                    news.recent.merge(&last.recent);
                    *last = *news;
                }
                Some(Word::Outcome(outcome)) => return Ok(*outcome),
                Some(Word::Failed(error)) => return Err(io::Error::other(error)),
                None => return Err(io::Error::other("a worker process ended too early")),
            }
        }
    }
}

pub(super) fn write_line(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")?;
    to.flush()
}

/// The next line; `None` at the end.
pub(super) fn read_line<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    match from.read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(serde_json::from_str(&line)?)),
    }
}
