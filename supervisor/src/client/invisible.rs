//! Characters that a terminal does not show, or that change how it shows others. Pure.

/// Unicode's format characters (general category Cf) and its separators of lines and paragraphs, first and
/// last of each range; and the fillers, which are letters without a shape. Version 16.
const INVISIBLE: [(char, char); 24] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
];

/// Does this character show nothing by itself?
pub(super) fn is_invisible(character: char) -> bool {
    let behind = INVISIBLE.partition_point(|(first, _)| *first <= character);
    let range = behind.checked_sub(1).and_then(|at| INVISIBLE.get(at));
    range.is_some_and(|(_, last)| character <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_or_turns_the_text_is_invisible_and_letters_are_not() {
        assert!(INVISIBLE.is_sorted());
        for character in
            "\u{ad}\u{61c}\u{200b}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e007f}".chars()
        {
            assert!(is_invisible(character), "{}", character.escape_unicode());
        }
        for character in "\0 aé€漢\u{2010}\u{2030}\u{200a}\u{10ffff}".chars() {
            assert!(!is_invisible(character), "{}", character.escape_unicode());
        }
    }
}
