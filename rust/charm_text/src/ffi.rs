//! Shared by all exported functions: statuses, owned results, borrowed arguments, the last error and the panic guard.

use std::cell::{Cell, RefCell};
use std::ffi::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

pub const ABI_VERSION: u32 = 6;

pub type Status = i32;
pub const OK: Status = 0;
pub const INVALID_UTF8: Status = 1;
pub const INVALID_INPUT: Status = 2;
pub const REFUSED: Status = 3;
pub const FAILED: Status = 4;
pub const NULL_ARGUMENT: Status = 5;
pub const PANIC: Status = 6;

/// A status other than `OK` with the message that explains it.
#[derive(Debug)]
pub struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Failure { status, message: message.into() }
    }
}

#[repr(C)]
pub struct CharmTextString {
    pub data: *mut c_char,
    pub length: usize,
}

#[repr(C)]
pub struct CharmTextIds {
    pub data: *mut i32,
    pub length: usize,
}

impl From<String> for CharmTextString {
    fn from(text: String) -> Self {
        let bytes = text.into_bytes().into_boxed_slice();
        let length = bytes.len();
        CharmTextString { data: Box::into_raw(bytes).cast(), length }
    }
}

impl From<Vec<i32>> for CharmTextIds {
    fn from(ids: Vec<i32>) -> Self {
        let ids = ids.into_boxed_slice();
        let length = ids.len();
        CharmTextIds { data: Box::into_raw(ids).cast(), length }
    }
}

thread_local! {
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
    static INSIDE_GUARD: Cell<bool> = const { Cell::new(false) };
}

/// Panics inside the guard become a status, so the default hook must not also print them; others print as before.
fn silence_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !INSIDE_GUARD.with(Cell::get) {
                previous(info);
            }
        }));
    });
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("panic without a message")
}

/// Runs third-party code on user input; a panic becomes a failure with this status. Only for calls inside `guard`, whose handles
/// stay usable afterwards.
pub fn catch_panic<T>(status: Status, body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        Err(Failure::new(status, format!("cannot be used: {}", panic_text(payload.as_ref()))))
    })
}

/// Runs the body of an exported function; errors and panics become a status and the thread's last error.
pub fn guard(body: impl FnOnce() -> Result<(), Failure>) -> Status {
    silence_guarded_panics();
    INSIDE_GUARD.with(|inside| inside.set(true));
    let result = catch_unwind(AssertUnwindSafe(body));
    INSIDE_GUARD.with(|inside| inside.set(false));
    let failure = match result {
        Ok(Ok(())) => return OK,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::new(PANIC, panic_text(payload.as_ref())),
    };
    LAST_ERROR.with(|last| *last.borrow_mut() = failure.message);
    failure.status
}

/// Borrows a text argument. An empty text may have a null pointer.
///
/// # Safety
/// `data` must be null or point to `length` readable bytes that outlive the result.
pub unsafe fn text_argument<'a>(name: &str, data: *const c_char, length: usize) -> Result<&'a str, Failure> {
    let bytes: &[u8] = match (data.is_null(), length) {
        (true, 0) => &[],
        (true, _) => return Err(Failure::new(NULL_ARGUMENT, format!("{name} is null"))),
        (false, _) => std::slice::from_raw_parts(data.cast(), length),
    };
    std::str::from_utf8(bytes).map_err(|error| {
        Failure::new(INVALID_UTF8, format!("{name} is not valid UTF-8 at byte {}", error.valid_up_to()))
    })
}

/// # Safety
/// `pointer` must be null or point to a live `T` that outlives the result.
pub unsafe fn reference<'a, T>(name: &str, pointer: *const T) -> Result<&'a T, Failure> {
    pointer.as_ref().ok_or_else(|| Failure::new(NULL_ARGUMENT, format!("{name} is null")))
}

/// Writes a result to an out-parameter.
///
/// # Safety
/// `pointer` must be null or point to memory a `T` may be written to.
pub unsafe fn store<T>(name: &str, pointer: *mut T, value: T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::new(NULL_ARGUMENT, format!("{name} is null")));
    }
    pointer.write(value);
    Ok(())
}

#[no_mangle]
pub extern "C" fn charm_text_abi_version() -> u32 {
    ABI_VERSION
}

/// # Safety
/// See `charm_text.h`.
#[no_mangle]
pub unsafe extern "C" fn charm_text_last_error(out_message: *mut CharmTextString) -> Status {
    let message = LAST_ERROR.with(|last| last.borrow().clone());
    guard(|| store("out_message", out_message, message.into()))
}

/// # Safety
/// `text` must come from this library and not have been freed.
#[no_mangle]
pub unsafe extern "C" fn charm_text_string_free(text: CharmTextString) {
    if !text.data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(text.data.cast::<u8>(), text.length)));
    }
}

/// # Safety
/// `ids` must come from this library and not have been freed.
#[no_mangle]
pub unsafe extern "C" fn charm_text_ids_free(ids: CharmTextIds) {
    if !ids.data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(ids.data, ids.length)));
    }
}
