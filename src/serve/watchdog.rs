//! The thread that tells which other thread of a node hangs, and where.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::loops::Turn;
use super::metrics::Metrics;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches all loops that `metrics` has, or will have. A turn that lasts for `stall` is told.
    pub fn start(name: &str, metrics: Arc<Metrics>, stall: Duration) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name(format!("{name}/watchdog")).spawn(move || {
            let mut told = Told::default();
            while !stopped.load(Ordering::Acquire) {
                thread::park_timeout(INTERVAL);
                for news in told.look(&metrics.loops.turns(Instant::now()), stall) {
                    match news {
                        News::Hangs(turn) => {
                            metrics.stalled(&turn);
                            log::warn!("{turn}");
                        }
                        News::HangsOn(turn) => log::warn!("{turn}"),
                        News::Turns(turn) => {
                            log::info!(
                                "{} turns again, after {:.1} s or more",
                                turn.name,
                                turn.age.as_secs_f64()
                            );
                        }
                    }
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() && !thread::panicking() {
                log::error!("the watchdog panicked");
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum News {
    /// For the first time.
    Hangs(Turn),
    /// Twice as long as when it was told last.
    HangsOn(Turn),
    /// It does no more.
    Turns(Turn),
}

/// Turns that were told, as they were then.
#[derive(Debug, Default)]
struct Told(Vec<Turn>);

impl Told {
    fn look(&mut self, turns: &[Turn], stall: Duration) -> Vec<News> {
        let is_same = |a: &Turn, b: &Turn| a.name == b.name && a.began == b.began;
        let mut news = Vec::new();
        self.0.retain(|told| {
            let lasts = turns.iter().any(|turn| is_same(turn, told));
            if !lasts {
                news.push(News::Turns(told.clone()));
            }
            lasts
        });
        for turn in turns.iter().filter(|turn| turn.age >= stall) {
            match self.0.iter_mut().find(|told| is_same(turn, told)) {
                None => {
                    self.0.push(turn.clone());
                    news.push(News::Hangs(turn.clone()));
                }
                Some(told) if turn.age >= 2 * told.age => {
                    *told = turn.clone();
                    news.push(News::HangsOn(turn.clone()));
                }
                Some(_) => {}
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::loops::Stage;

    #[test]
    fn a_hang_is_told_at_once_then_ever_less_often_and_when_it_is_over() {
        let turn = |began, seconds| Turn {
            name: "hub".into(),
            began,
            stage: Stage::Hear,
            age: Duration::from_secs(seconds),
        };
        let mut told = Told::default();
        let mut look = |began, seconds| told.look(&[turn(began, seconds)], Duration::from_secs(2));
        assert_eq!(look(1, 1), []);
        assert_eq!(look(1, 2), [News::Hangs(turn(1, 2))]);
        assert_eq!(look(1, 3), []);
        assert_eq!(look(1, 5), [News::HangsOn(turn(1, 5))]);
        assert_eq!(look(1, 9), []);
        assert_eq!(look(1, 10), [News::HangsOn(turn(1, 10))]);
        // Another turn of the same thread hangs as well.
        assert_eq!(look(2, 3), [News::Turns(turn(1, 10)), News::Hangs(turn(2, 3))]);
        assert_eq!(told.look(&[], Duration::from_secs(2)), [News::Turns(turn(2, 3))]);
    }
}
