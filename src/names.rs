//! Names that must not be swapped for one another, parsed once at the edge and trusted afterwards.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name a node or an instance may have, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Names that the run directory uses for itself; a node may not take them.
const RESERVED: [&str; 5] = ["logs", "stores", "crash", "state", "all"];

/// Why a text is no name. Configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("the name is empty; give it at least one letter or digit")]
    Empty,
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("the name \"{name}\" has {bytes} bytes, at most {NAME_BYTES_MAX} are allowed")]
    TooLong {
        /// What was given.
        name: String,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A character that would be ambiguous in a path, a selector or a shell.
    #[error(
        "the name \"{name}\" holds {found:?}; use letters, digits, '-', '_' and '.', beginning with a letter or digit"
    )]
    Character {
        /// What was given.
        name: String,
        /// The first character that cannot stand.
        found: char,
    },
    /// The run directory has a folder or file of that name.
    #[error("the name \"{name}\" is used by the run directory itself; choose another")]
    Reserved {
        /// What was given.
        name: String,
    },
}

fn check(name: &str) -> Result<(), NameError> {
    let mut characters = name.chars();
    let Some(first) = characters.next() else {
        return Err(NameError::Empty);
    };
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong {
            name: name.to_owned(),
            bytes: name.len(),
        });
    }
    let bad_first = Some(first).filter(|c| !c.is_ascii_alphanumeric());
    let bad_rest =
        characters.find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
    match bad_first.or(bad_rest) {
        Some(found) => Err(NameError::Character {
            name: name.to_owned(),
            found,
        }),
        None => Ok(()),
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Cheap to clone: everybody who knows a node knows its name.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type! {
    /// The name of a node: unique in the cluster, a directory in the run directory.
    NodeName
}

name_type! {
    /// The name of an instance: one host's share of a cluster.
    InstanceName
}

impl NodeName {
    /// Takes a text for a node's name.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text)?;
        if RESERVED.contains(&text) || text.ends_with(".sock") || text.starts_with("supervisor.") {
            return Err(NameError::Reserved {
                name: text.to_owned(),
            });
        }
        Ok(Self(text.into()))
    }
}

impl InstanceName {
    /// Takes a text for an instance's name.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

/// Counts the births of one node: 1 is the first. Never goes back while the supervisor lives.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one life of a node among all nodes of all hosts: 16 random bytes, shown as a UUID is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LifeId(pub [u8; 16]);

impl fmt::Display for LifeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_space_or_a_slash_is_refused_and_says_which() {
        for (text, bad) in [("a b", ' '), ("a/b", '/'), ("-a", '-'), ("..", '.')] {
            assert_eq!(
                NodeName::parse(text),
                Err(NameError::Character {
                    name: text.to_owned(),
                    found: bad
                })
            );
        }
    }

    #[test]
    fn names_that_the_run_directory_needs_are_refused_to_nodes_only() {
        assert!(matches!(
            NodeName::parse("crash"),
            Err(NameError::Reserved { .. })
        ));
        assert!(InstanceName::parse("crash").is_ok());
    }

    #[test]
    fn a_name_travels_through_serde_and_a_bad_one_does_not() {
        let name = NodeName::parse("worker-1").unwrap();
        let text = serde_json::to_string(&name).unwrap();
        assert_eq!(text, "\"worker-1\"");
        assert_eq!(serde_json::from_str::<NodeName>(&text).unwrap(), name);
        assert!(serde_json::from_str::<NodeName>("\"\"").is_err());
    }

    #[test]
    fn an_id_is_shown_as_a_uuid() {
        let id = LifeId(std::array::from_fn(|index| {
            u8::try_from(index * 17).unwrap()
        }));
        assert_eq!(id.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    }
}
