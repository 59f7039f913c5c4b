//! A layout's text as brackets, colons, commas and words, for `position`. Total: any text has tokens.

use super::position::Position;

/// One token.
pub(super) enum Token {
    Open(Bracket),
    Close,
    Colon,
    Comma,
    Word(String),
}

/// Which bracket was opened.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Bracket {
    /// `{`: whatever stands first in an item is its key, also where the colon is missing.
    Map,
    /// `(` or `[`: without a colon an item is known by its number.
    #[default]
    Other,
}

/// The first character that means something, and its place.
pub(super) fn first(text: &str) -> Option<(char, Position)> {
    let mut lexer = Lexer::new(text);
    lexer.skip_blanks();
    lexer.rest.chars().next().map(|c| (c, lexer.at))
}

/// Cuts a text into tokens, each with its place.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    at: Position,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            at: Position { line: 1, column: 1 },
        }
    }

    fn bump(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let c = characters.next()?;
        self.rest = characters.as_str();
        if c == '\n' {
            self.at.line += 1;
            self.at.column = 1;
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn skip(&mut self, characters: usize) {
        for _ in 0..characters {
            self.bump();
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            if self.rest.starts_with("//") {
                while !self.rest.is_empty() && !self.rest.starts_with('\n') {
                    self.bump();
                }
            } else if self.rest.starts_with("/*") {
                self.skip_block();
            } else if self.rest.starts_with(char::is_whitespace) {
                self.bump();
            } else {
                return;
            }
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth = depth.saturating_sub(1);
                self.skip(2);
            } else if self.bump().is_none() {
                return;
            }
            if depth == 0 {
                return;
            }
        }
    }

    pub(super) fn next_token(&mut self) -> Option<(Token, Position)> {
        self.skip_blanks();
        let position = self.at;
        let token = match self.rest.chars().next()? {
            '{' => Token::Open(Bracket::Map),
            '(' | '[' => Token::Open(Bracket::Other),
            ')' | ']' | '}' => Token::Close,
            ':' => Token::Colon,
            ',' => Token::Comma,
            '"' => return Some((Token::Word(self.string()), position)),
            '\'' => return Some((Token::Word(self.character()), position)),
            _ => return Some((Token::Word(self.word()), position)),
        };
        self.bump();
        Some((token, position))
    }

    fn string(&mut self) -> String {
        self.bump();
        let mut text = String::new();
        while let Some(c) = self.bump() {
            match c {
                '"' => break,
                '\\' => text.extend(self.bump()),
                other => text.push(other),
            }
        }
        text
    }

    fn raw_string(&mut self, hashes: usize) -> String {
        self.skip(1);
        let end = format!("\"{}", "#".repeat(hashes));
        let mut text = String::new();
        while !self.rest.is_empty() && !self.rest.starts_with(&end) {
            text.extend(self.bump());
        }
        self.skip(end.len());
        text
    }

    fn character(&mut self) -> String {
        self.bump();
        let mut text = String::new();
        if let Some(c) = self.bump() {
            text.extend(if c == '\\' { self.bump() } else { Some(c) });
        }
        if self.rest.starts_with('\'') {
            self.bump();
        }
        text
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.rest.chars().next() {
            if c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | ':' | ',') {
                break;
            }
            if c == '"' {
                let hashes = word.matches('#').count();
                return match word.trim_end_matches('#') {
                    "r" | "br" => self.raw_string(hashes),
                    _ => self.string(),
                };
            }
            word.extend(self.bump());
        }
        word.strip_prefix("r#").map(str::to_owned).unwrap_or(word)
    }
}
