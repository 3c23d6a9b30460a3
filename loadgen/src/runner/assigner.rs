//! Finds servers on behalf of all workers: one thread, one kept connection to each balancer.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use mio::Waker;
use serde::{Deserialize, Serialize};

use crate::clients::mail::{Answer, Ask, Assignment, Mail, Server};
use crate::runner::rotation::Rotation;
use crate::wire::http::{self, RESPONSE_BYTES_MAX, Response};
use crate::wire::refusal::{Reason, Refusal};
use crate::wire::url::Url;

/// How long a balancer may take to answer. Everybody waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where clients begin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Entrance {
    /// They ask one of these balancers for a server.
    Balancers(Vec<Url>),
    /// They connect to one of these: a server, or balancers that stand for one.
    Direct(Vec<Url>),
}

/// Finds servers for clients, without ever waiting for the sake of one.
struct Assigner {
    entrance: Entrance,
    rotation: Rotation,
    /// The connection to each balancer.
    kept: Vec<Option<TcpStream>>,
    /// A few; there are thousands of clients.
    servers: Vec<Arc<Server>>,
}

/// What a balancer says.
enum Reply {
    Assigned(Assignment),
    Refused(Refusal),
}

/// Answers every ask, to the worker that it came from, until nobody can ask any more. Detached: the run ends without
/// waiting for a balancer.
pub fn start(
    mut entrance: Entrance,
    seed: u64,
    asks: Receiver<Ask>,
    workers: Vec<(Sender<Mail>, Arc<Waker>)>,
) -> io::Result<()> {
    let (Entrance::Balancers(urls) | Entrance::Direct(urls)) = &mut entrance;
    fastrand::Rng::with_seed(seed).shuffle(urls);
    let kept: Vec<_> = urls.iter().map(|_| None).collect();
    let mut assigner = Assigner { entrance, rotation: Rotation::new(kept.len()), kept, servers: Vec::new() };
    thread::Builder::new().name("assigner".into()).spawn(move || {
        for Ask { worker, client, avoid } in asks {
            let (mail, waker) = &workers[worker];
            // A worker that is gone needs no answer.
            if mail.send(Mail::Answer(client, assigner.assign(avoid.as_deref()))).is_ok() {
                let _ = waker.wake();
            }
        }
    })?;
    Ok(())
}

impl Assigner {
    fn assign(&mut self, avoid: Option<&Server>) -> Answer {
        match &self.entrance {
            Entrance::Balancers(_) => self.ask_around(avoid),
            Entrance::Direct(urls) => {
                let left = avoid.and_then(|left| urls.iter().position(|url| url.authority == left.authority));
                self.lead(left)
            }
        }
    }

    /// Chooses where to connect: anywhere but where the client had no luck.
    fn lead(&mut self, left: Option<usize>) -> Answer {
        let now = Instant::now();
        left.into_iter().for_each(|index| self.rotation.bench(index, now));
        let mut errors = Vec::new();
        for index in self.rotation.order(now) {
            let url = self.url(index).clone();
            match self.server(&url, "") {
                Ok(server) => return Answer::Go(Assignment { server, url }),
                Err(error) => errors.push(error),
            }
        }
        Answer::Nobody { error: errors.join("; "), wait: None }
    }

    /// Asks each balancer once.
    fn ask_around(&mut self, avoid: Option<&Server>) -> Answer {
        let (mut errors, mut wait) = (Vec::new(), None);
        for index in self.rotation.order(Instant::now()) {
            match self.ask(index, avoid) {
                Ok(Reply::Assigned(assignment)) => {
                    self.rotation.recall(index);
                    return Answer::Go(assignment);
                }
                Ok(Reply::Refused(Refusal { reason: Reason::Busy, wait })) => return Answer::Later(wait),
                Ok(Reply::Refused(refusal)) => {
                    if refusal.reason == Reason::Draining {
                        self.rotation.bench(index, Instant::now());
                    }
                    wait = Some(refusal.wait);
                    errors.push(format!("{}: {}", self.url(index).text, refusal.reason));
                }
                Err(error) => {
                    self.rotation.bench(index, Instant::now());
                    errors.push(format!("{}: {error}", self.url(index).text));
                }
            }
        }
        Answer::Nobody { error: errors.join("; "), wait }
    }

    fn url(&self, index: usize) -> &Url {
        let (Entrance::Balancers(urls) | Entrance::Direct(urls)) = &self.entrance;
        &urls[index]
    }

    fn server(&mut self, url: &Url, node: &str) -> Result<Arc<Server>, String> {
        let is_it = |server: &&Arc<Server>| server.authority == url.authority && server.node == node;
        if let Some(server) = self.servers.iter().find(is_it) {
            return Ok(Arc::clone(server));
        }
        let authority = url.authority.clone();
        let addresses = url.addresses().map_err(|error| format!("{authority}: {error}"))?;
        if addresses.is_empty() {
            return Err(format!("{authority}: no address"));
        }
        let server = Arc::new(Server { node: node.to_owned(), authority, addresses });
        self.servers.push(Arc::clone(&server));
        Ok(server)
    }

    fn ask(&mut self, index: usize, avoid: Option<&Server>) -> Result<Reply, String> {
        let balancer = self.url(index).clone();
        let avoid = avoid.map(|server| &*server.node).filter(|node| !node.is_empty());
        let request = http::assign_request(&balancer, avoid);
        let told = |error: &dyn Display| error.to_string();
        let answer = match self.kept[index].take().map(|stream| exchange(stream, &request)) {
            Some(Ok(answer)) => answer,
            // One that is too slow would be so again.
            Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => return Err(told(&error)),
            // The kept connection may have been closed in the meantime; then a new one is due.
            _ => {
                let stream = dial(&balancer).map_err(|error| told(&error))?;
                exchange(stream, &request).map_err(|error| told(&error))?
            }
        };
        let (stream, response) = answer;
        self.kept[index] = response.keep_alive.then_some(stream);
        if response.status == 200 {
            let (url, node) = http::assigned(&response.body)?;
            let server = self.server(&url, &node)?;
            return Ok(Reply::Assigned(Assignment { server, url }));
        }
        let refusal = Refusal::read(&response).map(Reply::Refused);
        refusal.ok_or_else(|| format!("{} {}", response.status, response.body.trim()))
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

fn exchange(mut stream: TcpStream, request: &str) -> io::Result<(TcpStream, Response)> {
    stream.write_all(request.as_bytes())?;
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
