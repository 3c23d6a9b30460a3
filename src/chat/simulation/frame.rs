//! What a server sends to clients, read once for all who get it.

use serde::Deserialize;

use crate::wire::StreamId;

/// A number in a stream.
pub type Place = (StreamId, u64);

/// A message as a client sees it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub text: u64,
    pub place: Place,
    pub time: u64,
}

#[derive(Debug)]
pub enum Frame {
    Joined { users: u64, roster: Vec<String>, history: Vec<Shown>, is_complete: bool, streams: Vec<Place> },
    Message(Shown),
    Ack { id: String, place: Place },
    Gap { stream: StreamId, first: u64, last: u64 },
    Presence { users: u64, joined: Vec<String>, left: Vec<String> },
    Error(String),
    Other,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw<'a> {
    r#type: &'a str,
    id: Option<String>,
    text: Option<String>,
    time: u64,
    stream: Option<&'a str>,
    seq: u64,
    first: u64,
    last: u64,
    users: u64,
    roster: Vec<String>,
    joined: Vec<String>,
    left: Vec<String>,
    #[serde(borrow)]
    history: Vec<Raw<'a>>,
    complete: bool,
    streams: std::collections::BTreeMap<&'a str, u64>,
    code: &'a str,
    message: Option<String>,
}

impl Raw<'_> {
    fn place(&self) -> Place {
        (stream(self.stream.expect("a place has a stream")), self.seq)
    }

    fn shown(&self) -> Shown {
        let text = self.text.as_deref().expect("a message has a text");
        Shown { text: number(text), place: self.place(), time: self.time }
    }

    fn frame(self) -> Frame {
        match self.r#type {
            "joined" => Frame::Joined {
                users: self.users,
                roster: self.roster,
                history: self.history.iter().map(Raw::shown).collect(),
                is_complete: self.complete,
                streams: self.streams.iter().map(|(id, last)| (stream(id), *last)).collect(),
            },
            "message" => Frame::Message(self.shown()),
            "ack" => Frame::Ack { place: self.place(), id: self.id.unwrap_or_default() },
            "gap" => Frame::Gap { stream: self.place().0, first: self.first, last: self.last },
            "presence" => Frame::Presence { users: self.users, joined: self.joined, left: self.left },
            "error" => Frame::Error(format!("{}: {}", self.code, self.message.unwrap_or_default())),
            _ => Frame::Other,
        }
    }
}

fn stream(text: &str) -> StreamId {
    text.parse().expect("servers spell streams well")
}

/// Texts begin with a number that no other text has.
pub fn number(text: &str) -> u64 {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().expect("texts are numbered")
}

/// Whole frames.
pub fn parse(mut frames: &[u8]) -> Vec<Frame> {
    let mut parsed = Vec::new();
    while let Some((frame, rest)) = next_frame(frames) {
        frames = rest;
        let raw: Raw<'_> = serde_json::from_slice(frame).expect("frames are JSON");
        parsed.push(raw.frame());
    }
    parsed
}

/// The payload of the first frame of a server, and what follows it.
fn next_frame(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let (start, length) = match *frames.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
        127 => (10, u64::from_be_bytes(frames[2..10].try_into().expect("8 bytes")) as usize),
        short => (2, usize::from(short)),
    };
    Some(frames[start..].split_at(length))
}
