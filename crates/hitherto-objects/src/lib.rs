//! Objects in S3, Google Cloud Storage and Azure, and what servers share there.
//!
//! | module     | what it owns                                                     |
//! | ---------- | ---------------------------------------------------------------- |
//! | [`Stores`] | the object stores that a process talks with, each opened once      |
//! | [`shared`] | state of several servers: one of them changes it, or nobody does   |

mod bucket;
pub mod shared;

pub use self::bucket::{Bucket, Stores};
pub use object_store::Error as StoreError;
