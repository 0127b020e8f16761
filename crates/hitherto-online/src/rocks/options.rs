//! How each column family is tuned, and why.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    DEFAULT_COLUMN_FAMILY_NAME, DataBlockIndexType, Options,
};

use super::kind::Kind;
use super::put::{GREATEST, greatest};
use super::retain::{Horizons, RetainFactory};
use super::room::Room;
use super::{EVENTS, FAMILIES, HISTORY, LATEST, OF_ROWS, RocksOptions};
use crate::Access;

/// Bits of filter a key: about 1% of absent entities cost a block read.
const FILTER_BITS_PER_KEY: f64 = 10.0;
/// A point lookup decompresses one block; small ones cost less.
const LATEST_BLOCK_BYTES: usize = 4 << 10;
/// An as-of read walks neighbours; larger blocks compress better.
const HISTORY_BLOCK_BYTES: usize = 16 << 10;

/// Rows of one key that wait to be merged in a memtable: each reader merges them again.
const MERGES_MAX: usize = 8;
/// Bytes of write-ahead logs: a rarely written family would otherwise keep them all, and
/// they are read again at every opening.
const LOG_BYTES_MAX: u64 = 256 << 20;
/// And on a small disk, in memtables.
const LOG_MEMTABLES_MAX: u64 = 4;

/// Files that a writer keeps open at a time.
const OPEN_FILES_MAX: i32 = 1_024;
/// RocksDB's word for opening every file at once and keeping it.
const ALL_OPEN: i32 = -1;

/// Options of the database as a whole.
pub fn database(
    access: Access,
    has_store: bool,
    recovery: DBRecoveryMode,
    options: RocksOptions,
    room: &Room,
) -> Options {
    let mut general = Options::default();
    // One that is gone is not made anew in silence.
    general.create_if_missing(!has_store);
    general.create_missing_column_families(true);
    // Logs that are not the last have to be there, as long as they were. For a reader, too:
    // RocksDB 11.8 writes through a null pointer where it is not to look at logs that the
    // writer tracked.
    general.set_track_and_verify_wals_in_manifest(true);
    general.increase_parallelism(options.background_threads.max(1) as i32);
    general.set_max_total_wal_size(LOG_BYTES_MAX.min(LOG_MEMTABLES_MAX * room.kept()));
    general.set_wal_recovery_mode(recovery);
    // Old logs of the database itself are of no use to anybody here.
    general.set_keep_log_file_num(4);
    general.set_max_open_files(match access {
        Access::ReadWrite => OPEN_FILES_MAX,
        // A writer beside may delete files that it has compacted; open ones stay readable.
        Access::ReadOnly => ALL_OPEN,
    });
    general
}

/// All families, and the one that every database has.
pub fn families(cache: &Cache, horizons: &Horizons, room: &Room) -> Vec<ColumnFamilyDescriptor> {
    let ours = FAMILIES.into_iter().map(|name| (name, family(name, cache, horizons)));
    let all = ours.chain([(DEFAULT_COLUMN_FAMILY_NAME, Options::default())]);
    let described = all.map(|(name, mut options)| {
        // RocksDB goes on after its disk was full when there is room for the largest.
        options.set_write_buffer_size(room.kept() as usize);
        ColumnFamilyDescriptor::new(name, options)
    });
    described.collect()
}

/// Those of sorted files of history or events that do not stay as they are: written fast.
pub fn deltas(name: &str, cache: &Cache, horizons: &Horizons) -> Options {
    let mut options = family(name, cache, horizons);
    options.set_bottommost_compression_type(DBCompressionType::Lz4);
    options
}

/// The options of one family; sorted files are written with the same.
pub fn family(name: &str, cache: &Cache, horizons: &Horizons) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_format_version(6);
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::Lz4);
    if OF_ROWS.contains(&name) {
        options.set_merge_operator_associative(GREATEST, greatest);
        options.set_max_successive_merges(MERGES_MAX);
    }
    match name {
        LATEST => {
            blocks.set_block_size(LATEST_BLOCK_BYTES);
            blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
            blocks.set_bloom_filter(FILTER_BITS_PER_KEY, false);
            blocks.set_whole_key_filtering(true);
        }
        HISTORY | EVENTS => {
            blocks.set_block_size(HISTORY_BLOCK_BYTES);
            blocks.set_bloom_filter(FILTER_BITS_PER_KEY, false);
            blocks.set_whole_key_filtering(false);
            options.set_bottommost_compression_type(DBCompressionType::Zstd);
            let kind = if name == HISTORY { Kind::History } else { Kind::Events };
            options.set_compaction_filter_factory(RetainFactory::new(kind, horizons.clone()));
            options.set_prefix_extractor(kind.prefix());
        }
        _ => {}
    }
    options.set_block_based_table_factory(&blocks);
    options
}
