//! The words by which `ps` shows a process: those it was started with, written over.
//!
//! Owns: nothing. The words lie in this process's own memory, where the kernel put them.

use std::io;
use std::ptr;

use crate::sys::procfs;

/// Replaces what `ps` shows of this process, as far as there is room for it: a process that wants a longer
/// title is started with longer words. Whoever reads its own arguments afterwards reads the title.
///
/// # Errors
/// The kernel does not say where the words are.
pub fn set_title(title: &str) -> io::Result<()> {
    let (start, end) = procfs::own_words()?;
    let room = end.saturating_sub(start);
    let shown = title.len().min(room.saturating_sub(1));
    let place = ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel says that `room` bytes from `start` on hold this process's arguments. They are
    // writable memory of its stack, are never unmapped, and nobody reads them at this moment: the
    // process has one thread, by the caller's promise.
    unsafe { ptr::write_bytes(place, 0, room) };
    // SAFETY: as above, and `shown` bytes fit into `room`; a title is no part of the arguments.
    unsafe { ptr::copy_nonoverlapping(title.as_ptr(), place, shown) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;

    #[test]
    fn a_title_replaces_the_words_and_is_cut_where_they_end() {
        alone(|| {
            let shown = || {
                let words = std::fs::read("/proc/self/cmdline").unwrap();
                let end = words.iter().position(|byte| *byte == 0).unwrap();
                String::from_utf8(words[..end].to_owned()).unwrap()
            };
            set_title("short").unwrap();
            assert_eq!(shown(), "short");
            let long = "x".repeat(100_000);
            set_title(&long).unwrap();
            let cut = shown();
            assert!(!cut.is_empty() && long.starts_with(&cut));
        });
    }
}
