//! A cluster whose nodes are processes of their own, so that any of them can be killed.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Role, reachable};

/// Within this a node must listen.
const START_MAX: Duration = Duration::from_secs(15);
/// A node that was told to end at once has this long; a server says goodbye to its clients for 2 s of it.
const STOP_MAX: Duration = Duration::from_secs(5);
/// How often a node that starts or ends is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Servers need the nodes between them, balancers must hear the first heartbeats, and the chat comes when all is there.
const START_ORDER: [Role; 4] = [Role::Redis, Role::Balancer, Role::App, Role::Frontend];
/// Of this program's variables a node gets only those that it is given, so that its command says everything.
const PREFIX: &str = "DISTR_";

/// A node that is to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// As in logs and reports.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Where it is going to listen.
    pub address: SocketAddr,
    /// What this program is told, to be that node.
    pub arguments: Vec<String>,
    /// Where its standard output goes, if not to ours.
    pub log: Option<PathBuf>,
}

/// Why the cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system made no process.
    #[error("{0} could not be started: {1}")]
    Spawn(String, io::Error),
    /// It ended before it listened; what it said last, if that went to a log.
    #[error("{0} ended at its start ({1}), so nothing runs{2}")]
    Ended(String, ExitStatus, String),
    /// It runs and does not listen.
    #[error("{0} does not listen at {1} after {START_MAX:?}, so nothing runs")]
    Silent(String, SocketAddr),
}

/// A node that ended though nobody told it to.
#[derive(Debug)]
pub struct Death {
    /// Which.
    pub name: String,
    /// What its process was.
    pub pid: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// What starts it again in a shell.
    pub command: String,
    /// Where it may have said why.
    pub log: Option<PathBuf>,
}

/// The nodes, until it is dropped: then the frontend goes first and Redis last.
///
/// All of them die with the thread that made them ([`super::lifeline`]), so that must be one that stays.
#[derive(Debug)]
pub struct Processes {
    program: PathBuf,
    environment: Vec<(String, String)>,
    restart: Option<Duration>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    plan: Plan,
    child: Option<Child>,
    /// When it is started again.
    due: Option<Instant>,
}

impl Processes {
    /// Starts `program` for each plan, with these variables, and waits until all listen. A node that dies later is
    /// started again after `restart`, if that is told.
    pub fn start(
        program: &Path,
        plans: Vec<Plan>,
        environment: Vec<(String, String)>,
        restart: Option<Duration>,
    ) -> Result<Self, Fault> {
        let nodes = plans.into_iter().map(|plan| Node { plan, child: None, due: None }).collect();
        let mut processes = Self { program: program.to_owned(), environment, restart, nodes };
        for role in START_ORDER {
            processes.start_all(role)?;
        }
        Ok(processes)
    }

    fn start_all(&mut self, role: Role) -> Result<(), Fault> {
        let Self { program, environment, nodes, .. } = self;
        let deadline = Instant::now() + START_MAX;
        for node in nodes.iter_mut().filter(|node| node.plan.role == role) {
            let spawned = spawn(program, &node.plan, environment);
            node.child = Some(spawned.map_err(|error| Fault::Spawn(node.plan.name.clone(), error))?);
        }
        for node in nodes.iter_mut().filter(|node| node.plan.role == role) {
            node.await_listening(deadline)?;
        }
        Ok(())
    }

    /// All nodes in the order of their plans, with the pids of those that live.
    pub fn nodes(&self) -> impl Iterator<Item = (&Plan, Option<u32>)> {
        self.nodes.iter().map(|node| (&node.plan, node.child.as_ref().map(Child::id)))
    }

    /// Those that died since it was last asked.
    pub fn deaths(&mut self) -> Vec<Death> {
        let Self { program, nodes, restart, .. } = self;
        let mut deaths = Vec::new();
        for node in nodes {
            let Some((pid, status)) = node.reap() else { continue };
            node.due = restart.map(|pause| Instant::now() + pause);
            let Plan { name, log, .. } = node.plan.clone();
            deaths.push(Death { name, pid, status, command: command_line(program, &node.plan), log });
        }
        deaths
    }

    /// When the next node is to be started again.
    pub fn next_restart(&self) -> Option<Instant> {
        self.nodes.iter().filter_map(|node| node.due).min()
    }

    /// Starts those that are due. Tells the name of each and its new pid, or why there is none; then it is tried again.
    pub fn restart(&mut self) -> Vec<(String, io::Result<u32>)> {
        let (now, mut started) = (Instant::now(), Vec::new());
        for node in self.nodes.iter_mut().filter(|node| node.due.is_some_and(|due| due <= now)) {
            let spawned = spawn(&self.program, &node.plan, &self.environment);
            node.due = self.restart.filter(|_| spawned.is_err()).map(|pause| now + pause);
            let pid = spawned.map(|child| node.child.insert(child).id());
            started.push((node.plan.name.clone(), pid));
        }
        started
    }

    fn stop_all(&mut self, role: Role) {
        let deadline = Instant::now() + STOP_MAX;
        for node in self.nodes.iter_mut().filter(|node| node.plan.role == role) {
            if let Some(child) = &node.child {
                // It fails only when the process has ended already.
                let _ = kill_process(Pid::from_child(child), Signal::INT);
            }
        }
        for node in self.nodes.iter_mut().filter(|node| node.plan.role == role) {
            while node.child.is_some() && node.reap().is_none() {
                if Instant::now() > deadline
                    && let Some(child) = &mut node.child
                {
                    let _ = child.kill();
                }
                thread::sleep(LOOK);
            }
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        START_ORDER.into_iter().rev().for_each(|role| self.stop_all(role));
    }
}

impl Node {
    fn await_listening(&mut self, deadline: Instant) -> Result<(), Fault> {
        let address = reachable(self.plan.address);
        while TcpStream::connect_timeout(&address, LOOK).is_err() {
            if let Some((_, status)) = self.reap() {
                return Err(Fault::Ended(self.plan.name.clone(), status, self.last_words()));
            }
            if Instant::now() > deadline {
                return Err(Fault::Silent(self.plan.name.clone(), address));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = self.plan.log.as_ref().and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
        log.lines().last().map(|line| format!(": {line}")).unwrap_or_default()
    }

    /// Lets the process go if it has ended.
    fn reap(&mut self) -> Option<(u32, ExitStatus)> {
        let child = self.child.as_mut()?;
        let ended = child.try_wait().ok().flatten().map(|status| (child.id(), status))?;
        self.child = None;
        Some(ended)
    }
}

/// In a group of its own, since Ctrl-C is for the supervisor, which tells each when its time has come.
fn spawn(program: &Path, plan: &Plan, environment: &[(String, String)]) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(&plan.arguments).stdin(Stdio::null()).process_group(0);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    if let Some(log) = &plan.log {
        command.stdout(File::options().create(true).append(true).open(log)?);
    }
    command.spawn()
}

/// What a user types into a shell to start a node.
fn command_line(program: &Path, plan: &Plan) -> String {
    let program = program.to_string_lossy();
    let words = std::iter::once(program.as_ref()).chain(plan.arguments.iter().map(String::as_str));
    // Only a NUL cannot be quoted, and no argument can have one.
    shlex::try_join(words).unwrap_or_default()
}
