//! One connection: a non-blocking socket, and the frames on it.
//!
//! tungstenite reads from the worker's one buffer instead of the socket, so that a connection owns a few hundred
//! bytes and one read takes many frames.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message, Utf8Bytes};

use crate::handshake::{Failure, Handshake};
use crate::refusal::Refusal;
use crate::url::Url;

/// Stands for a connection that ended without a close frame.
pub const NO_CLOSE_FRAME: u16 = 1006;
/// tungstenite's own buffer, in bytes: as one frame mostly needs.
const FRAME_BYTES: usize = 256;
/// Largest frame taken, in bytes: the history of a room that is full of small messages.
const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes that may wait for a server that does not read.
const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// A connection under way or open.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// `protocol`: the sub-protocol that is asked for.
    Dialling {
        url: Box<Url>,
        protocol: Option<&'static str>,
    },
    Upgrading(Handshake),
    /// `is_blocked`: something waits until the socket is writable again.
    Open {
        context: Box<WebSocketContext>,
        is_blocked: bool,
    },
}

/// The connection is of no use any more.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It was open and has ended, with this close code.
    Closed(u16),
    /// A balancer cannot serve just now.
    Refused(Refusal),
    /// It came to nothing, or broke a rule.
    Failed(String),
}

/// The socket as tungstenite sees it: reads come from memory, writes go out.
struct Pipe<'a, 'b> {
    input: &'a mut &'b [u8],
    stream: &'a TcpStream,
}

impl Socket {
    /// Starts to connect, to one of the addresses of the URL, from an address or any.
    pub fn dial(
        url: Url,
        protocol: Option<&'static str>,
        address: SocketAddr,
        from: Option<IpAddr>,
    ) -> Result<Self, End> {
        let stream = match from {
            Some(from) => connect_from(from, address),
            None => TcpStream::connect(address),
        };
        let stream = stream.map_err(|error| failed("connect", &error))?;
        Ok(Self { stream, stage: Stage::Dialling { url: Box::new(url), protocol } })
    }

    /// Whether frames can be sent.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// Lets the kernel keep only so many bytes that were not read; it has a floor of its own.
    pub fn limit_receive_buffer(&self, bytes: usize) -> Result<(), End> {
        let result = sockopt::set_socket_recv_buffer_size(&self.stream, bytes);
        result.map_err(|error| failed("connect", &io::Error::from(error)))
    }

    /// The socket, to be registered.
    pub fn source(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The socket may be written to: it is connected, or has drained.
    pub fn handle_writable(&mut self) -> Result<(), End> {
        match &mut self.stage {
            Stage::Dialling { url, protocol } => {
                if let Some(error) = self.stream.take_error().map_err(|error| failed("connect", &error))? {
                    return Err(failed("connect", &error));
                }
                if self.stream.peer_addr().is_err() {
                    return Ok(());
                }
                // Frames are written whole, so there is nothing that waiting could gather.
                self.stream.set_nodelay(true).map_err(|error| failed("connect", &error))?;
                let (handshake, request) =
                    Handshake::new(url, *protocol).map_err(|error| failed("handshake", &error))?;
                // A new socket has room for a few hundred bytes.
                self.stream.write_all(&request).map_err(|error| failed("handshake", &error))?;
                self.stage = Stage::Upgrading(handshake);
                Ok(())
            }
            Stage::Upgrading(_) => Ok(()),
            Stage::Open { context, is_blocked } => {
                // A socket is told to be writable with every event, and mostly nothing waits for that.
                if *is_blocked {
                    let result = context.flush(&mut Pipe { input: &mut &[][..], stream: &self.stream });
                    *is_blocked = unless_broken(result)?;
                }
                Ok(())
            }
        }
    }

    /// One read into the buffer; `None` if there is nothing.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, End> {
        match self.stream.read(buffer) {
            Ok(0) => Err(self.end("the server closed the connection")),
            Ok(count) => Ok(Some(count)),
            Err(error) if is_temporary(&error) => Ok(None),
            Err(error) => Err(self.end(&error.to_string())),
        }
    }

    /// The next text in what was received; `None` when all is used up.
    pub fn next_text(&mut self, input: &mut &[u8]) -> Result<Option<Utf8Bytes>, End> {
        if let Stage::Upgrading(handshake) = &mut self.stage {
            let tail = handshake.handle_bytes(std::mem::take(input)).map_err(|failure| match failure {
                Failure::Refused(refusal) => End::Refused(refusal),
                Failure::Broken(why) => failed("handshake", &why),
            })?;
            let Some(tail) = tail else { return Ok(None) };
            let context = WebSocketContext::from_partially_read(tail, Role::Client, Some(config()));
            self.stage = Stage::Open { context: Box::new(context), is_blocked: false };
        }
        let Stage::Open { context, .. } = &mut self.stage else {
            return Err(End::Failed("the server spoke before it was asked".into()));
        };
        loop {
            match context.read(&mut Pipe { input, stream: &self.stream }) {
                Ok(Message::Text(text)) => return Ok(Some(text)),
                Ok(Message::Close(frame)) => {
                    // The answer to it; whether it arrives no longer matters.
                    let _ = context.flush(&mut Pipe { input, stream: &self.stream });
                    let code = frame.map_or(NO_CLOSE_FRAME, |frame| frame.code.into());
                    return Err(End::Closed(code));
                }
                Ok(Message::Binary(_)) => return Err(End::Failed("websocket: a binary message".into())),
                // tungstenite answers pings with its next read.
                Ok(_) => {}
                Err(Error::Io(error)) if is_temporary(&error) => return Ok(None),
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Sends a text, or queues it if the server does not read just now.
    pub fn send(&mut self, text: String) -> Result<(), End> {
        let Stage::Open { context, is_blocked } = &mut self.stage else {
            return Err(End::Failed("a text before the connection is open".into()));
        };
        let mut pipe = Pipe { input: &mut &[][..], stream: &self.stream };
        *is_blocked = unless_broken(context.write(&mut pipe, Message::Text(text.into())))?;
        Ok(())
    }

    /// Says goodbye, if there is anyone to say it to, and closes.
    pub fn close(self) {
        if let Stage::Open { mut context, .. } = self.stage {
            let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
            let _ = context.close(&mut Pipe { input: &mut &[][..], stream: &self.stream }, Some(frame));
        }
    }

    fn end(&self, why: &str) -> End {
        match &self.stage {
            Stage::Open { .. } => End::Closed(NO_CLOSE_FRAME),
            Stage::Dialling { .. } => End::Failed(format!("connect: {why}")),
            Stage::Upgrading(_) => End::Failed(format!("handshake: {why}")),
        }
    }
}

fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddr::new(from, 0))?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from_std(socket.into())),
        Err(error) => Err(error.into()),
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(FRAME_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(UNSENT_BYTES_MAX)
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .max_message_size(Some(FRAME_BYTES_MAX))
}

/// Whether the socket is full. tungstenite keeps what could not be written; it goes out when the socket is writable
/// again.
fn unless_broken(result: Result<(), Error>) -> Result<bool, End> {
    match result {
        Ok(()) => Ok(false),
        Err(Error::Io(error)) if is_temporary(&error) => Ok(true),
        Err(error) => Err(broken(&error)),
    }
}

fn broken(error: &Error) -> End {
    match error {
        Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed => End::Closed(NO_CLOSE_FRAME),
        error => failed("websocket", error),
    }
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> End {
    End::Failed(format!("{what}: {error}"))
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Read for Pipe<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.is_empty() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => self.input.read(buffer),
        }
    }
}

impl Write for Pipe<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
