//! For `#[serde(with = "…")]`: types of the standard library that have a kind of value of their own,
//! which `serde` does not know.

/// A collection as a set: `BTreeSet`, `HashSet`, `Vec`.
pub mod as_set {
    use std::fmt;
    use std::marker::PhantomData;

    use serde::de::Visitor;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::data::typed::marks::SET;

    /// Writes a collection as a set. What is in it twice is written once.
    ///
    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer, T: Serialize>(
        members: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(SET, members)
    }

    /// Reads a set into a collection.
    ///
    /// # Errors
    /// Those of the format.
    pub fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        deserializer.deserialize_newtype_struct(SET, Inside(PhantomData))
    }

    struct Inside<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Inside<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a set")
        }

        fn visit_newtype_struct<D: Deserializer<'de>>(self, inside: D) -> Result<T, D::Error> {
            T::deserialize(inside)
        }
    }
}

/// An [`IpAddr`](std::net::IpAddr) as an address.
pub mod as_address {
    use std::net::IpAddr;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::data::Address;

    /// Writes an IP address.
    ///
    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(ip: &IpAddr, serializer: S) -> Result<S::Ok, S::Error> {
        Address::from(*ip).serialize(serializer)
    }

    /// Reads an IP address.
    ///
    /// # Errors
    /// Those of the format.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
        Address::deserialize(deserializer).map(Address::ip)
    }
}

/// A [`SystemTime`](std::time::SystemTime) as a timestamp.
pub mod as_timestamp {
    use std::time::SystemTime;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::data::Timestamp;

    /// Writes a point in time; one out of range becomes the nearest one in it.
    ///
    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        Timestamp::from(*time).serialize(serializer)
    }

    /// Reads a point in time.
    ///
    /// # Errors
    /// Those of the format.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let time = Timestamp::deserialize(deserializer)?.system_time();
        time.ok_or_else(|| D::Error::custom("a point in time that the system has not"))
    }
}

/// A [`Duration`](std::time::Duration) as a timespan.
pub mod as_timespan {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::data::Timespan;

    /// Writes a span; one out of range becomes the longest.
    ///
    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        Timespan::from(*span).serialize(serializer)
    }

    /// Reads a span.
    ///
    /// # Errors
    /// Those of the format; a span below zero is refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let span = Timespan::deserialize(deserializer)?.duration();
        span.ok_or_else(|| D::Error::custom("a span below zero"))
    }
}
