//! For models: a ring's memory that the checker sees, in the place of `memory`.
//!
//! Each eight bytes are a cell of their own. The checker refuses an access to a cell that is not
//! ordered after the last access of the other end, which is what a race of bytes would be.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use loom::cell::UnsafeCell;

use super::words::Words;
use super::{End, Observer, Reader, Writer};

const CELL_BYTES: usize = 8;

/// The words and cells of a ring; both ends share it.
#[derive(Debug)]
pub(in crate::shm) struct Block {
    words: Words,
    cells: Vec<UnsafeCell<[u8; CELL_BYTES]>>,
}

impl Block {
    pub(in crate::shm) fn new(capacity: usize) -> Arc<Self> {
        let cells = (0..capacity / CELL_BYTES).map(|_| UnsafeCell::default());
        Arc::new(Self {
            words: Words::default(),
            cells: cells.collect(),
        })
    }

    pub(in crate::shm) fn writer(self: &Arc<Self>) -> Writer {
        Writer::over(self.memory()).unwrap()
    }

    pub(in crate::shm) fn reader(self: &Arc<Self>) -> Reader {
        Reader::over(self.memory()).unwrap()
    }

    pub(in crate::shm) fn observer(self: &Arc<Self>) -> Observer {
        Observer::over(self.memory())
    }

    fn memory(self: &Arc<Self>) -> Memory {
        Memory {
            block: Arc::clone(self),
        }
    }
}

#[derive(Debug)]
pub(super) struct Memory {
    block: Arc<Block>,
}

// SAFETY: the checker runs one thread at a time, and complains where two could race.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

pub(super) fn create(_: usize) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Memory {
    pub(super) fn map(_: OwnedFd, _: End) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn words(&self) -> &Words {
        &self.block.words
    }

    pub(super) fn capacity(&self) -> u64 {
        (self.block.cells.len() * CELL_BYTES) as u64
    }

    pub(super) fn store(&self, position: u64, word: u64) {
        // SAFETY: as `write`.
        unsafe { self.write(position, &word.to_le_bytes()) };
    }

    pub(super) fn load(&self, position: u64) -> u64 {
        let mut bytes = [MaybeUninit::new(0); CELL_BYTES];
        // SAFETY: as `read`.
        unsafe { self.read(position, &mut bytes) };
        // SAFETY: they were all initialised.
        u64::from_le_bytes(bytes.map(|byte| unsafe { byte.assume_init() }))
    }

    pub(super) unsafe fn write(&self, position: u64, source: &[u8]) {
        for (at, byte) in (position..).zip(source) {
            let (cell, index) = self.place(at);
            // SAFETY: the checker hands out the pointer only when nothing races.
            cell.with_mut(|bytes| unsafe { (*bytes)[index] = *byte });
        }
    }

    pub(super) unsafe fn read(&self, position: u64, target: &mut [MaybeUninit<u8>]) {
        for (at, byte) in (position..).zip(target) {
            let (cell, index) = self.place(at);
            // SAFETY: the checker hands out the pointer only when nothing races.
            byte.write(cell.with(|bytes| unsafe { (*bytes)[index] }));
        }
    }

    fn place(&self, position: u64) -> (&UnsafeCell<[u8; CELL_BYTES]>, usize) {
        let index = (position % self.capacity()) as usize;
        let cell = &self.block.cells[index / CELL_BYTES];
        (cell, index % CELL_BYTES)
    }
}
