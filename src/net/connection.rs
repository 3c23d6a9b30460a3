//! One accepted socket with what it remembers between turns.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use bytes::Bytes;
use mio::net::TcpStream;

use super::descriptors::Counted;
use super::outbox::{Flush, Outbox, Overflow};
use super::poller::Readiness;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// This many bytes of the buffer are filled: what was held back, then what is new.
    Bytes(usize),
    /// Nothing new.
    Nothing,
    /// The peer has ended its side, or the connection is broken.
    End,
}

/// A socket, its queue, and the part of a message that has arrived. It owns input bytes only while it holds such a
/// part; reads go to the reactor's buffer.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    outbox: Outbox,
    held: Box<[u8]>,
    /// What is held is not part of something: it waits for the next turn.
    has_more: bool,
    readable: bool,
    read_closed: bool,
    partly_sent: bool,
    _counted: Counted,
}

impl Connection {
    /// Takes a non-blocking socket.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            outbox: Outbox::default(),
            held: Box::default(),
            has_more: false,
            readable: false,
            read_closed: false,
            partly_sent: false,
            _counted: Counted::new(),
        }
    }

    /// The socket, to be registered.
    pub fn source(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The socket alone. Nothing may be held or queued any more.
    pub fn into_stream(self) -> TcpStream {
        debug_assert!(self.held.is_empty() && self.outbox.is_empty(), "nothing is lost");
        self.stream
    }

    /// The other end.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    /// Remembers what the poller told; edges come once.
    pub fn note(&mut self, readiness: Readiness) {
        if let Readiness::Connection { readable, read_closed, .. } = readiness {
            self.readable |= readable | read_closed;
            self.read_closed |= read_closed;
        }
    }

    /// Whether a read may bring something: the edge was told and `WouldBlock` was not reached since.
    pub fn is_readable(&self) -> bool {
        self.readable || self.has_more
    }

    /// One read behind the held bytes, which are put at the front of `buffer`.
    ///
    /// # Panics
    /// If the held bytes fill the buffer: it must be larger than any message that may be held.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Received {
        let held = self.held.len();
        assert!(held < buffer.len(), "the read buffer is larger than any message");
        if std::mem::take(&mut self.has_more) {
            buffer[..held].copy_from_slice(&std::mem::take(&mut self.held));
            return Received::Bytes(held);
        }
        match self.stream.read(&mut buffer[held..]) {
            Ok(0) => self.end(),
            Ok(count) => {
                // A short read means that the socket is empty, unless an end follows: that is told only once.
                self.readable = count == buffer.len() - held || self.read_closed;
                buffer[..held].copy_from_slice(&std::mem::take(&mut self.held));
                Received::Bytes(held + count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Received::Nothing
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Received::Nothing,
            Err(_) => self.end(),
        }
    }

    fn end(&mut self) -> Received {
        self.readable = false;
        Received::End
    }

    /// Keeps the part of a message that has arrived, until the next [`Connection::receive`].
    pub fn hold(&mut self, bytes: &[u8]) {
        debug_assert!(self.held.is_empty(), "what was held has been given back");
        self.held = bytes.into();
    }

    /// Keeps bytes that could be handled, so that others get their turn first.
    pub fn hold_for_next_turn(&mut self, bytes: &[u8]) {
        self.hold(bytes);
        self.has_more = !bytes.is_empty();
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Queues bytes; nothing is sent before [`Connection::flush`].
    pub fn queue(&mut self, bytes: Bytes, bytes_max: usize) -> Result<(), Overflow> {
        self.outbox.push(bytes, bytes_max)
    }

    /// Queues something large that the peer has asked for; see [`Outbox::push_answer`].
    pub fn queue_answer(&mut self, parts: &[Bytes], answers_max: usize) -> Result<(), Overflow> {
        self.outbox.push_answer(parts, answers_max)
    }

    /// Bytes that wait to be sent.
    pub fn queued(&self) -> usize {
        self.outbox.bytes()
    }

    /// Whether everything queued was handed to the kernel.
    pub fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Drops what waits behind the frame that is under way.
    pub fn drop_unsent(&mut self) {
        self.outbox.drop_unsent(self.partly_sent);
    }

    /// Writes what is queued. An error means that the peer is gone.
    pub fn flush(&mut self, writes: &mut u64) -> io::Result<Flush> {
        let flush = self.outbox.flush(&mut self.stream, writes)?;
        self.partly_sent = flush == Flush::Blocked;
        Ok(flush)
    }

    /// Writes at once what the socket takes of `bytes`, and queues the rest. An error means that the peer is gone.
    pub fn pass_on(&mut self, bytes: &[u8], writes: &mut u64) -> io::Result<Flush> {
        let written = if self.outbox.is_empty() { self.write(bytes, writes)? } else { 0 };
        if written == bytes.len() {
            return Ok(Flush::Empty);
        }
        // The bound is the caller's: it reads no more for this peer while something waits.
        let _ = self.outbox.push(Bytes::copy_from_slice(&bytes[written..]), usize::MAX);
        self.partly_sent = true;
        Ok(Flush::Blocked)
    }

    fn write(&mut self, bytes: &[u8], writes: &mut u64) -> io::Result<usize> {
        loop {
            *writes += 1;
            match self.stream.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Tells the peer that nothing more will come. An error means that it is gone already.
    pub fn finish(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}
