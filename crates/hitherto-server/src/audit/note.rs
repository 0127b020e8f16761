//! A call's record, while it is under way.

use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use hitherto_api::{Caller, Selection};
use hitherto_core::{Error, Kind, Result};
use hitherto_proto::convert::status::to_status;
use hitherto_trust::audit::{Decision, Event, Record};
use http::Extensions;
use parking_lot::Mutex;
use tonic::Status;

use super::Audit;
use crate::metrics::Method;
use crate::port::Connection;

/// Where whoever works on a call notes what it asks for. Clones note in one place; where
/// nothing is recorded there is none.
#[derive(Clone, Default)]
pub struct Note(Option<Arc<Noted>>);

struct Noted {
    audit: Arc<Audit>,
    caller: Option<Arc<Caller>>,
    address: Option<IpAddr>,
    method: Method,
    call: u64,
    begun: Instant,
    /// What it turned out to ask for.
    asked: Mutex<Record>,
}

impl Note {
    /// Notes, if anything is recorded.
    pub fn set(&self, note: impl FnOnce(&Audit, &mut Record)) {
        if let Some(noted) = &self.0 {
            note(&noted.audit, &mut noted.asked.lock());
        }
    }

    /// Notes what is selected: a service, or the views of features.
    pub fn select(&self, selection: &Selection) {
        self.set(|_, record| match selection {
            Selection::Service(name) => record.service.clone_from(name),
            Selection::Features(features) => {
                let mut views: Vec<&str> =
                    features.iter().map(|feature| feature.view.view.as_str()).collect();
                views.sort_unstable();
                views.dedup();
                record.views = views.into_iter().map(str::to_owned).collect();
                record.features = features.len() as u64;
            }
        });
    }

    /// Begins the record of work that the call has started, and that goes on without it.
    pub fn goes_on(&self) -> Entry {
        Entry { note: self.clone(), event: Event::JobEnded }
    }

    fn write(&self, event: Event, outcome: &str) -> Result<()> {
        let Some(noted) = &self.0 else { return Ok(()) };
        let Noted { audit, caller, address, method, call, begun, asked } = &**noted;
        let asked = match (event, Arc::strong_count(noted)) {
            // Nobody else notes anything, or asks.
            (Event::Call, 1) => mem::take(&mut *asked.lock()),
            _ => asked.lock().clone(),
        };
        audit.write(&Record {
            time: (audit.clock)(),
            event,
            call: *call,
            caller: caller.as_ref().map(ToString::to_string).unwrap_or_default(),
            address: address.map(|address| address.to_string()).unwrap_or_default(),
            method: method.name().to_owned(),
            decision: decision(outcome),
            outcome: outcome.to_owned(),
            duration: begun.elapsed().as_micros() as u64,
            ..asked
        })
    }
}

/// Whether a caller might, by how the call ended.
fn decision(outcome: &str) -> Decision {
    let refusals = [Kind::Denied, Kind::Forbidden].map(Kind::name);
    match refusals.contains(&outcome) {
        true => Decision::Denied,
        false => Decision::Permitted,
    }
}

/// The record that a call, or what it has started, will have; dropped unended, it was given up.
pub struct Entry {
    note: Note,
    event: Event,
}

impl Entry {
    /// The record of a call that begins.
    pub fn begin(audit: Option<&Arc<Audit>>, method: Method, asked: &Extensions) -> Self {
        let noted = audit.map(|audit| {
            let connection = asked.get::<Arc<Connection>>();
            Arc::new(Noted {
                audit: Arc::clone(audit),
                caller: asked.get().cloned(),
                address: connection.and_then(|one| Some(one.address?.ip())),
                method,
                call: audit.call(),
                begun: Instant::now(),
                asked: Mutex::default(),
            })
        });
        Self { note: Note(noted), event: Event::Call }
    }

    /// Where the call's work notes what it asks for.
    pub fn note(&self) -> Note {
        self.note.clone()
    }

    /// Refuses a call that could not be recorded.
    ///
    /// # Errors
    /// `Unavailable` when nothing can be written, and nothing is answered without.
    pub fn check(&mut self) -> Result<()> {
        let checked = self.note.0.as_ref().map_or(Ok(()), |noted| noted.audit.check());
        if checked.is_err() {
            // The log has counted it among those that were refused.
            self.note = Note::default();
        }
        checked
    }

    /// Records that a call has begun, with what is known of it.
    ///
    /// # Errors
    /// As [`Entry::check`].
    pub fn begun(&self) -> Result<()> {
        self.note.write(Event::Begun, "")
    }

    /// Records how it ended.
    ///
    /// # Errors
    /// As [`Entry::check`].
    pub fn end(&mut self, outcome: &str) -> Result<()> {
        let written = self.note.write(self.event, outcome);
        self.note = Note::default();
        written
    }

    /// Waits until the disk has the record of a change.
    ///
    /// # Errors
    /// As [`Entry::check`].
    pub async fn settle(audit: Option<&Arc<Audit>>, method: Method) -> Result<(), Status> {
        match audit.filter(|_| method.is_administration()) {
            Some(audit) => {
                Arc::clone(audit).settle().await.map_err(|error: Error| to_status(&error))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Err(error) = self.end("cancelled") {
            tracing::debug!(%error, "a call that was given up is not recorded");
        }
    }
}
