//! What an idle client takes in loadgen: growth of a process's resident set from few clients to many, all of it in user
//! space, in rooms of ten: `cargo bench -p loadgen --bench idle_memory`.

#[allow(dead_code, reason = "what is measured beside clients is of no use here")]
#[path = "support/server.rs"]
mod server;

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::Server;

const FEW: usize = 1000;
const MANY: usize = 9000;
const ROOM_SIZE: usize = 10;

struct Loadgen(Child);

impl Drop for Loadgen {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let server = Server::start(1)?;
    let [few, many] = [FEW, MANY].map(|clients| resident_bytes(server.address, clients));
    let (few, many) = (few?, many?);
    let each = many.saturating_sub(few) / (MANY - FEW);
    println!("{FEW} and {MANY} idle clients: {few} and {many} bytes resident, {each} bytes each");
    Ok(())
}

/// Of a loadgen whose clients are all in their rooms.
fn resident_bytes(address: SocketAddr, clients: usize) -> Result<usize, Box<dyn Error>> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--target", &format!("ws://{address}/ws"), "--clients", &clients.to_string()])
        .args(["--rooms", &(clients / ROOM_SIZE).to_string(), "--rate", "0", "--duration", "1h"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let log = child.stderr.take().ok_or("no log")?;
    let loadgen = Loadgen(child);
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("sending")).ok_or("the clients did not get in")?;
    let status = fs::read_to_string(format!("/proc/{}/status", loadgen.0.id()))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"));
    let kibibytes: usize = resident.ok_or("status has another form")?.trim().parse()?;
    Ok(kibibytes * 1024)
}
