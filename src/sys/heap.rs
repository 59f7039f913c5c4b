//! The C library's heap, told what kind of process it serves.
//!
//! Owns: nothing.

/// Pieces of this size are mapped, each for itself.
const MAPPED_BYTES_MIN: i32 = 64 * 1024;

/// One heap for all threads. A process whose threads allocate little beside one of them saves the
/// memory of the others' heaps. Large pieces stay out of it, whatever was given back before: pages of a
/// buffer that are never written cost nothing, and what a start needs once goes back whole. Call it before
/// there are threads.
pub fn share() {
    // SAFETY: `mallopt` takes numbers; no other thread allocates yet, by the caller's promise.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    // SAFETY: as above.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN) };
}

/// Gives memory that is free back to the system: after a start that needed more than what follows.
pub fn trim() {
    // SAFETY: `malloc_trim` takes a number and locks the heap itself.
    unsafe { libc::malloc_trim(0) };
}
