//! Wire to core and back.
//!
//! | module       | wire                 | core                   |
//! | ------------ | -------------------- | ---------------------- |
//! | [`catalog`]  | `GetCatalogResponse` | [`Catalog`]            |
//! | `definition` | what is in it        | definitions            |
//! | [`column`]   | `FeatureColumn`      | [`Column`]             |
//! | [`feast`]    | Feast's values       | columns and key parts  |
//! | [`key`]      | `KeyColumn`          | lists of [`OwnedPart`] |
//! | [`status`]   | gRPC status          | [`Error`]              |
//!
//! Towards the wire nothing can be wrong, except keys of mixed types.
//! From the wire everything can: what a caller sent wrongly is `Invalid`, what
//! a server sent wrongly is `Internal`, because no caller can mend it.
//!
//! [`Catalog`]: hitherto_core::catalog::Catalog
//! [`Column`]: hitherto_core::column::Column
//! [`OwnedPart`]: hitherto_core::key::OwnedPart
//! [`Error`]: hitherto_core::Error

pub mod catalog;
pub mod column;
mod definition;
pub mod feast;
pub mod key;
pub mod status;
