//! Who notices when a rule is off: worlds, or a test of a part. `make mutants` writes the table into docs/replication.md.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::kinds::Kinds;
use super::plan::Plan;
use super::shrink::run;
use super::story::Failure;
use crate::chat::mutants::Mutant::{self, *};
use crate::chat::mutants::switch;

/// So many worlds are run at most, from the first one named on: what the core decides may move the first that fails.
const WORLDS_MAX: u64 = 60;
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/replication.md");
const BEGIN: &str = "<!-- mutants -->";
const END: &str = "<!-- /mutants -->";

/// One that notices.
#[derive(Clone, Copy)]
enum Witness {
    /// Worlds of these kinds, from this seed on.
    Worlds(&'static str, u64),
    /// A test of a part, by its name.
    Test(&'static str, fn()),
}
use Witness::{Test, Worlds};

struct Row {
    /// What the core does instead.
    what: &'static str,
    witnesses: &'static [Witness],
}

const fn row(what: &'static str, witnesses: &'static [Witness]) -> Row {
    Row { what, witnesses }
}

macro_rules! test {
    ($($part:ident)::+) => {
        Test(stringify!($($part)::+), crate::chat::$($part)::+)
    };
}

/// Each mutant has one: the compiler asks for it.
fn row_of(mutant: Mutant) -> Row {
    match mutant {
        CumulativeHave => {
            row("a replica's ack covers every number from 1 on, also what it never held", &[test!(stream::tests::a_hole_is_passed_over_once_retention_took_it_everywhere_and_it_is_not_claimed_then)])
        }
        HaveCountsHoles => row(
            "a replica's ack covers what it knows of, though numbers are missing below",
            &[Worlds("old", 2), test!(hub::tests::other_servers_messages_are_told_once_and_holes_are_asked_for)],
        ),
        PassOverWhatIsLacked => row(
            "what those who live lack is passed over, though nobody said that it expired",
            &[test!(hub::tests::what_only_a_server_has_that_stands_still_is_waited_for_and_not_confirmed_before)],
        ),
        ParkWhenOneLacks => {
            row("a hole is given up when the first server lacks it, not when all do", &[Worlds("old", 0), test!(hub::tests::other_servers_messages_are_told_once_and_holes_are_asked_for)])
        }
        StayParked => row("a parked hole is not asked for when a server comes (back)", &[test!(hub::tests::what_only_a_server_has_that_stands_still_is_waited_for_and_not_confirmed_before)]),
        OldLacksStand => row(
            "who lacked a number before another one said that it expired is not asked once more",
            &[test!(stream::tests::whoever_lacked_it_before_retention_took_it_elsewhere_is_asked_once_more)],
        ),
        NoNack => row("what is missing is not asked for", &[Worlds("old", 0), test!(hub::tests::other_servers_messages_are_told_once_and_holes_are_asked_for)]),
        NoDigest => row("what others say they have is not looked at", &[Worlds("old", 6), test!(hub::tests::the_last_message_before_a_fault_is_missed_because_others_tell_what_they_have)]),
        NoDigestRepeats => row("a digest is told once, and lost if that is", &[test!(room::tests::a_digest_is_told_soon_after_a_change_and_a_few_times_more)]),
        NoSyncOnLost => {
            row("what may have been missed while the bus was down is not asked for", &[test!(hub::tests::again::what_was_missed_while_the_bus_was_down_is_asked_for)])
        }
        NoSyncOnReturn => row("a server that returns is not asked what it has", &[test!(hub::tests::a_server_that_returns_is_asked_for_its_rooms)]),
        AckAtOnce => row("a message is acknowledged before a replica holds it", &[Worlds("old", 0), test!(hub::tests::nobody_is_told_before_a_second_server_has_it)]),
        ShowAtOnce => row("members here see a message before a replica holds it", &[test!(hub::tests::nobody_is_told_before_a_second_server_has_it)]),
        NoSupersede => row(
            "a place that nobody has seen does not give way to another one heard from elsewhere",
            &[test!(hub::tests::what_waits_here_and_is_heard_from_another_server_is_shown_once_at_its_place_there)],
        ),
        NoDedup => row("a message sent again is another message", &[Worlds("old", 23), test!(hub::tests::a_retry_is_acknowledged_again_and_not_told_again)]),
        ForgetIds => row("the identity of a message is forgotten with its text", &[test!(hub::tests::a_retry_of_what_no_ring_has_any_more_is_acknowledged_once_a_replica_says_that_it_held_it)]),
        AckRetryAtOnce => {
            row("a retry of another server's message is acknowledged at once", &[Worlds("old", 4), test!(hub::tests::a_retry_of_what_a_dead_server_said_waits_for_a_second_holder)])
        }
        AckRetryOnLease => row(
            "a retry is acknowledged at once while the lease of its first server runs",
            &[Worlds("old", 4), test!(hub::tests::a_retry_of_what_a_dead_server_said_waits_for_a_second_holder)],
        ),
        EvictUnconfirmed => {
            row("what waits for a replica is not supplied once the ring has dropped it", &[test!(hub::tests::what_waits_for_a_replica_is_supplied_though_the_ring_has_dropped_it)])
        }
        NoFetch => row("a room opens before others have said what they have", &[test!(hub::tests::nobody_comes_in_before_other_servers_have_said_what_they_have)]),
        OneAnswerIsEnough => row("a room opens when the first server has answered", &[test!(fetch::tests::everybody_answers_or_is_asked_again_until_clients_wait_no_longer)]),
        AwaitSuspects => row("a room that is fetched waits for a suspect as for others", &[test!(fetch::tests::one_suspect_is_not_waited_for_and_two_are)]),
        NoForerunners => row("who has seen more than is known here comes in at once", &[test!(hub::tests::who_has_seen_more_waits_until_it_is_known_here)]),
        NoReplica => row("nobody is asked to hold a room that only one server has", &[Worlds("old", 5), test!(hub::tests::a_room_that_only_one_server_has_is_held_by_another)]),
        NoSuspicion => {
            row("a server that is late stays the witness until its lease ends", &[test!(hub::tests::another_server_is_asked_to_hold_what_waits_for_one_that_is_suspect)])
        }
        SameWitness => row("what is published again asks the same witness", &[test!(hub::tests::again::another_server_is_asked_to_confirm_what_the_first_did_not)]),
        AloneWithoutMajority => {
            row("one lane is enough to conclude that nobody else lives", &[Worlds("old", 25), test!(hub::tests::a_server_with_few_lanes_shows_and_does_not_acknowledge)])
        }
        AloneAtOnce => row("a server is alone as soon as it hears of nobody", &[test!(hub::tests::a_server_with_few_lanes_shows_and_does_not_acknowledge)]),
        LeaseWithoutEcho => row("a server lives that does not echo a beat of ours", &[test!(peers::tests::a_server_that_does_not_receive_us_does_not_live)]),
        StallCounts => row(
            "the time in which this server stood still counts as silence of the others",
            &[test!(hub::tests::our_own_stall_is_not_taken_for_the_others_death)],
        ),
        KeptFromStays => row("a digest offers what retention has taken", &[test!(room::tests::what_is_lost_or_gone_makes_history_incomplete)]),
        AlwaysComplete => row("history is said to be complete whatever is missing", &[test!(room::tests::what_is_lost_or_gone_makes_history_incomplete)]),
        HistoryShowsHidden => row("history has what no replica holds yet", &[Worlds("old", 2), test!(room::tests::what_nobody_has_confirmed_is_in_nobodys_history)]),
        HistoryIgnoresRepeats => {
            row("who saw a message in its other place is sent it again", &[test!(room::tests::who_saw_a_message_in_its_other_place_is_not_shown_it_in_this_one)])
        }
        PositionsAheadOfShown => row("`joined` counts what no member has seen yet", &[Worlds("old", 2), test!(room::tests::what_nobody_has_confirmed_is_in_nobodys_history)]),
        JoinBeforeFrames => {
            row("a join is answered before the frames that wait for the members", &[Worlds("old", 19), test!(hub::tests::a_newcomer_has_in_its_history_what_it_is_not_sent)])
        }
        NoHandover => row("a server that leaves hands nothing over", &[test!(hub::tests::a_server_that_leaves_waits_until_two_others_have_all_of_its_rooms)]),
        WallClock => row("stamps are the wall clock's, whatever was seen", &[test!(hub::tests::who_answers_what_it_has_seen_stands_below_it_whatever_the_clocks)]),
        ForgetLiveStreams => row("streams of servers that live are forgotten", &[Worlds("old", 9), test!(room::tests::streams_of_servers_that_are_gone_are_forgotten_and_never_one_of_a_server_that_lives)]),
        BelieveTheDead => row("words of servers that do not live are believed", &[test!(hub::tests::a_word_of_somebody_who_does_not_live_counts_for_nothing)]),
        PresenceUnordered => {
            row("an older word about who is in a room replaces a newer one", &[test!(presence::tests::an_older_word_does_not_undo_a_newer_and_a_dead_server_takes_its_users)])
        }
        NoReappend => row("what every replica rejects is not appended anew", &[test!(hub::tests::what_no_replica_will_hold_is_appended_anew)]),
        BeginAtFirstAnswer => {
            row("a stream begins where the first server says, not where the lowest does", &[test!(stream::tests::a_stream_begins_at_the_lowest_number_that_anybody_keeps)])
        }
        NoGapBeforeBegin => row(
            "members are not told what rings dropped of a new stream while their server was cut off",
            &[test!(room::tests::a_stream_that_began_while_this_server_was_cut_off_begins_here_at_one)],
        ),
        LeaveUnfetched => row(
            "a server that leaves does not wait until others have fetched what it holds",
            &[test!(hub::tests::a_server_that_leaves_and_is_still_a_replica_waits_until_others_have_what_it_confirmed)],
        ),
        OnlyTheRingKnows => row(
            "a retry of what waits for a replica, or behind a hole, is new once the ring has dropped it",
            &[test!(room::tests::a_retry_of_what_waits_is_known_though_the_ring_has_dropped_it)],
        ),
        LearnTheForgotten => row(
            "a stream that was forgotten is learned anew from a server that keeps it, and shown again",
            &[test!(room::tests::streams_of_servers_that_are_gone_are_forgotten_and_never_one_of_a_server_that_lives)],
        ),
        PlacesNotSent => {
            row("who fetches a message is not told of its other places", &[test!(room::tests::a_server_that_fetches_a_message_is_told_of_its_other_places)])
        }
        FirstExpiryDecides => row(
            "who lacked a number before a second one said that it expired is not asked once more",
            &[test!(stream::tests::whoever_lacked_it_before_any_servers_first_expiry_is_asked_once_more)],
        ),
        PassOverUnsettled => row(
            "a number is passed over before lanes that return have brought a word of every server",
            &[test!(hub::tests::again::nothing_is_passed_over_until_lanes_that_return_have_brought_a_word_of_everybody)],
        ),
        BeginAtArrival => row(
            "a stream that began meanwhile begins at the message that arrives first",
            &[test!(hub::tests::again::what_rings_dropped_of_a_stream_that_began_meanwhile_is_a_gap)],
        ),
        TakeoverUnread => row(
            "a server that leaves counts as a replica whoever answers, whatever that one has",
            &[test!(hub::tests::a_server_that_leaves_waits_until_two_others_have_all_of_its_rooms)],
        ),
        OnlyIdsTellRepeats => row(
            "what waited behind a hole is shown again once its id is forgotten",
            &[test!(room::tests::what_waited_behind_a_hole_is_not_shown_again_though_its_id_is_forgotten)],
        ),
        RetriesStay => row(
            "a retry that nobody confirms is published for ever",
            &[test!(hub::tests::again::a_retry_is_given_up_though_others_are_late_again_and_again)],
        ),
        RetriesNotRepeated => {
            row("a retry that its witness did not confirm is not published again", &[test!(hub::tests::again::a_retry_of_what_another_server_said_is_published_until_somebody_confirms_it)])
        }
    }
}

/// What noticed, and how.
struct Notice {
    who: String,
    how: String,
}

/// The first world that fails with the mutant and not without.
fn first_world(mutant: Mutant, kinds: &str, first: u64, worlds: u64) -> Option<(u64, Failure)> {
    (first..first + worlds).find_map(|seed| {
        let plan = Plan::draw(seed, Kinds::parse(kinds));
        let failure = run(&plan, Some(mutant), false).0.err()?;
        run(&plan, None, false).0.is_ok().then_some((seed, failure))
    })
}

fn ask(witness: Witness, mutant: Mutant) -> Option<Notice> {
    match witness {
        Worlds(kinds, first) => {
            let (seed, failure) = first_world(mutant, kinds, first, WORLDS_MAX)?;
            let who = format!("worlds `{kinds}`, seed {seed} (of {} from {first} on)", seed - first + 1);
            Some(Notice { who, how: format!("{:?}", failure.check) })
        }
        Test(name, test) => {
            switch(Some(mutant));
            let outcome = catch_unwind(AssertUnwindSafe(test));
            switch(None);
            outcome.err().map(|_| Notice {
                who: format!("`{}`", name.replace(char::is_whitespace, "")),
                how: "fails".into(),
            })
        }
    }
}

/// Does the work for each mutant on two threads.
fn for_each<T: Send>(work: impl Fn(Mutant) -> T + Sync) -> Vec<(Mutant, T)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let take = || {
        while let Some(&mutant) = Mutant::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = work(mutant);
            done.lock().expect("a panic is caught").push((mutant, outcome));
        }
    };
    thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(take))));
    let mut done = done.into_inner().expect("a panic is caught");
    done.sort_by_key(|(mutant, _)| *mutant as usize);
    done
}

#[test]
fn every_mutant_is_noticed() {
    let noticed = for_each(|mutant| row_of(mutant).witnesses.iter().find_map(|who| ask(*who, mutant)));
    let line = |(mutant, notice): &(Mutant, Option<Notice>)| {
        let what = row_of(*mutant).what;
        let Notice { who, how } = notice.as_ref()?;
        Some(format!("| {mutant:?} | {what} | {who} | {how} |\n"))
    };
    let lines: String = noticed.iter().filter_map(line).collect();
    println!("{lines}");
    let survivors: Vec<_> =
        noticed.iter().filter(|(_, notice)| notice.is_none()).map(|(mutant, _)| mutant).collect();
    assert!(survivors.is_empty(), "nothing notices {survivors:?}");
    if std::env::var_os("MUTANTS_WRITE").is_some() {
        write(&lines);
    }
}

/// Without a mutant, all that notice are content.
#[test]
fn witnesses_are_content_without_a_mutant() {
    for mutant in Mutant::ALL {
        for witness in row_of(mutant).witnesses {
            if let Test(_, test) = witness {
                test();
            }
        }
    }
}

fn write(lines: &str) {
    let page = std::fs::read_to_string(PAGE).expect("docs/replication.md");
    let (before, rest) = page.split_once(BEGIN).expect("the table's first mark");
    let (_, after) = rest.split_once(END).expect("the table's last mark");
    let head = "| mutant | what the core does instead | who notices | check |\n|---|---|---|---|\n";
    let page = format!("{before}{BEGIN}\n{head}{lines}{END}{after}");
    std::fs::write(PAGE, page).expect("docs/replication.md can be written");
}

/// Looks for the first world of some kinds that notices each mutant; for whoever changes the table:
/// `MUTANTS_KINDS=old;all MUTANTS_WORLDS=100 cargo test --lib mutant_table::survey -- --ignored --nocapture`.
#[test]
#[ignore = "a search, not a test"]
fn survey() {
    let kinds = std::env::var("MUTANTS_KINDS").unwrap_or_else(|_| "old".into());
    let only = std::env::var("MUTANTS_ONLY").unwrap_or_default();
    let worlds = std::env::var("MUTANTS_WORLDS").map_or(100, |text| text.parse().expect("a number"));
    for_each(|mutant| {
        if !only.is_empty() && !only.split(',').any(|name| name == format!("{mutant:?}")) {
            return;
        }
        for kinds in kinds.split(';') {
            let found = first_world(mutant, kinds, 0, worlds).map(|(seed, failure)| (seed, failure.check));
            println!("SURVEY {mutant:?} {kinds} {found:?}");
            if found.is_some() {
                break;
            }
        }
    });
}
