//! Why a Rust value is no value of Broker's, or the other way round.

use std::fmt::Display;

use crate::data::binary::DecodeError;

/// A type and a value that do not fit each other. Reading: the sender's fault, for its declaration
/// differs. Writing: a bug of the type's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    /// They differ, as the type itself or `serde` says.
    #[error("{0}")]
    Mismatch(String),
    /// A value, taken whole, that holds something twice or is too deep to be read.
    #[error("cannot take a value whole")]
    Value(#[from] DecodeError),
}

impl serde::ser::Error for TypedError {
    fn custom<T: Display>(message: T) -> Self {
        Self::Mismatch(message.to_string())
    }
}

impl serde::de::Error for TypedError {
    fn custom<T: Display>(message: T) -> Self {
        Self::Mismatch(message.to_string())
    }
}
