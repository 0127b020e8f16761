//! `--spine`, `--sql`, `--at` and `--between`: where the rows of a training set come from.

use std::path::{Path, PathBuf};

use clap::Args;
use hitherto_api::{LabelFiles, Scan, Spine};
use hitherto_core::time::parse_timestamp;
use hitherto_core::{Error, Result};

/// Where rows come from; one of these.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub struct Labels {
    /// The label rows, a Parquet file
    #[arg(long, value_name = "FILE")]
    spine: Option<PathBuf>,
    /// The label rows, a query: feature views are tables of their source files, and so are
    /// quoted paths of Parquet files. Rows come in the query's order; name one with ORDER BY
    #[arg(long, value_name = "QUERY")]
    sql: Option<String>,
    /// No label rows: every entity with a fact that was seen by this time, as of this time
    #[arg(long, value_name = "TIME", value_parser = parse_timestamp)]
    at: Option<i64>,
    /// No label rows: every fact of the view named first that was first seen after one time
    /// and not after the other, as of when it was first seen
    #[arg(long, num_args = 2, value_names = ["AFTER", "UNTIL"], value_parser = parse_timestamp)]
    between: Vec<i64>,
}

impl Labels {
    /// The file of label rows, if one is named.
    pub fn file(&self) -> Option<&Path> {
        self.spine.as_deref()
    }

    /// The spine, if one is named. Nothing of it is read yet.
    pub fn spine(&self) -> Option<Spine> {
        let file = self.spine.clone().map(Spine::File);
        let sql = self.sql.clone().map(|query| Spine::Sql {
            query,
            files: LabelFiles::Readable,
            bounds: None,
        });
        let at = self.at.map(|at| Spine::Scan(Scan::At(at)));
        let between = match self.between[..] {
            [after, until] => Some(Spine::Scan(Scan::Between { after, until })),
            _ => None,
        };
        file.or(sql).or(at).or(between)
    }

    /// The spine.
    ///
    /// # Errors
    /// `Invalid` when none is named.
    pub fn required(&self) -> Result<Spine> {
        self.spine().ok_or_else(|| {
            Error::invalid(
                "nothing says where rows come from; name --spine FILE, --sql QUERY, --at TIME or \
                 --between AFTER UNTIL",
            )
        })
    }
}
