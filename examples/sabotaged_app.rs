//! `distr-chat` whose servers break one promise on purpose, so that the chaos test can be seen to find it. `SABOTAGE` says
//! which; the arguments are those of `distr-chat`. See tests/chaos.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use distr_chat::app::bus::Bus;
use distr_chat::app::redis::RedisBus;
use distr_chat::chat::{BusEvent, Carrying};
use distr_chat::lanes::{LaneStatus, Totals};
use distr_chat::net::Poller;
use distr_chat::wire::Envelope;
use distr_chat::wire::envelope::{Message, Position, Span, Word};

fn main() -> ExitCode {
    let sabotage = match std::env::var("SABOTAGE").as_deref() {
        Ok("no-repair") => Sabotage::NoRepair,
        Ok("early-ack") => Sabotage::EarlyAck,
        Ok("no-dedupe") => Sabotage::NoDedupe,
        _ => {
            eprintln!("sabotaged_app: SABOTAGE must be no-repair, early-ack or no-dedupe");
            return ExitCode::FAILURE;
        }
    };
    distr_chat::cli::main_with_bus(|bus| Saboteur {
        bus,
        sabotage,
        peer: None,
        forged: VecDeque::new(),
        woke: Instant::now(),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// Nobody asks for what is missing.
    NoRepair,
    /// Messages are confirmed as soon as they are published.
    EarlyAck,
    /// What was said before is not known again.
    NoDedupe,
}

/// A bus that lies to its hub.
struct Saboteur {
    bus: RedisBus,
    sabotage: Sabotage,
    /// A server that lives, in whose name confirmations are forged.
    peer: Option<u64>,
    forged: VecDeque<Envelope>,
    /// A time that is over.
    woke: Instant,
}

impl Bus for Saboteur {
    fn kind(&self) -> &'static str {
        self.bus.kind()
    }

    fn carrying(&self) -> Carrying {
        self.bus.carrying()
    }

    fn lanes(&self) -> Vec<LaneStatus> {
        self.bus.lanes()
    }

    fn totals(&self) -> Totals {
        self.bus.totals()
    }

    fn subscribe(&mut self, room: &Arc<str>) {
        self.bus.subscribe(room);
    }

    fn unsubscribe(&mut self, room: &Arc<str>) {
        self.bus.unsubscribe(room);
    }

    fn publish(&mut self, envelope: Envelope) {
        match (self.sabotage, &envelope.word) {
            (Sabotage::NoRepair, Word::Want { .. }) => return,
            (Sabotage::EarlyAck, Word::Messages { room, stream, first_seq, messages, .. }) => {
                let last = first_seq + messages.len() as u64 - 1;
                let span = Span { stream: *stream, first: 1, last };
                let position = Position { room: Arc::clone(room), span };
                let word = Word::Have { to: envelope.origin, positions: [position].into() };
                self.forged.extend(self.peer.map(|origin| Envelope { origin, word }));
            }
            _ => {}
        }
        self.bus.publish(envelope);
    }

    fn poll(
        &mut self,
        poller: &Poller,
        now: Instant,
        budget: usize,
        handle: &mut dyn FnMut(BusEvent),
    ) -> bool {
        self.forged.drain(..).for_each(|envelope| handle(BusEvent::Received(envelope)));
        let (sabotage, peer) = (self.sabotage, &mut self.peer);
        self.bus.poll(poller, now, budget, &mut |event| {
            if let BusEvent::Received(Envelope { origin, .. }) = event {
                *peer = Some(origin);
            }
            handle(if sabotage == Sabotage::NoDedupe { forget(event) } else { event });
        })
    }

    fn flush(&mut self, poller: &Poller, now: Instant) -> bool {
        self.bus.flush(poller, now)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.forged.is_empty() { self.bus.poll_timeout() } else { Some(self.woke) }
    }
}

/// The ids of messages that come are made unknown, so that the server cannot know a message again.
fn forget(event: BusEvent) -> BusEvent {
    let BusEvent::Received(Envelope { origin, word }) = event else { return event };
    let word = match word {
        Word::Messages { room, stream, first_seq, witness, messages } => {
            let strange = |message: &Arc<Message>| {
                let id = fastrand::u64(..).to_string().into();
                let (from, text) = (Arc::clone(&message.from), message.text.clone());
                Arc::new(Message { from, client: message.client, id, text, time: message.time })
            };
            let messages = messages.iter().map(strange).collect();
            Word::Messages { room, stream, first_seq, witness, messages }
        }
        word => word,
    };
    BusEvent::Received(Envelope { origin, word })
}
