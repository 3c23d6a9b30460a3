//! A chat client on tungstenite, which shares no frame codec with the server.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Response;
use tungstenite::{Message, WebSocket};

use super::PATIENCE;

/// Frames that were read while others were looked for wait in `inbox`, so that nothing is overlooked.
pub struct Client {
    socket: WebSocket<TcpStream>,
    inbox: VecDeque<Value>,
    /// The first frame.
    pub welcome: Value,
    /// Pings of the server that were answered.
    pub pings: usize,
    /// The code of the server's close frame: 1005 for none in it.
    pub closed: Option<u16>,
}

impl Client {
    /// Opens a WebSocket at `/ws` and takes the welcome.
    pub fn connect(server: SocketAddr) -> Self {
        Self::open(&format!("ws://{server}/ws"))
    }

    /// Opens the WebSocket at a URL whose host is an address, and takes the welcome.
    pub fn open(url: &str) -> Self {
        let address = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        Self::over(TcpStream::connect(address).unwrap(), url).0
    }

    /// Speaks over a connection of the caller's making; also tells the handshake's answer.
    pub fn over(stream: TcpStream, request: impl IntoClientRequest) -> (Self, Response) {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let (socket, response) = tungstenite::client(request, stream).unwrap();
        let mut client =
            Self { socket, inbox: VecDeque::new(), welcome: Value::Null, pings: 0, closed: None };
        client.welcome = client.read("the welcome");
        assert_eq!(client.welcome["type"], "welcome", "the first frame: {}", client.welcome);
        (client, response)
    }

    /// Sends a frame and waits for nothing.
    pub fn ask(&mut self, frame: &Value) {
        self.ask_text(&frame.to_string());
    }

    /// Sends a text, JSON or not.
    pub fn ask_text(&mut self, text: &str) {
        self.ask_raw(Message::text(text));
    }

    /// Sends any message.
    pub fn ask_raw(&mut self, message: Message) {
        self.socket.send(message).unwrap();
    }

    /// Comes into a room, as the one client of that name; returns `joined`.
    pub fn join(&mut self, room: &str, user: &str) -> Value {
        self.join_as(room, user, &nonce(user))
    }

    /// Comes into a room under a nonce of its own; returns `joined`.
    pub fn join_as(&mut self, room: &str, user: &str, nonce: &str) -> Value {
        self.ask(&json!({"type": "join", "room": room, "user": user, "client": nonce}));
        self.expect_in(room, "joined")
    }

    /// Comes back into a room, after the last number seen of each stream; returns `joined`.
    pub fn resume(&mut self, room: &str, user: &str, since: &[(&str, u64)]) -> Value {
        let since: serde_json::Map<_, _> =
            since.iter().map(|&(stream, seq)| (stream.into(), json!(seq))).collect();
        self.ask(&json!({"type": "join", "room": room, "user": user, "client": nonce(user), "since": since}));
        self.expect_in(room, "joined")
    }

    /// Says something and waits for nothing.
    pub fn send(&mut self, room: &str, id: &str, text: &str) {
        self.ask(&json!({"type": "send", "room": room, "id": id, "text": text}));
    }

    /// Says something; returns the `ack`.
    pub fn say(&mut self, room: &str, id: &str, text: &str) -> Value {
        self.send(room, id, text);
        self.expect_where("ack", |frame| frame["type"] == "ack" && frame["id"] == id)
    }

    /// Sends what is wrong; returns the code of the `error`.
    pub fn error_of(&mut self, text: &str) -> String {
        self.ask_text(text);
        self.expect("error")["code"].as_str().unwrap().to_owned()
    }

    /// The next frame of that type. Those of other types stay to be asked for.
    #[track_caller]
    pub fn expect(&mut self, kind: &str) -> Value {
        self.expect_where(kind, |frame| frame["type"] == kind)
    }

    /// The next frame of that type about that room.
    #[track_caller]
    pub fn expect_in(&mut self, room: &str, kind: &str) -> Value {
        self.expect_where(kind, |frame| frame["type"] == kind && frame["room"] == room)
    }

    /// The next frame that is wanted. Others stay to be asked for.
    #[track_caller]
    pub fn expect_where(&mut self, what: &str, mut is_wanted: impl FnMut(&Value) -> bool) -> Value {
        if let Some(at) = self.inbox.iter().position(&mut is_wanted) {
            return self.inbox.remove(at).unwrap();
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let frame = self.read_until(what, end);
            if is_wanted(&frame) {
                return frame;
            }
            self.inbox.push_back(frame);
        }
    }

    /// The `message` frames of a room, in their order, up to and with the one with that id.
    #[track_caller]
    pub fn messages_until(&mut self, room: &str, id: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.expect_in(room, "message");
            messages.push(message);
            if messages.last().unwrap()["id"] == id {
                return messages;
            }
        }
    }

    /// The frames of that type that were read and not asked for.
    pub fn take_all(&mut self, kind: &str) -> Vec<Value> {
        let (taken, left) = self.inbox.drain(..).partition(|frame| frame["type"] == kind);
        self.inbox = left;
        VecDeque::into(taken)
    }

    /// Waits until the members were told that so many users are in the room.
    #[track_caller]
    pub fn expect_users(&mut self, room: &str, users: u64) {
        self.expect_where(&format!("{users} users in {room}"), |frame| {
            frame["type"] == "presence" && frame["room"] == room && frame["users"] == users
        });
    }

    /// Reads until the server's close frame and returns its code. What else comes stays to be asked for.
    #[track_caller]
    pub fn close_code(&mut self) -> u16 {
        let end = Instant::now() + PATIENCE;
        while self.closed.is_none() {
            match self.read_message("a close frame", end) {
                Some(frame) => self.inbox.push_back(frame),
                None => break,
            }
        }
        self.closed.expect("the connection ended without a close frame")
    }

    /// Whether a frame of that type has come by now.
    pub fn has_got(&mut self, kind: &str) -> bool {
        while let Some(frame) = self.try_read(Instant::now()) {
            self.inbox.push_back(frame);
        }
        self.inbox.iter().any(|frame| frame["type"] == kind)
    }

    /// Closes and waits for the server's answer.
    pub fn close(mut self) {
        self.socket.close(None).unwrap();
        self.close_code();
    }

    /// Reads pings and frames until the server has pinged so often.
    pub fn answer_pings(&mut self, count: usize) {
        let end = Instant::now() + PATIENCE;
        while self.pings < count {
            let wait = Instant::now() + Duration::from_millis(50);
            if let Some(frame) = self.try_read(wait) {
                self.inbox.push_back(frame);
            }
            assert!(self.closed.is_none(), "closed with {:?}", self.closed);
            assert!(Instant::now() < end, "the server pinged {} times of {count}", self.pings);
        }
    }

    #[track_caller]
    fn read(&mut self, what: &str) -> Value {
        self.read_until(what, Instant::now() + PATIENCE)
    }

    #[track_caller]
    fn read_until(&mut self, what: &str, end: Instant) -> Value {
        match self.read_message(what, end) {
            Some(frame) => frame,
            None => panic!("closed with {:?} while waiting for {what}", self.closed),
        }
    }

    /// `None`: the WebSocket has ended.
    #[track_caller]
    fn read_message(&mut self, what: &str, end: Instant) -> Option<Value> {
        loop {
            if let Some(frame) = self.try_read(end) {
                return Some(frame);
            }
            if self.closed.is_some() {
                return None;
            }
            assert!(Instant::now() < end, "{what} did not come; what came: {:?}", self.inbox);
        }
    }

    /// One frame, or nothing by `end`, or nothing because something else came.
    fn try_read(&mut self, end: Instant) -> Option<Value> {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.socket.get_ref().set_read_timeout(Some(left)).unwrap();
        match self.socket.read() {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Ping(_)) => {
                self.pings += 1;
                self.socket.flush().unwrap();
            }
            Ok(Message::Close(frame)) => {
                self.closed = Some(frame.map_or(1005, |frame| frame.code.into()));
                // The answer is written; the peer may be gone already.
                let _ = self.socket.flush();
            }
            Ok(other) => panic!("the server sent {other:?}"),
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(error) => panic!("the WebSocket broke: {error}"),
        }
        None
    }
}

/// What all clients of a name say that they are, so that a retry is one at any server.
fn nonce(user: &str) -> String {
    let hex: String = user.bytes().take(32).map(|byte| format!("{byte:02x}")).collect();
    format!("{hex:-<16}")
}
