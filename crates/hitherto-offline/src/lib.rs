//! The offline layer: Parquet sources and the point-in-time join.
//!
//! This is the only crate that knows DataFusion. Above it, facts are encoded
//! rows in key order (for materialization) or columns beside a spine (for
//! training sets).
//!
//! | module     | what it owns                                                  |
//! | ---------- | -------------------------------------------------------------- |
//! | [`files`]  | which files a source has, and how to tell that one changed      |
//! | `footer`   | what the footers of Parquet files say, and which file is damaged |
//! | [`fact_files`] | a view's files read in two steps: heads, then features        |
//! | [`source`] | a view's source as a DataFusion query, checked against its types |
//! | `arrow`    | arrays of features, ready to be copied into rows               |
//! | `keys`     | columns of join keys                                           |
//! | [`facts`]  | arrays read as facts: key, times, row bytes                     |
//! | [`entity`] | all facts of one entity                                         |
//! | [`scan`]   | all facts of a view, in no order                               |
//! | `order`    | batches of a plan, mapped and in one order, spilling            |
//! | [`sorted`] | all facts of a view that can answer, in key order, spilling     |
//! | [`pushed`] | facts that are pushed: batches in, files out                  |
//! | [`optimize`] | a copy of a view's facts in the layout that reads fastest     |
//! | `pieces`   | a view's facts in pieces, each of which one thread reads        |
//! | `shared`   | what threads of one read share                                |
//! | `table`    | files as a table that DataFusion reads                          |
//! | [`spine`]  | where a spine's rows come from, and its record batches, checked |
//! | [`pairs`]  | a spine made of entity keys and times                          |
//! | [`join`]   | the point-in-time join, a DataFusion operator                   |

mod arrow;
pub mod entity;
mod error;
pub mod expression;
pub mod fact_files;
pub mod facts;
pub mod files;
mod footer;
pub mod join;
mod keys;
pub mod optimize;
mod order;
pub mod pairs;
mod pieces;
pub mod pushed;
pub mod scan;
mod shared;
pub mod sorted;
pub mod source;
pub mod spine;
mod table;

pub use footer::load as parquet_metadata;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use hitherto_core::Result;
use hitherto_core::limits::{BATCH_ROWS, SQL_PLANS_IN_FLIGHT_MAX};
use hitherto_objects::Stores;
use tokio::sync::Semaphore;

use crate::error::from_datafusion;

/// DataFusion with the memory and threads that this process grants it. All
/// queries of one process share one memory pool.
pub struct Offline {
    root: PathBuf,
    threads: usize,
    memory_bytes_max: usize,
    runtime: Arc<RuntimeEnv>,
    stores: Stores,
    /// Bounds queries of callers that are planned at a time.
    planning: Arc<Semaphore>,
}

impl Offline {
    /// A layer whose relative sources lie below `root`.
    ///
    /// # Errors
    /// `Internal` when DataFusion refuses the settings.
    pub fn new(root: &Path, memory_bytes_max: usize, threads: usize) -> Result<Self> {
        let pool = Arc::new(FairSpillPool::new(memory_bytes_max));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(pool)
            .build_arc()
            .map_err(|cause| from_datafusion("the offline layer cannot start", cause))?;
        let (root, stores) = (root.to_owned(), Stores::default());
        let planning = Arc::new(Semaphore::new(SQL_PLANS_IN_FLIGHT_MAX));
        Ok(Self { root, threads, memory_bytes_max, runtime, stores, planning })
    }

    /// A session for one query: tables of one query are never seen by another.
    fn session(&self) -> SessionContext {
        self.session_of(self.threads, BATCH_ROWS)
    }

    /// A session whose queries give rows in one order: that of files, unless they say
    /// otherwise.
    fn session_in_order(&self) -> SessionContext {
        self.session_in_batches(BATCH_ROWS)
    }

    /// The same in batches of at most so many rows.
    fn session_in_batches(&self, rows: usize) -> SessionContext {
        self.session_of(1, rows)
    }

    fn session_of(&self, threads: usize, batch_rows: usize) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_target_partitions(threads)
            .with_batch_size(batch_rows)
            .with_information_schema(false);
        let execution = &mut config.options_mut().execution;
        // A sort that is full merges what it has to a file, and needs memory for that when
        // there is none left.
        execution.sort_spill_reservation_bytes = self.memory_bytes_max / (4 * threads.max(1));
        let parquet = &mut execution.parquet;
        // Types as the files have them: views would hide what a column is.
        parquet.schema_force_view_types = false;
        parquet.pushdown_filters = false;
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime))
    }
}
