//! What the kernel may hold of one connection. Left to itself it holds 1.6 MB for a peer that does not read
//! (docs/performance.md, «Slow readers»).

use std::io;
use std::os::fd::AsFd;

use socket2::SockRef;

/// What was sent and is not acknowledged, and what is not sent yet, in bytes. The kernel doubles it for its own
/// overhead, and no longer tunes it by itself.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// Of that, what is not sent yet, in bytes. The rest waits in the outbox, where a frame is shared by all its receivers.
const UNSENT_BYTES_MAX: u32 = 64 * 1024;
/// What has arrived and is not read yet: two of the largest messages. The kernel doubles it too.
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;

/// Bounds it. A listening socket hands this on to those that it accepts.
pub fn bound(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)
}
