//! A folder that is gone when nobody needs it any more.

use std::fs;
use std::path::{Path, PathBuf};

use hitherto_core::{Error, Result};

/// A new, empty folder under the system's folder for temporary files; removed
/// with all it holds when dropped, unless kept.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    is_kept: bool,
}

impl Scratch {
    /// Creates the folder. `name` and this process name it, so that two runs
    /// at once do not meet; what a killed run with the same number left behind
    /// is removed.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn create(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("hitherto-{name}-{}", std::process::id()));
        let refused = |cause| {
            Error::unavailable(format!(
                "{} cannot be written; make room there, or set TMPDIR to a folder that has it",
                path.display()
            ))
            .with_source(cause)
        };
        if path.exists() {
            fs::remove_dir_all(&path).map_err(refused)?;
        }
        fs::create_dir_all(&path).map_err(refused)?;
        Ok(Self { path, is_kept: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder where it is.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept {
            // Whoever empties the system's temporary files finds the rest.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
