//! Where things stand in a layout's text.
//!
//! A layout is parsed by the `ron` crate, which forgets positions as soon as a value is understood.
//! What is found wrong later has to point at a line all the same, and a key written twice must not
//! vanish in a map. So the text is read once more, here, by a small tokenizer that knows brackets,
//! words and strings and nothing of their meaning.
//!
//! Total: any text gives an index, broken text a shorter one. Nesting is followed to
//! [`DEPTH_MAX`]; what lies deeper is not indexed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::tokens::{Bracket, Lexer, Token};

/// Brackets within brackets are followed to this depth.
const DEPTH_MAX: usize = 64;

/// A place in the text; both count from 1, columns in characters. `0:0` is no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A key (or a list's item, whose key is its number from 0) and what lies below it.
#[derive(Debug, Default)]
struct Place {
    key: Position,
    below: BTreeMap<String, Self>,
}

/// A key that stands twice in the same bracket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Duplicate {
    pub(super) path: Vec<String>,
    pub(super) first: Position,
    pub(super) second: Position,
}

/// All places of a text.
#[derive(Debug, Default)]
pub(super) struct Index {
    root: Place,
    pub(super) duplicates: Vec<Duplicate>,
}

impl Index {
    pub(super) fn of(text: &str) -> Self {
        let mut builder = Builder::default();
        let mut lexer = Lexer::new(text);
        while let Some((token, position)) = lexer.next_token() {
            if !builder.take(token, position) {
                break;
            }
        }
        builder.finish()
    }

    /// A text that is the value of a layout's `nodes`: its paths begin with that word.
    pub(super) fn of_nodes(text: &str) -> Self {
        let mut index = Self::of(text);
        for duplicate in &mut index.duplicates {
            duplicate.path.insert(0, "nodes".to_owned());
        }
        let key = index.root.key;
        let below = BTreeMap::from([("nodes".to_owned(), index.root)]);
        index.root = Place { key, below };
        index
    }

    /// The place of the path, or of as much of it as stands in the text.
    pub(super) fn at(&self, path: &[&str]) -> Position {
        let mut place = &self.root;
        for word in path {
            match place.below.get(*word) {
                Some(next) => place = next,
                None => break,
            }
        }
        place.key
    }

    /// Does the text hold this path?
    pub(super) fn holds(&self, path: &[&str]) -> bool {
        let mut place = &self.root;
        for word in path {
            match place.below.get(*word) {
                Some(next) => place = next,
                None => return false,
            }
        }
        true
    }

    /// The path of the last key that begins at or before this position.
    pub(super) fn path_before(&self, position: Position) -> Vec<String> {
        let mut path = Vec::new();
        let mut place = &self.root;
        while let Some((word, next)) = place
            .below
            .iter()
            .filter(|(_, p)| p.key <= position)
            .max_by_key(|(_, p)| p.key)
        {
            path.push(word.clone());
            place = next;
        }
        path
    }
}

/// The place of a byte of the text.
pub(super) fn of_offset(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Position {
        line: before.matches('\n').count() + 1,
        column: before
            .get(line_start..)
            .map_or(0, |line| line.chars().count())
            + 1,
    }
}

/// An open bracket.
#[derive(Default)]
struct Frame {
    bracket: Bracket,
    word: String,
    place: Place,
    /// The last word or string, which may turn out to be a key.
    last: Option<(String, Position)>,
    /// The key whose value is awaited.
    key: Option<(String, Position)>,
    /// The value of the present item was a bracket and is already filed.
    filed: bool,
    items: usize,
}

impl Frame {
    fn take_word(&mut self, word: String, position: Position) {
        let is_key_already =
            self.bracket == Bracket::Map && self.key.is_none() && self.last.is_some();
        if !is_key_already {
            self.last = Some((word, position));
        }
    }

    /// What an item without a colon is called; `last` is the word that began it.
    fn name_item(&self, last: Option<(String, Position)>) -> String {
        let own = last.filter(|_| self.bracket == Bracket::Map);
        own.map_or_else(|| self.items.to_string(), |(word, _)| word)
    }
}

struct Builder {
    stack: Vec<Frame>,
    duplicates: Vec<Duplicate>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            stack: vec![Frame::default()],
            duplicates: Vec::new(),
        }
    }
}

impl Builder {
    /// Takes a token; false: nothing more is wanted.
    fn take(&mut self, token: Token, position: Position) -> bool {
        match token {
            Token::Open(bracket) => self.open(bracket, position),
            Token::Close => {
                self.end_item();
                self.close();
                !self.stack.is_empty()
            }
            Token::Comma => {
                self.end_item();
                true
            }
            Token::Colon => {
                if let Some(frame) = self.stack.last_mut() {
                    frame.key = frame.last.take();
                }
                true
            }
            Token::Word(word) => {
                if let Some(frame) = self.stack.last_mut() {
                    frame.take_word(word, position);
                }
                true
            }
        }
    }

    fn open(&mut self, bracket: Bracket, position: Position) -> bool {
        if self.stack.len() >= DEPTH_MAX {
            return false;
        }
        let Some(frame) = self.stack.last_mut() else {
            return false;
        };
        let last = frame.last.take();
        let start = last.as_ref().map_or(position, |(_, at)| *at);
        let key = frame.key.take();
        let (word, key) = key.unwrap_or_else(|| (frame.name_item(last), start));
        frame.filed = true;
        self.stack.push(Frame {
            bracket,
            word,
            place: Place {
                key,
                below: BTreeMap::new(),
            },
            ..Frame::default()
        });
        true
    }

    fn end_item(&mut self) {
        let Some(frame) = self.stack.last_mut() else {
            return;
        };
        let last = frame.last.take();
        let filed = std::mem::take(&mut frame.filed);
        let key = frame.key.take().or_else(|| {
            let at = last.as_ref()?.1;
            (!filed).then(|| (frame.name_item(last), at))
        });
        frame.items += 1;
        if let Some((word, key)) = key {
            self.file(
                word,
                Place {
                    key,
                    below: BTreeMap::new(),
                },
            );
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.stack.pop() else {
            return;
        };
        if self.stack.len() == 1 {
            // The file's outermost bracket: its keys are the first words of all paths.
            if let Some(root) = self.stack.last_mut() {
                root.place = frame.place;
            }
        } else if !self.stack.is_empty() {
            self.file(frame.word, frame.place);
        }
    }

    fn file(&mut self, word: String, place: Place) {
        let Some((frame, outer)) = self.stack.split_last_mut() else {
            return;
        };
        match frame.place.below.entry(word) {
            Slot::Vacant(slot) => {
                slot.insert(place);
            }
            Slot::Occupied(slot) => {
                let mut path: Vec<String> = outer.iter().skip(2).map(|f| f.word.clone()).collect();
                if outer.len() > 1 {
                    path.push(frame.word.clone());
                }
                path.push(slot.key().clone());
                self.duplicates.push(Duplicate {
                    path,
                    first: slot.get().key,
                    second: place.key,
                });
            }
        }
    }

    fn finish(mut self) -> Index {
        while self.stack.len() > 1 {
            self.end_item();
            self.close();
        }
        Index {
            root: self
                .stack
                .pop()
                .map_or_else(Place::default, |frame| frame.place),
            duplicates: self.duplicates,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    #[test]
    fn paths_lead_to_keys_and_to_items_of_lists() {
        let text = "#![enable(implicit_some)]\n// a comment: (\nLayout(\n  nodes: {\n    \"w\": (manager: \"m\", command: [\"a\", r#\"b\"c\"#], /* ( /* */ */ p: 1),\n  },\n)";
        let index = Index::of(text);
        assert_eq!(index.at(&["nodes"]), place(4, 3));
        assert_eq!(index.at(&["nodes", "w"]), place(5, 5));
        assert_eq!(index.at(&["nodes", "w", "manager"]), place(5, 11));
        assert_eq!(index.at(&["nodes", "w", "command", "1"]), place(5, 40));
        assert!(index.holds(&["nodes", "w", "p"]));
        assert!(!index.holds(&["nodes", "w", "q"]));
        assert_eq!(index.at(&["nodes", "w", "q"]), place(5, 5));
        assert_eq!(index.path_before(place(5, 15)), ["nodes", "w", "manager"]);
    }

    #[test]
    fn a_key_of_a_map_is_one_without_its_colon_too() {
        let index = Index::of("(nodes: {\"x\" (p: 1), \"y\" 2, \"z\"}, list: [A(b: 1), c])");
        assert_eq!(index.at(&["nodes", "x"]), place(1, 10));
        assert_eq!(index.at(&["nodes", "x", "p"]), place(1, 15));
        assert_eq!(index.at(&["nodes", "y"]), place(1, 22));
        assert_eq!(index.at(&["nodes", "z"]), place(1, 29));
        assert!(!index.holds(&["nodes", "0"]));
        assert!(index.holds(&["list", "0", "b"]) && index.holds(&["list", "1"]));
    }

    #[test]
    fn a_key_written_twice_is_known_with_both_places() {
        let index = Index::of("(a: 1, nodes: {\"x\": (), \n\"x\": (p: 1, p: 2)}, a: 2)");
        let found: Vec<_> = index
            .duplicates
            .iter()
            .map(|d| (d.path.join("."), d.first, d.second))
            .collect();
        assert_eq!(
            found,
            [
                ("nodes.x.p".to_owned(), place(2, 7), place(2, 13)),
                ("nodes.x".to_owned(), place(1, 16), place(2, 1)),
                ("a".to_owned(), place(1, 2), place(2, 21)),
            ]
        );
    }

    #[test]
    fn deep_nesting_ends_the_index_and_not_the_program() {
        let text = "[".repeat(200_000);
        assert!(!Index::of(&text).holds(&["nodes"]));
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_an_index(text in proptest::collection::vec(
            proptest::sample::select(vec!["(", ")", "[", "]", "{", "}", ":", ",", "\"", "'", "\\", "r#\"", "r", "#", "a", "/*", "*/", "//", "\n", "ß", "Layout(", "nodes", "1"]), 0..80,
        )) {
            let text = text.concat();
            let index = Index::of(&text);
            index.path_before(Position { line: 1, column: 9 });
        }
    }
}
