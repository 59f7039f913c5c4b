//! Who has which place on the board: the stem's own book, of which the board is the public copy.
//!
//! Pure. A place is given to the next free number in turn, so that one just freed comes last: whoever
//! has not noticed yet that its owner left does not take a stranger for it.

use std::collections::BTreeMap;

use cluster::fabric::Slot;
use cluster::fabric::rings::Tenant;
use cluster::layout::spec::Role;
use cluster::names::{Incarnation, NodeName};
use cluster::shm::board::{Entry, State};

/// Whoever has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: NodeName,
    pub(super) role: Role,
    pub(super) attached: bool,
    pub(super) state: State,
    pub(super) incarnation: Incarnation,
    pub(super) pid: u32,
}

impl Place {
    /// The place of somebody who has not come yet.
    pub(super) fn new(name: NodeName, role: Role, attached: bool) -> Self {
        Self {
            name,
            role,
            attached,
            state: State::Down,
            incarnation: Incarnation::default(),
            pid: 0,
        }
    }
}

impl From<Entry> for Place {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name,
            role: entry.role,
            attached: entry.attached,
            state: entry.state,
            incarnation: entry.incarnation,
            pid: entry.pid,
        }
    }
}

/// All places that somebody has.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: BTreeMap<Slot, Place>,
    /// Children of the stem; programs that are attached may not take their names.
    children: BTreeMap<NodeName, Slot>,
    slots: u32,
    next: u32,
}

impl Places {
    /// A board of so many places.
    pub(super) fn new(slots: u32) -> Self {
        Self {
            slots,
            ..Self::default()
        }
    }

    /// What stands on the board already.
    pub(super) fn restore(&mut self, slot: Slot, place: Place) {
        self.next = self.next.max(slot.0.saturating_add(1));
        self.put(slot, place);
    }

    fn put(&mut self, slot: Slot, place: Place) {
        if !place.attached && place.state != State::Left {
            self.children.insert(place.name.clone(), slot);
        }
        self.places.insert(slot, place);
    }

    /// Gives somebody the next free place. `None`: every one is taken.
    pub(super) fn give(&mut self, place: Place) -> Option<Slot> {
        let from_next = (0..self.slots).map(|offset| self.next.wrapping_add(offset));
        let mut numbers = from_next.map(|number| Slot(number.checked_rem(self.slots).unwrap_or(0)));
        let slot = numbers.find(|slot| !self.places.contains_key(slot))?;
        self.next = slot.0.saturating_add(1);
        self.put(slot, place);
        Some(slot)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Place> {
        self.places.get(&slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Place> {
        self.places.get_mut(&slot)
    }

    /// The place of a child of the stem.
    pub(super) fn of_child(&self, name: &NodeName) -> Option<Slot> {
        self.children.get(name).copied()
    }

    /// Does anybody go by this name?
    pub(super) fn is_taken(&self, name: &NodeName) -> bool {
        let mut places = self.places.values();
        places.any(|place| place.name == *name && place.state != State::Left)
    }

    /// Is there a place that an attached program may have? Half of them are for the layout's nodes, and
    /// those to come. Who left counts until its place is given back.
    pub(super) fn has_room_for_guest(&self) -> bool {
        let half = usize::try_from(self.slots / 2).unwrap_or(usize::MAX);
        self.places.values().filter(|place| place.attached).count() < half
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Place)> {
        self.places.iter().map(|(slot, place)| (*slot, place))
    }

    /// It left for good: its name is free, its place not yet.
    pub(super) fn leave(&mut self, slot: Slot) {
        if let Some(place) = self.places.get_mut(&slot) {
            place.state = State::Left;
            if self.children.get(&place.name) == Some(&slot) {
                self.children.remove(&place.name);
            }
        }
    }

    /// Nobody has it any more.
    pub(super) fn free(&mut self, slot: Slot) {
        self.leave(slot);
        self.places.remove(&slot);
    }

    /// Those who left and whose places are not free yet.
    pub(super) fn left(&self) -> Vec<Slot> {
        let left = self.iter().filter(|(_, place)| place.state == State::Left);
        left.map(|(slot, _)| slot).collect()
    }

    pub(super) fn tenant(&self, slot: Slot) -> Tenant {
        match self.get(slot).map(|place| place.state) {
            None => Tenant::Nobody,
            Some(State::Left) => Tenant::Left,
            Some(State::Born | State::Up | State::Down | State::Away) => Tenant::Here,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, attached: bool) -> Place {
        Place::new(NodeName::parse(name).unwrap(), Role::Worker, attached)
    }

    #[test]
    fn a_place_just_freed_is_given_again_last() {
        let mut places = Places::new(3);
        let given = |places: &mut Places, name| places.give(place(name, true)).map(|slot| slot.0);
        assert_eq!(given(&mut places, "a"), Some(0));
        assert_eq!(given(&mut places, "b"), Some(1));
        places.free(Slot(0));
        assert_eq!(given(&mut places, "c"), Some(2));
        assert_eq!(given(&mut places, "d"), Some(0));
        assert_eq!(given(&mut places, "e"), None);
        assert_eq!(Places::default().give(place("f", true)), None);
    }

    #[test]
    fn half_of_the_places_are_kept_from_guests() {
        let mut places = Places::new(4);
        let first = places.give(place("a", true)).unwrap();
        places.give(place("node", false)).unwrap();
        assert!(places.has_room_for_guest());
        places.give(place("b", true)).unwrap();
        assert!(!places.has_room_for_guest());
        places.leave(first);
        assert!(!places.has_room_for_guest(), "its place is not free yet");
        places.free(first);
        assert!(places.has_room_for_guest());
        assert!(!Places::default().has_room_for_guest());
    }

    #[test]
    fn who_left_keeps_its_place_and_not_its_name() {
        let mut places = Places::new(4);
        let slot = places.give(place("a", false)).unwrap();
        let name = NodeName::parse("a").unwrap();
        assert_eq!(places.of_child(&name), Some(slot));
        assert!(places.is_taken(&name));
        places.leave(slot);
        assert_eq!(places.of_child(&name), None);
        assert!(!places.is_taken(&name));
        assert_eq!(
            (places.tenant(slot), places.left()),
            (Tenant::Left, vec![slot])
        );
        let next = places.give(place("a", false)).unwrap();
        places.free(slot);
        assert_eq!(places.of_child(&name), Some(next));
        assert_eq!(places.tenant(slot), Tenant::Nobody);
    }
}
