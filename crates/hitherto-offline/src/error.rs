//! DataFusion's errors, and those of Parquet's writer, by what the caller can do about them.

use std::fmt::Display;

use ::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use hitherto_core::{Error, Kind};
use parquet::errors::ParquetError;

/// Turns a DataFusion error into one of ours, unless one of ours is inside.
pub fn from_datafusion(context: &str, cause: DataFusionError) -> Error {
    if let DataFusionError::External(inner) = cause {
        return match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::internal(context).with_source(other),
        };
    }
    if let Some(ours) = own_error(&cause) {
        return ours;
    }
    let kind = kind(cause.find_root());
    let advice = match (cause.find_root(), kind) {
        (DataFusionError::ResourcesExhausted(_), _) => {
            "give it more `memory` in hitherto.yaml, or ask for less"
        }
        (_, Kind::Unavailable) => "see that its files can be read, and ask again",
        (_, Kind::Corrupt) => "write the file again",
        (_, Kind::Invalid) => "mend it as its cause says",
        _ => "report it",
    };
    Error::new(kind, format!("{context}; {advice}")).with_source(cause)
}

/// An error of Parquet's writer: of the disk, or a bug of ours.
pub fn from_writer(what: impl Display, cause: ParquetError) -> Error {
    match cause {
        ParquetError::External(inner) if inner.is::<std::io::Error>() => {
            Error::unwritable(what, inner)
        }
        cause => Error::internal(format!("{what} cannot be written")).with_source(cause),
    }
}

/// An error of ours that went through the wrappers of DataFusion and Parquet.
fn own_error(cause: &DataFusionError) -> Option<Error> {
    let first: &(dyn std::error::Error + 'static) = cause;
    let mut causes = std::iter::successors(Some(first), |cause| cause.source());
    causes
        .find_map(|cause| cause.downcast_ref::<Error>())
        .map(|ours| Error::new(ours.kind(), ours.chain()))
}

fn kind(root: &DataFusionError) -> Kind {
    match root {
        DataFusionError::ResourcesExhausted(_) => Kind::Unavailable,
        DataFusionError::ParquetError(_) => Kind::Corrupt,
        DataFusionError::ArrowError(cause, _) if is_parquet(cause) => Kind::Corrupt,
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => Kind::Unavailable,
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Diagnostic(..)
        | DataFusionError::Execution(_)
        | DataFusionError::ArrowError(..) => Kind::Invalid,
        _ => Kind::Internal,
    }
}

fn is_parquet(cause: &ArrowError) -> bool {
    match cause {
        ArrowError::ParquetError(_) => true,
        ArrowError::ExternalError(inner) => inner.is::<ParquetError>(),
        _ => false,
    }
}
