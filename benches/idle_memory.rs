//! User-space memory of an idle client that is in a room: the growth of the server's resident set over 10,000 of
//! them, in rooms of ten. The kernel's own memory for a connection is not in it.
//! `cargo bench --bench idle_memory`

#[path = "support/client.rs"]
mod client;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use distr_chat::net::descriptors;

const CLIENTS: usize = 10_000;
const ROOM_SIZE: usize = 10;
/// Clients that come and go first, so that what a server allocates once is not counted.
const WARM_UP: usize = 500;
const PAGE_BYTES: usize = 4096;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let possible = descriptors::raise_limit();
    if possible < CLIENTS as u64 + 200 {
        return Err(
            format!("{CLIENTS} clients need more than the {possible} descriptors of this process").into()
        );
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_distr-chat"))
        .args(["app", "--listen", "127.0.0.1:0", "--balancers", "127.0.0.1:9", "--reactors", "2"])
        .stderr(Stdio::piped())
        .spawn()?;
    let log = child.stderr.take().ok_or("no log")?;
    let server = Server(child);
    let address: SocketAddr = BufReader::new(log)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split("listens at ").nth(1)?.parse().ok())
        .ok_or("the server did not say where it listens")?;

    drop(join(address, "warm", WARM_UP)?);
    let before = resident_bytes(&server)?;
    let clients = join(address, "idle", CLIENTS)?;
    let after = resident_bytes(&server)?;
    println!(
        "{CLIENTS} idle clients in rooms of {ROOM_SIZE}: {before} → {after} bytes resident, {} bytes each",
        (after.saturating_sub(before)) / clients.len()
    );
    Ok(())
}

fn join(address: SocketAddr, prefix: &str, clients: usize) -> std::io::Result<Vec<std::net::TcpStream>> {
    (0..clients)
        .map(|client| {
            let room = format!("{prefix} {}", client / ROOM_SIZE);
            client::join(address, &room, &format!("user {client}"))
        })
        .collect()
}

fn resident_bytes(server: &Server) -> Result<usize, Box<dyn Error>> {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", server.0.id()))?;
    let pages: usize = statm.split(' ').nth(1).ok_or("statm has another form")?.parse()?;
    Ok(pages * PAGE_BYTES)
}
