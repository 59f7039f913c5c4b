//! The only two ways in which this program makes a process: a copy of itself, and one that is about to
//! execute another program.

use std::io;

use crate::sys::{checked, procfs};

/// Which of the two we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The one that called; the child's process id.
    Parent(i32),
    /// The newborn.
    Child,
}

/// Why there was no birth.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// Another thread could hold a lock, which the child would inherit locked for ever.
    #[error("this process has {threads} threads; only a process with one may fork")]
    NotSingleThreaded {
        /// How many it has.
        threads: u64,
    },
    /// The system's answer.
    #[error("cannot fork")]
    System(#[source] io::Error),
}

/// Bears a copy of this process. The child must leak, not drop, what is the parent's.
///
/// A thread that was joined a moment ago may still be counted: the kernel lets it go a little later.
///
/// # Errors
/// [`ForkError`] says whether threads or the system stood in the way.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that forks, after counting threads"
)]
pub fn fork() -> Result<Forked, ForkError> {
    refuse_with_threads()?;
    // SAFETY: this process has one thread, ours, as just counted, and only that thread could start
    // another; so no lock is held by anybody else and the child may run any code.
    match checked(unsafe { libc::fork() }).map_err(ForkError::System)? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

fn refuse_with_threads() -> Result<(), ForkError> {
    match procfs::threads().map_err(ForkError::System)? {
        1 => Ok(()),
        threads => Err(ForkError::NotSingleThreaded { threads }),
    }
}

/// Where children are born that execute a program at once.
///
/// Such a child shares this process's memory, and this process stands still until it has executed its
/// program or has ended: nothing is copied that would be thrown away a moment later. Owns the stack
/// on which they begin.
#[derive(Debug)]
pub struct Nursery {
    stack: Box<[u8]>,
}

/// A child of the nursery, at the moment at which it has left its parent's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nursling {
    /// Its process.
    pub pid: i32,
    /// Its work has not returned: it has executed a program, or was killed on its way there.
    pub executed: bool,
}

/// What a newborn of the nursery is told, and tells.
struct Errand<'a> {
    work: &'a mut dyn FnMut() -> i32,
    returned: bool,
}

/// What a child needs before it executes its program; untouched pages cost nothing.
const STACK_BYTES: usize = 256 * 1024;

impl Nursery {
    /// A nursery with a stack.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stack: vec![0; STACK_BYTES].into_boxed_slice(),
        }
    }

    /// Bears a child that does `work`, which ends by executing a program; if it returns, the child ends
    /// with its exit code. The child may look at everything and change nothing that outlives the work,
    /// and what it has allocated it frees before it executes: the memory is its parent's.
    ///
    /// # Errors
    /// [`ForkError`] says whether threads or the system stood in the way.
    pub fn bear(&mut self, work: &mut dyn FnMut() -> i32) -> Result<Nursling, ForkError> {
        refuse_with_threads()?;
        let returned = false;
        let mut errand = Errand { work, returned };
        let argument = (&raw mut errand).cast::<libc::c_void>();
        let end = self.stack.as_mut_ptr_range().end;
        let top = end.wrapping_sub(end.addr() % STACK_ALIGNMENT);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: this process has one thread, as just counted, and it stands still (CLONE_VFORK) until
        // the child has left its memory: so `errand` and the stack are the child's alone meanwhile, and
        // both outlive the call. `top` is the aligned end of a stack of ours.
        let answer = unsafe { libc::clone(do_work, top.cast(), flags, argument) };
        Ok(Nursling {
            pid: checked(answer).map_err(ForkError::System)?,
            executed: !errand.returned,
        })
    }
}

impl Default for Nursery {
    fn default() -> Self {
        Self::new()
    }
}

/// The System V interface for x86-64 and the procedure call standard of ARM both want this.
const STACK_ALIGNMENT: usize = 16;

/// A child's first function; it never returns to the stack it began on.
extern "C" fn do_work(argument: *mut libc::c_void) -> i32 {
    // SAFETY: `bear` passes a pointer to its own local of this type, which lives while it stands still.
    let errand = unsafe { &mut *argument.cast::<Errand<'_>>() };
    let code = (errand.work)();
    errand.returned = true;
    super::exit_now(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;
    use crate::sys::process::{exit_now, id, parent_id, prepare};

    #[test]
    fn a_process_with_two_threads_may_not_fork_and_hears_their_number() {
        // The harness's main thread and this one, at least.
        let ForkError::NotSingleThreaded { threads } = fork().unwrap_err() else {
            panic!("refused for another reason");
        };
        assert!(threads >= 2);
    }

    #[test]
    fn a_process_with_one_thread_forks_and_the_child_knows_its_parent() {
        alone(|| {
            let me = id();
            let Forked::Parent(pid) = fork().unwrap() else {
                exit_now(if parent_id() == me { 23 } else { 1 });
            };
            let mut status = 0;
            // SAFETY: `status` lives through the call.
            let answer = unsafe { libc::waitpid(pid, &raw mut status, 0) };
            assert_eq!((answer, libc::WEXITSTATUS(status)), (pid, 23));
        });
    }

    /// Shows: the child sees our memory, we go on when it has executed its program or ended, and what it
    /// ended with is told apart.
    #[test]
    fn a_child_of_the_nursery_executes_a_program_or_ends_with_its_code() {
        alone(|| {
            let mut nursery = Nursery::new();
            let words = ["/bin/sh", "-c", "exit 7"].map(str::to_owned);
            let prepared = prepare(&words, &[]).unwrap();
            let missing = prepare(&["/no/such/program".to_owned()], &[]).unwrap();
            let mut failed = None;
            let good = nursery
                .bear(&mut || {
                    let _ = prepared.run();
                    1
                })
                .unwrap();
            let bad = nursery
                .bear(&mut || {
                    failed = missing.run().raw_os_error();
                    9
                })
                .unwrap();
            assert_eq!(failed, Some(libc::ENOENT));
            let mut ends = std::collections::BTreeMap::new();
            while ends.len() < 2 {
                if let Some(reaped) = crate::sys::process::reap().unwrap() {
                    ends.insert(reaped.pid, reaped.ending);
                }
                std::thread::yield_now();
            }
            use crate::supervise::child::Ending;
            assert!(good.executed && !bad.executed);
            assert_eq!(ends.get(&good.pid), Some(&Ending::Exited(7)));
            assert_eq!(ends.get(&bad.pid), Some(&Ending::Exited(9)));
        });
    }
}
