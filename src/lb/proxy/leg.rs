//! One socket of a line: the client's, a server's, or that of a server that is being connected to.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use mio::net::TcpStream;

use crate::net::{Connection, Flush, Readiness, Received};

use super::limits::STALL_MAX;

/// Which of a line's sockets an event is about. A server has the one of two that the server before it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// The client.
    Client = 0,
    /// A server.
    Left = 1,
    /// Another server.
    Right = 2,
}

/// What a loop did in one turn.
#[derive(Debug, Default)]
pub struct Tally {
    /// Bytes that were passed on to servers.
    pub up: u64,
    /// Bytes that were passed on to clients.
    pub down: u64,
    /// Write calls.
    pub writes: u64,
}

/// A socket, and since when it takes nothing.
#[derive(Debug)]
pub struct Leg {
    /// Which it is.
    pub side: Side,
    /// Whether it is on the loop's list of those that have something to read.
    pub is_listed: bool,
    connection: Connection,
    stalled: Option<Instant>,
    is_finishing: bool,
}

impl Leg {
    /// Takes a socket that does not block.
    pub fn new(side: Side, stream: TcpStream) -> Self {
        let connection = Connection::new(stream);
        Self { side, is_listed: false, connection, stalled: None, is_finishing: false }
    }

    /// The socket with what it remembers.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Remembers what the poller told.
    pub fn note(&mut self, readiness: Readiness) {
        self.connection.note(readiness);
    }

    /// Whether a read may bring something.
    pub fn is_readable(&self) -> bool {
        self.connection.is_readable()
    }

    /// Whether nothing waits to be written.
    pub fn is_flushed(&self) -> bool {
        self.connection.is_flushed()
    }

    /// When it will have taken nothing for too long.
    pub fn stalls_at(&self) -> Option<Instant> {
        self.stalled.map(|since| since + STALL_MAX)
    }

    /// One read.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Received {
        self.connection.receive(buffer)
    }

    /// Writes at once what the socket takes, and queues the rest.
    pub fn pass_on(&mut self, bytes: &[u8], tally: &mut Tally, now: Instant) -> io::Result<()> {
        if self.connection.pass_on(bytes, &mut tally.writes)? == Flush::Blocked {
            self.stalled.get_or_insert(now);
        }
        Ok(())
    }

    /// Queues bytes of our own.
    pub fn queue(&mut self, bytes: Bytes) {
        // Few and small: heads, and frames of a size that is known.
        let _ = self.connection.queue(bytes, usize::MAX);
    }

    /// Nothing more will be queued: the socket's sending side ends behind what is.
    pub fn finish(&mut self) {
        self.is_finishing = true;
    }

    /// Writes what is queued. An error means that the peer is gone.
    pub fn flush(&mut self, tally: &mut Tally, now: Instant) -> io::Result<()> {
        let before = self.connection.queued();
        if before > 0 && self.connection.flush(&mut tally.writes)? == Flush::Blocked {
            let has_moved = self.connection.queued() < before;
            self.stalled = self.stalled.filter(|_| !has_moved).or(Some(now));
            return Ok(());
        }
        self.stalled = None;
        if std::mem::take(&mut self.is_finishing) {
            self.connection.finish()?;
        }
        Ok(())
    }
}
