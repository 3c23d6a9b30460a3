//! A server for benchmarks. Everybody is let into a room, and what is said goes to all, several messages in one write;
//! whoever connects to the second port gets the same bytes, without having to say anything.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

const CHATTING: Token = Token(usize::MAX);
const BARE: Token = Token(usize::MAX - 1);
const END: Token = Token(usize::MAX - 2);

/// One byte, told at the second port to each who was accepted.
const WELCOME: &[u8] = b"!";

/// Runs until it is dropped.
pub struct Server {
    /// Where clients chat.
    pub address: SocketAddr,
    /// Where the same bytes are to be had.
    pub bare: SocketAddr,
    /// Messages written, times those who chat.
    pub deliveries: Arc<AtomicU64>,
    end: Arc<Waker>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has failed has ended already.
        let _ = self.end.wake();
    }
}

impl Server {
    /// So many messages go into one write.
    pub fn start(batch: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (mut chatting, mut bare) = (TcpListener::bind(any)?, TcpListener::bind(any)?);
        poll.registry().register(&mut chatting, CHATTING, Interest::READABLE)?;
        poll.registry().register(&mut bare, BARE, Interest::READABLE)?;
        let deliveries = Arc::new(AtomicU64::new(0));
        let server = Self {
            address: chatting.local_addr()?,
            bare: bare.local_addr()?,
            deliveries: Arc::clone(&deliveries),
            end: Arc::new(Waker::new(poll.registry(), END)?),
        };
        // Its last call would not be heard if it were gone by then.
        let _end = Arc::clone(&server.end);
        let hall =
            Hall { chatting, bare, batch, deliveries, clients: Vec::new(), rooms: HashMap::new(), _end };
        thread::Builder::new().name("server".into()).spawn(move || hall.run(poll))?;
        Ok(server)
    }
}

struct Hall {
    chatting: TcpListener,
    bare: TcpListener,
    batch: usize,
    deliveries: Arc<AtomicU64>,
    clients: Vec<Client>,
    rooms: HashMap<String, Room>,
    _end: Arc<Waker>,
}

struct Client {
    stream: TcpStream,
    is_open: bool,
    input: Vec<u8>,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    /// As many as chat in the room, where there is one room only.
    bare: Vec<TcpStream>,
    seq: u64,
    unsent: Vec<u8>,
    unsent_count: usize,
}

impl Hall {
    fn run(mut self, mut poll: Poll) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            poll.poll(&mut events, None)?;
            for event in &events {
                match event.token() {
                    END => return Ok(()),
                    CHATTING => {
                        while let Ok((mut stream, _)) = self.chatting.accept() {
                            stream.set_nodelay(true)?;
                            let token = Token(self.clients.len());
                            poll.registry().register(&mut stream, token, Interest::READABLE)?;
                            self.clients.push(Client { stream, is_open: false, input: Vec::new() });
                        }
                    }
                    BARE => {
                        while let Ok((stream, _)) = self.bare.accept() {
                            stream.set_nodelay(true)?;
                            write(&stream, WELCOME);
                            self.rooms.entry(String::new()).or_default().bare.push(stream);
                        }
                    }
                    Token(client) => self.hear(client)?,
                }
            }
        }
    }

    fn hear(&mut self, client: usize) -> io::Result<()> {
        let one = &mut self.clients[client];
        let mut bytes = [0; 4096];
        loop {
            match one.stream.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(count) => one.input.extend_from_slice(&bytes[..count]),
            }
        }
        if !one.is_open {
            let Some(end) = one.input.windows(4).position(|window| window == b"\r\n\r\n") else {
                return Ok(());
            };
            let head = String::from_utf8_lossy(&one.input[..end]).into_owned();
            one.input.drain(..end + 4);
            let key =
                head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                derive_accept_key(key.as_bytes())
            );
            one.is_open = true;
            write(&one.stream, answer.as_bytes());
            let welcome = json!({"type": "welcome", "node": "bench", "session": "s", "limits": {}});
            write(&one.stream, &frame(&welcome.to_string()));
        }
        while let Some(text) = next_text(&mut self.clients[client].input) {
            self.handle(client, &text)?;
        }
        Ok(())
    }

    fn handle(&mut self, client: usize, text: &str) -> io::Result<()> {
        let said: Value = serde_json::from_str(text)?;
        let name = said["room"].as_str().unwrap_or_default();
        if said["type"] == "join" {
            self.rooms.entry(name.to_owned()).or_default().members.push(client);
            let joined = json!({"type": "joined", "room": name, "users": 1, "history": [], "complete": true});
            write(&self.clients[client].stream, &frame(&joined.to_string()));
            return Ok(());
        }
        let bare = self.rooms.remove("").map(|room| room.bare).unwrap_or_default();
        let Some(room) = self.rooms.get_mut(name) else { return Ok(()) };
        room.bare.extend(bare);
        room.seq += 1;
        let (stream, seq, id) = ("1933d8a0c8c00001.0", room.seq, &said["id"]);
        let ack = json!({"type": "ack", "room": name, "id": id, "stream": stream, "seq": seq, "time": 0});
        write(&self.clients[client].stream, &frame(&ack.to_string()));
        // The fields stand in the order in which Distr Chat writes them.
        let message = format!(
            r#"{{"type":"message","room":"{name}","from":"user-{client}","text":{},"time":1700000000000,"stream":"{stream}","seq":{seq},"id":{id}}}"#,
            said["text"]
        );
        room.unsent.extend(frame(&message));
        room.unsent_count += 1;
        if room.unsent_count == self.batch {
            self.deliveries.fetch_add((self.batch * room.members.len()) as u64, Ordering::Relaxed);
            let members = room.members.iter().map(|member| &self.clients[*member].stream);
            let mut bare = room.bare.iter();
            for stream in members {
                write(stream, &room.unsent);
                bare.next().into_iter().for_each(|stream| write(stream, &room.unsent));
            }
            room.unsent.clear();
            room.unsent_count = 0;
        }
        Ok(())
    }
}

/// Waits for a reader that is behind: nothing may be lost.
fn write(mut stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::park_timeout(Duration::from_micros(100));
            }
            Err(_) => return,
        }
    }
}

fn frame(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = Frame::message(text.to_owned(), OpCode::Data(Data::Text), true);
    frame.format(&mut bytes).expect("a Vec takes everything");
    bytes
}

/// Takes the next text out of what a client sent.
fn next_text(input: &mut Vec<u8>) -> Option<String> {
    let mut cursor = io::Cursor::new(&input[..]);
    let (header, length) = FrameHeader::parse(&mut cursor).ok()??;
    let start = cursor.position() as usize;
    let end = start + length as usize;
    let mut text = input.get(start..end)?.to_vec();
    let mask = header.mask.unwrap_or_default();
    text.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    input.drain(..end);
    match header.opcode {
        OpCode::Data(Data::Text) => String::from_utf8(text).ok(),
        _ => None,
    }
}
