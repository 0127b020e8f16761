//! Columns that no file has because the paths of files name them: `region=EU/a.parquet`.

use std::borrow::Cow;

use ::arrow::datatypes::Field as ArrowField;
use datafusion::common::ScalarValue;
use hitherto_api::arrow::to_arrow;
use hitherto_core::definition::Field;
use hitherto_core::{Error, Result};
use percent_encoding::percent_decode_str;

use crate::files::SourceFile;

/// What writers put where a value is null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A column that has one value in all of a file.
#[derive(Clone, Debug)]
pub struct Constant {
    /// Its name and type.
    pub field: ArrowField,
    /// Its value.
    pub value: ScalarValue,
}

/// What a file's path says of declared columns.
///
/// # Errors
/// `Invalid` naming file and column where it says nothing, or nothing of that type.
pub fn constants(file: &SourceFile, partitions: &[Field]) -> Result<Vec<Constant>> {
    let constant = |column: &Field| {
        let data_type = to_arrow(&column.data_type);
        let text = named(&file.name, &column.name).ok_or_else(|| {
            Error::invalid(format!(
                "the path of source file {} names no {name:?}{otherwise}; write it below a folder \
                 that does, such as {name}=VALUE/, or take {name:?} out of source.partitions",
                file.name,
                name = column.name,
                otherwise = match called(&file.name, &column.name) {
                    Some(there) => format!(", but {there:?}, as which to declare it"),
                    None => String::new(),
                }
            ))
        })?;
        let value = match text == NULL {
            true => ScalarValue::try_new_null(&data_type),
            false => ScalarValue::try_from_string(unescape(text).into_owned(), &data_type),
        };
        let value = value.map_err(|cause| {
            Error::invalid(format!(
                "the path of source file {} names {text:?} as {:?}, which is no {}; move the file, \
                 or declare another type in source.partitions",
                file.name, column.name, column.data_type
            ))
            .with_source(cause)
        })?;
        Ok(Constant { field: ArrowField::new(&column.name, data_type, true), value })
    };
    partitions.iter().map(constant).collect()
}

/// What a path calls a column, in whatever case, if it names it.
pub fn called<'p>(path: &'p str, column: &str) -> Option<&'p str> {
    let (folders, _) = path.rsplit_once('/')?;
    let names = folders.rsplit('/').filter_map(|part| Some(part.split_once('=')?.0));
    names.into_iter().find(|name| name.eq_ignore_ascii_case(column))
}

/// The value that a path names for a column.
fn named<'p>(path: &'p str, column: &str) -> Option<&'p str> {
    let (folders, _) = path.rsplit_once('/')?;
    folders.rsplit('/').find_map(|part| part.strip_prefix(column)?.strip_prefix('='))
}

/// Writers escape what a path cannot have as `%2F`.
fn unescape(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8().unwrap_or(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_columns_of_its_folders() {
        let path = "data/region=EU/region=US/day=1/region=x.parquet";
        assert_eq!(named(path, "region"), Some("US"), "the nearest");
        assert_eq!(named(path, "day"), Some("1"));
        assert_eq!(named(path, "reg"), None);
        assert_eq!(named(path, "Region"), None, "another column");
        assert_eq!(called("data/Region=EU/day=1/x.parquet", "region"), Some("Region"));
        assert_eq!(called("data/Region=EU/day=1/x.parquet", "regio"), None);
        assert_eq!(unescape("a%2Fb%20c%"), "a/b c%");
        assert_eq!(unescape("100%25%zz"), "100%%zz");
    }
}
