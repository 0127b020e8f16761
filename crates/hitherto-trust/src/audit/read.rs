//! Records, in order.
//!
//! Every byte is checked against the chain on the way; what breaks it ends the reading with
//! where that is. Whether the chain is the one that was signed says [`verify`](super::verify).

use std::path::{Path, PathBuf};

use hitherto_core::{Error, Result};

use super::record::Record;
use super::segment::{self, Opened, Reader, Step};

/// Reads the records of a log, the oldest that is kept first, each with its number. A log that
/// is written to meanwhile ends somewhere.
///
/// # Errors
/// `NotFound` when the folder has no log, `Unavailable` when it cannot be read.
pub fn read(folder: &Path) -> Result<Records> {
    let segments = segment::list(folder)?;
    if segments.is_empty() {
        return Err(Error::not_found(format!(
            "there is no audit log in {}; name the folder that audit.folder of hitherto.yaml names",
            folder.display()
        )));
    }
    Ok(Records { folder: folder.to_owned(), segments: segments.into_iter(), reader: None })
}

/// The records of a log.
pub struct Records {
    folder: PathBuf,
    segments: std::vec::IntoIter<u64>,
    reader: Option<Reader>,
}

impl Records {
    fn take(&mut self) -> Result<Option<(u64, Record)>> {
        loop {
            let Some(reader) = &mut self.reader else {
                let Some(first) = self.segments.next() else { return Ok(None) };
                match Reader::open(&segment::path_of(&self.folder, first))? {
                    Opened::Reader(reader) => self.reader = Some(reader),
                    Opened::Unfinished if self.segments.len() == 0 => return Ok(None),
                    _ => return Err(self.broken(first)),
                }
                continue;
            };
            let number = reader.next;
            match reader.step()? {
                Step::Record => {
                    let record = Record::decode(reader.body());
                    return record
                        .map(|record| Some((number, record)))
                        .ok_or_else(|| self.broken(number));
                }
                Step::End => self.reader = None,
                // Written to, or left so by a crash.
                Step::Unfinished if self.segments.len() == 0 => return Ok(None),
                _ => return Err(self.broken(number)),
            }
        }
    }

    fn broken(&self, number: u64) -> Error {
        Error::corrupt(format!(
            "the audit log {} is not as it was written, from record {number} on; see what is \
             wrong with `hitherto audit verify`, and keep the folder as it is",
            self.folder.display()
        ))
    }
}

impl Iterator for Records {
    type Item = Result<(u64, Record)>;

    fn next(&mut self) -> Option<Self::Item> {
        let taken = self.take();
        if taken.is_err() {
            self.segments = Vec::new().into_iter();
            self.reader = None;
        }
        taken.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_log_is_not_an_empty_log() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = read(folder.path()).err().unwrap();
        assert_eq!(refusal.kind(), hitherto_core::Kind::NotFound);
    }
}
