use proptest::prelude::*;

use super::*;

fn message(id: &str, text: &str) -> Arc<Message> {
    let (from, client) = ("安".into(), 0x5f2c_9a41_7be0_d836);
    Arc::new(Message { from, client, id: id.into(), text: text.into(), time: 1_700_000_000_000 })
}

fn stream() -> StreamId {
    StreamId { origin: 0x1933_d8a0_c8c0_0001, generation: 7 }
}

fn span() -> Span {
    Span { stream: stream(), first: 3, last: 9 }
}

/// One of each kind.
fn examples() -> Vec<Envelope> {
    let room: Arc<str> = "lobby".into();
    let words = vec![
        Word::Messages {
            room: room.clone(),
            stream: stream(),
            first_seq: 17,
            witness: 5,
            messages: [message("1", "hi"), message("2", &"x".repeat(TEXT_BYTES_MAX))].into(),
        },
        Word::Presence {
            room: room.clone(),
            version: 3,
            is_held: true,
            users: 2,
            names: Some(["ann".into(), "bob".into()].into()),
        },
        Word::Presence { room: room.clone(), version: 4, is_held: false, users: 1000, names: None },
        Word::Typing { room: room.clone(), user: "ann".into() },
        Word::Alive {
            name: "app-1".into(),
            beat: 1_700_000_000_000,
            age_ms: 77,
            lanes: 5,
            is_leaving: true,
            load: Some(300),
            echoes: [Echo { to: 7, beat: 12 }].into(),
        },
        Word::Alive {
            name: "app-1".into(),
            beat: 1,
            age_ms: 77,
            lanes: 0,
            is_leaving: false,
            load: None,
            echoes: [].into(),
        },
        Word::Sync { is_fresh: true, rooms: [room.clone(), "hall".into()].into() },
        Word::Digest {
            to: 9,
            rooms: [
                RoomDigest { room: room.clone(), is_held: true, time: 9, spans: vec![span(), span()] },
                RoomDigest { room: "hall".into(), is_held: false, time: 9, spans: Vec::new() },
            ]
            .into(),
        },
        Word::Want { to: 9, room: room.clone(), question: 3, spans: [span()].into() },
        Word::Repair {
            to: 9,
            room: room.clone(),
            question: 4,
            entries: [Entry { stream: stream(), seq: 3, message: message("3", "") }].into(),
            places: [SamePlaces {
                place: Place { stream: stream(), seq: 3 },
                other: Place { stream: StreamId { generation: 7, ..stream() }, seq: 9 },
            }]
            .into(),
            lacks: [Span { stream: stream(), first: 4, last: 3 }].into(),
            expired: [span()].into(),
        },
        Word::Have { to: 9, positions: [Position { room: room.clone(), span: span() }].into() },
        Word::Hold { to: 9, room },
    ];
    words.into_iter().map(|word| Envelope { origin: 42, word }).collect()
}

fn bytes(envelope: &Envelope) -> Vec<u8> {
    let mut bytes = Vec::new();
    envelope.encode(&mut bytes);
    bytes
}

#[test]
fn there_and_back() {
    for envelope in examples() {
        assert_eq!(Envelope::parse(&bytes(&envelope)), Ok(envelope));
    }
}

#[test]
fn an_echo_is_known_by_its_head() {
    for envelope in examples() {
        let bytes = bytes(&envelope);
        let is_alive = matches!(envelope.word, Word::Alive { .. });
        assert_eq!((Envelope::is_echo(&bytes, 42), Envelope::is_echo(&bytes, 43)), (!is_alive, false));
        assert!(!Envelope::is_echo(&bytes[..9], 42));
    }
}

#[test]
fn every_cut_and_every_addition_is_refused() {
    for envelope in examples() {
        let mut bytes = bytes(&envelope);
        for length in 0..bytes.len() {
            assert_eq!(Envelope::parse(&bytes[..length]), Err(EnvelopeError::Malformed), "{envelope:?}");
        }
        bytes.push(0);
        assert_eq!(Envelope::parse(&bytes), Err(EnvelopeError::Malformed), "{envelope:?}");
    }
}

#[test]
fn another_version_says_so_and_an_unknown_kind_is_malformed() {
    let mut bytes = bytes(&examples()[0]);
    bytes[0] = VERSION + 1;
    assert_eq!(Envelope::parse(&bytes), Err(EnvelopeError::Version(VERSION + 1)));
    bytes[0] = VERSION;
    bytes[1] = 11;
    assert_eq!(Envelope::parse(&bytes), Err(EnvelopeError::Malformed));
    let large = vec![VERSION; ENVELOPE_BYTES_MAX + 1];
    assert_eq!(Envelope::parse(&large), Err(EnvelopeError::TooLarge(ENVELOPE_BYTES_MAX + 1)));
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let refused = |word: Word| {
        let bytes = bytes(&Envelope { origin: 1, word });
        assert_eq!(Envelope::parse(&bytes), Err(EnvelopeError::Malformed));
    };
    refused(Word::Typing { room: "a\nb".into(), user: "ann".into() });
    refused(Word::Typing { room: "r".into(), user: "".into() });
    refused(Word::Hold { to: 1, room: "r".repeat(65).into() });
    let inside_out = Span { stream: stream(), first: 5, last: 3 };
    refused(Word::Want { to: 1, room: "r".into(), question: 1, spans: [inside_out].into() });
    let messages = Arc::new([message("1", "hi")]);
    for first_seq in [0, SEQ_MAX + 1, u64::MAX] {
        let (room, messages) = ("r".into(), messages.clone());
        refused(Word::Messages { room, stream: stream(), first_seq, witness: 0, messages });
    }
    let endless = Span { stream: stream(), first: 1, last: u64::MAX };
    refused(Word::Want { to: 1, room: "r".into(), question: 1, spans: [endless].into() });
}

#[test]
fn a_forged_count_reserves_nothing() {
    let mut bytes = bytes(&Envelope { origin: 1, word: Word::Sync { is_fresh: false, rooms: [].into() } });
    let count = bytes.len() - 4;
    bytes[count..].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(Envelope::parse(&bytes), Err(EnvelopeError::Malformed));
}

proptest! {
    #[test]
    fn garbage_never_panics(kind in 0u8..12, tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = vec![VERSION, kind];
        bytes.extend_from_slice(&tail);
        if let Ok(envelope) = Envelope::parse(&bytes) {
            prop_assert_eq!(super::tests::bytes(&envelope), bytes);
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(example in 0usize..11, at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = super::tests::bytes(&examples()[example]);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = Envelope::parse(&bytes);
    }
}
