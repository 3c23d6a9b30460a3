//! `distr-chat backplane`: becomes a `redis-server` with the settings that our servers need.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, ToSocketAddrs};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;

use super::backplane_choice::each_once;
use super::host_port::HostPort;
use super::logging::Log;
use super::redis_server;
use crate::backplane::nodes_conf::nodes_conf;
use crate::backplane::redis_conf::{NODES_FILE, Settings, redis_conf};
use crate::backplane::{NODES_MAX, NOWHERE, Node, PORT_MAX};

/// The name of the configuration in a node's folder.
const CONF_FILE: &str = "redis.conf";
/// Both files may tell secrets.
const FILE_MODE: u32 = 0o600;

/// The flags of `backplane`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Which of the nodes this is, from 1
    #[arg(long, env = "DISTR_REDIS_NODE", default_value_t = 1)]
    node: usize,

    /// All nodes, this one too, in the same order at each, as HOST:PORT,…
    #[arg(long, env = "DISTR_REDIS_NODES", value_delimiter = ',', default_value = "127.0.0.1:6379")]
    nodes: Vec<HostPort>,

    /// Folder for its files, which are made anew at every start [default: redis-NODE]
    #[arg(long, env = "DISTR_REDIS_DIR")]
    dir: Option<PathBuf>,

    /// Addresses to listen at, as ADDRESS,… [default: this node's own of --nodes]
    #[arg(long, env = "DISTR_REDIS_BIND", value_delimiter = ',')]
    bind: Vec<IpAddr>,

    /// What servers and other nodes must know; better given by the variable, which `ps` does not show
    #[arg(long, env = "DISTR_BACKPLANE_PASSWORD", hide_env_values = true)]
    password: Option<String>,

    /// The program to run
    #[arg(long, env = "DISTR_REDIS_SERVER", default_value = redis_server::PROGRAM)]
    redis_server: PathBuf,
}

/// Writes the node's files and runs Redis in the place of this process, so that signals and the pid are Redis's own.
/// Returns only if that fails.
pub fn run(flags: &Flags, log: Log) -> anyhow::Result<()> {
    let conf = prepare(flags)?;
    // Nobody would write out its last lines later.
    drop(log);
    let error = Command::new(&flags.redis_server).arg(conf).exec();
    Err(error).with_context(|| format!("cannot run {}", flags.redis_server.display()))
}

/// Checks everything, writes the files, and tells where the configuration is.
fn prepare(flags: &Flags) -> anyhow::Result<PathBuf> {
    let Flags { node: number, nodes, .. } = flags;
    ensure!(nodes.len() <= NODES_MAX, "--nodes has {} nodes, and {NODES_MAX} is the most", nodes.len());
    ensure!(
        (1..=nodes.len()).contains(number),
        "--node {number} is none of the {} in --nodes; they are counted from 1",
        nodes.len()
    );
    each_once(nodes).map_err(|twice| anyhow!("--nodes: {twice}"))?;
    redis_server::probe(&flags.redis_server)?;
    let own = number - 1;
    let nodes = resolve(own, nodes)?;
    let bind = match flags.bind.as_slice() {
        [] => vec![nodes[own].ip],
        told => told.to_vec(),
    };
    let password = flags.password.as_deref().filter(|password| !password.is_empty());
    if password.is_none() && bind.iter().any(|ip| !ip.is_loopback()) {
        log::warn!(
            "this node has no password: whoever reaches port {} may read and say everything; set \
             DISTR_BACKPLANE_PASSWORD, unless the network is private",
            nodes[own].port
        );
    }

    let dir = flags.dir.clone().unwrap_or_else(|| format!("redis-{number}").into());
    write_files(&dir, own, &nodes, &bind, password)
}

/// Where everybody is. The node must find itself, but its peers may be unknown.
fn resolve(own: usize, nodes: &[HostPort]) -> anyhow::Result<Vec<Node>> {
    let mut resolved = Vec::new();
    for (index, HostPort { host, port }) in nodes.iter().enumerate() {
        if *port > PORT_MAX {
            bail!("{host}:{port}: the highest port of a node is {PORT_MAX}, since its bus is 10000 above it");
        }
        let found = (host.as_str(), *port).to_socket_addrs().map(|mut addresses| addresses.next());
        let ip = match found {
            Ok(Some(address)) => address.ip(),
            _ if index != own => {
                log::warn!("the node {host}:{port} is not known yet; it will tell its address when it comes");
                NOWHERE
            }
            Ok(None) => bail!("{host}, this node's own name, has no address"),
            Err(error) => bail!("{host}, this node's own name, is not known: {error}"),
        };
        resolved.push(Node { ip, port: *port, hostname: hostname(host) });
    }
    Ok(resolved)
}

/// A name, if it is not an address, that Redis accepts.
fn hostname(host: &str) -> Option<String> {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
    let is_name = host.parse::<IpAddr>().is_err() && host.chars().all(is_allowed);
    is_name.then(|| host.to_owned())
}

/// Returns where the configuration is.
fn write_files(
    dir: &Path,
    own: usize,
    nodes: &[Node],
    bind: &[IpAddr],
    password: Option<&str>,
) -> anyhow::Result<PathBuf> {
    let unusable = || format!("--dir {} cannot be used", dir.display());
    fs::create_dir_all(dir).with_context(unusable)?;
    // Redis changes to the folder, and a relative path would lead elsewhere from there.
    let dir = dir.canonicalize().with_context(unusable)?;
    let folder = dir.to_str().context("--dir must be UTF-8")?;
    let bind: Vec<_> = bind.iter().map(IpAddr::to_string).collect();
    let settings = Settings { node: &nodes[own], folder, bind: &bind, password };
    write(&dir.join(NODES_FILE), &nodes_conf(own, nodes)).with_context(unusable)?;
    let conf = dir.join(CONF_FILE);
    write(&conf, &redis_conf(&settings)).with_context(unusable)?;
    Ok(conf)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    file.write_all(text.as_bytes())
}
