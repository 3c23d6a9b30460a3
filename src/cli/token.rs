//! `distr-chat token`

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};

use super::key_flags::KeyFlags;
use super::shared;
use crate::serve::clock::unix_ms;
use crate::wire::Ticket;
use crate::wire::cluster_key::Purpose;
use crate::wire::ticket::LIFE_MAX;

/// Bytes of a new key.
const KEY_BYTES: usize = 32;

/// The flags of `token`.
#[derive(Debug, Args)]
pub struct Flags {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A new cluster key.
    Key,
    /// A ticket with which one client may come into a server: ws://HOST:PORT/ws?ticket=TICKET
    Enter(TicketFlags),
    /// A ticket with which a server is told to drain: curl -X POST -H "Authorization: Bearer TICKET" http://HOST:PORT/drain
    Drain(TicketFlags),
}

#[derive(Debug, Args)]
struct TicketFlags {
    /// Name of the server
    #[arg(value_parser = shared::node_name)]
    node: String,

    /// How long it holds, by the clock of this machine; at most 5 minutes
    #[arg(long, default_value = "1m", value_parser = humantime::parse_duration)]
    life: Duration,

    #[command(flatten)]
    key: KeyFlags,
}

/// Prints what is asked for.
pub fn run(flags: Flags) -> anyhow::Result<()> {
    let text = match flags.kind {
        Kind::Key => new_key()?,
        Kind::Enter(flags) => ticket(&flags, Purpose::Enter)?,
        Kind::Drain(flags) => ticket(&flags, Purpose::Drain)?,
    };
    writeln!(io::stdout(), "{text}").context("cannot write to standard output")
}

fn new_key() -> anyhow::Result<String> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn ticket(flags: &TicketFlags, purpose: Purpose) -> anyhow::Result<String> {
    let key = flags.key.key()?.context("no cluster key: give --cluster-key or DISTR_CLUSTER_KEY")?;
    ensure!(
        flags.life <= LIFE_MAX,
        "--life: no server takes a ticket for more than {} s",
        LIFE_MAX.as_secs()
    );
    let life = flags.life.as_millis() as u64;
    let ticket = Ticket { issuer: "token".into(), expires_ms: unix_ms() + life, nonce: fastrand::u64(..) };
    Ok(ticket.encode(&key, purpose, &flags.node))
}
