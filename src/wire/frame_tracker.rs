//! Where frames begin and end in a stream that is passed on and not decoded (RFC 6455, section 5.2).
//!
//! A proxy needs no more than that: a connection may change hands between two frames, and between two messages a frame
//! of one's own may be put in. Nothing here is ever wrong: any two bytes begin a frame, whose rules are for its receiver
//! to judge.

use super::frame::HEADER_BYTES_MAX;

const FINAL: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CLOSE: u8 = 0x8;
/// Opcodes from here on are control frames, which may stand between the fragments of a message.
const CONTROL: u8 = 0x8;
const MASKED: u8 = 0x80;

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    first: u8,
    bytes: usize,
    payload: u64,
}

impl Header {
    /// `None`: more of it has to come. At most [`HEADER_BYTES_MAX`] bytes are looked at.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let &[first, second, ..] = bytes else { return None };
        let (length_bytes, payload) = match second & !MASKED {
            126 => (2, u64::from(u16::from_be_bytes(*bytes[2..].first_chunk()?))),
            127 => (8, u64::from_be_bytes(*bytes[2..].first_chunk()?)),
            short => (0, u64::from(short)),
        };
        let mask_bytes = if second & MASKED != 0 { 4 } else { 0 };
        let header = Self { first, bytes: 2 + length_bytes + mask_bytes, payload };
        (bytes.len() >= header.bytes).then_some(header)
    }

    /// The whole frame; no frame is longer than can be counted.
    fn frame_bytes(self) -> u64 {
        self.payload.saturating_add(self.bytes as u64)
    }

    fn is_close(self) -> bool {
        self.first & OPCODE == CLOSE
    }

    /// Whether a message that was, or was not, in fragments before this frame is so after it.
    fn leaves_fragmented(self, is_fragmented: bool) -> bool {
        if self.first & OPCODE >= CONTROL { is_fragmented } else { self.first & FINAL == 0 }
    }
}

/// Follows frames of which any part may be passed on: what a client says.
#[derive(Clone, Debug, Default)]
pub struct FrameTracker {
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: u8,
    payload_left: u64,
    is_fragmented: bool,
    is_closed: bool,
}

impl FrameTracker {
    /// Takes bytes up to the end of the frame that is under way, and says how many these were.
    pub fn advance(&mut self, bytes: &[u8]) -> usize {
        if self.payload_left > 0 {
            let taken = bytes.len().min(usize::try_from(self.payload_left).unwrap_or(usize::MAX));
            self.payload_left -= taken as u64;
            return taken;
        }
        let known = usize::from(self.header_bytes);
        let news = bytes.len().min(HEADER_BYTES_MAX - known);
        self.header[known..known + news].copy_from_slice(&bytes[..news]);
        let Some(header) = Header::parse(&self.header[..known + news]) else {
            self.header_bytes += news as u8;
            return news;
        };
        self.header_bytes = 0;
        self.payload_left = header.payload;
        self.is_fragmented = header.leaves_fragmented(self.is_fragmented);
        self.is_closed |= header.is_close();
        let taken = header.bytes - known;
        taken + if header.payload == 0 { 0 } else { self.advance(&bytes[taken..]) }
    }

    /// Whether no message is under way: what follows is understood without what came before.
    pub fn is_between_messages(&self) -> bool {
        self.header_bytes == 0 && self.payload_left == 0 && !self.is_fragmented
    }

    /// Whether a close frame has begun: nothing that counts follows it.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }
}

/// What a stream goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A whole frame of so many bytes.
    Frame(usize),
    /// So many bytes of a frame that is too large to be held.
    Part(usize),
    /// The beginning of a frame that can be held: the rest has to come.
    Beginning,
}

/// Cuts a stream into whole frames: what a server says.
#[derive(Clone, Debug, Default)]
pub struct FrameSplitter {
    /// Bytes to come of a frame that is too large to be held.
    part_left: u64,
    is_fragmented: bool,
    is_closed: bool,
}

impl FrameSplitter {
    /// Looks at what the bytes, which are not none, begin with. A frame of more than `frame_bytes_max` comes in parts.
    pub fn next(&mut self, bytes: &[u8], frame_bytes_max: usize) -> Piece {
        if self.part_left > 0 {
            return self.part(bytes);
        }
        let Some(header) = Header::parse(bytes) else { return Piece::Beginning };
        let is_large = header.frame_bytes() > frame_bytes_max as u64;
        if !is_large && (bytes.len() as u64) < header.frame_bytes() {
            return Piece::Beginning;
        }
        self.is_fragmented = header.leaves_fragmented(self.is_fragmented);
        self.is_closed |= header.is_close();
        if is_large {
            self.part_left = header.frame_bytes();
            return self.part(bytes);
        }
        Piece::Frame(header.frame_bytes() as usize)
    }

    fn part(&mut self, bytes: &[u8]) -> Piece {
        let taken = (bytes.len() as u64).min(self.part_left);
        self.part_left -= taken;
        Piece::Part(taken as usize)
    }

    /// Whether a frame of somebody else's may follow here.
    pub fn is_between_messages(&self) -> bool {
        self.part_left == 0 && !self.is_fragmented
    }

    /// Whether a close frame was seen.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }
}

#[cfg(test)]
#[path = "frame_tracker_tests.rs"]
mod tests;
