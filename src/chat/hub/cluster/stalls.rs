//! Servers that stand still and go on, with something missing elsewhere.

use super::*;

/// Ann at the first of so many servers and bob at the second; ann has said 1.
fn two_people(servers: usize) -> Cluster {
    let mut cluster = Cluster::new(servers);
    cluster.come(ANN, 0);
    cluster.come(BOB, 1);
    cluster.pass(1000);
    cluster.say(ANN, 1);
    cluster.pass(1000);
    cluster
}

/// A message is lost on its way, and a later one tells of it. Its server stands still for 4 s before it can send it
/// again.
#[test]
fn a_message_that_was_missing_while_its_server_stood_still_is_shown_when_it_goes_on() {
    let mut cluster = two_people(2);
    cluster.on_the_way(|_, _, word| if has_message(word, 2) { IsLost } else { Comes });
    cluster.say(ANN, 2);
    cluster.all_comes();
    cluster.say(ANN, 3);
    cluster.servers[0].is_stalled = true;
    cluster.pass(4000);
    cluster.servers[0].is_stalled = false;
    cluster.pass(3000);
    assert_eq!(cluster.people[ANN].acked, [1, 2, 3]);
    cluster.assert_seen(&[ANN, BOB], 1..=3);
}

/// The last message is lost on its way, a digest tells of it, and its server stands still for 4 s.
#[test]
fn the_last_message_before_its_server_stood_still_is_shown_when_it_goes_on() {
    let mut cluster = two_people(2);
    cluster.on_the_way(|_, _, word| match word {
        Word::Want { .. } => IsLost,
        word if has_message(word, 2) => IsLost,
        _ => Comes,
    });
    cluster.say(ANN, 2);
    cluster.pass(400);
    cluster.all_comes();
    cluster.servers[0].is_stalled = true;
    cluster.pass(4000);
    cluster.servers[0].is_stalled = false;
    cluster.pass(3000);
    assert_eq!(cluster.people[ANN].acked, [1, 2]);
    cluster.assert_seen(&[ANN, BOB], 1..=2);
}

/// A server dies, and the only other one that has its message stands still for 4 s while a third one misses it.
#[test]
fn a_message_that_only_a_server_has_that_stands_still_is_shown_when_it_goes_on() {
    let mut cluster = two_people(3);
    cluster.come(CAT, 2);
    cluster.pass(1000);
    cluster.on_the_way(|_, to, word| match word {
        Word::Want { .. } => IsLost,
        word if to == 2 && has_message(word, 2) => IsLost,
        _ => Comes,
    });
    cluster.say(ANN, 2);
    cluster.say(ANN, 3);
    cluster.pass(STEP);
    cluster.kill(0);
    cluster.servers[1].is_stalled = true;
    cluster.pass(4000);
    cluster.all_comes();
    cluster.servers[1].is_stalled = false;
    cluster.come(ANN, 1);
    cluster.say_all(ANN, 2..=3);
    cluster.pass(3000);
    cluster.assert_seen(&[BOB, CAT], 1..=3);
    assert!(cluster.people[ANN].acked.ends_with(&[2, 3]), "{:?}", cluster.people[ANN]);
}

/// A server says that it lacks a message, and receives it afterwards. The message's own server stands still.
#[test]
fn who_lacked_a_message_and_has_received_it_since_is_asked_again() {
    for late in [100, 300, 1000, 2000, 2500] {
        let mut cluster = two_people(3);
        cluster.come(CAT, 2);
        cluster.pass(1000);
        cluster.on_the_way(move |_, to, word| match to {
            1 if has_message(word, 2) => IsLost,
            2 if has_message(word, 2) => IsLate(late),
            _ => Comes,
        });
        cluster.say(ANN, 2);
        cluster.all_comes();
        cluster.say(ANN, 3);
        cluster.servers[0].is_stalled = true;
        cluster.pass(5000);
        cluster.assert_seen(&[BOB, CAT], 1..=3);
        cluster.servers[0].is_stalled = false;
        cluster.pass(3000);
        assert_eq!(cluster.people[ANN].acked, [1, 2, 3], "{late} ms late");
        cluster.assert_seen(&[ANN, BOB, CAT], 1..=3);
    }
}

/// Ann's server stands still for 9 s with a message that nobody else has. She repeats it elsewhere, where it is acked.
/// Bob, who stayed, goes away soon after the server goes on, before others hear of it.
#[test]
fn a_server_that_goes_on_does_not_show_what_was_repeated_elsewhere_at_its_own_place() {
    for stay in [5, 10, 20, 50, 100, 200, 400] {
        let mut cluster = Cluster::new(3);
        cluster.come(ANN, 0);
        cluster.come(BOB, 0);
        cluster.come(CAT, 2);
        cluster.pass(1000);
        cluster.on_the_way(|from, _, _| if from == 0 { IsLost } else { Comes });
        cluster.say(ANN, 1);
        cluster.servers[0].is_stalled = true;
        cluster.all_comes();
        cluster.come(ANN, 1);
        cluster.pass(1000);
        cluster.say(ANN, 1);
        cluster.pass(8000);
        cluster.on_the_way(|from, _, _| if from == 0 { IsLate(300) } else { Comes });
        cluster.servers[0].is_stalled = false;
        cluster.pass(stay);
        cluster.come(BOB, 2);
        cluster.pass(3000);
        assert_eq!(cluster.people[ANN].acked, [1], "bob stayed for {stay} ms");
        cluster.assert_seen(&[ANN, BOB, CAT], 1..=1);
    }
}
