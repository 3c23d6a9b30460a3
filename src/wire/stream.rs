//! The name of a stream: what one run of one server says in one life of one room.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Written `<origin, 16 hex digits>.<generation, hex>`, for example `1933d8a0c8c00001.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The incarnation of the server that speaks; new at each start of its process.
    pub origin: u64,
    /// Counts the lives of rooms at that server, so that a room dropped and made anew starts a new stream.
    pub generation: u32,
}

/// Two numbers in hex and the dot.
const TEXT_BYTES_MAX: usize = 16 + 1 + 8;

impl StreamId {
    /// Its text. Every message and every acknowledgement has one, and `write!` takes several times as long.
    fn spell<'a>(&self, text: &'a mut [u8; TEXT_BYTES_MAX]) -> &'a str {
        let (origin, rest) = text.split_at_mut(16);
        put_hex(self.origin, origin);
        rest[0] = b'.';
        let digits = self.generation.checked_ilog2().map_or(1, |bit| bit as usize / 4 + 1);
        put_hex(self.generation.into(), &mut rest[1..=digits]);
        str::from_utf8(&text[..17 + digits]).expect("digits and a dot are ASCII")
    }
}

fn put_hex(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[number as usize % 16];
        number /= 16;
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spell(&mut [0; TEXT_BYTES_MAX]))
    }
}

/// The text is not a stream's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stream: 16 hex digits, a dot, 1 to 8 hex digits")]
pub struct NotAStream;

impl FromStr for StreamId {
    type Err = NotAStream;

    /// Accepts only what [`fmt::Display`] writes, so that a stream has one spelling.
    fn from_str(text: &str) -> Result<Self, NotAStream> {
        let (origin, generation) = text.split_once('.').ok_or(NotAStream)?;
        let id = Self {
            origin: u64::from_str_radix(origin, 16).map_err(|_| NotAStream)?,
            generation: u32::from_str_radix(generation, 16).map_err(|_| NotAStream)?,
        };
        if id.to_string() == text { Ok(id) } else { Err(NotAStream) }
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.spell(&mut [0; TEXT_BYTES_MAX]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_spelling() {
        let id = StreamId { origin: 0x1933_d8a0_c8c0_0001, generation: 0 };
        assert_eq!(id.to_string(), "1933d8a0c8c00001.0");
        assert_eq!("1933d8a0c8c00001.0".parse(), Ok(id));
        for (origin, generation) in [(0, 0), (1, 0xf), (0xabc, 0x10), (u64::MAX, 0xf_ffff), (7, u32::MAX)] {
            let text = StreamId { origin, generation }.to_string();
            assert_eq!(text, format!("{origin:016x}.{generation:x}"));
        }
        for wrong in
            ["", ".", "1.0", "1933D8A0C8C00001.0", "+933d8a0c8c00001.0", "1933d8a0c8c00001.00", "é.0"]
        {
            assert_eq!(wrong.parse::<StreamId>(), Err(NotAStream), "{wrong}");
        }
    }
}
