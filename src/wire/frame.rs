//! WebSocket frames to clients (RFC 6455, section 5): whole, unmasked, and so the same bytes for all.

use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::close::CloseReason;

/// Longest header: two bytes, eight of length, four of mask.
pub const HEADER_BYTES_MAX: usize = 14;
/// Longest payload of a control frame (RFC 6455, section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;
/// A ping with no payload.
pub const PING: &[u8] = &[0x89, 0];

/// Appends a whole, unmasked frame: what a server sends.
pub fn encode(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(HEADER_BYTES_MAX + payload.len());
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    header.format(payload.len() as u64, out).expect("writing to a Vec cannot fail");
    out.extend_from_slice(payload);
}

/// Appends the header of a text frame whose payload of so many bytes follows.
pub fn encode_text_header(payload_bytes: usize, out: &mut Vec<u8>) {
    let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    header.format(payload_bytes as u64, out).expect("writing to a Vec cannot fail");
}

/// Appends a whole text frame.
pub fn encode_text(payload: &[u8], out: &mut Vec<u8>) {
    encode(OpCode::Data(Data::Text), payload, out);
}

/// Appends a pong that answers a ping.
pub fn encode_pong(payload: &[u8], out: &mut Vec<u8>) {
    encode(OpCode::Control(Control::Pong), payload, out);
}

/// The close frame for a reason, with `detail`, cut to what a control frame holds, in words.
pub fn close(reason: CloseReason, detail: &str) -> Bytes {
    const DETAIL_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;
    let text = if detail.is_empty() { reason.name() } else { detail };
    let mut payload = reason.code().to_be_bytes().to_vec();
    payload.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(DETAIL_BYTES_MAX)]);
    let mut out = Vec::with_capacity(2 + payload.len());
    encode(OpCode::Control(Control::Close), &payload, &mut out);
    out.into()
}

/// The answer to a peer's close frame: its code again (RFC 6455, section 5.5.1).
pub fn close_echo(code: Option<u16>) -> Bytes {
    let payload = code.map(u16::to_be_bytes);
    let mut out = Vec::with_capacity(4);
    encode(OpCode::Control(Control::Close), payload.as_ref().map_or(&[], |code| &code[..]), &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let frame = close(CloseReason::TooBig, &"é".repeat(100));
        assert_eq!(&frame[..4], &[0x88, 124, 0x03, 0xf1]);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }

    #[test]
    fn a_close_is_answered_with_its_code_or_none() {
        assert_eq!(&close_echo(Some(1000))[..], &[0x88, 2, 0x03, 0xe8]);
        assert_eq!(&close_echo(None)[..], &[0x88, 0]);
    }

    #[test]
    fn a_server_frame_has_the_minimal_length() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)] {
            let mut out = Vec::new();
            encode_text(&vec![b'a'; length], &mut out);
            assert_eq!(out.len(), header + length);
            assert_eq!(out[0], 0x81);
            assert_eq!(out[1] & 0x80, 0, "never masked");
        }
    }
}
