//! The answers of other engines, which `benches/peers/aggregates.py` asks them for.

use std::path::Path;

use serde::Deserialize;

use super::shapes::Shape;
use crate::pit::median;
use crate::{Result, peers};

/// A question as a peer is asked it.
pub struct Question<'q> {
    /// Who is asked.
    pub engine: &'q str,
    pub shape: &'q Shape,
    /// The folder of facts.
    pub lake: &'q Path,
    /// The spine's file.
    pub spine: &'q Path,
    pub threads: usize,
}

#[derive(Deserialize)]
struct Answer {
    seconds: f64,
}

impl Question<'_> {
    /// Asks so many times; the median of seconds.
    ///
    /// # Errors
    /// When the engine fails, or cannot do what is asked.
    pub fn ask(&self, home: &Path, reps: u32) -> Result<f64> {
        let seconds = (0..reps).map(|_| self.ask_once(home));
        Ok(median(&seconds.collect::<Result<Vec<_>>>()?))
    }

    fn ask_once(&self, home: &Path) -> Result<f64> {
        let Self { engine, shape, lake, spine, threads } = self;
        let mut command = peers::command(home, "engines", "aggregates.py");
        command.arg(engine).arg("--spine").arg(spine).arg("--facts").arg(lake);
        command.args(["--threads", &threads.to_string()]);
        command.arg("--windows").args(shape.windows().map(|days| days.to_string()));
        command.arg("--functions").args(shape.functions);
        // Polars reads this once, when it is imported.
        command.env("POLARS_MAX_THREADS", threads.to_string());
        let Answer { seconds } = peers::answer(command)?;
        Ok(seconds)
    }
}
