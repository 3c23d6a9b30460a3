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

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{:x}", self.origin, self.generation)
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
        serializer.collect_str(self)
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
        for wrong in
            ["", ".", "1.0", "1933D8A0C8C00001.0", "+933d8a0c8c00001.0", "1933d8a0c8c00001.00", "é.0"]
        {
            assert_eq!(wrong.parse::<StreamId>(), Err(NotAStream), "{wrong}");
        }
    }
}
