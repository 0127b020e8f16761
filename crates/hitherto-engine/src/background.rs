//! Threads for work that computes for seconds, beside lookups that take microseconds.
//!
//! The operating system shares a core between threads by the millisecond, which is long
//! for a lookup that finds the core taken. Threads of lower priority give it up at once.

use hitherto_core::{Error, Result};
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};
use tokio::runtime::{Builder, Runtime};

/// Of 100, where 50 is ordinary: a niceness of 10, a tenth of an ordinary thread's share
/// of a core for which both compete. Less would starve builds beside busy lookups.
const PRIORITY: u8 = 25;

/// A runtime with one thread a core, all of lower priority; so are the threads that are
/// started from these.
///
/// # Errors
/// `Unavailable` when the system gives no threads.
pub fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_multi_thread()
        .thread_name("background")
        .enable_all()
        .on_thread_start(step_back)
        .build();
    runtime.map_err(Error::no_threads)
}

/// Lowers the priority of this thread.
fn step_back() {
    let priority = ThreadPriorityValue::try_from(PRIORITY).map(ThreadPriority::Crossplatform);
    let lowered = priority.map(|priority| set_current_thread_priority(priority).is_ok());
    if lowered != Ok(true) {
        tracing::warn!("background work competes with lookups: its priority cannot be lowered");
    }
}
