//! Who a newborn is: user, groups, and the few privileges it keeps.
//!
//! For a process with one thread: capabilities belong to threads, and only the calling one changes. A
//! change of user clears the parent-death signal, so set that afterwards.

use std::collections::BTreeSet;
use std::io;

use nix::sys::prctl;
use nix::unistd::{self, Gid, Uid};

use super::{checked, checked_long};
use crate::layout::spec::Identity;

/// The kernel's name for the layout of [`CapabilityData`]: two words of 32 bits for each set.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Becomes this user, with these groups, and keeps exactly these capabilities (by number), as ambient
/// ones, so that they survive exec.
///
/// A supervisor without privileges can assume the identity it has already.
///
/// # Errors
/// The system's answer, with the step that failed. The process is then between two identities: it must
/// end.
pub fn assume(identity: &Identity, keep_capabilities: &[u8]) -> io::Result<()> {
    let keep = CapabilitySet::of(keep_capabilities)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    set_groups(&identity.groups)?;
    step("cannot change the group", unistd::setresgid(gid, gid, gid))?;
    if !keep.is_empty() {
        step("cannot keep capabilities", prctl::set_keepcaps(true))?;
    }
    step("cannot change the user", unistd::setresuid(uid, uid, uid))?;
    if keep.is_empty() {
        // The change of user has cleared them, unless the user is root and keeps what root has.
        return Ok(());
    }
    limit_to(&keep)?;
    step(
        "cannot stop keeping capabilities",
        prctl::set_keepcaps(false),
    )
}

/// Keeps the user and exactly these capabilities (by number). For root this also shrinks what exec
/// would give back.
///
/// # Errors
/// As [`assume`].
pub fn limit_capabilities(keep: &[u8]) -> io::Result<()> {
    limit_to(&CapabilitySet::of(keep)?)
}

fn set_groups(wanted: &[u32]) -> io::Result<()> {
    let have = step("cannot read the groups", unistd::getgroups())?;
    // As sets: a group that is named twice must not stand for one that is not wanted.
    let have: BTreeSet<u32> = have.into_iter().map(Gid::as_raw).collect();
    let wanted: BTreeSet<u32> = wanted.iter().copied().collect();
    if have == wanted {
        // To set what is there already also needs privilege.
        return Ok(());
    }
    let wanted: Vec<Gid> = wanted.into_iter().map(Gid::from_raw).collect();
    step(
        "cannot change the supplementary groups",
        unistd::setgroups(&wanted),
    )
}

fn limit_to(keep: &CapabilitySet) -> io::Result<()> {
    if unistd::geteuid().is_root() {
        // Exec gives root everything within the bounding set.
        step(
            "cannot shrink the bounding set",
            drop_from_bounding_set(keep),
        )?;
    }
    step(
        "cannot clear the ambient capabilities",
        ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0),
    )?;
    step("cannot limit the capabilities", set_capabilities(keep))?;
    for number in keep.numbers() {
        let raised = ambient(libc::PR_CAP_AMBIENT_RAISE, number);
        step("cannot raise an ambient capability", raised)?;
    }
    Ok(())
}

fn step<T, E: Into<io::Error>>(what: &str, result: Result<T, E>) -> io::Result<T> {
    result.map_err(|error| {
        let error: io::Error = error.into();
        io::Error::new(error.kind(), format!("{what}: {error}"))
    })
}

fn drop_from_bounding_set(keep: &CapabilitySet) -> io::Result<()> {
    for number in 0..CapabilitySet::COUNT {
        // SAFETY: numbers only. The answer is 1, 0, or -1 beyond the last capability of this kernel.
        let bounding = unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(number)) };
        if bounding == 1 && !keep.has(number) {
            // SAFETY: numbers only.
            checked(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number)) })?;
        }
    }
    Ok(())
}

fn ambient(operation: i32, number: u8) -> io::Result<()> {
    let operation = libc::c_ulong::try_from(operation).map_err(|_| io::ErrorKind::InvalidInput)?;
    let (number, zero) = (libc::c_ulong::from(number), 0 as libc::c_ulong);
    // SAFETY: numbers only; the last two must be 0.
    checked(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, operation, number, zero, zero) }).map(drop)
}

fn set_capabilities(keep: &CapabilitySet) -> io::Result<()> {
    let mut header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let data = keep.words().map(|word| CapabilityData {
        effective: word,
        permitted: word,
        inheritable: word,
    });
    // SAFETY: version 3 reads a header and two `CapabilityData`, which are what these locals are; the
    // kernel may write the version into the header.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    checked_long(answer).map(drop)
}

/// A set of capabilities, a bit for each.
struct CapabilitySet(u64);

impl CapabilitySet {
    /// As many as the kernel's interface can name.
    const COUNT: u8 = 64;

    fn of(numbers: &[u8]) -> io::Result<Self> {
        let mut bits = 0;
        for number in numbers {
            bits |= 1_u64.checked_shl(u32::from(*number)).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("there is no capability number {number}"),
                )
            })?;
        }
        Ok(Self(bits))
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn has(&self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }

    fn numbers(&self) -> impl Iterator<Item = u8> {
        (0..Self::COUNT).filter(|number| self.has(*number))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves are what is meant"
    )]
    fn words(&self) -> [u32; 2] {
        [self.0 as u32, (self.0 >> 32) as u32]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;
    use crate::sys::process::prepare;

    const NET_RAW: u8 = 13;
    const SETPCAP: u8 = 8;

    fn nobody() -> Identity {
        Identity {
            uid: 65534,
            gid: 65533,
            groups: vec![65532, 65533],
            name: "nobody".into(),
            home: "/".into(),
        }
    }

    fn status(name: &str) -> String {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn capabilities() -> [String; 4] {
        ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"].map(status)
    }

    fn only(numbers: &[u8]) -> [String; 4] {
        let bits: u64 = numbers.iter().map(|number| 1_u64 << number).sum();
        [(); 4].map(|()| format!("{bits:016x}"))
    }

    /// As root, `body` with its privileges; else the assertion that every step is refused.
    fn as_root_or_refused(body: impl FnOnce()) {
        if unistd::geteuid().is_root() {
            return body();
        }
        for keep in [&[][..], &[NET_RAW][..]] {
            let error = assume(&nobody(), keep).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(
                error
                    .to_string()
                    .starts_with("cannot change the supplementary groups: ")
            );
        }
        assert!(limit_capabilities(&[NET_RAW]).is_err());
    }

    #[test]
    fn a_newborn_becomes_another_user_without_any_capability() {
        alone(|| {
            as_root_or_refused(|| {
                assume(&nobody(), &[]).unwrap();
                assert_eq!(status("Uid:"), "65534 65534 65534 65534");
                assert_eq!(status("Gid:"), "65533 65533 65533 65533");
                assert_eq!(status("Groups:"), "65532 65533");
                assert_eq!(capabilities(), only(&[]));
                // Now without privileges: no way back, but it may become who it is.
                assume(&nobody(), &[]).unwrap();
                let mut root = nobody();
                root.uid = 0;
                let error = assume(&root, &[]).unwrap_err();
                assert!(
                    error.to_string().starts_with("cannot change the user: "),
                    "{error}"
                );
            });
        });
    }

    /// Shows: as many groups as are wanted, one of them by two entries, are not taken for the same.
    #[test]
    fn a_group_that_is_named_twice_leaves_none_of_roots() {
        alone(|| {
            as_root_or_refused(|| {
                let mut twice = nobody();
                twice.groups = vec![65532, 65532];
                unistd::setgroups(&[Gid::from_raw(0), Gid::from_raw(65532)]).unwrap();
                assume(&twice, &[]).unwrap();
                assert_eq!(status("Groups:"), "65532");
            });
        });
    }

    /// Shows: the kept capability is in all sets, the ambient one too, and is still there after exec.
    #[test]
    fn a_kept_capability_survives_the_change_of_user_and_exec() {
        alone(|| {
            as_root_or_refused(|| {
                assume(&nobody(), &[NET_RAW]).unwrap();
                assert_eq!(status("Uid:"), "65534 65534 65534 65534");
                assert_eq!(capabilities(), only(&[NET_RAW]));
                let check = "grep -q 'CapEff:.*0000000000002000' /proc/self/status";
                let words = ["sh", "-c", check].map(str::to_owned);
                panic!("{}", prepare(&words, &[]).unwrap().run());
            });
        });
    }

    #[test]
    fn root_that_is_limited_does_not_get_its_capabilities_back_by_exec() {
        alone(|| {
            as_root_or_refused(|| {
                limit_capabilities(&[NET_RAW, SETPCAP]).unwrap();
                assert_eq!(capabilities(), only(&[NET_RAW, SETPCAP]));
                let check = "grep -q 'CapEff:.*0000000000002100' /proc/self/status";
                let words = ["sh", "-c", check].map(str::to_owned);
                panic!("{}", prepare(&words, &[]).unwrap().run());
            });
        });
    }

    #[test]
    fn a_capability_that_does_not_exist_is_refused_before_anything_changes() {
        alone(|| {
            let before = capabilities();
            for number in [64, 255] {
                assert!(limit_capabilities(&[number]).is_err());
                assert!(assume(&nobody(), &[number]).is_err());
            }
            assert_eq!(capabilities(), before);
        });
    }
}
