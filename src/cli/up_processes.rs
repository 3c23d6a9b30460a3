//! `distr-chat up` where each node is a process.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use crossbeam_channel::{at, never, select};
use tempfile::TempDir;

use super::host_port::HostPort;
use super::key_flags::KEY_VARIABLE;
use super::outlet::Outlet;
use super::shared::Children;
use super::signals::Signals;
use super::up_flags::Flags;
use super::up_screen::{announce, explain, line};
use crate::backplane::NODES_MAX;
use crate::up::processes::Death;
use crate::up::{Plan, Processes, Role, named, reachable, reserve};

/// Tells a node who watches over it.
pub const PARENT_VARIABLE: &str = "DISTR_WITH_PARENT";

/// Runs all nodes, and Redis ones too if none are told, until it is told to end. Tells `why` it is so.
pub fn run(
    flags: &Flags,
    log: &str,
    redis: Option<&[HostPort]>,
    why: &str,
    signals: &Signals,
    screen: &Outlet,
) -> anyhow::Result<()> {
    let own_redis = if redis.is_some() { &[][..] } else { &flags.redis_ports };
    ensure!(own_redis.len() <= NODES_MAX, "--redis-ports: {NODES_MAX} nodes are the most");
    ensure!(
        redis.is_some() || flags.redis.backplane_user.is_none(),
        "--backplane-user: the Redis nodes that are started here know only their default user"
    );
    let nodes = reserved(flags, own_redis)?;
    let folder = tempfile::Builder::new().prefix("distr-chat-").tempdir().context("no temporary folder")?;
    signals.remove_at_exit(folder.path());
    let plans = plan(flags, &nodes, redis, &folder)?;
    let program = env::current_exe().context("cannot find this program itself")?;

    let children = Children::watch().context("cannot watch processes")?;
    let environment = environment(log, flags)?;
    let mut processes = Processes::start(&program, plans, environment, flags.restart)?;
    let backplane = match redis {
        Some(nodes) => format!("redis at {}, {why}", joined(nodes)),
        None => format!("redis, each node a process: {why}"),
    };
    let lines = processes.nodes().map(|(plan, pid)| line(&plan.name, plan.role, plan.address, pid));
    announce(
        screen,
        &backplane,
        lines,
        "Kill any of them: what starts it again is told then. Ctrl-C ends everything.",
    );
    watch(&mut processes, &children, signals, flags.restart, screen);
    screen.say("\nleaving …\n");
    drop(processes);
    Ok(())
}

/// Reports deaths and returns to life, until Ctrl-C.
fn watch(
    processes: &mut Processes,
    children: &Children,
    signals: &Signals,
    restart: Option<Duration>,
    screen: &Outlet,
) {
    loop {
        let due = processes.next_restart().map_or_else(never, at);
        select! {
            recv(signals.caught()) -> _ => return,
            recv(children.ended()) -> _ => {}
            recv(due) -> _ => {}
        }
        for Death { name, pid, status, command, log } in processes.deaths() {
            let log = log.map(|log| format!(", its log is {}", log.display())).unwrap_or_default();
            let then = match restart {
                None => "start it again: ".to_owned(),
                Some(pause) => format!("it starts again in {}, as by: ", humantime::format_duration(pause)),
            };
            screen.say(format!("{name} (pid {pid}) is dead ({status}{log}); {then}{command}\n"));
        }
        for (name, started) in processes.restart() {
            screen.say(match started {
                Ok(pid) => format!("{name} is started again (pid {pid})\n"),
                Err(error) => format!("{name} cannot be started: {error}; it is tried again\n"),
            });
        }
    }
}

/// Every node in the order in which it is shown, with an address that nobody has.
fn reserved(flags: &Flags, redis: &[u16]) -> anyhow::Result<Vec<(String, Role, SocketAddr)>> {
    let at = |port: &u16| SocketAddr::new(flags.bind, *port);
    let all = |ports: &[u16]| ports.iter().map(at).collect::<Vec<_>>();
    let redis: Vec<_> = redis.iter().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).collect();
    let mut nodes = vec![("web".to_owned(), Role::Frontend, at(&flags.frontend_port))];
    for (kind, role, addresses) in [
        ("lb", Role::Balancer, all(&flags.lb_ports)),
        ("app", Role::App, all(&flags.app_ports)),
        ("redis", Role::Redis, redis),
    ] {
        nodes.extend(named(kind, &addresses).map(|(name, at)| (name, role, *at)));
    }
    let addresses = reserve(&nodes).map_err(|error| explain(&error))?;
    Ok(nodes.into_iter().zip(addresses).map(|((name, role, _), at)| (name, role, at)).collect())
}

fn plan(
    flags: &Flags,
    nodes: &[(String, Role, SocketAddr)],
    redis: Option<&[HostPort]>,
    folder: &TempDir,
) -> anyhow::Result<Vec<Plan>> {
    let of = |role| nodes.iter().filter(move |node| node.1 == role).map(|node| node.2);
    let own_redis = joined(&of(Role::Redis).collect::<Vec<_>>());
    let redis = redis.map_or_else(|| own_redis.clone(), joined);
    let heartbeats_to = joined(&of(Role::Balancer).map(reachable).collect::<Vec<_>>());
    let urls: Vec<_> = of(Role::Balancer).map(|at| format!("http://{{host}}:{}", at.port())).collect();
    let mut plans = Vec::new();
    for (name, role, address) in nodes {
        let (name, role, address) = (name.clone(), *role, *address);
        let listen = address.to_string();
        let mut log = None;
        let arguments = match role {
            Role::Frontend => {
                let mut words = words(&["web", "--listen", &listen, "--balancers", &urls.join(",")]);
                words.extend(flags.server.http.arguments());
                words
            }
            Role::Balancer => {
                let mut words = words(&["lb", "--name", &name, "--listen", &listen]);
                words.extend(flags.balancer.arguments());
                words.extend(flags.server.drain.arguments());
                words.extend(flags.server.http.arguments());
                words
            }
            Role::App => {
                let mut words = words(&["app", "--name", &name, "--listen", &listen]);
                words.extend(["--balancers".to_owned(), heartbeats_to.clone()]);
                words.extend(["--backplane".to_owned(), redis.clone()]);
                words.extend(flags.redis.arguments());
                words.extend(flags.server.arguments());
                words
            }
            Role::Redis => {
                let dir = folder.path().join(&name);
                fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
                log = Some(dir.join("redis.log"));
                let number = name.trim_start_matches("redis-");
                let dir = path(&dir)?;
                words(&["backplane", "--node", number, "--nodes", &own_redis, "--dir", dir])
            }
        };
        plans.push(Plan { name, role, address, arguments, log });
    }
    Ok(plans)
}

/// What every node is told besides its command: how much to log, whose it is, and what `ps` must not show.
fn environment(log: &str, flags: &Flags) -> anyhow::Result<Vec<(String, String)>> {
    let mut variables = vec![
        ("DISTR_LOG".to_owned(), log.to_owned()),
        (PARENT_VARIABLE.to_owned(), std::process::id().to_string()),
    ];
    let password = flags.redis.backplane_password.clone();
    variables.extend(password.map(|password| ("DISTR_BACKPLANE_PASSWORD".to_owned(), password)));
    let key = flags.server.key.text()?;
    variables.extend(key.map(|key| (KEY_VARIABLE.to_owned(), key)));
    Ok(variables)
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8; set TMPDIR to a folder that is", path.display()))
}

fn joined(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
