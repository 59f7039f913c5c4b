//! For tests: runs a body in a process of its own that has a single thread.
//!
//! The test harness gives every test a thread, and much of this island changes the whole process or
//! demands that it has one thread; or it shows that a descriptor's last copy is closed, which it is
//! not while another test is about to start a program. So the test program is run again with only this
//! test chosen. There nothing else goes on, and a fork of the test's thread has one thread, where the
//! body runs. SIGALRM is the body's deadline.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

const CHOSEN: &str = "CLUSTER_TEST_ALONE";
const DEADLINE_SECONDS: u32 = 60;

/// Runs `body` alone. Call it as the only statement of a test, with a closure written in place: the
/// test's name is taken from the closure's.
pub(crate) fn alone<F: FnOnce()>(body: F) {
    let path = type_name::<F>();
    let (_, name) = path.split_once("::").unwrap();
    let name = name.strip_suffix("::{{closure}}").unwrap();
    if std::env::var(CHOSEN).as_deref() == Ok(name) {
        return in_fork(body);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--include-ignored"])
        .env(CHOSEN, name)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{}: {said}\n{complained}",
        output.status
    );
}

/// What a body's child does that is there to be killed. It also ends by itself, should the body fail.
pub(crate) fn wait_to_be_killed() -> ! {
    // SAFETY: takes no pointer.
    unsafe { libc::alarm(DEADLINE_SECONDS) };
    loop {
        nix::unistd::pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the harness has two threads; the other one only waits for this one"
)]
fn in_fork(body: impl FnOnce()) {
    // SAFETY: the only other thread is the harness's main thread, which waits and holds no lock that
    // the body could want; glibc puts its own locks in order.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: takes no pointer.
        unsafe { libc::alarm(DEADLINE_SECONDS) };
        let code = i32::from(catch_unwind(AssertUnwindSafe(body)).is_err());
        super::process::exit_now(code);
    }
    assert!(pid > 0, "fork: {}", std::io::Error::last_os_error());
    let mut status = 0;
    // SAFETY: `status` is a local that lives through the call.
    let answer = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((answer, status), (pid, 0), "the body failed");
}
