//! For tests: a ring's memory on the heap. Miri follows it there, and no system call is needed.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;

use super::memory::Memory;
use super::words::Words;
use super::{Observer, Reader, Writer};

/// Zeros, aligned as the words are. Both ends share it.
#[derive(Debug)]
pub(super) struct Block {
    base: NonNull<u8>,
    layout: Layout,
    capacity: usize,
}

// SAFETY: the memory belongs to no thread; the ring's protocol keeps accesses apart.
unsafe impl Send for Block {}
// SAFETY: as above; `&Block` gives the address only.
unsafe impl Sync for Block {}

impl Block {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        assert!(super::is_capacity(capacity));
        let bytes = size_of::<Words>() + capacity;
        let layout = Layout::from_size_align(bytes, align_of::<Words>()).unwrap();
        // SAFETY: the size is not 0.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) });
        Arc::new(Self {
            base: base.unwrap_or_else(|| handle_alloc_error(layout)),
            layout,
            capacity,
        })
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn writer(self: &Arc<Self>) -> Writer {
        Writer::over(Memory::on_heap(self)).unwrap()
    }

    pub(super) fn reader(self: &Arc<Self>) -> Reader {
        Reader::over(Memory::on_heap(self)).unwrap()
    }

    pub(super) fn observer(self: &Arc<Self>) -> Observer {
        Observer::over(Memory::on_heap(self))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it with this layout, and whoever points into it holds an `Arc`.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}
