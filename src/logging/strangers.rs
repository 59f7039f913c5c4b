//! Lines of writers whom nobody has introduced: where they stand, so that what was accepted is not lost.
//!
//! Such lines come when the table of writers was lost, or was full. What they are is not known, so each
//! writer's stand in a file of their own, as they came.

use std::collections::BTreeSet;

use super::LogPath;
use super::message::WriterId;

/// Writers that have a file of their own in one life of a logger. The others share one.
const OWN_FILES_MAX: usize = 64;

const PREFIX: &str = "unknown-";
const SHARED: &str = "unknown-writers";

/// Those that have a file of their own.
#[derive(Debug, Default)]
pub(crate) struct Strangers(BTreeSet<WriterId>);

impl Strangers {
    /// Where this one's lines go.
    pub(crate) fn path(&mut self, id: WriterId) -> LogPath {
        if self.0.len() >= OWN_FILES_MAX && !self.0.contains(&id) {
            return LogPath::known(SHARED);
        }
        self.0.insert(id);
        LogPath::parse(format!("{PREFIX}{:016x}", id.0)).unwrap_or_else(|_| LogPath::known(SHARED))
    }
}

/// Is the path kept free for such lines?
pub(super) fn is_reserved(path: &LogPath) -> bool {
    let text = path.as_str();
    let digits = text.strip_prefix(PREFIX);
    let is_id = |text: &str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    text == SHARED || digits.is_some_and(is_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_have_files_of_their_own_and_the_others_share_one() {
        let mut strangers = Strangers::default();
        let paths: BTreeSet<LogPath> = (0..1000).map(|id| strangers.path(WriterId(id))).collect();
        assert_eq!(paths.len(), OWN_FILES_MAX + 1);
        assert!(paths.iter().all(is_reserved));
        assert_eq!(
            strangers.path(WriterId(7)).as_str(),
            "unknown-0000000000000007"
        );
        assert_eq!(strangers.path(WriterId(999)).as_str(), SHARED);
        for free in ["unknown", "unknown-2", "conn", "unknown-0000000000000007-2"] {
            assert!(!is_reserved(&LogPath::parse(free).unwrap()), "{free}");
        }
    }
}
