//! Frames from the server (docs/protocol.md, section 4): only what a load client looks at is read, the rest is
//! skipped.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::Error;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerMessage<'a> {
    /// The first one.
    Welcome {
        /// The server's name.
        node: Cow<'a, str>,
    },
    /// The client is in its room.
    Joined {
        /// What it missed, or what was said last.
        history: Vec<Said<'a>>,
        /// Whether it has all that it asked for.
        is_complete: bool,
    },
    /// Somebody said something.
    Message(Said<'a>),
    /// The server has the message of this id.
    Ack {
        /// The id.
        id: Cow<'a, str>,
    },
    /// Something was refused.
    Error {
        /// Why.
        code: Cow<'a, str>,
        /// The message's id; empty where it is about something else.
        id: Cow<'a, str>,
    },
    /// Go to another server.
    Move {
        /// Within this time.
        within_ms: u64,
    },
    /// Another server has taken over the connection; its welcome follows.
    Resume,
    /// Something that does not matter here: who comes and goes, who types.
    Other,
}

/// A message in a room.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Said<'a> {
    /// What was said.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// Who counted it.
    #[serde(borrow)]
    pub stream: Cow<'a, str>,
    /// Its number there.
    pub seq: u64,
}

/// Every field of every frame: a tagged enum would cost a buffered copy of each frame.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    node: Cow<'a, str>,
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    history: Vec<Said<'a>>,
    complete: bool,
    within_ms: u64,
}

impl<'a> ServerMessage<'a> {
    /// Reads a frame's text. An error means that it is not what the protocol promises.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let fields: Fields<'a> = serde_json::from_str(text)?;
        let Fields { text, stream, seq, id, node, code, history, complete, within_ms, .. } = fields;
        Ok(match &*fields.kind {
            "message" => Self::Message(Said { text, stream, seq }),
            "ack" => Self::Ack { id },
            "welcome" => Self::Welcome { node },
            "joined" => Self::Joined { history, is_complete: complete },
            "error" => Self::Error { code, id },
            "move" => Self::Move { within_ms },
            "resume" => Self::Resume,
            "" => return Err(Error::missing_field("type")),
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_examples() {
        let docs: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/protocol.json")).unwrap();
        let said = || Said { text: "hi".into(), stream: "1933d8a0c8c00001.0".into(), seq: 18 };
        let error =
            |code: &'static str, id: &'static str| ServerMessage::Error { code: code.into(), id: id.into() };
        let examples = docs["server"].as_object().unwrap();
        for (name, example) in examples {
            let text = example.to_string();
            let expected = match name.as_str() {
                "welcome" => ServerMessage::Welcome { node: "app-1".into() },
                "joined" => ServerMessage::Joined { history: vec![said()], is_complete: true },
                "joined, a large room" => ServerMessage::Joined { history: vec![], is_complete: false },
                "message" => ServerMessage::Message(said()),
                "ack" => ServerMessage::Ack { id: "b1946ac9-1".into() },
                "error" => error("text_too_long", "b1946ac9-1"),
                "error without a room" => error("not_json", ""),
                "move" => ServerMessage::Move { within_ms: 5000 },
                "resume" => ServerMessage::Resume,
                _ => ServerMessage::Other,
            };
            assert_eq!(ServerMessage::parse(&text).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn a_message_is_read_without_a_copy() {
        let text = r#"{"type":"message","room":"r","text":"hi","stream":"s","seq":1,"more":[{}]}"#;
        let ServerMessage::Message(said) = ServerMessage::parse(text).unwrap() else { panic!("a message") };
        assert!(matches!((said.text, said.stream), (Cow::Borrowed("hi"), Cow::Borrowed("s"))));
        let escaped = ServerMessage::parse(r#"{"type":"message","text":"a\nb"}"#).unwrap();
        assert!(matches!(escaped, ServerMessage::Message(Said { text, .. }) if text == "a\nb"));
    }

    #[test]
    fn nonsense_is_an_error() {
        for wrong in ["", "[]", "{", "{}", r#"{"type":7}"#, r#"{"type":"message","seq":-1}"#] {
            assert!(ServerMessage::parse(wrong).is_err(), "{wrong}");
        }
    }
}
