//! What readers see: one catalog and the plans compiled from it.

use std::collections::HashMap;
use std::sync::Arc;

use hitherto_api::Selection;
use hitherto_core::Result;
use hitherto_core::catalog::Catalog;

use super::counts::AllCounts;
use super::plan::LookupPlan;
use crate::on_demand::Compiled;
use crate::selection::Resolved;

/// What readers see: one catalog and the plans compiled from it. Immutable;
/// a change swaps in the next one.
pub struct Snapshot {
    /// The catalog.
    pub catalog: Arc<Catalog>,
    services: HashMap<String, Arc<LookupPlan>>,
    compiled: Compiled,
    counts: Arc<AllCounts>,
}

impl Snapshot {
    /// Compiles every service's plan. One that names what is not online yet has none:
    /// whoever asks for it is told what.
    ///
    /// # Errors
    /// `Invalid` or `NotFound` when a service names what is not there, which
    /// `apply` has checked before.
    pub fn new(catalog: Catalog, counts: &Arc<AllCounts>) -> Result<Self> {
        let compiled = Compiled::published(&catalog);
        let mut services = HashMap::with_capacity(catalog.registry.services.len());
        for service in &catalog.registry.services {
            let name = service.metadata.name.clone();
            let selection = Selection::Service(name.clone());
            Resolved::new(&catalog.registry, &selection)?;
            let plan = Resolved::published(&catalog, &selection)
                .and_then(|resolved| LookupPlan::new(&resolved, counts, &compiled));
            services.extend(plan.ok().map(|plan| (name, Arc::new(plan))));
        }
        Ok(Self { catalog: Arc::new(catalog), services, compiled, counts: Arc::clone(counts) })
    }

    pub(super) fn plan(&self, selection: &Selection) -> Result<Arc<LookupPlan>> {
        if let Selection::Service(name) = selection
            && let Some(plan) = self.services.get(name)
        {
            return Ok(Arc::clone(plan));
        }
        let resolved = Resolved::published(&self.catalog, selection)?;
        Ok(Arc::new(LookupPlan::new(&resolved, &self.counts, &self.compiled)?))
    }
}
