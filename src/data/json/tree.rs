//! A text as a tree that borrows from it. `serde_json`'s own takes up to 128 bytes for each of the
//! text's; here a node has 24, a row that was read has no room to spare, and members that nobody asks
//! for are not kept. At most that is 36 a byte: a row of `0,` that has just doubled its room.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{DATA, KEY, TOPIC, TYPE, VALUE};

/// The keys under which an object keeps what it holds.
const KEYS: [&str; 5] = [TYPE, DATA, TOPIC, KEY, VALUE];

/// What JSON knows.
#[derive(Debug, PartialEq)]
pub(super) enum Json<'a> {
    /// `null`.
    Null,
    /// `true` and `false`.
    Boolean(bool),
    /// A whole number, zero or above.
    Count(u64),
    /// A whole number below zero.
    Negative(i64),
    /// A number with a point or an exponent, or beyond the others.
    Real(f64),
    /// A text, its escapes resolved.
    Text(Cow<'a, str>),
    /// An array.
    Array(Box<[Self]>),
    /// An object.
    Object(Object<'a>),
}

impl Json<'_> {
    pub(super) const fn as_bool(&self) -> Option<bool> {
        if let Self::Boolean(content) = self {
            Some(*content)
        } else {
            None
        }
    }

    pub(super) const fn as_count(&self) -> Option<u64> {
        if let Self::Count(content) = self {
            Some(*content)
        } else {
            None
        }
    }

    /// A whole number of either sign that has room in an integer.
    pub(super) fn as_integer(&self) -> Option<i64> {
        if let Self::Negative(content) = self {
            Some(*content)
        } else {
            self.as_count().and_then(|count| count.try_into().ok())
        }
    }

    /// A number that is not a whole one.
    pub(super) const fn as_real(&self) -> Option<f64> {
        if let Self::Real(content) = self {
            Some(*content)
        } else {
            None
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(content) = self {
            Some(content)
        } else {
            None
        }
    }

    pub(super) fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self {
            Some(items)
        } else {
            None
        }
    }
}

impl<'a> Json<'a> {
    pub(super) const fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self {
            Some(object)
        } else {
            None
        }
    }
}

/// An object's members of those [`KEYS`], in the order of the text.
#[derive(Debug, PartialEq)]
pub(super) struct Object<'a>(Box<[(&'static str, Json<'a>)]>);

impl<'a> Object<'a> {
    /// What stands under a key, which is one of [`KEYS`]. If it is there twice, the later one counts.
    pub(super) fn get(&self, key: &str) -> Option<&Json<'a>> {
        debug_assert!(KEYS.contains(&key), "members under {key} are not kept");
        let mut members = self.0.iter().rev();
        members.find_map(|(other, json)| (*other == key).then_some(json))
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, content: bool) -> Result<Json<'de>, E> {
        Ok(Json::Boolean(content))
    }

    fn visit_u64<E>(self, content: u64) -> Result<Json<'de>, E> {
        Ok(Json::Count(content))
    }

    fn visit_i64<E>(self, content: i64) -> Result<Json<'de>, E> {
        Ok(Json::Negative(content))
    }

    fn visit_f64<E>(self, content: f64) -> Result<Json<'de>, E> {
        Ok(Json::Real(content))
    }

    fn visit_str<E>(self, content: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(content.to_owned())))
    }

    fn visit_borrowed_str<E>(self, content: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(content)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items.into_boxed_slice()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            // Read as a tree in any case: what is skipped instead is looked at less closely.
            let json = map.next_value()?;
            members.extend(key.map(|key| (key, json)));
        }
        Ok(Json::Object(Object(members.into_boxed_slice())))
    }
}

/// One of [`KEYS`], or another one.
struct Key(Option<&'static str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AnyKey)
    }
}

struct AnyKey;

impl Visitor<'_> for AnyKey {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Key, E> {
        Ok(Key(KEYS.into_iter().find(|key| *key == text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Json<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_node_has_the_size_that_the_bound_of_this_module_counts_with() {
        assert_eq!(size_of::<Json<'_>>(), 24);
    }

    #[test]
    fn a_text_is_borrowed_unless_something_in_it_is_escaped() {
        assert_eq!(read("\"ü\""), Json::Text(Cow::Borrowed("ü")));
        assert!(matches!(read("\"ü\""), Json::Text(Cow::Borrowed(_))));
        assert_eq!(read("\"\\u00fc\"").as_str(), Some("ü"));
    }

    #[test]
    fn a_number_is_whole_or_not_and_has_room_or_not() {
        assert_eq!(read("0"), Json::Count(0));
        assert_eq!(read("0").as_integer(), Some(0));
        assert_eq!(read("-1").as_integer(), Some(-1));
        assert_eq!(read("-1").as_count(), None);
        assert_eq!(read("9223372036854775808").as_integer(), None);
        assert_eq!(read("-9223372036854775809").as_integer(), None);
        assert_eq!(read("1.0").as_real(), Some(1.0));
        assert_eq!(read("1").as_real(), None);
    }

    #[test]
    fn a_key_is_found_however_it_is_written_and_the_later_one_counts() {
        let json = read("{\"data\":1,\"da\\u0074a\":2,\"other\":3,\"@data-type\":[]}");
        let object = json.as_object().unwrap();
        assert_eq!(object.get(DATA), Some(&Json::Count(2)));
        assert!(object.get(TYPE).is_some());
        assert_eq!(object.get(TOPIC), None);
    }

    #[test]
    fn what_is_not_kept_is_read_as_closely_as_the_rest() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        let (most, over) = (nested(126), nested(127));
        assert!(serde_json::from_str::<Json<'_>>(&format!("{{\"other\":{most}}}")).is_ok());
        for content in ["1e999", "\"\\ud800\"", over.as_str()] {
            let text = format!("{{\"other\":{content}}}");
            assert!(serde_json::from_str::<Json<'_>>(&text).is_err(), "{text}");
        }
        let not_text = b"{\"other\":\"\xff\"}";
        assert!(serde_json::from_slice::<Json<'_>>(not_text).is_err());
    }
}
