//! The cost of a message in the hub, from the ask to the last effect: `cargo bench --bench hub`.

use std::time::{Duration, Instant};

use distr_chat::chat::hub::{Effect, Settings};
use distr_chat::chat::{Ask, BusEvent, Carrying, Hub, Member, Notice, Now};
use distr_chat::wire::ClientNonce;
use divan::{Bencher, black_box, counter::ItemsCount};

fn main() {
    divan::main();
}

const UP: Carrying = Carrying { lanes: 1, of: 1 };
const MEMBER: Member = Member { reactor: 0, connection: 1 };

fn hub(now: Now, incarnation: u64, rooms: usize) -> Hub {
    let settings = Settings {
        name: format!("app-{incarnation}").into(),
        incarnation,
        reactors: 2,
        seed: 7,
        settle: Duration::ZERO,
        flush_delay: Duration::ZERO,
        limits: std::sync::Arc::default(),
    };
    let mut hub = Hub::new(settings, now.instant);
    hub.handle_bus_state(UP, now);
    for room in 0..rooms {
        let (room, user) = (room.to_string().into(), "ann".into());
        hub.handle_ask(
            MEMBER,
            Ask::Join { room, user, client: ClientNonce::from_seed(1), visit: 0, since: None },
            now,
        );
    }
    finish(&mut hub, now);
    hub
}

/// Ends a turn, and confirms subscriptions as a bus does.
fn finish(hub: &mut Hub, now: Now) {
    hub.finish_turn(now);
    let (mut subscribed, mut is_over) = (Vec::new(), true);
    while let Some(effect) = hub.poll_effect() {
        match effect {
            Effect::Subscribe(room) => subscribed.push(room),
            Effect::Tell(reactor, Notice::Entered { frame, .. }) => {
                hub.handle_answers_taken(reactor, frame.iter().map(bytes::Bytes::len).sum());
                hub.handle_ask(MEMBER, Ask::Received, now);
                is_over = false;
            }
            effect => drop(black_box(effect)),
        }
    }
    if !is_over || !subscribed.is_empty() {
        subscribed.into_iter().for_each(|room| hub.handle_bus(BusEvent::Subscribed(room), now));
        finish(hub, now);
    }
}

/// Turns of so many messages, all of one room or spread over a thousand.
#[divan::bench(args = [(1, 1), (8, 1), (32, 1), (32, 1000)])]
fn publish(bencher: Bencher<'_, '_>, (messages, rooms): (usize, usize)) {
    let now = Now { instant: Instant::now(), unix_ms: 1_700_000_000_000 };
    let mut hub = hub(now, 1, rooms);
    let mut said = 0;
    bencher.counter(ItemsCount::new(messages)).bench_local(|| {
        for _ in 0..messages {
            said += 1;
            hub.handle_ask(MEMBER, send(said, rooms), now);
        }
        finish(&mut hub, now);
        assert_eq!(hub.take_counts().confirmed, messages as u64);
    });
}

/// The same between two servers that each have a member in every room: what one says the other keeps and confirms. The
/// work of both.
#[divan::bench(args = [(1, 1), (32, 1), (32, 32)])]
fn publish_to_another(bencher: Bencher<'_, '_>, (messages, rooms): (usize, usize)) {
    let mut now = Now { instant: Instant::now(), unix_ms: 1_700_000_000_000 };
    let mut hubs = [1, 2].map(|incarnation| hub(now, incarnation, rooms));
    // They answer each other, and then tell which rooms they hold: rosters are told every 250 ms.
    for _ in 0..10 {
        now.instant += Duration::from_millis(100);
        now.unix_ms += 100;
        exchange(&mut hubs, now);
    }
    let mut said = 0;
    bencher.counter(ItemsCount::new(messages)).bench_local(|| {
        now.instant += Duration::from_millis(1);
        now.unix_ms += 1;
        for _ in 0..messages {
            said += 1;
            hubs[0].handle_ask(MEMBER, send(said, rooms), now);
        }
        exchange(&mut hubs, now);
        assert_eq!(hubs[0].take_counts().confirmed, messages as u64);
    });
}

/// Turns of both until none has anything for the other.
fn exchange(hubs: &mut [Hub; 2], now: Now) {
    let mut heard = Vec::new();
    hubs.iter_mut().for_each(|hub| hub.handle_bus_state(UP, now));
    loop {
        for (from, hub) in hubs.iter_mut().enumerate() {
            hub.handle_timeout(now);
            hub.finish_turn(now);
            while let Some(effect) = hub.poll_effect() {
                match effect {
                    Effect::Publish(envelope) => heard.push((1 - from, BusEvent::Received(envelope))),
                    Effect::Subscribe(room) => heard.push((from, BusEvent::Subscribed(room))),
                    effect => drop(black_box(effect)),
                }
            }
        }
        if heard.is_empty() {
            return;
        }
        heard.drain(..).for_each(|(to, event)| hubs[to].handle_bus(event, now));
    }
}

fn send(said: usize, rooms: usize) -> Ask {
    let (room, id) = ((said % rooms).to_string().into(), said.to_string().into());
    Ask::Send { room, user: "ann".into(), client: 1, id, text: "hello, is anybody there?".into() }
}

/// A join that is told the last fifty messages.
#[divan::bench]
fn join_with_history(bencher: Bencher<'_, '_>) {
    let now = Now { instant: Instant::now(), unix_ms: 1_700_000_000_000 };
    let mut hub = hub(now, 1, 1);
    for said in 0..50 {
        hub.handle_ask(MEMBER, send(said, 1), now);
    }
    finish(&mut hub, now);
    bencher.bench_local(|| {
        let (room, user) = ("0".into(), "ann".into());
        hub.handle_ask(
            MEMBER,
            Ask::Join { room, user, client: ClientNonce::from_seed(1), visit: 0, since: None },
            now,
        );
        finish(&mut hub, now);
        hub.handle_ask(MEMBER, Ask::Leave { room: "0".into(), user: "ann".into() }, now);
        finish(&mut hub, now);
    });
}
