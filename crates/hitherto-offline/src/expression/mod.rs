//! Expressions of on-demand views: SQL over one row, compiled once and computed column by
//! column, for lookups and training sets alike.
//!
//! ```text
//! compile  text -> DataFusion's parser and planner over the declared inputs
//!               -> what is allowed, a list and nothing else (`allowed`)
//!               -> types brought together, as DataFusion does
//!               -> what could fail a batch put in other words (`rewrite`): integers that
//!                  overflow, division by zero and casts that do not fit are null
//!               -> constants computed -> DataFusion's physical expression
//! compute  columns -> column, and for each null why (`run`)
//! ```
//!
//! Every function is of one row and of nothing else, so how rows are cut into batches changes
//! no value, and a lookup and a training set cannot differ: both hold an [`Expressions`]. No
//! value fails others: where a kernel refuses a batch all the same, its halves are computed by
//! themselves, down to the row that is null for it.
//!
//! Functions whose last bit is the platform's business (logarithms, powers, sines) are those of
//! the `libm` crate, which are the same on every machine.

mod allowed;
mod arithmetic;
mod compile;
mod faults;
mod functions;
mod kernel;
mod lists;
mod rewrite;
mod run;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ::arrow::datatypes::SchemaRef;
use datafusion::physical_plan::PhysicalExpr;
use hitherto_core::Error;
use hitherto_core::definition::OnDemandView;
use hitherto_core::definition::on_demand::REQUEST;
use hitherto_core::types::DataType;

pub use self::run::Computed;

/// The release of the engine that plans and computes expressions.
pub const ENGINE: &str = datafusion::DATAFUSION_VERSION;

/// What an expression can read: an input, or a field of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable {
    /// The view that expressions call it by; `None` is the request.
    pub view: Option<String>,
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub data_type: DataType,
}

/// The compiled expressions of one on-demand view.
#[derive(Debug)]
pub struct Expressions(Vec<Compiled>);

/// One of them.
#[derive(Debug)]
struct Compiled {
    /// `view:feature`, for messages.
    name: String,
    /// What it reads, in the order of its columns.
    reads: Vec<Read>,
    schema: SchemaRef,
    expr: Arc<dyn PhysicalExpr>,
}

/// A column that an expression reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// What can be read, by position.
    Column(usize),
    /// The moment of each row, microseconds UTC.
    Time,
}

impl Expressions {
    /// Compiles all features of a view; its inputs and fields of its request are `readable`.
    ///
    /// # Errors
    /// For each feature that cannot be, its name and `Invalid`, which says what to write.
    pub fn compile(
        view: &OnDemandView,
        readable: &[Readable],
    ) -> std::result::Result<Self, Vec<(String, Error)>> {
        let (mut compiled, mut refused) = (Vec::new(), Vec::new());
        for feature in &view.features {
            match compile::compile(view.name(), feature, readable) {
                Ok(one) => compiled.push(one),
                Err(error) => refused.push((feature.name.clone(), error)),
            }
        }
        if refused.is_empty() { Ok(Self(compiled)) } else { Err(refused) }
    }

    /// What a feature, by its place in the view, reads.
    pub fn reads(&self, feature: usize) -> &[Read] {
        &self.0[feature].reads
    }
}

impl Readable {
    /// The view's name, or the word for the request.
    fn table(&self) -> &str {
        self.view.as_deref().unwrap_or(REQUEST)
    }

    /// What expressions can always call it.
    fn called(&self) -> String {
        format!("{}.{}", self.table(), self.name)
    }
}

/// An error that DataFusion should not have.
fn broken(name: &str, cause: datafusion::error::DataFusionError) -> Error {
    Error::internal(format!("feature {name} cannot be computed; report it")).with_source(cause)
}
