//! Who writes to which path: two writers of one path would mix their columns.

use std::collections::BTreeMap;

use crate::logging::{LogPath, LogPathError, StreamId};

/// The paths that are written to, and the filters that write to them.
#[derive(Debug, Default)]
pub(super) struct Paths {
    owners: BTreeMap<LogPath, (StreamId, String)>,
}

impl Paths {
    /// Gives a filter the path that it asks for; if another one has it, the first of `<path>-2`,
    /// `<path>-3` and so on that nobody else has.
    ///
    /// # Errors
    /// That name is no path: it is too long.
    pub(super) fn claim(
        &mut self,
        wanted: &LogPath,
        stream: &StreamId,
        filter: &str,
    ) -> Result<LogPath, LogPathError> {
        let mut path = wanted.clone();
        // One more than there are owners, so one of them is free.
        for number in 2..self.owners.len() + 3 {
            let owner = self.owners.get(&path);
            if owner.is_none_or(|(other, name)| (other, name.as_str()) == (stream, filter)) {
                break;
            }
            path = LogPath::parse(format!("{wanted}-{number}"))?;
        }
        self.owners
            .insert(path.clone(), (stream.clone(), filter.to_owned()));
        Ok(path)
    }

    /// Nobody writes to it any more.
    pub(super) fn give_back(&mut self, path: &LogPath) {
        self.owners.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> LogPath {
        LogPath::parse(text).unwrap()
    }

    #[test]
    fn the_second_on_a_path_gets_a_number_and_keeps_it() {
        let [a, b] = ["A::LOG", "B::LOG"].map(|text| StreamId::parse(text).unwrap());
        let mut paths = Paths::default();
        let claim = |paths: &mut Paths, wanted: &str, stream: &StreamId, filter| {
            paths.claim(&path(wanted), stream, filter).unwrap()
        };
        assert_eq!(claim(&mut paths, "conn", &a, "default"), path("conn"));
        assert_eq!(claim(&mut paths, "conn", &a, "default"), path("conn"));
        assert_eq!(claim(&mut paths, "conn", &b, "default"), path("conn-2"));
        assert_eq!(claim(&mut paths, "conn", &a, "other"), path("conn-3"));
        assert_eq!(claim(&mut paths, "conn-2", &a, "other"), path("conn-2-2"));
        assert_eq!(claim(&mut paths, "conn", &b, "default"), path("conn-2"));
        paths.give_back(&path("conn"));
        assert_eq!(claim(&mut paths, "conn", &b, "default"), path("conn"));
    }

    #[test]
    fn a_path_that_has_no_room_for_a_number_is_refused() {
        let long = path(&"x".repeat(crate::logging::LOG_PATH_BYTES_MAX));
        let stream = StreamId::parse("A::LOG").unwrap();
        let mut paths = Paths::default();
        paths.claim(&long, &stream, "a").unwrap();
        let refused = paths.claim(&long, &stream, "b").unwrap_err();
        assert_eq!(refused, LogPathError::TooLong { bytes: 98 });
    }
}
