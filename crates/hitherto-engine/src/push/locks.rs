//! The locks of pushes, and the order in which a thread takes them.
//!
//! ```text
//! writer    one change of catalog or generations at a time: `Engine`, before all of these
//!   landing   the log's facts are being written to files
//!     tails     the files of a process that only reads
//!       logs      whoever commits; pushes wait
//!         waiting   the batches that wait         (a moment)
//!         kept      what builds need of the log   (a moment)
//! ```
//!
//! A thread takes only what stands further to the right than what it holds, so that no two
//! wait for each other. Debug builds, and with them all tests, assert it.

use std::ops::{Deref, DerefMut};

use parking_lot::{Mutex, MutexGuard};

/// Where a lock stands in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Landing,
    Tails,
    Logs,
    Waiting,
    Kept,
}

/// A lock that has a place in the order.
pub(super) struct Ranked<T> {
    rank: Rank,
    value: Mutex<T>,
}

impl<T: Default> Ranked<T> {
    pub fn new(rank: Rank) -> Self {
        Self { rank, value: Mutex::default() }
    }
}

impl<T> Ranked<T> {
    /// Waits for it.
    pub fn lock(&self) -> Guard<'_, T> {
        let turn = Turn::of(self.rank);
        Guard { value: self.value.lock(), _turn: turn }
    }

    /// Takes it if nobody holds it.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let turn = Turn::of(self.rank);
        Some(Guard { value: self.value.try_lock()?, _turn: turn })
    }
}

/// A lock that is held.
pub(super) struct Guard<'l, T> {
    value: MutexGuard<'l, T>,
    _turn: Turn,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

#[cfg(debug_assertions)]
use self::checked::Turn;
#[cfg(not(debug_assertions))]
use self::unchecked::Turn;

#[cfg(debug_assertions)]
mod checked {
    use std::cell::RefCell;

    use super::Rank;

    thread_local! {
        /// What this thread holds.
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    /// That a lock's turn has come in this thread.
    pub struct Turn(Rank);

    impl Turn {
        pub fn of(rank: Rank) -> Self {
            HELD.with_borrow_mut(|held| {
                let last = held.iter().max();
                assert!(last.is_none_or(|last| *last < rank), "{rank:?} after {last:?}");
                held.push(rank);
            });
            Self(rank)
        }
    }

    impl Drop for Turn {
        fn drop(&mut self) {
            HELD.with_borrow_mut(|held| held.retain(|rank| *rank != self.0));
        }
    }
}

#[cfg(not(debug_assertions))]
mod unchecked {
    use super::Rank;

    pub struct Turn;

    impl Turn {
        pub fn of(_: Rank) -> Self {
            Self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_taken_in_order() {
        let (logs, kept) = (Ranked::<u32>::new(Rank::Logs), Ranked::<u32>::new(Rank::Kept));
        {
            let mut first = logs.lock();
            *first += *kept.lock();
            assert!(kept.try_lock().is_some(), "it was given back");
        }
        assert!(logs.try_lock().is_some());
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "Logs after Some(Kept)")]
    fn what_could_wait_for_each_other_is_found_by_one_thread() {
        let (logs, kept) = (Ranked::<u32>::new(Rank::Logs), Ranked::<u32>::new(Rank::Kept));
        let _second = kept.lock();
        let _first = logs.lock();
    }
}
