//! Optimized copies of views, which [`Offline::write_optimized`] makes as it does
//! for `hitherto optimize`.
//!
//! A copy is made once and then kept beside the view that it is of:
//!
//! ```text
//! DATA/v1-rows10000000-.../fv0/              the view's files
//!                         /fv0-optimized-v1/ the copy's
//! ```
//!
//! A copy does not tell which code wrote it: who changes how copies are laid out
//! changes [`LAYOUT`], or removes the folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hitherto_offline::Offline;
use serde::{Deserialize, Serialize};

use super::question::{CHILD, Question};
use super::views::Terms;
use crate::{Result, child, folder};

/// Changes when the library writes other files for the same view.
const LAYOUT: u32 = 1;
/// What sorting a view may hold. A copy's files are the same with less, which
/// would only spill.
const MEMORY_BYTES_MAX: usize = 8 << 30;

/// What to copy, and whereto.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Copy {
    /// The view's folder.
    pub view: PathBuf,
    /// What is read of it.
    pub terms: Terms,
    /// An empty folder.
    pub to: PathBuf,
    /// Threads of the runtime, and partitions of the sort.
    pub threads: usize,
}

/// What was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Copied {
    /// From the listing of files to the last byte on disk.
    pub seconds: f64,
    /// Facts.
    pub rows: u64,
    /// Files.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
}

/// The folder of a view's copy, written by a process of its own if it is not
/// there.
///
/// # Errors
/// When it cannot be written.
pub fn copy(view: &Path, terms: Terms, threads: usize) -> Result<PathBuf> {
    let name = view.file_name().ok_or("a view's folder has a name")?.to_string_lossy();
    let path = view.with_file_name(format!("{name}-optimized-v{LAYOUT}"));
    folder::complete(&path, |unfinished| {
        let question = Copy { view: view.to_owned(), terms, to: unfinished.to_owned(), threads };
        let copied: Copied = child::ask(CHILD, &Question::Copy(question))?;
        let Copied { seconds, rows, files, bytes } = copied;
        let path = path.display();
        eprintln!("optimized {rows} rows in {seconds:.1} s, {files} files, {bytes} bytes: {path}");
        Ok(())
    })?;
    Ok(path)
}

/// Bytes of all files of these folders.
///
/// # Errors
/// When they cannot be listed.
pub fn size<'p>(folders: impl IntoIterator<Item = &'p PathBuf>) -> Result<u64> {
    let mut bytes = 0;
    for path in folders {
        for file in folder::list(path)? {
            bytes += fs::metadata(file)?.len();
        }
    }
    Ok(bytes)
}

/// Copies.
///
/// # Errors
/// When the view cannot be read or the copy cannot be written.
pub fn run(copy: &Copy) -> Result<Copied> {
    let Copy { view, terms, to, threads } = copy;
    let applied = terms.applied(std::slice::from_ref(view));
    let applied = applied.first().ok_or("a folder is a view")?;
    let offline = Offline::new(Path::new("/"), MEMORY_BYTES_MAX, *threads)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(*threads)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let started = Instant::now();
        let files = offline.list(&view.to_string_lossy())?;
        let written = offline.write_optimized(applied, &files, to, |_| {}).await?;
        let seconds = started.elapsed().as_secs_f64();
        let (rows, bytes) = (written.rows, written.bytes);
        Ok(Copied { seconds, rows, files: written.files.len(), bytes })
    })
}
