//! What somebody from outside sees meanwhile: health checks, newcomers, and the counters of what was refused.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::frames::{Inbound, Seen, UPGRADE, join};
use super::scene::Acts;
use super::world::World;

/// A health check that takes longer has failed.
const CHECK_MAX: Duration = Duration::from_secs(1);
/// A newcomer waits so long.
const JOIN_MAX: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(250);
/// A counter whose name has one of these says that something was refused.
const REFUSALS: [&str; 11] = [
    "refused",
    "errors",
    "error_answers",
    "closed",
    "dropped",
    "turned_away",
    "limited",
    "timeouts",
    "floods",
    "evicted",
    "stalls",
];

/// Asks until [`Probe::end`].
pub struct Probe {
    is_over: Arc<AtomicBool>,
    health: JoinHandle<Vec<(Instant, Check)>>,
    newcomers: JoinHandle<Vec<(Instant, Duration)>>,
}

#[derive(Clone, Copy)]
struct Check {
    is_live: bool,
    is_ready: bool,
}

/// Of one attack.
pub struct Probed {
    /// Checks while it was attacked.
    pub checks: usize,
    /// Of those, `/live` without an answer in time.
    pub unanswered: usize,
    /// `/ready` was not 200.
    pub not_ready: usize,
    /// Until the slowest newcomer was in a room of its own at the other server, while it was attacked and after.
    pub slowest_join: [Duration; 2],
}

impl Probe {
    pub fn start(world: &World) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let [attacked, other] = [world.servers[0].address, world.servers[1].address];
        let health = repeat(&is_over, INTERVAL, move || {
            let is_ok =
                |path| ask(attacked, path, CHECK_MAX).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"));
            Check { is_live: is_ok("/live"), is_ready: is_ok("/ready") }
        });
        let mut number = 0;
        let newcomers = repeat(&is_over, 4 * INTERVAL, move || {
            number += 1;
            let began = Instant::now();
            // Who does not come in has waited as long.
            let _ = come_in(other, &format!("newcomer-{number}"));
            began.elapsed()
        });
        Self { is_over, health, newcomers }
    }

    pub fn end(self, acts: &Acts) -> Probed {
        self.is_over.store(true, Ordering::Relaxed);
        let checks = self.health.join().expect("the probe has not failed");
        let attacked = checks.iter().filter(|(at, _)| (acts.attacked..acts.after).contains(at));
        let attacked: Vec<_> = attacked.map(|(_, check)| check).collect();
        let joins = self.newcomers.join().expect("the probe has not failed");
        let slowest = |from, to| {
            let within = joins.iter().filter(|(at, _)| (from..to).contains(at));
            within.map(|(_, took)| *took).max().unwrap_or_default()
        };
        Probed {
            checks: attacked.len(),
            unanswered: attacked.iter().filter(|check| !check.is_live).count(),
            not_ready: attacked.iter().filter(|check| check.is_live && !check.is_ready).count(),
            slowest_join: [slowest(acts.attacked, acts.after), slowest(acts.after, acts.end)],
        }
    }
}

/// Does something again and again in a thread of its own.
fn repeat<T: Send + 'static>(
    is_over: &Arc<AtomicBool>,
    interval: Duration,
    mut act: impl FnMut() -> T + Send + 'static,
) -> JoinHandle<Vec<(Instant, T)>> {
    let over = Arc::clone(is_over);
    thread::spawn(move || {
        let mut done = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            done.push((began, act()));
            thread::sleep(interval.saturating_sub(began.elapsed()));
        }
        done
    })
}

/// Counters of refusals of all these nodes together; one that does not answer has none.
pub fn refusals(world: &World) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for member in world.servers.iter().chain([&world.balancer]) {
        let text = ask(member.address, "/metrics", JOIN_MAX).unwrap_or_default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            if REFUSALS.iter().any(|word| name.contains(word)) {
                *counters.entry(name.to_owned()).or_default() += value.parse().unwrap_or(0);
            }
        }
    }
    counters
}

fn ask(address: SocketAddr, path: &str, patience: Duration) -> io::Result<String> {
    let mut stream = connect(address, patience)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn come_in(address: SocketAddr, room: &str) -> io::Result<()> {
    let mut stream = connect(address, JOIN_MAX)?;
    stream.write_all(UPGRADE)?;
    stream.write_all(&join(room, "newcomer"))?;
    let (mut inbound, mut seen, mut buffer) = (Inbound::default(), Seen::new(), [0; 4096]);
    let end = Instant::now() + JOIN_MAX;
    while !seen.contains_key("joined") {
        let count = stream.read(&mut buffer)?;
        if count == 0 || Instant::now() >= end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        inbound.handle(&buffer[..count], &mut seen, &mut |_| {});
    }
    Ok(())
}

fn connect(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}
