//! Reading what a library takes at its word.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `read`, which may panic on bytes that are damaged; `None` if it did. Nothing is
/// printed then: whoever sends such bytes would fill the server's log.
pub fn read_unwound<T>(read: impl FnOnce() -> T) -> Option<T> {
    static QUIETED: Once = Once::new();
    QUIETED.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                print(panic);
            }
        }));
    });
    IS_QUIET.set(true);
    let read = catch_unwind(AssertUnwindSafe(read));
    IS_QUIET.set(false);
    read.ok()
}
