//! The rows of winners: one a slot at most, written over when a slot changes
//! hands.

use crate::row::RowSchema;

/// Bytes of one piece of memory, at most unless one row is larger. Growing piece
/// by piece never copies what is there.
const CHUNK_BYTES_MAX: usize = 64 << 10;

/// Encoded rows by number.
pub(super) enum Rows {
    /// All of one width, side by side.
    Fixed { shape: Shape, chunks: Vec<Box<[u8]>>, count: usize },
    /// Each of its own.
    Varying { rows: Vec<Box<[u8]>>, bytes: usize },
}

/// How rows of one width lie in chunks.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    width: usize,
    /// Rows of a chunk, as a power of two.
    chunk_bits: u32,
}

impl Shape {
    fn new(width: usize) -> Self {
        Self { width, chunk_bits: (CHUNK_BYTES_MAX / width).max(1).ilog2() }
    }

    fn chunk_rows(self) -> usize {
        1 << self.chunk_bits
    }

    /// The chunk of a row and where it starts in it.
    fn place(self, number: u32) -> (usize, usize) {
        let number = number as usize;
        (number >> self.chunk_bits, (number & (self.chunk_rows() - 1)) * self.width)
    }
}

impl Rows {
    /// None yet, of this schema.
    pub fn new(schema: &RowSchema) -> Self {
        match schema.is_fixed() {
            true => {
                let shape = Shape::new(schema.fixed_bytes());
                Rows::Fixed { shape, chunks: Vec::new(), count: 0 }
            }
            false => Rows::Varying { rows: Vec::new(), bytes: 0 },
        }
    }

    /// Appends a row and returns its number.
    pub fn push(&mut self, row: &[u8]) -> u32 {
        match self {
            Rows::Fixed { shape, chunks, count } => {
                if *count == chunks.len() * shape.chunk_rows() {
                    chunks.push(vec![0; shape.width * shape.chunk_rows()].into());
                }
                *count += 1;
                let number = *count as u32 - 1;
                self.replace(number, row);
                number
            }
            Rows::Varying { rows, bytes } => {
                *bytes += row.len();
                rows.push(row.into());
                rows.len() as u32 - 1
            }
        }
    }

    /// Writes a row over another.
    pub fn replace(&mut self, number: u32, row: &[u8]) {
        match self {
            Rows::Fixed { shape, chunks, .. } => {
                let (chunk, start) = shape.place(number);
                chunks[chunk][start..start + shape.width].copy_from_slice(row);
            }
            Rows::Varying { rows, bytes } => {
                let old = &mut rows[number as usize];
                *bytes = *bytes + row.len() - old.len();
                *old = row.into();
            }
        }
    }

    /// A row by its number.
    pub fn get(&self, number: u32) -> &[u8] {
        match self {
            Rows::Fixed { shape, chunks, .. } => {
                let (chunk, start) = shape.place(number);
                &chunks[chunk][start..start + shape.width]
            }
            Rows::Varying { rows, .. } => &rows[number as usize],
        }
    }

    /// Appends the rows of another of the same schema, and returns what their
    /// numbers grow by.
    pub fn append(&mut self, other: Rows) -> u32 {
        match (self, other) {
            (Rows::Fixed { shape, chunks, count }, Rows::Fixed { chunks: more, .. }) => {
                let base = chunks.len() * shape.chunk_rows();
                chunks.extend(more);
                *count = chunks.len() * shape.chunk_rows();
                base as u32
            }
            (Rows::Varying { rows, bytes }, Rows::Varying { rows: more, bytes: more_bytes }) => {
                let base = rows.len();
                rows.extend(more);
                *bytes += more_bytes;
                base as u32
            }
            _ => unreachable!("rows of one schema"),
        }
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Rows::Fixed { shape, chunks, .. } => chunks.len() * shape.chunk_rows() * shape.width,
            Rows::Varying { rows, bytes } => rows.capacity() * size_of::<Box<[u8]>>() + bytes,
        }
    }
}
