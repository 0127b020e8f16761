//! The server: gRPC, Arrow Flight and HTTP on one port.
//!
//! | module        | what it owns                                            |
//! | ------------- | ------------------------------------------------------- |
//! | [`server`]    | which services there are, and how long                   |
//! | `port`        | connections: how many, for how long, with how much        |
//! | `budget`      | one budget of bytes for what callers send and are sent    |
//! | `lookup`      | `LookupService`: unary and streamed lookups              |
//! | `feast`       | Feast's `ServingService` over the same lookups           |
//! | `push`        | `PushService`: facts in real time                        |
//! | `access`      | `AccessService`: who asks                                |
//! | `registry`    | `RegistryService`: the catalog, and how it changes       |
//! | `jobs`        | `JobService`: work that goes on without its caller       |
//! | `diagnostics` | `DiagnosticsService`: why, and whether both sides agree  |
//! | `flight`      | Arrow Flight: a spine up, a training set down            |
//! | `web`         | plain HTTP: lookups in JSON, Feast's JSON, `/metrics`    |
//! | [`json`]      | lookups as JSON                                          |
//! | [`secure`]    | TLS, tokens and certificates of callers                  |
//! | `served`      | what all services share, and the one way to serve        |
//! | [`audit`]     | what is recorded of each call                            |
//! | `workers`     | the threads for what takes a while                       |
//! | `admission`   | how many requests of a kind are answered at a time       |
//! | `lifecycle`   | how a server stops                                       |
//! | `metrics`     | what is counted, and what is read when somebody scrapes  |
//!
//! There is no feature logic here: a service checks a request, asks the engine
//! and writes the answer down. The clock is passed in by the binary.

#![allow(clippy::disallowed_methods, reason = "calls have time limits, and are measured")]

pub mod audit;
pub mod json;
pub mod secure;
pub mod server;

mod access;
mod admission;
mod budget;
mod diagnostics;
mod feast;
mod flight;
mod jobs;
mod lifecycle;
mod lookup;
mod metrics;
mod port;
mod push;
mod registry;
mod served;
mod web;
mod workers;

#[cfg(test)]
mod tests;

pub use audit::Audit;
pub use secure::Security;
pub use server::{ServeOptions, bind, serve};
