//! What an attack costs: memory, CPU and sockets, from /proc.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::scene::Acts;

/// Memory of the servers at which an attack is stopped, so that the machine lives on.
const STOP_BYTES: u64 = 3 << 30;
/// And at which they are killed.
const KILL_BYTES: u64 = 6 << 30;
const INTERVAL: Duration = Duration::from_millis(50);
const PAGE_BYTES: u64 = 4096;
/// The kernel's clock ticks, in which it counts the time of processes (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures until [`Meter::end`].
pub struct Meter {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sample>>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    resident: u64,
    kernel: u64,
    cpu_ticks: u64,
    /// Of all processes that are no part of the bench.
    others_ticks: u64,
}

/// Of one attack.
pub struct Cost {
    /// Resident bytes of servers and balancer.
    pub resident: Amounts,
    /// Bytes that the kernel holds for TCP, at both ends.
    pub kernel: Amounts,
    /// Cores that servers and balancer used while they were attacked.
    pub cores: f64,
    /// And that whoever else runs on this machine used.
    pub others_cores: f64,
    /// The attack was stopped, since it took as much memory as it may.
    pub is_stopped: bool,
}

/// In bytes.
pub struct Amounts {
    pub before: u64,
    pub peak: u64,
    pub after: u64,
}

impl Meter {
    /// `is_stopped` is set when an attack takes too much memory.
    pub fn start(pids: Vec<u32>, all_pids: Vec<u32>, is_stopped: Arc<AtomicBool>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut samples = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let sample = Sample::take(&pids, &all_pids);
                if sample.resident > STOP_BYTES {
                    is_stopped.store(true, Ordering::Relaxed);
                }
                if sample.resident > KILL_BYTES {
                    pids.iter().for_each(|pid| kill(*pid));
                }
                samples.push(sample);
                thread::sleep(INTERVAL);
            }
            samples
        });
        Self { is_over, thread }
    }

    /// What it was.
    pub fn end(self, acts: &Acts) -> Cost {
        self.is_over.store(true, Ordering::Relaxed);
        let samples = self.thread.join().expect("what is measured is there");
        let last_before = |at: Instant| {
            let index = samples.partition_point(|sample| sample.at < at);
            samples[index.saturating_sub(1)]
        };
        let (before, after) = (last_before(acts.attacked), last_before(acts.end));
        let amounts = |of: fn(&Sample) -> u64| {
            let attacked = samples.iter().filter(|sample| sample.at >= acts.attacked);
            let peak = attacked.map(of).max().unwrap_or_default();
            Amounts { before: of(&before), peak, after: of(&after) }
        };
        let attacked = last_before(acts.after);
        let seconds = (attacked.at - before.at).as_secs_f64().max(f64::MIN_POSITIVE);
        let cores = |of: fn(&Sample) -> u64| {
            of(&attacked).saturating_sub(of(&before)) as f64 / TICKS_PER_SECOND / seconds
        };
        let resident = amounts(|sample| sample.resident);
        let is_stopped = resident.peak > STOP_BYTES;
        Cost {
            resident,
            kernel: amounts(|sample| sample.kernel),
            cores: cores(|sample| sample.cpu_ticks),
            others_cores: cores(|sample| sample.others_ticks),
            is_stopped,
        }
    }
}

impl Sample {
    /// A process that is no more has nothing.
    fn take(pids: &[u32], all_pids: &[u32]) -> Self {
        let ours: u64 = all_pids.iter().filter_map(|pid| cpu_ticks(*pid)).sum();
        Self {
            at: Instant::now(),
            resident: pids.iter().filter_map(|pid| resident(*pid)).sum(),
            kernel: tcp_memory().unwrap_or_default(),
            cpu_ticks: pids.iter().filter_map(|pid| cpu_ticks(*pid)).sum(),
            others_ticks: busy_ticks().unwrap_or_default().saturating_sub(ours),
        }
    }
}

fn resident(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * PAGE_BYTES)
}

/// User and kernel (proc(5), fields 14 and 15).
fn cpu_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Of all processors (proc(5), `cpu`): user, nice, system, irq, softirq, steal.
fn busy_ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).flat_map(str::parse).collect();
    [0, 1, 2, 5, 6, 7].into_iter().map(|index| fields.get(index)).sum()
}

/// `mem` of TCP in pages.
fn tcp_memory() -> Option<u64> {
    let sockets = fs::read_to_string("/proc/net/sockstat").ok()?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:"))?;
    Some(tcp.rsplit(' ').next()?.parse::<u64>().ok()? * PAGE_BYTES)
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // It may be dead already.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}
