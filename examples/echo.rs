//! A WebSocket echo server on the same poller, codec, limits and outbox as the chat: for conformance suites and
//! benchmarks. `cargo run --release --example echo -- 127.0.0.1:9001 [REACTORS]`

use std::io::{self, Write};
use std::time::Instant;

use bytes::Bytes;
use distr_chat::net::{Key, descriptors};
use distr_chat::serve::{Answer, Clients, Limits, Metrics, Server, Service};
use distr_chat::wire::{Event, Request, frame};
use prometheus_client::registry::Registry;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// Conformance suites send messages of up to 16 MiB.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

struct Echo;

impl Service for Echo {
    type Session = ();

    fn handle_request(&mut self, _: Key, _: &Request<'_>, _: Instant) -> Answer<()> {
        Answer::WebSocket(())
    }

    fn handle_message(&mut self, id: Key, message: Event<'_>, clients: &mut Clients<()>, _: Instant) {
        let (opcode, payload) = match &message {
            Event::Text(text) => (OpCode::Data(Data::Text), text.as_bytes()),
            Event::Binary(bytes) => (OpCode::Data(Data::Binary), &bytes[..]),
            _ => unreachable!("only messages come here"),
        };
        let mut out = Vec::with_capacity(payload.len() + frame::HEADER_BYTES_MAX);
        frame::encode(opcode, payload, &mut out);
        clients.send(id, &Bytes::from(out));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().as_deref().unwrap_or("127.0.0.1:9001").parse()?;
    let reactors = arguments.next().as_deref().unwrap_or("1").parse()?;
    descriptors::raise_limit();
    let limits = Limits {
        message_bytes_max: MESSAGE_BYTES_MAX,
        queue_bytes_max: 4 * MESSAGE_BYTES_MAX,
        ..Limits::default()
    };
    let metrics = Metrics::register(&mut Registry::default(), reactors);
    let server = Server::start("echo", address, reactors, limits, &metrics, |_, _| Echo)?;
    writeln!(io::stdout(), "echo listens at ws://{}", server.address())?;
    loop {
        std::thread::park();
    }
}
