//! What threads of one read share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use hitherto_core::Result;

/// What `each` makes of so many things, in their order, by as many threads as given.
///
/// # Errors
/// One of those that `each` returned; what nobody has begun is then left.
pub fn map<T: Send>(
    threads: usize,
    count: usize,
    each: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    if threads < 2 || count < 2 {
        return (0..count).map(each).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let taken = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        let taken = taken.take_while(|index| *index < count);
        let made = taken.map(|index| Ok((index, each(index)?)));
        let made: Result<Vec<_>> = made.collect();
        made.inspect_err(|_| next.store(count, Ordering::Relaxed))
    };
    let made = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.min(count)).map(|_| scope.spawn(work)).collect();
        let made = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        made.collect::<Result<Vec<_>>>()
    })?;
    let mut made: Vec<(usize, T)> = made.into_iter().flatten().collect();
    made.sort_unstable_by_key(|(index, _)| *index);
    Ok(made.into_iter().map(|(_, made)| made).collect())
}

/// Tells threads, once it is dropped, that nobody waits for them any more.
pub struct StopOnDrop(pub Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
