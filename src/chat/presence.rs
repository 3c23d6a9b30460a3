//! Who is in a room, here and at other servers, and what its members were last told about that.
//!
//! Soft state: each server tells all of its names, the newest word counts, and a server that is gone takes its users
//! with it. Names are counted once however many tabs or servers they are at.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::limits::ROSTER_MAX;
use super::mutants::{Mutant, is_on};

/// What another server last told.
#[derive(Debug)]
struct Remote {
    origin: u64,
    version: u64,
    /// It keeps the room, with users or without.
    is_held: bool,
    users: usize,
    names: Option<Arc<[Arc<str>]>>,
}

/// The users of one room.
#[derive(Debug, Default)]
pub struct Presence {
    /// Connections here, by name.
    local: BTreeMap<Arc<str>, u32>,
    remote: SmallVec<[Remote; 0]>,
    /// What the members here were last told.
    told: View,
}

/// The users of a room as one sees them: a number, and the names where they are few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Distinct names; the sum over the servers where names are not told.
    pub users: usize,
    /// Sorted; `None` in large rooms.
    pub names: Option<Vec<Arc<str>>>,
}

impl Default for View {
    fn default() -> Self {
        Self { users: 0, names: Some(Vec::new()) }
    }
}

/// How a view differs from the one told before.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// Users now.
    pub users: usize,
    /// The names; `None` in large rooms.
    pub names: Option<NameChange>,
}

/// Names that came and names that went, sorted.
#[derive(Debug, PartialEq, Eq)]
pub struct NameChange {
    /// Those that came.
    pub joined: Vec<Arc<str>>,
    /// Those that went.
    pub left: Vec<Arc<str>>,
}

impl Presence {
    /// A connection came. True: its name is new here.
    pub fn enter(&mut self, user: &Arc<str>) -> bool {
        let count = self.local.entry(Arc::clone(user)).or_default();
        *count += 1;
        *count == 1
    }

    /// A connection went. True: it was the last of its name here.
    pub fn leave(&mut self, user: &Arc<str>) -> bool {
        let Some(count) = self.local.get_mut(user) else {
            debug_assert!(false, "{user} leaves a room that it was not in");
            return false;
        };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            self.local.remove(user);
        }
        is_last
    }

    /// Another server's word. True: its users are news.
    pub fn hear(
        &mut self,
        origin: u64,
        version: u64,
        is_held: bool,
        users: usize,
        names: Option<Arc<[Arc<str>]>>,
    ) -> bool {
        match self.remote.iter_mut().find(|remote| remote.origin == origin) {
            Some(known) if known.version >= version && !is_on(Mutant::PresenceUnordered) => false,
            Some(known) => {
                let is_news = known.users != users || known.names != names;
                *known = Remote { origin, version, is_held, users, names };
                is_news
            }
            None => {
                self.remote.push(Remote { origin, version, is_held, users, names });
                users > 0
            }
        }
    }

    /// Another server says that it keeps the room, or that it does not, and nothing of its users.
    pub fn hear_held(&mut self, origin: u64, is_held: bool) {
        match self.remote.iter_mut().find(|remote| remote.origin == origin) {
            Some(known) => known.is_held = is_held,
            None if is_held => {
                let names = Some(Arc::new([]) as Arc<[Arc<str>]>);
                self.remote.push(Remote { origin, version: 0, is_held, users: 0, names });
            }
            None => {}
        }
    }

    /// Other servers that keep the room.
    pub fn holders(&self) -> impl Iterator<Item = u64> {
        self.remote.iter().filter(|remote| remote.is_held).map(|remote| remote.origin)
    }

    /// Whether another server has users in the room.
    pub fn is_used_elsewhere(&self) -> bool {
        self.remote.iter().any(|remote| remote.users > 0)
    }

    /// A server is gone. True: it had kept the room.
    pub fn forget(&mut self, origin: u64) -> bool {
        let before = self.remote.len();
        self.remote.retain(|remote| remote.origin != origin);
        self.remote.len() < before
    }

    /// The number and, where they are few, the names of this server's own users.
    pub fn own_word(&self) -> (usize, Option<Arc<[Arc<str>]>>) {
        let names = (self.local.len() <= ROSTER_MAX).then(|| self.local.keys().cloned().collect());
        (self.local.len(), names)
    }

    /// Everybody, as known here.
    fn view(&self) -> View {
        let everywhere: usize =
            self.local.len() + self.remote.iter().map(|remote| remote.users).sum::<usize>();
        let all_told = self.remote.iter().all(|remote| remote.names.is_some());
        if !all_told || everywhere > 2 * ROSTER_MAX {
            return View { users: everywhere, names: None };
        }
        let mut names: Vec<Arc<str>> = self.local.keys().cloned().collect();
        names.extend(
            self.remote.iter().flat_map(|remote| remote.names.iter().flat_map(|names| names.iter().cloned())),
        );
        names.sort_unstable();
        names.dedup();
        View { users: names.len(), names: (names.len() <= ROSTER_MAX).then_some(names) }
    }

    /// What a newcomer is told: what the others were told last, and itself. Changes since then are told to all of
    /// them together; a newer view would leave the newcomer with names whose going is never told.
    pub fn view_for(&self, newcomer: &Arc<str>) -> View {
        let mut view = self.told.clone();
        let Some(names) = &mut view.names else {
            return View { users: self.view().users, names: None };
        };
        if let Err(place) = names.binary_search(newcomer) {
            names.insert(place, Arc::clone(newcomer));
            view.users += 1;
        }
        view.names.take_if(|names| names.len() > ROSTER_MAX);
        view
    }

    /// How many users the members here were last told.
    pub fn users(&self) -> usize {
        self.told.users
    }

    /// What the members here have to be told, if anything; they count as told.
    pub fn take_change(&mut self) -> Option<Change> {
        let view = self.view();
        if view == self.told {
            return None;
        }
        let told = std::mem::replace(&mut self.told, view);
        let names = match (&self.told.names, &told.names) {
            (Some(now), Some(before)) => {
                Some(NameChange { joined: missing_from(before, now), left: missing_from(now, before) })
            }
            _ => None,
        };
        Some(Change { users: self.told.users, names })
    }
}

/// Those of `names` that are not in `others`; both sorted.
fn missing_from(others: &[Arc<str>], names: &[Arc<str>]) -> Vec<Arc<str>> {
    names.iter().filter(|name| others.binary_search(name).is_err()).cloned().collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn a_name_counts_once_however_many_tabs_and_servers() {
        let mut presence = Presence::default();
        let ann: Arc<str> = "ann".into();
        assert!(presence.enter(&ann));
        assert!(!presence.enter(&ann));
        assert!(presence.hear(7, 1, true, 2, Some(names(&["ann", "bob"]).into())));
        assert_eq!(presence.view(), View { users: 2, names: Some(names(&["ann", "bob"])) });
        assert!(!presence.leave(&ann));
        assert!(presence.leave(&ann));
        assert_eq!(presence.view().users, 2, "ann is still at the other server");
    }

    #[test]
    fn members_are_told_what_changed_and_only_that() {
        let mut presence = Presence::default();
        presence.enter(&"ann".into());
        let change = presence.take_change().unwrap();
        assert_eq!(
            change,
            Change { users: 1, names: Some(NameChange { joined: names(&["ann"]), left: Vec::new() }) }
        );
        assert_eq!(presence.take_change(), None);
        presence.hear(7, 1, true, 1, Some(names(&["bob"]).into()));
        presence.leave(&"ann".into());
        let change = presence.take_change().unwrap();
        assert_eq!(
            change,
            Change { users: 1, names: Some(NameChange { joined: names(&["bob"]), left: names(&["ann"]) }) }
        );
    }

    #[test]
    pub fn an_older_word_does_not_undo_a_newer_and_a_dead_server_takes_its_users() {
        let mut presence = Presence::default();
        assert!(presence.hear(7, 2, true, 1, Some(names(&["bob"]).into())));
        assert!(!presence.hear(7, 1, true, 0, Some(names(&[]).into())));
        assert_eq!(presence.view().users, 1);
        assert!(presence.forget(7));
        assert_eq!(presence.view().users, 0);
        assert!(!presence.forget(7));
    }

    #[test]
    fn a_large_room_has_a_number_and_no_names() {
        let mut presence = Presence::default();
        for i in 0..=ROSTER_MAX {
            presence.enter(&format!("user {i}").into());
        }
        assert_eq!(presence.view(), View { users: ROSTER_MAX + 1, names: None });
        assert_eq!(presence.own_word(), (ROSTER_MAX + 1, None));
        presence.take_change();
        assert_eq!(presence.view_for(&"user 1".into()), View { users: ROSTER_MAX + 1, names: None });
        presence.enter(&"one more".into());
        assert_eq!(presence.take_change().unwrap(), Change { users: ROSTER_MAX + 2, names: None });
    }
}
