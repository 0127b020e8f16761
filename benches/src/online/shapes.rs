//! Which questions are asked, by name: `ENTITIESxFEATURES`, and how.

use super::repository::Service;

/// Entities of the lookups that saturate the server for `open_10x50`.
const SEVERAL: usize = 10;
const SEVERAL_CONNECTIONS: usize = 4;

/// How the server is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Unary calls, one in flight on each connection.
    Closed,
    /// Unary calls at half of the rate that the same calls reach in closed loop.
    Open,
    /// One stream, one request in flight.
    Stream,
    /// As `Closed`, of a server whose cache holds a tenth, without an echo.
    Cold,
    /// The engine in process.
    InProcess,
    /// The engine in process, as of an earlier moment and at now.
    AsOf,
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Its name, and its key in the answer.
    pub name: &'static str,
    /// What is asked for.
    pub service: Service,
    /// Entities of one request.
    pub rows: usize,
    /// Connections; in process there is one thread.
    pub connections: usize,
    /// How it is asked.
    pub way: Way,
}

impl Shape {
    /// Whether other stores are asked the same.
    pub fn has_peers(&self) -> bool {
        self.way == Way::Closed && self.service == Service::Narrow && [1, 100].contains(&self.rows)
    }
}

/// Every shape, in the order in which they are measured.
pub fn all() -> Vec<Shape> {
    let shape = |name, rows, connections, way| Shape {
        name,
        service: Service::Narrow,
        rows,
        connections,
        way,
    };
    let wide = Shape { service: Service::Wide, ..shape("1x250", 1, 1, Way::Closed) };
    let as_of = |name, rows| Shape { service: Service::History, ..shape(name, rows, 1, Way::AsOf) };
    vec![
        shape("1x50", 1, 1, Way::Closed),
        wide,
        shape("10x50", SEVERAL, SEVERAL_CONNECTIONS, Way::Closed),
        shape("100x50", 100, 8, Way::Closed),
        shape("1000x50", 1_000, 2, Way::Closed),
        shape("open_10x50", SEVERAL, SEVERAL_CONNECTIONS, Way::Open),
        shape("stream_1x50", 1, 1, Way::Stream),
        shape("in_process_1x50", 1, 1, Way::InProcess),
        shape("in_process_100x50", 100, 1, Way::InProcess),
        as_of("as_of_1x50", 1),
        as_of("as_of_100x50", 100),
        shape("cold", 1, 4, Way::Cold),
    ]
}
