//! The repository: definitions, their sources, and what of them is applied and online.

use hitherto_core::catalog::{AppliedView, Catalog};
use hitherto_core::{Error, Kind};
use hitherto_engine::{Access, Plan};

use super::Examined;
use super::finding::Finding;
use crate::numbers::counted;

/// Reads and judges.
pub async fn look(examined: &Examined<'_>) -> Vec<Finding> {
    let session = examined.session;
    if examined.server.is_some() {
        return Vec::new();
    }
    if let Err(error) = session.config() {
        // What is wrong with the file is said of the configuration.
        return match error.kind() {
            Kind::NotFound => vec![absent(&session.root().display().to_string())],
            _ => Vec::new(),
        };
    }
    let mut findings = match session.plan().await {
        Ok(plan) => planned(&plan),
        Err(error) => vec![match session.open(Access::ReadOnly) {
            Err(_) if matches!(session.has_store(), Ok(true)) => not_compared(),
            _ => refused(&error),
        }],
    };
    if let Ok(engine) = session.open(Access::ReadOnly) {
        findings.push(online(&engine.catalog()));
    }
    findings
}

fn absent(root: &str) -> Finding {
    Finding::odd(
        "folder",
        format!("there is no repository at {root}"),
        format!("hitherto init {root}, or name another with --repo"),
    )
}

/// Definitions that load, and sources that they fit.
fn planned(plan: &Plan) -> Vec<Finding> {
    let definitions = &plan.definitions;
    let views = definitions.views.len() as u64;
    let there = Finding::fine(
        "definitions",
        format!(
            "{}, {} and {}",
            counted(definitions.entities.len() as u64, "entity"),
            counted(views, "view"),
            counted(definitions.services.len() as u64, "service")
        ),
    );
    let sources = Finding::fine(
        "sources",
        format!("those of {} can be read, and have its columns", counted(views, "view")),
    );
    let applied = match plan.changes.len() as u64 {
        0 => Finding::fine("applied", "all that is defined"),
        changes => Finding::odd(
            "applied",
            format!("not yet: {}", counted(changes, "change")),
            "hitherto plan, then hitherto apply",
        ),
    };
    vec![there, sources, applied]
}

/// Why definitions do not load, or do not fit their sources.
fn refused(error: &Error) -> Finding {
    match error.kind() {
        Kind::Invalid => Finding::error("definitions", error),
        Kind::Corrupt => Finding::wrong(
            "sources",
            error.chain(),
            "bring a file of yours back from where it came; one in the store with hitherto \
             restore FOLDER (docs/operate/backups.md)",
        ),
        _ => Finding::error("sources", error),
    }
}

/// What is wrong with the store is said of the store.
fn not_compared() -> Finding {
    Finding::odd(
        "definitions",
        "not looked at: the store cannot be opened",
        "mend the store as said below, and look again",
    )
}

/// Views of which nothing can be looked up, or only what was there before they changed.
fn online(catalog: &Catalog) -> Finding {
    let missing: Vec<&str> = catalog.to_be_built().map(AppliedView::name).collect();
    match missing.len() {
        0 => Finding::fine("online", counted(catalog.registry.views.len() as u64, "view")),
        n => Finding::odd(
            "online",
            format!("{} to be built: {}", counted(n as u64, "view"), missing.join(", ")),
            "hitherto materialize",
        ),
    }
}
