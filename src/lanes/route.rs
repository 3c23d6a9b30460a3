//! On which lanes something is published.

use super::peers::Peers;
use super::rendezvous::Order;
use super::set::LaneSet;

/// Which lanes are fit for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Both connections are made and all channels confirmed.
    pub open: LaneSet,
    /// Of those, the ones whose node answers in time.
    pub healthy: LaneSet,
    /// Of those, the ones that have been so for a while.
    pub settled: LaneSet,
}

/// For a room: one lane that everybody hears, or else as few as reach everybody who can be reached, or else any.
pub fn for_room(order: &Order, health: Health, peers: &Peers) -> LaneSet {
    let first =
        |lanes: LaneSet| order.iter().map(|lane| usize::from(*lane)).find(|lane| lanes.contains(*lane));
    let common =
        first(health.settled.and(peers.common())).or_else(|| first(health.healthy.and(peers.common())));
    if let Some(lane) = common {
        return LaneSet::of(lane);
    }
    let covering = covering(order, health.healthy, peers);
    if !covering.is_empty() {
        return covering;
    }
    first(health.healthy).or_else(|| first(health.open)).map_or(LaneSet::EMPTY, LaneSet::of)
}

/// The lane that reaches most of those not reached yet, again and again; of equals the room's first.
fn covering(order: &Order, healthy: LaneSet, peers: &Peers) -> LaneSet {
    let usable = || order.iter().map(|lane| usize::from(*lane)).filter(|lane| healthy.contains(*lane));
    let reachable: LaneSet = usable().collect();
    let mut missing: Vec<_> =
        peers.iter().map(|(_, lanes)| lanes).filter(|lanes| !lanes.is_disjoint(reachable)).collect();
    let mut chosen = LaneSet::EMPTY;
    while !missing.is_empty() {
        let reached = |lane: &usize| missing.iter().filter(|lanes| lanes.contains(*lane)).count();
        let Some(best) = usable().rev().max_by_key(reached) else { break };
        chosen.insert(best);
        missing.retain(|lanes| !lanes.contains(best));
    }
    chosen
}

/// For a second copy: the room's next lane that was not tried.
pub fn for_copy(order: &Order, usable: LaneSet, tried: LaneSet) -> Option<usize> {
    let untried = usable.without(tried);
    order.iter().map(|lane| usize::from(*lane)).find(|lane| untried.contains(*lane))
}

/// For one server that hears `lanes`: each time the next of those that fit, so that what is said again takes another
/// way.
pub fn for_server(lanes: Option<LaneSet>, usable: LaneSet, turn: usize) -> Option<usize> {
    let both = usable.and(lanes.unwrap_or(usable));
    let choice = if both.is_empty() { usable } else { both };
    choice.iter().nth(turn % choice.len().max(1))
}

/// For all.
pub fn for_all(health: Health) -> LaneSet {
    if health.healthy.is_empty() { health.open } else { health.healthy }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::peers::Sign;
    use super::*;

    fn set(lanes: &[usize]) -> LaneSet {
        lanes.iter().copied().collect()
    }

    fn peers(masks: &[&[usize]]) -> Peers {
        let mut peers = Peers::new(3);
        for (origin, lanes) in masks.iter().enumerate() {
            let sign = Sign {
                origin: origin as u64,
                name: "app".into(),
                beat: 0,
                lanes: set(lanes),
                is_leaving: false,
            };
            peers.hear(0, &sign, Duration::from_secs(3), Instant::now());
        }
        peers
    }

    fn route(health: [&[usize]; 3], masks: &[&[usize]]) -> LaneSet {
        let [open, healthy, settled] = health.map(set);
        for_room(&Order::from_slice(&[2, 0, 1]), Health { open, healthy, settled }, &peers(masks))
    }

    #[test]
    fn a_room_takes_the_first_lane_that_everybody_hears() {
        let all: &[usize] = &[0, 1, 2];
        assert_eq!(route([all, all, all], &[]), set(&[2]), "nobody else: the room's first");
        assert_eq!(route([all, all, all], &[all, &[0, 1]]), set(&[0]), "one does not hear lane 2");
        assert_eq!(route([all, all, &[0, 1]], &[all]), set(&[0]), "lane 2 has only just come back");
        assert_eq!(route([all, all, &[0, 1]], &[&[2]]), set(&[2]), "but nobody hears another");
        assert_eq!(route([all, &[1], &[]], &[all]), set(&[1]), "the others are suspect");
    }

    #[test]
    fn without_such_a_lane_as_few_as_reach_everybody() {
        let all: &[usize] = &[0, 1, 2];
        assert_eq!(route([all, all, all], &[&[0], &[1], &[0, 1]]), set(&[0, 1]));
        assert_eq!(route([all, all, all], &[&[0], &[1, 2], &[2]]), set(&[0, 2]));
        assert_eq!(
            route([all, all, all], &[&[0], &[0, 1, 2], &[2]]),
            set(&[0, 2]),
            "of equals the room's first"
        );
        assert_eq!(route([all, &[0, 1], &[0, 1]], &[&[2], &[0, 1]]), set(&[0]), "and so it is here");
        assert_eq!(route([all, &[0, 1], &[0, 1]], &[&[2], &[1]]), set(&[1]), "the first cannot be reached");
        assert_eq!(route([all, &[1], &[1]], &[&[2]]), set(&[1]), "nobody can: any that answers");
        assert_eq!(route([all, &[], &[]], &[&[2]]), set(&[2]), "all suspect: the room's first");
        assert_eq!(route([&[], &[], &[]], &[]), LaneSet::EMPTY);
    }

    #[test]
    fn what_is_said_again_to_a_server_takes_another_lane() {
        let usable = set(&[0, 1, 2]);
        let ways: Vec<_> = (0..3).map(|turn| for_server(Some(set(&[0, 2])), usable, turn)).collect();
        assert_eq!(ways, [Some(0), Some(2), Some(0)]);
        assert_eq!(for_server(None, usable, 1), Some(1), "a server that is not known yet");
        assert_eq!(for_server(Some(set(&[1])), set(&[0]), 5), Some(0), "no lane in common: any");
        assert_eq!(for_server(None, LaneSet::EMPTY, 5), None);
        assert_eq!(for_copy(&Order::from_slice(&[2, 0, 1]), usable, set(&[2])), Some(0));
        assert_eq!(for_copy(&Order::from_slice(&[2, 0, 1]), usable, usable), None);
    }
}
