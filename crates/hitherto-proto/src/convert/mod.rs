//! Wire to core and api, and back.
//!
//! | module       | wire                 | core, or api           |
//! | ------------ | -------------------- | ---------------------- |
//! | [`catalog`]  | `GetCatalogResponse` | [`Catalog`]            |
//! | `definition` | what is in it        | definitions            |
//! | [`column`]   | `FeatureColumn`      | [`Column`]             |
//! | [`feast`]    | Feast's values       | columns and key parts  |
//! | [`key`]      | `KeyColumn`          | lists of [`OwnedPart`] |
//! | [`status`]   | gRPC status          | [`Error`]              |
//! | `known`      | `KnownTime`          | [`Known`]              |
//!
//! [`access`], [`lookup`], [`push`], [`training_set`], [`verify`] and [`why`] have the requests
//! and answers of these names. Of them `decode_request` is called by a server and refuses with
//! `Invalid`; `decode_answer` is called by a client and refuses with `Internal`.
//!
//! Towards the wire nothing can be wrong, except keys of mixed types.
//! From the wire everything can: what a caller sent wrongly is `Invalid`, what
//! a server sent wrongly is `Internal`, because no caller can mend it.
//!
//! [`Catalog`]: hitherto_core::catalog::Catalog
//! [`Column`]: hitherto_core::column::Column
//! [`OwnedPart`]: hitherto_core::key::OwnedPart
//! [`Error`]: hitherto_core::Error
//! [`Known`]: hitherto_core::definition::Known

pub mod access;
pub mod catalog;
pub mod column;
mod definition;
pub mod feast;
pub mod key;
mod known;
pub mod lookup;
pub mod push;
pub mod status;
pub mod training_set;
pub mod verify;
pub mod why;
