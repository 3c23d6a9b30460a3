//! Attacks by connections that send as fast as they can.

use std::net::SocketAddr;

use super::crowd::Crowd;
use super::frames::{Seen, UPGRADE, in_single_bytes, masked, text};
use super::scene::Scene;

const CLIENTS: usize = 20;
/// What is sent again and again, in bytes, so that it is not one system call for each frame.
const CHUNK_BYTES: usize = 64 * 1024;
const PING: u8 = 0x89;
const FIRST_FRAGMENT: u8 = 0x01;
const NEXT_FRAGMENT: u8 = 0x00;

/// Pings of RFC 6455.
pub fn pings(scene: &mut Scene<'_>) -> Seen {
    flood(scene, &[], &masked(PING, b"12345678"))
}

/// One message of empty fragments, without an end.
pub fn empty_fragments(scene: &mut Scene<'_>) -> Seen {
    flood(scene, &masked(FIRST_FRAGMENT, &[]), &masked(NEXT_FRAGMENT, &[]))
}

/// Messages that a byte a fragment makes large.
pub fn single_bytes(scene: &mut Scene<'_>) -> Seen {
    flood(scene, &[], &in_single_bytes(&format!("{:16000}", r#"{"type":"ping"}"#)))
}

/// Text that is no frame of the protocol.
pub fn garbage(scene: &mut Scene<'_>) -> Seen {
    flood(scene, &[], &text(&"[".repeat(1000)))
}

fn flood(scene: &mut Scene<'_>, first: &[u8], frame: &[u8]) -> Seen {
    let mut crowd = Crowd::greeting(scene.world.servers[0].address, [UPGRADE, first].concat()).coming_back();
    crowd.open(CLIENTS);
    crowd.await_seen("welcome", CLIENTS as u64);
    scene.begin();
    crowd.flood(frame.repeat(CHUNK_BYTES.div_ceil(frame.len())));
    crowd.until_over(scene);
    crowd.into_seen()
}

/// Questions to a balancer where to go.
pub fn assigns(scene: &mut Scene<'_>) -> Seen {
    requests(scene, scene.world.balancer.address, b"GET /assign HTTP/1.1\r\nHost: attack\r\n\r\n")
}

/// Questions to a server how it is, which its hub answers.
pub fn statuses(scene: &mut Scene<'_>) -> Seen {
    requests(scene, scene.world.servers[0].address, b"GET /status HTTP/1.1\r\nHost: attack\r\n\r\n")
}

/// The same of its counters, which its reactors answer.
pub fn metrics(scene: &mut Scene<'_>) -> Seen {
    requests(scene, scene.world.servers[0].address, b"GET /metrics HTTP/1.1\r\nHost: attack\r\n\r\n")
}

/// The same request again and again, many at a time in each connection.
fn requests(scene: &mut Scene<'_>, node: SocketAddr, request: &'static [u8]) -> Seen {
    let mut crowd = Crowd::greeting(node, request.to_vec()).coming_back();
    crowd.open(CLIENTS);
    scene.begin();
    crowd.flood(request.repeat(CHUNK_BYTES / request.len()));
    crowd.until_over(scene);
    crowd.into_seen()
}
