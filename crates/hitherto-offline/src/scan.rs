//! Every fact of a view by key and times, in no order.

use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use hitherto_core::Result;
use hitherto_core::catalog::AppliedView;
use hitherto_core::rule::Times;

use crate::Offline;
use crate::error::from_datafusion;
use crate::facts::FactLayout;
use crate::files::SourceFile;

impl Offline {
    /// Shows every fact that can answer to `visit`: encoded entity key and
    /// times. Reads all files; no row is encoded.
    ///
    /// # Errors
    /// Those of [`Offline::fact_query`] and of reading the files.
    pub async fn scan_facts(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        mut visit: impl FnMut(&[u8], Times),
    ) -> Result<()> {
        let failed = |cause| {
            from_datafusion(&format!("the source of feature view {:?} failed", view.name()), cause)
        };
        let query = self.fact_query(view, files, None).await?;
        let layout = FactLayout::new(view);
        let mut key = Vec::new();
        let mut batches = execute_stream(query.plan, self.session().task_ctx()).map_err(failed)?;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(failed)?;
            let heads = layout.read_heads(&batch.columns()[..layout.heads()], batch.num_rows())?;
            for index in 0..heads.len() {
                if let Some(times) = heads.times(index)
                    && heads.keys.read_into(index, &mut key)
                {
                    visit(&key, times);
                }
            }
        }
        Ok(())
    }
}
