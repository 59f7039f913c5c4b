//! Whether this program was started with standard output closed (`>&-`).
//!
//! Rust's runtime opens `/dev/null` in the place of every closed standard stream before `main`, so that no
//! other file gets its number; what is written there is lost without an error. So the look comes earlier.

use std::sync::atomic::{AtomicBool, Ordering};

static OUTPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: the section holds addresses of functions that are called once each before `main`, with the C
// library ready and no other thread; `look` takes no arguments and needs nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: a number only; EBADF if it is not open.
    let answer = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    OUTPUT_WAS_CLOSED.store(answer == -1, Ordering::Relaxed);
}

/// Was standard output closed when this program began?
#[must_use]
pub fn output_was_closed() -> bool {
    OUTPUT_WAS_CLOSED.load(Ordering::Relaxed)
}
