//! Who passes on what one server says to another that shares no lane with it.
//!
//! Of the servers that reach both, rendezvous hashing names one, without a word between them. It sends the very bytes
//! once more, on a lane of the other's. **A copy is never passed on again**: it travels on a lane that its origin does not
//! hear, and only what comes on a lane of its origin's is passed on. Whoever hears both has it twice, which the hub
//! undoes as always.
//!
//! Only what is for a room or for all is passed on, since others hear it. The one that is named may not hold the room;
//! then the digests, which are for all, show what is missing, and a server that has it sends it.

use super::peers::Peers;
use super::rendezvous;
use super::set::LaneSet;

/// This server, in the question whether it is to pass something on.
#[derive(Clone, Copy, Debug)]
pub struct Relayer {
    /// Its incarnation.
    pub incarnation: u64,
    /// The lanes that it can publish on.
    pub healthy: LaneSet,
}

/// The lanes on which something of `origin` that came on lane `came_on` is to be published again; `usable` are those
/// that it may be published on at all.
pub fn lanes_for(relayer: Relayer, origin: u64, came_on: usize, usable: LaneSet, peers: &Peers) -> LaneSet {
    let Relayer { incarnation, healthy } = relayer;
    let Some(from) = peers.lanes_of(origin).filter(|lanes| lanes.contains(came_on)) else {
        return LaneSet::EMPTY;
    };
    let mut chosen = LaneSet::EMPTY;
    for (peer, lanes) in peers.iter() {
        let ways = lanes.and(healthy).and(usable);
        let is_cut_off = peer != origin && lanes.is_disjoint(from);
        if is_cut_off
            && ways.is_disjoint(chosen)
            && is_named(incarnation, (origin, from), (peer, lanes), peers)
        {
            chosen = ways.first().map_or(chosen, |lane| chosen.or(LaneSet::of(lane)));
        }
    }
    chosen
}

fn is_named(own: u64, origin: (u64, LaneSet), peer: (u64, LaneSet), peers: &Peers) -> bool {
    let reaches_both = |lanes: &LaneSet| !lanes.is_disjoint(origin.1) && !lanes.is_disjoint(peer.1);
    let score = |server: u64| rendezvous::score(server, (origin.0, peer.0));
    let others = peers.iter().filter(|(_, lanes)| reaches_both(lanes));
    others.map(|(server, _)| score(server)).all(|other| other < score(own))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::peers::Sign;
    use super::*;

    fn set(lanes: &[usize]) -> LaneSet {
        lanes.iter().copied().collect()
    }

    /// Servers 1 and 2 share no lane; the rest hear all.
    const MASKS: [(u64, &[usize]); 5] =
        [(1, &[0]), (2, &[1, 2]), (3, &[0, 1, 2]), (4, &[0, 1, 2]), (5, &[0, 2])];

    fn relayed_by(own: u64, origin: u64, came_on: usize) -> LaneSet {
        let mut peers = Peers::new(3);
        for (origin, lanes) in MASKS.iter().filter(|(server, _)| *server != own) {
            let (name, lanes) = ("app".into(), set(lanes));
            let sign = Sign { origin: *origin, name, beat: 0, lanes, is_leaving: false };
            peers.hear(0, &sign, Duration::from_secs(3), Instant::now());
        }
        assert!(own <= 2 || peers.is_split());
        let own_lanes = MASKS.iter().find(|(server, _)| *server == own).unwrap().1;
        let relayer = Relayer { incarnation: own, healthy: set(own_lanes) };
        lanes_for(relayer, origin, came_on, LaneSet::all(3), &peers)
    }

    #[test]
    fn exactly_one_passes_it_on_and_on_a_lane_of_the_other() {
        let by: Vec<_> = (3..=5).filter(|server| !relayed_by(*server, 1, 0).is_empty()).collect();
        assert_eq!(by.len(), 1, "{by:?}");
        assert!(set(&[1, 2]).contains_all(relayed_by(by[0], 1, 0)));
        let back: Vec<_> =
            (3..=5).map(|server| relayed_by(server, 2, 2)).filter(|lanes| !lanes.is_empty()).collect();
        assert_eq!(back, [set(&[0])]);
    }

    #[test]
    fn a_copy_is_not_passed_on_again() {
        for server in 3..=5 {
            assert_eq!(relayed_by(server, 1, 1), LaneSet::EMPTY, "it came on a lane that 1 does not hear");
            assert_eq!(relayed_by(server, 3, 0), LaneSet::EMPTY, "everybody hears 3");
        }
    }
}
