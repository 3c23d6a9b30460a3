//! The binary as a process: started, listened to, signalled, and killed when the test ends.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use super::{eventually, http_get};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_distr-chat");

/// A process that is killed when the test ends without having ended it.
pub struct Running {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Running {
    /// Starts it, and reads what it writes.
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = gather(child.stdout.take().unwrap());
        let stderr = gather(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Starts it with an output and errors that go elsewhere.
    pub fn start_into(command: &mut Command, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap();
        Self { child, stdout: Arc::default(), stderr: Arc::default() }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it wrote there so far.
    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// What it wrote there so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with what it said last, if it has ended.
    #[track_caller]
    pub fn assert_runs(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended: {}{}", self.stdout(), self.stderr());
    }

    /// Waits until it answers there.
    pub fn await_live(&mut self, address: SocketAddr) {
        eventually(&format!("something listens at {address}"), || {
            self.assert_runs();
            std::net::TcpStream::connect(address).is_ok()
        });
        assert_eq!(http_get(address, "/live").status, 200);
    }

    /// Waits until it ends.
    pub fn await_end(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads on in the background, so that the process never waits for us.
fn gather(stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let gathered = Arc::clone(&text);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let mut text = gathered.lock().unwrap();
            text.push_str(&line.unwrap());
            text.push('\n');
        }
    });
    text
}

/// A command of the binary.
pub fn distr_chat(arguments: &str) -> Command {
    program(BINARY, arguments)
}

/// A command without anything that the environment would add.
pub fn program(path: impl AsRef<OsStr>, arguments: &str) -> Command {
    let mut command = Command::new(path);
    command.args(arguments.split_whitespace());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DISTR_")) {
        command.env_remove(name);
    }
    command
}

/// Ports that nobody has, in TCP and UDP.
pub fn free_ports(count: usize) -> Vec<u16> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            taken.push((tcp, udp));
        }
    }
    taken.iter().map(|(tcp, _)| tcp.local_addr().unwrap().port()).collect()
}

/// That port of this machine.
pub fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Runs to its end; the exit code, and what it wrote to stdout and stderr.
pub fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}
