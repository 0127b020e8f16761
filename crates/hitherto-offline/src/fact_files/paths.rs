//! Files whose paths name the period of their facts: what is later than a question is not
//! opened, and what is opened has to bear the path out.

use hitherto_core::definition::{Origin, Period, Source};
use hitherto_core::limits::ZONE_MICROS_MAX;
use hitherto_core::time::format_timestamp;
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};

use super::bounds;
use crate::files::SourceFile;
use crate::footer::Footers;

/// Of a source's files those that can hold facts which happened by a time. One at least,
/// for its columns.
///
/// # Errors
/// `Invalid` when a path names no period.
pub fn files_until(
    source: &Source,
    files: &[SourceFile],
    until: Option<i64>,
) -> Result<Vec<SourceFile>> {
    let (Some(period), Some(until)) = (source.partitioned_by, until) else {
        return Ok(files.to_vec());
    };
    // Of local times the path names a local period.
    let until = match source.timezone {
        Some(_) => until.saturating_add(ZONE_MICROS_MAX),
        None => until,
    };
    let mut early = Vec::with_capacity(files.len());
    for file in files {
        let (first, _) = named(source, period, file)?;
        if first <= until {
            early.push(file.clone());
        }
    }
    if early.is_empty() {
        early.extend(files.first().cloned());
    }
    Ok(early)
}

/// Compares the event times of files with what their paths name.
///
/// # Errors
/// `Invalid` naming a file whose path names no period or another, or that does not say
/// when its facts happened.
pub fn check_paths(source: &Source, footers: &Footers) -> Result<()> {
    let (Some(period), Some(event_time)) = (source.partitioned_by, &source.event_time) else {
        return Ok(());
    };
    for footer in footers.files() {
        let file = &footer.file;
        let (first, last) = named(source, period, file)?;
        for event in bounds::events_of(&footer.metadata, event_time) {
            let (from, to) = event.ok_or_else(|| {
                Error::invalid(format!(
                    "source file {} has no statistics of {event_time:?}, so its path cannot be \
                     checked; write it with them, or leave source.partitionedBy out",
                    file.name
                ))
            })?;
            // What is finer than a microsecond counts as the next one.
            if from < first || last.saturating_add(1) < to {
                return Err(Error::invalid(format!(
                    "the path of source file {} names the {period} that begins at {}, but it \
                     holds facts from {} to {}; move them to files of their own {period} in {}, \
                     or leave source.partitionedBy out",
                    file.name,
                    format_timestamp(first),
                    format_timestamp(from),
                    format_timestamp(to),
                    source.timezone.as_ref().map_or("UTC", Zone::name)
                )));
            }
        }
    }
    Ok(())
}

/// The period that a file's path names below what the source's own path says.
fn named(source: &Source, period: Period, file: &SourceFile) -> Result<(i64, i64)> {
    let Origin::Parquet(parquet) = &source.origin;
    let fixed = parquet.split(['*', '?', '[']).next().unwrap_or_default();
    let below = match file.name.strip_prefix(fixed) {
        Some(below) if below.starts_with('/') => Some(below),
        _ => fixed.rsplit_once('/').and_then(|(folder, _)| file.name.strip_prefix(folder)),
    };
    period.of_path(below.unwrap_or(&file.name)).ok_or_else(|| {
        Error::invalid(format!(
            "the path of source file {} names no {period}; write it to one that does, such as \
             {}, or leave source.partitionedBy out",
            file.name,
            ["2026/", "2026-01/", "2026-01-05/", "2026-01-05/hour=13/"][period as usize]
        ))
    })
}
