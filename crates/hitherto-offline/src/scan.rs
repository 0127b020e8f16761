//! Every fact of a view by key and times, in no order.

use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use hitherto_core::Result;
use hitherto_core::catalog::AppliedView;
use hitherto_core::rule::Times;

use crate::Offline;
use crate::error::from_datafusion;
use crate::source::FactQuery;

impl Offline {
    /// Shows every fact that can answer to `visit`: encoded entity key and
    /// times. Reads all of the queries' files; no row is encoded.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt` from the files.
    pub async fn scan_facts(
        &self,
        view: &AppliedView,
        queries: Vec<FactQuery>,
        mut visit: impl FnMut(&[u8], Times),
    ) -> Result<()> {
        let failed = |cause| {
            from_datafusion(&format!("the source of feature view {:?} failed", view.name()), cause)
        };
        let mut key = Vec::new();
        for query in queries {
            let context = self.session().task_ctx();
            let mut batches = execute_stream(query.plan, context).map_err(failed)?;
            while let Some(batch) = batches.next().await {
                let batch = batch.map_err(failed)?;
                let layout = &query.layout;
                let heads = &batch.columns()[..layout.heads()];
                let heads = layout.read_heads(heads, batch.num_rows())?;
                for index in 0..heads.len() {
                    if let Some(times) = heads.times(index)
                        && heads.keys.read_into(index, &mut key)
                    {
                        visit(&key, times);
                    }
                }
            }
        }
        Ok(())
    }
}
