//! Whether files are as they were left.

use super::action::{Damage, Found, Look};
use super::state::OpenFile;

/// What to do with the files that were found at a path's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is nothing: a fresh file can be made.
    Fresh,
    /// Look how far they stand whole.
    Scan,
    /// They are to be set aside.
    SetAside(Damage),
}

/// Judges what was found against what the state says of the path's file.
pub(super) fn judge(checkpoint: Option<&OpenFile>, found: &Found) -> Verdict {
    if let Some(open) = checkpoint {
        return damage(open, found).map_or(Verdict::Scan, Verdict::SetAside);
    }
    let filled = |look: Option<Look>| look.is_some_and(|look| look.length > 0);
    match (filled(found.file), filled(found.index)) {
        (false, false) => Verdict::Fresh,
        (true, false) => Verdict::SetAside(Damage::IndexMissing),
        (false, true) if found.file.is_none() => Verdict::SetAside(Damage::Missing),
        (_, true) => Verdict::Scan,
    }
}

/// Why a file cannot be gone on with, if so: it and its index must be those of the checkpoint, and
/// have what they had then.
pub(super) fn damage(open: &OpenFile, found: &Found) -> Option<Damage> {
    let Some(file) = found.file else {
        return Some(Damage::Missing);
    };
    if file.identity != open.identity {
        return Some(Damage::Replaced);
    }
    if file.length < open.length {
        return Some(Damage::Shorter {
            expected: open.length,
            found: file.length,
        });
    }
    let Some(index) = found.index else {
        return Some(Damage::IndexMissing);
    };
    if index.identity != open.index_identity {
        return Some(Damage::IndexReplaced);
    }
    (index.length < open.index_length).then_some(Damage::IndexShorter {
        expected: open.index_length,
        found: index.length,
    })
}
