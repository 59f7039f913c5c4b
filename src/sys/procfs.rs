//! What the kernel says of a process, a line at a time and without a library's allocations.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// A line of `/proc/<pid>/stat` is shorter.
const STAT_BYTES_MAX: usize = 1024;

/// What a living process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Processor time, in user mode and in the kernel, of all its threads.
    pub cpu: Duration,
    /// Resident memory.
    pub rss_bytes: u64,
    /// When it was born, in clock ticks since boot: with the id it names a process for good.
    pub start_ticks: u64,
}

/// What this process uses; `None` if it is gone.
#[must_use]
pub fn usage(pid: i32) -> Option<ProcessUsage> {
    let mut buffer = [0; STAT_BYTES_MAX];
    parse_usage(
        read_stat(pid, &mut buffer)?,
        unit(SysconfVar::CLK_TCK),
        unit(SysconfVar::PAGE_SIZE),
    )
}

/// Its parent's id; `None` if it is gone.
#[must_use]
pub fn parent_of(pid: i32) -> Option<i32> {
    let mut buffer = [0; STAT_BYTES_MAX];
    field(read_stat(pid, &mut buffer)?, 4)?.parse().ok()
}

/// The environment it was started with, as it lies in its memory; empty while it has none: it has ended,
/// or is just ending, or executing a program, or was given none.
///
/// # Errors
/// Not ours to see. That it is gone is none.
pub fn environment(pid: i32) -> io::Result<Vec<u8>> {
    let of_process = format!("/proc/{pid}");
    let environment = environment_in(Path::new(&of_process))?;
    if !environment.is_empty() {
        return Ok(environment);
    }
    // The first thread speaks for all of them, and can have ended before them.
    let Ok(threads) = fs::read_dir(format!("{of_process}/task")) else {
        return Ok(Vec::new());
    };
    for thread in threads.flatten() {
        let environment = environment_in(&thread.path())?;
        if !environment.is_empty() {
            return Ok(environment);
        }
    }
    Ok(Vec::new())
}

fn environment_in(folder: &Path) -> io::Result<Vec<u8>> {
    match fs::read(folder.join("environ")) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Ok(Vec::new()),
        answer => answer,
    }
}

/// Where in this process's memory the words lie that it was started with: begin and end.
///
/// # Errors
/// The kernel does not say.
pub fn own_words() -> io::Result<(usize, usize)> {
    let mut buffer = [0; STAT_BYTES_MAX];
    let stat = read_stat(nix::unistd::getpid().as_raw(), &mut buffer);
    let address = |number| field(stat?, number)?.parse().ok().filter(|at| *at > 0);
    address(48).zip(address(49)).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel does not say where they are",
        )
    })
}

/// How many descriptors a process has open.
///
/// # Errors
/// It is gone, or not ours to see.
pub fn descriptors(pid: i32) -> io::Result<u64> {
    let folder = format!("/proc/{pid}/fd");
    // Newer kernels say it at once.
    match fs::metadata(&folder)?.len() {
        0 => Ok(fs::read_dir(folder)?.count() as u64),
        count => Ok(count),
    }
}

/// How many threads this process has: one `stat`, whatever the number.
///
/// # Errors
/// `/proc` could not be read.
pub fn threads() -> io::Result<u64> {
    // A folder has a link for itself, one for its entry in the parent, one for each folder in it.
    Ok(fs::metadata("/proc/self/task")?.nlink().saturating_sub(2))
}

fn read_stat(pid: i32, buffer: &mut [u8; STAT_BYTES_MAX]) -> Option<&str> {
    let length = File::open(format!("/proc/{pid}/stat"))
        .ok()?
        .read(buffer)
        .ok()?;
    // The second field is the program's name in parentheses; it may hold anything, `)` and blanks
    // and bytes that are no text. What follows is numbers.
    let line = buffer.get(..length)?;
    let name_end = line.iter().rposition(|byte| *byte == b')')?;
    str::from_utf8(line.get(name_end + 1..)?).ok()
}

/// Field `number` as `proc_pid_stat(5)` counts them; the text begins behind field 2.
fn field(after_name: &str, number: usize) -> Option<&str> {
    after_name
        .split_ascii_whitespace()
        .nth(number.checked_sub(3)?)
}

fn parse_usage(after_name: &str, ticks_a_second: u64, page_bytes: u64) -> Option<ProcessUsage> {
    let number = |which| field(after_name, which)?.parse::<u64>().ok();
    let ticks = number(14)?.saturating_add(number(15)?);
    let millis = ticks.saturating_mul(1000).checked_div(ticks_a_second)?;
    Some(ProcessUsage {
        cpu: Duration::from_millis(millis),
        rss_bytes: number(24)?.saturating_mul(page_bytes),
        start_ticks: number(22)?,
    })
}

fn unit(which: SysconfVar) -> u64 {
    let value = sysconf(which).ok().flatten().unwrap_or(0);
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;
    use crate::sys::process::{self, Forked};

    #[test]
    fn a_process_knows_its_own_usage_and_parent() {
        let me = process::id();
        let used = usage(me).unwrap();
        assert!(used.rss_bytes > 100_000 && used.start_ticks > 0);
        assert_eq!(usage(me).unwrap().start_ticks, used.start_ticks);
        assert_eq!(parent_of(me), Some(process::parent_id()));
    }

    #[test]
    fn what_is_opened_is_counted() {
        alone(|| {
            let me = process::id();
            let before = descriptors(me).unwrap();
            let held = [(); 3].map(|()| File::open("/dev/null").unwrap());
            assert_eq!(descriptors(me).unwrap(), before + held.len() as u64);
        });
    }

    #[test]
    fn nobody_uses_nothing() {
        assert!(descriptors(i32::MAX).is_err());
        assert_eq!(usage(-1), None);
        assert_eq!(parent_of(i32::MAX), None);
    }

    #[test]
    fn the_dead_have_no_environment_and_the_living_have_theirs() {
        let mine = environment(process::id()).unwrap();
        assert!(
            mine.split(|byte| *byte == 0)
                .any(|v| v.starts_with(b"PATH="))
        );
        assert!(environment(i32::MAX).unwrap().is_empty());
        alone(|| {
            let Forked::Parent(pid) = process::fork().unwrap() else {
                process::exit_now(0)
            };
            while !process::has_ended(pid).unwrap() {
                std::thread::yield_now();
            }
            assert!(environment(pid).unwrap().is_empty());
        });
    }

    #[test]
    fn fields_are_counted_as_the_manual_counts_them() {
        let line = " S 7 3 4 5 6 7 8 9 10 11 120 30 16 17 18 19 20 21 222 23 5 25";
        assert_eq!(field(line, 4), Some("7"));
        let used = parse_usage(line, 100, 4096).unwrap();
        assert_eq!(used.cpu, Duration::from_millis(1500));
        assert_eq!((used.rss_bytes, used.start_ticks), (5 * 4096, 222));
        assert_eq!(parse_usage(" S 7 3", 100, 4096), None);
        assert_eq!(parse_usage(line, 0, 4096), None);
    }

    #[test]
    fn the_harness_has_more_than_one_thread() {
        assert!(threads().unwrap() >= 2);
    }
}
