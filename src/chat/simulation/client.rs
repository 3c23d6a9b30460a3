//! A client as docs/protocol.md wants it: it remembers how far it has seen each stream, repeats what was not
//! acknowledged under the same id, and comes back elsewhere. It checks what must hold for everything that it is sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What happened to a client because of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Joined {
        is_complete: bool,
    },
    Saw(String),
    /// A message, and the stream and number that it was given.
    Acked {
        message: String,
        place: (String, u64),
    },
    /// A hole, marked or not: of messages that the client must have seen under another number, or that are lost.
    Hole {
        stream: String,
        first: u64,
        last: u64,
        is_marked: bool,
    },
}

#[derive(Debug)]
pub struct Client {
    pub id: u64,
    pub room: usize,
    /// Where it is; `None` while it is on its way.
    pub server: Option<usize>,
    pub has_entered: bool,
    pub was_in_before: bool,
    pub positions: BTreeMap<String, u64>,
    pub seen: BTreeSet<String>,
    /// Messages that were not acknowledged, in their order.
    pub unacked: Vec<String>,
    pub users: u64,
    pub roster: BTreeSet<String>,
}

impl Client {
    pub fn new(id: u64, room: usize, server: usize) -> Self {
        Self {
            id,
            room,
            server: Some(server),
            has_entered: false,
            was_in_before: false,
            positions: BTreeMap::new(),
            seen: BTreeSet::new(),
            unacked: Vec::new(),
            users: 0,
            roster: BTreeSet::new(),
        }
    }

    /// Takes whole frames.
    pub fn receive(&mut self, mut frames: &[u8]) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some((frame, rest)) = next_frame(frames) {
            frames = rest;
            self.take(&serde_json::from_slice(frame).expect("frames are JSON"), &mut told);
        }
        told
    }

    fn take(&mut self, frame: &Value, told: &mut Vec<Told>) {
        match frame["type"].as_str().unwrap() {
            "message" => self.see(frame, true, told),
            "joined" => {
                self.users = frame["users"].as_u64().unwrap();
                self.roster = names(&frame["roster"]).collect();
                // The history of a first visit begins somewhere; that of a return goes on where it ended.
                let history = frame["history"].as_array().unwrap();
                let is_complete = frame["complete"].as_bool().unwrap();
                let goes_on = self.was_in_before && is_complete;
                history.iter().for_each(|message| self.see(message, goes_on, told));
                for (stream, last) in frame["streams"].as_object().unwrap() {
                    let position = self.positions.entry(stream.clone()).or_default();
                    *position = (*position).max(last.as_u64().unwrap());
                }
                self.was_in_before = true;
                told.push(Told::Joined { is_complete });
            }
            "presence" => {
                self.users = frame["users"].as_u64().unwrap();
                self.roster.extend(names(&frame["joined"]));
                self.roster = &self.roster - &names(&frame["left"]).collect();
            }
            "ack" => {
                let message = frame["id"].as_str().unwrap().to_owned();
                self.unacked.retain(|unacked| *unacked != message);
                told.push(Told::Acked { message, place: place(frame) });
            }
            "gap" => {
                let stream = frame["stream"].as_str().unwrap().to_owned();
                let (first, last) = (frame["first"].as_u64().unwrap(), frame["last"].as_u64().unwrap());
                let position = self.positions.entry(stream.clone()).or_default();
                if last > *position {
                    let first = first.max(*position + 1);
                    *position = last;
                    told.push(Told::Hole { stream, first, last, is_marked: true });
                }
            }
            "degraded" => {}
            other => panic!("unexpected {other}: {frame}"),
        }
    }

    fn see(&mut self, message: &Value, goes_on: bool, told: &mut Vec<Told>) {
        let (stream, seq) = place(message);
        let position = self.positions.entry(stream.clone()).or_default();
        if seq <= *position {
            return;
        }
        if goes_on && seq > *position + 1 {
            let (first, last) = (*position + 1, seq - 1);
            told.push(Told::Hole { stream, first, last, is_marked: false });
        }
        *position = seq;
        // The text is the id: also of a message whose id was made unknown.
        let id = message["text"].as_str().unwrap().to_owned();
        assert!(self.seen.insert(id.clone()), "client {} saw {id} twice: {message}", self.id);
        told.push(Told::Saw(id));
    }
}

fn place(frame: &Value) -> (String, u64) {
    (frame["stream"].as_str().unwrap().to_owned(), frame["seq"].as_u64().unwrap())
}

fn names(list: &Value) -> impl Iterator<Item = String> {
    list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned())
}

/// The payload of the first frame of a server, and what follows it.
fn next_frame(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let (start, length) = match *frames.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
        127 => (10, u64::from_be_bytes(frames[2..10].try_into().unwrap()) as usize),
        short => (2, usize::from(short)),
    };
    Some(frames[start..].split_at(length))
}
