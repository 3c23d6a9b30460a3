//! Worlds that never go where the rules are hard say nothing about them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::kinds::Kinds;
use super::plan::Plan;
use super::shrink::run;
use crate::chat::branches::{Branch, take};

/// Worlds of each of [`KINDS`].
const WORLDS: u64 = 100;
const KINDS: [&str; 3] =
    ["all", "all,SmallRings,FewStreams,ShortLives", "Kill,KillInTurn,Leave,Moves,FewStreams,ShortLives"];

/// Two servers have to be away at once for these: tests of the hub enter them.
const IN_NO_WORLD: [Branch; 2] = [Branch::RejectedAppendedAnew, Branch::RetryAppendedAnew];

#[test]
fn every_rare_branch_is_entered() {
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(kinds) = KINDS.get((number / WORLDS) as usize) else { return take() };
            // Whether it fails is another test's matter.
            drop(run(&Plan::draw(number, Kinds::parse(kinds)), None, false));
        }
    };
    let counts = thread::scope(|scope| {
        let halves = [scope.spawn(work), scope.spawn(work)];
        halves.map(|half| half.join().expect("failures are caught"))
    });
    let entered = |branch: Branch| counts.iter().map(|counts| counts[branch as usize]).sum::<u64>();
    Branch::ALL.into_iter().for_each(|branch| println!("{branch:?}: {}", entered(branch)));
    let is_missed = |branch: &Branch| entered(*branch) == 0 && !IN_NO_WORLD.contains(branch);
    let missed: Vec<_> = Branch::ALL.into_iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "no world enters {missed:?}");
}
