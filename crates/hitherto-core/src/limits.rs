//! Every bound in the product, in one place. Each says what breaks without it;
//! relations between bounds are checked when this file is compiled.

/// Bytes in a resource or feature name: names become file names, metric labels
/// and column names.
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes in one definition file: a larger one is data, not a definition.
pub const DEFINITION_FILE_BYTES_MAX: u64 = 4 << 20;
/// Definition files in one repository: a wrong root would otherwise be walked
/// for minutes.
pub const DEFINITION_FILES_MAX: usize = 10_000;
/// Folders below the repository root that are searched for definitions.
pub const DEFINITION_DEPTH_MAX: usize = 16;
/// Join keys of one entity.
pub const ENTITY_KEYS_MAX: usize = 16;
/// Features of one view: bounds a row's null bitmap and fixed part.
pub const VIEW_FEATURES_MAX: usize = 4_096;
/// Bytes of one encoded entity key: it is part of every key in the store.
pub const ENTITY_KEY_BYTES_MAX: usize = 4 << 10;
/// Bytes of one encoded row: offsets inside a row are 32-bit.
pub const ROW_BYTES_MAX: usize = 64 << 20;
/// Items of a list that has a declared length.
pub const LIST_LENGTH_MAX: u32 = 1 << 20;

/// Features of one lookup or training set.
pub const REQUEST_FEATURES_MAX: usize = 10_000;
/// Entities of one lookup.
pub const LOOKUP_ENTITIES_MAX: usize = 5_000;
/// Values (entities x features) of one lookup: bounds the answer's memory.
pub const LOOKUP_VALUES_MAX: usize = 5_000 * 500;
/// Bytes of the strings, binaries and lists of one lookup's answer.
pub const LOOKUP_TEXT_BYTES_MAX: usize = 16 << 20;
/// Bytes of one gRPC message, either way. gRPC's own default of 4 MiB is less
/// than one legal answer.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Bytes of one call that either end of a connection takes ahead of whoever reads them:
/// beyond that HTTP/2 holds the other end back.
pub const CALL_BYTES_AHEAD_MAX: u32 = 2 << 20;
/// Calls of one client that may wait to be read on: answers of others would wait behind
/// more of them.
pub const CALLS_WAITING_MAX: u32 = 64;
/// Bytes of the body of one request over plain HTTP: more than the most entities
/// that may be asked for, with long keys, take in JSON.
pub const HTTP_BODY_BYTES_MAX: usize = 8 << 20;
/// Rows in one record batch of a training set's answer.
pub const BATCH_ROWS: usize = 8_192;
/// Bytes of a row group's columns that are read at once; larger ones are read
/// page by page. Each thread may hold so many.
pub const COLUMN_CHUNKS_BYTES_MAX: u64 = 32 << 20;
/// Entities that are looked up in a row group's bloom filter, each at a cost; the
/// filter says yes to one of many anyway.
pub const BLOOM_ENTITIES_MAX: usize = 64;
/// Rows of a spine: slots and rows are counted in 32 bits, two of which mark
/// what a count means.
pub const SPINE_ROWS_MAX: usize = (1 << 30) - 1;
/// Rows of a spine that a point-in-time join answers in one pass over the facts,
/// whatever the memory.
pub const PASS_ROWS_MAX: usize = 1 << 28;
/// Rows by which a pass grows or shrinks: the smallest spine that is worth
/// reading the facts for.
pub const SPINE_PIECE_ROWS: usize = 64 << 10;
/// Lookups that one server answers at a time; further ones are refused with
/// `Unavailable` instead of queueing without end.
pub const LOOKUPS_IN_FLIGHT_MAX: usize = 1_024;
/// Training sets that one server builds at a time: each holds what of its spine it answers.
pub const TRAINING_SETS_IN_FLIGHT_MAX: usize = 4;
/// Rows of a spine that one server makes by a caller's SQL: a join without a condition
/// makes more than anybody waits for.
pub const SQL_ROWS_MAX: u64 = 100_000_000;
/// Seconds that it computes for them, by the clock.
pub const SQL_SECONDS_MAX: u64 = 600;
/// Batches waiting between two stages of a pipeline.
pub const PIPELINE_BATCHES_MAX: usize = 4;
/// Facts of each sort that `why` shows: an entity may have millions, and those
/// beyond the nearest few explain nothing.
pub const WHY_CANDIDATES_MAX: usize = 8;
/// Facts that one verification asks about in each view: each is a lookup and a
/// spine row.
pub const VERIFY_SAMPLES_MAX: usize = 100_000;
/// Entities without facts that it asks about too.
pub const VERIFY_STRANGERS: usize = 8;
/// Differences of one view that are shown; the rest are counted.
pub const VERIFY_DIFFERENCES_MAX: usize = 10;
/// Verifications that one server runs at a time: each reads every source.
pub const VERIFICATIONS_IN_FLIGHT_MAX: usize = 1;
/// Facts of one pushed batch: each is encoded before any is written.
pub const PUSH_FACTS_MAX: usize = 100_000;
/// Bytes of a batch's idempotency key.
pub const PUSH_NAME_BYTES_MAX: usize = 256;
/// Batches of a view, the last ones, whose idempotency keys are remembered.
pub const PUSH_NAMES_MAX: u64 = 1_000_000;
/// Bytes of pushed facts that are committed together: they are held in memory, and who
/// pushes next waits for them.
pub const PUSH_GROUP_BYTES_MAX: usize = 32 << 20;
/// Bytes of a view's pushed facts in the log before they are written to a file: all of
/// them are applied again when the store is opened.
pub const PUSH_LAND_BYTES: u64 = 64 << 20;
/// Microseconds by which the clock may run ahead of what it last said before that is told,
/// and before history is given up by it: a clock that is set ahead would otherwise take
/// history away for good.
pub const CLOCK_JUMP_MICROS_MAX: i64 = 2 * 86_400_000_000;
/// Microseconds that a clock has to go on from where it jumped to before it is believed.
pub const CLOCK_TRUST_MICROS: i64 = 86_400_000_000;
/// Batches that one server pushes at a time, over all streams: each waits on a thread.
pub const PUSHES_IN_FLIGHT_MAX: usize = 64;
/// TLS handshakes that one server has under way: callers who begin one and say no more
/// hold a place each, until their time is up.
pub const HANDSHAKES_IN_FLIGHT_MAX: usize = 1_024;
/// Jobs that have ended and are still told of.
pub const JOBS_ENDED_MAX: usize = 100;
/// Bytes in one sorted file before the next is begun: one ingestion holds many.
pub const SORTED_FILE_BYTES_MAX: u64 = 256 << 20;

const _: () = assert!(
    // A decimal and a status for each value, and the names of all columns.
    LOOKUP_VALUES_MAX * 17 + LOOKUP_TEXT_BYTES_MAX + REQUEST_FEATURES_MAX * 3 * NAME_BYTES_MAX
        < MESSAGE_BYTES_MAX,
    "a legal answer fits a message"
);
const _: () = assert!(ENTITY_KEY_BYTES_MAX < 64 << 10, "an encoded key fits RocksDB's key limit");
const _: () = assert!(SPINE_ROWS_MAX < u32::MAX as usize, "a row index is never the sentinel");
const _: () = assert!(PASS_ROWS_MAX < SPINE_ROWS_MAX, "a pass is a spine");
const _: () = assert!(SPINE_PIECE_ROWS.is_multiple_of(BATCH_ROWS), "a piece is whole batches");
