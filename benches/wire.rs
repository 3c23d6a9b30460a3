//! The cost of formats: `cargo bench --bench wire`.

use bytes::Bytes;
use distr_chat::wire::{ClientMessage, Decoder, Heartbeat, ServerMessage, StreamId};
use divan::{Bencher, black_box, counter::ItemsCount};

fn main() {
    divan::main();
}

/// Masked text frames of so many bytes each, as many as fill a reactor's read buffer.
fn frames(payload: usize) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let mut count = 0;
    while bytes.len() + payload + 8 < 64 * 1024 {
        bytes.push(0x81);
        match payload {
            0..126 => bytes.push(0x80 | payload as u8),
            _ => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(payload as u16).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend(std::iter::repeat_n(b'x', payload));
        count += 1;
    }
    (bytes, count)
}

#[divan::bench(args = [32, 200, 2000])]
fn decode_frame(bencher: Bencher<'_, '_>, payload: usize) {
    let (mut bytes, count) = frames(payload);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let (mut decoder, mut from) = (Decoder::default(), 0);
        while let Ok((used @ 1.., event)) = decoder.decode(&mut bytes[from..], 32 * 1024) {
            black_box(event);
            from += used;
        }
        assert_eq!(from, bytes.len());
    });
}

#[divan::bench]
fn parse_send() {
    let text = r#"{"type":"send","room":"lobby","id":"8f3a-17","text":"hello, is anybody there?"}"#;
    black_box(ClientMessage::parse(black_box(text)).expect("it is right"));
}

#[divan::bench]
fn parse_join() {
    let text = r#"{"type":"join","room":"lobby","user":"ann","since":{"1933d8a0c8c00001.0":17}}"#;
    black_box(ClientMessage::parse(black_box(text)).expect("it is right"));
}

#[divan::bench]
fn encode_message(bencher: Bencher<'_, '_>) {
    let message = ServerMessage::Message {
        room: "lobby",
        from: "ann",
        text: "hello, is anybody there?",
        time: 1_700_000_000_000,
        stream: StreamId { origin: 0x1933_d8a0_c8c0_0001, generation: 0 },
        seq: 18,
        id: "8f3a-17",
    };
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    bencher.bench_local(|| {
        out.clear();
        message.encode(&mut scratch, &mut out);
        black_box(&out);
    });
}

#[divan::bench]
fn parse_heartbeat(bencher: Bencher<'_, '_>) {
    let datagram = Bytes::from(
        Heartbeat {
            name: "app-1".into(),
            incarnation: 1,
            number: 7,
            url: "ws://{host}:5001/ws".into(),
            connections: 300,
            capacity: 20_000,
            loop_lag_us: 0,
            time_ms: 0,
            accepted: vec![("lb-1".into(), 100), ("lb-2".into(), 100), ("lb-3".into(), 100)],
            draining: false,
            deaf: false,
            full: false,
        }
        .encode(None),
    );
    bencher.bench_local(|| Heartbeat::parse(black_box(&datagram), None));
}
