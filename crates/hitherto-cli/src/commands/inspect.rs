//! `hitherto inspect`: what is applied and what of it is online.

use std::fmt;

use clap::Args;
use hitherto_core::Result;
use hitherto_core::catalog::{AppliedView, Generation};
use hitherto_core::definition::{FeatureService, Field};
use hitherto_core::time::{format_duration, format_timestamp};
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
                session.output().result(&View(catalog.view(&name)?))
            }
        }
    }
}

/// Everything, a line each.
struct Overview {
    version: u64,
    views: Vec<AppliedView>,
    services: Vec<FeatureService>,
    usage: Usage,
}

impl Overview {
    fn new(engine: &Engine) -> Self {
        let catalog = engine.catalog();
        Self {
            version: catalog.version,
            views: catalog.views.clone(),
            services: catalog.services.clone(),
            usage: engine.usage(),
        }
    }
}

impl Serialize for Overview {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Usage { latest_rows, history_rows, disk_bytes, .. } = self.usage;
        json!({
            "catalog_version": self.version,
            "views": self.views.iter().map(summary).collect::<Vec<_>>(),
            "services": self.services,
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
        for view in &self.views {
            let AppliedView { id, version, generation, .. } = view;
            let shown = |show: fn(&Generation) -> String| match generation {
                Some(generation) => show(generation),
                None => String::from("-"),
            };
            views.row([
                view.name().to_owned(),
                id.to_string(),
                version.to_string(),
                shown(|generation| generation.number.to_string()),
                shown(|generation| count(generation.facts)),
                shown(|generation| count(generation.entities)),
                shown(|generation| format_timestamp(generation.watermark)),
                shown(|generation| format_timestamp(generation.horizon)),
            ]);
        }
        writeln!(f, "{views}\n")?;
        for service in &self.services {
            let features = counted(service.features.len() as u64, "feature");
            writeln!(f, "service {}: {features}", service.metadata.name)?;
        }
        writeln!(f, "catalog version {}", self.version)?;
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

/// One view with its definition and features.
struct View<'a>(&'a AppliedView);

impl Serialize for View<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut view = summary(self.0);
        view["applied_at"] = json!(format_timestamp(self.0.applied_at));
        view["definition"] = json!(self.0.definition);
        view.serialize(serializer)
    }
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in facts_of(self.0) {
            writeln!(f, "{name:<16}{value}")?;
        }
        let mut features =
            Grid::new([("feature", Side::Text), ("type", Side::Text), ("description", Side::Text)]);
        for Field { name, data_type, description } in &self.0.definition.features {
            features.row([name.clone(), data_type.to_string(), description.clone()]);
        }
        write!(f, "\n{features}")
    }
}

/// What there is to say of a view beside its features, as name and value.
fn facts_of(view: &AppliedView) -> Vec<(&'static str, String)> {
    let definition = &view.definition;
    let source = &definition.source;
    let keys: Vec<_> =
        view.keys.iter().map(|key| format!("{} {}", key.name, key.data_type)).collect();
    let known = match &source.known_time {
        Some(column) => column.clone(),
        None if source.is_timeless() => String::from("always"),
        None => format!("{} after the event time", format_duration(source.delay_micros)),
    };
    let partitions: Vec<&str> = source.partitions.iter().map(|one| one.name.as_str()).collect();
    let duration = |micros: Option<i64>| micros.map_or(String::from("none"), format_duration);
    let mut facts = vec![
        ("view", format!("{}, version {}, id {}", view.name(), view.version, view.id)),
        ("about", definition.metadata.description.clone()),
        (
            "entity",
            match &definition.entity {
                Some(entity) => format!("{entity} ({})", keys.join(", ")),
                None => String::from("none: the features are about everything there is"),
            },
        ),
        ("source", source.parquet.clone()),
        (
            "partitioned by",
            source.partitioned_by.map_or(String::from("nothing"), |period| period.to_string()),
        ),
        ("partitions", partitions.join(", ")),
        ("event time", source.event_time.clone().unwrap_or_else(|| String::from("none: timeless"))),
        ("known time", known),
        ("deleted", source.deleted.clone().unwrap_or_else(|| String::from("none"))),
        ("ttl", duration(definition.ttl_micros)),
        ("history", duration(definition.online.history_micros)),
    ];
    match &view.generation {
        None => facts.push((
            "online",
            match &view.before {
                None => String::from("nothing; run `hitherto materialize`"),
                Some(before) => format!(
                    "the copy of version {}, until `hitherto materialize {}`",
                    before.version,
                    view.name()
                ),
            },
        )),
        Some(generation) => facts.extend([
            ("generation", generation.number.to_string()),
            ("built", format_timestamp(generation.materialized_at)),
            ("facts", count(generation.facts)),
            ("entities", count(generation.entities)),
            ("watermark", format_timestamp(generation.watermark)),
            ("horizon", format_timestamp(generation.horizon)),
        ]),
    }
    facts
}

/// A view in JSON, times as written everywhere.
fn summary(view: &AppliedView) -> Value {
    json!({
        "name": view.name(),
        "id": view.id,
        "version": view.version,
        "published_version": view.published().map(|published| published.version),
        "generation": view.generation.as_ref().map(|generation| json!({
            "number": generation.number,
            "facts": generation.facts,
            "entities": generation.entities,
            "watermark": format_timestamp(generation.watermark),
            "horizon": format_timestamp(generation.horizon),
            "materialized_at": format_timestamp(generation.materialized_at),
        })),
    })
}
