//! Definitions and the store, built once and kept.
//!
//! ```text
//! DATA/v1-entities1000000/definitions.yaml
//!                        /facts/v0 ... v4   every entity once
//!                        /facts/h0          a fifth of them, four facts each
//!                        /.hitherto         materialized by the engine
//! ```

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hitherto_api::{MaterializeRequest, Progress};
use hitherto_engine::{Access, Config, Engine};
use serde::{Deserialize, Serialize};

use super::facts::{self, FEATURES, FIRST_MICROS, STEP_MICROS};
use crate::{Result, folder, grant};

/// Changes when other rows are written for the same parameters.
const GENERATOR: u32 = 1;
/// Views without history.
const VIEWS: u64 = 5;
/// The number of the view that keeps history.
const HISTORY_VIEW: u64 = VIEWS;
/// Facts of each entity of that view.
pub const VERSIONS: u64 = 4;
/// It has fewer entities: four facts each would be most of the data.
const HISTORY_SHARE: u64 = 5;

/// What time it is, for whoever asks.
pub const NOW_MICROS: i64 = FIRST_MICROS + 10 * STEP_MICROS;
/// Half a day after the second fact of an entity, which therefore answers.
pub const EARLIER_MICROS: i64 = FIRST_MICROS + STEP_MICROS + STEP_MICROS / 2;
/// Which fact answers at [`EARLIER_MICROS`].
pub const EARLIER_VERSION: u64 = 1;

/// The feature services: what one request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// 50 features out of one view.
    Narrow,
    /// 250 features out of 5 views.
    Wide,
    /// 50 features out of one view that keeps history.
    History,
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 3] = [Service::Narrow, Service::Wide, Service::History];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Service::Narrow => "narrow",
            Service::Wide => "wide",
            Service::History => "history",
        }
    }

    /// The numbers of its views.
    pub fn views(self) -> std::ops::Range<u64> {
        match self {
            Service::Narrow => 0..1,
            Service::Wide => 0..VIEWS,
            Service::History => HISTORY_VIEW..HISTORY_VIEW + 1,
        }
    }

    /// The entities that it knows, of so many.
    pub fn entities(self, entities: u64) -> u64 {
        match self {
            Service::Narrow | Service::Wide => entities,
            Service::History => entities / HISTORY_SHARE,
        }
    }

    /// Its features, in the order of an answer.
    pub fn features(self) -> Vec<String> {
        let names = |view| (0..FEATURES).map(move |f| format!("{}:f{f}", view_name(view)));
        self.views().flat_map(names).collect()
    }
}

fn view_name(view: u64) -> String {
    match view {
        HISTORY_VIEW => String::from("h0"),
        view => format!("v{view}"),
    }
}

/// The repository's folder, built if it is not there.
///
/// # Errors
/// When it cannot be built.
pub fn build(data: &Path, entities: u64) -> Result<PathBuf> {
    let root = data.join(format!("v{GENERATOR}-entities{entities}"));
    folder::complete(&root, |root| {
        let started = Instant::now();
        for view in Service::Wide.views().chain(Service::History.views()) {
            let files = root.join("facts").join(view_name(view));
            match view {
                HISTORY_VIEW => {
                    facts::write(&files, view, Service::History.entities(entities), VERSIONS)?;
                }
                _ => facts::write(&files, view, entities, 1)?,
            }
            let seconds = started.elapsed().as_secs_f64();
            eprintln!("generated {} after {seconds:.1} s", view_name(view));
        }
        std::fs::write(root.join("definitions.yaml"), definitions())?;
        materialize(root)
    })?;
    Ok(root)
}

/// The files of the one view that a service asks.
pub fn facts_of(root: &Path, service: Service) -> PathBuf {
    root.join("facts").join(view_name(service.views().start))
}

/// Opens the engine over a repository, with a cache of so many bytes.
///
/// # Errors
/// Those of [`Engine::open`].
pub fn open(root: &Path, cache_bytes: u64) -> Result<Engine> {
    let config = Config { cache: format!("{cache_bytes}B").parse()?, ..Config::default() };
    Ok(Engine::open(root, &config, Access::ReadOnly)?)
}

fn materialize(root: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = Engine::open(root, &Config::default(), Access::ReadWrite)?;
    runtime.block_on(async {
        let plan = engine.plan(grant()).await?;
        engine.apply(grant(), &plan, NOW_MICROS).await?;
        engine.materialize(grant(), &MaterializeRequest::default(), NOW_MICROS, &Talk).await?;
        Ok(())
    })
}

/// Tells how materialization gets on.
struct Talk;

impl Progress for Talk {
    fn begin(&self, view: &str, rows: u64) {
        eprintln!("materializing {view}: {rows} rows");
    }

    fn advance(&self, _: &str, _: u64) {}

    fn end(&self, view: &str, facts: u64) {
        eprintln!("materialized {view}: {facts} facts");
    }
}

/// All definitions, as a user would write them.
pub fn definitions() -> String {
    let mut yaml = String::from(
        "apiVersion: hitherto/v1\nkind: Entity\nmetadata: { name: user }\n\
         spec: { keys: [{ name: entity_id, type: int64 }] }\n",
    );
    let mut add = |text: String| {
        yaml.push_str("---\napiVersion: hitherto/v1\n");
        yaml.push_str(&text);
    };
    for view in 0..=HISTORY_VIEW {
        let name = view_name(view);
        let mut text = format!(
            "kind: FeatureView\nmetadata: {{ name: {name} }}\nspec:\n  entity: user\n  \
             source: {{ parquet: facts/{name}, eventTime: event_timestamp }}\n"
        );
        if view == HISTORY_VIEW {
            text.push_str("  online: { history: 30d }\n");
        }
        text.push_str("  features:\n");
        for feature in 0..FEATURES {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "    - {{ name: f{feature}, type: float64 }}");
        }
        add(text);
    }
    for service in Service::ALL {
        let views: Vec<_> = service.views().map(|v| format!("\"{}:*\"", view_name(v))).collect();
        add(format!(
            "kind: FeatureService\nmetadata: {{ name: {} }}\nspec: {{ features: [{}] }}\n",
            service.name(),
            views.join(", ")
        ));
    }
    yaml
}
