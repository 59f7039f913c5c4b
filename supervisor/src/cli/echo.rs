//! What was typed, as it is said back to whoever typed it. Pure.

use clap::error::{ContextKind, ContextValue, Error};

/// So much of a line that repeats what was typed is shown from its beginning, and less from its end.
const BEGIN_CHARACTERS: usize = 400;
const END_CHARACTERS: usize = 100;

/// The line, or its beginning and end if it is longer than anybody reads.
pub(crate) fn bounded(line: &str) -> String {
    let characters = line.chars().count();
    let left_out = characters.saturating_sub(BEGIN_CHARACTERS + END_CHARACTERS);
    if left_out == 0 {
        return line.to_owned();
    }
    let begin: String = line.chars().take(BEGIN_CHARACTERS).collect();
    let end = line.chars().skip(BEGIN_CHARACTERS + left_out);
    format!(
        "{begin}… [{left_out} characters] …{}",
        end.collect::<String>()
    )
}

/// The parser's error, which repeats words of any length, with each of them bounded.
pub(crate) fn bounded_error(mut error: Error) -> Error {
    let long: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(word) => Some((kind, ContextValue::String(bounded(word)))),
            // Hints, which may name the word again. A long one loses its colours.
            ContextValue::StyledStrs(hints) => {
                let hints = hints.iter().map(|hint| match bounded(&hint.to_string()) {
                    short if short == hint.to_string() => hint.clone(),
                    bounded => bounded.into(),
                });
                Some((kind, ContextValue::StyledStrs(hints.collect())))
            }
            // The program's own words.
            ContextValue::None
            | ContextValue::Bool(_)
            | ContextValue::Strings(_)
            | ContextValue::StyledStr(_)
            | ContextValue::Number(_)
            | _ => None,
        })
        .collect();
    for (kind, value) in long {
        error.insert(kind, value);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn a_huge_word_is_not_said_back_whole() {
        assert_eq!(bounded("as typed"), "as typed");
        let huge = "é".repeat(100_000);
        let (flag, wrong) = (format!("--{huge}"), format!("[{huge}"));
        for words in [
            vec!["supervisor", huge.as_str()],
            vec!["supervisor", "status", flag.as_str()],
            vec!["supervisor", "status", "--timeout", huge.as_str()],
            vec!["supervisor", "pub", "t", "e", wrong.as_str()],
            vec!["supervisor", "pub", huge.as_str(), "e"],
            vec!["supervisor", "logs", "--fd", huge.as_str()],
            vec!["supervisor", "signal", huge.as_str(), "x"],
        ] {
            let error = bounded_error(Cli::try_parse_from(words.clone()).unwrap_err());
            assert_eq!(error.exit_code(), 2);
            let said = error.to_string();
            let beginning: String = said.chars().take(2000).collect();
            assert!(said.contains("characters] …"), "{beginning}");
            assert!(said.chars().count() < 2000, "{beginning}");
        }
    }
}
