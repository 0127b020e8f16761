//! Who asks, by what was shown.
//!
//! | module        | what it owns                                              |
//! | ------------- | --------------------------------------------------------- |
//! | [`token`]     | what a token looks like, and how one is made              |
//! | [`tokens`]    | the file that says whose tokens are                       |
//! | [`certificate`] | whose a certificate is                                  |
//! | [`refusal`]   | why what was shown does not count                         |
//!
//! | shown                | caller                                                     |
//! | -------------------- | ---------------------------------------------------------- |
//! | a token              | `token/NAME`, as its line of the file says                 |
//! | a certificate        | its SPIFFE id, or else `certificate/` and its first name of |
//! |                      | the DNS; never its common name, which nothing vouches for   |

pub mod certificate;
mod der;
pub mod refusal;
pub mod token;
pub mod tokens;

pub use refusal::Refusal;
pub use tokens::Tokens;
