//! Which names below a folder are data, on disk and in object stores alike.
//!
//! ```text
//! part-0.parquet  b.PARQUET  c.pq  d.parq   data
//! _SUCCESS  _temporary/  .part-0.crc        not: of the writer's own use
//! _year=2026/                               data: a partition, whatever it is called
//! _delta_log/  .hoodie/  metadata/*.metadata.json
//!                                           a table, of which only some files count
//! ```

use hitherto_core::{Error, Result};

/// How names of Parquet files end, in capitals or not.
const ENDINGS: [&str; 3] = ["parquet", "pq", "parq"];

/// Whether a file or folder is of a writer's own use.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name.starts_with('_') && !name.contains('=')
}

/// Whether a file is one of Parquet by its name.
pub fn is_parquet(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// Whether wildcards of a pattern matched a name that is none of data. A part of the
/// pattern that begins as such a name does asks for it.
pub fn is_matched_hidden(pattern: &str, path: &str) -> bool {
    let asked: Vec<&str> = pattern.split('/').filter(|part| is_hidden(part)).collect();
    let is_asked = |name: &str| {
        asked.iter().any(|part| {
            *part == name || part.contains(['*', '?', '[']) && part.starts_with(&name[..1])
        })
    };
    path.split('/').any(|name| is_hidden(name) && name != "." && name != ".." && !is_asked(name))
}

/// A kind of table that is more than its Parquet files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Delta,
    Iceberg,
    Hudi,
}

impl Table {
    /// What a file tells of a folder above it, and which: `t/_delta_log/0.json` that `t` is
    /// a table of Delta.
    pub fn of_file(path: &str) -> Option<(Self, &str)> {
        let mut start = 0;
        for part in path.split('/') {
            let is_iceberg = path[start..]
                .strip_prefix("metadata/")
                .is_some_and(|file| file.ends_with(".metadata.json") && !file.contains('/'));
            let table = match part {
                "_delta_log" => Some(Table::Delta),
                ".hoodie" => Some(Table::Hudi),
                _ => is_iceberg.then_some(Table::Iceberg),
            };
            if let Some(table) = table {
                return Some((table, path[..start].trim_matches('/')));
            }
            start += part.len() + 1;
        }
        None
    }

    /// Why a source is refused that is such a table.
    pub fn refuse(self, parquet: &str, folder: &str) -> Error {
        let (name, mark, export) = match self {
            Table::Delta => (
                "a Delta table",
                "_delta_log",
                "`COPY (SELECT * FROM delta_scan('TABLE')) TO 'facts.parquet'` of DuckDB",
            ),
            Table::Iceberg => (
                "an Iceberg table",
                "metadata",
                "`COPY (SELECT * FROM iceberg_scan('TABLE')) TO 'facts.parquet'` of DuckDB",
            ),
            Table::Hudi => (
                "a Hudi table",
                ".hoodie",
                "Spark's `spark.read.format(\"hudi\").load(TABLE).write.parquet(FOLDER)`",
            ),
        };
        let folder = if folder.is_empty() { "it" } else { folder };
        Error::invalid(format!(
            "source {parquet:?}: {folder} is {name} ({mark} lies in it), of whose files only some \
             count; write the rows that do to plain Parquet, for example with {export}, and name \
             that file or folder"
        ))
    }
}

/// Refuses files of which some are a table's own, if what lies in that table's folder is
/// read.
pub fn refuse_tables<'n>(
    parquet: &str,
    folder: &str,
    below: impl IntoIterator<Item = &'n str>,
    is_read: impl Fn(&str) -> bool,
) -> Result<()> {
    let mut tables = below.into_iter().filter_map(Table::of_file);
    match tables.find(|(_, root)| is_read(root)) {
        Some((table, "")) => Err(table.refuse(parquet, folder)),
        Some((table, root)) => Err(table.refuse(parquet, root)),
        None => Ok(()),
    }
}

/// Whether a path lies in a folder; both as they are below another.
pub fn lies_in(path: &str, folder: &str) -> bool {
    let rest = path.trim_start_matches('/').strip_prefix(folder);
    rest.is_some_and(|rest| folder.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_told_from_what_lies_beside_it() {
        for name in ["a.parquet", "b.PARQUET", "c.pq", "d.snappy.Parq", "x=1.parquet"] {
            assert!(is_parquet(name) && !is_hidden(name), "{name}");
        }
        for name in ["a.csv", "parquet", "a.parquet.crc", "_SUCCESS"] {
            assert!(!is_parquet(name), "{name}");
        }
        for (name, hidden) in [("_temporary", true), (".git", true), ("_day=1", false)] {
            assert_eq!(is_hidden(name), hidden, "{name}");
        }
    }

    #[test]
    fn wildcards_match_no_hidden_name_that_is_not_asked_for() {
        for (pattern, path, hidden) in [
            ("a/*.parquet", "a/b.parquet", false),
            ("a/**/*.parquet", "a/_temporary/0/b.parquet", true),
            ("a/*.parquet", "a/.b.parquet", true),
            (".data/*.parquet", ".data/b.parquet", false),
            ("a/_*.parquet", "a/_b.parquet", false),
            ("../*.parquet", "../b.parquet", false),
        ] {
            assert_eq!(is_matched_hidden(pattern, path), hidden, "{pattern} {path}");
        }
    }

    #[test]
    fn tables_are_known_by_what_lies_in_them() {
        assert_eq!(Table::of_file("_delta_log/0.json"), Some((Table::Delta, "")));
        assert_eq!(Table::of_file("/t/.hoodie/x"), Some((Table::Hudi, "t")));
        assert_eq!(Table::of_file("s/t/metadata/v1.metadata.json"), Some((Table::Iceberg, "s/t")));
        assert_eq!(Table::of_file("metadata/a.parquet"), None);
        assert_eq!(Table::of_file("v1.metadata.json"), None);
        assert!(lies_in("/t/a.parquet", "t") && lies_in("a.parquet", ""));
        assert!(!lies_in("tt/a.parquet", "t") && !lies_in("a.parquet", "t"));
    }
}
