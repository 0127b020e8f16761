//! PLAN and APPLY: definitions on disk to the catalog.
//!
//! ```text
//! load    every YAML file, all problems at once, each with file and line
//! check   every view against the columns and types of its source, every expression of an
//!         on-demand view against the types of what it reads
//! diff    against what is applied: what is created, updated, deleted, and
//!         which online copies that makes stale
//! apply   one atomic write of the next catalog; no source is read, but facts that were
//!         pushed to a view are brought into its new form
//! ```
//!
//! Lookups go on: a view whose rows have to be built anew is read as it was until it is
//! materialized.
//!
//! Anything wrong anywhere and nothing is applied.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use hitherto_api::Grant;
use hitherto_core::catalog::{AppliedView, Catalog, PublishedView};
use hitherto_core::definition::diff::{self, Change};
use hitherto_core::definition::{Definitions, Loaded, ResourceKind};
use hitherto_core::{Error, Result};
use hitherto_offline::Offline;
use serde::Serialize;

use crate::local::forget_consumed;
use crate::repository::DefinitionFile;
use crate::{Config, Engine, offline_of, on_demand, repository};

/// What applying the repository's definitions would change.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The definitions as loaded and checked.
    #[serde(skip)]
    pub definitions: Definitions,
    /// The catalog that the plan was made against.
    pub catalog_version: u64,
    /// Every change, in the order of names.
    pub changes: Vec<Change>,
    /// What may not be meant, such as times without a zone, a sentence each.
    pub warnings: Vec<String>,
}

impl Plan {
    fn new(catalog: &Catalog, loaded: Loaded, warnings: Vec<String>) -> Self {
        Self {
            changes: diff::diff(&catalog.registry.definitions(), &loaded.definitions),
            catalog_version: catalog.version,
            definitions: loaded.definitions,
            warnings,
        }
    }

    /// Whether everything is applied already.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing to change: every definition is applied\n");
        }
        self.changes.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl Engine {
    /// Loads and checks the repository's definitions and compares them with
    /// what is applied. Changes nothing.
    ///
    /// # Errors
    /// `Invalid` with every problem, one a line, each with file and line;
    /// `Unavailable` or `Corrupt` when a source cannot be looked at.
    pub async fn plan(&self, _: &Grant) -> Result<Plan> {
        self.plan_replacing(None).await
    }

    /// The same for the repository in `root`, to which nothing was ever applied: it has no
    /// store, and needs none.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub async fn plan_first(_: &Grant, root: &Path, config: &Config) -> Result<Plan> {
        let loaded = repository::load(root, None)?;
        let warnings = check_sources(&offline_of(root, config)?, &loaded).await?;
        Ok(Plan::new(&Catalog::default(), loaded, warnings))
    }

    /// The same, as if a definition file were written already.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub async fn plan_with(&self, _: &Grant, file: &DefinitionFile) -> Result<Plan> {
        self.plan_replacing(Some(file)).await
    }

    async fn plan_replacing(&self, replaced: Option<&DefinitionFile>) -> Result<Plan> {
        let loaded = repository::load(&self.root, replaced)?;
        let warnings = check_sources(&self.offline, &loaded).await?;
        Ok(Plan::new(&self.catalog(), loaded, warnings))
    }

    /// Applies a plan at `now`. Views that stay readable keep their online copy, and changed
    /// ones the copy of their definition before until they have one of their own; copies
    /// of deleted views are removed.
    ///
    /// # Errors
    /// `Conflict` when the catalog has changed since the plan was made;
    /// `Unavailable` from the store.
    pub async fn apply(&self, _: &Grant, plan: &Plan, now: i64) -> Result<Arc<Catalog>> {
        let _writer = self.writer.lock().await;
        self.apply_alone(plan, now).await
    }

    /// Writes a definition file and applies the repository, at `now`. If that is refused
    /// the file is as it was; only a process that ends in between leaves the new one.
    ///
    /// # Errors
    /// As [`Engine::plan`] and [`Engine::apply`]; `Unavailable` when the file cannot be
    /// written.
    pub async fn apply_with(&self, grant: &Grant, file: &DefinitionFile, now: i64) -> Result<Plan> {
        let _writer = self.writer.lock().await;
        let plan = self.plan_with(grant, file).await?;
        let written = file.write(&self.root)?;
        let applied = self.apply_alone(&plan, now).await;
        // What failed after the catalog was written is applied all the same.
        if applied.is_ok() || self.catalog().version != plan.catalog_version {
            written.keep();
        }
        applied.map(|_| plan)
    }

    /// Applies a plan while nobody else writes.
    async fn apply_alone(&self, plan: &Plan, now: i64) -> Result<Arc<Catalog>> {
        let catalog = self.catalog();
        if catalog.version != plan.catalog_version {
            return Err(Error::conflict(format!(
                "the catalog changed from version {} to {} since the plan was made; plan again",
                plan.catalog_version, catalog.version
            )));
        }
        if plan.is_empty() {
            return Ok(catalog);
        }
        let next = catalog.apply(&plan.definitions, now);
        let kept: HashSet<u32> = next.view_ids().collect();
        let dropped = catalog.view_ids().filter(|id| !kept.contains(id));
        let forget = dropped.flat_map(forget_consumed).collect();
        let mut paused = self.pause_landing();
        for old in &catalog.registry.views {
            match next.registry.views.iter().find(|view| view.name() == old.name()) {
                Some(new) if new.id == old.id => {}
                Some(new) => paused.carry(old, new)?,
                // Should it come back, its facts do.
                None => paused.land(old)?,
            }
        }
        let is_new = |view: &&AppliedView| catalog.registry.view(view.name()).is_err();
        for new in next.registry.views.iter().filter(is_new) {
            paused.begin(new)?;
        }
        let next = self.commit(next, forget)?;
        for old in &catalog.registry.views {
            let new = next.registry.views.iter().find(|view| view.name() == old.name());
            if let Some(new) = new.filter(|new| new.id != old.id) {
                self.store.log.carry_names(old.id, new.id)?;
            }
        }
        drop(paused);
        self.recover_pushes()?;
        // Rows go after nothing names them any more.
        let is_gone = |published: &&PublishedView| !kept.contains(&published.view.id);
        for published in catalog.published.views().filter(is_gone) {
            self.drop_generations(published)?;
        }
        Ok(next)
    }
}

/// Refuses definitions that their sources do not bear out; what may not be meant is returned.
async fn check_sources(offline: &Offline, loaded: &Loaded) -> Result<Vec<String>> {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for view in &loaded.definitions.views {
        let name = &view.metadata.name;
        let keys = diff::keys(&loaded.definitions, view);
        let found = offline.check_view(view, keys).await?;
        warnings.extend(found.warnings);
        problems.extend(found.problems.into_iter().map(|problem| {
            let place = loaded.places.of_view(name, &problem.field);
            let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
            format!("{place}feature view {name:?}: {}", problem.message)
        }));
    }
    for view in &loaded.definitions.on_demand {
        for (field, message) in on_demand::check(&loaded.definitions, view) {
            let (kind, name) = (ResourceKind::OnDemandView, view.name());
            let place = loaded.places.of(kind, name, &field);
            let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
            problems.push(format!("{place}{kind} {name:?}: {message}"));
        }
    }
    match problems.is_empty() {
        true => Ok(warnings),
        false => Err(Error::invalid(problems.join("\n"))),
    }
}
