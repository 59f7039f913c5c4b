//! A set of numbers, most of which follow one another: at most a bit for each number between the lowest
//! and the highest of a chunk, and two bytes for each one that stands alone.
//!
//! A source's numbers may be spread over many paths in turn, so that neither of them has a stretch.

use std::collections::BTreeMap;

/// Numbers of a chunk.
const CHUNK: u32 = 1 << 16;

/// So many alone take as much room as a bit for each.
const ALONE_MAX: usize = 4096;

/// Words of a chunk's bits.
const WORDS: usize = 1024;

/// A set of numbers, by what they have in common but their lowest 16 bits.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    chunks: BTreeMap<u64, Chunk>,
    count: u64,
}

#[derive(Clone, Debug)]
enum Chunk {
    /// In order.
    Alone(Vec<u16>),
    /// A bit for each, and how many are set.
    Bits(Box<[u64; WORDS]>, u32),
    /// All of them.
    Full,
}

impl Numbers {
    /// Adds a number; `false` if it was there.
    pub(super) fn add(&mut self, number: u64) -> bool {
        let (chunk, low) = split(number);
        let added = self.chunks.entry(chunk).or_default().add(low);
        self.count += u64::from(added);
        added
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let (chunk, low) = split(number);
        self.chunks.get(&chunk).is_some_and(|c| c.contains(low))
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The lowest and the highest.
    pub(super) fn bounds(&self) -> Option<(u64, u64)> {
        let (low, first) = self.chunks.first_key_value()?;
        let (high, last) = self.chunks.last_key_value()?;
        let (first, _) = first.next_run(0)?;
        Some((joined(*low, first), joined(*high, last.last()?)))
    }

    /// Adds all of another set.
    pub(super) fn join(&mut self, other: &Self) {
        for (first, last) in other.stretches() {
            for number in first..=last {
                self.add(number);
            }
        }
    }

    /// First and last number of each stretch, in order.
    pub(super) fn stretches(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut runs = self.runs().peekable();
        std::iter::from_fn(move || {
            let (first, mut last) = runs.next()?;
            while let Some((_, end)) = runs.next_if(|(next, _)| last.checked_add(1) == Some(*next))
            {
                last = end;
            }
            Some((first, last))
        })
    }

    /// As stretches, which end with each chunk.
    fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.chunks.iter().flat_map(|(at, chunk)| {
            let mut from = Some(0);
            std::iter::from_fn(move || {
                let (first, last) = chunk.next_run(from?)?;
                from = last.checked_add(1);
                Some((joined(*at, first), joined(*at, last)))
            })
        })
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Alone(Vec::new())
    }
}

impl Chunk {
    fn add(&mut self, low: u16) -> bool {
        match self {
            Self::Full => return false,
            Self::Alone(numbers) => {
                // Almost always the last: they come in order.
                let place = match numbers.last() {
                    Some(last) if low <= *last => numbers.binary_search(&low),
                    Some(_) | None => Err(numbers.len()),
                };
                let Err(place) = place else {
                    return false;
                };
                numbers.insert(place, low);
                if numbers.len() > ALONE_MAX {
                    *self = Self::of(numbers);
                }
                return true;
            }
            Self::Bits(words, count) => {
                let Some(word) = words.get_mut(usize::from(low / 64)) else {
                    return false;
                };
                let bit = 1 << (low % 64);
                if *word & bit != 0 {
                    return false;
                }
                *word |= bit;
                *count += 1;
                if *count < CHUNK {
                    return true;
                }
            }
        }
        *self = Self::Full;
        true
    }

    fn of(numbers: &[u16]) -> Self {
        let mut words = Box::new([0; WORDS]);
        for number in numbers {
            if let Some(word) = words.get_mut(usize::from(number / 64)) {
                *word |= 1_u64 << (number % 64);
            }
        }
        Self::Bits(words, u32::try_from(numbers.len()).unwrap_or(u32::MAX))
    }

    fn contains(&self, low: u16) -> bool {
        match self {
            Self::Full => true,
            Self::Alone(numbers) => numbers.binary_search(&low).is_ok(),
            Self::Bits(words, _) => next(words, low, true) == Some(low),
        }
    }

    /// First and last of the stretch that begins at or behind a number.
    fn next_run(&self, from: u16) -> Option<(u16, u16)> {
        match self {
            Self::Full => Some((from, u16::MAX)),
            Self::Alone(numbers) => {
                let at = numbers.partition_point(|number| *number < from);
                let first = *numbers.get(at)?;
                Some((first, first))
            }
            Self::Bits(words, _) => {
                let first = next(words, from, true)?;
                let behind = next(words, first, false);
                Some((first, behind.map_or(u16::MAX, |behind| behind - 1)))
            }
        }
    }

    fn last(&self) -> Option<u16> {
        match self {
            Self::Full => Some(u16::MAX),
            Self::Alone(numbers) => numbers.last().copied(),
            Self::Bits(words, _) => {
                let at = words.iter().rposition(|word| *word != 0)?;
                let word = words.get(at)?;
                let low = at * 64 + 63 - usize::try_from(word.leading_zeros()).ok()?;
                u16::try_from(low).ok()
            }
        }
    }
}

/// The first number from `from` on whose bit is set, or not.
fn next(words: &[u64; WORDS], from: u16, set: bool) -> Option<u16> {
    let first = usize::from(from / 64);
    let wanted = |word: &u64| if set { *word } else { !*word };
    for (at, word) in words.iter().enumerate().skip(first) {
        let before = if at == first { from % 64 } else { 0 };
        let rest = wanted(word) & (u64::MAX << before);
        if rest != 0 {
            let low = at * 64 + usize::try_from(rest.trailing_zeros()).ok()?;
            return u16::try_from(low).ok();
        }
    }
    None
}

fn split(number: u64) -> (u64, u16) {
    let [low, high, ..] = number.to_le_bytes();
    (number / u64::from(CHUNK), u16::from_le_bytes([low, high]))
}

fn joined(chunk: u64, low: u16) -> u64 {
    chunk * u64::from(CHUNK) + u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Where one chunk ends and the next begins, and the ends of all numbers.
    fn numbers() -> impl Strategy<Value = Vec<u64>> {
        let range = prop_oneof![
            (0_u64..140_000, 1_u64..70_000, 1_u64..4),
            (u64::MAX - 70_000..u64::MAX, 1_u64..70_000, 1_u64..4),
        ];
        vec(range, 1..4).prop_map(|ranges| {
            let each = ranges.into_iter().flat_map(|(first, count, step)| {
                (0..count).map_while(move |nth| first.checked_add(nth * step))
            });
            each.collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn it_holds_what_a_set_holds(first in numbers(), second in numbers()) {
            let mut set = BTreeSet::new();
            let (mut one, mut other) = (Numbers::default(), Numbers::default());
            for number in first {
                prop_assert_eq!(one.add(number), set.insert(number));
            }
            for number in second {
                other.add(number);
                set.insert(number);
            }
            one.join(&other);
            prop_assert_eq!(one.count(), u64::try_from(set.len()).unwrap());
            let bounds = set.first().copied().zip(set.last().copied());
            prop_assert_eq!(one.bounds(), bounds);
            let mut stretches: Vec<(u64, u64)> = Vec::new();
            for number in &set {
                match stretches.last_mut() {
                    Some((_, last)) if *last + 1 == *number => *last = *number,
                    _ => stretches.push((*number, *number)),
                }
                prop_assert!(one.contains(*number));
                let before = number.wrapping_sub(1);
                prop_assert_eq!(one.contains(before), set.contains(&before));
            }
            prop_assert_eq!(one.stretches().collect::<Vec<_>>(), stretches);
        }
    }

    #[test]
    fn nothing_has_no_bounds_and_a_whole_chunk_no_bits() {
        assert_eq!(Numbers::default().bounds(), None);
        let mut numbers = Numbers::default();
        for number in 0..=u64::from(CHUNK) {
            assert!(numbers.add(number));
        }
        assert!(matches!(numbers.chunks[&0], Chunk::Full));
        assert!(!numbers.add(7));
        assert_eq!(numbers.bounds(), Some((0, u64::from(CHUNK))));
        assert_eq!(numbers.stretches().count(), 1);
    }
}
