//! `distr-chat up`

use std::net::{IpAddr, SocketAddr};

use clap::Args;

use super::app::ServerFlags;
use super::shared::{self, Signals};
use crate::serve::{Limits, assets};
use crate::up::{Cluster, Layout, Role, StartError};

/// The flags of `up`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Address that everything listens at
    #[arg(long, env = "DISTR_BIND", default_value = "127.0.0.1")]
    bind: IpAddr,

    /// Port of the frontend
    #[arg(long, env = "DISTR_FRONTEND_PORT", default_value_t = 3001)]
    frontend_port: u16,

    /// Ports of the application servers, one each
    #[arg(long, env = "DISTR_APP_PORTS", value_delimiter = ',', default_value = "5001,5002,5003")]
    app_ports: Vec<u16>,

    /// Ports of the balancers, one each
    #[arg(long, env = "DISTR_LB_PORTS", value_delimiter = ',', default_value = "7001,7002,7003")]
    lb_ports: Vec<u16>,

    #[command(flatten)]
    server: ServerFlags,
}

/// Runs everything until it is told to end.
pub fn run(flags: &Flags, descriptors: u64, signals: &Signals) -> anyhow::Result<()> {
    let at = |port: &u16| SocketAddr::new(flags.bind, *port);
    let layout = Layout {
        frontend: at(&flags.frontend_port),
        apps: flags.app_ports.iter().map(at).collect(),
        balancers: flags.lb_ports.iter().map(at).collect(),
        server: flags.server.options(descriptors, flags.app_ports.len().max(1) as u64),
        limits: Limits::default(),
        incarnations: std::iter::repeat_with(shared::incarnation).take(flags.app_ports.len()).collect(),
    };
    let cluster = Cluster::start(&layout).map_err(|StartError { faults }| {
        // One line for each port that is taken, not only for the first.
        let lines = faults
            .iter()
            .map(|(name, address, error)| format!("{:#}", shared::explain_bind(name, *address, error)));
        anyhow::anyhow!(lines.collect::<Vec<_>>().join("\ndistr-chat: "))
    })?;
    announce(&cluster);
    signals.wait();
    println!("\nleaving …");
    drop(cluster);
    Ok(())
}

fn announce(cluster: &Cluster) {
    println!("Distr Chat is up (backplane: embedded, all servers in this process)\n");
    for (name, role, address) in cluster.nodes() {
        let host = match address.ip() {
            ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
            ip => SocketAddr::new(ip, 0).to_string().trim_end_matches(":0").to_owned(),
        };
        let what = match role {
            Role::Frontend => "the chat: open it in two tabs",
            Role::App => "application server",
            Role::Balancer => "balancer",
        };
        println!("  {name:<6} http://{host}:{:<6} {what}", address.port());
    }
    if !assets::are_embedded() {
        println!("\nThe pages are missing: this binary was built without its frontend. Run `make build`.");
    }
    println!("\nCtrl-C ends everything.");
}
