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

use hitherto_api::verify::{Comparison, Outcome, VerifiedView};
use hitherto_api::{Grant, Verification, VerifyRequest};
use hitherto_core::catalog::{AppliedView, PublishedView, Reads};
use hitherto_core::limits::VERIFY_SAMPLES_MAX;
use hitherto_core::{Error, Kind, Result};
use hitherto_offline::files::SourceFile;

use crate::Engine;
use crate::files::ViewFiles;

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
            [] => catalog.registry.views.iter().collect(),
            names => names.iter().map(|name| catalog.registry.view(name)).collect::<Result<_>>()?,
        };
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
