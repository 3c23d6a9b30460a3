//! One epoll instance, its events and the waker by which other threads end its wait.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token, Waker};

use super::slots::Key;

/// Events taken from the kernel at a time; what does not fit comes with the next call.
const EVENTS_MAX: usize = 1024;
const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// What has become possible, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Connections wait to be accepted.
    Listener,
    /// A connection changed. epoll is edge-triggered: each is told once.
    Connection {
        /// Which.
        key: Key,
        /// Bytes or an end may be read.
        readable: bool,
        /// The peer will send no more: read until the end now, since no second event comes.
        read_closed: bool,
        /// Bytes may be written.
        writable: bool,
    },
}

/// Waits for readiness.
#[derive(Debug)]
pub struct Poller {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
}

impl Poller {
    /// A new epoll instance. Fails when descriptors have run out.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self { poll, events: Events::with_capacity(EVENTS_MAX), waker })
    }

    /// Ends the wait of this poller from any thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Registers the listening socket.
    pub fn add_listener(&self, listener: &mut impl Source) -> io::Result<()> {
        self.poll.registry().register(listener, LISTENER, Interest::READABLE)
    }

    /// Registers a connection for both directions, once and for all: writable edges come by themselves when a full
    /// socket drains.
    pub fn add_connection(&self, stream: &mut impl Source, key: Key) -> io::Result<()> {
        self.poll.registry().register(stream, key.into(), Interest::READABLE | Interest::WRITABLE)
    }

    /// Forgets a connection that goes on elsewhere. One that is closed is forgotten by itself.
    pub fn remove_connection(&self, stream: &mut impl Source) -> io::Result<()> {
        self.poll.registry().deregister(stream)
    }

    /// Waits for at most `timeout`; a signal ends the wait early. Whole milliseconds, rounded up.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            other => other,
        }
    }

    /// What the last wait found. Wake-ups are not told: whoever is woken looks into every mailbox anyway.
    pub fn ready(&self) -> impl Iterator<Item = Readiness> {
        self.events.iter().filter_map(|event| match event.token() {
            WAKER => None,
            LISTENER => Some(Readiness::Listener),
            token => Some(Readiness::Connection {
                key: token.into(),
                readable: event.is_readable() || event.is_error(),
                read_closed: event.is_read_closed() || event.is_error(),
                writable: event.is_writable(),
            }),
        })
    }
}
