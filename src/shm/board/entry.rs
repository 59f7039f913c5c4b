//! What the board says of the node in a place, and its words.

use serde::Serialize;

use crate::layout::spec::Role;
use crate::names::{Incarnation, LifeId, NAME_BYTES_MAX, NodeName};

/// What has become of the node in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its process exists.
    Born,
    /// It has announced itself.
    Up,
    /// It is dead, or was never born, and will come.
    Down,
    /// It was stopped on purpose, has finished or has failed.
    Away,
    /// It was attached and has gone for good. Its place is freed when no ring of its is left.
    Left,
}

impl State {
    /// The word that `peers` shows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Born => "born",
            Self::Up => "up",
            Self::Down => "down",
            Self::Away => "away",
            Self::Left => "left",
        }
    }
}

/// The node in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What has become of it.
    pub state: State,
    /// Its name.
    pub name: NodeName,
    /// What it counts as.
    pub role: Role,
    /// It came to `attach.sock`; the stem is not its parent.
    pub attached: bool,
    /// Which of its lives this is; 0: none yet.
    pub incarnation: Incarnation,
    /// The id of that life.
    pub id: LifeId,
    /// The process; 0: none yet.
    pub pid: u32,
}

/// Words of an entry: kind, incarnation, id, pid, then the name.
pub(super) const WORDS: usize = 5 + NAME_BYTES_MAX / size_of::<u64>();

/// What an entry is in shared memory.
pub type EntryWords = [u64; WORDS];

impl Entry {
    /// The words of an entry; those of `None` are zeros.
    #[must_use]
    pub fn encode(entry: Option<&Self>) -> EntryWords {
        let mut words = [0; WORDS];
        let Some(entry) = entry else {
            return words;
        };
        let name = entry.name.as_str().as_bytes();
        let length = u8::try_from(name.len()).unwrap_or(0);
        let [kind, incarnation, id, more_id, pid, text @ ..] = &mut words;
        *kind = u64::from_le_bytes([
            state_byte(entry.state),
            role_byte(entry.role),
            u8::from(entry.attached),
            length,
            0,
            0,
            0,
            0,
        ]);
        *incarnation = entry.incarnation.0;
        let id_bits = u128::from_le_bytes(entry.id.0);
        (*id, *more_id) = halves(id_bits);
        *pid = u64::from(entry.pid);
        for (word, chunk) in text.iter_mut().zip(name.chunks(size_of::<u64>())) {
            let mut bytes = [0; size_of::<u64>()];
            bytes
                .iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            *word = u64::from_le_bytes(bytes);
        }
        words
    }

    /// The entry of these words, whoever wrote them. `None`: nobody's, or nonsense.
    #[must_use]
    pub fn decode(words: &EntryWords) -> Option<Self> {
        let [kind, incarnation, id, more_id, pid, text @ ..] = words;
        let [state, role, attached, length, ..] = kind.to_le_bytes();
        let name: Vec<u8> = text.iter().flat_map(|word| word.to_le_bytes()).collect();
        let name = std::str::from_utf8(name.get(..usize::from(length))?).ok()?;
        Some(Self {
            state: state_of(state)?,
            name: NodeName::parse(name).ok()?,
            role: role_of(role)?,
            attached: attached != 0,
            incarnation: Incarnation(*incarnation),
            id: LifeId((u128::from(*more_id) << 64 | u128::from(*id)).to_le_bytes()),
            pid: u32::try_from(*pid).ok()?,
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it takes the number apart")]
fn halves(bits: u128) -> (u64, u64) {
    (bits as u64, (bits >> 64) as u64)
}

// 0 stays free: it is what empty memory says.

fn state_byte(state: State) -> u8 {
    match state {
        State::Born => 1,
        State::Up => 2,
        State::Down => 3,
        State::Away => 4,
        State::Left => 5,
    }
}

fn state_of(byte: u8) -> Option<State> {
    use State::{Away, Born, Down, Left, Up};
    let mut all = [Born, Up, Down, Away, Left].into_iter();
    all.find(|state| state_byte(*state) == byte)
}

fn role_byte(role: Role) -> u8 {
    match role {
        Role::None => 1,
        Role::Control => 2,
        Role::Logger => 3,
        Role::Manager => 4,
        Role::Proxy => 5,
        Role::Worker => 6,
        Role::Controller => 7,
    }
}

fn role_of(byte: u8) -> Option<Role> {
    use Role::{Control, Controller, Logger, Manager, None as NoMember, Proxy, Worker};
    let all = [
        NoMember, Control, Logger, Manager, Proxy, Worker, Controller,
    ];
    all.into_iter().find(|role| role_byte(*role) == byte)
}
