//! What ends a node.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;

/// How a node is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Ctrl-C: at once, with a goodbye.
    Now,
    /// SIGTERM, or SIGHUP of a terminal that was closed: when its clients have gone elsewhere.
    Drain,
}

/// Ctrl-C, SIGTERM and SIGHUP, caught from the beginning. A second one of the first two ends the
/// process at once.
pub struct Signals {
    wait: Receiver<End>,
    folders: Arc<Mutex<Vec<PathBuf>>>,
}

impl Signals {
    /// From now on they no longer end the process by themselves.
    pub fn catch() -> io::Result<Self> {
        let mut caught = vec![SIGINT, SIGTERM];
        caught.extend((!is_ignored(SIGHUP)).then_some(SIGHUP));
        let mut signals = iterator::Signals::new(caught)?;
        let (first, wait) = bounded(1);
        let folders = Arc::new(Mutex::new(Vec::new()));
        let to_remove = Arc::clone(&folders);
        thread::Builder::new().name("signals".into()).spawn(move || {
            let mut signals = signals.forever();
            let end = if signals.next() == Some(SIGINT) { End::Now } else { End::Drain };
            // It fails only when the process is ending already.
            let _ = first.send(end);
            // A terminal that is closed says so twice: the kernel and the shell.
            if let Some(signal) = signals.find(|signal| *signal != SIGHUP) {
                let folders = to_remove.lock().unwrap_or_else(PoisonError::into_inner);
                folders.iter().for_each(|folder: &PathBuf| drop(fs::remove_dir_all(folder)));
                std::process::exit(128 + signal);
            }
        })?;
        Ok(Self { wait, folders })
    }

    /// Waits for one of them.
    pub fn wait(&self) -> End {
        // The thread that sends never ends, so this returns for a signal only.
        self.wait.recv().unwrap_or(End::Now)
    }

    /// Where the first of them arrives.
    pub fn caught(&self) -> &Receiver<End> {
        &self.wait
    }

    /// This folder goes also when a second signal ends the process.
    pub fn remove_at_exit(&self, folder: &Path) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_owned());
    }
}

/// Whether this process was started so that the signal means nothing to it, as by nohup(1). Outside
/// Linux nobody knows.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored(&status).is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// `SigIgn` of proc(5): a bit for each signal, from 1.
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000440\n";
        assert_eq!(ignored(status), Some(0x1001));
        assert_eq!((ignored(""), ignored("SigIgn:\tx\n")), (None, None));
    }
}
