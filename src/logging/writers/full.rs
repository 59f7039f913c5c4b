//! How much the table of writers holds, and who has to go when it is full.

use super::{Writer, Writers};
use crate::logging::files::PATHS_MAX;
use crate::logging::message::WriterId;

/// Writers of one logger, those that were and may come again among them. A few paths more are for lines of
/// whom nobody knows.
pub const WRITERS_MAX: usize = PATHS_MAX - 128;

/// What all of them say about themselves, in bytes: mostly names of columns.
pub const WRITERS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Writers that only guests have introduced.
pub const GUESTS_MAX: usize = 256;

/// What those say about themselves, in bytes.
pub const GUESTS_BYTES_MAX: usize = 1024 * 1024;

impl Writers {
    /// Forgets writers until one more has room. What comes of them nonetheless stands by itself.
    pub(super) fn make_room(&mut self, for_guest: bool, bytes: usize) {
        if for_guest {
            self.shrink(|one| one.is_guests, GUESTS_MAX, GUESTS_BYTES_MAX, bytes);
        }
        self.shrink(|_| true, WRITERS_MAX, WRITERS_BYTES_MAX, bytes);
    }

    fn shrink(
        &mut self,
        counts: impl Fn(&Writer) -> bool,
        count_max: usize,
        bytes_max: usize,
        bytes: usize,
    ) {
        loop {
            let all = self.known.iter().filter(|(_, one)| counts(one));
            let (count, sum) = all.clone().fold((0, bytes), |(count, sum), (_, one)| {
                (count + 1, sum + one.bytes)
            });
            if count < count_max && sum <= bytes_max {
                return;
            }
            let last = |one: &Writer| (!one.is_guests, !one.live.is_empty(), one.turn);
            let oldest = all.min_by_key(|(id, one)| (last(one), **id));
            let Some(id) = oldest.map(|(id, _)| *id) else {
                return;
            };
            self.forget(id);
        }
    }

    pub(super) fn forget(&mut self, id: WriterId) {
        if let Some(writer) = self.known.remove(&id)
            && self.holders.get(&writer.path) == Some(&id)
        {
            self.holders.remove(&writer.path);
        }
        self.has_changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{GUEST, ONE, create, introduce, path};
    use super::*;
    use crate::logging::{Atom, Column, Schema, Type};

    #[test]
    fn who_has_not_come_for_longest_goes_and_guests_only_for_guests() {
        let mut writers = Writers::default();
        let kept = create("A::LOG", "kept", "n");
        introduce(&mut writers, ONE, &kept);
        let guests = |number: usize| create("B::LOG", &format!("guest{number}"), "n");
        for number in 0..2 * GUESTS_MAX {
            introduce(&mut writers, GUEST, &guests(number));
        }
        assert_eq!(writers.known.len(), 1 + GUESTS_MAX);
        let dated = |number: usize| create("A::LOG", &format!("conn-{number}"), "n");
        for number in 0..WRITERS_MAX + 1 {
            introduce(&mut writers, ONE, &dated(number));
            path(&mut writers, ONE, kept.0).unwrap();
        }
        assert_eq!(writers.known.len(), WRITERS_MAX);
        assert_eq!(
            path(&mut writers, GUEST, guests(2 * GUESTS_MAX - 1).0),
            None
        );
        assert_eq!(path(&mut writers, ONE, dated(0).0), None);
        let last = dated(WRITERS_MAX).0;
        assert_eq!(
            path(&mut writers, ONE, last).unwrap(),
            format!("conn-{WRITERS_MAX}")
        );
    }

    #[test]
    fn what_writers_say_about_themselves_is_bounded() {
        let mut writers = Writers::default();
        for number in 0..GUESTS_MAX {
            let column = "n".repeat(200);
            let (_, mut said) = create("B::LOG", &format!("guest{number}"), "n");
            let columns = (0..500).map(|at| {
                let name = format!("{column}{at}");
                Column::new(&name, Type::Atom(Atom::Count), false).unwrap()
            });
            said.schema = Schema::new(columns.collect()).unwrap();
            let said = (said.encode().unwrap().0, said);
            introduce(&mut writers, GUEST, &said);
        }
        let bytes: usize = writers.known.values().map(|one| one.bytes).sum();
        assert!(
            bytes <= GUESTS_BYTES_MAX && bytes > GUESTS_BYTES_MAX / 2,
            "{bytes}"
        );
        assert!(writers.encode().len() < GUESTS_BYTES_MAX + 256 * writers.known.len());
    }
}
