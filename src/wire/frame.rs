//! WebSocket frames (RFC 6455, section 5), decoded in place from a buffer that many connections share.
//!
//! The header is tungstenite's [`FrameHeader`]; the rules it leaves to its caller are here: reserved bits, masking,
//! minimal lengths, control frames, fragments, UTF-8, sizes. A refused frame is refused at its header, before its
//! payload has arrived.

use std::borrow::Cow;
use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::close::CloseReason;
use super::fragments::Fragments;

/// Longest header: two bytes, eight of length, four of mask.
pub const HEADER_BYTES_MAX: usize = 14;
/// Longest payload of a control frame (RFC 6455, section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

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

/// The rule that a peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// RFC 6455, section 5.2: no extension gives the bits a meaning.
    #[error("reserved bits are set")]
    ReservedBits,
    /// RFC 6455, section 5.2.
    #[error("reserved opcode")]
    ReservedOpcode,
    /// RFC 6455, section 5.1.
    #[error("a frame from a client must be masked")]
    Unmasked,
    /// RFC 6455, section 5.2: "the minimal number of bytes MUST be used".
    #[error("the length is not minimal")]
    LengthNotMinimal,
    /// RFC 6455, section 5.5.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// RFC 6455, section 5.5.
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// RFC 6455, section 5.4.
    #[error("a continuation without a beginning")]
    UnexpectedContinuation,
    /// RFC 6455, section 5.4.
    #[error("a new message inside a fragmented one")]
    ExpectedContinuation,
    /// RFC 6455, section 7.4: one byte of code, or a code that no endpoint may send.
    #[error("invalid close code")]
    CloseCode,
    /// RFC 6455, section 8.1.
    #[error("text is not UTF-8")]
    Utf8,
    /// Our own limit.
    #[error("the message is larger than allowed")]
    TooBig,
}

impl Violation {
    /// Every violation, for the table of counters.
    pub const ALL: [Self; 11] = [
        Self::ReservedBits,
        Self::ReservedOpcode,
        Self::Unmasked,
        Self::LengthNotMinimal,
        Self::FragmentedControl,
        Self::LongControl,
        Self::UnexpectedContinuation,
        Self::ExpectedContinuation,
        Self::CloseCode,
        Self::Utf8,
        Self::TooBig,
    ];

    /// The close code that answers it.
    pub fn close_reason(self) -> CloseReason {
        match self {
            Self::Utf8 => CloseReason::InvalidText,
            Self::TooBig => CloseReason::TooBig,
            _ => CloseReason::ProtocolError,
        }
    }

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved_bits",
            Self::ReservedOpcode => "reserved_opcode",
            Self::Unmasked => "unmasked",
            Self::LengthNotMinimal => "length_not_minimal",
            Self::FragmentedControl => "fragmented_control",
            Self::LongControl => "long_control",
            Self::UnexpectedContinuation => "unexpected_continuation",
            Self::ExpectedContinuation => "expected_continuation",
            Self::CloseCode => "close_code",
            Self::Utf8 => "utf8",
            Self::TooBig => "too_big",
        }
    }
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
                self.fragments.take().map(|whole| whole.finish()).transpose()
            }
        }
    }
}

/// Appends a whole, unmasked frame: what a server sends.
pub fn encode(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    header.format(payload.len() as u64, out).expect("writing to a Vec cannot fail");
    out.extend_from_slice(payload);
}

/// Appends a whole text frame.
pub fn encode_text(payload: &[u8], out: &mut Vec<u8>) {
    encode(OpCode::Data(Data::Text), payload, out);
}

/// Appends a pong that answers a ping.
pub fn encode_pong(payload: &[u8], out: &mut Vec<u8>) {
    encode(OpCode::Control(Control::Pong), payload, out);
}

/// A ping with no payload.
pub const PING: &[u8] = &[0x89, 0];

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
#[path = "frame_tests.rs"]
mod tests;
