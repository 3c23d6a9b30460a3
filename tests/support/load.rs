//! Load on a fleet while a test does things to it: the load generator, in threads of the test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use loadgen::load::plan::Plan;
use loadgen::results::report::Report;
use loadgen::runner::assigner::Entrance;
use loadgen::runner::run::{self, Failure, Options, Patience, Phase};
use loadgen::wire::url::Url;

/// More than any test takes.
const ENDLESS: Duration = Duration::from_secs(3600);
/// A busy machine takes its time.
const JOIN_MAX: Duration = Duration::from_secs(60);

/// Clients that come by way of balancers and speak until they are told to end.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    run: JoinHandle<Result<Report, Failure>>,
}

/// How clients reach servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Balancers name a server.
    Assigned,
    /// Balancers pass on what is said.
    Proxied,
}

impl Load {
    /// Starts so many clients in so many rooms, which say so many messages a second together, and waits until all are in.
    pub fn start(balancers: &[SocketAddr], way: Way, clients: u32, rooms: u32, rate: u32) -> Self {
        let url = |scheme, path| {
            let urls = balancers.iter().map(move |at| Url::parse(&format!("{scheme}://{at}{path}"), scheme));
            urls.collect::<Result<Vec<_>, _>>().unwrap()
        };
        let entrance = match way {
            Way::Assigned => Entrance::Balancers(url("http", "")),
            Way::Proxied => Entrance::Direct(url("ws", "/ws")),
        };
        let (seed, run) = (fastrand::u64(..), fastrand::u32(..));
        let plan = Plan { clients, rooms, rate, duration: ENDLESS, seed, run, ..Plan::default() };
        let patience = Patience { join: JOIN_MAX, ..Patience::default() };
        let options = Options { patience, ..Options::new(plan, entrance) };
        let (stop, (begun, begins)) = (Arc::new(AtomicBool::new(false)), channel());
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let run = thread::spawn(move || {
            run::run(&options, &stopped, &mut |phase, snapshot| {
                count.store(snapshot.news.counts.acknowledged, Ordering::Relaxed);
                if phase == Phase::Sending {
                    // The test waits for the first only.
                    let _ = begun.send(());
                }
            })
        });
        let load = Self { stop, acknowledged, run };
        match begins.recv() {
            Ok(()) => load,
            Err(_) => panic!("{}", load.run.join().unwrap().unwrap_err()),
        }
    }

    /// Messages that were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends it, waits for what is under way, and checks that nothing acknowledged was lost, doubled or out of order and that
    /// everybody is in.
    #[track_caller]
    pub fn end(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let report = self.run.join().unwrap().unwrap();
        assert!(report.faults().is_empty(), "{:?}\n{report}", report.faults());
        assert!(report.acknowledged > 0, "{report}");
        report
    }
}
