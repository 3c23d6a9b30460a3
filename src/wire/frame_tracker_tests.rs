use std::io::Cursor;

use proptest::prelude::*;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::*;

const HOLD_MAX: usize = 300;

fn frame(opcode: OpCode, is_final: bool, mask: Option<[u8; 4]>, payload: usize) -> Vec<u8> {
    let header = FrameHeader { is_final, opcode, mask, ..FrameHeader::default() };
    let mut bytes = Vec::new();
    header.format(payload as u64, &mut bytes).unwrap();
    bytes.extend(std::iter::repeat_n(b'x', payload));
    bytes
}

/// A whole message: of one frame, or of fragments with a ping in between.
fn message(mask: Option<[u8; 4]>) -> impl Strategy<Value = Vec<u8>> {
    let lengths = prop_oneof![0..10_usize, 120..130_usize, 250..350_usize, 65_530..65_540_usize];
    proptest::collection::vec(lengths, 1..4).prop_map(move |lengths| {
        let last = lengths.len() - 1;
        let frames = lengths.iter().enumerate().map(|(index, &length)| {
            let data = if index == 0 { Data::Text } else { Data::Continue };
            let ping = frame(OpCode::Control(Control::Ping), true, mask, 4);
            let part = frame(OpCode::Data(data), index == last, mask, length);
            if index == 0 { part } else { [ping, part].concat() }
        });
        frames.collect::<Vec<_>>().concat()
    })
}

/// The bytes in pieces of any size.
fn cut<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while !bytes.is_empty() {
        let size = (*sizes.next().unwrap()).min(bytes.len());
        let (piece, rest) = bytes.split_at(size);
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

proptest! {
    #[test]
    fn a_tracker_finds_the_ends_of_messages_at_any_cut(
        messages in proptest::collection::vec(message(Some([1, 2, 3, 4])), 1..4),
        sizes in proptest::collection::vec(prop_oneof![1..6_usize, 1..4000_usize], 1..20),
    ) {
        let mut ends = Vec::new();
        let bytes = messages.iter().fold(Vec::new(), |mut all, message| {
            all.extend_from_slice(message);
            ends.push(all.len());
            all
        });
        let (mut tracker, mut at, mut found) = (FrameTracker::default(), 0, Vec::new());
        for piece in cut(&bytes, &sizes) {
            let mut rest = piece;
            while !rest.is_empty() {
                let taken = tracker.advance(rest);
                prop_assert!(taken > 0 && taken <= rest.len());
                rest = &rest[taken..];
                at += taken;
                if tracker.is_between_messages() {
                    found.push(at);
                }
            }
        }
        prop_assert_eq!(found, ends);
        prop_assert!(!tracker.is_closed());
    }

    #[test]
    fn a_splitter_gives_whole_frames_and_parts_of_large_ones(
        messages in proptest::collection::vec(message(None), 1..4),
        sizes in proptest::collection::vec(prop_oneof![1..6_usize, 1..400_usize], 1..20),
    ) {
        let bytes = messages.concat();
        let (mut splitter, mut held, mut passed) = (FrameSplitter::default(), Vec::new(), Vec::new());
        for piece in cut(&bytes, &sizes) {
            held.extend_from_slice(piece);
            while !held.is_empty() {
                let taken = match splitter.next(&held, HOLD_MAX) {
                    Piece::Frame(bytes) => {
                        let (header, length) = FrameHeader::parse(&mut Cursor::new(&held)).unwrap().unwrap();
                        prop_assert_eq!(bytes, header.len(length) + length as usize);
                        bytes
                    }
                    Piece::Part(bytes) => bytes,
                    Piece::Beginning => break,
                };
                passed.extend(held.drain(..taken));
            }
            prop_assert!(held.len() < HOLD_MAX, "no more is held than may be");
        }
        prop_assert_eq!(passed, bytes);
        prop_assert!(splitter.is_between_messages());
    }

    #[test]
    fn any_bytes_at_all_are_followed(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        sizes in proptest::collection::vec(1..30_usize, 1..5),
    ) {
        let mut tracker = FrameTracker::default();
        for piece in cut(&bytes, &sizes) {
            let mut rest = piece;
            while !rest.is_empty() {
                rest = &rest[tracker.advance(rest)..];
            }
        }
        let (mut splitter, mut rest) = (FrameSplitter::default(), &bytes[..]);
        while !rest.is_empty() {
            match splitter.next(rest, HOLD_MAX) {
                Piece::Frame(bytes) | Piece::Part(bytes) => rest = &rest[bytes..],
                Piece::Beginning => break,
            }
        }
    }
}

#[test]
fn the_longest_length_that_can_be_written_is_counted() {
    let endless = [&[0x82, 0x7f][..], &[0xff; 8]].concat();
    let mut splitter = FrameSplitter::default();
    assert_eq!(splitter.next(&endless, HOLD_MAX), Piece::Part(endless.len()));
    assert!(!splitter.is_between_messages());
    let mut tracker = FrameTracker::default();
    assert_eq!(tracker.advance(&endless), endless.len());
    assert_eq!(tracker.advance(&[0; 100]), 100);
    assert!(!tracker.is_between_messages());
}

#[test]
fn a_close_frame_is_seen_by_both() {
    let close = frame(OpCode::Control(Control::Close), true, Some([0; 4]), 2);
    let mut tracker = FrameTracker::default();
    tracker.advance(&close);
    assert!(tracker.is_closed() && tracker.is_between_messages());
    let mut splitter = FrameSplitter::default();
    let close = frame(OpCode::Control(Control::Close), true, None, 2);
    assert_eq!(splitter.next(&close, HOLD_MAX), Piece::Frame(4));
    assert!(splitter.is_closed());
}
