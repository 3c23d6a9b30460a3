//! Proxy mode: clients that reach only the balancer, each with a server behind it that another one may replace.
//!
//! ```text
//! reactor ── request understood, socket let go ──▶ Letter ──▶ relay          one thread and poller a core
//!                                                               └ line       a client: its legs and its pair
//!                                                                  ├ leg     a socket
//!                                                                  └ pair    what is decided; pure
//! ```
//! The loops are not the reactors themselves: a reactor serves what speaks to it, and knows nothing of sockets that come in
//! twos. A client changes hands once.

pub mod leaving;
pub mod leg;
pub mod limits;
pub mod line;
pub mod pair;
pub mod place;
pub mod relay;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::net::Post;
use crate::net::mailbox::Undelivered;

use super::node::Node;

use relay::{Letter, Relay};

pub use place::Place;

/// How long it is waited before a full loop is told again that it is to leave.
const RETRY: Duration = Duration::from_millis(1);

/// The loops, which run until the balancer leaves, or this is dropped.
#[derive(Debug)]
pub struct Proxy {
    posts: Vec<Post<Letter>>,
    threads: Vec<JoinHandle<()>>,
}

/// Tells all loops of servers.
#[derive(Debug)]
pub struct Bell(Vec<Post<Letter>>);

impl Bell {
    /// Nobody hears of that server any more. A loop whose mailbox is full does not hear this: it sees it by the sockets.
    pub fn gone(&self, server: &str) {
        for post in &self.0 {
            let _ = post.send(Letter::Gone(server.into()));
        }
    }
}

impl Proxy {
    /// Starts as many loops as there are reactors.
    pub fn start(node: &Arc<Node>) -> io::Result<Self> {
        let mut proxy = Self { posts: Vec::new(), threads: Vec::new() };
        for index in 0..node.options.reactors {
            let name = format!("{}/proxy{index}", node.options.name);
            let (relay, post) = Relay::new(Arc::clone(node), node.serving.loops.add(&*name))?;
            let thread = thread::Builder::new().name(name.clone()).spawn(move || {
                if let Err(error) = relay.run() {
                    log::error!("{name}: the event loop failed: {error}");
                    std::process::abort();
                }
            })?;
            proxy.posts.push(post);
            proxy.threads.push(thread);
        }
        Ok(proxy)
    }

    /// Where the clients of the reactor of that index go.
    pub fn post(&self, reactor: usize) -> Post<Letter> {
        self.posts[reactor].clone()
    }

    /// What tells all loops of servers.
    pub fn bell(&self) -> Bell {
        Bell(self.posts.clone())
    }

    /// Tells all clients to move, spread over a time, and waits until the last is gone, or for `limit`.
    pub fn leave(&mut self, over: Duration, limit: Duration) {
        for post in &self.posts {
            while let Err(Undelivered::Full(_)) = post.send(Letter::Leave(over, limit)) {
                thread::sleep(RETRY);
            }
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() && !thread::panicking() {
                log::error!("a proxy loop panicked");
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.leave(Duration::ZERO, Duration::ZERO);
    }
}
