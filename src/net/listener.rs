//! A listening socket of which each reactor has its own (`SO_REUSEPORT`), so that the kernel spreads connections and
//! no accept queue is shared.

use std::fs::File;
use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

use super::buffers;
use super::poller::Poller;

/// Connections that the kernel completes ahead of us; it caps the number at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// `EMFILE` and `ENFILE` of Linux: this process, or the machine, has no descriptor left.
const OUT_OF_DESCRIPTORS: [i32; 2] = [24, 23];

/// What an attempt to accept brought.
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Stream(TcpStream),
    /// A connection was turned away, or broke while it waited.
    Refused,
    /// None waits.
    Nothing,
    /// No descriptor is left for it: free one and try again, or [`Listener::turn_away`].
    OutOfDescriptors,
    /// No descriptor or memory is left, not even the spare one: try again in a while, since no event will tell.
    Exhausted,
}

/// Accepts connections, and keeps one descriptor in reserve to turn clients away with when all others are in use.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    spare: Option<File>,
}

impl Listener {
    /// Binds and listens.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        buffers::bound(&socket)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self { listener: TcpListener::from_std(socket.into()), spare: spare() })
    }

    /// Whether nobody listens there yet. `SO_REUSEPORT` lets a second server of the same user share the port in
    /// silence; this bind, without it, does not. It does not listen itself, or it would take in clients only to drop
    /// them. Returns the address with the port that 0 became.
    pub fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        let bound = socket.local_addr()?.as_socket();
        bound.ok_or_else(|| io::Error::other("the kernel told no address"))
    }

    /// Where it listens; tells the port when 0 was asked for.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Registers it.
    pub fn register(&mut self, poller: &Poller) -> io::Result<()> {
        poller.add_listener(&mut self.listener)
    }

    /// Takes one connection; call until [`Accepted::Nothing`].
    pub fn accept(&mut self) -> Accepted {
        if self.spare.is_none() {
            self.spare = spare();
        }
        match self.listener.accept() {
            // Chat frames are small and whole: waiting to fill a segment only adds delay.
            Ok((stream, _)) if stream.set_nodelay(true).is_ok() => Accepted::Stream(stream),
            Ok(_) => Accepted::Refused,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Accepted::Nothing,
            Err(error) if error.raw_os_error().is_some_and(|code| OUT_OF_DESCRIPTORS.contains(&code)) => {
                Accepted::OutOfDescriptors
            }
            // accept(2): what befell a connection while it waited is told here, and the next one may be well.
            Err(error) => match error.kind() {
                io::ErrorKind::OutOfMemory => Accepted::Exhausted,
                _ => Accepted::Refused,
            },
        }
    }

    /// Closes the next connection at once: its client need not wait to learn that there is no place for it.
    pub fn turn_away(&mut self) -> Accepted {
        if self.spare.take().is_none() {
            return Accepted::Exhausted;
        }
        let outcome = self.listener.accept();
        match outcome {
            Ok((stream, _)) => {
                drop(stream);
                self.spare = spare();
                Accepted::Refused
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Accepted::Nothing,
            Err(_) => Accepted::Exhausted,
        }
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}
