//! Becoming another program.
//!
//! Everything is prepared before the first attempt, so a failure leaves the process as it was.

use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;

/// Where a program is searched when the environment has no `PATH`, as `execvp` does.
pub(crate) const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// All that the execution of a program needs, so that a newborn that shares its parent's memory
/// allocates nothing.
#[derive(Debug)]
pub struct Prepared {
    candidates: Vec<CString>,
    args: Words,
    env: Words,
}

/// Strings, and the list of pointers to them that the system takes.
#[derive(Debug)]
struct Words {
    pointers: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl Words {
    fn of(strings: Vec<CString>) -> Self {
        let each = strings.iter().map(|string| string.as_ptr());
        Self {
            pointers: each.chain([ptr::null()]).collect(),
            _strings: strings,
        }
    }
}

/// Makes ready to become another program.
///
/// `args` are all words of the command, the program first. One without a slash is searched in the `PATH`
/// of `env` (not in this process's own). As with `execvp`, a place where it is missing is passed over,
/// and one where it may not be run is passed over but remembered: the error is "permission denied" if
/// there was any such place. Unlike there, a file that is no program is not handed to a shell.
///
/// # Errors
/// A word with a zero byte, or no program at all.
pub fn prepare(args: &[String], env: &[(OsString, OsString)]) -> io::Result<Prepared> {
    let program = Path::new(args.first().map_or("", String::as_str));
    let path = env
        .iter()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.as_os_str());
    let args = args.iter().map(|word| CString::new(word.as_bytes()));
    let env = env.iter().map(|(name, value)| {
        let joined = [name.as_bytes(), b"=", value.as_bytes()].concat();
        CString::new(joined)
    });
    Ok(Prepared {
        candidates: candidates(program, path)?,
        args: Words::of(args.collect::<Result<_, _>>()?),
        env: Words::of(env.collect::<Result<_, _>>()?),
    })
}

fn candidates(program: &Path, path: Option<&OsStr>) -> io::Result<Vec<CString>> {
    let word = program.as_os_str().as_bytes();
    if word.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    if word.contains(&b'/') {
        return Ok(vec![CString::new(word)?]);
    }
    let places = path.unwrap_or_else(|| OsStr::new(DEFAULT_PATH));
    let found = std::env::split_paths(places)
        .map(|place| CString::new(place.join(program).into_os_string().into_vec()));
    Ok(found.collect::<Result<_, _>>()?)
}

impl Prepared {
    /// Becomes that program. Returns only if it failed; allocates nothing.
    #[must_use = "it returns only if it failed"]
    pub fn run(&self) -> io::Error {
        let (args, env) = (&self.args.pointers, &self.env.pointers);
        let mut denied = false;
        let mut last = io::Error::from_raw_os_error(libc::ENOENT);
        for candidate in &self.candidates {
            // SAFETY: all three are zero-terminated, the strings by `CString`, the lists by
            // `Words::of`; they live in `self` until the call returns, if it does.
            unsafe { libc::execve(candidate.as_ptr(), args.as_ptr(), env.as_ptr()) };
            last = io::Error::last_os_error();
            match last.raw_os_error() {
                Some(libc::EACCES) => denied = true,
                Some(
                    libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT,
                ) => {}
                _ => return last,
            }
        }
        if denied {
            io::Error::from_raw_os_error(libc::EACCES)
        } else {
            last
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn run(program: &str, path: &Path) -> io::Error {
        let env = [("PATH".into(), path.into())];
        match prepare(&[program.to_owned()], &env) {
            Ok(prepared) => prepared.run(),
            Err(error) => error,
        }
    }

    #[test]
    fn a_missing_program_and_a_forbidden_one_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("forbidden"), "#!/bin/sh\n").unwrap();
        let plain = fs::Permissions::from_mode(0o644);
        fs::set_permissions(place.path().join("forbidden"), plain).unwrap();
        assert_eq!(
            run("missing", place.path()).raw_os_error(),
            Some(libc::ENOENT)
        );
        assert_eq!(
            run("forbidden", place.path()).raw_os_error(),
            Some(libc::EACCES)
        );
        assert_eq!(run("", place.path()).raw_os_error(), Some(libc::ENOENT));
        assert_eq!(
            run("a\0b", place.path()).kind(),
            io::ErrorKind::InvalidInput
        );
    }

    /// Shows: the given environment's `PATH` decides, and words and variables arrive unchanged.
    #[test]
    fn a_program_is_searched_in_the_given_path_and_gets_exactly_the_given_environment() {
        alone(|| {
            let place = tempfile::tempdir().unwrap();
            let script = place.path().join("only-here");
            let check = "#!/bin/sh\ntest \"$1|$WORD|$CLUSTER_TEST_ALONE\" = 'a b|c d|'\n";
            fs::write(&script, check).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
            let path = format!("/nowhere:{}:/bin", place.path().display());
            let env = [("PATH".into(), path.into()), ("WORD".into(), "c d".into())];
            let words = ["only-here".to_owned(), "a b".to_owned()];
            // The script's end with 0 is this body's.
            panic!("{}", prepare(&words, &env).unwrap().run());
        });
    }
}
