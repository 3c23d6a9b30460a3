//! Attacks by what a room says: readers that do not read, and members that say as much as they may.

use std::net::SocketAddr;
use std::time::Duration;

use super::crowd::Crowd;
use super::frames::{Seen, join, send, text};
use super::scene::Scene;

const ROOM: &str = "busy";
/// Less than the 50 that a client may.
const PER_SECOND: u32 = 45;
const TEXT_BYTES: usize = 4000;

/// Members of a busy room that take nothing.
pub fn slow_readers(scene: &mut Scene<'_>) -> Seen {
    unread(scene, scene.world.servers[0].address)
}

/// The same through the balancer.
pub fn slow_proxied_readers(scene: &mut Scene<'_>) -> Seen {
    unread(scene, scene.world.balancer.address)
}

fn unread(scene: &mut Scene<'_>, entrance: SocketAddr) -> Seen {
    const READERS: usize = 500;
    const SPEAKERS: usize = 5;
    let mut readers = Crowd::new(entrance);
    enter(&mut readers, READERS, "reader");
    readers.stop_reading();
    let mut speakers = Crowd::new(scene.world.servers[0].address);
    enter(&mut speakers, SPEAKERS, "speaker");
    scene.begin();
    let mut id = 0;
    at_rate(scene, &mut speakers, |speakers| {
        for index in 0..SPEAKERS {
            id += 1;
            speakers.say(index, &send(ROOM, id, &"x".repeat(TEXT_BYTES)));
        }
    });
    speakers.into_seen()
}

/// Members that say the largest texts as fast as they may, to others who read.
pub fn large_texts(scene: &mut Scene<'_>) -> Seen {
    const MEMBERS: usize = 100;
    const SPEAKERS: usize = 10;
    let mut members = Crowd::new(scene.world.servers[0].address);
    enter(&mut members, MEMBERS, "member");
    scene.begin();
    let mut id = 0;
    at_rate(scene, &mut members, |members| {
        for index in 0..SPEAKERS {
            id += 1;
            members.say(index, &send(ROOM, id, &"x".repeat(TEXT_BYTES)));
        }
    });
    members.into_seen()
}

/// Members that are all writing all the time.
pub fn typing(scene: &mut Scene<'_>) -> Seen {
    const MEMBERS: usize = 400;
    let mut members = Crowd::new(scene.world.servers[0].address);
    enter(&mut members, MEMBERS, "member");
    scene.begin();
    let typing = text(&format!(r#"{{"type":"typing","room":"{ROOM}"}}"#));
    at_rate(scene, &mut members, |members| {
        for index in 0..members.count() {
            members.say(index, &typing);
        }
    });
    members.into_seen()
}

fn enter(crowd: &mut Crowd, count: usize, user: &str) {
    crowd.open(count);
    for index in 0..count {
        crowd.say(index, &join(ROOM, &format!("{user}-{index}")));
    }
    crowd.await_seen("joined", count as u64);
}

fn at_rate(scene: &Scene<'_>, crowd: &mut Crowd, mut act: impl FnMut(&mut Crowd)) {
    let interval = Duration::from_secs(1) / PER_SECOND;
    let mut next = std::time::Instant::now();
    while !scene.is_over() {
        let now = std::time::Instant::now();
        if now >= next {
            act(crowd);
            next = now + interval;
        }
        crowd.turn(next.saturating_duration_since(now));
    }
}
