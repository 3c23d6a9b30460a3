//! RESP3 as Redis speaks it (<https://redis.io/docs/latest/develop/reference/protocol-spec/>), cut anywhere.
//!
//! What comes all the time, messages of subscribed channels and the numbers that answer `SPUBLISH`, is read where it
//! lies. For the rest [`Framer`] finds the end of a value, and the `redis` crate reads it.

use super::resp_reply::Reply;

/// Largest reply or push: four times the largest envelope.
pub const REPLY_BYTES_MAX: usize = 256 * 1024;
/// Longest line: an error, a number, the head of a string.
const LINE_BYTES_MAX: usize = 4096;
/// Deepest nesting; the answer to `HELLO` has three.
const DEPTH_MAX: usize = 8;

/// What Redis says, borrowed from the bytes where that matters.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// `smessage`: somebody published on a subscribed channel.
    Message {
        /// The channel.
        channel: &'a [u8],
        /// What was published.
        payload: &'a [u8],
    },
    /// Anything else.
    Reply(Reply),
}

/// Why bytes are not RESP3, or not such as are taken here. The connection cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RespError {
    /// A value that begins with no known type, a length that is no number, an end that is no end.
    #[error("not RESP3")]
    Malformed,
    /// More than [`REPLY_BYTES_MAX`], as its head says.
    #[error("a value of more than {REPLY_BYTES_MAX} bytes")]
    TooLarge,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("a value nested deeper than {DEPTH_MAX}")]
    TooDeep,
}

/// Takes values off the front of what a connection brings.
#[derive(Debug, Default)]
pub struct Parser {
    framer: Framer,
}

impl Parser {
    /// The first value and how many bytes it has; `None`: it is not whole yet. Then call again with the same bytes
    /// and those that came since.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(usize, Incoming<'a>)>, RespError> {
        if let Some(rest) = bytes.strip_prefix(MESSAGE_HEAD) {
            // The framer may have looked at the first few bytes before there were enough of them.
            self.framer = Framer::default();
            return message(bytes.len() - rest.len(), bytes);
        }
        let Some(length) = self.framer.frame(bytes)? else { return Ok(None) };
        let value = &bytes[..length];
        let reply = match value[0] {
            b':' => Reply::Integer(number(&value[1..length - 2])?),
            _ => redis::parse_redis_value(value).map_err(|_| RespError::Malformed)?.into(),
        };
        Ok(Some((length, Incoming::Reply(reply))))
    }
}

const MESSAGE_HEAD: &[u8] = b">3\r\n$8\r\nsmessage\r\n$";

/// `at` is behind the `$` of the channel's length.
fn message(at: usize, bytes: &[u8]) -> Result<Option<(usize, Incoming<'_>)>, RespError> {
    let Some((channel, at)) = string(at, bytes)? else { return Ok(None) };
    match bytes.get(at) {
        Some(b'$') => {}
        Some(_) => return Err(RespError::Malformed),
        None => return Ok(None),
    }
    let Some((payload, at)) = string(at + 1, bytes)? else { return Ok(None) };
    Ok(Some((at, Incoming::Message { channel, payload })))
}

/// A bulk string and where it ends.
fn string(at: usize, bytes: &[u8]) -> Result<Option<(&[u8], usize)>, RespError> {
    let Some((line, from)) = line(at, bytes)? else { return Ok(None) };
    let end = string_end(from, length(line)?)?;
    match bytes.get(from..end) {
        Some(string) => Ok(Some((string.strip_suffix(b"\r\n").ok_or(RespError::Malformed)?, end))),
        None => Ok(None),
    }
}

fn string_end(from: usize, length: usize) -> Result<usize, RespError> {
    let end = from.saturating_add(length).saturating_add(2);
    if end > REPLY_BYTES_MAX { Err(RespError::TooLarge) } else { Ok(end) }
}

/// The line at `at` without its end, and where the next begins.
fn line(at: usize, bytes: &[u8]) -> Result<Option<(&[u8], usize)>, RespError> {
    let rest = &bytes[at.min(bytes.len())..];
    let rest = &rest[..rest.len().min(LINE_BYTES_MAX)];
    match memchr::memchr(b'\n', rest) {
        Some(end) => {
            let line = rest[..end].strip_suffix(b"\r").ok_or(RespError::Malformed)?;
            Ok(Some((line, at + end + 1)))
        }
        None if rest.len() == LINE_BYTES_MAX => Err(RespError::TooLarge),
        None => Ok(None),
    }
}

/// A length that fits; more digits than that are refused before they are all there.
fn length(digits: &[u8]) -> Result<usize, RespError> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !is_number {
        return Err(RespError::Malformed);
    }
    let length = digits.iter().try_fold(0_usize, |sum, digit| {
        let sum = sum * 10 + usize::from(digit - b'0');
        (sum <= REPLY_BYTES_MAX).then_some(sum)
    });
    length.ok_or(RespError::TooLarge)
}

fn number(digits: &[u8]) -> Result<i64, RespError> {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(RespError::Malformed)
}

/// Finds where a value ends. It keeps its place, so what was looked at is not looked at again.
#[derive(Debug, Default)]
pub struct Framer {
    /// Up to here every part was whole.
    at: usize,
    /// For each open aggregate, how many of its parts are to come.
    open: [usize; DEPTH_MAX],
    depth: usize,
}

impl Framer {
    /// How many bytes the first value has; `None`: it is not whole yet. The bytes of the next call must begin with
    /// these.
    pub fn frame(&mut self, bytes: &[u8]) -> Result<Option<usize>, RespError> {
        while let Some(parts) = self.part(bytes)? {
            match parts {
                Part::Whole => self.close(),
                Part::Open(0) => self.close(),
                Part::Open(parts) => self.enter(parts)?,
                Part::Attribute(parts) => self.enter(parts + 1)?,
            }
            if self.depth == 0 {
                let length = std::mem::take(self).at;
                return Ok(Some(length));
            }
        }
        Ok(None)
    }

    /// One part is whole, and with it perhaps those that it is the last of.
    fn close(&mut self) {
        while let Some(last) = self.depth.checked_sub(1) {
            self.open[last] -= 1;
            if self.open[last] > 0 {
                return;
            }
            self.depth = last;
        }
    }

    fn enter(&mut self, parts: usize) -> Result<(), RespError> {
        // No part has less than three bytes.
        if parts > REPLY_BYTES_MAX / 3 {
            return Err(RespError::TooLarge);
        }
        *self.open.get_mut(self.depth).ok_or(RespError::TooDeep)? = parts;
        self.depth += 1;
        Ok(())
    }

    fn part(&mut self, bytes: &[u8]) -> Result<Option<Part>, RespError> {
        if self.at >= REPLY_BYTES_MAX {
            return Err(RespError::TooLarge);
        }
        let Some(kind) = bytes.get(self.at) else { return Ok(None) };
        if !b"+-:_,#($!=*~>%|".contains(kind) {
            return Err(RespError::Malformed);
        }
        let Some((line, next)) = line(self.at + 1, bytes)? else { return Ok(None) };
        let part = match kind {
            b'$' | b'*' if line == b"-1" => Part::Whole,
            b'$' | b'!' | b'=' => {
                let end = string_end(next, length(line)?)?;
                let Some(string) = bytes.get(next..end) else { return Ok(None) };
                if !string.ends_with(b"\r\n") {
                    return Err(RespError::Malformed);
                }
                self.at = end;
                return Ok(Some(Part::Whole));
            }
            b'*' | b'~' | b'>' => Part::Open(length(line)?),
            b'%' => Part::Open(length(line)? * 2),
            b'|' => Part::Attribute(length(line)? * 2),
            _ => Part::Whole,
        };
        self.at = next;
        Ok(Some(part))
    }
}

enum Part {
    Whole,
    /// An aggregate of so many parts.
    Open(usize),
    /// So many parts that tell about the value behind them.
    Attribute(usize),
}

#[cfg(test)]
#[path = "resp_tests.rs"]
mod tests;
