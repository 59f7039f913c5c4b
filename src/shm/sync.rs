//! The atomics of this island, and the one list of the places where their order matters.
//!
//! Under `--cfg loom` the atomics are the model checker's, and a model may weaken one [`Site`]: its
//! ordering becomes `Relaxed`, its fence nothing. `models` shows for every site that some model then
//! fails, so that no ordering here is stronger than it needs to be, and none is decoration.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicU64;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::AtomicU64;
pub(crate) use std::sync::atomic::Ordering;

/// A place whose ordering is half of a pair. The letters are those of the tables in [`super::ring`]
/// and [`super::bell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// A: a cursor's mark is written, after the position that made the other mark current.
    MarkStore,
    /// A: a cursor's mark is read.
    MarkLoad,
    /// B: records become visible.
    TailStore,
    /// B: records are looked for.
    TailLoad,
    /// C: room is given back.
    HeadStore,
    /// C: room is looked for.
    HeadLoad,
    /// D: the writer's last record stands before its word that it moved on.
    MovedStore,
    /// D: the reader asks whether the writer moved on.
    MovedLoad,
    /// E: between what a sleeper waits for and the look at its word.
    RingFence,
    /// E: between the sleeper's word and its last look at what it waits for.
    DozeFence,
    /// F: between giving room and the look whether the writer wants it.
    RoomFence,
    /// F: between the writer's wish for room and its last look.
    WantFence,
}

/// The ordering of a site.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn order(_: Site, ordering: Ordering) -> Ordering {
    ordering
}

/// The `SeqCst` fence of a site.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn fence(_: Site) {
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    std::sync::atomic::fence(Ordering::SeqCst);
    // The compiler takes MFENCE, which also waits for stores that are none of ours to order, and costs a
    // fourth of a publish. A locked instruction orders all loads and stores of ordinary memory as well
    // (Intel SDM 3A 9.2.3.9, AMD APM 2 7.4.2), in a fourth of the time; Linux uses one for smp_mb().
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: adds nothing to a word of our own stack, below which nobody else has anything. It may
    // not be left out or moved over accesses of memory: the block says of neither that it may.
    unsafe {
        std::arch::asm!("lock add dword ptr [rsp], 0", options(nostack));
    };
}

#[cfg(loom)]
pub(crate) use weakened::{fence, order};

#[cfg(loom)]
pub(crate) mod weakened {
    //! Orderings that a model can take away.

    use std::cell::Cell;

    use super::{Ordering, Site};

    std::thread_local! {
        // The checker runs all threads of a model on the thread that asked for it.
        static WEAK: Cell<Option<Site>> = const { Cell::new(None) };
    }

    /// From now on, on this thread, models lack the ordering of this site.
    pub(crate) fn weaken(site: Option<Site>) {
        WEAK.set(site);
    }

    pub(crate) fn order(site: Site, ordering: Ordering) -> Ordering {
        if WEAK.get() == Some(site) {
            Ordering::Relaxed
        } else {
            ordering
        }
    }

    pub(crate) fn fence(site: Site) {
        if WEAK.get() != Some(site) {
            loom::sync::atomic::fence(Ordering::SeqCst);
        }
    }
}
