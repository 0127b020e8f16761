//! Every bound in the product, in one place. Each says what breaks without it;
//! relations between bounds are checked when this file is compiled.

use std::ops::RangeInclusive;

/// Bytes in a resource or feature name: names become file names, metric labels
/// and column names.
pub const NAME_BYTES_MAX: usize = 128;
/// Microseconds by which no local time is further from UTC; statistics of local times prune
/// nothing that lies nearer.
pub const ZONE_MICROS_MAX: i64 = 26 * 3_600_000_000;
/// Names that an error lists of those that there are: more of them hide what it says.
pub const NAMES_SHOWN_MAX: usize = 30;
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
/// Fields that one request brings for on-demand views.
pub const REQUEST_FIELDS_MAX: usize = 512;
/// How deep on-demand views read each other: each is computed after those that it reads.
pub const ON_DEMAND_DEPTH_MAX: usize = 16;
/// Bytes of the expression of an on-demand feature: a longer one is a program.
pub const EXPRESSION_BYTES_MAX: usize = 16 << 10;
/// Entities of one lookup.
pub const LOOKUP_ENTITIES_MAX: usize = 5_000;
/// Values (entities x features) of one lookup: bounds the answer's memory.
pub const LOOKUP_VALUES_MAX: usize = 5_000 * 500;
/// Bytes of the strings, binaries and lists of one lookup's answer.
pub const LOOKUP_TEXT_BYTES_MAX: usize = 16 << 20;
/// Bytes of one gRPC message, either way. gRPC's own default of 4 MiB is less
/// than one legal answer.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Bytes that Arrow data of one message may come to when it is decompressed, or those of
/// one push together: they are allocated as the message claims.
pub const ARROW_BYTES_MAX: u64 = 2 * MESSAGE_BYTES_MAX as u64;
/// Bytes of the header of one Arrow message: each column of it becomes arrays.
pub const ARROW_HEADER_BYTES_MAX: usize = 4 << 20;
/// Rows or items of lists of one Arrow batch: those of a type without bytes cost their
/// sender nothing.
pub const ARROW_ROWS_MAX: i64 = 1 << 28;
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
/// Values of lookups that are looked up where their request is, on a thread that serves
/// connections: others wait for it.
pub const LOOKUP_VALUES_IN_PLACE_MAX: usize = 50_000;
/// Values that are one place among lookups on other threads; a larger lookup takes more.
pub const LOOKUP_VALUES_OF_PLACE: usize = 50_000;
/// Places that one core has: some of them wait for the disk.
pub const LOOKUP_PLACES_OF_CORE: usize = 8;
/// Places of one core for which lookups may wait: they are answered later by as many.
pub const LOOKUP_PLACES_WAITING_OF_CORE: usize = 32;
/// Milliseconds that a request may wait for a thread on a server that keeps up: one that
/// waits longer does so behind others, and all of them would be late.
pub const LOOKUP_WAIT_MILLIS_MAX: u64 = 10;
/// Milliseconds for which all of them wait longer before one is refused: a burst passes.
pub const LOOKUP_BURST_MILLIS: u64 = 100;
/// Milliseconds for which a server that was behind refuses whoever waits longer at once.
pub const LOOKUP_BEHIND_MILLIS: u64 = 1_000;
/// Views, each under each of its names in the request, of one lookup or training set: each is
/// read by itself.
pub const REQUEST_VIEWS_MAX: usize = 512;
/// Explanations that one server gives at a time: each reads a source.
pub const EXPLANATIONS_IN_FLIGHT_MAX: usize = 8;
/// Changes to what is applied that one server works on at a time: each reads every
/// definition, and they wait for each other.
pub const CHANGES_IN_FLIGHT_MAX: usize = 4;
/// Jobs that one server runs at a time.
pub const JOBS_RUNNING_MAX: usize = 4;
/// Training sets that one server builds at a time: each holds what of its spine it answers.
pub const TRAINING_SETS_IN_FLIGHT_MAX: usize = 4;
/// Rows of a spine that one server makes by a caller's SQL: a join without a condition
/// makes more than anybody waits for.
pub const SQL_ROWS_MAX: u64 = 100_000_000;
/// Seconds that it computes for them, by the clock.
pub const SQL_SECONDS_MAX: u64 = 600;
/// Bytes of one text of SQL: a longer one holds data.
pub const SQL_BYTES_MAX: usize = 64 << 10;
/// Words and signs of one text of SQL: each becomes a part of a plan, which every rule of
/// the optimizer goes through.
pub const SQL_TOKENS_MAX: usize = 8_192;
/// How deep one text of SQL may nest, operators in a row among it: a thread's stack holds a
/// frame for each, and one that is full ends the process.
pub const SQL_DEPTH_MAX: usize = 256;
/// Tables that a caller's SQL joins with each other: the time to plan them grows with a
/// power of their number.
pub const SQL_JOINED_MAX: usize = 16;
/// Tables that a caller's SQL reads, those of each use of a WITH by themselves, as they are
/// planned.
pub const SQL_TABLES_MAX: usize = 64;
/// Columns and literals that the expressions of a caller's SQL come to, with what they name
/// put in its place, as an optimizer does: doubled in each of 40 layers they would be 2^40.
pub const SQL_CELLS_MAX: usize = 16 << 10;
/// Cells of a caller's SQL that one of its batches may have, beyond which batches have
/// fewer rows: each cell is some bytes, of which no memory pool knows.
pub const SQL_BATCH_CELLS_MAX: usize = 4 << 20;
/// Seconds that planning a caller's SQL may take before the caller is told that it is too
/// much.
pub const SQL_PLAN_SECONDS_MAX: u64 = 10;
/// Queries of callers that are planned at a time: planning cannot be stopped, and one that
/// takes too long keeps its place until it is done.
pub const SQL_PLANS_IN_FLIGHT_MAX: usize = 2;
/// Batches waiting between two stages of a pipeline.
pub const PIPELINE_BATCHES_MAX: usize = 4;
/// Facts of each sort that `why` shows unless it is asked for more: an entity may have millions,
/// and those beyond the nearest few explain nothing.
pub const WHY_CANDIDATES_DEFAULT: usize = 8;
/// Facts of each sort that it can be asked for.
pub const WHY_CANDIDATES_MAX: usize = 1_000;
/// Bytes of the events in one window that `why` looks at: it holds them all at once.
pub const WHY_EVENT_BYTES_MAX: usize = 256 << 20;
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
/// Connections that one server has: each is a file of the process, of which it has so many,
/// and what it takes ahead is memory.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Connections beyond those, for requests about health: a server that is full is not dead.
pub const CONNECTIONS_RESERVED: usize = 16;
/// Tokens in one file, each of which is read again with all others when one changes.
pub const TOKENS_MAX: usize = 10_000;
/// Roles, and purposes, that come with one token or certificate: each is looked at for a
/// decision.
pub const ROLES_OF_CALLER_MAX: usize = 64;
/// Seconds for which a training set goes on whose caller's token or certificate has expired
/// since it began: a build of hours would otherwise end at its last row.
pub const TRAINING_SET_GRACE_SECONDS: u64 = 3_600;
/// Seconds in which who connects shows that they speak a protocol, and TLS if that is asked
/// for: who says nothing takes the place of somebody who would.
pub const STRANGER_SECONDS: u64 = 10;
/// Seconds for which a connection may have no call under way. Clients connect again by
/// themselves.
pub const CONNECTION_IDLE_SECONDS: u64 = 1_800;
/// Calls that one connection has under way; further ones wait at the caller's end.
pub const CALLS_OF_CONNECTION_MAX: usize = 256;
/// Bytes of the head of one request.
pub const HEAD_BYTES_MAX: u32 = 32 << 10;
/// Seconds in which a message that was begun is sent to its end, beside those that its bytes
/// take at the slowest: half a message holds memory.
pub const MESSAGE_SECONDS: u64 = 20;
/// Seconds for which an answer that is there may be left unread, beside those that its bytes
/// take at the slowest: it holds memory and a place.
pub const SEND_SECONDS: u64 = 30;
/// Bytes a second at which a message or an answer travels at the slowest.
pub const SEND_BYTES_PER_SECOND_MIN: u64 = 64 << 10;
/// Seconds for which a training set's caller may neither send nor take rows: it holds one of
/// few places.
pub const TRAINING_SET_PAUSE_SECONDS: u64 = 600;
/// Bytes of an answer that a connection takes over at once, a frame of HTTP/2: they are
/// counted no more, and it cannot be held back within.
pub const ANSWER_PIECE_BYTES: usize = 16 << 10;
/// Bytes that requests and answers of all callers may take, unless it is set.
pub const REQUEST_MEMORY_BYTES: u64 = 512 << 20;
/// The least of them: a message of each of three callers, and one that is worked on.
pub const REQUEST_MEMORY_BYTES_MIN: u64 = 256 << 20;
/// Milliseconds after which a server that stops no longer waits for the rest of a request.
pub const STOP_SILENCE_MILLIS: u64 = 1_000;
/// Jobs that have ended and are still told of.
pub const JOBS_ENDED_MAX: usize = 100;
/// Bytes in one sorted file before the next is begun: one ingestion holds many.
pub const SORTED_FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes that are free on a disk, below which `hitherto doctor` says that something will
/// break: less than one memtable of the store.
pub const DISK_FREE_BYTES_MIN: u64 = 256 << 20;
/// And below which it warns: a build writes a view's rows anew beside the old ones.
pub const DISK_FREE_BYTES_SCARCE: u64 = 4 << 30;
/// Bytes of the store's disk that are kept free for what has begun: nothing more is begun
/// when there are fewer. A memtable is no larger, since RocksDB goes on after its disk was
/// full only when there is room for one.
pub const DISK_KEPT_BYTES: u64 = 64 << 20;
/// Of a small disk, one part in so many is kept.
pub const DISK_KEPT_PARTS: u64 = 16;
/// Files that a process may have open, below which `hitherto doctor` says that something
/// will break: RocksDB's own, and a source's.
pub const OPEN_FILES_MIN: u64 = 256;
/// And below which it warns: a large store and its callers have more open.
pub const OPEN_FILES_SCARCE: u64 = 4_096;
/// Bytes of memory below which `hitherto doctor` warns: builds spill and spines take several
/// passes.
pub const MEMORY_BYTES_SCARCE: u64 = 1 << 30;
/// Bytes of one event's id within its entity and event time: states hold it with every value
/// that an order by place keeps.
pub const EVENT_ID_BYTES_MAX: usize = 4 << 10;
/// Bytes of a text in a state that keeps many values: so many of them are one state.
pub const AGGREGATE_ITEM_BYTES_MAX: usize = 1 << 10;
/// Windows of one aggregate: each is a feature.
pub const AGGREGATE_WINDOWS_MAX: usize = 16;
/// Values of a column that one aggregate makes a feature of each.
pub const AGGREGATE_BUCKETS_MAX: usize = 256;
/// The lengths of windows and offsets, in microseconds: a second to a hundred years.
pub const AGGREGATE_WINDOW_MICROS: RangeInclusive<i64> = 1_000_000..=100 * 365 * 86_400_000_000;
/// Values of one list that an aggregate answers.
pub const AGGREGATE_LIST_MAX: u32 = 1_000;
/// Values that are told apart, to count or rank them: each is held with its count.
pub const AGGREGATE_DISTINCT_MAX: u32 = 65_536;
/// Most frequent values of one answer.
pub const AGGREGATE_TOP_MAX: u32 = 100;
/// Bits of a hash that choose a register of an approximate count: 2^precision bytes a state;
/// registers are numbered in 16 bits.
pub const REGISTERS_PRECISION: RangeInclusive<u8> = 4..=16;
/// Bits of a number below its leading one that name its bucket: each doubles the buckets, which
/// are numbered in 32 bits.
pub const HISTOGRAM_BITS: RangeInclusive<u8> = 5..=10;
/// Limbs of 64 bits of an exact sum: squares of all float64 take 67, and counts of them one
/// more. Their number and place are a byte each.
pub const EXACT_LIMBS_MAX: usize = 72;
/// Bytes of one text in a record of the audit log: names, addresses, what a job does.
pub const AUDIT_TEXT_BYTES_MAX: usize = 1 << 10;
/// Views that one record of the audit log names.
pub const AUDIT_VIEWS_MAX: usize = REQUEST_VIEWS_MAX;
/// Entities whose keyed hashes one record lists: of more it says how many.
pub const AUDIT_HASHES_MAX: usize = 1_024;
/// Bytes of one record: whoever reads a log allocates what a length in it says.
pub const AUDIT_RECORD_BYTES_MAX: usize = 1 << 20;
/// Bytes of records that wait to be written, of a log that does as well as it can: the next one
/// is dropped, and counted.
pub const AUDIT_QUEUE_BYTES_MAX: usize = 4 << 20;
/// Bytes of one file of the audit log before the next is begun: files are retired whole, and the
/// last one is read when the log is opened.
pub const AUDIT_FILE_BYTES: u64 = 256 << 20;
/// Bytes that the audit log leaves free on its disk: what else is on it ends what it has begun.
pub const AUDIT_DISK_KEPT_BYTES: u64 = 16 << 20;
/// Callers turned away at the door of whom there is a record each in one second; of more there
/// is their number.
pub const AUDIT_DENIALS_EACH_SECOND: u64 = 50;

const _: () = assert!(
    AUDIT_VIEWS_MAX * AUDIT_TEXT_BYTES_MAX + AUDIT_HASHES_MAX * 8 + 16 * AUDIT_TEXT_BYTES_MAX
        < AUDIT_RECORD_BYTES_MAX,
    "a record at all its bounds is read again"
);
const _: () =
    assert!(AUDIT_RECORD_BYTES_MAX < AUDIT_QUEUE_BYTES_MAX, "an empty queue takes any record");
const _: () = assert!(AUDIT_DISK_KEPT_BYTES < DISK_KEPT_BYTES, "pushes are refused before lookups");
const _: () = assert!(
    AGGREGATE_ITEM_BYTES_MAX <= EVENT_ID_BYTES_MAX && EVENT_ID_BYTES_MAX < ROW_BYTES_MAX,
    "a value that is kept is an id, and an id is part of a row"
);
const _: () = assert!(AGGREGATE_TOP_MAX < AGGREGATE_DISTINCT_MAX, "some values are not the top");
const _: () = assert!(
    *REGISTERS_PRECISION.start() > 0 && *REGISTERS_PRECISION.end() <= u16::BITS as u8,
    "a register has a number"
);
const _: () = assert!(*HISTOGRAM_BITS.end() + 12 <= u32::BITS as u8, "a bucket has a number");
const _: () = assert!(EXACT_LIMBS_MAX < 1 << 7, "the sign is beside the number of limbs");
const _: () = assert!(DISK_FREE_BYTES_MIN < DISK_FREE_BYTES_SCARCE, "less is worse");
const _: () = assert!(DISK_KEPT_BYTES < DISK_FREE_BYTES_MIN, "doctor says so before");
const _: () = assert!(OPEN_FILES_MIN < OPEN_FILES_SCARCE, "less is worse");
const _: () = assert!(
    // A decimal and a status for each value, and the names of all columns.
    LOOKUP_VALUES_MAX * 17 + LOOKUP_TEXT_BYTES_MAX + REQUEST_FEATURES_MAX * 3 * NAME_BYTES_MAX
        < MESSAGE_BYTES_MAX,
    "a legal answer fits a message"
);
const _: () = assert!(
    REQUEST_MEMORY_BYTES_MIN >= 4 * MESSAGE_BYTES_MAX as u64,
    "three callers have room for a message, and one is worked on"
);
const _: () = assert!(REQUEST_MEMORY_BYTES >= REQUEST_MEMORY_BYTES_MIN, "the default is allowed");
const _: () = assert!(ENTITY_KEY_BYTES_MAX < 64 << 10, "an encoded key fits RocksDB's key limit");
const _: () = assert!(SPINE_ROWS_MAX < u32::MAX as usize, "a row index is never the sentinel");
const _: () = assert!(PASS_ROWS_MAX < SPINE_ROWS_MAX, "a pass is a spine");
const _: () = assert!(SPINE_PIECE_ROWS.is_multiple_of(BATCH_ROWS), "a piece is whole batches");
