use std::collections::BTreeMap;

use super::super::health::{GONE_AFTER, SUSPECT_AFTER};
use super::*;
use crate::wire::heartbeat::INTERVAL;

const HOME: IpAddr = IpAddr::V4(core::net::Ipv4Addr::LOCALHOST);

fn beat(name: &str, incarnation: u64, number: u64, connections: u32) -> Heartbeat {
    Heartbeat {
        name: name.into(),
        incarnation,
        number,
        time_ms: 0,
        url: format!("ws://{name}/ws"),
        connections,
        capacity: 1000,
        loop_lag_us: 0,
        accepted: Vec::new(),
        draining: false,
        deaf: false,
        full: false,
    }
}

fn table(servers: &[(&str, u32)], now: Instant) -> Table {
    let mut table = Table::new("lb-1".into(), Weights::Equal);
    for (name, connections) in servers {
        table.handle_heartbeat(beat(name, 1, 1, *connections), HOME, now).unwrap();
    }
    table
}

fn picked(table: &mut Table, now: Instant) -> Option<String> {
    table.pick(now, None).map(|pick| pick.name.to_owned())
}

#[test]
fn the_least_loaded_gets_the_client_and_it_counts_at_once() {
    let now = Instant::now();
    let mut table = table(&[("a", 3), ("b", 1), ("c", 2)], now);
    let picks: Vec<_> = (0..6).filter_map(|_| picked(&mut table, now)).collect();
    let count = |name: &str| picks.iter().filter(|pick| *pick == name).count();
    assert_eq!((count("a"), count("b"), count("c")), (1, 3, 2));
}

#[test]
fn a_server_that_is_to_be_avoided_is_taken_only_where_there_is_no_other() {
    let now = Instant::now();
    let mut table = table(&[("a", 0), ("b", 50)], now);
    let avoiding_a = |table: &mut Table| table.pick(now, Some("a")).map(|pick| pick.name.to_owned());
    assert_eq!(avoiding_a(&mut table).as_deref(), Some("b"));
    table.handle_heartbeat(Heartbeat { draining: true, ..beat("b", 1, 2, 50) }, HOME, now).unwrap();
    assert_eq!(avoiding_a(&mut table).as_deref(), Some("a"));
}

#[test]
fn a_client_that_arrived_is_not_counted_twice() {
    let now = Instant::now();
    let mut table = table(&[("a", 0)], now);
    (0..4).for_each(|_| drop(picked(&mut table, now)));
    let accepted = vec![("lb-1".into(), 3), ("lb-2".into(), 7)];
    table.handle_heartbeat(Heartbeat { accepted, ..beat("a", 1, 2, 10) }, HOME, now).unwrap();
    let (_, server) = table.servers().next().unwrap();
    assert_eq!((server.connections(), server.in_flight.count()), (11, 1));
    assert_eq!(server.load(2, Weights::Equal), 12, "lb-2 is taken to have as many under way");
}

#[test]
fn late_repeated_and_former_heartbeats_change_nothing() {
    let now = Instant::now();
    let mut table = table(&[], now);
    let up = Change { name: "a".into(), turn: Turn::Health(Health::Up) };
    assert_eq!(table.handle_heartbeat(beat("a", 5, 10, 1), HOME, now), Ok(vec![up]));
    assert_eq!(table.handle_heartbeat(beat("a", 5, 10, 9), HOME, now), Err(Refused::Stale));
    assert_eq!(table.handle_heartbeat(beat("a", 5, 9, 9), HOME, now), Err(Refused::Stale));
    assert_eq!(table.handle_heartbeat(beat("a", 4, 99, 9), HOME, now), Err(Refused::Stale));
    assert_eq!(table.handle_heartbeat(beat("a", 5, 11, 2), HOME, now), Ok(Vec::new()));
    let restarted = Change { name: "a".into(), turn: Turn::Restarted };
    assert_eq!(table.handle_heartbeat(beat("a", 6, 1, 0), HOME, now), Ok(vec![restarted]));
    assert_eq!(table.handle_heartbeat(beat("a", 5, 12, 9), HOME, now), Err(Refused::Stale));
}

#[test]
fn silence_makes_a_server_suspect_then_gone_and_a_word_brings_it_back() {
    let start = Instant::now();
    let mut table = table(&[("a", 0)], start);
    assert_eq!(table.poll_timeout(), Some(start + SUSPECT_AFTER));
    assert!(picked(&mut table, start + SUSPECT_AFTER - INTERVAL).is_some());
    assert!(picked(&mut table, start + SUSPECT_AFTER).is_none(), "also before the clock was looked at");
    assert_eq!(table.handle_timeout(start + SUSPECT_AFTER)[0].turn, Turn::Health(Health::Suspect));
    assert_eq!(table.handle_timeout(start + GONE_AFTER)[0].turn, Turn::Health(Health::Gone));
    assert_eq!(table.poll_timeout(), None);
    let back = start + GONE_AFTER + INTERVAL;
    assert_eq!(
        table.handle_heartbeat(beat("a", 1, 1, 0), HOME, back),
        Err(Refused::Stale),
        "a replay is no life"
    );
    assert!(table.handle_heartbeat(beat("a", 1, 2, 0), HOME, back).unwrap().len() == 1);
    assert!(picked(&mut table, back).is_some());
}

#[test]
fn a_server_whose_clock_was_set_back_is_taken_once_the_former_run_is_gone() {
    let start = Instant::now();
    let mut table = table(&[], start);
    table.handle_heartbeat(beat("a", 100, 1, 0), HOME, start).unwrap();
    assert_eq!(table.handle_heartbeat(beat("a", 50, 1, 0), HOME, start), Err(Refused::Stale));
    table.handle_timeout(start + GONE_AFTER);
    assert!(table.handle_heartbeat(beat("a", 50, 2, 0), HOME, start + GONE_AFTER).unwrap().len() == 1);
}

#[test]
fn two_servers_of_one_name_are_noticed_and_late_words_are_not_taken_for_one() {
    let now = Instant::now();
    let mut table = table(&[], now);
    table.handle_heartbeat(beat("a", 4, 9, 0), HOME, now).unwrap();
    table.handle_heartbeat(beat("a", 5, 1, 0), HOME, now).unwrap();
    for number in [8, 10, 11, 11] {
        assert_eq!(
            table.handle_heartbeat(beat("a", 4, number, 0), HOME, now),
            Err(Refused::Stale),
            "under way"
        );
    }
    let goes_on = |number, is_first| (number, Err(Refused::Namesake { is_first }));
    for (number, refused) in [goes_on(12, true), goes_on(13, false), goes_on(14, false)] {
        assert_eq!(table.handle_heartbeat(beat("a", 4, number, 0), HOME, now), refused, "it goes on");
    }
    assert_eq!(
        table.handle_heartbeat(beat("a", 4, 12, 0), HOME, now),
        Err(Refused::Stale),
        "sent again by somebody"
    );
    // A third one, which is older still, or was there before the balancer.
    for number in 70..73 {
        assert_eq!(table.handle_heartbeat(beat("a", 3, number, 0), HOME, now), Err(Refused::Stale));
    }
    let refused = Err(Refused::Namesake { is_first: true });
    assert_eq!(table.handle_heartbeat(beat("a", 3, 73, 0), HOME, now), refused);
}

/// What a balancer's log and page tell of.
#[test]
fn draining_and_deafness_are_turns_of_their_own() {
    let now = Instant::now();
    let mut table = table(&[], now);
    let mut texts = Vec::new();
    let states = [(false, false), (true, false), (true, false), (false, true), (false, false), (true, true)];
    for (number, (draining, deaf)) in (1..).zip(states) {
        let heartbeat = Heartbeat { draining, deaf, ..beat("a", 1, number, 0) };
        let changes = table.handle_heartbeat(heartbeat, HOME, now).unwrap();
        texts.extend(changes.iter().map(|change| (change.to_string(), change.is_bad())));
    }
    let deaf = "a is deaf: its backplane does not carry, or a thread of it hangs";
    let expected = [
        ("a is up", false),
        ("a is draining", false),
        ("a is no longer draining", false),
        (deaf, true),
        ("a is no longer deaf", false),
        ("a is draining", false),
        (deaf, true),
    ];
    assert_eq!(texts, expected.map(|(text, is_bad)| (text.to_owned(), is_bad)));
    let changes = table.handle_heartbeat(Heartbeat { deaf: true, ..beat("b", 1, 1, 0) }, HOME, now).unwrap();
    assert_eq!(
        changes.iter().map(|change| change.turn).collect::<Vec<_>>(),
        [Turn::Health(Health::Up), Turn::Deaf(true)]
    );
}

#[test]
fn a_server_is_full_with_those_who_are_under_way_to_it() {
    let now = Instant::now();
    let mut table = table(&[], now);
    table.handle_heartbeat(Heartbeat { capacity: 5, ..beat("a", 1, 1, 3) }, HOME, now).unwrap();
    assert!(picked(&mut table, now).is_some());
    assert!(picked(&mut table, now).is_some());
    assert!(picked(&mut table, now).is_none());
}

#[test]
fn weights_fill_servers_to_the_same_part() {
    let now = Instant::now();
    let mut table = Table::new("lb-1".into(), Weights::Capacity);
    table.handle_heartbeat(Heartbeat { capacity: 300, ..beat("large", 1, 1, 0) }, HOME, now).unwrap();
    table.handle_heartbeat(Heartbeat { capacity: 100, ..beat("small", 1, 1, 0) }, HOME, now).unwrap();
    let large = (0..100).filter_map(|_| picked(&mut table, now)).filter(|name| name == "large").count();
    assert_eq!(large, 75);
}

#[test]
fn its_clock_is_told_as_of_now() {
    let now = Instant::now();
    let mut table = table(&[], now);
    table.handle_heartbeat(Heartbeat { time_ms: 5000, ..beat("a", 1, 1, 0) }, HOME, now).unwrap();
    let (_, server) = table.servers().next().unwrap();
    assert_eq!(server.time_ms(now + Duration::from_millis(70)), 5070);
}

#[test]
fn those_that_are_leaving_deaf_or_full_get_nobody() {
    let now = Instant::now();
    let mut table = table(&[], now);
    table.handle_heartbeat(Heartbeat { draining: true, ..beat("a", 1, 1, 0) }, HOME, now).unwrap();
    table.handle_heartbeat(Heartbeat { deaf: true, ..beat("b", 1, 1, 0) }, HOME, now).unwrap();
    table.handle_heartbeat(Heartbeat { full: true, ..beat("c", 1, 1, 0) }, HOME, now).unwrap();
    assert!(!table.is_ready(now));
    assert!(picked(&mut table, now).is_none());
}

#[test]
fn a_full_table_gives_up_a_server_that_is_gone_and_never_one_that_lives() {
    let start = Instant::now();
    let mut table = table(&[], start);
    for index in 0..SERVERS_MAX {
        table.handle_heartbeat(beat(&format!("s{index}"), 1, 1, 0), HOME, start).unwrap();
    }
    assert_eq!(table.handle_heartbeat(beat("new", 1, 1, 0), HOME, start), Err(Refused::TableFull));
    let later = start + GONE_AFTER;
    table.handle_timeout(later);
    assert!(table.handle_heartbeat(beat("new", 1, 1, 0), HOME, later).unwrap().len() == 1);
    assert_eq!(table.servers().count(), SERVERS_MAX);
    table.handle_timeout(start + SHOWN_WHEN_GONE);
    assert_eq!(table.servers().map(|(name, _)| name).collect::<Vec<_>>(), ["new"]);
}

#[test]
fn balancers_with_the_same_numbers_do_not_prefer_the_same_server() {
    let now = Instant::now();
    let first_choices: std::collections::BTreeSet<_> = (1..=3)
        .filter_map(|balancer| {
            let mut table = Table::new(format!("lb-{balancer}"), Weights::Equal);
            for server in 1..=3 {
                table.handle_heartbeat(beat(&format!("app-{server}"), 1, 1, 0), HOME, now).unwrap();
            }
            picked(&mut table, now)
        })
        .collect();
    assert_eq!(first_choices.len(), 3, "{first_choices:?}");
}

/// Three balancers, three servers, clients that arrive one heartbeat late, heartbeats of one server that come only
/// every fourth time: the whole stays even.
#[test]
fn three_balancers_at_once_keep_three_servers_even() {
    let now = Instant::now();
    let names = ["app-1", "app-2", "app-3"];
    let mut tables: Vec<_> = (1..=3).map(|i| Table::new(format!("lb-{i}"), Weights::Equal)).collect();
    let mut connections: BTreeMap<&str, u32> = names.map(|name| (name, 0)).into();
    let mut accepted: BTreeMap<(&str, usize), u64> = BTreeMap::new();
    for number in 1..=20 {
        for name in names.into_iter().filter(|name| *name != "app-2" || number % 4 == 1) {
            let counts = |balancer: usize| accepted.get(&(name, balancer)).copied().unwrap_or(0);
            let accepted =
                (0..3).map(|balancer| (format!("lb-{}", balancer + 1), counts(balancer))).collect();
            let heartbeat = Heartbeat { accepted, ..beat(name, 1, number, connections[name]) };
            for table in &mut tables {
                table.handle_heartbeat(heartbeat.clone(), HOME, now).unwrap();
            }
        }
        for (balancer, table) in tables.iter_mut().enumerate() {
            for _ in 0..5 {
                let picked = table.pick(now, None).unwrap().name.to_owned();
                let name = names.into_iter().find(|name| *name == picked).unwrap();
                *connections.get_mut(name).unwrap() += 1;
                *accepted.entry((name, balancer)).or_default() += 1;
            }
        }
    }
    let (min, max) = (connections.values().min().unwrap(), connections.values().max().unwrap());
    assert!(max - min <= 2, "{connections:?}");
}
