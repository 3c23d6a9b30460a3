//! What other servers have answered to the NACKs of one stream: which of them lack which numbers.
//!
//! A server that never had a number may have received it since from one that had it. So each time that one more server
//! answers that retention has taken a number, earlier answers of others that they never had it count no longer: those are
//! asked again.

use super::branches::{Branch, entered};
use super::mutants::{Mutant, is_on};

/// Answers that are remembered of one stream; beyond it the oldest is forgotten, and asked for again.
const ANSWERS_MAX: usize = 1024;

/// Of one stream, since its first hole.
#[derive(Debug, Default)]
pub struct Answers {
    lacks: Vec<Lack>,
}

/// A server does not have these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Which server.
    pub server: u64,
    /// The first number.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// It had them once, or began behind them: retention has taken them.
    pub is_expired: bool,
    /// The question that it answers; the first one where retention has taken them.
    pub question: u64,
}

impl Lack {
    fn covers(&self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

impl Answers {
    /// One more. True: it is this server's first that says that retention has taken `next`.
    pub fn add(&mut self, mut lack: Lack, next: u64) -> bool {
        let is_first_expiry = lack.is_expired && lack.covers(next) && !self.has_expired_at(lack.server, next);
        if is_first_expiry && self.lacks.iter().any(|known| !known.is_expired && known.covers(next)) {
            entered(Branch::ExpiryVoidsLacks);
        }
        // What a server says now stands for what it said of these numbers before.
        let is_replaced = |known: &mut Lack| {
            known.server == lack.server && lack.first <= known.first && known.last <= lack.last
        };
        for known in self.lacks.extract_if(.., is_replaced) {
            if lack.is_expired && known.is_expired && known.covers(next) {
                lack.question = lack.question.min(known.question);
            }
        }
        if self.lacks.len() == ANSWERS_MAX {
            self.lacks.remove(0);
        }
        self.lacks.push(lack);
        is_first_expiry
    }

    /// Whether that server has said that it lacks the number, and that still counts.
    pub fn lacks(&self, server: u64, number: u64) -> bool {
        self.counting(number).any(|lack| lack.server == server)
    }

    /// Whether some server had the number, and retention has taken it.
    pub fn is_expired(&self, number: u64) -> bool {
        self.lacks.iter().any(|lack| lack.is_expired && lack.covers(number))
    }

    fn has_expired_at(&self, server: u64, number: u64) -> bool {
        self.lacks.iter().any(|lack| lack.server == server && lack.is_expired && lack.covers(number))
    }

    /// The last number up to which each of these servers lacks all from `number` on.
    pub fn reach(&self, number: u64, servers: &[u64]) -> u64 {
        let reach_of = |server: &u64| {
            self.counting(number).filter(|lack| lack.server == *server).map(|lack| lack.last).max()
        };
        servers.iter().filter_map(reach_of).min().unwrap_or(number)
    }

    /// Numbers before this one are missing no longer.
    pub fn forget_before(&mut self, number: u64) {
        self.lacks.retain(|lack| lack.last >= number);
    }

    /// The server comes (back), and is asked for everything.
    pub fn forget(&mut self, server: u64) {
        self.lacks.retain(|lack| lack.server != server);
    }

    /// The server has dealt with what it lacked. What retention has taken does not come back.
    pub fn forget_all_but_expired(&mut self, server: u64) {
        self.lacks.retain(|lack| lack.server != server || lack.is_expired);
    }

    fn counting(&self, number: u64) -> impl Iterator<Item = &Lack> {
        let expired = self.lacks.iter().filter(|lack| lack.is_expired && lack.covers(number));
        let firsts = expired.map(|lack| lack.question);
        let since = if is_on(Mutant::FirstExpiryDecides) { firsts.min() } else { firsts.max() };
        let since = since.filter(|_| !is_on(Mutant::OldLacksStand));
        let counts = move |lack: &&Lack| {
            lack.covers(number) && (lack.is_expired || since.is_none_or(|since| lack.question > since))
        };
        self.lacks.iter().filter(counts)
    }
}
