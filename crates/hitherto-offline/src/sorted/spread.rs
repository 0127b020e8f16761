//! A sort that spreads facts over parts of the key space before it sorts any of them.
//!
//! ```text
//! gather   facts in memory, while there is room
//! full     those sorted once: what cannot answer is dropped. If that made no room,
//!          borders are drawn where they divide the rest evenly
//! spread   every fact goes behind its border, into a buffer and from there to a file
//! part     read back, sorted, shown: by as many threads as there are, in any order
//! ```
//!
//! A fact is copied three times whatever the size, and parts are sorted and written at
//! the same time. Facts that come in the order of their keys make the last part too
//! large; it is spread again, behind borders drawn from all of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, OnceLock};

use hitherto_core::rule::Times;
use hitherto_core::{Error, Result, row};
use parking_lot::Mutex;

use super::kept::Kept;
use super::records::{BUFFER_BYTES, Border, Place, Record, Records, Sorter};

/// Parts that are spilled to: each has a file and a buffer.
const PARTS_MAX: usize = 256;
/// Facts that are looked at to divide those in memory.
const SAMPLE_FACTS: usize = 4_096;
/// Buffers that are looked at to divide those in a file.
const SAMPLE_BUFFERS: usize = 64;

/// Facts that are being spread. Shared by threads.
pub struct Spread {
    entity: EntityOf,
    horizon: i64,
    memory: usize,
    gathered: Mutex<Gathered>,
    parts: OnceLock<Parts>,
}

#[derive(Default)]
struct Gathered {
    buffers: Vec<Records>,
    bytes: usize,
}

/// One part of the facts: none of them sorts between those of another.
pub struct Part {
    horizon: i64,
    memory: usize,
    facts: Facts,
}

enum Facts {
    Gathered { buffers: Arc<[Records]>, places: Vec<Place> },
    Spilled(Spilled),
}

/// The part of a key that facts of one entity have alike: none of them is divided by parts.
pub type EntityOf = fn(&[u8]) -> &[u8];

/// Takes sorted facts.
pub type FactVisitor<'v> = dyn FnMut(&[u8], Times, &[u8]) -> Result<()> + 'v;

impl Spread {
    /// No fact yet; holds about so many bytes, and half as many again for a moment.
    pub fn new(entity: EntityOf, horizon: i64, memory: usize) -> Self {
        Self { entity, horizon, memory, gathered: Mutex::default(), parts: OnceLock::new() }
    }

    /// Begins to hand facts over, from one thread.
    pub fn writer(&self) -> SpreadWriter<'_> {
        SpreadWriter { spread: self, buffer: Records::default() }
    }

    fn give(&self, buffer: Records) -> Result<()> {
        if let Some(parts) = self.parts.get() {
            return parts.add(&buffer);
        }
        let mut gathered = self.gathered.lock();
        if let Some(parts) = self.parts.get() {
            drop(gathered);
            return parts.add(&buffer);
        }
        gathered.take(buffer);
        if gathered.bytes > self.memory {
            let full = std::mem::take(&mut *gathered);
            *gathered = self.make_room(full)?;
        }
        Ok(())
    }

    /// Drops facts that cannot answer; if that is not enough, spreads all of them.
    fn make_room(&self, full: Gathered) -> Result<Gathered> {
        let buffers = full.buffers;
        let sorter = Sorter { buffers: &buffers };
        let kept = sorter.sort_kept(&mut Kept::new(self.horizon))?;
        let bytes: usize = kept.iter().map(|place| sorter.bytes(place)).sum();
        let mut room = Gathered::default();
        if bytes <= self.memory / 2 {
            sorter.copy(&kept, |buffer| {
                room.take(buffer);
                Ok(())
            })?;
            return Ok(room);
        }
        let border = |key: &[u8], _| Border::before_entity((self.entity)(key));
        let parts = Parts::new(borders(&sorter, &kept, PARTS_MAX, border)?, self.memory);
        sorter.copy(&kept, |buffer| parts.add(&buffer))?;
        drop(self.parts.set(parts));
        Ok(room)
    }

    /// All parts, in the order of their facts: about `parts` of them, or as many as were
    /// spilled.
    ///
    /// # Errors
    /// `Internal` when a fact cannot be read back.
    pub fn finish(self, parts: usize) -> Result<Vec<Part>> {
        let part = |facts| Part { horizon: self.horizon, memory: self.memory, facts };
        let gathered = std::mem::take(&mut *self.gathered.lock());
        if let Some(parts) = self.parts.into_inner() {
            return Ok(parts.spilled().map(|spilled| part(Facts::Spilled(spilled))).collect());
        }
        let buffers: Arc<[Records]> = gathered.buffers.into();
        let sorter = Sorter { buffers: &buffers };
        let all = sorter.places()?;
        let step = all.len().div_ceil(SAMPLE_FACTS).max(1);
        let mut sample: Vec<Place> = all.iter().step_by(step).copied().collect();
        sorter.sort(&mut sample);
        let border = |key: &[u8], _| Border::before_entity((self.entity)(key));
        let borders = borders(&sorter, &sample, parts, border)?;
        let mut divided = vec![Vec::new(); borders.len() + 1];
        for place in all {
            let (record, times) = sorter.get(&place)?;
            divided[behind(&borders, record.key, times)].push(place);
        }
        let gathered = |places| Facts::Gathered { buffers: Arc::clone(&buffers), places };
        Ok(divided.into_iter().map(|places| part(gathered(places))).collect())
    }
}

impl Gathered {
    fn take(&mut self, buffer: Records) {
        self.bytes += buffer.as_bytes().len();
        self.buffers.push(buffer);
    }
}

/// Borders that divide sorted facts into up to so many parts.
fn borders(
    sorter: &Sorter<'_>,
    sorted: &[Place],
    parts: usize,
    border: impl Fn(&[u8], Times) -> Border,
) -> Result<Vec<Border>> {
    let places = (1..parts).filter_map(|part| sorted.get(sorted.len() * part / parts));
    let borders = places.map(|place| {
        let (record, times) = sorter.get(place)?;
        Ok(border(record.key, times))
    });
    let mut borders = borders.collect::<Result<Vec<_>>>()?;
    borders.dedup();
    Ok(borders)
}

/// How many borders a fact lies behind.
fn behind(borders: &[Border], key: &[u8], times: Times) -> usize {
    borders.partition_point(|border| border.is_before(key, times))
}

/// Hands facts over, many at a time.
pub struct SpreadWriter<'s> {
    spread: &'s Spread,
    buffer: Records,
}

impl SpreadWriter<'_> {
    /// Hands one over.
    ///
    /// # Errors
    /// `Unavailable` when temporary files cannot be written.
    pub fn push(&mut self, key: &[u8], row: &[u8]) -> Result<()> {
        self.buffer.push(Record { key, row });
        match self.buffer.as_bytes().len() < BUFFER_BYTES {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Hands over what is still here.
    ///
    /// # Errors
    /// As [`SpreadWriter::push`].
    pub fn flush(&mut self) -> Result<()> {
        self.spread.give(std::mem::take(&mut self.buffer))
    }
}

/// Parts that are spilled.
struct Parts {
    borders: Vec<Border>,
    parts: Vec<Mutex<Spilled>>,
    buffer_bytes: usize,
}

impl Parts {
    /// Empty parts, which hold about so many bytes together.
    fn new(borders: Vec<Border>, memory: usize) -> Self {
        let parts = std::iter::repeat_with(Mutex::default).take(borders.len() + 1).collect();
        Self { borders, parts, buffer_bytes: memory / PARTS_MAX }
    }

    fn add(&self, buffer: &Records) -> Result<()> {
        let mut facts = Vec::new();
        for (_, record) in buffer.iter() {
            let part = behind(&self.borders, record.key, row::times(record.row)?);
            facts.push((part, record));
        }
        facts.sort_by_key(|(part, _)| *part);
        for facts in facts.chunk_by(|(a, _), (b, _)| a == b) {
            let mut part = self.parts[facts[0].0].lock();
            for (_, record) in facts {
                part.push(*record, self.buffer_bytes)?;
            }
        }
        Ok(())
    }

    /// The parts, in order.
    fn spilled(self) -> impl Iterator<Item = Spilled> {
        let parts = self.parts.into_iter();
        parts.map(Mutex::into_inner)
    }
}

/// Facts in a buffer and, before them, in a file.
#[derive(Default)]
struct Spilled {
    buffer: Records,
    file: Option<File>,
    /// The lengths of what was written at once.
    written: Vec<usize>,
}

impl Spilled {
    fn push(&mut self, record: Record<'_>, bytes_max: usize) -> Result<()> {
        self.buffer.push(record);
        if self.buffer.as_bytes().len() < bytes_max {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile().map_err(unwritable)?),
        };
        file.write_all(self.buffer.as_bytes()).map_err(unwritable)?;
        self.written.push(self.buffer.as_bytes().len());
        self.buffer.clear();
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.written.iter().sum::<usize>() + self.buffer.as_bytes().len()
    }

    /// Shows every `step`th of the buffers that were written, and the last.
    fn read(&mut self, step: usize, mut take: impl FnMut(Records) -> Result<()>) -> Result<()> {
        if let Some(file) = &mut self.file {
            let mut at = 0;
            for (number, length) in self.written.iter().enumerate() {
                if number % step == 0 {
                    let mut bytes = vec![0; *length];
                    file.seek(SeekFrom::Start(at)).map_err(unwritable)?;
                    file.read_exact(&mut bytes).map_err(unwritable)?;
                    take(Records::from_bytes(bytes))?;
                }
                at += *length as u64;
            }
        }
        take(std::mem::take(&mut self.buffer))
    }

    /// Spreads the facts once more.
    fn spread(mut self, horizon: i64, memory: usize) -> Result<Vec<Spilled>> {
        let (bytes, buffer) = (self.bytes(), std::mem::take(&mut self.buffer));
        let mut sample = vec![buffer];
        let step = self.written.len().div_ceil(SAMPLE_BUFFERS).max(1);
        self.read(step, |buffer| {
            sample.push(buffer);
            Ok(())
        })?;
        let sorter = Sorter { buffers: &sample };
        let sorted = sorter.sort_kept(&mut Kept::new(horizon))?;
        let count = (4 * bytes / memory.max(1)).clamp(2, PARTS_MAX);
        let parts = Parts::new(borders(&sorter, &sorted, count, Border::before)?, memory);
        self.buffer = sample.swap_remove(0);
        drop(sample);
        self.read(1, |buffer| {
            // Of equal times it is the greatest that counts: they cannot be divided.
            let buffers = [buffer];
            let sorter = Sorter { buffers: &buffers };
            let kept = sorter.sort_kept(&mut Kept::new(horizon))?;
            sorter.copy(&kept, |buffer| parts.add(&buffer))
        })?;
        Ok(parts.spilled().collect())
    }
}

fn unwritable(cause: std::io::Error) -> Error {
    Error::unavailable(format!(
        "temporary files in {} cannot be used; make room there, or set TMPDIR to a folder that has \
         it",
        std::env::temp_dir().display()
    ))
    .with_source(cause)
}

impl Part {
    /// Bytes of its facts that are in no memory.
    pub fn spilled_bytes(&self) -> usize {
        match &self.facts {
            Facts::Gathered { .. } => 0,
            Facts::Spilled(spilled) => spilled.bytes(),
        }
    }

    /// Shows its facts by key, newest first, without those that cannot answer.
    ///
    /// # Errors
    /// What `visit` returns; `Unavailable` when temporary files cannot be used.
    pub fn visit(self, visit: &mut FactVisitor<'_>) -> Result<()> {
        let mut kept = Kept::new(self.horizon);
        self.visit_kept(&mut kept, visit)
    }

    fn visit_kept(self, kept: &mut Kept, visit: &mut FactVisitor<'_>) -> Result<()> {
        let Self { horizon, memory, facts } = self;
        match facts {
            Facts::Gathered { buffers, mut places } => {
                let sorter = Sorter { buffers: &buffers };
                sorter.sort(&mut places);
                show(&sorter, &sorter.retain_kept(places, kept)?, visit)
            }
            Facts::Spilled(spilled) if spilled.bytes() > memory => {
                let bytes = spilled.bytes();
                spilled.spread(horizon, memory)?.into_iter().try_for_each(|part| {
                    // What is not divided by that never is.
                    let memory = if part.bytes() < bytes { memory } else { bytes };
                    Part { horizon, memory, facts: Facts::Spilled(part) }.visit_kept(kept, visit)
                })
            }
            Facts::Spilled(mut spilled) => {
                let mut buffers = Vec::new();
                spilled.read(1, |buffer| {
                    buffers.push(buffer);
                    Ok(())
                })?;
                let sorter = Sorter { buffers: &buffers };
                show(&sorter, &sorter.sort_kept(kept)?, visit)
            }
        }
    }
}

fn show(sorter: &Sorter<'_>, places: &[Place], visit: &mut FactVisitor<'_>) -> Result<()> {
    places.iter().try_for_each(|place| {
        let (Record { key, row }, times) = sorter.get(place)?;
        visit(key, times, row)
    })
}

#[cfg(test)]
mod tests;
