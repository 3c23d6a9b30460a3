//! Wall clocks that are set, or run at a speed of their own.

use super::*;

/// Three people talk for so many seconds. Nobody waits for longer than a second, and nobody is said to have gone.
fn talk(cluster: &mut Cluster, seconds: u64) {
    for text in 1..=seconds {
        for who in [ANN, BOB, CAT] {
            cluster.say(who, text + 1000 * who as u64);
        }
        cluster.pass(1000);
        for person in &cluster.people {
            assert_eq!(person.acked.len() as u64, text, "{} waits", person.name);
            assert_eq!(person.left, [""; 0], "said to have left, to {}", person.name);
        }
    }
    for who in [ANN, BOB, CAT] {
        let first = 1000 * who as u64;
        cluster.assert_seen(&[ANN, BOB, CAT], first + 1..=first + seconds);
    }
}

fn three_people() -> Cluster {
    let mut cluster = Cluster::new(3);
    [ANN, BOB, CAT].into_iter().for_each(|who| cluster.come(who, who));
    cluster.pass(1000);
    cluster
}

/// The clock of one of three servers is set while people talk.
#[test]
fn a_clock_that_is_set_costs_nothing() {
    for set in [11_000, 20_000, -20_000, 600_000] {
        let mut cluster = three_people();
        cluster.servers[0].clock_set = set;
        talk(&mut cluster, 8);
    }
}

/// The clock of one of three servers runs at 0.6 of the right speed.
#[test]
fn a_clock_that_is_slow_costs_nothing() {
    let mut cluster = three_people();
    cluster.servers[0].clock_speed = 60;
    talk(&mut cluster, 40);
}
