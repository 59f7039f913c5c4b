//! What a newborn may use: limits, niceness, processors. All of it is inherited through exec.

use std::io;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{self, setrlimit};
use nix::unistd::Pid;

use super::checked;
use crate::layout::spec::{Resource, ResourceLimit};

/// Sets the soft and the hard limit of this process.
///
/// # Errors
/// The system's answer: only the privileged may raise a hard limit.
pub fn set(limit: &ResourceLimit) -> io::Result<()> {
    let resource = match limit.resource {
        Resource::Nofile => resource::Resource::RLIMIT_NOFILE,
        Resource::Core => resource::Resource::RLIMIT_CORE,
        Resource::Nproc => resource::Resource::RLIMIT_NPROC,
        Resource::Memlock => resource::Resource::RLIMIT_MEMLOCK,
        Resource::AddressSpace => resource::Resource::RLIMIT_AS,
        Resource::FileSize => resource::Resource::RLIMIT_FSIZE,
        Resource::Stack => resource::Resource::RLIMIT_STACK,
    };
    Ok(setrlimit(resource, limit.value, limit.value)?)
}

/// Sets the niceness of this process, from -20 (favoured) to 19.
///
/// # Errors
/// The system's answer: only the privileged may lower it.
pub fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: numbers only; 0 is the caller.
    checked(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// Makes this thread nicer by so much than it is, as far as that goes: 19 is the end.
///
/// # Errors
/// The system's answer.
pub fn be_nicer(by: i32) -> io::Result<()> {
    // SAFETY: numbers only; 0 is the calling thread.
    let is = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    set_nice(is.saturating_add(by))
}

/// Binds this process to these processors.
///
/// # Errors
/// A number beyond what the system can name, or none that is online.
pub fn pin(cpus: &[u32]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        let cpu = usize::try_from(*cpu).map_err(|_| io::ErrorKind::InvalidInput)?;
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::host::Host;
    use crate::sys::alone::alone;
    use crate::sys::host::ThisHost;
    use nix::sys::resource::getrlimit;

    #[test]
    fn a_limit_is_set_soft_and_hard_and_cannot_be_passed() {
        alone(|| {
            let limit = ResourceLimit {
                resource: Resource::Core,
                value: 4096,
            };
            set(&limit).unwrap();
            let now = getrlimit(resource::Resource::RLIMIT_CORE).unwrap();
            assert_eq!(now, (4096, 4096));
            let few = ResourceLimit {
                resource: Resource::Nofile,
                value: 10,
            };
            set(&few).unwrap();
            let all: Vec<_> = (0..20)
                .map_while(|_| crate::sys::descriptors::null().ok())
                .collect();
            assert!(all.len() < 10);
        });
    }

    #[test]
    fn a_process_can_be_made_nicer_and_bound_to_one_processor() {
        alone(|| {
            set_nice(7).unwrap();
            // SAFETY: numbers only.
            assert_eq!(unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }, 7);
            let last = *ThisHost.processors().last().unwrap();
            pin(&[last]).unwrap();
            assert_eq!(ThisHost.processors(), [last]);
            assert!(pin(&[]).is_err());
            assert!(pin(&[1_000_000]).is_err());
        });
    }
}
