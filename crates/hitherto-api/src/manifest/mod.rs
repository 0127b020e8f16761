//! The manifest: the record that belongs to a training set.
//!
//! It says what was asked, which definitions answered, which bytes were read
//! and what came out, so that anybody can build the same rows again and see
//! that they are the same. It holds no clock time: two builds of the same rows
//! have the same manifest.
//!
//! | module      | what it owns                        |
//! | ----------- | ----------------------------------- |
//! | [`content`] | the hash of rows                    |

pub mod content;

use hitherto_core::definition::{Known, OnDemandView};
use hitherto_core::reference::FeatureRef;
use hitherto_core::time::{format_timestamp, parse_timestamp};
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::selection::{FeatureNames, Selection};
use crate::spine::{LabelFiles, Scan, Spine};
use crate::training_set::TrainingSetRequest;

/// The form of manifests that this release writes.
pub const FORMAT: u32 = 1;

/// The record of one training set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this record; a newer one is refused.
    pub format: u32,
    /// The release that built the rows.
    pub engine: String,
    /// What was asked.
    pub request: RequestRecord,
    /// The features in the order of the columns, as they were found.
    pub features: Vec<FeatureRef>,
    /// The views that answered.
    pub views: Vec<ViewRecord>,
    /// The on-demand views that were computed, or read by those that were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_demand: Vec<OnDemandRecord>,
    /// The release of what computed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expressions: Option<String>,
    /// The label rows.
    pub spine: RowsRecord,
    /// The training rows.
    pub content: RowsRecord,
    /// The columns of the training rows.
    pub schema: Vec<ColumnRecord>,
    /// What may not have been meant, such as times without a zone, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The feature service, if one was named.
    pub service: Option<String>,
    /// The spine's column of times.
    pub timestamp: String,
    /// Whose local times they are if they have no zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Zone>,
    /// The knowledge cutoff `K`, RFC 3339.
    pub known_by: Option<String>,
    /// Whether known time counted, where the request said so.
    pub known: Option<Known>,
    /// Whether columns are named `view:feature`.
    pub full_names: bool,
    /// What made the spine; `None` is label rows, which nobody can make again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spine: Option<SpineRecord>,
}

/// What made a spine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpineRecord {
    /// A query.
    Sql(String),
    /// All entities at a moment, RFC 3339.
    At(String),
    /// The facts of a window, RFC 3339.
    Between {
        /// Not in the window.
        after: String,
        /// In the window.
        until: String,
    },
}

/// One view that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRecord {
    /// What the request calls it.
    pub name: String,
    /// The feature view.
    pub view: String,
    /// Changes with everything that can change its answers.
    pub definition: String,
    /// Whether known time counted. If it did not, rows may have what was not known yet.
    #[serde(default, skip_serializing_if = "is_honored")]
    pub known: Known,
    /// What was read.
    pub files: Vec<FileRecord>,
}

/// One on-demand view that was computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemandRecord {
    /// Its name.
    pub view: String,
    /// Changes with everything that can change its answers.
    pub definition: String,
}

impl OnDemandRecord {
    /// Of a view as it is defined.
    pub fn new(view: &OnDemandView) -> Self {
        let definition = format!("{:016x}", view.definition_hash());
        Self { view: view.name().to_owned(), definition }
    }
}

fn is_honored(known: &Known) -> bool {
    *known == Known::Honor
}

/// One source file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Relative to the repository if it lies in it.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// XXH3-128 of its content.
    pub fingerprint: String,
}

/// Rows and their content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsRecord {
    /// How many.
    pub rows: u64,
    /// See [`content`].
    pub hash: String,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnRecord {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// `Invalid` when it is not one, or a newer release wrote it.
    pub fn from_json(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let refuse = |cause: serde_json::Error| {
            Error::invalid(
                "this is not the manifest of a training set; name the file that was written with \
                 --manifest",
            )
            .with_source(cause)
        };
        let Form { format } = serde_json::from_str(json).map_err(refuse)?;
        if format > FORMAT {
            return Err(Error::invalid(format!(
                "the manifest has format {format}, this release reads up to {FORMAT}; use the \
                 release that wrote it or a newer one"
            )));
        }
        serde_json::from_str(json).map_err(refuse)
    }

    /// The request that builds these rows again, over the features as they were
    /// found then.
    ///
    /// # Errors
    /// `Invalid` when the cutoff is not a time.
    pub fn to_request(&self) -> Result<TrainingSetRequest> {
        let request = &self.request;
        Ok(TrainingSetRequest {
            selection: Selection::Features(self.features.clone()),
            timestamp: request.timestamp.clone(),
            timezone: request.timezone.clone(),
            known_by: request.known_by.as_deref().map(parse_timestamp).transpose()?,
            known: request.known,
            names: match request.full_names {
                true => FeatureNames::Full,
                false => FeatureNames::Short,
            },
        })
    }

    /// The spine as it was made. SQL runs over the files that there are now, and over
    /// those of views only.
    ///
    /// # Errors
    /// `Invalid` when the spine was label rows.
    pub fn to_spine(&self) -> Result<Spine> {
        match &self.request.spine {
            None => Err(Error::invalid(
                "the manifest's spine was label rows, of which it has only a hash; name them with \
                 --spine",
            )),
            Some(SpineRecord::Sql(query)) => {
                Ok(Spine::Sql { query: query.clone(), files: LabelFiles::Closed, bounds: None })
            }
            Some(SpineRecord::At(at)) => Ok(Spine::Scan(Scan::At(parse_timestamp(at)?))),
            Some(SpineRecord::Between { after, until }) => Ok(Spine::Scan(Scan::Between {
                after: parse_timestamp(after)?,
                until: parse_timestamp(until)?,
            })),
        }
    }

    /// Whether `other` has the same rows in the same columns.
    pub fn has_rows_of(&self, other: &Manifest) -> bool {
        self.content == other.content && self.schema == other.schema
    }

    /// What differs in `rebuilt`, a line each, causes first: releases,
    /// definitions, source files, spine, columns, rows.
    pub fn differences(&self, rebuilt: &Manifest) -> Vec<String> {
        let mut lines = Vec::new();
        let mut compare = |what: &str, before: &str, now: &str| {
            if before != now {
                lines.push(format!("{what}: {before} then, {now} now"));
            }
        };
        compare("engine", &self.engine, &rebuilt.engine);
        for view in &self.views {
            let Some(now) = rebuilt.views.iter().find(|now| now.name == view.name) else {
                compare(&format!("feature view {}", view.name), "read", "not read");
                continue;
            };
            let definition = format!("definition of feature view {}", view.view);
            compare(&definition, &view.definition, &now.definition);
            for file in &view.files {
                let what = format!("source file {} of feature view {}", file.name, view.view);
                match now.files.iter().find(|now| now.name == file.name) {
                    Some(now) => compare(&what, &file.fingerprint, &now.fingerprint),
                    None => compare(&what, &file.fingerprint, "missing"),
                }
            }
        }
        for one in &self.on_demand {
            let now = rebuilt.on_demand.iter().find(|now| now.view == one.view);
            let what = format!("definition of on-demand view {}", one.view);
            compare(
                &what,
                &one.definition,
                now.map_or("not computed", |now| now.definition.as_str()),
            );
        }
        let engine = |manifest: &Manifest| manifest.expressions.clone().unwrap_or_default();
        compare("engine of expressions", &engine(self), &engine(rebuilt));
        compare("rows of the spine", &self.spine.rows.to_string(), &rebuilt.spine.rows.to_string());
        compare("content of the spine", &self.spine.hash, &rebuilt.spine.hash);
        let columns = |schema: &[ColumnRecord]| {
            let columns =
                schema.iter().map(|column| format!("{} {}", column.name, column.data_type));
            columns.collect::<Vec<_>>().join(", ")
        };
        compare("columns", &columns(&self.schema), &columns(&rebuilt.schema));
        compare("rows", &self.content.rows.to_string(), &rebuilt.content.rows.to_string());
        compare("content", &self.content.hash, &rebuilt.content.hash);
        lines
    }
}

impl RequestRecord {
    /// What a request asks, and what makes its spine.
    pub fn new(request: &TrainingSetRequest, spine: &Spine) -> Self {
        Self {
            service: match &request.selection {
                Selection::Service(name) => Some(name.clone()),
                Selection::Features(_) => None,
            },
            timestamp: request.timestamp.clone(),
            timezone: request.timezone.clone(),
            known_by: request.known_by.map(format_timestamp),
            known: request.known,
            full_names: request.names == FeatureNames::Full,
            spine: SpineRecord::new(spine),
        }
    }
}

impl SpineRecord {
    fn new(spine: &Spine) -> Option<Self> {
        match spine {
            Spine::Rows { .. } | Spine::Reader { .. } | Spine::File(_) => None,
            Spine::Sql { query, .. } => Some(Self::Sql(query.clone())),
            Spine::Scan(Scan::At(at)) => Some(Self::At(format_timestamp(*at))),
            Spine::Scan(Scan::Between { after, until }) => Some(Self::Between {
                after: format_timestamp(*after),
                until: format_timestamp(*until),
            }),
        }
    }
}
