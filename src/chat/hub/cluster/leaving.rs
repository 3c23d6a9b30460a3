//! A server that ends as planned hands over first.

use super::*;

/// One of the two servers that hold a room leaves, and a third one is there.
#[test]
fn a_room_is_held_twice_by_others_when_a_server_leaves() {
    let mut cluster = Cluster::new(3);
    cluster.come(ANN, 0);
    cluster.come(BOB, 1);
    cluster.pass(1000);
    cluster.say_all(ANN, 1..=50);
    cluster.pass(1000);
    assert_eq!(cluster.people[ANN].acked.len(), 50);
    cluster.go(ANN);
    cluster.pass(STEP);
    cluster.end_server(0);
    for text in 1..=50 {
        let place = cluster.people[ANN].places(text)[0];
        assert!(cluster.keeps(1, place) && cluster.keeps(2, place), "{place:?} is held once");
    }
}
