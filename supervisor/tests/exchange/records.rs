//! What each node publishes: where, of which length, with which bytes, all of it by its place and number.

use cluster::fabric::Class;

use crate::common::mix;

/// So many nodes take part.
pub const NODES: usize = 8;

/// Bytes before those that follow from them: sender, number, length.
const HEAD_BYTES: usize = 24;

/// The length of the largest record of all; a step below the layout's limit.
const LENGTH_MAX: usize = 900_000;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// To whom; none: to everybody.
    pub to: Option<usize>,
    pub class: Class,
    pub length: usize,
}

impl Plan {
    /// What `sender` publishes as its record `number`: one in ten to everybody, one in four by the
    /// control rings; and from two of the nodes, now and then, one for which a larger ring is needed.
    pub fn of(sender: usize, number: u64) -> Self {
        let dice = mix(seed(sender, number));
        let pick = |shift: u32, sides: usize| usize::from(bits(dice >> shift)) % sides;
        let to = (pick(0, 10) > 0).then(|| (sender + 1 + pick(16, NODES - 1)) % NODES);
        let is_large = sender < 2 && pick(32, 2048) == 0;
        let (class, length) = match pick(32, 4) {
            _ if is_large => (Class::Bulk, large(number)),
            0 => (Class::Control, HEAD_BYTES + pick(48, 100)),
            _ => (Class::Bulk, HEAD_BYTES + pick(48, 400)),
        };
        Self { to, class, length }
    }

    /// Is it for the node in this place?
    pub fn is_for(self, sender: usize, place: usize) -> bool {
        sender != place && self.to.is_none_or(|to| to == place)
    }

    pub fn topic(self) -> String {
        let class = match self.class {
            Class::Control => "zeek/cluster/",
            Class::Bulk => "",
        };
        match self.to {
            Some(to) => format!("{class}to/{to}/x"),
            None => format!("{class}all/x"),
        }
    }
}

/// They grow, so that larger rings take over again and again.
fn large(number: u64) -> usize {
    let grown = usize::try_from(number * 2).unwrap_or(LENGTH_MAX);
    (30_000 + grown).min(LENGTH_MAX)
}

/// The topics that the node in this place subscribes to.
pub fn topics(place: usize) -> [String; 4] {
    [
        format!("to/{place}/"),
        format!("zeek/cluster/to/{place}/"),
        "all/".to_owned(),
        "zeek/cluster/all/".to_owned(),
    ]
}

/// A record's bytes.
pub fn write(sender: usize, number: u64, length: usize, bytes: &mut Vec<u8>) {
    bytes.clear();
    for word in [sender as u64, number, length as u64] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let mut word = mix(seed(sender, number));
    while bytes.len() < length {
        word = word
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(number | 1);
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(length);
}

/// Whose record these bytes are, and which, if each of them is as it was written; `scratch` is used for
/// comparing.
pub fn read(bytes: &[u8], scratch: &mut Vec<u8>) -> Option<(usize, u64)> {
    let word = |index: usize| {
        let bytes = bytes.get(8 * index..8 * index + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let (sender, number, length) = (word(0)?, word(1)?, word(2)?);
    let sender = usize::try_from(sender).ok().filter(|it| *it < NODES)?;
    if length != bytes.len() as u64 || Plan::of(sender, number).length != bytes.len() {
        return None;
    }
    write(sender, number, bytes.len(), scratch);
    (scratch == bytes).then_some((sender, number))
}

fn seed(sender: usize, number: u64) -> u64 {
    number
        .wrapping_mul(NODES as u64)
        .wrapping_add(sender as u64)
}

/// The lowest sixteen.
fn bits(word: u64) -> u16 {
    let [one, other, ..] = word.to_le_bytes();
    u16::from_le_bytes([one, other])
}
