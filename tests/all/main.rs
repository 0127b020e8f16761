//! Everything that is tested across crates, in one binary.
//!
//! | module           | what it shows                                             |
//! | ---------------- | ---------------------------------------------------------- |
//! | `aggregates`     | functions of windows against a naive oracle of their own    |
//! | `architecture`   | which crate may know which, one version of key crates       |
//! | `audit`          | the audit log by another's decoder, on a full disk, after kill -9 |
//! | `places`         | where facts, keys and who asked lie, and what removes them   |
//! | `arrivals`       | pushed facts are known from their arrival, whatever the clock |
//! | `bad_input`      | what does not fit is told so, and changes nothing           |
//! | `believed`       | no statistic of a file changes a value                      |
//! | `sources`        | which files and columns a source has                        |
//! | `tidy`           | file sizes, words, marks left behind                        |
//! | `rule`           | slots and search against the naive oracle                   |
//! | `operator`       | files of every make, memory limits, what is not read         |
//! | `optimizing`     | copies of sources: same answers, or not read at all          |
//! | `metamorphic`    | one world, many ways to store it, one answer                |
//! | `parity`         | online as of t equals offline at t, and both the oracle     |
//! | `keys`           | golden scripts: what each step writes, key by key            |
//! | `stores`         | RocksDB mirrored against the in-memory store                |
//! | `definitions`    | broken repositories and what they are told                  |
//! | `materializing`  | incremental, late, repeated and killed runs                 |
//! | `progress`       | what whoever watches a run is told                          |
//! | `pushing`        | pushed facts beside files, builds and each other            |
//! | `crashes`        | kill -9 at any moment, and what must be there afterwards    |
//! | `power`          | power cuts at any moment, with all lost that was not synced |
//! | `damage`         | damaged stores and full disks                               |
//! | `full_disk`      | a server whose disk is full, and has room again              |
//! | `small_disk`     | a disk for tests to fill                                    |
//! | `errors`         | every message of an error, and what it says to do next      |
//! | `fuzz`           | stored bytes that are anything                              |
//! | `mutator`        | bytes that are nearly sound                                 |
//! | `training`       | spines of every kind                                        |
//! | `spines`         | readers, files, SQL and scans as spines                     |
//! | `types`          | every type from Parquet through the store and back          |
//! | `roles`          | renamed columns, aliases, no keys, some of the keys          |
//! | `deletions`      | facts that take values away                                 |
//! | `records`        | reports, manifests, building the same rows again            |
//! | `timeless`       | attributes that have no time                                |
//! | `defaults`       | what stands where a feature has no value                    |
//! | `formats`        | stores of other releases, and folders that hold none        |
//! | `icu`            | the real data                                               |
//! | `lookups`        | requests of every kind, right and wrong                     |
//! | `on_demand`      | features that are computed when they are asked for          |
//! | `losses`         | cut logs, deleted files, flipped bytes                      |
//! | `changing`       | definitions that change while lookups go on                |
//! | `sharing`        | state that processes share in an object store, one leader    |
//! | `situations`     | golden situations, readable by a stranger, on every path    |
//! | `verify`         | both sides compared, and how a difference shows             |
//! | `why`            | reasons for an answer, and the rule's answer from them      |
//! | `zones`          | times without a zone: told of, or read as somebody's local times |

#![allow(clippy::disallowed_methods, reason = "tests are told by their environment, and wait")]
#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops; clippy knows tests by attribute only"
)]

mod aggregates;
mod architecture;
mod arrivals;
mod audit;
mod bad_input;
mod believed;
mod changing;
mod crashes;
mod damage;
mod defaults;
mod definitions;
mod deletions;
mod errors;
mod formats;
mod full_disk;
mod fuzz;
mod icu;
mod keys;
mod lookups;
mod losses;
mod materializing;
mod metamorphic;
mod mutator;
mod on_demand;
mod operator;
mod optimizing;
mod oracle;
mod parity;
mod partitioned;
mod places;
mod power;
mod progress;
mod pushing;
mod records;
mod repo;
mod roles;
mod rule;
mod sharing;
mod situations;
mod small_disk;
mod sources;
mod spines;
mod stores;
mod tidy;
mod timeless;
mod training;
mod types;
mod verify;
mod why;
mod world;
mod zones;
