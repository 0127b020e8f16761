//! The command `hitherto` in a Python process, for who has the wheel and not the binary.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;

/// Runs the command to its end with the GIL released and gives the exit code; `words` are
/// what was typed, the command's name first. Once in a process, in its main thread. Signals
/// are the command's: `hitherto.__main__` takes Python's handler of Ctrl-C away before.
#[pyfunction]
pub fn main(py: Python<'_>, words: Vec<OsString>, python: Option<PathBuf>) -> u8 {
    py.detach(|| hitherto_cli::main(words, python))
}
