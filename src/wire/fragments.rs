//! The message that a connection is receiving in fragments (RFC 6455, section 5.4).

use super::violation::Violation;

/// A message whose last fragment has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Whole {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

/// Grows with each fragment; the caller bounds its length and its fragments. Text is checked as it comes, so that a bad byte is
/// refused in the fragment that brings it and not at the end.
#[derive(Debug)]
pub struct Fragments {
    bytes: Vec<u8>,
    is_text: bool,
    valid_up_to: usize,
    count: usize,
}

impl Fragments {
    /// An empty message.
    pub fn new(is_text: bool) -> Self {
        Self { bytes: Vec::new(), is_text, valid_up_to: 0, count: 0 }
    }

    /// Bytes received so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was received.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Fragments received so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds one fragment.
    pub fn extend(&mut self, payload: &[u8]) -> Result<(), Violation> {
        self.count += 1;
        self.bytes.extend_from_slice(payload);
        if !self.is_text {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.valid_up_to..]) {
            Ok(_) => self.valid_up_to = self.bytes.len(),
            Err(fault) if fault.error_len().is_some() => return Err(Violation::Utf8),
            Err(cut) => self.valid_up_to += cut.valid_up_to(),
        }
        Ok(())
    }

    /// The whole message. A character that was never completed is a violation.
    pub fn finish(self) -> Result<Whole, Violation> {
        if self.is_text {
            String::from_utf8(self.bytes).map(Whole::Text).map_err(|_| Violation::Utf8)
        } else {
            Ok(Whole::Binary(self.bytes))
        }
    }
}
