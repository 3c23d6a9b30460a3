//! Attacks that come in: joins with large answers, and many new rooms.

use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::frames::{Seen, join, send, text};
use super::scene::Scene;

/// A join costs five frames and a leave one: as much as a burst of 200 frames allows.
const JOINS: usize = 33;
/// Fills a ring of 256 KiB.
const TEXTS: u64 = 62;
const TEXT_BYTES: usize = 4096;
const ROOM: &str = "escapes";

/// Few, with one burst of joins and leaves each.
pub fn joins_from_40(scene: &mut Scene<'_>) -> Seen {
    joins(scene, 40, |join, leave| [join, leave].concat().repeat(JOINS))
}

/// Many, with one burst each.
pub fn joins_from_804(scene: &mut Scene<'_>) -> Seen {
    joins(scene, 804, |join, leave| [join, leave].concat().repeat(JOINS))
}

/// Many that come once and take the whole answer, as after a failure.
pub fn joins_once(scene: &mut Scene<'_>) -> Seen {
    joins(scene, 804, |join, _| join.to_vec())
}

/// Few, each of whom takes the whole answer as often as its rate of frames allows.
pub fn joins_again(scene: &mut Scene<'_>) -> Seen {
    const GUESTS: usize = 40;
    /// 48 frames a second.
    const INTERVAL: Duration = Duration::from_millis(125);
    fill_room(scene);
    let mut crowd = Crowd::new(scene.world.servers[0].address);
    crowd.open(GUESTS);
    crowd.await_seen("welcome", GUESTS as u64);
    scene.begin();
    while !scene.is_over() {
        let end = Instant::now() + INTERVAL;
        for index in 0..GUESTS {
            crowd.say(index, &[leave(), join_all(index)].concat());
        }
        while Instant::now() < end {
            crowd.turn(Duration::from_millis(5));
        }
    }
    crowd.into_seen()
}

/// Those that say their burst and are gone before the answers come, again and again: no limit of a connection holds them.
pub fn joins_and_gone(scene: &mut Scene<'_>) -> Seen {
    const GUESTS: usize = 100;
    const ROUND: Duration = Duration::from_millis(250);
    fill_room(scene);
    let mut crowd = Crowd::new(scene.world.servers[0].address);
    crowd.open(GUESTS);
    scene.begin();
    while !scene.is_over() {
        let end = Instant::now() + ROUND;
        for index in 0..crowd.count() {
            crowd.say(index, &[join_all(index), leave()].concat().repeat(JOINS));
        }
        while Instant::now() < end {
            crowd.turn(Duration::from_millis(5));
        }
        crowd.reconnect_all();
    }
    crowd.into_seen()
}

/// Each joins a room whose texts JSON escapes, and asks for all of it.
fn joins(scene: &mut Scene<'_>, count: usize, burst: fn(&[u8], &[u8]) -> Vec<u8>) -> Seen {
    fill_room(scene);
    let mut crowd = Crowd::new(scene.world.servers[0].address);
    crowd.open(count);
    crowd.await_seen("welcome", count as u64);
    scene.begin();
    for index in 0..count {
        crowd.say(index, &burst(&join_all(index), &leave()));
    }
    crowd.until_over(scene);
    crowd.into_seen()
}

fn fill_room(scene: &Scene<'_>) {
    let mut speaker = Crowd::new(scene.world.servers[0].address);
    speaker.open(1);
    speaker.say(0, &join(ROOM, "speaker"));
    // Each control character is one byte in the room, and six in JSON. Something of a text has to be visible.
    let escaped = "\\u0001".repeat(TEXT_BYTES - 1) + "x";
    for id in 0..TEXTS {
        speaker.say(0, &send(ROOM, id, &escaped));
        // One after the other, or the server finds it too slow to read them.
        speaker.await_seen("ack", id + 1);
    }
}

fn join_all(index: usize) -> Vec<u8> {
    text(&format!(r#"{{"type":"join","room":"{ROOM}","user":"guest-{index}","since":{{}}}}"#))
}

fn leave() -> Vec<u8> {
    text(&format!(r#"{{"type":"leave","room":"{ROOM}"}}"#))
}

/// Clients with as many new rooms as each may be in, at both servers.
pub fn new_rooms(scene: &mut Scene<'_>) -> Seen {
    settle(scene, 1600, Duration::MAX)
}

/// Fewer, each of whom comes back every second as another one and wants other rooms: no limit of a connection holds them.
pub fn new_rooms_again(scene: &mut Scene<'_>) -> Seen {
    settle(scene, 800, Duration::from_secs(1))
}

fn settle(scene: &mut Scene<'_>, clients: usize, stay: Duration) -> Seen {
    const ROOMS: usize = 32;
    let mut crowds = [0, 1].map(|server| {
        let mut crowd = Crowd::new(scene.world.servers[server].address);
        crowd.open(clients);
        crowd.await_seen("welcome", clients as u64);
        crowd
    });
    scene.begin();
    for round in 0.. {
        let began = Instant::now();
        for (number, crowd) in crowds.iter_mut().enumerate() {
            for index in 0..clients {
                for room in 0..ROOMS {
                    crowd.say(index, &join(&format!("new-{number}-{round}-{index}-{room}"), "settler"));
                }
            }
        }
        while began.elapsed() < stay && !scene.is_over() {
            crowds.iter_mut().for_each(|crowd| crowd.turn(Duration::from_millis(2)));
        }
        if scene.is_over() {
            break;
        }
        crowds.iter_mut().for_each(Crowd::reconnect_all);
    }
    merge(crowds.map(Crowd::into_seen))
}

fn merge(parts: [Seen; 2]) -> Seen {
    let mut all = Seen::new();
    for (kind, count) in parts.into_iter().flatten() {
        *all.entry(kind).or_default() += count;
    }
    all
}
