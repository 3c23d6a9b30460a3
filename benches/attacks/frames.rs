//! The frames of clients, and reading those of servers as far as a verdict needs.

use std::collections::BTreeMap;

/// A request that becomes a WebSocket.
pub const UPGRADE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: attack\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// Of a frame no more than this is looked at.
const LOOK_BYTES: usize = 256;
const HEAD_BYTES_MAX: usize = 4096;
const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// What servers said, by kind.
pub type Seen = BTreeMap<String, u64>;

/// A frame with a mask of zeros, which costs the attacker nothing.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A text message in one frame.
pub fn text(text: &str) -> Vec<u8> {
    masked(FIN | TEXT, text.as_bytes())
}

/// A message in fragments of one byte each.
pub fn in_single_bytes(text: &str) -> Vec<u8> {
    let last = text.len() - 1;
    let first = |index: usize| (if index == 0 { TEXT } else { 0 }) | (if index == last { FIN } else { 0 });
    text.bytes().enumerate().flat_map(|(index, byte)| masked(first(index), &[byte])).collect()
}

pub fn join(room: &str, user: &str) -> Vec<u8> {
    text(&format!(r#"{{"type":"join","room":"{room}","user":"{user}"}}"#))
}

/// `escaped` stands in JSON as it is.
pub fn send(room: &str, id: u64, escaped: &str) -> Vec<u8> {
    text(&format!(r#"{{"type":"send","room":"{room}","id":"{id}","text":"{escaped}"}}"#))
}

/// What one connection hears: an HTTP head, then frames.
#[derive(Default)]
pub struct Inbound {
    is_upgraded: bool,
    held: Vec<u8>,
    /// Payload that is passed over.
    skip: u64,
}

impl Inbound {
    /// Counts what these bytes say, and hands text frames to `hear`, each up to [`LOOK_BYTES`].
    pub fn handle(&mut self, mut bytes: &[u8], seen: &mut Seen, hear: &mut dyn FnMut(&[u8])) {
        loop {
            let skipped = self.skip.min(bytes.len() as u64);
            self.skip -= skipped;
            bytes = &bytes[skipped as usize..];
            if bytes.is_empty() {
                return;
            }
            // As much as one look takes, so that large answers are not copied.
            let missing = HEAD_BYTES_MAX.saturating_sub(self.held.len()).min(bytes.len());
            self.held.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            while self.take_one(seen, hear) {}
            if missing == 0 {
                // Neither a head nor a frame: nothing of ours.
                *seen.entry("unreadable".into()).or_default() += 1;
                self.held.clear();
            }
        }
    }

    fn take_one(&mut self, seen: &mut Seen, hear: &mut dyn FnMut(&[u8])) -> bool {
        if self.is_upgraded { self.take_frame(seen, hear) } else { self.take_head(seen) }
    }

    fn take_head(&mut self, seen: &mut Seen) -> bool {
        let Some(end) = self.held.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
        let head = String::from_utf8_lossy(&self.held[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap_or("?").to_owned();
        self.is_upgraded = status == "101";
        self.held.drain(..end + 4);
        if !self.is_upgraded {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            self.pass_over(length.unwrap_or(0));
        }
        *seen.entry(format!("HTTP {status}")).or_default() += 1;
        true
    }

    fn take_frame(&mut self, seen: &mut Seen, hear: &mut dyn FnMut(&[u8])) -> bool {
        let Some((first, header, length)) = header(&self.held) else { return false };
        let looked = length.min(LOOK_BYTES as u64) as usize;
        if self.held.len() < header + looked {
            return false;
        }
        let payload = &self.held[header..header + looked];
        match first & 0x0f {
            CLOSE => {
                let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                *seen.entry(format!("close {code}")).or_default() += 1;
            }
            TEXT => {
                if let Some(kind) = kind(payload) {
                    *seen.entry(kind).or_default() += 1;
                }
                hear(payload);
            }
            _ => {}
        }
        self.held.drain(..header);
        self.pass_over(length);
        true
    }

    fn pass_over(&mut self, length: u64) {
        let held = length.min(self.held.len() as u64);
        self.held.drain(..held as usize);
        self.skip = length - held;
    }
}

/// The first byte, the header's length and the payload's.
fn header(bytes: &[u8]) -> Option<(u8, usize, u64)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    Some(match second & 0x7f {
        126 => (first, 4, u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?).into()),
        127 => (first, 10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        short => (first, 2, short.into()),
    })
}

/// `type` of a frame, with the code of an error.
fn kind(payload: &[u8]) -> Option<String> {
    let kind = value(payload, "type")?;
    match kind {
        "error" => Some(format!("error {}", value(payload, "code")?)),
        _ => Some(kind.to_owned()),
    }
}

/// The first string of that name; our servers escape none of those that are looked for.
pub fn value<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    let mark = format!("\"{name}\":\"");
    let from = json.windows(mark.len()).position(|window| window == mark.as_bytes())? + mark.len();
    let length = json[from..].iter().position(|byte| *byte == b'"')?;
    str::from_utf8(&json[from..from + length]).ok()
}
