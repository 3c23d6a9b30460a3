use proptest::prelude::*;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::*;
use crate::wire::CloseReason;

const LIMIT: usize = 300;

/// A frame as a client sends it.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [0xa1, 0x5b, 0x7c, 0x33];
    let mut out = vec![first];
    match payload.len() {
        n @ 0..126 => out.push(0x80 | n as u8),
        n => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// What a peer's bytes mean, in words that both implementations can say.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
    Broken(CloseReason),
}

fn ours(bytes: &[u8], cuts: &[usize]) -> Vec<Heard> {
    let (mut decoder, mut held, mut heard) = (Decoder::default(), Vec::new(), Vec::new());
    for piece in pieces(bytes, cuts) {
        held.extend_from_slice(piece);
        loop {
            let (used, event) = match decoder.decode(&mut held, LIMIT) {
                Ok((0, _)) => break,
                Ok((used, event)) => (used, event),
                Err(violation) => {
                    heard.push(Heard::Broken(violation.close_reason()));
                    return heard;
                }
            };
            match event {
                Some(Event::Text(text)) => heard.push(Heard::Text(text.into_owned())),
                Some(Event::Binary(bytes)) => heard.push(Heard::Binary(bytes.into_owned())),
                Some(Event::Ping(payload)) => heard.push(Heard::Ping(payload.to_vec())),
                Some(Event::Pong(payload)) => heard.push(Heard::Pong(payload.to_vec())),
                Some(Event::Close(code)) => {
                    heard.push(Heard::Close(code));
                    return heard;
                }
                None => {}
            }
            held.drain(..used);
        }
    }
    heard
}

/// tungstenite over a pipe that answers `WouldBlock` when it is empty.
fn theirs(bytes: &[u8], cuts: &[usize]) -> Vec<Heard> {
    struct Pipe<'a>(&'a [u8]);
    impl std::io::Read for Pipe<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Err(std::io::ErrorKind::WouldBlock.into());
            }
            std::io::Read::read(&mut self.0, buf)
        }
    }
    impl std::io::Write for Pipe<'_> {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let config = WebSocketConfig::default().max_frame_size(Some(LIMIT)).max_message_size(Some(LIMIT));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut heard = Vec::new();
    for piece in pieces(bytes, cuts) {
        let mut pipe = Pipe(piece);
        loop {
            heard.push(match context.read(&mut pipe) {
                Ok(Message::Text(text)) => Heard::Text(text.to_string()),
                Ok(Message::Binary(bytes)) => Heard::Binary(bytes.to_vec()),
                Ok(Message::Ping(payload)) => Heard::Ping(payload.to_vec()),
                Ok(Message::Pong(payload)) => Heard::Pong(payload.to_vec()),
                Ok(Message::Close(close)) => {
                    heard.push(match close.map(|frame| u16::from(frame.code)) {
                        // It tells an invalid code apart only by the answer that it queued.
                        Some(1002) if !sent_1002(bytes) => Heard::Broken(CloseReason::ProtocolError),
                        code => Heard::Close(code),
                    });
                    return heard;
                }
                Ok(Message::Frame(_)) => unreachable!("never returned by read"),
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    heard.push(Heard::Broken(match error {
                        Error::Utf8(_) => CloseReason::InvalidText,
                        Error::Capacity(_) => CloseReason::TooBig,
                        Error::Protocol(_) => CloseReason::ProtocolError,
                        other => panic!("unexpected {other:?}"),
                    }));
                    return heard;
                }
            });
        }
    }
    heard
}

fn sent_1002(bytes: &[u8]) -> bool {
    bytes.ends_with(&masked(0x88, &1002_u16.to_be_bytes()))
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
    ends.sort_unstable();
    let mut from = 0;
    ends.into_iter().map(|end| &bytes[std::mem::replace(&mut from, end)..end]).collect()
}

fn one_frame() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "[a-zé安😀]{0,60}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..20),
        proptest::collection::vec(97..123_u8, 120..320),
    ];
    let first = prop_oneof![
        6 => Just(0x81_u8), 3 => Just(0x01), 3 => Just(0x80), 3 => Just(0x00), 2 => Just(0x82), 1 => Just(0x02),
        3 => Just(0x89), 2 => Just(0x8a), 1 => Just(0x09), 1 => any::<u8>().prop_filter("not close", |b| b & 15 != 8),
    ];
    (first, text).prop_map(|(first, payload)| masked(first, &payload))
}

fn close_frame() -> impl Strategy<Value = Vec<u8>> {
    let code =
        prop_oneof![Just(1000_u16), Just(1002), Just(1005), Just(1006), Just(999), Just(4000), 0..6000_u16];
    prop_oneof![
        Just(masked(0x88, &[])),
        Just(masked(0x88, &[3])),
        code.prop_map(|code| masked(0x88, &code.to_be_bytes())),
    ]
}

/// A text message cut into fragments at any byte, also inside characters, with pings between them.
fn fragmented() -> impl Strategy<Value = Vec<u8>> {
    ("[aé安😀]{1,30}", proptest::collection::vec(any::<usize>(), 0..5)).prop_map(|(text, cuts)| {
        let parts = pieces(text.as_bytes(), &cuts);
        let last = parts.len() - 1;
        let mut out = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let first = if index == 0 { 0x01 } else { 0x00 } | if index == last { 0x80 } else { 0 };
            out.extend(masked(first, part));
            if index != last {
                out.extend(masked(0x89, b"between"));
            }
        }
        out
    })
}

proptest! {
    #[test]
    fn any_cut_of_any_frames_gives_what_tungstenite_gives(
        frames in proptest::collection::vec(prop_oneof![2 => one_frame(), 3 => fragmented()], 0..8),
        close in proptest::option::of(close_frame()),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut bytes = frames.concat();
        bytes.extend(close.unwrap_or_default());
        let (mut ours, mut theirs) = (ours(&bytes, &cuts), theirs(&bytes, &[]));
        // A frame that breaks two rules: tungstenite looks at its size first, we at its kind.
        if let (Some(Heard::Broken(CloseReason::ProtocolError)), Some(Heard::Broken(CloseReason::TooBig))) =
            (ours.last(), theirs.last())
        {
            ours.pop();
            theirs.pop();
        }
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn any_bytes_are_events_or_a_violation(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        ours(&bytes, &[1, 2, 3]);
    }

    #[test]
    fn unmasking_twice_is_nothing(mut bytes in proptest::collection::vec(any::<u8>(), 0..40), key: [u8; 4]) {
        let original = bytes.clone();
        unmask(&mut bytes, key);
        let expected: Vec<_> = original.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        prop_assert_eq!(&bytes, &expected);
    }
}

#[test]
fn every_byte_is_a_place_to_cut() {
    let bytes = [masked(0x01, b"h\xc3"), masked(0x89, b"p"), masked(0x80, b"\xa9!"), masked(0x88, &[3, 232])]
        .concat();
    let whole = ours(&bytes, &[]);
    assert_eq!(whole, [Heard::Ping(b"p".to_vec()), Heard::Text("hé!".into()), Heard::Close(Some(1000))]);
    for cut in 0..bytes.len() {
        assert_eq!(ours(&bytes, &[cut]), whole, "{cut}");
    }
    assert_eq!(ours(&bytes, &(0..bytes.len()).collect::<Vec<_>>()), whole);
}

#[test]
fn each_broken_rule_has_its_name() {
    let cases: [(&[u8], Violation); 9] = [
        (&[0x81, 0x01, b'a'], Violation::Unmasked),
        (&[0x83, 0x80, 0, 0, 0, 0], Violation::ReservedOpcode),
        (&[0x8b, 0x80, 0, 0, 0, 0], Violation::ReservedOpcode),
        (&[0x09, 0x80, 0, 0, 0, 0], Violation::FragmentedControl),
        (&[0x89, 0xfe, 0, 126, 0, 0, 0, 0], Violation::LongControl),
        (&[0x81, 0xfe, 0, 125, 0, 0, 0, 0], Violation::LengthNotMinimal),
        (&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], Violation::LengthNotMinimal),
        (&[0x80, 0x80, 0, 0, 0, 0], Violation::UnexpectedContinuation),
        (&[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], Violation::TooBig),
    ];
    for (bytes, violation) in cases {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&mut bytes.to_vec(), LIMIT), Err(violation), "{bytes:x?}");
    }
    let mut decoder = Decoder::default();
    decoder.decode(&mut masked(0x01, b"a"), LIMIT).unwrap();
    assert_eq!(decoder.decode(&mut masked(0x81, b"b"), LIMIT), Err(Violation::ExpectedContinuation));
    assert_eq!(Decoder::default().decode(&mut masked(0x88, &[3]), LIMIT), Err(Violation::CloseCode));
    assert_eq!(Decoder::default().decode(&mut masked(0xc1, b"a"), LIMIT), Err(Violation::ReservedBits));
    assert_eq!(Decoder::default().decode(&mut masked(0x81, b"\xff"), LIMIT), Err(Violation::Utf8));
}

#[test]
fn a_message_too_big_in_fragments_is_refused_at_the_header_that_exceeds() {
    let mut decoder = Decoder::default();
    decoder.decode(&mut masked(0x01, &[b'a'; 200]), LIMIT).unwrap();
    let mut header_only = masked(0x80, &[b'a'; 101])[..6].to_vec();
    assert_eq!(decoder.decode(&mut header_only, LIMIT), Err(Violation::TooBig));
}
