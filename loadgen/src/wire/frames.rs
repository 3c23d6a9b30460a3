//! A server's frames, as texts. Whole ones are read where they lie; only what is incomplete is kept, so that a connection
//! without anything under way owns nothing.

use std::borrow::Cow;
use std::io::Cursor;
use std::mem;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Largest message taken, in bytes: the history of a room that is full of small ones.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// RFC 6455, section 5.5.
const CONTROL_BYTES_MAX: u64 = 125;

/// Reads the frames of one connection.
#[derive(Debug, Default)]
pub struct Frames(Option<Box<Kept>>);

/// What waits for the rest.
#[derive(Debug, Default)]
struct Kept {
    /// Of a frame.
    bytes: Vec<u8>,
    /// Of a message in several frames.
    message: Option<Vec<u8>>,
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// A message.
    Text(Cow<'a, str>),
    /// To be answered with the same bytes.
    Ping(&'a [u8]),
    /// The end, perhaps with a code.
    Close(Option<u16>),
}

/// The rule that a server broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(&'static str);

impl Frames {
    /// What was kept, and what has arrived, to be read by [`Frames::next`] until nothing comes.
    pub fn gather<'a>(&mut self, arrived: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(kept) = &mut self.0 else { return Cow::Borrowed(arrived) };
        let mut bytes = mem::take(&mut kept.bytes);
        if kept.message.is_none() {
            self.0 = None;
        }
        if bytes.is_empty() {
            return Cow::Borrowed(arrived);
        }
        bytes.extend_from_slice(arrived);
        Cow::Owned(bytes)
    }

    /// The next word; `None` when the rest is no whole frame, and kept.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Word<'a>>, Broken> {
        loop {
            let Some((header, payload)) = next_frame(bytes)? else {
                let rest = mem::take(bytes);
                if !rest.is_empty() {
                    self.0.get_or_insert_default().bytes = rest.to_vec();
                }
                return Ok(None);
            };
            let is_under_way = self.0.as_ref().is_some_and(|kept| kept.message.is_some());
            match (header.opcode, is_under_way) {
                (OpCode::Data(Data::Text), false) if header.is_final => {
                    let text = str::from_utf8(payload).map_err(|_| Broken("a text that is not UTF-8"))?;
                    return Ok(Some(Word::Text(Cow::Borrowed(text))));
                }
                (OpCode::Data(Data::Text), false) => {
                    self.0.get_or_insert_default().message = Some(payload.to_vec());
                }
                (OpCode::Data(Data::Continue), true) => {
                    if let Some(text) = self.continue_message(payload, header.is_final)? {
                        return Ok(Some(Word::Text(Cow::Owned(text))));
                    }
                }
                (OpCode::Data(_), _) => return Err(Broken("a frame that is no text, or out of turn")),
                (OpCode::Control(Control::Ping), _) => return Ok(Some(Word::Ping(payload))),
                (OpCode::Control(Control::Close), _) => return read_close(payload).map(Some),
                (OpCode::Control(_), _) => {}
            }
        }
    }

    /// One more part of a message; its text if that is the last.
    fn continue_message(&mut self, payload: &[u8], is_final: bool) -> Result<Option<String>, Broken> {
        let message = &mut self.0.get_or_insert_default().message;
        let bytes = message.get_or_insert_default();
        if bytes.len() + payload.len() > MESSAGE_BYTES_MAX {
            return Err(TOO_LONG);
        }
        bytes.extend_from_slice(payload);
        if !is_final {
            return Ok(None);
        }
        let bytes = mem::take(bytes);
        // Nothing of a frame is kept while one is read.
        self.0 = None;
        String::from_utf8(bytes).map(Some).map_err(|_| Broken("a text that is not UTF-8"))
    }
}

const TOO_LONG: Broken = Broken("a message that is too long");

/// Takes a whole frame.
fn next_frame<'a>(bytes: &mut &'a [u8]) -> Result<Option<(FrameHeader, &'a [u8])>, Broken> {
    let mut cursor = Cursor::new(*bytes);
    let header = FrameHeader::parse(&mut cursor).map_err(|_| Broken("a frame of no known kind"))?;
    let Some((header, length)) = header else { return Ok(None) };
    let FrameHeader { is_final, rsv1, rsv2, rsv3, opcode, mask } = header;
    if rsv1 || rsv2 || rsv3 {
        return Err(Broken("a frame with bits of no extension"));
    }
    if mask.is_some() {
        return Err(Broken("a masked frame"));
    }
    if matches!(opcode, OpCode::Control(_)) && (!is_final || length > CONTROL_BYTES_MAX) {
        return Err(Broken("a control frame in parts, or too long"));
    }
    let length =
        usize::try_from(length).ok().filter(|length| *length <= MESSAGE_BYTES_MAX).ok_or(TOO_LONG)?;
    let start = cursor.position() as usize;
    let Some(payload) = bytes.get(start..start + length) else { return Ok(None) };
    *bytes = &bytes[start + length..];
    Ok(Some((header, payload)))
}

fn read_close(payload: &[u8]) -> Result<Word<'static>, Broken> {
    match payload {
        [] => Ok(Word::Close(None)),
        [high, low, reason @ ..] if str::from_utf8(reason).is_ok() => {
            Ok(Word::Close(Some(u16::from_be_bytes([*high, *low]))))
        }
        _ => Err(Broken("a close frame without a code, or with a reason that is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::Frame;

    use super::*;

    fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let header = FrameHeader { is_final, opcode, ..FrameHeader::default() };
        Frame::from_payload(header, payload.to_vec().into()).format(&mut bytes).unwrap();
        bytes
    }

    fn text(payload: &str) -> Vec<u8> {
        frame(OpCode::Data(Data::Text), true, payload.as_bytes())
    }

    /// All words in these pieces.
    fn words(frames: &mut Frames, pieces: &[&[u8]]) -> Result<Vec<String>, Broken> {
        let mut words = Vec::new();
        for piece in pieces {
            let bytes = frames.gather(piece);
            let mut bytes = &*bytes;
            while let Some(word) = frames.next(&mut bytes)? {
                words.push(format!("{word:?}"));
            }
        }
        Ok(words)
    }

    #[test]
    fn words_are_the_same_at_any_split() {
        let long = "x".repeat(70_000);
        let mut bytes = text("hi");
        bytes.extend(frame(OpCode::Data(Data::Text), false, "ü".as_bytes().split_at(1).0));
        bytes.extend(frame(OpCode::Control(Control::Ping), true, b"p"));
        bytes.extend(frame(OpCode::Data(Data::Continue), false, "ü".as_bytes().split_at(1).1));
        bytes.extend(frame(OpCode::Control(Control::Pong), true, b"q"));
        bytes.extend(frame(OpCode::Data(Data::Continue), true, b"!"));
        bytes.extend(text(&long[..200]));
        bytes.extend(frame(OpCode::Control(Control::Close), true, b"\x03\xe9bye"));
        let expected = words(&mut Frames::default(), &[&bytes]).unwrap();
        assert_eq!(expected[..3], ["Text(\"hi\")", "Ping([112])", "Text(\"ü!\")"]);
        assert_eq!(expected[4], "Close(Some(1001))");
        for split in 0..bytes.len() {
            let mut frames = Frames::default();
            let (head, tail) = bytes.split_at(split);
            assert_eq!(words(&mut frames, &[head, tail]).unwrap(), expected, "{split}");
            assert!(frames.0.is_none(), "nothing is kept when nothing is under way");
        }
        let bytes = text(&long);
        let pieces: Vec<_> = bytes.chunks(1000).collect();
        let mut frames = Frames::default();
        assert_eq!(words(&mut frames, &pieces).unwrap(), [format!("Text({long:?})")]);
    }

    #[test]
    fn broken_rules_are_noticed() {
        let data = |kind, payload: &[u8]| frame(OpCode::Data(kind), true, payload);
        let control = |kind, is_final, payload: &[u8]| frame(OpCode::Control(kind), is_final, payload);
        let mut masked = text("hi");
        masked[1] |= 0x80;
        masked.extend([0; 4]);
        let mut reserved = text("hi");
        reserved[0] |= 0x40;
        let first = frame(OpCode::Data(Data::Text), false, b"a");
        for wrong in [
            masked,
            reserved,
            vec![0x83, 0],
            data(Data::Binary, b"b"),
            data(Data::Continue, b"c"),
            data(Data::Text, b"\xff"),
            [first.clone(), text("b")].concat(),
            [first, data(Data::Continue, b"\xff")].concat(),
            control(Control::Ping, false, b""),
            control(Control::Ping, true, &[0; 126]),
            control(Control::Close, true, b"\x03"),
            control(Control::Close, true, b"\x03\xe8\xff"),
            [&[0x81, 127][..], &u64::MAX.to_be_bytes()].concat(),
        ] {
            assert!(words(&mut Frames::default(), &[&wrong]).is_err(), "{wrong:?}");
        }
        let mut frames = Frames::default();
        let part = vec![b'x'; MESSAGE_BYTES_MAX / 2 + 1];
        words(&mut frames, &[&frame(OpCode::Data(Data::Text), false, &part)]).unwrap();
        assert_eq!(words(&mut frames, &[&data(Data::Continue, &part)]), Err(TOO_LONG));
        assert_eq!(
            words(&mut Frames::default(), &[&control(Control::Close, true, b"")]).unwrap(),
            ["Close(None)"]
        );
    }

    #[test]
    fn an_idle_connection_keeps_nothing() {
        assert_eq!(size_of::<Frames>(), size_of::<usize>());
    }
}
