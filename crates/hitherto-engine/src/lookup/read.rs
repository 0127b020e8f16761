//! The store's rows for one request, and the rule applied to them.

use std::ops::ControlFlow;

use hitherto_core::rule::{self, Absence, Answer, Moment, Says, Search};
use hitherto_core::{Result, row};
use hitherto_online::{Snapshot, keys};

use super::plan::{EncodedEntities, LookupPlan};

/// Reads one request's rows, view by view, entities in request order.
pub(super) struct Reader<'a> {
    pub plan: &'a LookupPlan,
    pub entities: &'a [EncodedEntities],
    pub store: &'a dyn Snapshot,
    pub at: i64,
}

impl Reader<'_> {
    /// Calls `take` once for each view and entity, views in plan order.
    pub fn read_all(
        &self,
        rows: usize,
        mut take: impl FnMut(usize, Answer<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut batch = Vec::with_capacity(rows * self.plan.views.len());
        let mut owners = Vec::with_capacity(batch.capacity());
        for (index, view) in self.plan.views.iter().enumerate() {
            for (row, entity) in self.entities[view.entity].iter().enumerate() {
                if let (Some((generation, _)), Some(entity)) = (view.online, entity) {
                    batch.push(keys::latest(generation, entity));
                    owners.push((index, row));
                }
            }
        }
        // Cells are taken in order; those without a key to read come between.
        let mut cells =
            (0..self.plan.views.len()).flat_map(|view| (0..rows).map(move |row| (view, row)));
        self.store.read_latest(&batch, &mut |index, latest| {
            for (view, row) in cells.by_ref() {
                if (view, row) == owners[index] {
                    return self.answer(view, row, latest, &mut take);
                }
                take(view, Err(self.absence(view, row)))?;
            }
            Ok(())
        })?;
        cells.try_for_each(|(view, row)| take(view, Err(self.absence(view, row))))
    }

    fn absence(&self, view: usize, row: usize) -> Absence {
        match self.entities[self.plan.views[view].entity][row] {
            None => Absence::NullKey,
            Some(_) => Absence::NeverSeen,
        }
    }

    fn answer(
        &self,
        view: usize,
        row: usize,
        latest: Option<&[u8]>,
        take: &mut impl FnMut(usize, Answer<'_>) -> Result<()>,
    ) -> Result<()> {
        let plan = &self.plan.views[view];
        let moment = Moment::new(self.at, plan.known);
        let Some(latest) = latest else { return take(view, Err(Absence::NeverSeen)) };
        let times = row::times(latest)?;
        if moment.sees(times) {
            let winner = Some((times.event, Says::of_row(latest)));
            let judged = rule::judge(winner, false, self.at, plan.ttl_micros);
            return take(view, judged.map(|()| latest));
        }
        let (Some((generation, _)), Some(entity)) = (plan.online, &self.entities[plan.entity][row])
        else {
            return take(view, Err(Absence::NeverSeen));
        };
        let mut search = Search::new(moment, plan.ttl_micros);
        let mut taken = None;
        self.store.scan_history(generation, entity, self.at, &mut |times, bytes| match search
            .show(times, bytes)
        {
            Some(answer) => {
                taken = Some(take(view, answer));
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        })?;
        taken.unwrap_or_else(|| take(view, Err(search.absence())))
    }
}
