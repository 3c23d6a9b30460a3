//! Attacks by connections alone.

use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::frames::Seen;
use super::scene::Scene;

/// More silent connections than the server has descriptors.
pub fn silent(scene: &mut Scene<'_>) -> Seen {
    const CONNECTIONS: usize = 400;
    let mut crowd = Crowd::greeting(scene.world.servers[0].address, Vec::new()).coming_back();
    scene.begin();
    crowd.open(CONNECTIONS);
    crowd.until_over(scene);
    crowd.into_seen()
}

/// Requests that come a byte at a time.
pub fn half_heads(scene: &mut Scene<'_>) -> Seen {
    const CONNECTIONS: usize = 3000;
    const INTERVAL: Duration = Duration::from_millis(250);
    let mut crowd =
        Crowd::greeting(scene.world.servers[0].address, b"GET /ws HTTP/1.1\r\nX: ".to_vec()).coming_back();
    scene.begin();
    crowd.open(CONNECTIONS);
    let mut next = Instant::now();
    while !scene.is_over() {
        if Instant::now() >= next {
            (0..CONNECTIONS).for_each(|index| crowd.say(index, b"x"));
            next += INTERVAL;
        }
        crowd.turn(Duration::from_millis(5));
    }
    crowd.into_seen()
}

/// WebSockets that are opened and dropped in a loop.
pub fn come_and_go(scene: &mut Scene<'_>) -> Seen {
    const CONNECTIONS: u64 = 200;
    let mut crowd = Crowd::new(scene.world.servers[0].address);
    scene.begin();
    crowd.open(CONNECTIONS as usize);
    let mut round = 1;
    while !scene.is_over() {
        crowd.turn(Duration::from_millis(5));
        if crowd.seen("welcome") + crowd.seen("ended") >= round * CONNECTIONS {
            crowd.reconnect_all();
            round += 1;
        }
    }
    crowd.into_seen()
}
