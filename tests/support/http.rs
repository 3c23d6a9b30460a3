//! Plain HTTP, and what the nodes tell of themselves by it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Reads one answer whose length is told.
    pub fn read(stream: &mut impl Read) -> Self {
        let head = read_head(stream);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Self { status, head, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Reads up to the empty line, and no further.
pub fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let count = stream.read(&mut byte).unwrap();
        assert_eq!(count, 1, "the answer ends in its head: {:?}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// `GET`, with a `Host` of the address.
pub fn http_get(server: SocketAddr, path: &str) -> Answer {
    http_get_as(server, path, &server.to_string())
}

/// `GET` with this `Host`.
pub fn http_get_as(server: SocketAddr, path: &str, host: &str) -> Answer {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    Answer::read(&mut stream)
}

/// `GET /status` as JSON.
pub fn status(server: SocketAddr) -> Value {
    let answer = http_get(server, "/status");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The room of that name in a server's status, or null.
pub fn room(server: SocketAddr, name: &str) -> Value {
    let status = status(server);
    let rooms = status["rooms"].as_array().unwrap();
    rooms.iter().find(|room| room["room"] == name).cloned().unwrap_or_default()
}

/// A counter or gauge as `/metrics` shows it, name and labels as they stand there; 0 if it does not show it.
pub fn metric(server: SocketAddr, name: &str) -> u64 {
    metric_text(server, name).map_or(0, |value| value.parse().unwrap())
}

/// A counter of seconds; 0 if it is not shown.
pub fn seconds(server: SocketAddr, name: &str) -> f64 {
    metric_text(server, name).map_or(0.0, |value| value.parse().unwrap())
}

fn metric_text(server: SocketAddr, name: &str) -> Option<String> {
    let answer = http_get(server, "/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    let mut lines = answer.body.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
}
