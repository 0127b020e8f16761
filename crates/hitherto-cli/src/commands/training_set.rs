//! `hitherto training-set`: a spine to a Parquet file of training rows.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use hitherto_core::Result;
use hitherto_core::definition::Known;
use hitherto_core::rule::Absence;
use hitherto_core::time::parse_timestamp;
use hitherto_engine::{Access, FeatureNames, TrainingSetReport, TrainingSetRequest};
use serde::Serialize;

use crate::grid::{Grid, Side};
use crate::numbers::{bytes, count, counted, share};
use crate::selected::Selected;
use crate::session::Session;
use crate::sink::Sink;
use crate::spine::Spine;

/// Build a training set from a spine
///
/// The spine is a Parquet file of label rows: the join keys, a column of times
/// and whatever else should pass through. Every row comes back, in order, with
/// the features as they were known at its own time. The report counts, for each
/// view, the rows with a value, the others by reason, and the rows for which a
/// join on event time alone would have leaked the future.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto training-set --spine spine.parquet --service deterioration_v1 --out t.parquet\n  \
    hitherto training-set --spine spine.parquet --features 'lactate:*' --out l.parquet")]
pub struct TrainingSet {
    /// The label rows, a Parquet file
    #[arg(long, value_name = "FILE")]
    spine: PathBuf,
    #[command(flatten)]
    selected: Selected,
    /// The spine's column of times
    #[arg(long, value_name = "COLUMN", default_value = "event_timestamp")]
    timestamp: String,
    /// Use nothing that was known only after this time, whatever a row's own time; makes a
    /// rebuild in a year equal to today's build
    #[arg(long, value_name = "TIME", value_parser = parse_timestamp)]
    known_by: Option<i64>,
    /// Join on event time alone: leaks the future, only to reproduce an older system
    #[arg(long)]
    ignore_known_time: bool,
    /// Name columns view:feature instead of feature
    #[arg(long)]
    full_names: bool,
    /// Where to write the rows, a Parquet file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl TrainingSet {
    /// Builds the file and shows the report.
    ///
    /// # Errors
    /// `NotFound` for an unknown feature or no spine, `Invalid` for a spine
    /// that does not fit, `Unavailable` when the file cannot be written.
    pub async fn run(self, session: &Session) -> Result<()> {
        let spine = Spine::read(&self.spine)?;
        let engine = session.open(Access::ReadOnly)?;
        let request = self.request();
        let mut rows = engine.training_set(&request, spine.batches, spine.schema).await?;

        let columns = rows.schema().fields().len();
        let mut sink = Sink::create(&self.out, rows.schema())?;
        while let Some(batch) = rows.next().await {
            sink.write(&batch?)?;
        }
        let file_bytes = sink.finish()?;
        let built = Built {
            file: self.out,
            file_bytes,
            columns,
            ignores_known_time: self.ignore_known_time,
            report: rows.report(),
        };
        session.output().result(&built)
    }

    fn request(&self) -> TrainingSetRequest {
        TrainingSetRequest {
            selection: self.selected.selection(),
            timestamp: self.timestamp.clone(),
            known_by: self.known_by,
            known: self.ignore_known_time.then_some(Known::Ignore),
            names: match self.full_names {
                true => FeatureNames::Full,
                false => FeatureNames::Short,
            },
        }
    }
}

/// What was built.
#[derive(Serialize)]
struct Built {
    file: PathBuf,
    file_bytes: u64,
    columns: usize,
    ignores_known_time: bool,
    report: TrainingSetReport,
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, file_bytes, columns, ignores_known_time, report } = self;
        let verdict = match ignores_known_time {
            true => "see something that was not known yet: this is a join on event time alone",
            false => "would see something not known yet under a join on event time alone",
        };
        writeln!(f, "{}\n", by_view(report))?;
        writeln!(
            f,
            "{} of {} ({}) {verdict}",
            count(report.leaky_rows),
            counted(report.rows, "row"),
            share(report.leaky_rows, report.rows)
        )?;
        write!(
            f,
            "{}: {} x {columns} columns, {}",
            file.display(),
            counted(report.rows, "row"),
            bytes(*file_bytes)
        )
    }
}

/// The report view by view; a reason for null has a column if any row has it.
pub fn by_view(report: &TrainingSetReport) -> Grid {
    let rows_absent = |view: &hitherto_engine::training_set::ViewReport, reason: Absence| {
        view.absent.get(reason.name()).copied().unwrap_or(0)
    };
    let reasons: Vec<Absence> = Absence::ALL
        .into_iter()
        .filter(|reason| report.views.iter().any(|view| rows_absent(view, *reason) > 0))
        .collect();

    let mut columns = vec![("view".to_owned(), Side::Text)];
    let words = ["facts read", "rows with a value"].map(str::to_owned).into_iter();
    let words = words.chain(reasons.iter().map(|reason| reason.name().replace('_', " ")));
    columns.extend(words.chain(["would leak".to_owned()]).map(|word| (word, Side::Number)));

    let mut grid = Grid::with_columns(columns);
    for view in &report.views {
        let absent = reasons.iter().map(|reason| rows_absent(view, *reason));
        let numbers = [view.facts, view.present].into_iter().chain(absent).chain([view.leaks]);
        grid.row([view.view.clone()].into_iter().chain(numbers.map(count)));
    }
    grid
}
