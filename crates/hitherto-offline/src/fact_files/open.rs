//! From a view and its files to a leaf of a plan.

use std::sync::Arc;

use ::arrow::datatypes::Schema;
use datafusion::physical_plan::ExecutionPlan;
use hitherto_core::Result;
use hitherto_core::catalog::AppliedView;

use super::paths::{check_paths, files_until};
use super::{FactFiles, FactFilesExec};
use crate::Offline;
use crate::facts::FactLayout;
use crate::files::SourceFile;
use crate::footer::{Declared, Footers};
use crate::source::{check_view_columns, source_columns};

impl Offline {
    /// The files of a view without SQL, and of those whose path names a period only what
    /// can have happened `until` then, if that is given.
    ///
    /// # Errors
    /// `Invalid` when the source no longer fits the definition; `Unavailable` or
    /// `Corrupt` from the files.
    pub(crate) fn fact_files(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        until: Option<i64>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let source = &view.definition.source;
        let declared = Declared::by(&view.definition, &view.keys);
        let footers = Footers::read(&files_until(source, files, until)?, &declared)?;
        check_view_columns(footers.schema(), view, &footers)?;
        check_paths(source, &footers)?;
        self.open(FactLayout::new(view), footers, source_columns(view))
    }

    /// Files of facts that Hitherto wrote itself, whose columns are named by their position
    /// in `layout`; `beside` are columns after them.
    ///
    /// # Errors
    /// `Corrupt` when they are no such files, `Unavailable` when they are gone.
    pub(crate) fn own_facts(
        &self,
        layout: FactLayout,
        files: &[SourceFile],
        beside: &[&str],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = (0..layout.columns()).map(|index| index.to_string());
        let columns = columns.chain(beside.iter().map(|name| (*name).to_owned()));
        let columns = columns.collect();
        self.open(layout, Footers::read(files, &Declared::default())?, columns)
    }

    fn open(
        &self,
        layout: FactLayout,
        footers: Footers,
        columns: Vec<String>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        footers.check(&columns)?;
        let schema = footers.schema();
        let fields = columns.iter().enumerate().filter_map(|(index, name)| {
            let (_, field) = schema.column_with_name(name)?;
            Some(field.clone().with_name(index.to_string()))
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let files = footers.files().to_vec();
        let files = FactFiles { layout, columns, schema, files };
        Ok(Arc::new(FactFilesExec::new(files, self.threads)))
    }
}
