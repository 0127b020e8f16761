//! What is counted, and how `/metrics` is written.
//!
//! Requests are counted through a [`Call`], which lives as long as the request
//! does: whatever happens to it, also that its caller goes away, is counted
//! once. Handles are made when the server starts, so that counting formats no
//! label and looks nothing up. What the store and the catalog hold is not
//! counted but read when somebody scrapes, and so is what lookups found in each
//! view: see [`store`] and [`views`].

mod audit;
mod port;
mod store;
mod views;

use std::array;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hitherto_api::{Lookup, Selection};
use hitherto_core::Kind;
use hitherto_engine::Engine;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tonic::{Code, Status};

use crate::audit::Audit;
use crate::port::Room;
use crate::secure::Denials;

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of latency buckets, in seconds: a lookup from cache takes tens
/// of microseconds, a training set takes as long as it takes.
const BUCKETS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    2.0, 5.0, 10.0,
];

/// What callers call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A unary lookup.
    Lookup,
    /// One request of a lookup stream.
    LookupStream,
    /// A lookup on Feast's wire.
    GetOnlineFeatures,
    /// A lookup in JSON.
    HttpLookup,
    /// A lookup in Feast's JSON.
    HttpGetOnlineFeatures,
    /// The catalog.
    GetCatalog,
    /// A training set, from the call to its last row.
    TrainingSet,
    /// An explanation.
    Why,
    /// A verification.
    Verify,
    /// One pushed batch.
    Push,
    /// Definitions applied, or planned.
    Apply,
    /// A view taken back.
    Rollback,
    /// A job started, listed, watched or cancelled.
    Job,
    /// Who asks.
    WhoAmI,
}

impl Method {
    const ALL: [Method; 14] = [
        Method::Lookup,
        Method::LookupStream,
        Method::GetOnlineFeatures,
        Method::HttpLookup,
        Method::HttpGetOnlineFeatures,
        Method::GetCatalog,
        Method::TrainingSet,
        Method::Why,
        Method::Verify,
        Method::Push,
        Method::Apply,
        Method::Rollback,
        Method::Job,
        Method::WhoAmI,
    ];

    /// Whether it changes something; for pushes, facts.
    pub const fn changes(self) -> bool {
        matches!(self, Method::Push) || self.is_administration()
    }

    /// Whether it changes what there is, and not only facts of it.
    pub const fn is_administration(self) -> bool {
        matches!(self, Method::Apply | Method::Rollback | Method::Job)
    }

    /// Whether its answer goes on for a while.
    pub const fn goes_on(self) -> bool {
        matches!(self, Method::TrainingSet)
    }

    /// The method's stable name, in metrics and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Lookup => "lookup",
            Method::LookupStream => "lookup_stream",
            Method::GetOnlineFeatures => "get_online_features",
            Method::HttpLookup => "http_lookup",
            Method::HttpGetOnlineFeatures => "http_get_online_features",
            Method::GetCatalog => "get_catalog",
            Method::TrainingSet => "training_set",
            Method::Why => "why",
            Method::Verify => "verify",
            Method::Push => "push",
            Method::Apply => "apply",
            Method::Rollback => "rollback",
            Method::Job => "job",
            Method::WhoAmI => "who_am_i",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It was answered.
    Ok,
    /// It was refused because the server is full.
    Refused,
    /// Its caller went away first.
    Cancelled,
    /// It failed.
    Failed(Kind),
}

impl Outcome {
    const COUNT: usize = 3 + Kind::ALL.len();

    fn all() -> [Outcome; Self::COUNT] {
        array::from_fn(|index| match index {
            0 => Outcome::Ok,
            1 => Outcome::Refused,
            2 => Outcome::Cancelled,
            failed => Outcome::Failed(Kind::ALL[failed - 3]),
        })
    }

    fn of(status: &Status) -> Self {
        match status.code() {
            Code::ResourceExhausted => Outcome::Refused,
            Code::Cancelled => Outcome::Cancelled,
            code => Outcome::Failed(Kind::from_grpc_code(code as i32)),
        }
    }

    const fn index(self) -> usize {
        match self {
            Outcome::Ok => 0,
            Outcome::Refused => 1,
            Outcome::Cancelled => 2,
            // Kinds are listed in the order in which they are declared.
            Outcome::Failed(kind) => 3 + kind as usize,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Refused => "refused",
            Outcome::Cancelled => "cancelled",
            Outcome::Failed(kind) => kind.name(),
        }
    }
}

/// Everything that one server counts.
pub struct Metrics {
    registry: Registry,
    methods: [MethodMetrics; Method::ALL.len()],
    service_seconds: Seconds<(&'static str, String)>,
    lookup_rows: Counter,
    lookup_values: Counter,
    training_set_rows: Counter,
}

/// The handles of one method.
struct MethodMetrics {
    outcomes: [Counter; Outcome::COUNT],
    seconds: Histogram,
    in_flight: Gauge,
}

/// Latencies by one label.
type Seconds<L> = Family<[L; 1], Histogram, fn() -> Histogram>;

/// One label with its value.
type Label = (&'static str, &'static str);

/// The families that the handles of methods belong to.
struct Families {
    requests: Family<[Label; 2], Counter>,
    seconds: Seconds<Label>,
    in_flight: Family<[Label; 1], Gauge>,
}

impl Metrics {
    /// Counts from zero; what is stored is read from `engine`.
    pub fn new(engine: Arc<Engine>) -> Self {
        let mut registry = Registry::with_prefix("hitherto");
        registry.register(
            "build",
            "The release that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let families = Families::register(&mut registry);
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let lookup_rows = counter("lookup_rows", "Entities looked up");
        let lookup_values = counter("lookup_values", "Values looked up: entities times features");
        let training_set_rows = counter("training_set_rows", "Rows of training sets sent");
        let service_seconds: Seconds<_> = Family::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register_with_unit(
            "service_lookup_duration",
            "Time of a lookup of a feature service, without the network",
            Unit::Seconds,
            service_seconds.clone(),
        );
        registry.register_collector(Box::new(store::Store::new(Arc::clone(&engine))));
        registry.register_collector(Box::new(views::Views::new(engine)));
        let methods = Method::ALL.map(|method| families.method(method));
        Self { registry, methods, service_seconds, lookup_rows, lookup_values, training_set_rows }
    }

    /// The same with who is connected and who was denied.
    pub fn of_port(mut self, room: &Arc<Room>, denials: &Denials) -> Self {
        let port = port::Port::new(Arc::clone(room), denials.clone());
        self.registry.register_collector(Box::new(port));
        self
    }

    /// The same with how the audit log is, if there is one.
    pub fn of_audit(mut self, audit: Option<&Arc<Audit>>) -> Self {
        if let Some(audit) = audit {
            self.registry.register_collector(Box::new(audit::Log::new(Arc::clone(audit))));
        }
        self
    }

    /// Begins to count a request.
    pub fn begin(self: &Arc<Self>, method: Method) -> Call {
        self.methods[method as usize].in_flight.inc();
        Call {
            metrics: Arc::clone(self),
            method,
            begun: Instant::now(),
            outcome: Outcome::Cancelled,
        }
    }

    /// Counts what a lookup answered and how long it took.
    pub fn looked_up(&self, selection: &Selection, answer: &Lookup, took: Duration) {
        // Features that callers choose are as many as callers like.
        if let Selection::Service(name) = selection {
            let label = [("service", name.clone())];
            self.service_seconds.get_or_create(&label).observe(took.as_secs_f64());
        }
        self.lookup_rows.inc_by(answer.rows as u64);
        self.lookup_values.inc_by((answer.rows * answer.columns.len()) as u64);
    }

    /// Counts rows of a training set on their way.
    pub fn trained(&self, rows: usize) {
        self.training_set_rows.inc_by(rows as u64);
    }

    /// Writes everything in the OpenMetrics text format, of [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// None in practice: text goes to memory.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Families {
    fn register(registry: &mut Registry) -> Self {
        let families = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Family::default(),
        };
        registry.register(
            "requests",
            "Requests by method and how they ended",
            families.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from a request to its answer, or to the last row of a training set",
            Unit::Seconds,
            families.seconds.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests being answered now",
            families.in_flight.clone(),
        );
        families
    }

    fn method(&self, method: Method) -> MethodMetrics {
        let label = ("method", method.name());
        let outcomes = Outcome::all();
        let outcomes = outcomes.map(|outcome| {
            self.requests.get_or_create_owned(&[label, ("outcome", outcome.name())])
        });
        MethodMetrics {
            outcomes,
            seconds: self.seconds.get_or_create_owned(&[label]),
            in_flight: self.in_flight.get_or_create_owned(&[label]),
        }
    }
}

/// One request being counted; counted when dropped, as cancelled unless it was
/// seen to end.
pub struct Call {
    metrics: Arc<Metrics>,
    method: Method,
    begun: Instant,
    outcome: Outcome,
}

impl Call {
    /// Sees the request answered.
    pub fn answered(&mut self) {
        self.outcome = Outcome::Ok;
    }

    /// How it ended so far.
    pub fn outcome(&self) -> &'static str {
        self.outcome.name()
    }

    /// Sees the request fail. What somebody must look into is logged here, and
    /// nowhere else.
    pub fn failed(&mut self, status: &Status) {
        self.outcome = Outcome::of(status);
        if let Outcome::Failed(Kind::Internal | Kind::Corrupt) = self.outcome {
            tracing::error!(method = self.method.name(), "{}", status.message());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let method = &self.metrics.methods[self.method as usize];
        method.in_flight.dec();
        method.outcomes[self.outcome.index()].inc();
        method.seconds.observe(self.begun.elapsed().as_secs_f64());
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.method).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
