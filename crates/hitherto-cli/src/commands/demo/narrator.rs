//! The voice of the tour: numbered chapters on stderr, so that stdout holds
//! the last screen and nothing else.

use std::fmt::Display;

use crate::output::Output;

/// Tells the tour.
#[derive(Clone, Debug)]
pub struct Narrator {
    output: Output,
    chapter: u32,
}

impl Narrator {
    /// A tour that has not begun.
    pub fn new(output: Output) -> Self {
        Self { output, chapter: 0 }
    }

    /// Begins the next chapter.
    pub fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        self.output.say(format!("\n{}. {}\n", self.chapter, self.output.bold(title)));
    }

    /// Says something, indented below the chapter.
    pub fn say(&self, text: impl Display) {
        for line in text.to_string().lines() {
            self.output.say(format!("   {line}").trim_end());
        }
    }
}
