//! Attacks that come in: joins with large answers, and many new rooms.

use super::crowd::Crowd;
use super::frames::{Seen, join, send, text};
use super::scene::Scene;

/// A join costs five frames and a leave one: as much as a burst of 200 frames allows.
const JOINS: usize = 33;
/// Fills a ring of 256 KiB.
const TEXTS: u64 = 62;
const TEXT_BYTES: usize = 4096;
const ROOM: &str = "escapes";
const FRAMES_PER_SECOND: u64 = 50;

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

/// Each joins a room whose texts JSON escapes, and asks for all of it.
fn joins(scene: &mut Scene<'_>, count: usize, burst: fn(&[u8], &[u8]) -> Vec<u8>) -> Seen {
    let server = scene.world.servers[0].address;
    let mut speaker = Crowd::new(server);
    speaker.open(1);
    speaker.say(0, &join(ROOM, "speaker"));
    // Each control character is one byte in the room, and six in JSON. Something of a text has to be visible.
    let escaped = "\\u0001".repeat(TEXT_BYTES - 1) + "x";
    for id in 0..TEXTS {
        speaker.say(0, &send(ROOM, id, &escaped));
        speaker.await_seen("ack", (id + 1).saturating_sub(FRAMES_PER_SECOND / 2));
    }
    speaker.await_seen("ack", TEXTS);
    let mut crowd = Crowd::new(server);
    crowd.open(count);
    crowd.await_seen("welcome", count as u64);
    scene.begin();
    let leave = text(&format!(r#"{{"type":"leave","room":"{ROOM}"}}"#));
    for index in 0..count {
        let join = format!(r#"{{"type":"join","room":"{ROOM}","user":"guest-{index}","since":{{}}}}"#);
        crowd.say(index, &burst(&text(&join), &leave));
    }
    crowd.until_over(scene);
    crowd.into_seen()
}

/// Clients with as many new rooms as each may be in, at both servers.
pub fn new_rooms(scene: &mut Scene<'_>) -> Seen {
    const CLIENTS: usize = 1600;
    const ROOMS: usize = 32;
    let mut crowds = [0, 1].map(|server| {
        let mut crowd = Crowd::new(scene.world.servers[server].address);
        crowd.open(CLIENTS);
        crowd.await_seen("welcome", CLIENTS as u64);
        crowd
    });
    scene.begin();
    for (number, crowd) in crowds.iter_mut().enumerate() {
        for index in 0..CLIENTS {
            for room in 0..ROOMS {
                crowd.say(index, &join(&format!("new-{number}-{index}-{room}"), "settler"));
            }
        }
    }
    while !scene.is_over() {
        crowds.iter_mut().for_each(|crowd| crowd.turn(std::time::Duration::from_millis(2)));
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
