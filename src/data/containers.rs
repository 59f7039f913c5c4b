//! Sets and tables: sorted rows, since they are read far more often than changed, and since a row
//! takes no more memory than its members. (A tree takes ten places for one member, which a peer
//! could use against us.)

use std::mem;

use super::Value;

/// A member of a set, or a key of a table, that is there twice. Broker calls such a message invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a set or a table holds the same value twice")]
pub struct Duplicate;

/// Unique values in order. Format v1, set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set(Vec<Value>);

impl Set {
    /// A set without members.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a value. False, and nothing changes, if it was there.
    pub fn insert(&mut self, value: Value) -> bool {
        match self.0.binary_search(&value) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, value);
                true
            }
        }
    }

    /// Takes a value out. False if it was not there.
    pub fn remove(&mut self, value: &Value) -> bool {
        match self.0.binary_search(value) {
            Ok(at) => {
                self.0.remove(at);
                true
            }
            Err(_) => false,
        }
    }

    /// Is the value there?
    #[must_use]
    pub fn contains(&self, value: &Value) -> bool {
        self.0.binary_search(value).is_ok()
    }

    /// Its members in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Value] {
        &self.0
    }

    /// Its members in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.0.iter()
    }

    /// How many members it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Has it no members?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<Value>> for Set {
    type Error = Duplicate;

    /// A set of values in any order, none of them twice.
    fn try_from(mut values: Vec<Value>) -> Result<Self, Duplicate> {
        if !values.is_sorted_by(|a, b| a < b) {
            values.sort_unstable();
            if !values.is_sorted_by(|a, b| a < b) {
                return Err(Duplicate);
            }
        }
        Ok(Self(values))
    }
}

impl FromIterator<Value> for Set {
    /// Values that come twice are taken once.
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let mut values: Vec<Value> = values.into_iter().collect();
        values.sort();
        values.dedup();
        Self(values)
    }
}

impl IntoIterator for Set {
    type Item = Value;
    type IntoIter = std::vec::IntoIter<Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Set {
    type Item = &'a Value;
    type IntoIter = std::slice::Iter<'a, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Unique keys in order, each with a value. Format v1, table.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(Vec<(Value, Value)>);

impl Table {
    /// A table without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn find(&self, key: &Value) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }

    /// Enters a value under a key; gives back what was there.
    pub fn insert(&mut self, key: Value, value: Value) -> Option<Value> {
        match self.find(&key) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| mem::replace(old, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes the entry of a key out.
    pub fn remove(&mut self, key: &Value) -> Option<Value> {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &Value) -> Option<&Value> {
        let at = self.find(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Its entries in the order of the keys.
    #[must_use]
    pub fn as_slice(&self) -> &[(Value, Value)] {
        &self.0
    }

    /// Its entries in the order of the keys.
    pub fn iter(&self) -> std::slice::Iter<'_, (Value, Value)> {
        self.0.iter()
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Has it no entries?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<(Value, Value)>> for Table {
    type Error = Duplicate;

    /// A table of entries in any order, no key twice.
    fn try_from(mut entries: Vec<(Value, Value)>) -> Result<Self, Duplicate> {
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            if !entries.is_sorted_by(|a, b| a.0 < b.0) {
                return Err(Duplicate);
            }
        }
        Ok(Self(entries))
    }
}

impl FromIterator<(Value, Value)> for Table {
    /// Of entries with the same key the last one stays.
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(entries: I) -> Self {
        let mut entries: Vec<(Value, Value)> = entries.into_iter().collect();
        entries.reverse();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|later, first| later.0 == first.0);
        Self(entries)
    }
}

impl IntoIterator for Table {
    type Item = (Value, Value);
    type IntoIter = std::vec::IntoIter<(Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = &'a (Value, Value);
    type IntoIter = std::slice::Iter<'a, (Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_its_members_in_order_and_each_of_them_once() {
        let mut set: Set = [3_u64, 1, 2, 1].map(Value::from).into_iter().collect();
        assert_eq!(set.as_slice(), [1_u64, 2, 3].map(Value::from));
        assert!(!set.insert(Value::from(2_u64)));
        assert!(set.insert(Value::from(false)));
        assert_eq!(set.iter().next(), Some(&Value::from(false)));
        assert!(set.remove(&Value::from(3_u64)));
        assert!(!set.remove(&Value::from(3_u64)));
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn a_row_with_the_same_value_twice_is_no_set_and_no_table() {
        let twice = [0.0, -0.0].map(Value::from).to_vec();
        assert_eq!(Set::try_from(twice), Err(Duplicate));
        let entries = [2_u64, 1, 2].map(|key| (Value::from(key), Value::None));
        assert_eq!(Table::try_from(entries.to_vec()), Err(Duplicate));
    }

    #[test]
    fn the_last_entry_of_a_key_stays() {
        let entries = [("a", 1_u64), ("b", 2), ("a", 3)];
        let mut table: Table = entries
            .map(|(key, value)| (Value::from(key), Value::from(value)))
            .into_iter()
            .collect();
        assert_eq!(table.len(), 2);
        assert_eq!(table.get(&Value::from("a")), Some(&Value::from(3_u64)));
        let old = table.insert(Value::from("b"), Value::None);
        assert_eq!(old, Some(Value::from(2_u64)));
        assert_eq!(table.remove(&Value::from("b")), Some(Value::None));
        assert_eq!(table.get(&Value::from("b")), None);
    }
}
