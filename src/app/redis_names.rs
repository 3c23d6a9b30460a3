//! Where the nodes are, asked anew for each connection: a node may come back with another address. Each question has a
//! thread of its own, since a name service may take its time, and nobody waits for it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::{io, thread};

use mio::Waker;

use crate::lanes::Role;
use crate::net::mailbox::{Mailbox, Post, mailbox};

/// Answers that may wait: no connection asks twice at a time, and there are two for each of at most 64 lanes.
const ANSWERS_MAX: usize = 128;

/// For which connection a question is.
pub type End = (usize, Role);

/// What was found.
#[derive(Debug)]
pub struct Answer {
    /// For whom.
    pub end: End,
    /// What was asked.
    pub target: String,
    /// The addresses, or why there are none.
    pub addresses: io::Result<Vec<SocketAddr>>,
}

/// Asks, and hears the answers.
#[derive(Debug)]
pub struct Names {
    post: Post<Answer>,
    answers: Mailbox<Answer>,
    asking: Vec<End>,
}

impl Names {
    /// Answers wake the owner of `waker`.
    pub fn new(waker: Arc<Waker>) -> Self {
        let (post, answers) = mailbox(ANSWERS_MAX, waker);
        Self { post, answers, asking: Vec::new() }
    }

    /// Asks where `host:port` is. An address is its own answer; a question that is under way for the same connection
    /// is not asked again, whatever it was about.
    pub fn ask(&mut self, end: End, target: &str) -> Option<Vec<SocketAddr>> {
        if let Ok(address) = target.parse() {
            return Some(vec![address]);
        }
        if !self.asking.contains(&end) {
            self.asking.push(end);
            let (post, target) = (self.post.clone(), target.to_owned());
            let spawned = thread::Builder::new().name("resolver".into()).spawn(move || {
                let addresses = target.to_socket_addrs().map(Iterator::collect);
                // Whoever asked may be gone.
                let _ = post.send(Answer { end, target, addresses });
            });
            if spawned.is_err() {
                self.asking.retain(|other| *other != end);
            }
        }
        None
    }

    /// What was found since the last time.
    pub fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        self.answers.drain(ANSWERS_MAX, |answer| answers.push(answer));
        self.asking.retain(|end| !answers.iter().any(|answer| answer.end == *end));
        answers
    }
}
