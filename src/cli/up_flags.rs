//! The flags of `up`, which say what all its nodes are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use super::app::{RedisFlags, ServerFlags};
use super::backplane_choice::UpChoice;
use super::lb::BalancerFlags;
use crate::backplane::{BUS_OFFSET, PORT_MAX};

/// The flags of `up`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Address that servers, balancers and frontend listen at; Redis nodes stay at 127.0.0.1
    #[arg(long, env = "DISTR_BIND", default_value = "127.0.0.1")]
    pub bind: IpAddr,

    /// Port of the frontend
    #[arg(long, env = "DISTR_FRONTEND_PORT", default_value_t = 3001)]
    pub frontend_port: u16,

    /// Ports of the application servers, one each
    #[arg(long, env = "DISTR_APP_PORTS", value_delimiter = ',', default_value = "5001,5002,5003")]
    pub app_ports: Vec<u16>,

    /// Ports of the balancers, one each
    #[arg(long, env = "DISTR_LB_PORTS", value_delimiter = ',', default_value = "7001,7002,7003")]
    pub lb_ports: Vec<u16>,

    /// Ports of the Redis nodes, one each; the port 10000 above each is taken too
    #[arg(long, env = "DISTR_REDIS_PORTS", value_delimiter = ',', default_value = "6401,6402,6403",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(PORT_MAX)))]
    pub redis_ports: Vec<u16>,

    /// What joins the servers' rooms: `embedded` (all nodes in this process), `redis` (each node a process, Redis nodes
    /// too), or Redis nodes that run already, HOST:PORT,… [default: redis, if redis-server 7 or newer is installed]
    #[arg(long, env = "DISTR_BACKPLANE")]
    pub backplane: Option<UpChoice>,

    /// Start a node that died again after this long, as in 5s [default: it stays dead]
    #[arg(long, env = "DISTR_RESTART", value_parser = humantime::parse_duration)]
    pub restart: Option<Duration>,

    #[command(flatten)]
    pub redis: RedisFlags,

    #[command(flatten)]
    pub server: ServerFlags,

    #[command(flatten)]
    pub balancer: BalancerFlags,
}

impl Flags {
    /// Whether each port is told once; 0 stands for one that is free. Redis nodes count where they
    /// are started too.
    pub fn check_ports(&self, with_redis: bool) -> anyhow::Result<()> {
        let redis = if with_redis { &self.redis_ports[..] } else { &[] };
        let buses: Vec<_> = redis.iter().filter(|port| **port != 0).map(|port| port + BUS_OFFSET).collect();
        let lists = [
            ("--frontend-port", &[self.frontend_port][..]),
            ("--app-ports", &self.app_ports),
            ("--lb-ports", &self.lb_ports),
            ("--redis-ports", redis),
            ("--redis-ports and the 10000 above them", &buses),
        ];
        let mut taken = BTreeMap::new();
        for (flag, ports) in lists {
            for port in ports.iter().filter(|port| **port != 0) {
                let other = taken.insert(port, flag);
                ensure!(
                    other.is_none_or(|other| other != flag),
                    "{flag}: port {port} is there twice; each node needs one of its own"
                );
                let other = other.unwrap_or_default();
                ensure!(
                    other.is_empty(),
                    "port {port} is in {other} and in {flag}; each node needs one of its own"
                );
            }
        }
        Ok(())
    }
}
