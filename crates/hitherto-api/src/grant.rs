//! What a caller may, for one request.
//!
//! Every request to an engine takes a grant, so that nobody asks one without having been let
//! in. What it allows is not for who carries it to see, only for who answers: today
//! everything. There are two ways to have one, each named in one place of a program
//! (`tests/all/architecture.rs` has the list):
//!
//! | made by             | for                                                  |
//! | ------------------- | ---------------------------------------------------- |
//! | [`Grant::of`]       | a caller whom a server has let in, once for each call |
//! | [`Grant::in_process`] | the user of a process that has the engine in it      |

use std::sync::Arc;

use crate::caller::Caller;

/// What a caller may. It has no copies: each request is granted by itself.
#[derive(Debug)]
pub struct Grant {
    caller: Arc<Caller>,
}

impl Grant {
    /// What this caller may.
    pub fn of(caller: Arc<Caller>) -> Self {
        Self { caller }
    }

    /// What the user of this process may.
    pub fn in_process(user: &str) -> Self {
        Self::of(Arc::new(Caller::local(user)))
    }

    /// Whose it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}
