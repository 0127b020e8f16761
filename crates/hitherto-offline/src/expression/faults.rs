//! What goes wrong while an expression is computed, by the part in which it did.
//!
//! An expression is computed on one thread from its beginning to its end, so the thread keeps
//! the record, and nobody pays for it where nothing goes wrong.

use std::cell::RefCell;

use hitherto_core::expression::Reason;

/// Rows for which one part of an expression had no value.
#[derive(Clone, Copy, Debug)]
struct Fault {
    part: u64,
    reason: Reason,
    rows: usize,
}

thread_local! {
    static FAULTS: RefCell<Vec<Fault>> = const { RefCell::new(Vec::new()) };
}

/// Forgets what was recorded.
pub fn forget() {
    FAULTS.with_borrow_mut(Vec::clear);
}

/// Records that a part of an expression had no value for so many rows.
pub fn record(part: u64, reason: Reason, rows: usize) {
    if rows > 0 {
        FAULTS.with_borrow_mut(|faults| faults.push(Fault { part, reason, rows }));
    }
}

/// Why all of so many rows have no value, if one part had none for any of them: a part is
/// computed once a row.
pub fn of_all(rows: usize) -> Option<Reason> {
    FAULTS.with_borrow(|faults| {
        let of_part = |part: u64| faults.iter().filter(move |fault| fault.part == part);
        let all = faults.iter().find(|fault| {
            let one_reason = of_part(fault.part).all(|other| other.reason == fault.reason);
            one_reason && of_part(fault.part).map(|fault| fault.rows).sum::<usize>() == rows
        });
        all.map(|fault| fault.reason)
    })
}

/// The first of them.
pub fn first() -> Option<Reason> {
    FAULTS.with_borrow(|faults| faults.first().map(|fault| fault.reason))
}

/// Whether nothing was recorded.
pub fn is_empty() -> bool {
    FAULTS.with_borrow(Vec::is_empty)
}
