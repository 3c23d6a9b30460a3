//! Frames to clients (docs/protocol.md, section 4).

use serde::{Serialize, Serializer};

use super::frame;
use super::limits::Limits;
use super::stream::StreamId;

/// What an acknowledgement takes with names of common lengths: most frames to one client are no longer.
const ACK_BYTES: usize = 256;

/// One frame to a client. Borrows: it is encoded once, at once.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[allow(missing_docs, reason = "the tables in docs/protocol.md say what each field means")]
pub enum ServerMessage<'a> {
    Welcome {
        node: &'a str,
        session: &'a str,
        limits: &'a Limits,
    },
    Joined {
        room: &'a str,
        client: &'a str,
        users: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        roster: Option<&'a [&'a str]>,
        complete: bool,
        streams: Streams<'a>,
        /// The last: [`super::joined`] puts it in its place.
        history: &'a [ServerMessage<'a>],
    },
    Message {
        room: &'a str,
        from: &'a str,
        text: &'a str,
        time: u64,
        stream: StreamId,
        seq: u64,
        id: &'a str,
    },
    Ack {
        room: &'a str,
        id: &'a str,
        stream: StreamId,
        seq: u64,
        time: u64,
    },
    Presence {
        room: &'a str,
        users: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        joined: Option<&'a [&'a str]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        left: Option<&'a [&'a str]>,
    },
    Typing {
        room: &'a str,
        user: &'a str,
    },
    Left {
        room: &'a str,
    },
    Gap {
        room: &'a str,
        stream: StreamId,
        first: u64,
        last: u64,
    },
    Degraded {
        degraded: bool,
    },
    Pong,
    Error {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    Move {
        within_ms: u64,
    },
    Resume,
}

/// Streams with the last sequence number of each; an object in JSON.
#[derive(Clone, Copy, Debug)]
pub struct Streams<'a>(pub &'a [(StreamId, u64)]);

impl Serialize for Streams<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(stream, seq)| (stream, seq)))
    }
}

impl ServerMessage<'_> {
    /// Appends the message as one whole text frame; `scratch` is overwritten.
    pub fn encode(&self, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        scratch.clear();
        self.encode_json(scratch);
        frame::encode_text(scratch, out);
    }

    /// Appends the message without a frame around it.
    pub fn encode_json(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("plain data into a Vec cannot fail");
    }

    /// The message as one whole text frame of its own.
    pub fn to_frame(&self) -> bytes::Bytes {
        let mut out = Vec::new();
        self.encode(&mut Vec::with_capacity(ACK_BYTES), &mut out);
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(name: &str) -> serde_json::Value {
        let docs: serde_json::Value = serde_json::from_str(include_str!("../../docs/protocol.json")).unwrap();
        let value = docs["server"][name].clone();
        assert!(!value.is_null(), "docs/protocol.json has no example {name}");
        value
    }

    #[test]
    fn golden_examples() {
        let stream = StreamId { origin: 0x1933_d8a0_c8c0_0001, generation: 0 };
        let limits = Limits::default();
        let message = ServerMessage::Message {
            room: "lobby",
            from: "bob",
            text: "hi",
            time: 1_700_000_000_000,
            stream,
            seq: 18,
            id: "b1946ac9-1",
        };
        let welcome =
            ServerMessage::Welcome { node: "app-1", session: "1933d8a0c8c00001-0-2a", limits: &limits };
        let examples = [
            ("welcome", welcome),
            (
                "joined",
                ServerMessage::Joined {
                    room: "lobby",
                    client: "5f2c9a417be0d83651c4f7a2093be86d",
                    users: 2,
                    roster: Some(&["ann", "bob"]),
                    history: std::slice::from_ref(&message),
                    complete: true,
                    streams: Streams(&[(stream, 18)]),
                },
            ),
            (
                "joined, a large room",
                ServerMessage::Joined {
                    room: "stadium",
                    client: "5f2c9a417be0d83651c4f7a2093be86d",
                    users: 5000,
                    roster: None,
                    history: &[],
                    complete: false,
                    streams: Streams(&[]),
                },
            ),
            ("message", message.clone()),
            (
                "ack",
                ServerMessage::Ack {
                    room: "lobby",
                    id: "b1946ac9-1",
                    stream,
                    seq: 18,
                    time: 1_700_000_000_000,
                },
            ),
            (
                "presence",
                ServerMessage::Presence { room: "lobby", users: 3, joined: Some(&["cat"]), left: Some(&[]) },
            ),
            (
                "presence, a large room",
                ServerMessage::Presence { room: "stadium", users: 5001, joined: None, left: None },
            ),
            ("typing", ServerMessage::Typing { room: "lobby", user: "bob" }),
            ("left", ServerMessage::Left { room: "lobby" }),
            ("gap", ServerMessage::Gap { room: "lobby", stream, first: 19, last: 20 }),
            ("degraded", ServerMessage::Degraded { degraded: true }),
            ("pong", ServerMessage::Pong),
            (
                "error",
                ServerMessage::Error {
                    code: "text_too_long",
                    message: "text is 5000 bytes; at most 4096 are allowed",
                    room: Some("lobby"),
                    id: Some("b1946ac9-1"),
                },
            ),
            (
                "error without a room",
                ServerMessage::Error {
                    code: "not_json",
                    message: "the frame is not a JSON object",
                    room: None,
                    id: None,
                },
            ),
            ("move", ServerMessage::Move { within_ms: 5000 }),
            ("resume", ServerMessage::Resume),
        ];
        let docs: serde_json::Value = serde_json::from_str(include_str!("../../docs/protocol.json")).unwrap();
        assert_eq!(docs["server"].as_object().unwrap().len(), examples.len(), "each example is tested");
        for (name, message) in examples {
            assert_eq!(serde_json::to_value(&message).unwrap(), example(name), "{name}");
        }
        assert_eq!(docs["limits"], serde_json::to_value(limits).unwrap());
    }

    #[test]
    fn a_frame_has_a_minimal_header_and_no_mask() {
        assert_eq!(&ServerMessage::Pong.to_frame()[..], b"\x81\x0f{\"type\":\"pong\"}");
    }
}
