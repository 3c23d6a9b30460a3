//! WebSocket frames from clients (RFC 6455, section 5), decoded in place from a buffer that many connections share.
//!
//! The header is tungstenite's [`FrameHeader`]; the rules it leaves to its caller are here: reserved bits, masking,
//! minimal lengths, control frames, fragments, UTF-8, sizes. A refused frame is refused at its header, before its
//! payload has arrived.

use std::borrow::Cow;
use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::fragments::{Fragments, Whole};
use super::frame::CONTROL_BYTES_MAX;
use super::limits::FRAGMENTS_MAX;
use super::violation::Violation;

/// What a complete frame, or the last fragment of a message, means.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message; borrowed unless it came in fragments.
    Text(Cow<'a, str>),
    /// A binary message; borrowed unless it came in fragments.
    Binary(Cow<'a, [u8]>),
    /// A ping, to be answered by a pong with the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// A close frame with the peer's code, if it gave one.
    Close(Option<u16>),
}

/// The receiving half of a server's end of one connection. Eight bytes while no message is in fragments.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Option<Box<Fragments>>,
}

impl Decoder {
    /// Takes one frame off the front of `buf`, unmasking it there, and says how many bytes it had.
    ///
    /// `(0, None)`: the frame is not whole yet. `(n, None)`: a fragment was kept. After an error the connection
    /// must be closed with [`Violation::close_reason`]; nothing behind the frame may be read.
    pub fn decode<'a>(
        &mut self,
        buf: &'a mut [u8],
        message_bytes_max: usize,
    ) -> Result<(usize, Option<Event<'a>>), Violation> {
        let Some((header, start, length)) = parse_header(buf)? else { return Ok((0, None)) };
        let mask = header.mask.ok_or(Violation::Unmasked)?;
        let so_far = self.fragments.as_ref().map_or(0, |f| f.len());
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return Err(Violation::FragmentedControl),
            OpCode::Control(_) if length > CONTROL_BYTES_MAX as u64 => return Err(Violation::LongControl),
            OpCode::Data(Data::Continue) if self.fragments.is_none() => {
                return Err(Violation::UnexpectedContinuation);
            }
            OpCode::Data(Data::Text | Data::Binary) if self.fragments.is_some() => {
                return Err(Violation::ExpectedContinuation);
            }
            OpCode::Data(_) if self.fragments.as_ref().is_some_and(|f| f.count() >= FRAGMENTS_MAX) => {
                return Err(Violation::TooManyFragments);
            }
            OpCode::Data(_) if length > (message_bytes_max - so_far) as u64 => return Err(Violation::TooBig),
            _ => {}
        }
        let end = start + length as usize;
        let Some(payload) = buf.get_mut(start..end) else { return Ok((0, None)) };
        unmask(payload, mask);
        let event = match header.opcode {
            OpCode::Control(control) => Some(control_event(control, payload)?),
            OpCode::Data(data) => self.data_event(data, header.is_final, payload)?,
        };
        Ok((end, event))
    }

    fn data_event<'a>(
        &mut self,
        data: Data,
        is_final: bool,
        payload: &'a [u8],
    ) -> Result<Option<Event<'a>>, Violation> {
        match (data, is_final) {
            (Data::Text, true) => {
                let text = std::str::from_utf8(payload).map_err(|_| Violation::Utf8)?;
                Ok(Some(Event::Text(Cow::Borrowed(text))))
            }
            (Data::Binary, true) => Ok(Some(Event::Binary(Cow::Borrowed(payload)))),
            (_, is_final) => {
                let fragments =
                    self.fragments.get_or_insert_with(|| Box::new(Fragments::new(data == Data::Text)));
                fragments.extend(payload)?;
                if !is_final {
                    return Ok(None);
                }
                let whole = self.fragments.take().map(|fragments| fragments.finish()).transpose()?;
                Ok(whole.map(|whole| match whole {
                    Whole::Text(text) => Event::Text(Cow::Owned(text)),
                    Whole::Binary(bytes) => Event::Binary(Cow::Owned(bytes)),
                }))
            }
        }
    }
}

fn parse_header(buf: &[u8]) -> Result<Option<(FrameHeader, usize, u64)>, Violation> {
    let mut cursor = Cursor::new(buf);
    // Its only error over a slice is a reserved opcode.
    let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::ReservedOpcode)?;
    let Some((header, length)) = parsed else { return Ok(None) };
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(Violation::ReservedBits);
    }
    let start = cursor.position() as usize;
    if start != header.len(length) {
        return Err(Violation::LengthNotMinimal);
    }
    Ok(Some((header, start, length)))
}

fn control_event(control: Control, payload: &[u8]) -> Result<Event<'_>, Violation> {
    match control {
        Control::Ping => Ok(Event::Ping(payload)),
        Control::Pong => Ok(Event::Pong(payload)),
        Control::Close => close_event(payload),
        Control::Reserved(_) => Err(Violation::ReservedOpcode),
    }
}

fn close_event(payload: &[u8]) -> Result<Event<'_>, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(Event::Close(None)),
        [_] => return Err(Violation::CloseCode),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !CloseCode::from(code).is_allowed() {
        return Err(Violation::CloseCode);
    }
    std::str::from_utf8(reason).map_err(|_| Violation::Utf8)?;
    Ok(Event::Close(Some(code)))
}

/// XORs with the repeated key (RFC 6455, section 5.3), eight bytes at a time.
fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
