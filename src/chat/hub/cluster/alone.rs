//! Who lives, who may be alone, and who goes.

use super::*;

/// A server has died. What it said last lay for 70 s in a Redis node that stood still.
#[test]
fn the_dead_do_not_come_back_after_a_minute() {
    let mut cluster = Cluster::new(3);
    cluster.come(BOB, 1);
    cluster.pass(1000);
    cluster.on_the_way(|from, _, _| if from == 0 { IsLate(70_000) } else { Comes });
    cluster.come(ANN, 0);
    cluster.pass(1500);
    cluster.kill(0);
    let dead = cluster.incarnation(0);
    cluster.pass(68_000);
    assert!(!cluster.servers[1].takes_for_live(dead));
    for text in 1..=8 {
        cluster.say(BOB, text);
        cluster.pass(500);
        assert!(!cluster.servers[1].takes_for_live(dead), "after {text} half seconds");
        assert_eq!(cluster.people[BOB].acked.len() as u64, text, "nobody waits for it");
    }
    assert_eq!(cluster.people[BOB].joined, ["bob"], "nobody came");
}

/// A server with one of three Redis nodes is cut off from the others, and dies before it is back.
#[test]
fn a_server_that_is_cut_off_acknowledges_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.come(ANN, 0);
    cluster.come(BOB, 1);
    cluster.pass(1000);
    cluster.on_the_way(|from, to, _| if from == 0 || to == 0 { IsLost } else { Comes });
    cluster.servers[0].lanes = 1;
    cluster.servers[1].lanes = 2;
    cluster.servers[2].lanes = 2;
    cluster.pass(4000);
    cluster.say(ANN, 1);
    cluster.say(BOB, 2);
    cluster.pass(5000);
    assert_eq!((&cluster.people[ANN].acked[..], &cluster.people[BOB].acked[..]), (&[][..], &[2][..]));
    cluster.assert_seen(&[ANN], 1..=1);
    cluster.kill(0);
    cluster.come(CAT, 2);
    cluster.come(ANN, 2);
    cluster.pass(500);
    cluster.say(ANN, 3);
    cluster.pass(2000);
    assert_eq!(cluster.people[ANN].acked, [3]);
    cluster.assert_seen(&[ANN, BOB, CAT], 2..=3);
}

/// All Redis nodes are away for 5 s, and one of two servers reaches them a second before the other one.
#[test]
fn the_first_server_that_is_back_does_not_find_itself_alone() {
    let mut cluster = Cluster::new(2);
    cluster.come(ANN, 0);
    cluster.come(BOB, 1);
    cluster.pass(1000);
    cluster.on_the_way(|_, _, _| IsLost);
    cluster.servers.iter_mut().for_each(|server| server.lanes = 0);
    cluster.pass(2000);
    cluster.say(ANN, 1);
    cluster.pass(3000);
    cluster.servers[0].lanes = 3;
    cluster.pass(700);
    cluster.say(ANN, 2);
    cluster.pass(300);
    assert_eq!(cluster.people[ANN].acked, [0; 0], "the other one is about to come");
    cluster.servers[1].lanes = 3;
    cluster.all_comes();
    cluster.pass(3000);
    assert_eq!(cluster.people[ANN].acked, [1, 2]);
    cluster.assert_seen(&[ANN, BOB], 1..=2);
}

/// A word takes up to half a second from server to server. Bob, who has seen nothing yet, comes back to a server that
/// has just started.
#[test]
fn a_room_is_fetched_whole_where_words_take_long() {
    for leg in [100, 250, 500] {
        let mut cluster = Cluster::new(0);
        cluster.on_the_way(move |_, _, _| IsLate(leg));
        (0..2).for_each(|_| _ = cluster.start_server());
        cluster.pass(8000);
        cluster.come(ANN, 0);
        cluster.pass(6000);
        cluster.come(BOB, 1);
        cluster.pass(6000);
        cluster.go(BOB);
        cluster.say_all(ANN, 1..=30);
        cluster.pass(6000);
        assert_eq!(cluster.people[ANN].acked.len(), 30);
        let newcomer = cluster.start_server();
        cluster.pass(6000);
        cluster.come(BOB, newcomer);
        cluster.pass(10_000);
        assert_eq!(cluster.people[BOB].completes, [true, true], "a leg of {leg} ms");
        cluster.assert_seen(&[ANN, BOB], 1..=30);
    }
}
