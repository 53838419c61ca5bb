//! The allocator, which tells the program of memory that it cannot have. Rust itself aborts then, and its hook for that is unstable.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

pub type Handler = extern "C" fn(bytes: usize);

static HANDLER: AtomicPtr<()> = AtomicPtr::new(null_mut());

/// Tokenising makes and frees a few small strings per word: with glibc's malloc a quarter of the time of scoring short inputs.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

#[cold]
fn tell(bytes: usize) {
    let handler = HANDLER.load(Ordering::Acquire);
    if !handler.is_null() {
        // SAFETY: only `charm_text_on_out_of_memory` stores one, and it stores a `Handler`.
        let handler = unsafe { std::mem::transmute::<*mut (), Handler>(handler) };
        handler(bytes);
    }
}

fn told(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        tell(bytes);
    }
    pointer
}

// SAFETY: all of it is MiMalloc's; a handler does not unwind.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        told(MiMalloc.alloc(layout), layout.size())
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        told(MiMalloc.alloc_zeroed(layout), layout.size())
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        told(MiMalloc.realloc(pointer, layout, new_size), new_size)
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        MiMalloc.dealloc(pointer, layout)
    }
}

#[no_mangle]
pub extern "C" fn charm_text_on_out_of_memory(handler: Option<Handler>) {
    let pointer = handler.map_or(null_mut(), |function| function as *mut ());
    HANDLER.store(pointer, Ordering::Release);
}
