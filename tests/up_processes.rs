//! `up` where each node is a process: any may be killed, a shell brings it back, and nothing is left behind.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be is a failure")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use support::redis::{connect, free_redis_ports};
use support::running::{Running, at, distr_chat, free_ports, run};
use support::{eventually, http_get};

/// `up` with two servers, a balancer, the frontend and two Redis nodes.
struct Up {
    running: Running,
    web: u16,
    apps: Vec<u16>,
    lb: u16,
    redis: Vec<u16>,
    temporary: tempfile::TempDir,
}

impl Up {
    fn start(more: &str) -> Self {
        Self::start_with(more, &[])
    }

    fn start_with(more: &str, variables: &[(&str, &str)]) -> Self {
        let (ports, redis) = (free_ports(4), free_redis_ports(2));
        let temporary = tempfile::tempdir().unwrap();
        let mut command = distr_chat(&arguments(&ports, &redis));
        command.args(more.split_whitespace()).env("TMPDIR", temporary.path());
        command.envs(variables.iter().copied());
        let mut running = Running::start(&mut command);
        eventually("it is up", || {
            running.assert_runs();
            running.stdout().contains("Ctrl-C ends everything")
        });
        Self { running, web: ports[0], apps: ports[1..3].to_vec(), lb: ports[3], redis, temporary }
    }

    /// The pids that it shows, by the names of the nodes.
    fn pids(&self) -> BTreeMap<String, i32> {
        let stdout = self.running.stdout();
        let rows = stdout.lines().filter_map(|line| line.strip_prefix("  "));
        rows.map(|row| {
            let words: Vec<_> = row.split_whitespace().collect();
            assert_eq!(words[2], "pid", "{row}");
            (words[0].to_owned(), words[3].parse().unwrap())
        })
        .collect()
    }

    /// Kills a node and returns the line that tells of it.
    fn kill(&self, name: &str) -> String {
        let pid = self.pids()[name];
        signal(pid, Signal::KILL);
        let told = self.line(&format!("{name} (pid {pid}) is dead (signal: 9 (SIGKILL)"));
        told.split_once("); ").unwrap().1.to_owned()
    }

    /// Waits for a line that begins so.
    fn line(&self, start: &str) -> String {
        let mut found = None;
        eventually(&format!("a line begins with {start}"), || {
            found = self.running.stdout().lines().find(|line| line.starts_with(start)).map(str::to_owned);
            found.is_some()
        });
        found.unwrap()
    }
}

fn arguments(ports: &[u16], redis: &[u16]) -> String {
    let [web, app_1, app_2, lb] = ports else { panic!("four ports") };
    let redis = redis.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!("up --frontend-port {web} --app-ports {app_1},{app_2} --lb-ports {lb} --redis-ports {redis}")
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Whether it runs; one that has ended and was not yet let go by whoever inherited it does not.
fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

fn is_live(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok() && http_get(address, "/live").status == 200
}

/// A pipe whose other end is closed, or so full that whoever writes waits for a reader.
fn unread(kind: &str) -> (Option<io::PipeReader>, io::PipeWriter) {
    /// What a pipe of Linux holds (pipe(7)).
    const PIPE_BYTES: usize = 65_536;
    let (reader, mut writer) = io::pipe().unwrap();
    if kind == "closed" {
        return (None, writer);
    }
    writer.write_all(&[b'.'; PIPE_BYTES]).unwrap();
    (Some(reader), writer)
}

/// The processes that this one started, with their commands.
fn children(parent: u32) -> Vec<(i32, String)> {
    let all =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent_of = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parent_of == Some(parent)
    };
    let command = |pid: i32| (pid, fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    all.filter(is_child).map(command).collect()
}

/// Runs a line of a shell, as somebody would who copied it.
fn shell(line: &str) -> Running {
    Running::start(Command::new("sh").args(["-c", &format!("exec {line}")]))
}

#[test]
fn every_node_is_a_process_and_ctrl_c_leaves_nothing_behind() {
    let mut up = Up::start("");
    let told = "backplane: redis, each node a process: redis-server ";
    assert!(up.running.stdout().contains(told), "{}", up.running.stdout());
    let pids = up.pids();
    let names: Vec<_> = pids.keys().map(String::as_str).collect();
    assert_eq!(names, ["app-1", "app-2", "lb-1", "redis-1", "redis-2", "web"]);
    for port in [up.web, up.lb, up.apps[0], up.apps[1]] {
        assert_eq!(http_get(at(port), "/live").status, 200);
    }
    eventually("the servers are known", || {
        let servers = http_get(at(up.lb), "/status").json()["servers"].clone();
        servers.as_array().is_some_and(|servers| servers.len() == 2)
    });
    let info: redis::InfoDict = redis::cmd("INFO")
        .arg("server")
        .query(&mut connect(&format!("redis://{}", at(up.redis[1]))))
        .unwrap();
    assert_eq!(info.get::<i32>("process_id"), Some(pids["redis-2"]), "the pid shown is Redis's own");

    up.running.signal(Signal::INT);
    assert_eq!(up.running.await_end().code(), Some(0), "{}", up.running.stderr());
    assert!(pids.values().all(|pid| !is_alive(*pid)), "{pids:?}");
    assert!(!up.running.stdout().contains("is dead"), "{}", up.running.stdout());
    assert_eq!(fs::read_dir(up.temporary.path()).unwrap().count(), 0, "the folder is gone");
}

#[test]
fn a_killed_node_stays_dead_until_its_command_is_run() {
    let mut up = Up::start("--frames-burst 300");
    let told = up.kill("app-2");
    assert!(TcpStream::connect(at(up.apps[1])).is_err());
    let mut app = shell(told.strip_prefix("start it again: ").unwrap());
    app.await_live(at(up.apps[1]));
    eventually("it is known again", || http_get(at(up.lb), "/ready").status == 200);

    let told = up.kill("redis-1");
    let mut node = shell(told.strip_prefix("start it again: ").unwrap());
    eventually("it listens", || {
        node.assert_runs();
        TcpStream::connect(at(up.redis[0])).is_ok()
    });

    up.running.signal(Signal::INT);
    assert_eq!(up.running.await_end().code(), Some(0), "{}", up.running.stderr());
    app.assert_runs();
}

#[test]
fn a_killed_node_comes_back_by_itself_where_that_is_asked_for() {
    let mut up = Up::start("--restart 10ms");
    for (name, port) in [("app-1", up.apps[0]), ("web", up.web)] {
        let told = up.kill(name);
        assert!(told.starts_with("it starts again in 10ms, as by: "), "{told}");
        up.line(&format!("{name} is started again (pid "));
        eventually("it answers", || is_live(at(port)));
    }
    up.kill("redis-2");
    eventually("it listens", || TcpStream::connect(at(up.redis[1])).is_ok());
    let before = up.pids();
    up.running.signal(Signal::TERM);
    assert_eq!(up.running.await_end().code(), Some(0), "{}", up.running.stderr());
    assert!(before.values().all(|pid| !is_alive(*pid)));
    for port in [up.web, up.lb, up.apps[0], up.apps[1], up.redis[0], up.redis[1]] {
        TcpListener::bind(at(port)).unwrap();
    }
}

/// `up | head -3`, a pipe that nobody empties, a terminal that is gone: what is said is lost, and
/// nothing else.
#[test]
fn an_output_that_nobody_reads_ends_nothing_and_stops_nothing() {
    for kind in ["closed", "full"] {
        let (ports, redis) = (free_ports(4), free_redis_ports(2));
        let ((_out, stdout), (_err, stderr)) = (unread(kind), unread(kind));
        let command = &mut distr_chat(&arguments(&ports, &redis));
        let mut up = Running::start_into(command.args(["--restart", "10ms"]), stdout, stderr);
        eventually(&format!("{kind}: it is up"), || is_live(at(ports[0])));
        // Balancers are started before the page: `up` is past the point where the death of one ends it.
        let lb = || children(up.pid()).into_iter().find(|(_, command)| command.contains("\0lb\0"));
        let (killed, _) = lb().unwrap();
        signal(killed, Signal::KILL);
        eventually(&format!("{kind}: it is started again"), || lb().is_some_and(|(pid, _)| pid != killed));
        up.signal(Signal::TERM);
        assert_eq!(up.await_end().code(), Some(0), "{kind}");
    }
}

/// A terminal that is closed.
#[test]
fn a_hangup_leaves_nothing_behind() {
    let mut up = Up::start("");
    let pids = up.pids();
    up.running.signal(Signal::HUP);
    assert_eq!(up.running.await_end().code(), Some(0), "{}", up.running.stderr());
    assert!(pids.values().all(|pid| !is_alive(*pid)), "{pids:?}");
    assert_eq!(fs::read_dir(up.temporary.path()).unwrap().count(), 0, "the folder is gone");
}

#[test]
fn a_second_ctrl_c_does_not_wait_and_leaves_nothing_behind() {
    let mut up = Up::start("");
    let pids = up.pids();
    // It would be waited for.
    signal(pids["lb-1"], Signal::STOP);
    up.running.signal(Signal::INT);
    up.line("leaving");
    up.running.signal(Signal::INT);
    assert_eq!(up.running.await_end().code(), Some(130), "{}", up.running.stderr());
    eventually("no node is left", || pids.values().all(|pid| !is_alive(*pid)));
    assert_eq!(fs::read_dir(up.temporary.path()).unwrap().count(), 0, "the folder is gone");
}

#[test]
fn a_password_is_everywhere_and_shown_nowhere() {
    let password = "tell-nobody";
    let up = Up::start_with("", &[("DISTR_BACKPLANE_PASSWORD", password)]);
    let mut stranger = connect(&format!("redis://{}", at(up.redis[0])));
    let refused: redis::RedisResult<String> = redis::cmd("PING").query(&mut stranger);
    assert_eq!(refused.unwrap_err().code(), Some("NOAUTH"));
    connect(&format!("redis://:{password}@{}", at(up.redis[0])));
    for pid in up.pids().values() {
        let told = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!told.contains(password), "{told}");
    }
    assert!(!up.kill("app-1").contains(password));
    assert!(!format!("{}{}", up.running.stdout(), up.running.stderr()).contains(password));
}

#[test]
fn a_killed_supervisor_takes_its_nodes_along() {
    let mut up = Up::start("");
    let pids = up.pids();
    up.running.signal(Signal::KILL);
    up.running.await_end();
    eventually("no node is left", || pids.values().all(|pid| !is_alive(*pid)));
}

#[test]
fn every_taken_port_is_named_before_anything_runs() {
    let (ports, redis) = (free_ports(4), free_redis_ports(2));
    let _app = TcpListener::bind(at(ports[2])).unwrap();
    let _redis = TcpListener::bind(at(redis[0])).unwrap();
    let _bus = TcpListener::bind(at(redis[1] + 10_000)).unwrap();
    let (code, stdout, stderr) = run(&mut distr_chat(&arguments(&ports, &redis)));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let lines: Vec<_> = stderr.lines().filter(|line| line.starts_with("distr-chat: ")).collect();
    let taken = [("app-2", ports[2]), ("redis-1", redis[0]), ("redis-2", redis[1] + 10_000)];
    assert_eq!(lines.len(), taken.len(), "{stderr}");
    for (line, (name, port)) in lines.iter().zip(taken) {
        assert!(line.contains(name) && line.contains(&format!("port {port} is taken")), "{line}");
    }
}

#[test]
fn a_node_that_does_not_start_ends_everything_and_its_last_words_are_told() {
    let (ports, redis) = (free_ports(4), free_redis_ports(2));
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("redis-server");
    fs::write(&fake, "#!/bin/sh\nif [ $1 = --version ]; then echo v=7.2.0; else echo no luck; exit 3; fi\n")
        .unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, stdout, stderr) = run(distr_chat(&arguments(&ports, &redis)).env("PATH", folder.path()));
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    let told = "distr-chat: redis-1 ended at its start (exit status: 3), so nothing runs: no luck\n";
    assert!(stderr.ends_with(told), "{stderr}");
    TcpListener::bind(at(ports[0])).unwrap();
}

#[test]
fn redis_that_runs_already_is_used_and_not_started() {
    let nodes = support::redis::Nodes::start_all(1);
    let ports = free_ports(4);
    let [web, app_1, app_2, lb] = ports[..] else { panic!("four ports") };
    let mut up = Running::start(&mut distr_chat(&format!(
        "up --backplane {} --frontend-port {web} --app-ports {app_1},{app_2} --lb-ports {lb}",
        nodes.list()
    )));
    eventually("it is up", || {
        up.assert_runs();
        up.stdout().contains("Ctrl-C ends everything")
    });
    assert!(up.stdout().contains(&format!("backplane: redis at {}", nodes.list())), "{}", up.stdout());
    assert!(!up.stdout().contains("redis-1"), "{}", up.stdout());
    up.signal(Signal::INT);
    assert_eq!(up.await_end().code(), Some(0), "{}", up.stderr());
    connect(&format!("redis://{}", at(nodes.ports[0])));
}
