//! The clock of who answers.

use std::sync::Arc;

/// Tells the time in microseconds UTC. The binary passes it in.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;
