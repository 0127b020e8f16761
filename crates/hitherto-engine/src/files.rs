//! Which files hold the facts of a view: those of its source, and those that were pushed.
//! Kept apart from the start, because they are read in different ways.

use hitherto_core::Result;
use hitherto_core::catalog::AppliedView;
use hitherto_offline::files::SourceFile;
use hitherto_offline::source::FactQuery;

use crate::Engine;

/// The files that hold the facts of a view.
#[derive(Clone, Debug, Default)]
pub(crate) struct ViewFiles {
    /// Files of its source.
    pub source: Vec<SourceFile>,
    /// Files of facts that were pushed.
    pub pushed: Vec<SourceFile>,
}

impl ViewFiles {
    /// All of them, those of the source first.
    pub fn iter(&self) -> impl Iterator<Item = &SourceFile> {
        self.source.iter().chain(&self.pushed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.source.is_empty() && self.pushed.is_empty()
    }

    /// Those of which something holds.
    pub fn filter(mut self, holds: impl Fn(&SourceFile) -> bool) -> Self {
        self.source.retain(&holds);
        self.pushed.retain(&holds);
        self
    }
}

impl Engine {
    /// The files of a view as they are now.
    ///
    /// # Errors
    /// Those of listing the source, and of writing what is in the log alone to files.
    pub(crate) fn view_files(&self, view: &AppliedView) -> Result<ViewFiles> {
        let source = self.offline.list_files(&view.definition)?;
        Ok(ViewFiles { source, pushed: self.pushed_files(view)? })
    }

    /// Queries over all facts of a view's files.
    pub(crate) async fn fact_queries(
        &self,
        view: &AppliedView,
        files: &ViewFiles,
    ) -> Result<Vec<FactQuery>> {
        let mut queries = self.offline.pushed_queries(view, &files.pushed)?;
        if !files.source.is_empty() {
            queries.push(self.offline.all_facts(view, &files.source).await?);
        }
        Ok(queries)
    }
}
