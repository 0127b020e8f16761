//! TRAINING SET: a spine in, the same rows with features out.
//!
//! ```text
//! selection -> views and features, resolved against the catalog
//! files     -> the source's, or an optimized copy of them, and those that were pushed
//! spine     -> rows, or where rows come from: a reader, a file, SQL, a scan of the facts;
//!              checked: times, join keys of every view, no name twice
//! join      -> one plan over all views (hitherto_offline::join), streamed
//! on demand -> what is computed of its batches, by the steps that lookups take
//! record    -> the report and the manifest, once the last row is out
//! ```

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use hitherto_api::manifest::content::ContentHash;
use hitherto_api::manifest::{
    ColumnRecord, FORMAT, OnDemandRecord, RequestRecord, RowsRecord, ViewRecord,
};
use hitherto_api::spine::SpineLayout;
use hitherto_api::{Grant, Manifest, Spine, TrainingSetReport, TrainingSetRequest};
use hitherto_core::definition::diff::definition_hash;
use hitherto_core::reference::FeatureRef;
use hitherto_core::slots::Terms;
use hitherto_core::time::format_timestamp;
use hitherto_core::{Error, Result};
use hitherto_offline::expression;
use hitherto_offline::files::SourceFile;
use hitherto_offline::join::{JoinRequest, JoinSource, JoinStream, check_names};

use crate::Engine;
use crate::files::ViewFiles;
use crate::on_demand::{Compiled, Layout, Rows};
use crate::optimize::{Copies, Reading};
use crate::selection::{Resolved, ResolvedView};

use self::again::{ReadFile, files_again};

mod again;
mod spine;

/// A running training set. Dropping it stops it.
pub struct TrainingSet {
    stream: JoinStream,
    rows: Rows,
    content: ContentHash,
    /// Columns of the spine, which are the first.
    spine_columns: usize,
    record: Record,
}

/// What a manifest will say, as far as it is known from the start.
struct Record {
    request: RequestRecord,
    features: Vec<FeatureRef>,
    views: Vec<(ViewRecord, Vec<ReadFile>)>,
    on_demand: Vec<OnDemandRecord>,
}

impl TrainingSet {
    /// The spine's columns as they came, then the features in request order.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The next rows, in the spine's order; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        let batch = self.stream.next().await?;
        Some(batch.and_then(|batch| {
            let batch = self.rows.answer(&batch)?;
            self.content.update(&batch)?;
            Ok(batch)
        }))
    }

    /// The physical plan, indented.
    pub fn plan(&self) -> String {
        self.stream.plan()
    }

    /// The physical plan with its metrics so far.
    pub fn explain(&self) -> String {
        self.stream.explain()
    }

    /// What there is to say after the last row: the report, and the manifest
    /// as soon as the files that were read are known by their content.
    pub fn finish(self) -> Finished {
        let columns = self.schema();
        Finished {
            report: self.rows.complete(self.stream.report()),
            plan: self.stream.explain(),
            spine: RowsRecord {
                rows: self.content.rows(),
                hash: self.content.digest_of_first(self.spine_columns),
            },
            content: RowsRecord { rows: self.content.rows(), hash: self.content.digest() },
            schema: columns
                .fields()
                .iter()
                .map(|field| ColumnRecord {
                    name: field.name().clone(),
                    data_type: field.data_type().to_string(),
                })
                .collect(),
            record: self.record,
        }
    }
}

/// A training set after its last row.
pub struct Finished {
    /// Counts by view: present, absent by reason, leaks of an event-time join,
    /// ages, nulls.
    pub report: TrainingSetReport,
    /// The physical plan with its metrics.
    pub plan: String,
    spine: RowsRecord,
    content: RowsRecord,
    schema: Vec<ColumnRecord>,
    record: Record,
}

impl Finished {
    /// The manifest. Reads every source file that no online copy has consumed
    /// as it is, to know it by its content.
    ///
    /// # Errors
    /// `Conflict` when a source file changed while the rows were built,
    /// `Unavailable` when one is gone.
    pub fn manifest(&self) -> Result<Manifest> {
        let Record { request, features, views, on_demand } = &self.record;
        let views = views.iter().map(|(view, files)| {
            let files = files.iter().map(|file| file.record()).collect::<Result<_>>()?;
            Ok(ViewRecord { files, ..view.clone() })
        });
        Ok(Manifest {
            format: FORMAT,
            engine: format!("hitherto {}", env!("CARGO_PKG_VERSION")),
            request: request.clone(),
            features: features.clone(),
            views: views.collect::<Result<_>>()?,
            on_demand: on_demand.clone(),
            expressions: (!on_demand.is_empty()).then(|| expression::ENGINE.to_owned()),
            spine: self.spine.clone(),
            content: self.content.clone(),
            schema: self.schema.clone(),
            warnings: self.report.warnings.clone(),
        })
    }
}

/// Which files a training set is read from.
#[derive(Clone, Copy)]
pub(crate) enum Read<'r> {
    /// Those that there are now, or copies of them.
    Now,
    /// Those that a manifest names, as far as they are still there, or copies of them.
    Again(&'r Manifest),
    /// These of every view, and no copies of them.
    These(&'r ViewFiles),
}

impl Engine {
    /// Starts a training set over a spine, at `now`. One that is not in memory is read as
    /// there is room for it, so that memory bounds the rows that are held and not the rows
    /// that there are; what is wrong with a row of it comes out of [`TrainingSet::next`].
    ///
    /// # Errors
    /// `NotFound` for an unknown service, view or feature; `Invalid` for a
    /// spine that does not fit or a cutoff that lies in the future; what the
    /// sources return. Later errors come out of [`TrainingSet::next`].
    pub async fn training_set(
        &self,
        _: &Grant,
        request: &TrainingSetRequest,
        spine: impl Into<Spine>,
        now: i64,
    ) -> Result<TrainingSet> {
        self.read_training_set(request, spine.into(), now, Read::Now).await
    }

    /// Builds the rows of a manifest again: over the same features, from the
    /// same files as far as they are still there, with today's definitions.
    /// Without a spine, over the one that the manifest says how to make: a scan of these
    /// files, or SQL over those that there are now.
    ///
    /// # Errors
    /// As [`Engine::training_set`]; `NotFound` when a view's files are all gone;
    /// `Invalid` when there is no spine, and the manifest's were label rows.
    pub async fn rebuild(
        &self,
        _: &Grant,
        manifest: &Manifest,
        spine: Option<Spine>,
        now: i64,
    ) -> Result<TrainingSet> {
        let spine = match spine {
            Some(spine) => spine,
            None => manifest.to_spine()?,
        };
        let request = manifest.to_request()?;
        self.read_training_set(&request, spine, now, Read::Again(manifest)).await
    }

    /// Starts a training set that is read from the files that `read` says.
    ///
    /// # Errors
    /// As [`Engine::rebuild`].
    pub(crate) async fn read_training_set(
        &self,
        request: &TrainingSetRequest,
        spine: Spine,
        now: i64,
        read: Read<'_>,
    ) -> Result<TrainingSet> {
        check_cutoff(request, now)?;
        let catalog = self.catalog();
        let registry = &catalog.registry;
        let resolved = Resolved::new(registry, &request.selection)?;
        let on_demand = resolved.on_demand.iter().map(|one| &one.view);
        let compiled = Compiled::applied(registry, on_demand.clone());
        let layout = Layout::new(&resolved, request.names, &compiled)?;
        let definitions = registry.definitions();
        let mut sources = Vec::with_capacity(resolved.views.len());
        let mut views = Vec::with_capacity(resolved.views.len());
        let mut of_sources = Vec::with_capacity(resolved.views.len());
        for view in &resolved.views {
            let files = self.files_of(view, read)?;
            let definition = definition_hash(&definitions, &view.view.definition);
            let record = ViewRecord {
                name: view.reference.name().to_owned(),
                view: view.view.name().to_owned(),
                definition: format!("{definition:016x}"),
                known: request.known.unwrap_or(view.view.known()),
                files: Vec::new(),
            };
            let copies = match read {
                Read::These(_) => Copies::Leave,
                Read::Now | Read::Again(_) => Copies::Read,
            };
            let reading = self.choose(&view.view, &files.source, copies)?;
            views.push((record, self.to_be_read(view, &files, &reading)?));
            sources.push(source(request, view, reading, files.pushed));
            of_sources.push(files.source);
        }
        let record = Record {
            request: RequestRecord::new(request, &spine),
            features: resolved.features.iter().map(|feature| feature.reference.clone()).collect(),
            views,
            on_demand: on_demand.map(OnDemandRecord::new).collect(),
        };
        let spine = self.plan_spine(spine, &request.timestamp, &sources, of_sources, now).await?;
        let schema = spine.schema();
        let times = SpineLayout::new(&schema, &request.timestamp, request.timezone.clone())?;
        check_names(&schema, layout.names())?;
        let join = JoinRequest {
            spine,
            timestamp: request.timestamp.clone(),
            timezone: request.timezone.clone(),
            views: sources,
            outputs: layout.stored.clone(),
        };
        let stream = self.offline.join(join).await?;
        let rows = Rows::new(layout, &schema, times)?;
        let content = ContentHash::new(&rows.schema())?;
        let spine_columns = schema.fields().len();
        Ok(TrainingSet { stream, rows, content, spine_columns, record })
    }

    fn files_of(&self, view: &ResolvedView, read: Read<'_>) -> Result<ViewFiles> {
        let manifest = match read {
            Read::These(files) => return Ok(files.clone()),
            Read::Now => return self.view_files(&view.view),
            Read::Again(manifest) => manifest,
        };
        let again = files_again(manifest, view.reference.name(), self.view_files(&view.view)?);
        match again.is_empty() {
            false => Ok(again),
            true => Err(Error::not_found(format!(
                "every source file that feature view {:?} was read from is missing; bring them \
                 back, or make another training set",
                view.view.name()
            ))),
        }
    }

    /// A view's files, with the fingerprints that are known already. Those that a
    /// copy stands for are read as much as the others.
    fn to_be_read(
        &self,
        view: &ResolvedView,
        files: &ViewFiles,
        reading: &Reading,
    ) -> Result<Vec<ReadFile>> {
        let consumed = self.local().consumed(view.view.id)?;
        let files = files.iter().map(|file| {
            let known = consumed.fingerprint_of(file).or_else(|| reading.fingerprint_of(file));
            ReadFile { file: file.clone(), fingerprint: known.map(str::to_owned) }
        });
        Ok(files.collect())
    }
}

/// Refuses a cutoff that facts to come would be under.
fn check_cutoff(request: &TrainingSetRequest, now: i64) -> Result<()> {
    match request.known_by.filter(|known_by| *known_by > now) {
        None => Ok(()),
        Some(known_by) => Err(Error::invalid(format!(
            "the knowledge cutoff {} is later than now, {}: facts that are still to come would \
             change the rows; name a time that has passed",
            format_timestamp(known_by),
            format_timestamp(now)
        ))),
    }
}

/// One view of the join.
fn source(
    request: &TrainingSetRequest,
    view: &ResolvedView,
    reading: Reading,
    pushed: Vec<SourceFile>,
) -> JoinSource {
    let terms = Terms {
        ttl_micros: view.view.definition.ttl_micros,
        known_by: request.known_by.unwrap_or(i64::MAX),
        known: request.known.unwrap_or(view.view.known()),
    };
    JoinSource {
        view: view.view.clone(),
        name: view.reference.name().to_owned(),
        keys: view.keys.clone(),
        terms,
        files: reading.files,
        copy: reading.copy,
        pushed,
    }
}
