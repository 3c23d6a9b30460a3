//! A look at the nodes before anything is started: what a person has to change is better said at once.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::lanes::{self, CLIENT_NAME};
use crate::wire::resp::{Incoming, Parser};
use crate::wire::resp_command::{self, Credentials};
use crate::wire::resp_reply::Reply;

use super::redis::Options;

/// For all nodes together.
const PATIENCE: Duration = Duration::from_secs(1);
/// For one address of a node.
const CONNECT_MAX: Duration = Duration::from_millis(500);

/// Greets each node. An error is one that will not go away by itself: a release without sharded pub/sub, a wrong
/// password. A node that is not there is only warned about: the server begins without it.
pub fn preflight(options: &Options) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let (sender, answers) = mpsc::channel();
    for node in &options.nodes {
        let (sender, node, credentials) = (sender.clone(), node.clone(), options.credentials.clone());
        let ask = move || {
            let outcome = greet(&node, credentials.as_ref());
            // Whoever asked may have lost patience.
            let _ = sender.send((node, outcome));
        };
        thread::Builder::new().name("preflight".into()).spawn(ask).map_err(|error| error.to_string())?;
    }
    drop(sender);
    let (mut refusals, mut answered) = (Vec::new(), Vec::new());
    while let Ok((node, outcome)) = answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        match outcome {
            Ok(reply) => {
                let refusal = lanes::refusal(reply);
                refusals.extend(refusal.map(|reason| format!("Redis {node}: {reason}")));
            }
            Err(error) => log::warn!("Redis {node} cannot be reached: {error}; starting without it"),
        }
        answered.push(node);
    }
    for node in options.nodes.iter().filter(|node| !answered.contains(node)) {
        log::warn!("Redis {node} does not answer; starting without it");
    }
    if refusals.is_empty() { Ok(()) } else { Err(refusals.join("; ")) }
}

fn greet(node: &str, credentials: Option<&(String, String)>) -> io::Result<Reply> {
    let mut failure = io::Error::other("the name has no address");
    for address in node.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(stream) => return say_hello(stream, credentials),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn say_hello(mut stream: TcpStream, credentials: Option<&(String, String)>) -> io::Result<Reply> {
    let credentials = credentials.map(|(user, password)| Credentials { user, password });
    let mut hello = Vec::new();
    resp_command::hello(&mut hello, credentials, CLIENT_NAME);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&hello)?;
    let (mut parser, mut bytes, mut buffer) = (Parser::default(), Vec::new(), [0; 4096]);
    loop {
        match parser.next(&bytes) {
            Ok(Some((_, Incoming::Reply(reply)))) => return Ok(reply),
            Ok(Some(_)) | Err(_) => return Err(io::Error::other("it is no Redis")),
            Ok(None) => {}
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
