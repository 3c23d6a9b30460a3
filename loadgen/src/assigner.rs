//! Asks the balancers for servers, on behalf of all workers: one thread, one kept connection to each balancer.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use mio::Waker;

use crate::backoff;
use crate::http::{self, RESPONSE_BYTES_MAX, Response};
use crate::mail::{Ask, Mail, Server};
use crate::url::Url;

/// How often each balancer is asked for one client.
const ROUNDS: u32 = 3;
/// How long a balancer may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where clients begin.
#[derive(Clone, Debug)]
pub enum Entrance {
    /// Ask these for a server.
    Balancers(Vec<Url>),
    /// Go there.
    Target(Url),
}

/// Finds servers for clients.
struct Assigner {
    entrance: Entrance,
    /// The connection to each balancer.
    kept: Vec<Option<TcpStream>>,
    /// Whose turn it is to be asked first.
    next: usize,
    /// By URL; there are a few servers, and thousands of clients.
    servers: HashMap<String, Arc<Server>>,
    rng: fastrand::Rng,
}

/// Answers every ask, to the worker that it came from, until nobody can ask any more. Detached: the run ends without
/// waiting for a balancer.
pub fn start(
    entrance: Entrance,
    seed: u64,
    asks: Receiver<Ask>,
    workers: Vec<(Sender<Mail>, Arc<Waker>)>,
) -> io::Result<()> {
    let kept = match &entrance {
        Entrance::Balancers(balancers) => balancers.iter().map(|_| None).collect(),
        Entrance::Target(_) => Vec::new(),
    };
    let rng = fastrand::Rng::with_seed(seed);
    let mut assigner = Assigner { entrance, kept, next: 0, servers: HashMap::new(), rng };
    thread::Builder::new().name("assigner".into()).spawn(move || {
        for Ask { worker, client } in asks {
            let (mail, waker) = &workers[worker];
            // A worker that is gone needs no answer.
            if mail.send(Mail::Assigned(client, assigner.assign())).is_ok() {
                let _ = waker.wake();
            }
        }
    })?;
    Ok(())
}

impl Assigner {
    fn assign(&mut self) -> Result<Arc<Server>, String> {
        if let Entrance::Target(url) = &self.entrance {
            let url = url.clone();
            return self.server(url);
        }
        let mut errors = vec![String::new(); self.kept.len()];
        for round in 0..ROUNDS {
            if round > 0 {
                thread::sleep(backoff::delay(round, &mut self.rng));
            }
            for _ in 0..self.kept.len() {
                let index = self.next;
                self.next = (index + 1) % self.kept.len();
                match self.ask(index).and_then(|url| self.server(url)) {
                    Ok(server) => return Ok(server),
                    Err(error) => errors[index] = error,
                }
            }
        }
        Err(errors.join("; "))
    }

    fn server(&mut self, url: Url) -> Result<Arc<Server>, String> {
        if let Some(server) = self.servers.get(&url.text) {
            return Ok(Arc::clone(server));
        }
        let addresses = url.addresses().map_err(|error| format!("{}: {error}", url.authority))?;
        if addresses.is_empty() {
            return Err(format!("{}: no address", url.authority));
        }
        let text = url.text.clone();
        let server = Arc::new(Server { url, addresses });
        self.servers.insert(text, Arc::clone(&server));
        Ok(server)
    }

    fn ask(&mut self, index: usize) -> Result<Url, String> {
        let Entrance::Balancers(balancers) = &self.entrance else { unreachable!("a target is not asked") };
        let balancer = &balancers[index];
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", balancer.text);
        // The kept connection may have been closed in the meantime; then a new one is due.
        let answer = match self.kept[index].take().map(|stream| exchange(stream, balancer)) {
            Some(Ok(answer)) => answer,
            _ => exchange(dial(balancer).map_err(|error| told(&error))?, balancer)
                .map_err(|error| told(&error))?,
        };
        let (stream, response) = answer;
        self.kept[index] = response.keep_alive.then_some(stream);
        match response.status {
            200 => http::assigned_url(&response.body).map_err(|error| told(&error)),
            status => Err(told(&format!("{status} {}", response.body.trim()))),
        }
    }
}

fn dial(balancer: &Url) -> io::Result<TcpStream> {
    let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in balancer.addresses()? {
        result = TcpStream::connect_timeout(&address, PATIENCE);
        if result.is_ok() {
            break;
        }
    }
    let stream = result?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn exchange(mut stream: TcpStream, balancer: &Url) -> io::Result<(TcpStream, Response)> {
    stream.write_all(http::assign_request(balancer).as_bytes())?;
    let mut bytes = [0; RESPONSE_BYTES_MAX];
    let mut filled = 0;
    loop {
        match stream.read(&mut bytes[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            // What a socket says when its timeout has passed would puzzle the reader.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let text = format!("no answer within {} s", PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Err(error) => return Err(error),
        }
        match Response::parse(&bytes[..filled]) {
            Ok(Some(response)) => return Ok((stream, response)),
            Ok(None) => {}
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}
