//! What rings keep, and what newcomers begin with.

use super::super::CAT as CAT_STREAM;
use super::*;

/// More waits for a replica than a ring has room for, and one of the first is lost on its way.
#[test]
fn what_waits_for_a_replica_is_sent_again_though_a_ring_holds_less() {
    let mut cluster = Cluster::new(2);
    cluster.come(ANN, 0);
    cluster.come(BOB, 1);
    cluster.pass(1000);
    cluster.people[ANN].text_bytes = 4000;
    cluster.on_the_way(|_, _, word| if has_message(word, 5) { IsLost } else { Comes });
    cluster.say_all(ANN, 1..=100);
    cluster.all_comes();
    cluster.pass(3000);
    cluster.assert_seen(&[ANN, BOB], 1..=100);
    assert_eq!(cluster.people[ANN].acked.len(), 100);
    assert!(cluster.people[BOB].texts().eq(1..=100), "{:?}", cluster.people[BOB]);
}

/// The only replica dies while more waits for it than a ring has room for.
#[test]
fn a_new_replica_receives_all_that_waits_before_it_is_acked() {
    let mut cluster = Cluster::new(3);
    cluster.come(ANN, 0);
    cluster.come(BOB, 1);
    cluster.pass(1000);
    cluster.people[ANN].text_bytes = 4000;
    cluster.kill(1);
    cluster.say_all(ANN, 1..=100);
    cluster.pass(5000);
    assert_eq!(cluster.people[ANN].acked.len(), 100);
    cluster.assert_seen(&[ANN], 1..=100);
    assert!(cluster.people[ANN].texts().eq(1..=100), "{:?}", cluster.people[ANN]);
    cluster.kill(0);
    cluster.come(CAT, 2);
    cluster.pass(5000);
    cluster.assert_seen(&[CAT], 51..=100);
}

/// 3 of a stream is kept nowhere any longer; 1, 2 and 4 are.
#[test]
fn what_is_kept_before_a_gap_is_offered_to_others() {
    let mut world = World::with_peer();
    world.say_word(messages(1, &["a", "b"]));
    world.say_word(messages(4, &["d"]));
    world.pass(GAP_PATIENCE);
    world.say_word(repair(&[], &[Span { stream: CAT_STREAM, first: 3, last: 3 }]));
    assert_eq!(world.turn().told(0, "\"gap\""), 1);
    world.say_word(Word::Sync { is_fresh: false, rooms: ["r".into()].into() });
    let turn = world.turn();
    let kept = turn.published.iter().find_map(|word| match word {
        Word::Digest { to: 2, rooms } => rooms[0].spans.iter().find(|span| span.stream == CAT_STREAM),
        _ => None,
    });
    assert_eq!(kept, Some(&Span { stream: CAT_STREAM, first: 1, last: 4 }));
}

/// A room is opened without the answer of the only other server, which stands still. Its ring has lost the first 200.
#[test]
fn a_late_answer_is_where_a_stream_begins_and_no_gap() {
    let mut cluster = Cluster::new(1);
    cluster.come(ANN, 0);
    cluster.pass(1000);
    (0..12).for_each(|hundred| cluster.say_all(ANN, hundred * 100 + 1..=hundred * 100 + 100));
    cluster.on_the_way(|_, _, word| if matches!(word, Word::Hold { .. }) { IsLost } else { Comes });
    cluster.start_server();
    cluster.pass(2000);
    cluster.servers[0].is_stalled = true;
    cluster.come(BOB, 1);
    cluster.pass(1500);
    assert_eq!(cluster.people[BOB].completes.len(), 1, "he waits no longer");
    cluster.servers[0].is_stalled = false;
    cluster.pass(3000);
    cluster.assert_seen(&[BOB], 201..=1200);
}

/// A room lives through 66 servers that come, say something and go, beside one that stays.
#[test]
fn a_room_that_outlived_many_servers_is_fetched_whole() {
    const DEPLOYS: u64 = 66;
    let mut cluster = Cluster::new(1);
    cluster.come(BOB, 0);
    cluster.pass(500);
    for deploy in 1..=DEPLOYS {
        let server = cluster.start_server();
        cluster.pass(500);
        cluster.come(ANN, server);
        cluster.pass(200);
        cluster.say(ANN, deploy);
        cluster.pass(200);
        cluster.go(ANN);
        cluster.pass(STEP);
        cluster.end_server(server);
    }
    let replica = cluster.start_server();
    cluster.pass(1000);
    cluster.say(BOB, 100);
    cluster.pass(1000);
    cluster.kill(replica);
    // The servers that went are forgotten.
    cluster.pass(61_000);
    let newcomer = cluster.start_server();
    cluster.pass(1000);
    cluster.come(CAT, newcomer);
    cluster.pass(2000);
    assert_eq!(cluster.people[BOB].acked, [100]);
    cluster.assert_seen(&[CAT], 100..=100);
    assert!(cluster.people[CAT].streams() <= 64, "{}", cluster.people[CAT].streams());
    cluster.kill(0);
    cluster.come(BOB, newcomer);
    cluster.pass(5000);
    assert_eq!(cluster.people[BOB].completes, [true, true]);
    cluster.assert_seen(&[BOB, CAT], 100..=100);
}

/// The clock of a server is an hour slow. A newcomer's ring is full when something is said after it has spoken.
#[test]
fn a_newcomer_keeps_what_was_said_last_whatever_the_clocks() {
    let mut cluster = Cluster::new(0);
    let slow = cluster.start_server();
    cluster.servers[slow].clock_set = -3_600_000;
    let right = cluster.start_server();
    cluster.pass(4000);
    cluster.come(ANN, slow);
    cluster.come(BOB, right);
    cluster.pass(1000);
    for hundred in 0..10 {
        cluster.say_all(BOB, hundred * 100 + 1..=hundred * 100 + 100);
        cluster.pass(100);
    }
    cluster.say_all(ANN, 1001..=1010);
    cluster.pass(1000);
    let newcomer = cluster.start_server();
    cluster.pass(1000);
    cluster.come(CAT, newcomer);
    cluster.pass(1000);
    cluster.say_all(BOB, 1011..=1015);
    cluster.pass(1000);
    cluster.assert_seen(&[ANN, BOB], 1001..=1015);
    for text in 1001..=1010 {
        let place = cluster.people[ANN].places(text)[0];
        assert!(cluster.keeps(newcomer, place), "{text} is one of the last fifteen and is not kept");
    }
}

/// Two people at two servers talk in turn, and a third one comes to a server that has just started.
#[test]
fn the_first_history_of_a_room_that_was_fetched_is_what_was_said_last() {
    let mut cluster = Cluster::new(2);
    cluster.come(ANN, 0);
    cluster.come(BOB, 1);
    cluster.pass(1000);
    for text in 1..=100 {
        cluster.say([ANN, BOB][text as usize % 2], text);
        cluster.pass(50);
    }
    let newcomer = cluster.start_server();
    cluster.pass(1000);
    cluster.come(CAT, newcomer);
    cluster.pass(1000);
    assert!(cluster.people[CAT].texts().eq(51..=100), "{:?}", cluster.people[CAT]);
}
