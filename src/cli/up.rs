//! `distr-chat up`

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};

use super::backplane_choice::{BackplaneChoice, UpChoice};
use super::lb;
use super::outlet::Outlet;
use super::redis_server;
use super::shared;
use super::signals::Signals;
use super::up_flags::Flags;
use super::up_processes;
use super::up_screen::{announce, explain, line};
use crate::up::{Cluster, Layout};

/// Runs everything until it is told to end.
pub fn run(flags: &Flags, log: &str, descriptors: u64, signals: &Signals) -> anyhow::Result<()> {
    let choice = choose(flags.backplane.as_ref())?;
    flags.check_ports(choice.0 == UpChoice::Redis)?;
    let (screen, _flush) = Outlet::start("screen", io::stdout()).context("cannot write to the screen")?;
    match choice {
        (UpChoice::Server(BackplaneChoice::Embedded), why) => {
            ensure!(
                flags.restart.is_none(),
                "--restart is for nodes that are processes; here all are one ({why})"
            );
            run_embedded(flags, &why, descriptors, signals, &screen)
        }
        (UpChoice::Server(BackplaneChoice::Nodes(nodes)), why) => {
            up_processes::run(flags, log, Some(&nodes), &why, signals, &screen)
        }
        (UpChoice::Redis, why) => up_processes::run(flags, log, None, &why, signals, &screen),
    }
}

/// As told, or the best that this machine has; and why.
fn choose(told: Option<&UpChoice>) -> anyhow::Result<(UpChoice, String)> {
    let redis = redis_server::probe(Path::new(redis_server::PROGRAM));
    match (told, redis) {
        (Some(UpChoice::Redis), Err(unusable)) => Err(unusable.into()),
        (Some(choice), _) => Ok((choice.clone(), "as told".into())),
        (None, Ok(version)) => Ok((UpChoice::Redis, format!("redis-server {version} is installed"))),
        (None, Err(unusable)) => Ok((UpChoice::Server(BackplaneChoice::Embedded), unusable.to_string())),
    }
}

fn run_embedded(
    flags: &Flags,
    why: &str,
    descriptors: u64,
    signals: &Signals,
    screen: &Outlet,
) -> anyhow::Result<()> {
    let at = |port: &u16| SocketAddr::new(flags.bind, *port);
    let balancers = flags.lb_ports.len().max(1) as u64;
    let proxied_max = lb::proxied_max(None, descriptors, balancers, flags.server.reactors);
    // All nodes share the descriptors: the servers, the balancers and the frontend.
    let nodes = (flags.app_ports.len() + flags.lb_ports.len() + 1) as u64;
    let sockets_max = shared::sockets_max(descriptors, nodes, lb::loops(flags.server.reactors));
    let limits = flags.server.http.limits(sockets_max);
    let mut server = flags.server.options(descriptors, flags.app_ports.len().max(1) as u64)?;
    server.limits.sockets_max = sockets_max;
    let layout = Layout {
        frontend: at(&flags.frontend_port),
        apps: flags.app_ports.iter().map(at).collect(),
        balancers: flags.lb_ports.iter().map(at).collect(),
        server,
        balancer: flags.balancer.options(
            flags.server.reactors,
            proxied_max,
            flags.server.drain,
            limits,
            flags.server.key.key()?,
        ),
        limits,
        incarnations: std::iter::repeat_with(shared::incarnation).take(flags.app_ports.len()).collect(),
    };
    let cluster = Cluster::start(&layout).map_err(|error| explain(&error))?;
    let lines = cluster.nodes().into_iter().map(|(name, role, address)| line(name, role, address, None));
    announce(
        screen,
        &format!("embedded, all servers in this process: {why}"),
        lines,
        "Ctrl-C ends everything.",
    );
    signals.wait();
    screen.say("\nleaving …\n");
    drop(cluster);
    Ok(())
}
