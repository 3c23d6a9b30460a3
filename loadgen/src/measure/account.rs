//! What was lost: known when all workers have told what arrived at their clients.

use serde::{Deserialize, Serialize};

use crate::load::workload::Workload;

/// Messages by their numbers in the schedule. Those of several workers are added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Members that have it.
    seen: Vec<u32>,
    /// Bits: whether all members are owed it.
    owed: Vec<u64>,
}

impl Account {
    /// How many have each message, and whether all are owed it.
    pub fn new(messages: impl Iterator<Item = (u32, bool)>) -> Self {
        let mut account = Self::default();
        for (index, (seen, is_owed)) in messages.enumerate() {
            if index.is_multiple_of(u64::BITS as usize) {
                account.owed.push(0);
            }
            account.seen.push(seen);
            account.owed[index / u64::BITS as usize] |= u64::from(is_owed) << (index as u32 % u64::BITS);
        }
        account
    }

    /// Adds what another worker tells. No member is counted by two.
    pub fn merge(&mut self, other: &Self) {
        self.seen.resize(self.seen.len().max(other.seen.len()), 0);
        self.owed.resize(self.owed.len().max(other.owed.len()), 0);
        self.seen.iter_mut().zip(&other.seen).for_each(|(seen, more)| *seen += more);
        self.owed.iter_mut().zip(&other.owed).for_each(|(owed, more)| *owed |= more);
    }

    /// How many members do not have what they are owed, all in all.
    pub fn lost(&self, script: &Workload) -> u64 {
        let owed = |number: u32| self.owed[(number / u64::BITS) as usize] >> (number % u64::BITS) & 1 == 1;
        let messages = (0..).zip(&self.seen).filter(|(number, _)| owed(*number));
        messages.map(|(number, seen)| u64::from(script.members(number).saturating_sub(*seen))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::Plan;

    #[test]
    fn a_room_that_spans_workers_has_one_account() {
        let script = Workload::new(&Plan { clients: 9, rooms: 1, ..Plan::default() });
        // The first worker's client said messages 0 and 64, the second's the last.
        let told = |seen: &[u32], owed: &[usize]| {
            let messages = seen.iter().enumerate();
            Account::new(messages.map(|(number, seen)| (*seen, owed.contains(&number))))
        };
        let mut seen = [0; 66];
        (seen[0], seen[1], seen[64], seen[65]) = (4, 1, 4, 4);
        let mut account = told(&seen[..65], &[0, 64]);
        account.merge(&told(&seen, &[65]));
        assert_eq!(account.lost(&script), 1 + 1 + 5, "each is for nine");
    }
}
