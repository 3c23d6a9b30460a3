//! `distr-chat web`

use std::net::SocketAddr;

use clap::Args;

use super::http_flags::HttpFlags;
use super::shared;
use super::signals::Signals;
use crate::web::{BasePath, Options, Web};

/// The flags of `web`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Where browsers connect
    #[arg(long, env = "DISTR_LISTEN", default_value = "0.0.0.0:3001")]
    listen: SocketAddr,

    /// Balancers that the browser asks, as URL,…; {host} stands for the host that the browser used
    #[arg(
        long,
        env = "DISTR_BALANCER_URLS",
        value_delimiter = ',',
        value_parser = balancer_url,
        default_value = "http://{host}:7001,http://{host}:7002,http://{host}:7003"
    )]
    balancers: Vec<String>,

    /// Browsers talk through the balancers, since they reach no application server
    #[arg(long, env = "DISTR_PROXY")]
    proxy: bool,

    #[command(flatten)]
    http: HttpFlags,
    /// Where a proxy has the page that keeps its prefix, such as /chat for https://host/chat/; not needed where it strips it
    #[arg(long, env = "DISTR_BASE_PATH", default_value = "/")]
    base_path: BasePath,
}

/// Runs the frontend server until it is told to end.
pub fn run(flags: Flags, descriptors: u64, signals: &Signals) -> anyhow::Result<()> {
    let Flags { listen, balancers, proxy, http, base_path } = flags;
    let limits = http.limits(shared::sockets_max(descriptors, 1, 1));
    let options = Options { listen, balancers, proxy, base_path, limits };
    let _web = Web::start(options).map_err(|error| shared::explain_bind("web", listen, &error))?;
    signals.wait();
    log::info!("leaving");
    Ok(())
}

/// Where a browser asks.
fn balancer_url(text: &str) -> Result<String, String> {
    shared::url_of(text, ["http://", "https://"])
}
