//! Repositories over the lake.

use std::fmt::Write as _;
use std::path::Path;

use hitherto_api::{MaterializeMode, MaterializeRequest, Materialized, Progress};
use hitherto_engine::{Access, Config, Engine};

use crate::pit::lake::{DAY_MICROS, EPOCH_MICROS, KEY_COLUMNS, feature_name};
use crate::{Result, grant};

/// The feature view.
pub const VIEW: &str = "facts";
/// After every fact of any lake.
pub const NOW_MICROS: i64 = EPOCH_MICROS + 10_000 * DAY_MICROS;

/// Makes a repository whose source is the folder `facts` in it.
///
/// # Errors
/// When it cannot be written.
pub fn create(root: &Path, features: usize) -> Result<()> {
    let [key, event_time, _] = KEY_COLUMNS;
    let mut yaml = format!(
        "apiVersion: hitherto/v1\nkind: Entity\nmetadata: {{ name: entity }}\n\
         spec: {{ keys: [{{ name: {key}, type: int64 }}] }}\n---\n\
         apiVersion: hitherto/v1\nkind: FeatureView\nmetadata: {{ name: {VIEW} }}\n\
         spec:\n  entity: entity\n  source: {{ parquet: facts, eventTime: {event_time} }}\n  \
         features:\n"
    );
    for feature in (0..features).map(feature_name) {
        writeln!(yaml, "    - {{ name: {feature}, type: float64 }}")?;
    }
    std::fs::create_dir_all(root.join("facts"))?;
    std::fs::write(root.join("definitions.yaml"), yaml)?;
    Ok(())
}

/// Opens it; a build may hold so many bytes.
///
/// # Errors
/// Those of [`Engine::open`].
pub fn open(root: &Path, memory: u64) -> Result<Engine> {
    let config = Config { memory: format!("{memory}B").parse()?, ..Config::default() };
    Ok(Engine::open(root, &config, Access::ReadWrite)?)
}

/// Materializes it.
///
/// # Errors
/// Those of [`Engine::materialize`].
pub async fn materialize(engine: &Engine, mode: MaterializeMode) -> Result<Materialized> {
    let request = MaterializeRequest { mode, ..MaterializeRequest::default() };
    let mut done = engine.materialize(grant(), &request, NOW_MICROS, &Silent).await?;
    Ok(done.pop().ok_or("no view was materialized")?)
}

/// Nobody watches.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: &str, _: u64) {}
    fn end(&self, _: &str, _: u64) {}
}
