//! The stem's book of rings: which stand, how far each is on its way into use, and when it can go.
//!
//! Pure: it makes nothing and looks at nothing. Each step answers with [`Deed`]s, to be done in their
//! order. A ring goes through these steps, and its stem may die in any of them:
//!
//! | step | who holds the memory | what the next stem finds |
//! | --- | --- | --- |
//! | made | stem | nothing; nobody knew of it, and the writer asks again |
//! | reported | stem, then supervisor | a ring that nobody has used: it is empty, and handed to both ends |
//! | held | stem, supervisor | the same |
//! | told to the reader | reader too | the same; the reader waits for records |
//! | told to the writer | writer too | the ring with its records |
//! | let go | nobody, or the supervisor still | nothing, or a ring that its reader has drained before |
//!
//! So no ring is told of before it is held, and none is let go while it may hold a record for somebody.

use std::collections::BTreeMap;

use super::quota::{Quota, Tally};
use super::{Class, FabricSpec, RECORD_HEADER_BYTES, Refusal, RingKey, Slot};

/// What the stem is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Make the memory and report it to the escrow.
    Make {
        /// The ring.
        key: RingKey,
        /// Its size.
        bytes: u32,
    },
    /// Tell the node in this place of the ring, if anybody sits there just now.
    Tell {
        /// The ring.
        key: RingKey,
        /// Whom.
        whom: Slot,
    },
    /// Let go of the memory, here and in the escrow.
    LetGo(RingKey),
}

/// What the sizes of rings follow from.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Bytes of a control ring.
    pub control_bytes: u32,
    /// Bytes of a bulk ring.
    pub bulk_bytes: u32,
    /// No larger record is published.
    pub record_bytes_max: u32,
    /// The bytes of the smallest ring that takes a record of so many.
    pub needs: fn(u32) -> u32,
}

impl Sizes {
    /// What a layout says, and what ring a record needs.
    #[must_use]
    pub fn new(spec: &FabricSpec, needs: fn(u32) -> u32) -> Self {
        Self {
            control_bytes: spec.control_bytes,
            bulk_bytes: spec.bulk_bytes,
            record_bytes_max: spec.record_bytes_max,
            needs,
        }
    }

    /// The size of a ring of this class that takes such a record: as configured, or as large as that
    /// needs.
    fn bytes_for(&self, class: Class, record_bytes: u32) -> u32 {
        let configured = match class {
            Class::Control => self.control_bytes,
            Class::Bulk => self.bulk_bytes,
        };
        configured.max((self.needs)(record_bytes))
    }
}

/// How far a ring is on its way into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The supervisor has not said yet that it holds it.
    Reported,
    /// The same, and nobody needs it any more: it goes when the supervisor has said so. Were it gone
    /// before, that word could be taken for one about a later ring of the same name.
    Doomed,
    /// It outlives the stem: its two ends may know.
    Held,
}

#[derive(Clone, Copy, Debug)]
struct Ring {
    bytes: u32,
    step: Step,
    /// Its writer came to `attach.sock`: it counts for the quota.
    is_guests: bool,
}

/// What can be seen in a ring's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Every record in it was released by its reader.
    pub is_empty: bool,
    /// Its writer went on to a larger one.
    pub has_successor: bool,
}

/// What a slot is, as far as rings depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// Somebody who is there or comes back.
    Here,
    /// Somebody who left for good.
    Left,
    /// Nobody.
    Nobody,
}

/// Every ring that stands.
#[derive(Clone, Debug, Default)]
pub struct Rings {
    rings: BTreeMap<RingKey, Ring>,
    /// Of those whose writers are guests.
    guests: Tally,
}

impl Rings {
    /// A ring that a former stem made, and that the supervisor held. `is_guests`: its writer came to
    /// `attach.sock`.
    pub fn restore(&mut self, key: RingKey, bytes: u32, is_guests: bool) {
        let step = Step::Held;
        self.enter(
            key,
            Ring {
                bytes,
                step,
                is_guests,
            },
        );
    }

    fn enter(&mut self, key: RingKey, ring: Ring) {
        if ring.is_guests {
            self.guests.add(key.from, ring.bytes);
        }
        self.rings.insert(key, ring);
    }

    fn strike(&mut self, key: RingKey) {
        let ring = self.rings.remove(&key);
        if let Some(ring) = ring.filter(|ring| ring.is_guests) {
            self.guests.remove(key.from, ring.bytes);
        }
    }

    /// The writer has a record and no ring for it. While a ring that will do is on its way, or stands,
    /// no second one is made. `quota`: what binds the writer, if it is a guest.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`]; [`Refusal::ToItself`]; [`Refusal::NoSuchPeer`] unless the reader is
    /// [`Tenant::Here`]; what [`Quota::check`] says.
    pub fn ask(
        &mut self,
        link: (Slot, Slot, Class),
        record_bytes: u32,
        reader: Tenant,
        sizes: &Sizes,
        quota: Option<&Quota>,
    ) -> Result<Option<Deed>, Refusal> {
        let (from, to, class) = link;
        if from == to {
            return Err(Refusal::ToItself);
        }
        if reader != Tenant::Here {
            return Err(Refusal::NoSuchPeer);
        }
        if record_bytes > sizes.record_bytes_max.saturating_add(RECORD_HEADER_BYTES) {
            return Err(Refusal::TooLarge);
        }
        let newest = self.newest(from, to, class);
        if let Some((key, ring)) = newest
            && (sizes.needs)(record_bytes) <= ring.bytes
        {
            return Ok(match ring.step {
                Step::Reported | Step::Doomed => None, // told when it is held
                Step::Held => Some(Deed::Tell { key, whom: from }),
            });
        }
        let bytes = sizes.bytes_for(class, record_bytes);
        if let Some(quota) = quota {
            quota.check(&self.guests, from, bytes)?;
        }
        let index = newest.map_or(0, |(key, _)| key.index.saturating_add(1));
        let key = RingKey {
            from,
            to,
            class,
            index,
        };
        let ring = Ring {
            bytes,
            step: Step::Reported,
            is_guests: quota.is_some(),
        };
        self.enter(key, ring);
        Ok(Some(Deed::Make { key, bytes }))
    }

    fn newest(&self, from: Slot, to: Slot, class: Class) -> Option<(RingKey, Ring)> {
        let key = |index| RingKey {
            from,
            to,
            class,
            index,
        };
        let mut link = self.rings.range(key(0)..=key(u32::MAX));
        link.next_back().map(|(key, ring)| (*key, *ring))
    }

    /// Its memory could not be made: as if nobody had asked.
    pub fn not_made(&mut self, key: RingKey) {
        self.strike(key);
    }

    /// The supervisor holds it: the reader first, then the writer. Of a ring that went meanwhile nobody
    /// is told.
    pub fn held(&mut self, key: RingKey) -> Vec<Deed> {
        let Some(ring) = self.rings.get_mut(&key) else {
            return Vec::new();
        };
        match ring.step {
            Step::Held => return Vec::new(),
            Step::Doomed => {
                self.strike(key);
                return vec![Deed::LetGo(key)];
            }
            Step::Reported => ring.step = Step::Held,
        }
        [key.to, key.from]
            .map(|whom| Deed::Tell { key, whom })
            .into()
    }

    /// The rings that whoever sits down in this place is told of.
    pub fn of(&self, slot: Slot) -> impl Iterator<Item = RingKey> + '_ {
        self.usable()
            .filter(move |key| key.from == slot || key.to == slot)
    }

    /// All rings that somebody may use.
    pub fn usable(&self) -> impl Iterator<Item = RingKey> + '_ {
        let rings = self.rings.iter();
        rings
            .filter(|(_, ring)| ring.step == Step::Held)
            .map(|(key, _)| *key)
    }

    /// May it be used?
    #[must_use]
    pub fn is_usable(&self, key: RingKey) -> bool {
        let ring = self.rings.get(&key);
        ring.is_some_and(|ring| ring.step == Step::Held)
    }

    /// Its reader says that nothing is left in it. A ring that is unknown went before: the reader may
    /// say so twice.
    ///
    /// # Errors
    /// [`Refusal::Confused`] when somebody else says so, or it may still be written to, or it holds
    /// records; the ring stays.
    pub fn drained(
        &mut self,
        key: RingKey,
        by: Slot,
        writer: Tenant,
        seen: Seen,
    ) -> Result<Option<Deed>, Refusal> {
        let confused = |why: &str| Err(Refusal::Confused(why.to_owned()));
        if key.to != by {
            return confused("only its reader can say that a ring is drained");
        }
        if !self.is_usable(key) {
            return Ok(None);
        }
        let newest = self.newest(key.from, key.to, key.class);
        let is_newest = newest.is_none_or(|(newest, _)| newest == key);
        let is_over = seen.has_successor && !is_newest;
        if !is_over && writer == Tenant::Here {
            return confused("the ring's writer may still write to it");
        }
        if !seen.is_empty {
            return confused("the ring holds records that were not released");
        }
        self.strike(key);
        Ok(Some(Deed::LetGo(key)))
    }

    /// Somebody left for good. Nobody reads what was for it: those rings go. What it wrote itself stays
    /// until it is read; `is_empty` looks whether anything is there.
    pub fn left(&mut self, slot: Slot, is_empty: impl Fn(RingKey) -> bool) -> Vec<Deed> {
        let mut gone = Vec::new();
        for (key, ring) in &mut self.rings {
            if key.to != slot && key.from != slot {
                continue;
            }
            match ring.step {
                Step::Held if key.to == slot || is_empty(*key) => gone.push(*key),
                Step::Reported => ring.step = Step::Doomed, // nobody has written to it
                Step::Held | Step::Doomed => {}
            }
        }
        gone.iter().for_each(|key| self.strike(*key));
        gone.into_iter().map(Deed::LetGo).collect()
    }

    /// Does no ring name this place any more, so that somebody else can have it?
    #[must_use]
    pub fn is_free(&self, slot: Slot) -> bool {
        let mut keys = self.rings.keys();
        !keys.any(|key| key.from == slot || key.to == slot)
    }
}

#[cfg(test)]
mod recount;
#[cfg(test)]
mod tests;
