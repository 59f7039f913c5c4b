//! The nearest known word.

use std::fmt::Write as _;

/// Words longer than this are not compared.
const WORD_BYTES_MAX: usize = 64;

/// So many words are listed in a hint, at most.
const LISTED_MAX: usize = 8;

/// The known word nearest to `word`, if one is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let allowed = length.div_ceil(3).min(length.saturating_sub(1));
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(steps, _)| *steps <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint: the nearest known word, else the known words.
pub(super) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(word, known.clone()) {
        return format!("did you mean \"{near}\"?");
    }
    list("known are", known)
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
