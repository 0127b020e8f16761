//! What a measuring process is asked and what it answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{floor, optimized, ours};
use crate::Result;

/// The hidden subcommand of a measuring process.
pub const CHILD: &str = "pit-child";

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question {
    /// Hitherto's join; answered by [`ours::Joined`].
    Join(ours::Join),
    /// Decoding alone; answered by [`floor::Decoded`].
    Decode(floor::Decode),
    /// An optimized copy of a view; answered by [`optimized::Copied`].
    Copy(optimized::Copy),
}

/// Measures, in the process that was started for it.
///
/// # Errors
/// Those of the measurement.
pub fn measure(question: Question) -> Result<Value> {
    Ok(match question {
        Question::Join(join) => serde_json::to_value(ours::run(&join)?)?,
        Question::Decode(decode) => serde_json::to_value(floor::run(&decode)?)?,
        Question::Copy(copy) => serde_json::to_value(optimized::run(&copy)?)?,
    })
}
