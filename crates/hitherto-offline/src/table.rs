//! Parquet files as a table that DataFusion reads.
//!
//! DataFusion is good at SQL and at decoding; which bytes it decodes, and what it
//! believes of them, is ours:
//!
//! ```text
//! footers (believed, agreed) --> schema of the table
//!         |                  --> least and greatest values, to prune by
//!         +-- files in path order, each opened when its turn comes
//! ```
//!
//! It is told no statistic but an estimate of rows: those of a column are for pruning
//! row groups and pages alone, where it finds them in the footer that it is handed. Given
//! any other way, it would make literals of columns, and answers of `min` and `count`.
//! Objects are read under the ETag that they were listed with, as everywhere.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ::arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result as DataFusionResult, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    ParquetFileMetrics, ParquetFileReaderFactory,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;

use crate::files::Content;
use crate::footer::{Footer, Footers};

/// Files as one table.
///
/// # Errors
/// DataFusion's, of a schema that it cannot have.
pub(crate) fn read_files(
    session: &SessionContext,
    footers: &Footers,
) -> DataFusionResult<DataFrame> {
    session.read_table(Arc::new(FilesTable {
        schema: Arc::clone(footers.schema()),
        file_schema: Arc::clone(footers.file_schema()),
        footers: footers.files().to_vec(),
    }))
}

/// Files whose footers are read.
struct FilesTable {
    /// Columns of files, then those that paths name.
    schema: SchemaRef,
    file_schema: SchemaRef,
    footers: Vec<Arc<Footer>>,
}

impl fmt::Debug for FilesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesTable").field("files", &self.footers.len()).finish()
    }
}

#[async_trait::async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// A condition prunes what it can, and is then asked of every row that is left.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let conditions = filters.iter().flat_map(Expr::column_refs);
        let conditions = conditions.map(|column| column.name.clone()).collect();
        let named = self.schema.fields()[self.file_schema.fields().len()..].to_vec();
        let schema = TableSchema::builder(Arc::clone(&self.file_schema));
        let schema = schema.with_table_partition_cols(named).build();
        let source = ParquetSource::new(schema)
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(Readers { conditions }));
        let files = FileGroup::new(self.footers.iter().map(partitioned).collect());
        let groups = match state.config().target_partitions() {
            // One partition reads files in their order.
            1 => vec![files],
            partitions => files.split_files(partitions),
        };
        let url = ObjectStoreUrl::local_filesystem();
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(self.estimate())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

impl FilesTable {
    /// How large the table is, for the order of joins.
    fn estimate(&self) -> Statistics {
        let groups = self.footers.iter().flat_map(|file| file.metadata.metadata().row_groups());
        let rows: i64 = groups.map(|group| group.num_rows().max(0)).sum();
        let bytes: u64 = self.footers.iter().map(|footer| footer.file.bytes).sum();
        let mut estimate = Statistics::new_unknown(&self.schema);
        estimate.num_rows = Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX));
        estimate.total_byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
        estimate
    }
}

/// A file as DataFusion passes it on: our footer travels with it.
fn partitioned(footer: &Arc<Footer>) -> PartitionedFile {
    PartitionedFile::new(footer.file.name.clone(), footer.file.bytes)
        .with_arrow_schema(Arc::clone(footer.metadata.schema()))
        .with_partition_values(footer.constants.iter().map(|one| one.value.clone()).collect())
        .with_extension(Arc::clone(footer))
}

/// Opens the files of one scan.
#[derive(Debug)]
struct Readers {
    /// Columns with a condition: whose page indexes are of use.
    conditions: HashSet<String>,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let footer = file.extension::<Arc<Footer>>().cloned().ok_or_else(|| {
            DataFusionError::Internal(String::from("a file came without its footer"))
        })?;
        let metrics = ParquetFileMetrics::new(partition, &footer.file.name, metrics);
        let has_pages = has_pages(&footer, &self.conditions);
        Ok(Box::new(FileReader { footer, has_pages, content: None, metrics }))
    }
}

/// Whether page indexes tell anything of one of these columns.
fn has_pages(footer: &Footer, columns: &HashSet<String>) -> bool {
    let groups = footer.metadata.metadata().row_groups();
    let mut chunks = groups.iter().flat_map(|group| group.columns());
    chunks.any(|chunk| {
        let name = chunk.column_path().parts().first();
        chunk.column_index_offset().is_some() && name.is_some_and(|name| columns.contains(name))
    })
}

/// One file that DataFusion reads.
struct FileReader {
    footer: Arc<Footer>,
    has_pages: bool,
    /// Opened for its first byte.
    content: Option<Content>,
    metrics: ParquetFileMetrics,
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { Ok(self.get_byte_ranges(vec![range]).await?.pop().unwrap_or_default()) }
            .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        self.metrics.bytes_scanned.add(bytes as usize);
        let (footer, content) = (Arc::clone(&self.footer), self.content.take());
        async move {
            let read = SpawnedTask::spawn_blocking(move || {
                let content = content.map_or_else(|| footer.file.open(), Ok)?;
                Ok((content.read_ranges(ranges)?, content))
            });
            let read: hitherto_core::Result<_> = read.await.map_err(external)?;
            let (pieces, content) = read.map_err(external)?;
            self.content = Some(content);
            Ok(pieces)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let (footer, has_pages) = (Arc::clone(&self.footer), self.has_pages);
        async move {
            if !has_pages {
                return Ok(Arc::clone(footer.metadata.metadata()));
            }
            let read = SpawnedTask::spawn_blocking(move || {
                footer.read_indexed().map(|indexed| Arc::clone(indexed.metadata()))
            });
            read.await.map_err(external)?.map_err(external)
        }
        .boxed()
    }
}

fn external(cause: impl std::error::Error + Send + Sync + 'static) -> ParquetError {
    ParquetError::External(Box::new(cause))
}
