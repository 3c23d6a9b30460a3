//! The cost of a message in the hub, from the ask to the last effect: `cargo bench --bench hub`.

use std::time::Instant;

use distr_chat::chat::hub::Settings;
use distr_chat::chat::{Ask, Hub, Member, Now};
use divan::{Bencher, black_box, counter::ItemsCount};

fn main() {
    divan::main();
}

const MEMBER: Member = Member { reactor: 0, connection: 1 };

fn hub(now: Now, rooms: usize) -> Hub {
    let settings = Settings { name: "app-1".into(), incarnation: 1, reactors: 2, seed: 7 };
    let mut hub = Hub::new(settings, now.instant);
    for room in 0..rooms {
        let (room, user) = (room.to_string().into(), "ann".into());
        hub.handle_ask(MEMBER, Ask::Join { room, user, visit: 0, since: None }, now);
    }
    finish(&mut hub);
    hub
}

fn finish(hub: &mut Hub) {
    hub.finish_turn();
    while let Some(effect) = hub.poll_effect() {
        black_box(effect);
    }
}

/// Turns of so many messages, all of one room or spread over a thousand.
#[divan::bench(args = [(1, 1), (8, 1), (32, 1), (32, 1000)])]
fn publish(bencher: Bencher<'_, '_>, (messages, rooms): (usize, usize)) {
    let now = Now { instant: Instant::now(), unix_ms: 1_700_000_000_000 };
    let mut hub = hub(now, rooms);
    let mut said = 0;
    bencher.counter(ItemsCount::new(messages)).bench_local(|| {
        for _ in 0..messages {
            said += 1;
            let room = (said % rooms).to_string().into();
            let (id, text) = (said.to_string().into(), "hello, is anybody there?".into());
            hub.handle_ask(MEMBER, Ask::Send { room, user: "ann".into(), id, text }, now);
        }
        finish(&mut hub);
    });
}

/// A join that is told the last fifty messages.
#[divan::bench]
fn join_with_history(bencher: Bencher<'_, '_>) {
    let now = Now { instant: Instant::now(), unix_ms: 1_700_000_000_000 };
    let mut hub = hub(now, 1);
    for said in 0..50 {
        let (room, id) = ("0".into(), said.to_string().into());
        let text = "hello, is anybody there?".into();
        hub.handle_ask(MEMBER, Ask::Send { room, user: "ann".into(), id, text }, now);
    }
    finish(&mut hub);
    bencher.bench_local(|| {
        let (room, user) = ("0".into(), "ann".into());
        hub.handle_ask(MEMBER, Ask::Join { room, user, visit: 0, since: None }, now);
        finish(&mut hub);
        hub.handle_ask(MEMBER, Ask::Leave { room: "0".into(), user: "ann".into() }, now);
        finish(&mut hub);
    });
}
