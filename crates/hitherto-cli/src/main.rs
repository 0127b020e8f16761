//! The binary `hitherto`: the command with an allocator of its own.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// The system's allocator gives memory back to the kernel and asks for it again
/// with every page of a Parquet file, which a sparse training set feels most (see
/// docs/why/point-in-time-join.md). RocksDB uses this one too. Never in a library: a
/// Python process has its own.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    ExitCode::from(hitherto_cli::main(std::env::args_os().collect(), None))
}
