//! What is to be said about a layout.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The layout cannot run.
    Error,
    /// It runs, but perhaps not as meant.
    Warning,
    /// A key that this build reads but does not act on yet.
    NotActedOn,
}

/// One thing to be said about a layout. Configuration's fault, never the program's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The layout's path, as it was given.
    pub file: String,
    /// Line, from 1; 0 where none can be named.
    pub line: usize,
    /// Column, from 1; 0 where none can be named.
    pub column: usize,
    /// The node it is about.
    pub node: Option<String>,
    /// The field it is about.
    pub field: Option<String>,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        match self.severity {
            Severity::Error => f.write_str(": error: ")?,
            Severity::Warning => f.write_str(": warning: ")?,
            Severity::NotActedOn => f.write_str(": not acted on: ")?,
        }
        if let Some(node) = &self.node {
            write!(f, "node \"{node}\": ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_json_a_severity_is_words_with_underscores() {
        let words = [Severity::Error, Severity::Warning, Severity::NotActedOn]
            .map(|severity| serde_json::to_string(&severity).unwrap());
        assert_eq!(words, ["\"error\"", "\"warning\"", "\"not_acted_on\""]);
    }
}
