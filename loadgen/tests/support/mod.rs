//! Tiny servers for tests: they keep to docs/protocol.md as far as a load client notices, but for one planned event.

use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role};
use tungstenite::{Message, WebSocket};

/// What a server does, rightly or wrongly, with the third message of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// Nothing.
    None,
    /// It is not sent to one member.
    Lose,
    /// It is sent to one member twice.
    Double,
    /// It is held back until the next one was sent.
    Swap,
    /// Nobody is told of it, not even its sender.
    Ignore,
    /// The sender is thrown out instead of getting its acknowledgement; it has to come back and ask again.
    Close,
    /// The sender is asked to move instead of getting its acknowledgement. Where it goes, it is told again what it
    /// heard last.
    Move,
    /// Another server takes the sender's connection over, and knows nothing of it.
    TakeOver,
}

/// Runs until the test's process ends.
pub struct Server {
    /// Its URL.
    pub url: String,
    /// Its name.
    pub node: &'static str,
}

type Writer = Arc<Mutex<WebSocket<TcpStream>>>;

#[derive(Default)]
struct Room {
    members: Vec<(String, Writer)>,
    said: Vec<Value>,
    /// By user.
    nonces: HashMap<String, String>,
    /// Of the message that waits for the next one.
    held_back: Option<Value>,
}

struct Shared {
    slip: Slip,
    rooms: Mutex<HashMap<String, Room>>,
}

impl Server {
    /// Listens at a port of its own.
    pub fn start(slip: Slip) -> Self {
        Self::listen("app-1", Arc::new(Shared { slip, rooms: Mutex::default() }))
    }

    /// Two with the same rooms.
    pub fn start_two(slip: Slip) -> [Self; 2] {
        let shared = Arc::new(Shared { slip, rooms: Mutex::default() });
        ["app-1", "app-2"].map(|node| Self::listen(node, Arc::clone(&shared)))
    }

    fn listen(node: &'static str, shared: Arc<Shared>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), node, &shared));
            }
        });
        Self { url, node }
    }
}

/// A server that knows nothing of rooms, and sends back what it gets; its URL.
pub fn start_echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                // It is asked for what it counts, too.
                let Ok(mut socket) = tungstenite::accept(stream.unwrap()) else { return };
                while let Ok(message) = socket.read() {
                    if message.is_text() && socket.send(message).is_err() {
                        break;
                    }
                }
            });
        }
    });
    url
}

fn welcome(node: &str) -> Value {
    json!({"type": "welcome", "node": node, "session": "s", "limits": {}})
}

/// What the server counts, on one page that never changes.
const METRICS: &str = "distr_websockets 3\ndistr_deliveries_total 60\nprocess_resident_memory_bytes 3000\n";

fn serve(mut stream: TcpStream, node: &str, shared: &Shared) {
    let mut head = [0; 12];
    if stream.peek(&mut head).is_ok() && head == *b"GET /metrics" {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{METRICS}", METRICS.len());
        let _ = stream.write_all(answer.as_bytes());
        return;
    }
    let writer = WebSocket::from_raw_socket(stream.try_clone().unwrap(), Role::Server, None);
    let writer = Arc::new(Mutex::new(writer));
    let mut reader = tungstenite::accept(stream).unwrap();
    send(&writer, &welcome(node));
    let mut user = String::new();
    while let Ok(message) = reader.read() {
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        let name = frame["room"].as_str().unwrap();
        let mut rooms = shared.rooms.lock().unwrap();
        let room = rooms.entry(name.to_owned()).or_default();
        match frame["type"].as_str().unwrap() {
            "join" => {
                user = frame["user"].as_str().unwrap().to_owned();
                room.know(&user, frame["client"].as_str().unwrap());
                room.join(shared.slip, &user, &writer, &frame);
            }
            "send" => room.send(shared.slip, &user, &writer, &frame),
            other => panic!("{other} is not expected"),
        }
    }
    shared.rooms.lock().unwrap().values_mut().for_each(|room| room.remove(&writer));
}

impl Room {
    /// A client is the same at each of its joins, and no other is.
    fn know(&mut self, user: &str, nonce: &str) {
        assert!((16..=64).contains(&nonce.len()), "{nonce}");
        let known = self.nonces.entry(user.to_owned()).or_insert_with(|| nonce.to_owned());
        assert_eq!(known, nonce, "{user} comes back");
        assert_eq!(self.nonces.values().filter(|known| **known == nonce).count(), 1, "{user}'s own");
    }

    fn join(&mut self, slip: Slip, user: &str, writer: &Writer, frame: &Value) {
        let seen = frame["since"]["s.0"].as_u64().unwrap_or(0);
        let first = if slip == Slip::Move { seen } else { seen + 1 };
        let history: Vec<_> =
            self.said.iter().filter(|said| said["seq"].as_u64().unwrap() >= first).collect();
        let joined = json!({"type": "joined", "users": 1, "history": history, "complete": true});
        send(writer, &joined);
        self.members.push((user.to_owned(), Arc::clone(writer)));
    }

    fn send(&mut self, slip: Slip, user: &str, writer: &Writer, frame: &Value) {
        let id = &frame["id"];
        let known = self.said.iter().find(|said| said["id"] == *id && said["from"] == *user);
        let is_new = known.is_none();
        let message = known.cloned().unwrap_or_else(|| {
            json!({
                "type": "message", "room": frame["room"], "from": user, "text": frame["text"], "time": 0,
                "stream": "s.0", "seq": self.said.len() + 1, "id": id
            })
        });
        let ack = json!({
            "type": "ack", "room": frame["room"], "id": id, "stream": "s.0", "seq": message["seq"], "time": 0
        });
        if !is_new {
            return send(writer, &ack);
        }
        self.said.push(message.clone());
        let slip = if self.said.len() == 3 { slip } else { Slip::None };
        match slip {
            Slip::Ignore => return,
            Slip::Close => {
                let frame = CloseFrame { code: CloseCode::Away, reason: "".into() };
                let _ = writer.lock().unwrap().close(Some(frame));
                self.remove(writer);
            }
            Slip::Move => send(writer, &json!({"type": "move", "within_ms": 100})),
            Slip::TakeOver => {
                self.remove(writer);
                send(writer, &json!({"type": "resume"}));
                send(writer, &json!({"type": "error", "code": "not_joined", "message": "", "id": id}));
                send(writer, &welcome("app-2"));
            }
            Slip::None | Slip::Lose | Slip::Double | Slip::Swap => send(writer, &ack),
        }
        if slip == Slip::Swap {
            self.held_back = Some(message);
            return;
        }
        for (index, (_, member)) in self.members.iter().enumerate() {
            let copies = match slip {
                Slip::Lose if index == 1 => 0,
                Slip::Double if index == 1 => 2,
                _ => 1,
            };
            (0..copies).for_each(|_| send(member, &message));
            if let Some(message) = &self.held_back {
                send(member, message);
            }
        }
        self.held_back = None;
    }

    fn remove(&mut self, writer: &Writer) {
        self.members.retain(|(_, other)| !Arc::ptr_eq(other, writer));
    }
}

/// A member that has just gone hears nothing.
fn send(writer: &Writer, frame: &Value) {
    let _ = writer.lock().unwrap().send(Message::Text(frame.to_string().into()));
}
