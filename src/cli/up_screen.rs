//! What `up` shows.

use std::net::SocketAddr;

use super::outlet::Outlet;
use super::shared;
use crate::serve::assets;
use crate::up::{Role, StartError};

/// One line for each port that is taken, not only for the first.
pub fn explain(error: &StartError) -> anyhow::Error {
    let lines = error
        .faults
        .iter()
        .map(|(name, address, error)| format!("{:#}", shared::explain_bind(name, *address, error)));
    anyhow::anyhow!(lines.collect::<Vec<_>>().join("\ndistr-chat: "))
}

/// A node as a user finds it.
pub fn line(name: &str, role: Role, address: SocketAddr, pid: Option<u32>) -> String {
    let host = match address.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        ip => SocketAddr::new(ip, 0).to_string().trim_end_matches(":0").to_owned(),
    };
    let (scheme, what) = match role {
        Role::Frontend => ("http", "the chat: open it in two tabs"),
        Role::App => ("http", "application server"),
        Role::Balancer => ("http", "balancer"),
        Role::Redis => ("redis", "backplane"),
    };
    let url = format!("{scheme}://{host}:{}", address.port());
    let pid = pid.map(|pid| format!("pid {pid:<9}")).unwrap_or_default();
    format!("  {name:<8} {url:<22} {pid}{what}")
}

/// What there is, and what to do with it.
pub fn announce(screen: &Outlet, backplane: &str, lines: impl Iterator<Item = String>, advice: &str) {
    let mut text = format!("Distr Chat is up (backplane: {backplane})\n\n");
    lines.for_each(|line| text.extend([&line, "\n"]));
    if !assets::are_embedded() {
        text.push_str(
            "\nThe pages are missing: this binary was built without its frontend. Run `make build`.\n",
        );
    }
    screen.say(format!("{text}\n{advice}\n"));
}
