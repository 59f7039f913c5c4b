//! The children of a process with one thread, looked up again and again.
//!
//! The kernel takes about half a millisecond to list a thousand children, and lists them in the order in
//! which they came: whoever comes, born here or left to us by a descendant that died, stands behind all
//! others. So as long as none was reaped since the last look, reading on from its end names those who
//! came since, and nobody else.
//!
//! Owns: the list, opened once.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A read takes as much; the kernel gives a page at most.
const READ_BYTES: usize = 4096;

/// A list of the calling process's children.
#[derive(Debug)]
pub struct Children {
    /// Some kernels keep none.
    list: Option<File>,
    text: Vec<u8>,
    /// Where the last look ended; `None` since a child was reaped, for the kernel counts children, not
    /// bytes.
    end: Option<u64>,
}

impl Children {
    /// The children of this process, whose calling thread is its only one.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self {
            list: File::open("/proc/thread-self/children").ok(),
            text: Vec::new(),
            end: None,
        }
    }

    /// All of them, in ascending order; a snapshot, as [`children`](super::children) takes it.
    ///
    /// # Errors
    /// `/proc` could not be read.
    pub fn list(&mut self) -> io::Result<Vec<i32>> {
        self.end = None;
        let mut found = if self.list.is_some() {
            self.read_from(0)?
        } else {
            super::children_by_search()?
        };
        found.sort_unstable();
        Ok(found)
    }

    /// Those who came since the last look. `None`: a child was reaped since, or the kernel keeps no list;
    /// only [`Children::list`] can tell.
    ///
    /// # Errors
    /// `/proc` could not be read.
    pub fn newcomers(&mut self) -> io::Result<Option<Vec<i32>>> {
        match self.end.take() {
            Some(end) => self.read_from(end).map(Some),
            None => Ok(None),
        }
    }

    /// To be called when a child was reaped.
    pub fn one_is_gone(&mut self) {
        self.end = None;
    }

    /// Can the next look be a short one?
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.end.is_some() || self.list.is_none()
    }

    fn read_from(&mut self, begin: u64) -> io::Result<Vec<i32>> {
        let Some(list) = &self.list else {
            return Ok(Vec::new());
        };
        self.text.clear();
        let mut end = begin;
        loop {
            let length = self.text.len();
            self.text.resize(length + READ_BYTES, 0);
            let room = self.text.get_mut(length..).unwrap_or_default();
            let read = list.read_at(room, end)?;
            self.text.truncate(length + read);
            end += u64::try_from(read).unwrap_or(0);
            if read == 0 {
                self.end = Some(end);
                return Ok(numbers(&self.text));
            }
        }
    }
}

/// The numbers in a text of decimal numbers, each with a blank behind it.
fn numbers(text: &[u8]) -> Vec<i32> {
    let mut found = Vec::new();
    let mut number = 0_i32;
    for byte in text {
        if byte.is_ascii_digit() {
            number = number.wrapping_mul(10).wrapping_add(i32::from(byte - b'0'));
        } else {
            found.push(std::mem::take(&mut number));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::{alone, wait_to_be_killed};
    use crate::sys::process::{
        Forked, become_subreaper, exit_now, fork, has_ended, kill, reap_one,
    };

    fn sleeper() -> i32 {
        match fork().unwrap() {
            Forked::Parent(pid) => pid,
            Forked::Child => wait_to_be_killed(),
        }
    }

    fn wait_for_end(pid: i32) {
        while !has_ended(pid).unwrap() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn numbers_are_read_to_the_last() {
        assert!(numbers(b"").is_empty());
        assert_eq!(numbers(b"7 4194304 12 "), [7, 4_194_304, 12]);
    }

    /// Shows: who is left to us when a child dies stands behind all others, also behind the one that was
    /// born last, and is a newcomer before that child is reaped.
    #[test]
    fn an_orphan_is_a_newcomer_before_its_parent_is_reaped() {
        alone(|| {
            become_subreaper().unwrap();
            let mut children = Children::of_this_process();
            assert!(children.list().unwrap().is_empty());
            let Forked::Parent(middle) = fork().unwrap() else {
                sleeper();
                exit_now(0);
            };
            wait_for_end(middle);
            let last = sleeper();
            let born = children.newcomers().unwrap().unwrap();
            let [first, orphan, third] = born[..] else {
                panic!("{born:?}");
            };
            assert_eq!((first, third), (middle, last));
            assert!(orphan != middle && orphan != last);
            assert_eq!(children.newcomers().unwrap(), Some(vec![]));
            reap_one(middle).unwrap().unwrap();
            children.one_is_gone();
            assert!(!children.is_followed());
            assert_eq!(children.newcomers().unwrap(), None);
            let mut left = vec![orphan, last];
            left.sort_unstable();
            assert_eq!(children.list().unwrap(), left);
            assert!(children.is_followed());
            kill(orphan, libc::SIGKILL).unwrap();
            kill(last, libc::SIGKILL).unwrap();
        });
    }

    /// Shows: the order holds where many stand before the newcomer, over more than one read.
    #[test]
    fn among_many_only_the_newcomer_is_named() {
        alone(|| {
            become_subreaper().unwrap();
            let mut children = Children::of_this_process();
            let many: Vec<i32> = (0..READ_BYTES / 3).map(|_| sleeper()).collect();
            assert_eq!(children.list().unwrap().len(), many.len());
            let Forked::Parent(middle) = fork().unwrap() else {
                sleeper();
                exit_now(0);
            };
            wait_for_end(middle);
            let newcomers = children.newcomers().unwrap().unwrap();
            assert_eq!((newcomers.len(), newcomers.first()), (2, Some(&middle)));
            for pid in many.iter().chain(&newcomers) {
                kill(*pid, libc::SIGKILL).unwrap();
            }
        });
    }
}
