//! One connection: a non-blocking socket, and the frames on it.
//!
//! Frames are read where they lie in the worker's one buffer, so that an idle connection owns next to nothing and one
//! read takes many frames.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tungstenite::Utf8Bytes;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use crate::wire::frames::{Frames, Word};
use crate::wire::handshake::{Failure, Handshake};
use crate::wire::refusal::Refusal;
use crate::wire::url::Url;

/// Stands for a connection that ended without a close frame.
pub const NO_CLOSE_FRAME: u16 = 1006;
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
    Upgrading(Box<Handshake>),
    Open {
        frames: Frames,
        unsent: Option<Box<Unsent>>,
    },
}

/// Bytes that wait until the socket is writable again.
#[derive(Debug, Default)]
struct Unsent(Vec<u8>);

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
                self.stage = Stage::Upgrading(Box::new(handshake));
                Ok(())
            }
            Stage::Upgrading(_) => Ok(()),
            // A socket is told to be writable with every event, and mostly nothing waits for that.
            Stage::Open { unsent, .. } => match unsent.take() {
                Some(waiting) => write(&self.stream, unsent, waiting.0),
                None => Ok(()),
            },
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

    /// What is to be read by [`Socket::next_text`] now that these bytes have arrived.
    pub fn gather<'a>(&mut self, arrived: &'a [u8]) -> Result<Cow<'a, [u8]>, End> {
        match &mut self.stage {
            Stage::Open { frames, .. } => Ok(frames.gather(arrived)),
            Stage::Upgrading(handshake) => {
                let tail = handshake.handle_bytes(arrived).map_err(|failure| match failure {
                    Failure::Refused(refusal) => End::Refused(refusal),
                    Failure::Broken(why) => failed("handshake", &why),
                })?;
                if tail.is_some() {
                    self.stage = Stage::Open { frames: Frames::default(), unsent: None };
                }
                Ok(Cow::Owned(tail.unwrap_or_default()))
            }
            Stage::Dialling { .. } => Err(End::Failed("the server spoke before it was asked".into())),
        }
    }

    /// The next text in what was gathered; `None` when all is used up.
    pub fn next_text<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Cow<'a, str>>, End> {
        let Stage::Open { frames, unsent } = &mut self.stage else { return Ok(None) };
        loop {
            match frames.next(bytes).map_err(|broken| failed("websocket", &broken))? {
                Some(Word::Text(text)) => return Ok(Some(text)),
                Some(Word::Ping(payload)) => send(&self.stream, unsent, Frame::pong(payload.to_vec()))?,
                Some(Word::Close(code)) => {
                    let answer =
                        code.map(|code| CloseFrame { code: code.into(), reason: Utf8Bytes::default() });
                    // Whether it arrives no longer matters.
                    let _ = send(&self.stream, unsent, Frame::close(answer));
                    return Err(End::Closed(code.unwrap_or(NO_CLOSE_FRAME)));
                }
                None => return Ok(None),
            }
        }
    }

    /// Sends a text, or queues it if the server does not read just now.
    pub fn send(&mut self, text: String) -> Result<(), End> {
        let Stage::Open { unsent, .. } = &mut self.stage else {
            return Err(End::Failed("a text before the connection is open".into()));
        };
        send(&self.stream, unsent, Frame::message(text, OpCode::Data(Data::Text), true))
    }

    /// Says goodbye, if there is anyone to say it to, and closes.
    pub fn close(self) {
        if let Stage::Open { mut unsent, .. } = self.stage {
            let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
            let _ = send(&self.stream, &mut unsent, Frame::close(Some(frame)));
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

fn send(stream: &TcpStream, unsent: &mut Option<Box<Unsent>>, mut frame: Frame) -> Result<(), End> {
    frame.header_mut().mask = Some(fastrand::u32(..).to_ne_bytes());
    let mut bytes = Vec::with_capacity(frame.len());
    frame.format(&mut bytes).expect("a Vec takes everything");
    match unsent {
        None => write(stream, unsent, bytes),
        Some(waiting) if waiting.0.len() + bytes.len() <= UNSENT_BYTES_MAX => {
            waiting.0.extend(bytes);
            Ok(())
        }
        Some(_) => Err(End::Failed("the server does not read".into())),
    }
}

/// Writes what can be written; the rest waits until the socket is writable again.
fn write(mut stream: &TcpStream, unsent: &mut Option<Box<Unsent>>, mut bytes: Vec<u8>) -> Result<(), End> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                *unsent = Some(Box::new(Unsent(bytes.split_off(written))));
                return Ok(());
            }
            Err(_) => return Err(End::Closed(NO_CLOSE_FRAME)),
        }
    }
    Ok(())
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> End {
    End::Failed(format!("{what}: {error}"))
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
