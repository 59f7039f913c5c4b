//! The program's own instructions in memory.
//!
//! Owns: nothing. The pages belong to the file; a process only has them mapped.

use std::fs;
use std::ops::Range;

/// Unmaps the pages of this program's instructions; those that are executed again are mapped again, from
/// the system's cache. A start executes much that is never needed after it, such as the reading of the
/// layout, and each page that is mapped counts as this process's memory.
///
/// Without effect where `/proc` is not there.
pub fn let_go() {
    let here = let_go as fn() as usize;
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
        return;
    };
    let Some(range) = maps.lines().find_map(|line| instructions(line, here)) else {
        return;
    };
    // SAFETY: the range is a mapping of a file that is executable and not writable, so no page of it can
    // have been changed: what is unmapped comes back as it was, also under a thread that executes it.
    unsafe { libc::madvise(range.start as *mut _, range.len(), libc::MADV_DONTNEED) };
}

/// The addresses of a mapping of instructions, if it is the one that holds this address.
fn instructions(line: &str, address: usize) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_code = words.next()? == "r-xp";
    let parse = |hex| usize::from_str_radix(hex, 16).ok();
    let range = parse(start)?..parse(end)?;
    (is_code && range.contains(&address)).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_instructions_around_the_address_are_meant() {
        let line = "1000-3000 r-xp 00001000 fe:00 42  /usr/bin/supervisor";
        assert_eq!(instructions(line, 0x1000), Some(0x1000..0x3000));
        assert_eq!(instructions(line, 0x2fff), Some(0x1000..0x3000));
        assert_eq!(instructions(line, 0x3000), None);
        assert_eq!(instructions(line, 0xfff), None);
        let data = line.replace("r-xp", "r--p");
        assert_eq!(
            instructions(&data, 0x1000),
            None,
            "relocated data has its own bytes"
        );
        assert_eq!(instructions(&line.replace("r-xp", "rwxp"), 0x1000), None);
        assert_eq!(instructions("", 0), None);
    }

    /// Resident bytes of the mapping that holds this function.
    #[cfg(not(miri))]
    fn resident_kib() -> u64 {
        let here = let_go as fn() as usize;
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let from_ours = maps
            .lines()
            .skip_while(|line| instructions(line, here).is_none());
        let rss = from_ours
            .into_iter()
            .find_map(|line| line.strip_prefix("Rss:"));
        rss.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    #[cfg(not(miri))]
    fn what_is_let_go_is_not_resident_and_still_runs() {
        let before = resident_kib();
        let_go();
        let after = resident_kib();
        assert!(after < before, "{after} of {before} KiB");
    }
}
