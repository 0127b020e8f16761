//! Bounds on a query that came from elsewhere: how many rows it may give, and how long it
//! may take for them.
//!
//! Each batch is waited for while a thread that may block computes it: DataFusion can go on
//! for long without a pause in which anybody could look at a clock. A query that is beyond
//! its time ends at its next pause, and whoever waits is told at once. Time in which nobody
//! asks for rows does not count.

use std::fmt;
use std::time::Duration;

use ::arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use futures::stream::try_unfold;
use hitherto_api::QueryBounds;
use hitherto_core::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::watched::Watch;

/// Rows end where they are beyond bounds.
impl Watch for QueryBounds {
    const NAME: &'static str = "BoundedExec";

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows_max, seconds_max } = self;
        write!(f, ": rows_max={rows_max}, seconds_max={seconds_max}")
    }

    #[expect(clippy::disallowed_methods, reason = "time limits end an answer and change none")]
    fn watch(self, rows: SendableRecordBatchStream, _: &TaskContext) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let begun = (rows, 0, Duration::from_secs(self.seconds_max));
        let batches = try_unfold(begun, move |(rows, count, time_left)| async move {
            let asked = Instant::now();
            let found = timeout(time_left, next(rows)).await.map_err(|_| too_long(self))?;
            let (Some(batch), rows) = found? else { return Ok(None) };
            let batch = batch?;
            let count = count + batch.num_rows() as u64;
            if count > self.rows_max {
                return Err(too_many(self));
            }
            Ok(Some((batch, (rows, count, time_left.saturating_sub(asked.elapsed())))))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

/// A batch that was asked for, and where others come from.
type Next = (Option<DataFusionResult<RecordBatch>>, SendableRecordBatchStream);

/// The next batch, computed elsewhere, until it is there or nobody waits for it.
async fn next(mut rows: SendableRecordBatchStream) -> DataFusionResult<Next> {
    let (_waiting, nobody_waits) = oneshot::channel::<()>();
    let computing = SpawnedTask::spawn_blocking(move || {
        let batch = Handle::current().block_on(async {
            tokio::select! {
                batch = rows.next() => batch,
                _ = nobody_waits => None,
            }
        });
        (batch, rows)
    });
    computing.join().await.map_err(|cause| DataFusionError::ExecutionJoin(Box::new(cause)))
}

fn too_many(bounds: QueryBounds) -> DataFusionError {
    refused(Error::invalid(format!(
        "the spine's SQL gives more than {} rows, which is the server's limit; ask for \
         fewer, or raise server.sqlRowsMax in its hitherto.yaml",
        bounds.rows_max
    )))
}

fn too_long(bounds: QueryBounds) -> DataFusionError {
    refused(Error::invalid(format!(
        "the spine's SQL takes more than {} seconds, which is the server's limit; ask for \
         less, or raise server.sqlSecondsMax in its hitherto.yaml",
        bounds.seconds_max
    )))
}

fn refused(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
