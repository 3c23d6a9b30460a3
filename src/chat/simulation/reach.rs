//! Which servers can hear each other, and whether everything is held twice: what the promise asks of the world before the
//! next server may die.

use std::collections::BTreeMap;

use super::network::Network;
use super::plan::Ms;
use super::server::Server;

/// The promise is about one server at a time: the next one may die when what the last one held is held twice again.
const BETWEEN_DEATHS: Ms = 6000;
const RESTORED_AFTER: Ms = 4000;
/// A server that was silent for so long may be taken for gone: a lease less one sign of life, and some time to spare.
const GONE_AFTER: Ms = 2400;
/// What only a server has that is gone is waited for so long.
const EXPIRY_PATIENCE: Ms = 2000;
/// And for so long after it can be heard again.
const HEARD_WITHIN: Ms = 1500;
/// A server that has just started need not be known.
const YOUNG: Ms = 2000;
/// What was shown while a server had no way to another may show up so long after.
const APART_ECHO: Ms = 5000;

#[derive(Debug, Default)]
struct Pair {
    cut_since: Option<Ms>,
    /// When the one could hear the other for the first time; before, it cannot know of it.
    met: Option<Ms>,
    last_cut: Option<(Ms, Ms)>,
}

#[derive(Debug, Default)]
pub struct Reach {
    pairs: BTreeMap<(usize, usize), Pair>,
    whole_since: Option<Ms>,
    /// When each server last had no lane in common with another.
    apart: BTreeMap<usize, Ms>,
    are_apart: Vec<usize>,
    died: Option<Ms>,
    /// Something may be held once.
    fragile_since: Option<Ms>,
}

impl Reach {
    /// Something has changed.
    pub fn look(&mut self, servers: &[Server], network: &Network, leg: Ms, now: Ms) {
        let live: Vec<_> = (0..servers.len()).filter(|server| servers[*server].is_alive()).collect();
        let mut is_whole = true;
        self.are_apart.clear();
        for &one in &live {
            let mut is_apart = false;
            for &other in live.iter().filter(|other| **other != one) {
                let share = network.share_a_lane(one, other);
                is_apart |= !share && now >= servers[other].started + YOUNG.min(1000);
                let hears = share && servers[other].is_running();
                is_whole &= hears;
                let pair = self.pairs.entry((one, other)).or_default();
                if !hears {
                    // Too short a time in between brings no sign of life.
                    let before = pair.last_cut.filter(|(_, end)| now < end + HEARD_WITHIN + 4 * leg);
                    pair.cut_since.get_or_insert(before.map_or(now, |(since, _)| since));
                } else {
                    pair.met.get_or_insert(now);
                    pair.last_cut = pair.cut_since.take().map(|since| (since, now)).or(pair.last_cut);
                }
            }
            if is_apart {
                self.are_apart.push(one);
                self.apart.insert(one, now);
            }
        }
        self.whole_since = if is_whole { self.whole_since.or(Some(now)) } else { None };
    }

    pub fn note_death(&mut self, now: Ms) {
        self.died = Some(now);
        self.note_fragile(now);
    }

    pub fn note_fragile(&mut self, now: Ms) {
        self.fragile_since = Some(now);
    }

    /// Whether one more server may die: all that was acknowledged is held twice, as far as time can tell.
    pub fn may_one_die(&self, leg: Ms, now: Ms) -> bool {
        let restored_after = RESTORED_AFTER + 8 * leg;
        let is_restored = self.fragile_since.is_none_or(|since| {
            self.whole_since.is_some_and(|whole| whole.max(since) + restored_after <= now)
        });
        is_restored && self.died.is_none_or(|died| died + BETWEEN_DEATHS <= now)
    }

    /// Whether a server may rightly think that no other is there.
    pub fn may_be_alone(&self, one: usize, servers: &[Server], leg: Ms, now: Ms) -> bool {
        let is_gone = |other: usize| {
            servers[other].is_draining || self.may_be_gone(one, other, GONE_AFTER, servers, leg, now)
        };
        (0..servers.len()).filter(|other| *other != one && servers[*other].is_alive()).all(is_gone)
    }

    /// Whether a server need not ask another one any more for what it misses: the lease has ended, and the patience after.
    pub fn may_be_passed_over(&self, one: usize, other: usize, servers: &[Server], leg: Ms, now: Ms) -> bool {
        one != other && self.may_be_gone(one, other, GONE_AFTER + EXPIRY_PATIENCE, servers, leg, now)
    }

    /// Whether a server may rightly think that the other one is gone that was silent for so long.
    fn may_be_gone(
        &self,
        one: usize,
        other: usize,
        silence: Ms,
        servers: &[Server],
        leg: Ms,
        now: Ms,
    ) -> bool {
        if now < servers[other].started + YOUNG + 4 * leg {
            return true;
        }
        let Some(pair) = self.pairs.get(&(one, other)) else { return false };
        let is_long = |since: Ms, end: Ms| since + silence <= end;
        // It counts by its own running time.
        let is_fresh = |heard: Ms| now < heard.max(servers[one].thawed) + HEARD_WITHIN + 4 * leg;
        pair.met.is_none_or(is_fresh)
            || pair.cut_since.is_some_and(|since| is_long(since, now))
            || pair.last_cut.is_some_and(|(since, end)| is_long(since, end) && is_fresh(end))
    }

    /// Whether a server has, or lately had, no lane in common with another.
    pub fn is_apart(&self, server: usize, leg: Ms, now: Ms) -> bool {
        let is_recent = |at: &Ms| now < at + APART_ECHO + 4 * leg;
        self.are_apart.contains(&server) || self.apart.get(&server).is_some_and(is_recent)
    }
}
