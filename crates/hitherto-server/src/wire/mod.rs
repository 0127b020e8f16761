//! The engine's requests and answers as messages, for both ends.
//!
//! Columns, keys, the catalog and errors are converted in `hitherto_proto`;
//! here are the structs of the engine that hold them, which that crate does
//! not know. `decode_request` is called by the server and refuses with
//! `Invalid`; `decode_answer` is called by the client and refuses with
//! `Internal`.

mod known;
pub mod lookup;
pub mod push;
pub mod training_set;
mod unwound;
pub mod verify;
pub mod why;

pub use unwound::read_unwound;
