//! What is asked of Hitherto, without who answers it: no engine, no store, no connection.
//!
//! | module     | what it owns |
//! | ---------- | ------------ |
//! | [`caller`] | who asks     |

pub mod caller;

pub use caller::{Caller, Subject, SubjectKind};
