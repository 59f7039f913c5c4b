//! The nearest known word.

use std::collections::HashMap;
use std::fmt::Write as _;

/// Words longer than this are not compared.
const WORD_BYTES_MAX: usize = 64;

/// So many words are listed in a hint, at most.
const LISTED_MAX: usize = 8;

/// For so many wrong words a nearest one is looked for; a layout with more of them has another fault.
const SEARCHES_MAX: usize = 50;

#[cfg(test)]
thread_local! {
    /// How many words were compared on this thread: what a search costs.
    pub(super) static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The nearest words that were found already, by field and wrong word. One fault that thousands of
/// entries share must not be looked up among thousands of names for each of them.
#[derive(Debug, Default)]
pub(super) struct Hints {
    nearest: HashMap<(&'static str, String), Option<String>>,
}

impl Hints {
    /// As [`hint`], for a word of this field.
    pub(super) fn get<'a>(
        &mut self,
        field: &'static str,
        word: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> String {
        let is_known = |near: &str| known.clone().into_iter().any(|other| other == near);
        let key = (field, word.to_owned());
        let near = match self.nearest.get(&key) {
            // An entry does not know itself, so what was near for another may not do for this one.
            Some(near) if near.as_deref().is_none_or(is_known) => near.clone(),
            None if self.nearest.len() >= SEARCHES_MAX => None,
            Some(_) | None => {
                let near = nearest(word, known.clone()).map(str::to_owned);
                self.nearest.insert(key, near.clone());
                near
            }
        };
        near.map_or_else(|| list("known are", known), |near| meant(&near))
    }
}

/// The known word nearest to `word`, if one is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let allowed = length.div_ceil(3).min(length.saturating_sub(1));
    known
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= allowed)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(steps, _)| *steps <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint: the nearest known word, else the known words.
pub(super) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    nearest(word, known.clone()).map_or_else(|| list("known are", known), meant)
}

/// The hint that names the one word that can be meant.
pub(super) fn meant(near: &str) -> String {
    format!("did you mean \"{near}\"?")
}

/// `lead` and the words, shortened where there are many.
pub(super) fn list<'a>(lead: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = lead.to_owned();
    let mut words = words.into_iter();
    for (number, word) in words.by_ref().take(LISTED_MAX).enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(text, "{comma} {word}");
    }
    match words.count() {
        0 => {}
        more => {
            let _ = write!(text, " and {more} more");
        }
    }
    text
}

/// Levenshtein's distance, without regard to case.
fn distance(left: &str, right: &str) -> usize {
    if left.len() > WORD_BYTES_MAX || right.len() > WORD_BYTES_MAX {
        return usize::MAX;
    }
    #[cfg(test)]
    COMPARED.with(|compared| compared.set(compared.get() + 1));
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (number, c) in left.to_lowercase().chars().enumerate() {
        let mut before = number + 1;
        let mut next = vec![before];
        for (pair, other) in row.windows(2).zip(&right) {
            let (diagonal, above) = match pair {
                [diagonal, above] => (*diagonal, *above),
                _ => continue,
            };
            let change = diagonal + usize::from(c != *other);
            before = change.min(above + 1).min(before + 1);
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["logger", "manager", "worker"];
        assert_eq!(nearest("loger", known), Some("logger"));
        assert_eq!(nearest("Manger", known), Some("manager"));
        assert_eq!(nearest("elephant", known), None);
        assert_eq!(hint("elephant", known), "known are logger, manager, worker");
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
