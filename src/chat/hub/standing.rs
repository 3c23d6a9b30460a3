//! Whether there is anybody else: a server that is alone acknowledges by itself, one that cannot know does not.
//!
//! Nobody else lives as far as this server can tell. It is *alone* only if a majority of lanes has carried for as long as
//! another server would have needed to be heard: any other server that also has a majority shares a lane with it. With
//! fewer lanes it is *isolated*: others may go on without it, so what is said is shown here and not acknowledged.

use std::time::Duration;

use super::sweeps::Task;
use super::{BusState, Hub, Standing};
use crate::chat::Now;
use crate::chat::branches::{Branch, entered};
use crate::chat::bus::Carrying;
use crate::chat::mutants::{Mutant, is_on};

/// A server that never heard of another one is alone after so many times `settle`: 3 s, a lease, in production.
const SETTLES_ALONE: u32 = 6;

impl Hub {
    /// This server stood still: its clock for leases stood still with it. What others sent meanwhile is still unread.
    pub(super) fn excuse_stall(&mut self, now: Now) {
        let stall = now.instant.saturating_duration_since(self.alive_due);
        if stall < self.limits().alive_interval {
            return;
        }
        self.alive_due = now.instant;
        self.resumed = now.instant;
        entered(Branch::StallExcused);
        self.peers.forgive(stall);
        if !is_on(Mutant::StallCounts) {
            self.majority_since = self.majority_since.map(|since| since + stall);
            if let BusState::Carries { since } = &mut self.bus {
                *since += stall;
            }
        }
    }

    pub(super) fn note_majority(&mut self, carrying: Carrying, now: Now) {
        if carrying.is_majority() || carrying.is_any() && is_on(Mutant::AloneWithoutMajority) {
            self.majority_since.get_or_insert(now.instant);
        } else {
            self.majority_since = None;
        }
    }

    /// Acts on what has changed since the last turn.
    pub(super) fn update_standing(&mut self, now: Now) {
        let standing = self.judge_standing(now);
        if std::mem::replace(&mut self.standing, standing) != standing && standing == Standing::Alone {
            self.sweep(Task::ConfirmAll, now);
        }
        match self.standing {
            Standing::Alone => entered(Branch::Alone),
            Standing::Isolated => entered(Branch::Isolated),
            Standing::Among => {}
        }
        let is_degraded = self.is_degraded();
        if std::mem::replace(&mut self.has_told_degraded, is_degraded) != is_degraded {
            self.tell_degraded(is_degraded);
            if is_degraded {
                self.sweep(Task::GoOnAlone, now);
            }
        }
    }

    fn judge_standing(&self, now: Now) -> Standing {
        let limits = self.limits();
        let BusState::Carries { since } = self.bus else { return Standing::Among };
        if self.peers.live().next().is_some() || self.peers.is_any_new(now.instant, limits) {
            return Standing::Among;
        }
        let is_missing = self.peers.is_any_missing();
        let patience = match is_missing {
            _ if is_on(Mutant::AloneAtOnce) => Duration::ZERO,
            true => limits.lease,
            // Another one would be heard within a lease; where `settle` is shorter, so is everything.
            false => limits.lease.min(self.settings.settle * SETTLES_ALONE),
        };
        // What was sent while it stood still is to be read first.
        let has_read = self.resumed + self.settings.settle <= now.instant || is_on(Mutant::AloneAtOnce);
        match self.majority_since {
            Some(since) if has_read && since + patience <= now.instant => Standing::Alone,
            None if since + patience <= now.instant => Standing::Isolated,
            _ => Standing::Among,
        }
    }

    /// Whether what is said here can be confirmed by nobody, since this is the only server.
    pub(super) fn is_alone(&self) -> bool {
        self.standing == Standing::Alone
    }

    /// Whether nothing is acknowledged: the bus does not carry, or so little of it that others may not be heard.
    pub(super) fn is_degraded(&self) -> bool {
        self.bus == BusState::Broken || self.standing == Standing::Isolated
    }

    /// Whether the bus has carried for long enough to have brought a word of every server.
    pub(super) fn is_settled(&self, now: Now) -> bool {
        let settle = self.settings.settle;
        let has_carried = matches!(self.bus, BusState::Carries { since } if since + settle <= now.instant);
        has_carried && !self.peers.is_any_new(now.instant, self.limits())
    }

    /// Whether a server that is not heard now may be heard soon, with what nobody else has: its lease has just ended, or lanes
    /// have just returned.
    pub(super) fn may_any_come(&self, now: Now) -> bool {
        let is_settled = self.is_settled(now) || is_on(Mutant::PassOverUnsettled);
        self.peers.may_come_back(now.instant, self.limits()) || !is_settled
    }

    /// How long others are waited for: longer where their answers take long.
    pub(super) fn fetch_patience(&self) -> Duration {
        self.limits().fetch_max.max(self.peers.round_trip() * 4)
    }
}
