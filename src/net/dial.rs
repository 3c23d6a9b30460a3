//! A connection that we make, without waiting for it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

/// `EINPROGRESS` of Linux: the connection is being made.
const IN_PROGRESS: i32 = 115;
/// How long the kernel goes on sending what the peer does not acknowledge, also after we closed.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// Begins. The poller tells when it is writable or broken; then ask [`outcome`].
pub fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // What is sent in one turn is written at once: waiting to fill a segment only adds delay.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// The two addresses of a connection, ours first; `None`: it is not made yet.
pub fn outcome(stream: &TcpStream) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(peer) => Ok(Some((stream.local_addr()?, peer))),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(None),
        Err(error) => Err(error),
    }
}
