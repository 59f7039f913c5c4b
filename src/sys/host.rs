//! The real machine, for reading a layout on it.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{self, AccessFlags, Gid, Group, Pid, Uid, User};

use super::process::DEFAULT_PATH;
use crate::layout::host::Host;
use crate::layout::spec::Identity;

/// This machine, as this process sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisHost;

/// This host's name, as `gethostname` says it.
#[must_use]
pub fn hostname() -> String {
    let name = unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Host for ThisHost {
    fn hostname(&self) -> String {
        hostname()
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let mut found: Vec<IpAddr> = nix::ifaddrs::getifaddrs()
            .into_iter()
            .flatten()
            .filter_map(|interface| {
                let address = interface.address?;
                let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
                four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Those that this process may use: a container's share, where there is one.
    fn processors(&self) -> Vec<u32> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
        let numbers = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true));
        numbers.filter_map(|cpu| u32::try_from(cpu).ok()).collect()
    }

    fn descriptors_max(&self) -> u64 {
        getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard)
    }

    fn effective_uid(&self) -> u32 {
        unistd::geteuid().as_raw()
    }

    fn identity(&self, user: &str, group: Option<&str>) -> Result<Identity, String> {
        let known = find_user(user)?;
        let chosen = group.map(find_group).transpose()?;
        match (known, chosen, user.parse()) {
            (Some(known), chosen, _) => identity_of(known, chosen),
            // A number without an entry will do, as it does for containers, if the group is said.
            (None, Some(gid), Ok(uid)) => Ok(Identity {
                uid,
                gid: gid.as_raw(),
                groups: vec![gid.as_raw()],
                name: user.to_owned(),
                home: PathBuf::from("/"),
            }),
            (None, None, Ok(_)) => Err(format!(
                "this host has no user with the number {user}; say its group too"
            )),
            (None, _, Err(_)) => Err(format!("this host has no user \"{user}\"")),
        }
    }

    fn group(&self, name: &str) -> Result<u32, String> {
        find_group(name).map(Gid::as_raw)
    }

    fn program(&self, word: &str) -> Result<(), String> {
        if word.is_empty() {
            return Err("the program's name is empty".to_owned());
        }
        if word.contains('/') {
            return match judge(Path::new(word)) {
                Found::Program => interpreter(Path::new(word)),
                Found::NoProgram => Err(format!("{word} is not executable")),
                Found::Nothing => Err(format!("{word} does not exist")),
            };
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        search(word, &path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

fn search(word: &str, path: &OsStr) -> Result<(), String> {
    let mut passed_over = None;
    for place in std::env::split_paths(path) {
        let candidate = place.join(word);
        match judge(&candidate) {
            Found::Program => return interpreter(&candidate),
            Found::NoProgram => passed_over = passed_over.or(Some(candidate)),
            Found::Nothing => {}
        }
    }
    Err(match passed_over {
        Some(candidate) => format!("{} is not executable", candidate.display()),
        None => format!("there is no \"{word}\" in PATH"),
    })
}

enum Found {
    Program,
    NoProgram,
    Nothing,
}

/// What `execve` would say, as far as permissions go.
fn judge(path: &Path) -> Found {
    match path.metadata() {
        Err(_) => Found::Nothing,
        Ok(found) if !found.is_file() => Found::NoProgram,
        Ok(_) => {
            let here = nix::fcntl::AT_FDCWD;
            let asked = unistd::faccessat(here, path, AccessFlags::X_OK, AtFlags::AT_EACCESS);
            if asked.is_ok() {
                Found::Program
            } else {
                Found::NoProgram
            }
        }
    }
}

/// The kernel looks no further for the name behind `#!`.
const INTERPRETER_LINE_BYTES_MAX: u64 = 256;

/// Is the interpreter that a script names in its first line there? Without it `execve` says that the
/// script itself does not exist. What cannot be read is not judged, nor is a relative name: where that
/// begins is decided at birth.
fn interpreter(script: &Path) -> Result<(), String> {
    let mut start = Vec::new();
    let read = File::open(script).map(|file| {
        let mut file = file.take(INTERPRETER_LINE_BYTES_MAX);
        file.read_to_end(&mut start)
    });
    if !matches!(read, Ok(Ok(_))) {
        return Ok(());
    }
    let line = start.split(|byte| *byte == b'\n').next();
    let words = line.and_then(|line| line.strip_prefix(b"#!"));
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut words = words.into_iter().flat_map(|words| words.split(blank));
    let Some(name) = words.find(|word| !word.is_empty()) else {
        return Ok(());
    };
    let path = Path::new(OsStr::from_bytes(name));
    match judge(path) {
        _ if path.is_relative() => Ok(()),
        Found::Program => Ok(()),
        Found::NoProgram => Err(format!(
            "its interpreter {} is not executable",
            path.display()
        )),
        Found::Nothing => Err(format!("its interpreter {} does not exist", path.display())),
    }
}

fn find_user(user: &str) -> Result<Option<User>, String> {
    let by_name = User::from_name(user).map_err(|error| format!("user \"{user}\": {error}"))?;
    match (by_name, user.parse()) {
        (None, Ok(number)) => {
            User::from_uid(Uid::from_raw(number)).map_err(|error| format!("user {number}: {error}"))
        }
        (found, _) => Ok(found),
    }
}

fn find_group(group: &str) -> Result<Gid, String> {
    let by_name = Group::from_name(group).map_err(|error| format!("group \"{group}\": {error}"))?;
    match (by_name, group.parse()) {
        (Some(known), _) => Ok(known.gid),
        (None, Ok(number)) => Ok(Gid::from_raw(number)),
        (None, Err(_)) => Err(format!("this host has no group \"{group}\"")),
    }
}

fn identity_of(user: User, group: Option<Gid>) -> Result<Identity, String> {
    let gid = group.unwrap_or(user.gid);
    let name = CString::new(user.name.as_str()).map_err(|error| error.to_string())?;
    let groups = unistd::getgrouplist(&name, gid)
        .map_err(|error| format!("groups of user \"{}\": {error}", user.name))?;
    Ok(Identity {
        uid: user.uid.as_raw(),
        gid: gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
        name: user.name,
        home: user.dir,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::net::Ipv4Addr;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn this_host_has_a_name_a_loopback_address_and_a_processor() {
        assert!(!ThisHost.hostname().is_empty());
        assert!(
            ThisHost
                .addresses()
                .contains(&IpAddr::V4(Ipv4Addr::LOCALHOST))
        );
        assert!(!ThisHost.processors().is_empty());
        assert!(ThisHost.descriptors_max() > 0);
    }

    #[test]
    fn users_and_groups_are_found_by_name_and_by_number() {
        let root = ThisHost.identity("root", None).unwrap();
        assert_eq!((root.uid, root.gid, root.name.as_str()), (0, 0, "root"));
        assert!(root.groups.contains(&0));
        assert_eq!(ThisHost.identity("0", None).unwrap(), root);
        let other_group = ThisHost.identity("root", Some("4242")).unwrap();
        assert_eq!((other_group.uid, other_group.gid), (0, 4242));
        let unknown = ThisHost.identity("4000000000", Some("4242")).unwrap();
        assert_eq!((unknown.uid, unknown.groups), (4_000_000_000, vec![4242]));
    }

    #[test]
    fn who_is_not_there_is_named() {
        let texts = [
            ThisHost.identity("no-such-user", None).unwrap_err(),
            ThisHost.identity("no-such-user", Some("0")).unwrap_err(),
            ThisHost
                .identity("root", Some("no-such-group"))
                .unwrap_err(),
        ];
        assert!(
            texts.iter().all(|text| text.contains("\"no-such-")),
            "{texts:?}"
        );
        assert!(
            ThisHost
                .identity("4000000000", None)
                .unwrap_err()
                .contains("say its group")
        );
    }

    #[test]
    fn a_program_must_be_there_and_executable() {
        assert_eq!(ThisHost.program("/bin/sh"), Ok(()));
        assert_eq!(ThisHost.program("sh"), Ok(()));
        assert!(ThisHost.program("").is_err());
        assert!(
            ThisHost
                .program("no-such-program")
                .unwrap_err()
                .contains("in PATH")
        );
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("tool");
        let named = file.to_str().unwrap();
        assert!(
            ThisHost
                .program(named)
                .unwrap_err()
                .contains("does not exist")
        );
        fs::write(&file, "").unwrap();
        assert!(
            ThisHost
                .program(named)
                .unwrap_err()
                .contains("not executable")
        );
        assert!(ThisHost.program(place.path().to_str().unwrap()).is_err());
        assert!(
            search("tool", place.path().as_os_str())
                .unwrap_err()
                .contains("not executable")
        );
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(ThisHost.program(named), Ok(()));
        assert_eq!(search("tool", place.path().as_os_str()), Ok(()));
    }

    /// Shows: what `execve` would call a missing script is told as what it is.
    #[test]
    fn a_scripts_interpreter_must_be_there_too() {
        let place = tempfile::tempdir().unwrap();
        let script = place.path().join("tool");
        let plain = place.path().join("plain");
        fs::write(&plain, "").unwrap();
        let judged = |text: &[u8]| {
            fs::write(&script, text).unwrap();
            fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
            let found = ThisHost.program(script.to_str().unwrap());
            assert_eq!(search("tool", place.path().as_os_str()), found);
            found
        };
        for text in [
            "#! /no/such/interp -x\necho",
            "#!/no/such/interp\n",
            "#!/no/such/interp",
        ] {
            let expected = "its interpreter /no/such/interp does not exist";
            assert_eq!(judged(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
        let expected = format!("its interpreter {} is not executable", plain.display());
        let text = format!("#!{}\n", plain.display());
        assert_eq!(judged(text.as_bytes()).unwrap_err(), expected);
        for text in [
            "#!/bin/sh\n".as_bytes(),
            b"#!/usr/bin/env no-such-program\n",
            b"#!relative\n",
            b"#!\n/no/such/interp",
            b"#/no/such/interp",
            b"\x7fELF",
            b"",
        ] {
            assert_eq!(judged(text), Ok(()), "{text:?}");
        }
    }
}
