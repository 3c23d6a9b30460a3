//! Processes for tests that break things: killed, frozen, started again. What they write is in files, which are kept
//! when the test fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::eventually;

/// A folder for a test. It goes with the test, unless that fails.
pub struct Folder(Option<TempDir>);

impl Folder {
    pub fn new() -> Self {
        Self(Some(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()))
    }

    pub fn path(&self) -> &Path {
        self.0.as_ref().unwrap().path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("what the processes wrote is in {}", self.0.take().unwrap().keep().display());
        }
    }
}

/// One that runs or not; killed when it is dropped.
pub struct Process {
    name: String,
    command: Command,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// It does not run yet. Its log is `NAME.log` in the folder.
    pub fn new(name: &str, command: Command, folder: &Path) -> Self {
        Self { name: name.into(), command, log: folder.join(format!("{name}.log")), child: None }
    }

    /// What starts it, to be told more.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts it; what it writes is added to its log.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = || File::options().create(true).append(true).open(&self.log).unwrap();
        let command = self.command.stdin(Stdio::null()).stdout(log()).stderr(log());
        self.child = Some(command.spawn().unwrap());
    }

    /// Ends it without a warning, also if it is frozen.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Lets it end by itself.
    pub fn end(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut status = None;
        eventually(&format!("{} ends", self.name), || {
            status = self.child.as_mut().unwrap().try_wait().unwrap();
            status.is_some()
        });
        self.child = None;
        status.unwrap()
    }

    /// It does nothing any more, but its sockets are open.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on as if nothing had been.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it was started and has not been ended by a test.
    pub fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// What it wrote, in all its lives.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails with what it said, if it has ended by itself.
    #[track_caller]
    pub fn assert_runs(&mut self) {
        let ended = self.child.as_mut().expect("it was started").try_wait().unwrap();
        assert!(ended.is_none(), "{} ended ({ended:?}): {}", self.name, self.output());
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().expect("it runs")), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
