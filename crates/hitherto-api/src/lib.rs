//! What is asked of Hitherto and what it answers, without who answers: no engine, no store, no
//! connection.
//!
//! An engine in the process and a client of a server take the same requests and give the same
//! answers, which are here. So is how answers become text, JSON and Arrow, since whoever asks
//! may have no engine.
//!
//! | module            | what it owns                                                 |
//! | ----------------- | ------------------------------------------------------------ |
//! | [`caller`]        | who asks                                                     |
//! | [`clock`]         | by which is answered                                         |
//! | [`grant`]         | what a caller may, for one request                           |
//! | [`selection`]     | a service, or features by reference                          |
//! | [`lookup`]        | entity keys, and feature columns                             |
//! | [`training_set`]  | a training set, and the report that belongs to it            |
//! | [`spine`]         | its label rows, or where they come from                      |
//! | [`manifest`]      | the record that belongs to it                                |
//! | [`thresholds`]    | what its report may say at most                              |
//! | [`push`]          | facts in, and what came of them                              |
//! | [`materialize`]   | sources to the online store                                  |
//! | [`optimize`]      | copies of sources                                            |
//! | [`progress`]      | who is told how such work gets on                            |
//! | [`why`]           | which fact answers, and why the others do not                |
//! | [`verify`]        | both sides compared                                          |
//! | [`pem`]           | certificates and keys in files                               |
//! | [`arrow`]         | types, columns and times as Arrow's                          |
//! | [`arrow_columns`] | a lookup as a record batch                                   |
//! | [`cells`]         | feature values as text and as JSON                           |
//! | [`fields`]        | fields of a request from text and JSON                       |

pub mod arrow;
pub mod arrow_columns;
pub mod caller;
pub mod cells;
pub mod clock;
pub mod fields;
pub mod grant;
pub mod lookup;
pub mod manifest;
pub mod materialize;
pub mod optimize;
pub mod pem;
pub mod progress;
pub mod push;
pub mod selection;
pub mod spine;
pub mod thresholds;
pub mod training_set;
pub mod verify;
pub mod why;

pub use caller::{Assurance, Caller, Ended, Subject, SubjectKind, WhoAmI};
pub use clock::Clock;
pub use grant::Grant;
pub use lookup::{AskedEntity, AskedKey, KeyColumn, Lookup, LookupRequest, ViewTimes};
pub use manifest::Manifest;
pub use materialize::{MaterializeMode, MaterializeRequest, Materialized, RolledBack, TimeRange};
pub use optimize::{OptimizeMode, OptimizeReport};
pub use progress::{Progress, Stage};
pub use push::{Ack, PushRequest, Pushed, content_key};
pub use selection::{FeatureNames, Selection};
pub use spine::{LabelFiles, QueryBounds, Scan, Spine};
pub use thresholds::Thresholds;
pub use training_set::{TrainingSetReport, TrainingSetRequest};
pub use verify::{Verification, VerifyRequest};
pub use why::{Explanation, WhyRequest};
