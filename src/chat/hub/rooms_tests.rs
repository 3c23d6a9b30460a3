//! Rooms in numbers: how fast they come and go.

use super::*;
use crate::chat::limits::{
    ROOMS_DROPPED_BURST, ROOMS_DROPPED_PER_SECOND, ROOMS_MADE_BURST, ROOMS_MADE_PER_SECOND, ROOMS_QUEUED_MAX,
};

fn member(index: usize) -> Member {
    Member { reactor: 0, connection: index as u64 }
}

fn join_room(world: &mut World, index: usize) {
    let (room, user) = (format!("room {index}").as_str().into(), "ann".into());
    let ask = Ask::Join { room, user, client: nonce("x"), visit: 0, since: None };
    world.hub.handle_ask(member(index), ask, world.now);
}

fn leave_room(world: &mut World, index: usize) {
    let (room, user) = (format!("room {index}").as_str().into(), "ann".into());
    world.hub.handle_ask(member(index), Ask::Leave { room, user }, world.now);
}

/// A server that is alone.
fn alone() -> World {
    let mut world = World::new();
    world.pass(LEASE);
    world.hub.take_counts();
    world
}

#[test]
fn new_rooms_are_made_known_as_fast_as_others_can_follow() {
    let mut world = alone();
    (0..=ROOMS_QUEUED_MAX).for_each(|index| join_room(&mut world, index));
    let turn = world.turn();
    assert_eq!(turn.rooms_made, ROOMS_QUEUED_MAX, "who asked for them is told");
    assert_eq!((turn.told(0, "\"overloaded\""), world.hub.take_counts().overloaded), (1, 1));
    let burst = ROOMS_MADE_BURST as usize;
    assert!((burst..=burst + 1).contains(&turn.subscribed.len()), "{} at once", turn.subscribed.len());
    let next = world.live_on(Duration::from_secs(1), &[]).subscribed.len();
    let rate = ROOMS_MADE_PER_SECOND as usize;
    assert!((rate - 1..=rate + 1).contains(&next), "{next} in a second");
    let rest = world.live_on(Duration::from_secs(3), &[]).subscribed.len();
    assert_eq!(turn.subscribed.len() + next + rest, ROOMS_QUEUED_MAX, "nobody is forgotten");
}

#[test]
fn a_room_that_is_there_already_is_not_new() {
    let mut world = alone();
    join_room(&mut world, 1);
    assert_eq!(world.turn().rooms_made, 1);
    let ask =
        Ask::Join { room: "room 1".into(), user: "bob".into(), client: nonce("y"), visit: 0, since: None };
    world.hub.handle_ask(member(2), ask, world.now);
    assert_eq!(world.turn().rooms_made, 0);
}

#[test]
fn rooms_go_in_batches_and_not_if_somebody_comes() {
    const ROOMS: usize = 2000;
    let mut world = alone();
    (0..ROOMS).for_each(|index| join_room(&mut world, index));
    let mut joined = 0;
    while joined < ROOMS {
        let more = world.turn().told(0, "\"joined\"");
        assert!(more > 0, "{joined} of {ROOMS} came in");
        joined += more;
    }
    world.live_on(LEASE, &[]);
    (0..ROOMS).for_each(|index| leave_room(&mut world, index));
    let at_once = world.turn().and(world.turn()).unsubscribed;
    assert!(at_once.len() <= ROOMS_DROPPED_BURST as usize + 1, "{} at once", at_once.len());
    let back = (0..ROOMS).find(|index| !at_once.contains(&format!("room {index}"))).unwrap();
    join_room(&mut world, back);
    let slower = world.pass(ALIVE_INTERVAL).unsubscribed.len();
    let per_interval = ROOMS_DROPPED_PER_SECOND as usize / (1000 / ALIVE_INTERVAL.as_millis() as usize);
    assert!(slower <= per_interval + 1 + ROOMS_DROPPED_BURST as usize - at_once.len().min(500), "{slower}");
    let rest = world.live_on(Duration::from_secs(2), &[]).unsubscribed;
    assert_eq!(at_once.len() + slower + rest.len(), ROOMS - 1);
    assert!(!rest.contains(&format!("room {back}")), "somebody came back");
    assert_eq!(world.hub.rooms().len(), 1);
}
