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

/// Each mutant has one: the compiler asks for it.
fn row_of(mutant: Mutant) -> Row {
    match mutant {
        CumulativeHave => {
            row("a replica's ack covers every number from 1 on, also what it never held", &[Worlds("old", 0)])
        }
        HaveCountsHoles => row(
            "a replica's ack covers what it knows of, though numbers are missing below",
            &[Worlds("old", 0)],
        ),
        PassOverWhatIsLacked => row(
            "what those who live lack is passed over, though nobody said that it expired",
            &[Worlds("old", 0)],
        ),
        ParkWhenOneLacks => {
            row("a hole is given up when the first server lacks it, not when all do", &[Worlds("old", 0)])
        }
        StayParked => row("a parked hole is not asked for when a server comes (back)", &[Worlds("old", 0)]),
        OldLacksStand => row(
            "who lacked a number before another one said that it expired is not asked once more",
            &[Worlds("old", 0)],
        ),
        NoNack => row("what is missing is not asked for", &[Worlds("old", 0)]),
        NoDigest => row("what others say they have is not looked at", &[Worlds("old", 0)]),
        NoDigestRepeats => row("a digest is told once, and lost if that is", &[Worlds("old", 0)]),
        NoSyncOnLost => {
            row("what may have been missed while the bus was down is not asked for", &[Worlds("old", 0)])
        }
        NoSyncOnReturn => row("a server that returns is not asked what it has", &[Worlds("old", 0)]),
        AckAtOnce => row("a message is acknowledged before a replica holds it", &[Worlds("old", 0)]),
        ShowAtOnce => row("members here see a message before a replica holds it", &[Worlds("old", 0)]),
        NoSupersede => row(
            "a place that nobody has seen does not give way to another one heard from elsewhere",
            &[Worlds("old", 0)],
        ),
        NoDedup => row("a message sent again is another message", &[Worlds("old", 0)]),
        ForgetIds => row("the identity of a message is forgotten with its text", &[Worlds("old", 0)]),
        AckRetryAtOnce => {
            row("a retry of another server's message is acknowledged at once", &[Worlds("old", 0)])
        }
        AckRetryOnLease => row(
            "a retry is acknowledged at once while the lease of its first server runs",
            &[Worlds("old", 0)],
        ),
        EvictUnconfirmed => {
            row("what waits for a replica is not supplied once the ring has dropped it", &[Worlds("old", 0)])
        }
        NoFetch => row("a room opens before others have said what they have", &[Worlds("old", 0)]),
        OneAnswerIsEnough => row("a room opens when the first server has answered", &[Worlds("old", 0)]),
        NoForerunners => row("who has seen more than is known here comes in at once", &[Worlds("old", 0)]),
        NoReplica => row("nobody is asked to hold a room that only one server has", &[Worlds("old", 0)]),
        NoSuspicion => {
            row("a server that is late stays the witness until its lease ends", &[Worlds("old", 0)])
        }
        SameWitness => row("what is published again asks the same witness", &[Worlds("old", 0)]),
        AloneWithoutMajority => {
            row("one lane is enough to conclude that nobody else lives", &[Worlds("old", 0)])
        }
        AloneAtOnce => row("a server is alone as soon as it hears of nobody", &[Worlds("old", 0)]),
        LeaseWithoutEcho => row("a server lives that does not echo a beat of ours", &[Worlds("old", 0)]),
        StallCounts => row(
            "the time in which this server stood still counts as silence of the others",
            &[Worlds("old", 0)],
        ),
        KeptFromStays => row("a digest offers what retention has taken", &[Worlds("old", 0)]),
        AlwaysComplete => row("history is said to be complete whatever is missing", &[Worlds("old", 0)]),
        HistoryShowsHidden => row("history has what no replica holds yet", &[Worlds("old", 0)]),
        HistoryIgnoresRepeats => {
            row("who saw a message in its other place is sent it again", &[Worlds("old", 0)])
        }
        PositionsAheadOfShown => row("`joined` counts what no member has seen yet", &[Worlds("old", 0)]),
        JoinBeforeFrames => {
            row("a join is answered before the frames that wait for the members", &[Worlds("old", 0)])
        }
        NoHandover => row("a server that leaves hands nothing over", &[Worlds("old", 0)]),
        WallClock => row("stamps are the wall clock's, whatever was seen", &[Worlds("old", 0)]),
        ForgetLiveStreams => row("streams of servers that live are forgotten", &[Worlds("old", 0)]),
        BelieveTheDead => row("words of servers that do not live are believed", &[Worlds("old", 0)]),
        PresenceUnordered => {
            row("an older word about who is in a room replaces a newer one", &[Worlds("old", 0)])
        }
        NoReappend => row("what every replica rejects is not appended anew", &[Worlds("old", 0)]),
        BeginAtFirstAnswer => {
            row("a stream begins where the first server says, not where the lowest does", &[Worlds("old", 0)])
        }
        RetriesNotRepeated => {
            row("a retry that its witness did not confirm is not published again", &[Worlds("old", 0)])
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
            outcome.err().map(|_| Notice { who: format!("`{name}`"), how: "fails".into() })
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
