//! Bytes as they are: for what no client would send, and for clients that do not answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;
use super::http::{self, Answer};

/// A request that becomes a WebSocket.
pub const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// A connection that says exactly what it is told.
pub struct Raw {
    stream: TcpStream,
}

/// A frame of the server: its first byte and its payload.
pub type Frame = (u8, Vec<u8>);

impl Raw {
    /// Connects, and sends nothing.
    pub fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    /// Connects and becomes a WebSocket; takes the welcome.
    pub fn open(server: SocketAddr) -> Self {
        let mut raw = Self::connect(server);
        raw.write(UPGRADE);
        assert_eq!(raw.answer().status, 101);
        assert_eq!(raw.json()["type"], "welcome");
        raw
    }

    /// Sends bytes. A server that has said its last word may not take them.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        match self.stream.write_all(bytes.as_ref()) {
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            result => result.unwrap(),
        }
    }

    /// Sends nothing any more.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads an HTTP answer.
    pub fn answer(&mut self) -> Answer {
        Answer::read(&mut self.stream)
    }

    /// Reads an HTTP answer to the end of the connection, in chunks where a proxy made some of it.
    pub fn chunked_answer(&mut self) -> Answer {
        let head = self.head();
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let mut rest = &*String::from_utf8(bytes).unwrap();
        if answer.header("transfer-encoding") != Some("chunked") {
            answer.body = rest.to_owned();
            return answer;
        }
        while let Some((length, more)) = rest.split_once("\r\n") {
            let length = usize::from_str_radix(length, 16).unwrap();
            answer.body.push_str(&more[..length]);
            rest = more[length..].trim_start_matches("\r\n");
        }
        answer
    }

    /// Reads so many bytes.
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads a frame; `None`: the server has ended the connection.
    pub fn frame(&mut self) -> Option<Frame> {
        let [first, second] = self.bytes::<2>()?;
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let length = match second {
            126 => u16::from_be_bytes(self.bytes()?).into(),
            127 => u64::from_be_bytes(self.bytes()?),
            short => short.into(),
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).unwrap();
        Some((first, payload))
    }

    /// Reads the head of an HTTP answer.
    pub fn head(&mut self) -> String {
        http::read_head(&mut self.stream)
    }

    /// Reads until a frame with that first byte; returns its payload.
    pub fn next(&mut self, first: u8) -> Vec<u8> {
        loop {
            let frame = self.frame().expect("the server ended the connection");
            if frame.0 == first {
                return frame.1;
            }
        }
    }

    /// Reads a text frame.
    pub fn json(&mut self) -> Value {
        let (first, payload) = self.frame().expect("a text frame");
        assert_eq!(first, 0x81, "a text frame: {payload:?}");
        serde_json::from_slice(&payload).unwrap()
    }

    /// Reads until the server's close frame, and returns its code: 1005 for none in it.
    pub fn close_code(&mut self) -> u16 {
        loop {
            match self.frame() {
                Some((0x88, payload)) => {
                    return payload.first_chunk().map_or(1005, |&code| u16::from_be_bytes(code));
                }
                Some(_) => {}
                None => panic!("the server ended the connection without a close frame"),
            }
        }
    }

    /// Whether the server ends the connection here, without a further byte.
    pub fn has_ended(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        match self.stream.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                None
            }
            Err(error) => panic!("no frame came: {error}"),
        }
    }
}

/// A masked frame with that first byte.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(first, payload.len());
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// The header of a masked frame, in as few bytes as are needed.
pub fn header(first: u8, length: usize) -> Vec<u8> {
    let mut out = vec![first];
    match length {
        0..=125 => out.push(0x80 | length as u8),
        126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    out
}

/// A masked text frame.
pub fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// A masked close frame.
pub fn close(payload: &[u8]) -> Vec<u8> {
    frame(0x88, payload)
}
