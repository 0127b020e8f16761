//! `hitherto training-set`: a spine to a Parquet file of training rows.

mod check;

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use hitherto_api::training_set::{Ages, ViewReport};
use hitherto_api::{FeatureNames, Spine, Thresholds, TrainingSetReport, TrainingSetRequest};
use hitherto_core::definition::Known;
use hitherto_core::rule::Absence;
use hitherto_core::time::{
    MICROS_PER_SECOND, MICROS_PER_YEAR, format_duration, parse_duration, parse_timestamp,
};
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};
use hitherto_engine::Access;
use hitherto_store::Store;
use serde::Serialize;

use crate::credentials::ShownToServer;
use crate::grid::{Grid, Side};
use crate::labels::Labels;
use crate::numbers::{bytes, count, counted, share};
use crate::selected::Selected;
use crate::session::Session;
use crate::sink::{Sink, write_whole};
use crate::spine;

/// Build a training set from a spine
///
/// The spine is label rows, of a Parquet file or of a query: the join keys, a column of
/// times and whatever else should pass through. Every row comes back, in order, with
/// the features as they were known at its own time. Without label rows, --at takes every
/// entity at one moment, and --between every fact of a window. The report counts, for each
/// view, the rows with a value, the others by reason, how old the values are, and
/// the rows for which a join on event time alone would have leaked the future.
///
/// Beside the rows goes a manifest: definitions, source files and contents as
/// hashes. With --check the rows of a manifest are built again and compared;
/// nothing is written. Label rows of a file have to be named again; others are made again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto training-set --spine spine.parquet --service deterioration_v1 \\\n    \
    --out t.parquet\n  \
    hitherto training-set --spine spine.parquet --timestamp drawn_at \\\n    \
    --features 'lactate:*' --out l.parquet --max-null-rate 0.2\n  \
    hitherto training-set --service s --out t.parquet \\\n    \
    --sql 'SELECT stay_id, drawn AS event_timestamp FROM labs'\n  \
    hitherto training-set --at 2026-01-01T00:00:00Z --service s --out all.parquet\n  \
    hitherto training-set --spine spine.parquet --check \\\n    \
    --manifest t.parquet.manifest.json")]
pub struct TrainingSet {
    #[command(flatten)]
    labels: Labels,
    #[command(flatten)]
    build: Build,
    #[command(flatten)]
    limits: Limits,
    /// The manifest: to be written, by default beside the rows, or to be checked
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Build the manifest's rows again, from the files that it names, and compare
    #[arg(long, requires = "manifest")]
    #[arg(conflicts_with_all = ["Selected", "Build", "Limits", "server"])]
    check: bool,
    /// Let this server build the rows, from its sources; label rows of a file are sent to it
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

/// What to build; not asked for where a manifest says it.
#[derive(Debug, Args)]
struct Build {
    #[command(flatten)]
    selected: Selected,
    /// The spine's column of times
    #[arg(long, value_name = "COLUMN", default_value = "event_timestamp")]
    timestamp: String,
    /// Whose local times these are if they have no zone, such as Europe/Berlin; UTC's
    /// without it. Of a time that a clock showed twice or never the earlier reading counts
    #[arg(long, value_name = "ZONE", value_parser = Zone::named)]
    timezone: Option<Zone>,
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
    /// Where to write the rows, a Parquet file, which must not be there yet
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    out: Option<PathBuf>,
    /// Replace files that are there already
    #[arg(long)]
    force: bool,
}

/// Bounds on the report; beyond one nothing is written and the command fails.
#[derive(Debug, Args)]
struct Limits {
    /// Fail when any feature is null in more than this share of rows, such as 0.2 or 20%
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    max_null_rate: Option<f64>,
    /// Fail when a join on event time alone would leak into more than this share of rows in any
    /// view
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    max_leak_rate: Option<f64>,
    /// Fail when 1 of 20 values of any view is older than this, such as 36h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_age: Option<i64>,
}

impl TrainingSet {
    /// Builds the file and shows the report, or checks a manifest.
    ///
    /// # Errors
    /// `NotFound` for an unknown feature or no spine, `Invalid` for a spine
    /// that does not fit, a report beyond its bounds or rows that are not those
    /// of the manifest, `Unavailable` when a file cannot be written.
    pub async fn run(self, session: &Session) -> Result<()> {
        match (&self.manifest, &self.build.out) {
            (Some(manifest), _) if self.check => {
                check::check(manifest, self.labels.spine(), session).await
            }
            (_, Some(out)) => self.write(out, session).await,
            (_, None) => Err(Error::invalid("--out is missing; name the file to write")),
        }
    }

    async fn write(&self, out: &Path, session: &Session) -> Result<()> {
        let thresholds = self.limits.thresholds();
        thresholds.validate()?;
        if self.manifest.as_deref() == Some(out) {
            return Err(Error::invalid("--manifest and --out name one file; name two"));
        }
        let manifest = match &self.manifest {
            Some(path) => path.clone(),
            None => beside(out),
        };
        check_format(out)?;
        check_not_labels(self.labels.file(), [out, &manifest])?;
        if !self.build.force {
            check_free(out)?;
            check_free(&manifest)?;
        }
        let spine = self.labels.required()?;
        let request = self.build.request()?;
        // Some of the files that are read here go with the engine.
        let store = session.store(self.server.as_deref(), &self.shown, Access::ReadOnly).await?;
        let spine = match (&store, spine) {
            (Store::There(_), Spine::File(path)) => spine::sent(&path, &request)?,
            (_, spine) => spine,
        };
        let mut rows = store.training_set(&request, spine).await?;

        let columns = rows.schema().fields().len();
        let mut sink = Sink::create(out, rows.schema())?;
        while let Some(batch) = rows.next().await {
            sink.write(&batch?)?;
        }
        let finished = rows.finish()?;
        let report = finished.report();
        if let Err(excess) = thresholds.check(report) {
            session.output().say(by_view(report));
            return Err(excess);
        }
        let record = finished.manifest()?;
        let file_bytes = sink.finish()?;
        write_whole(
            &manifest,
            &serde_json::to_vec_pretty(&record).map_err(|cause| {
                Error::internal("the manifest cannot be written as JSON").with_source(cause)
            })?,
        )?;
        let built = Built {
            file: out.to_owned(),
            file_bytes,
            columns,
            content_hash: record.content.hash,
            manifest,
            ignores_known_time: report.views.iter().any(|view| view.known == Known::Ignore),
            has_leaked: report.leaked().next().is_some(),
            report: report.clone(),
        };
        session.output().result(&built)?;
        session.output().warn(&built.report.warnings);
        Ok(())
    }
}

/// Reads a share of rows, written 0.2 or 20%.
fn parse_share(text: &str) -> Result<f64> {
    let number = text.trim();
    let share = match number.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
        None => number.parse(),
    };
    share.map_err(|_| Error::invalid(format!("{text:?} is not a share of rows; write 0.2, or 20%")))
}

/// Refuses to write over what is there.
fn check_free(path: &Path) -> Result<()> {
    match path.exists() {
        false => Ok(()),
        true => Err(Error::conflict(format!(
            "{} is there already; name another file, or replace it with --force",
            path.display()
        ))),
    }
}

/// Endings of files that are no Parquet.
const OTHER_FORMATS: [&str; 10] =
    ["csv", "tsv", "txt", "json", "jsonl", "ndjson", "arrow", "feather", "orc", "xlsx"];

/// Refuses a name that says what the file will not be.
fn check_format(out: &Path) -> Result<()> {
    let ending = out.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !OTHER_FORMATS.contains(&ending.as_str()) {
        return Ok(());
    }
    let (out, parquet) = (out.display(), out.with_extension("parquet"));
    let parquet = parquet.display();
    Err(Error::invalid(format!(
        "rows are written as Parquet, which keeps their types, and {out} says .{ending}; name \
         {parquet}, and convert that, for example with DuckDB: COPY (FROM '{parquet}') TO '{out}'"
    )))
}

/// Refuses to write over the label rows, also with --force: nobody could make them again.
fn check_not_labels(labels: Option<&Path>, written: [&Path; 2]) -> Result<()> {
    let Some(labels) = labels else { return Ok(()) };
    let there = |path: &Path| path.canonicalize().ok();
    match written.into_iter().find(|path| there(path).is_some() && there(path) == there(labels)) {
        None => Ok(()),
        Some(path) => Err(Error::invalid(format!(
            "{} is the spine, and would be written over; name another file",
            path.display()
        ))),
    }
}

/// The manifest's place beside the rows.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".manifest.json");
    out.with_file_name(name)
}

impl Build {
    fn request(&self) -> Result<TrainingSetRequest> {
        Ok(TrainingSetRequest {
            selection: self.selected.selection()?,
            timestamp: self.timestamp.clone(),
            timezone: self.timezone.clone(),
            known_by: self.known_by,
            known: self.ignore_known_time.then_some(Known::Ignore),
            names: match self.full_names {
                true => FeatureNames::Full,
                false => FeatureNames::Short,
            },
        })
    }
}

impl Limits {
    fn thresholds(&self) -> Thresholds {
        Thresholds {
            null_rate: self.max_null_rate,
            leak_rate: self.max_leak_rate,
            age_micros: self.max_age,
        }
    }
}

/// What was built.
#[derive(Serialize)]
struct Built {
    file: PathBuf,
    file_bytes: u64,
    columns: usize,
    content_hash: String,
    manifest: PathBuf,
    /// Whether known times of a view were ignored.
    ignores_known_time: bool,
    /// Whether a view's rows have what was not known yet.
    has_leaked: bool,
    report: TrainingSetReport,
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, file_bytes, columns, content_hash, manifest, report, .. } = self;
        let leaked: Vec<&str> = report.leaked().map(|view| view.view.as_str()).collect();
        let verdict = match leaked.as_slice() {
            [] => {
                String::from("would see something not known yet under a join on event time alone")
            }
            views => format!(
                "see something that was not known yet, or would: known times of {} are ignored, \
                 which is a join on event time alone",
                views.join(", ")
            ),
        };
        writeln!(f, "{}\n", by_view(report))?;
        f.write_str(&computed(report))?;
        writeln!(
            f,
            "{} of {} ({}) {verdict}",
            count(report.leaky_rows),
            counted(report.rows, "row"),
            share(report.leaky_rows, report.rows)
        )?;
        writeln!(
            f,
            "{}: {} x {columns} columns, {}",
            file.display(),
            counted(report.rows, "row"),
            bytes(*file_bytes)
        )?;
        write!(f, "{}: content {content_hash}", manifest.display())
    }
}

/// What of on-demand features has no value, a line each.
fn computed(report: &TrainingSetReport) -> String {
    let views = report.on_demand.iter();
    let nulls = views.flat_map(|view| view.nulls.iter().map(|nulls| (&view.view, nulls)));
    let lines = nulls.filter(|(_, nulls)| nulls.rows > 0).map(|(view, nulls)| {
        let reasons = nulls.reasons.iter();
        let reasons = reasons.map(|(reason, rows)| format!("{} {rows}", reason.replace('_', " ")));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        format!("{view}:{} is null in {}: {reasons}\n", nulls.feature, counted(nulls.rows, "row"))
    });
    lines.collect()
}

/// The report view by view; a reason for null has a column if any row has it.
pub fn by_view(report: &TrainingSetReport) -> Grid {
    let rows_absent =
        |view: &ViewReport, reason: Absence| view.absent.get(reason.name()).copied().unwrap_or(0);
    let reasons: Vec<Absence> = Absence::ALL
        .into_iter()
        .filter(|reason| report.views.iter().any(|view| rows_absent(view, *reason) > 0))
        .collect();

    let mut columns = vec![("view".to_owned(), Side::Text)];
    let words = ["facts read", "rows with a value"].map(str::to_owned).into_iter();
    let words = words.chain(reasons.iter().map(|reason| reason.name().replace('_', " ")));
    let is_honored = report.views.iter().all(|view| view.known == Known::Honor);
    let leak = if is_honored { "would leak" } else { "leak" };
    let last = ["age p50", "age p95", leak].map(str::to_owned);
    columns.extend(words.chain(last).map(|word| (word, Side::Number)));

    let mut grid = Grid::with_columns(columns);
    for view in &report.views {
        let absent = reasons.iter().map(|reason| rows_absent(view, *reason));
        let numbers = [view.facts, view.present].into_iter().chain(absent).map(count);
        let age = |age: fn(&Ages) -> i64| {
            view.age.as_ref().map_or(String::from("-"), |ages| age_of(age(ages)))
        };
        let leaks = match (is_honored, view.known) {
            (true, _) => count(view.leaks),
            (false, Known::Honor) => format!("{} would", count(view.leaks)),
            (false, Known::Ignore) => format!("{} did", count(view.leaks)),
        };
        let last = [age(|ages| ages.p50_micros), age(|ages| ages.p95_micros), leaks];
        grid.row([view.view.clone()].into_iter().chain(numbers).chain(last));
    }
    grid
}

/// An age as people say it: its two largest units, or years.
fn age_of(micros: i64) -> String {
    if micros >= 2 * MICROS_PER_YEAR {
        return format!("{}y", micros / MICROS_PER_YEAR);
    }
    const UNITS: [(i64, &str); 5] = [
        (86_400 * MICROS_PER_SECOND, "d"),
        (3_600 * MICROS_PER_SECOND, "h"),
        (60 * MICROS_PER_SECOND, "m"),
        (MICROS_PER_SECOND, "s"),
        (1_000, "ms"),
    ];
    let place = UNITS.iter().position(|(unit, _)| micros >= *unit);
    let smallest = place.and_then(|place| UNITS.get(place + 1)).map_or(1, |(unit, _)| *unit);
    format_duration(micros - micros % smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_says_another_format_is_refused() {
        for name in ["t.csv", "folder/T.JSON", "t.parquet.feather"] {
            let told = check_format(Path::new(name)).unwrap_err().to_string();
            assert!(told.contains(".parquet, and convert that"), "{told}");
        }
        for name in ["t.parquet", "t", "t.pq", "v1.2"] {
            check_format(Path::new(name)).unwrap();
        }
    }

    #[test]
    fn label_rows_are_not_written_over() {
        let scratch = crate::scratch::Scratch::create("labels").unwrap();
        let labels = scratch.path().join("spine.parquet");
        std::fs::write(&labels, "rows").unwrap();
        let other = scratch.path().join("t.parquet");
        let again = scratch.path().join(".").join("spine.parquet");
        check_not_labels(Some(&labels), [&other, &scratch.path().join("m.json")]).unwrap();
        for written in [[again.as_path(), &other], [&other, &labels]] {
            let told = check_not_labels(Some(&labels), written).unwrap_err().to_string();
            assert!(told.contains("is the spine"), "{told}");
        }
        check_not_labels(None, [&labels, &labels]).unwrap();
    }

    #[test]
    fn shares_are_numbers_or_percent() {
        assert_eq!(["0.2", "20%", "100%"].map(|text| parse_share(text).unwrap()), [0.2, 0.2, 1.0]);
        for text in ["", "%", "a fifth", "20 percent"] {
            let error = parse_share(text).unwrap_err().to_string();
            assert!(error.contains("write 0.2, or 20%"), "{error}");
        }
    }
}
