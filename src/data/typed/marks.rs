//! How those kinds of values that `serde` has no word for pass through it: as a newtype struct of a
//! reserved name, and in it the value's binary form. So an address is 17 bytes on its way from a
//! struct's field into the value. A set passes as a sequence.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};

use crate::data::binary::{decode, encode};
use crate::data::{Address, Port, Subnet, Timespan, Timestamp, Value};

/// The name of a newtype struct whose inside is a value in its binary form.
pub(super) const VALUE: &str = "$cluster::data::Value";

/// The name of a newtype struct whose inside is a sequence that is to be a set.
pub(super) const SET: &str = "$cluster::data::Set";

/// Why formats that people read are refused.
const NO_TEXT: &str = "this type has no text in serde; data::json writes values as JSON";

/// Bytes for `serde`, which takes a slice of them for a sequence of numbers.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Err(S::Error::custom(NO_TEXT));
        }
        let mut bytes = Vec::new();
        encode(self, &mut bytes);
        serializer.serialize_newtype_struct(VALUE, &Bytes(&bytes))
    }
}

/// Takes the value out of the newtype struct.
struct Marked<T>(PhantomData<T>);

impl<'de, T> Visitor<'de> for Marked<T>
where
    T: TryFrom<Value>,
    T::Error: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value in its binary form")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inside: D) -> Result<T, D::Error> {
        inside.deserialize_bytes(self)
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        let value = decode(bytes).map_err(E::custom)?;
        T::try_from(value).map_err(E::custom)
    }
}

/// Reads a marked type.
fn take<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<Value>,
    T::Error: fmt::Display,
{
    if deserializer.is_human_readable() {
        return Err(D::Error::custom(NO_TEXT));
    }
    deserializer.deserialize_newtype_struct(VALUE, Marked(PhantomData))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(deserializer)
    }
}

macro_rules! mark {
    ($($type:ident),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Value::from(*self).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                take(deserializer)
            }
        }
    )*};
}

mark!(Address, Subnet, Port, Timestamp, Timespan);
