//! The module's allocator: small blocks come from lists by size, all others from the system's.
//!
//! A decision makes and frees some thousand small blocks, and the system's allocator, made for a few long-lived ones, took
//! a good part of its time. Blocks of a list never become blocks of another size, so each list is as long as its size was
//! ever in use at once; what is in use is bounded by the limits of caches, bundles and requests.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

/// Sizes of a list differ by less than this, and every block is aligned to it.
const STEP: usize = 16;

/// The largest block that comes from a list.
const LARGEST: usize = 1024;

/// What is asked of the system at once, to cut blocks from.
const CHUNK: usize = 64 * 1024;

/// An allocator for one thread.
pub(crate) struct Heap(UnsafeCell<Lists>);

struct Lists {
    /// Freed blocks by size, each of which holds the address of the next.
    free: [*mut u8; LARGEST / STEP],
    /// What is left of the last chunk.
    rest: *mut u8,
    rest_bytes: usize,
}

// SAFETY: a proxy-wasm module has one thread; another could not be started in it.
#[cfg(target_family = "wasm")]
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Lists {
            free: [ptr::null_mut(); LARGEST / STEP],
            rest: ptr::null_mut(),
            rest_bytes: 0,
        }))
    }
}

/// The list for this layout, if one serves it.
const fn list(layout: Layout) -> Option<usize> {
    let is_small = layout.size() <= LARGEST && layout.align() <= STEP && layout.size() > 0;
    if is_small { Some(layout.size().wrapping_sub(1) / STEP) } else { None }
}

impl Lists {
    /// A block for the list, or null.
    #[inline]
    unsafe fn take(&mut self, list: usize) -> *mut u8 {
        let Some(first) = self.free.get_mut(list) else { return ptr::null_mut() };
        let block = *first;
        if block.is_null() {
            return self.cut(list.wrapping_add(1).wrapping_mul(STEP));
        }
        // SAFETY: a block in a list is at least `STEP` long and holds the next one's address; see `put`.
        *first = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    /// Takes a block back that came from this list.
    #[inline]
    unsafe fn put(&mut self, list: usize, block: *mut u8) {
        let Some(first) = self.free.get_mut(list) else { return };
        // SAFETY: the block is free, aligned to `STEP` and at least as long.
        unsafe { block.cast::<*mut u8>().write(*first) };
        *first = block;
    }

    /// A new block. What a chunk has left when it is too short for one stays unused: less than `LARGEST` of `CHUNK`.
    #[cold]
    fn cut(&mut self, bytes: usize) -> *mut u8 {
        if self.rest_bytes < bytes {
            let Ok(layout) = Layout::from_size_align(CHUNK, STEP) else { return ptr::null_mut() };
            // SAFETY: the layout has a size.
            let chunk = unsafe { System.alloc(layout) };
            if chunk.is_null() {
                return chunk;
            }
            (self.rest, self.rest_bytes) = (chunk, CHUNK);
        }
        let block = self.rest;
        self.rest = block.wrapping_add(bytes);
        self.rest_bytes = self.rest_bytes.wrapping_sub(bytes);
        block
    }
}

// SAFETY: blocks of a list are cut from chunks, do not overlap, are aligned to `STEP`, and go back to the list that their
// layout names; all others are the system's. Nothing here panics or allocates through itself.
unsafe impl GlobalAlloc for Heap {
    // One copy, not one at each of some thousand places that allocate.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match list(layout) {
            // SAFETY: one thread, and no call in here comes back to the allocator.
            Some(list) => unsafe { (*self.0.get()).take(list) },
            // SAFETY: the caller's duty.
            None => unsafe { System.alloc(layout) },
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match list(layout) {
            // SAFETY: as in `alloc`; the layout is the one that the block was made with.
            Some(list) => unsafe { (*self.0.get()).put(list, block) },
            // SAFETY: the caller's duty.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller answers for the new size, as `GlobalAlloc::realloc` says.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (list(layout), list(new_layout)) {
            (Some(old), Some(new)) if old == new => block,
            // SAFETY: the caller's duty.
            (None, None) => unsafe { System.realloc(block, layout, new_size) },
            _ => {
                // SAFETY: both blocks are as long as the shorter of the two sizes, and distinct.
                unsafe {
                    let moved = self.alloc(new_layout);
                    if !moved.is_null() {
                        ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// Fills each block with its own number, changes sizes, and finds every number again.
    #[test]
    fn blocks_keep_what_is_in_them() {
        let heap = Heap::new();
        let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut seed = 7_u64;
        for turn in 0..20_000_u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let size = usize::try_from((seed >> 33) % 3000 + 1).unwrap();
            let at = usize::try_from((seed >> 13) % 97).unwrap();
            let mark = u8::try_from(turn % 251).unwrap();
            if let Some((block, old, before)) = blocks.get_mut(at).filter(|_| turn % 3 == 0) {
                // SAFETY: the block is the heap's, with this layout.
                unsafe {
                    *block = heap.realloc(*block, *old, size);
                    assert_eq!(**block, *before);
                    *old = layout(size, old.align());
                    ptr::write_bytes(*block, *before, size);
                }
            } else if at < blocks.len() && turn % 3 == 1 {
                let (block, old, before) = blocks.swap_remove(at);
                // SAFETY: as above, and it was filled to its end.
                unsafe {
                    assert!((0..old.size()).all(|offset| *block.add(offset) == before));
                    heap.dealloc(block, old);
                }
            } else {
                let new = layout(size, 1 << (seed >> 7 & 5));
                // SAFETY: the size is not zero.
                let block = unsafe { heap.alloc(new) };
                assert!(!block.is_null() && block.addr().is_multiple_of(new.align()));
                // SAFETY: it was made this long.
                unsafe { ptr::write_bytes(block, mark, size) };
                blocks.push((block, new, mark));
            }
        }
        for (block, old, before) in blocks {
            // SAFETY: as above.
            unsafe {
                assert!((0..old.size()).all(|offset| *block.add(offset) == before));
                heap.dealloc(block, old);
            }
        }
    }

    #[test]
    fn a_freed_block_is_used_again() {
        let heap = Heap::new();
        // SAFETY: blocks go back with the layout they were made with.
        unsafe {
            let first = heap.alloc(layout(40, 8));
            heap.dealloc(first, layout(40, 8));
            assert_eq!(heap.alloc(layout(33, 4)), first);
            let large = heap.alloc(layout(LARGEST + 1, 8));
            heap.dealloc(large, layout(LARGEST + 1, 8));
            let aligned = heap.alloc(layout(64, 64));
            assert!(aligned.addr().is_multiple_of(64));
            heap.dealloc(aligned, layout(64, 64));
        }
    }
}
