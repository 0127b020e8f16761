//! VERIFY: both sides computed and compared, value by value.
//!
//! ```text
//! files      those that the online copy has consumed, if they are unchanged, and those
//!            of pushed facts
//! sample     facts drawn by a seed; of each an entity and a moment at which its
//!            answer changes; and a few entities without facts
//! offline    a training set over these pairs         the paths that
//! online     a lookup of each pair, as of its time   everybody uses
//! compare    bit for bit: a NaN is the same NaN, 0.0 is not -0.0
//! ```
//!
//! Facts that arrived after the last materialization are no difference: the
//! offline side reads what the online copy has read. Where that is no longer
//! there to be read, a view is stale, which is neither a difference nor a
//! success.
//!
//! | module      | what it owns                                            |
//! | ----------- | -------------------------------------------------------- |
//! | `questions` | which entities are asked about, and when                 |
//! | `compare`   | both answers to them                                     |

mod compare;
mod questions;

use hitherto_api::Grant;
use hitherto_core::catalog::{AppliedView, PublishedView, Reads};
use hitherto_core::limits::VERIFY_SAMPLES_MAX;
use hitherto_core::{Error, Kind, Result};
use hitherto_offline::files::SourceFile;
use serde::Serialize;

use crate::Engine;
use crate::files::ViewFiles;

/// Compares online with offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyRequest {
    /// View names; empty is all.
    pub views: Vec<String>,
    /// Facts drawn from each view.
    pub samples: usize,
    /// Draws the facts: the same seed asks the same questions of the same facts.
    pub seed: u64,
}

impl Default for VerifyRequest {
    fn default() -> Self {
        Self { views: Vec::new(), samples: 1_000, seed: 0 }
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// One for each view, in the order of the request.
    pub views: Vec<VerifiedView>,
}

/// What was found of one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedView {
    /// The view's name.
    pub view: String,
    /// Whether it was compared, and what came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Whether a view was compared, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing of it is online.
    Skipped,
    /// What the online copy has consumed can no longer be read.
    Stale {
        /// What is not as it was, such as `data/labs.parquet has changed`.
        reason: String,
    },
    /// It was compared.
    Compared(Comparison),
}

/// Both sides of one view. Times are microseconds UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// No question was asked for a moment before it.
    pub horizon: i64,
    /// Questions: an entity and a moment.
    pub pairs: u64,
    /// Questions that the offline side answers with at least one value.
    pub pairs_with_value: u64,
    /// Values compared, nulls included.
    pub values: u64,
    /// Values that are not the same on both sides.
    pub differences: u64,
    /// The first differences.
    pub first: Vec<Difference>,
}

/// One value that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The entity, as `key=value`, several with commas between.
    pub entity: String,
    /// The moment, microseconds UTC.
    pub at: i64,
    /// The feature, as `view:feature`.
    pub feature: String,
    /// The training set's value as text; `None` is null.
    pub offline: Option<String>,
    /// The lookup's value as text; `None` is null.
    pub online: Option<String>,
}

impl Verification {
    /// Values compared, over all views.
    pub fn values(&self) -> u64 {
        self.compared().map(|comparison| comparison.values).sum()
    }

    /// Values that differ, over all views.
    pub fn differences(&self) -> u64 {
        self.compared().map(|comparison| comparison.differences).sum()
    }

    /// Views that could not be compared, because what they consumed is not there
    /// as it was: names with reasons.
    pub fn stale(&self) -> impl Iterator<Item = (&str, &str)> {
        self.views.iter().filter_map(|view| match &view.outcome {
            Outcome::Stale { reason } => Some((view.view.as_str(), reason.as_str())),
            _ => None,
        })
    }

    fn compared(&self) -> impl Iterator<Item = &Comparison> {
        self.views.iter().filter_map(|view| match &view.outcome {
            Outcome::Compared(comparison) => Some(comparison),
            _ => None,
        })
    }
}

impl Engine {
    /// Computes answers to sampled questions on both sides and compares them.
    /// Reads each view's source twice and blocks for its lookups.
    ///
    /// # Errors
    /// `NotFound` for an unknown view; `Invalid` for too many samples, or when a
    /// source no longer fits its definition; `Corrupt` or `Unavailable` from
    /// files and store. A difference is no error.
    pub async fn verify(
        &self,
        grant: &Grant,
        request: &VerifyRequest,
        now: i64,
    ) -> Result<Verification> {
        if request.samples > VERIFY_SAMPLES_MAX {
            return Err(Error::invalid(format!(
                "{} samples are more than one verification draws from a view (at most \
                 {VERIFY_SAMPLES_MAX}); use several seeds",
                request.samples
            )));
        }
        let catalog = self.catalog();
        let views: Vec<&AppliedView> = match request.views.as_slice() {
            [] => catalog.registry.views.iter().filter(|view| view.is_kept()).collect(),
            names => names.iter().map(|name| catalog.registry.view(name)).collect::<Result<_>>()?,
        };
        views.iter().try_for_each(|view| view.check_kept("verified"))?;
        let mut verification = Verification::default();
        for view in views {
            let outcome = match catalog.published.reads(view) {
                Reads::Own(published) => self.verify_view(grant, published, request, now).await?,
                Reads::Earlier(_) => Outcome::Stale {
                    reason: String::from(
                        "its definition has changed, and its online copy is of the one before; \
                         materialize it",
                    ),
                },
                Reads::Nothing => Outcome::Skipped,
            };
            verification.views.push(VerifiedView { view: view.name().to_owned(), outcome });
        }
        Ok(verification)
    }

    async fn verify_view(
        &self,
        grant: &Grant,
        published: &PublishedView,
        request: &VerifyRequest,
        now: i64,
    ) -> Result<Outcome> {
        let PublishedView { view, generation, .. } = published;
        let source = match self.consumed_files(view)? {
            Ok(files) => files,
            Err(reason) => return Ok(Outcome::Stale { reason }),
        };
        let files = ViewFiles { source, pushed: self.pushed_files(view)? };
        let questions = questions::draw(self, published, &files, request, now).await?;
        let comparison = compare::compare((self, grant), view, &files, &questions, now).await;
        // A run beside this one makes the two sides answer from different facts.
        let catalog = self.catalog();
        let held = catalog.online(view.id);
        if held.is_none_or(|held| held.generation != *generation) {
            let reason = String::from("the view was materialized meanwhile");
            return Ok(Outcome::Stale { reason });
        }
        Ok(Outcome::Compared(Comparison { horizon: generation.horizon, ..comparison? }))
    }

    /// The files that a view's online copy holds, or why they cannot be read.
    fn consumed_files(&self, view: &AppliedView) -> Result<Result<Vec<SourceFile>, String>> {
        let all = match self.offline.list_files(&view.definition) {
            // Files that are gone are named one by one.
            Err(error) if error.kind() == Kind::NotFound => Vec::new(),
            listed => listed?,
        };
        self.local().consumed(view.id)?.intact(&all)
    }
}
