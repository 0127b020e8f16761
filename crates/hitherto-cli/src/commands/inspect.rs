//! `hitherto inspect`: what is applied and what of it is online.

use std::sync::Arc;
use std::{fmt, iter};

use clap::Args;
use hitherto_core::Result;
use hitherto_core::catalog::{AppliedView, Catalog, Generation, PublishedView, Reads};
use hitherto_core::definition::OnDemandView;
use hitherto_core::definition::describe::{Aspect, ORDER};
use hitherto_core::time::format_timestamp;
use hitherto_engine::{Access, Engine, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use crate::grid::{Grid, Side};
use crate::numbers::{bytes, count, counted};
use crate::session::Session;

/// Show what is applied and what of it is online
///
/// Without a name: the catalog, every feature view with its generation (one
/// complete online copy), watermark (the greatest event time consumed) and
/// horizon (how far back --as-of can ask), and what the store uses. With a
/// name: that view and its features. Reads beside a running server.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hitherto inspect\n  hitherto inspect lactate")]
pub struct Inspect {
    /// One feature view
    #[arg(value_name = "VIEW")]
    view: Option<String>,
}

impl Inspect {
    /// Shows the catalog or one view.
    ///
    /// # Errors
    /// `NotFound` when nothing was ever applied, or no view has that name.
    pub fn run(self, session: &Session) -> Result<()> {
        let engine = session.open(Access::ReadOnly)?;
        match self.view {
            None => session.output().result(&Overview::new(&engine)),
            Some(name) => {
                let catalog = engine.catalog();
                if let Some(view) = catalog.registry.on_demand_view(&name) {
                    return session.output().result(&OnDemand(view));
                }
                let view = catalog.registry.view(&name)?;
                let reads = catalog.published.reads(view);
                session.output().result(&View { view, reads })
            }
        }
    }
}

/// Everything, a line each.
struct Overview {
    catalog: Arc<Catalog>,
    usage: Usage,
}

impl Overview {
    fn new(engine: &Engine) -> Self {
        Self { catalog: engine.catalog(), usage: engine.usage() }
    }

    fn views(&self) -> impl Iterator<Item = View<'_>> {
        let Catalog { registry, published, .. } = &*self.catalog;
        registry.views.iter().map(|view| View { view, reads: published.reads(view) })
    }
}

impl Serialize for Overview {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Usage { latest_rows, history_rows, disk_bytes, .. } = self.usage;
        json!({
            "catalog_version": self.catalog.version,
            "views": self.views().map(|view| view.summary()).collect::<Vec<_>>(),
            "on_demand": self.catalog.registry.on_demand,
            "services": self.catalog.registry.services,
            "store": {
                "latest_rows": latest_rows,
                "history_rows": history_rows,
                "disk_bytes": disk_bytes,
            },
        })
        .serialize(serializer)
    }
}

impl fmt::Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut views = Grid::new([
            ("view", Side::Text),
            ("id", Side::Number),
            ("version", Side::Number),
            ("generation", Side::Number),
            ("facts", Side::Number),
            ("entities", Side::Number),
            ("watermark", Side::Text),
            ("horizon", Side::Text),
        ]);
        for View { view, reads } in self.views() {
            let AppliedView { id, version, .. } = view;
            let shown = |show: fn(&Generation) -> String| match reads.own() {
                Some(published) => show(&published.generation),
                None => String::from("-"),
            };
            views.row([
                view.name().to_owned(),
                id.to_string(),
                version.to_string(),
                shown(|generation| generation.number.to_string()),
                shown(|generation| count(generation.facts)),
                shown(|generation| count(generation.entities)),
                shown(watermark),
                shown(|generation| format_timestamp(generation.horizon)),
            ]);
        }
        writeln!(f, "{views}\n")?;
        for view in &self.catalog.registry.on_demand {
            let features = counted(view.features.len() as u64, "feature");
            let reads = view.views().join(", ");
            writeln!(f, "on-demand view {}: {features} of {reads}", view.name())?;
        }
        for service in &self.catalog.registry.services {
            let features = counted(service.features.len() as u64, "feature");
            writeln!(f, "service {}: {features}", service.metadata.name)?;
        }
        writeln!(f, "catalog version {}", self.catalog.version)?;
        write!(
            f,
            "store: {} on disk; about {} latest and {} history rows, replaced ones included until \
             they are compacted",
            bytes(self.usage.disk_bytes),
            count(self.usage.latest_rows),
            count(self.usage.history_rows)
        )
    }
}

/// One view with its definition and features, and what lookups read of it.
struct View<'a> {
    view: &'a AppliedView,
    reads: Reads<'a>,
}

impl Serialize for View<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut view = self.summary();
        view["applied_at"] = json!(format_timestamp(self.view.applied_at));
        view["definition"] = json!(self.view.definition);
        view.serialize(serializer)
    }
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.view;
        let id = format!("{}, version {}, id {}", view.name(), view.version, view.id);
        let aspects = view.definition.describe(&view.keys);
        describe(f, ("view", id), &aspects, self.online())
    }
}

/// One on-demand view. Nothing of it is online.
#[derive(Serialize)]
#[serde(transparent)]
struct OnDemand<'a>(&'a OnDemandView);

impl fmt::Display for OnDemand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(f, ("on-demand view", self.0.name().to_owned()), &self.0.describe(), Vec::new())
    }
}

/// What there is to say of a view, a line each, then its features.
fn describe(
    f: &mut fmt::Formatter<'_>,
    named: (&str, String),
    aspects: &[Aspect],
    online: Vec<(&'static str, String)>,
) -> fmt::Result {
    let is_feature = |aspect: &&Aspect| aspect.path.starts_with(FEATURES);
    let (features, others): (Vec<_>, Vec<_>) = aspects.iter().partition(is_feature);
    let said = others.iter().map(|aspect| (aspect.path.as_str(), aspect.value.clone()));
    let said = said.filter(|(path, value)| !value.is_empty() && *path != ORDER);
    let lines: Vec<_> = iter::once(named).chain(said).chain(online).collect();
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + 2;
    for (name, value) in lines {
        writeln!(f, "{name:<width$}{value}")?;
    }
    write!(f, "\n{}", table(&features))
}

impl View<'_> {
    /// What of a view is online, as name and value.
    fn online(&self) -> Vec<(&'static str, String)> {
        let nothing = String::from("nothing; run `hitherto materialize`");
        match self.reads {
            Reads::Nothing => vec![("online", nothing)],
            Reads::Earlier(published) => {
                let (version, name) = (published.view.version, self.view.name());
                let of =
                    format!("the copy of version {version}, until `hitherto materialize {name}`");
                vec![("online", of)]
            }
            Reads::Own(published) => {
                let generation = &published.generation;
                vec![
                    ("generation", generation.number.to_string()),
                    ("built", format_timestamp(generation.materialized_at)),
                    ("facts", count(generation.facts)),
                    ("entities", count(generation.entities)),
                    ("watermark", watermark(generation)),
                    ("horizon", format_timestamp(generation.horizon)),
                ]
            }
        }
    }

    /// A view in JSON, times as written everywhere.
    fn summary(&self) -> Value {
        let (view, own) = (self.view, self.reads.own());
        let published = own.or(self.reads.earlier());
        json!({
            "name": view.name(),
            "id": view.id,
            "version": view.version,
            "published_version": published.map(|published| published.view.version),
            "generation": own.map(|PublishedView { generation, .. }| json!({
                "number": generation.number,
                "facts": generation.facts,
                "entities": generation.entities,
                "watermark": generation.newest_event().map(format_timestamp),
                "horizon": format_timestamp(generation.horizon),
                "materialized_at": format_timestamp(generation.materialized_at),
            })),
        })
    }
}

/// How paths of what is said of features begin.
const FEATURES: &str = "features.";

/// The newest event time of a copy, or that it has none.
fn watermark(generation: &Generation) -> String {
    generation.newest_event().map_or_else(|| String::from("no fact"), format_timestamp)
}

/// Features, with a column for each thing that is said of one of them.
fn table(aspects: &[&Aspect]) -> Grid {
    let mut columns = vec!["feature", "type"];
    let mut rows: Vec<Vec<String>> = Vec::new();
    for Aspect { path, value, .. } in aspects {
        let path = path.strip_prefix(FEATURES).unwrap_or(path);
        let Some((_, field)) = path.split_once('.') else {
            rows.push(vec![path.to_owned(), value.clone()]);
            continue;
        };
        let column = columns.iter().position(|column| *column == field).unwrap_or_else(|| {
            columns.push(field);
            columns.len() - 1
        });
        if let Some(row) = rows.last_mut() {
            row.resize(row.len().max(column + 1), String::new());
            row[column].clone_from(value);
        }
    }
    let headings = columns.iter().map(|column| ((*column).to_owned(), Side::Text));
    let mut grid = Grid::with_columns(headings.collect());
    for mut row in rows {
        row.resize(columns.len(), String::new());
        grid.row(row);
    }
    grid
}
