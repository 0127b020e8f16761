//! Reading YAML: files to documents of the written form, each with its places.
//!
//! A file is cut into documents as text before YAML sees it, so that a document
//! that cannot be read spoils none of its neighbours. Each document is read
//! twice: its header leniently, to learn what it is and what it is called, then
//! all of it strictly, as the [`form`](super::form) of its kind. One pass over
//! an internally tagged enum would do, but serde buffers those and loses every
//! place.
//!
//! Only the shape is checked here; what the fields say is
//! [`check`](super::check)'s business. So a document has at most one problem
//! here, and the rest of it is not looked at until that is mended.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::form::{MetadataForm, Spec};
use super::place::{Place, Problem};
use super::schema::has_field;
use super::source::SourceForm;
use super::{API_VERSION, ResourceKind};
use crate::name::suggestion;

/// Characters of a wrong value that a message repeats.
const FOUND_CHARS_MAX: usize = 40;

/// A document whose shape is right.
#[derive(Debug)]
pub struct Document<'a> {
    /// Turns locations in it into places.
    pub start: Start<'a>,
    /// What it defines.
    pub kind: ResourceKind,
    /// Its metadata.
    pub metadata: MetadataForm,
    /// Its spec, of that kind.
    pub spec: Spec,
}

/// Where a document starts: in which file, and where in it.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    file: &'a str,
    lines_before: u32,
}

impl Start<'_> {
    /// The place in the file of a location in the document.
    pub fn place(&self, location: Location) -> Place {
        let line = u32::try_from(location.line().max(1)).unwrap_or(u32::MAX);
        Place {
            file: self.file.to_owned(),
            line: line.saturating_add(self.lines_before),
            column: u32::try_from(location.column().max(1)).unwrap_or(u32::MAX),
        }
    }

    /// The place of the document's first line that says anything.
    fn place_of_content(&self, text: &str) -> Place {
        let lines_blank = (0..).zip(text.lines()).find(|(_, line)| !is_blank(line));
        let lines_before = self.lines_before + lines_blank.map_or(0, |(number, _)| number);
        Start { file: self.file, lines_before }.place(Location::UNKNOWN)
    }
}

/// Everything read so far, good and bad.
#[derive(Debug, Default)]
pub struct Reading<'a> {
    /// Documents whose shape is right, in the order read.
    pub documents: Vec<Document<'a>>,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
    /// Names of documents that could not be read: whether they define what
    /// others refer to is not known, so nobody is told that it is missing.
    pub unread_names: BTreeSet<String>,
    /// A document could not be read as far as its name.
    pub unread_nameless: bool,
}

impl<'a> Reading<'a> {
    /// Reads the documents of one file.
    pub fn read(&mut self, file: &'a str, text: &str) {
        for (lines_before, document) in documents(text) {
            let start = Start { file, lines_before };
            match parse::<Header>(document, DuplicateKeyPolicy::FirstWins) {
                Ok(header) => self.read_document(start, document, header),
                Err(error) => {
                    self.unread_nameless = true;
                    self.problems.push(problem(start, "document", document, &error));
                }
            }
        }
    }

    fn read_document(&mut self, start: Start<'a>, text: &str, header: Header) {
        let name = match header.metadata {
            Some(HeaderMetadata::Named { name }) => Some(name),
            Some(HeaderMetadata::Other(IgnoredAny)) | None => None,
        };
        let document = identify(start, text, header.api_version, header.kind)
            .and_then(|kind| read_form(start, kind, name.as_deref(), text));
        match (document, name) {
            (Ok(document), _) => self.documents.push(document),
            (Err(problem), name) => {
                self.problems.push(problem);
                self.unread_nameless |= name.is_none();
                self.unread_names.extend(name);
            }
        }
    }
}

/// What a document says that it is, read leniently.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: Option<Spanned<String>>,
    kind: Option<Spanned<String>>,
    metadata: Option<HeaderMetadata>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum HeaderMetadata {
    Named { name: String },
    Other(IgnoredAny),
}

/// A whole document, read strictly.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<S> {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    metadata: MetadataForm,
    spec: S,
}

/// The kind of a document of our API version.
fn identify(
    start: Start<'_>,
    text: &str,
    api_version: Option<Spanned<String>>,
    kind: Option<Spanned<String>>,
) -> Result<ResourceKind, Problem> {
    let lacks = |what: String| Problem {
        place: start.place_of_content(text),
        message: format!("document has no {what}"),
    };
    let wrong = |found: &Spanned<String>, message| Problem {
        place: start.place(found.referenced),
        message,
    };
    let kinds = ResourceKind::ALL.map(ResourceKind::as_str);

    let version = api_version
        .ok_or_else(|| lacks(format!("apiVersion; write \"apiVersion: {API_VERSION}\"")))?;
    if version.value != API_VERSION {
        let found = &version.value;
        let message = format!(
            "apiVersion {found:?} is not known; write {API_VERSION:?}, which this release reads"
        );
        return Err(wrong(&version, message));
    }
    let kind = kind.ok_or_else(|| lacks(format!("kind; write one of {}", kinds.join(", "))))?;
    let known = ResourceKind::ALL.into_iter().find(|known| known.as_str() == kind.value);
    known.ok_or_else(|| {
        let message =
            format!("kind {:?} is not known{}", kind.value, suggestion(&kind.value, kinds));
        wrong(&kind, message)
    })
}

fn read_form<'a>(
    start: Start<'a>,
    kind: ResourceKind,
    name: Option<&str>,
    text: &str,
) -> Result<Document<'a>, Problem> {
    let form = match kind {
        ResourceKind::Entity => strict(text, Spec::Entity),
        ResourceKind::FeatureView => strict(text, |spec| Spec::FeatureView(Box::new(spec))),
        ResourceKind::OnDemandView => strict(text, |spec| Spec::OnDemandView(Box::new(spec))),
        ResourceKind::FeatureService => strict(text, Spec::FeatureService),
    };
    form.map(|(metadata, spec)| Document { start, kind, metadata, spec }).map_err(|error| {
        let subject = match name {
            Some(name) => format!("{kind} {name:?}"),
            None => format!("{kind} without a name"),
        };
        problem(start, &subject, text, &error)
    })
}

fn strict<S: DeserializeOwned>(
    text: &str,
    spec: impl FnOnce(S) -> Spec,
) -> Result<(MetadataForm, Spec), Error> {
    parse::<Form<S>>(text, DuplicateKeyPolicy::Error).map(|form| (form.metadata, spec(form.spec)))
}

fn parse<T: DeserializeOwned>(text: &str, duplicates: DuplicateKeyPolicy) -> Result<T, Error> {
    let options = serde_saphyr::options! { with_snippet: false, duplicate_keys: duplicates };
    serde_saphyr::from_str_with_options(text, options)
}

/// The documents of a file, each with the number of lines before it. YAML lets
/// nothing in a document, not even a block of text, begin a line with its
/// markers, so cutting the text there is exact.
fn documents(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut starts = vec![(0_u32, 0_usize)];
    let mut offset = 0;
    for (number, line) in (0..).zip(text.split_inclusive('\n')) {
        if is_marker(line, "---") {
            starts.push((number, offset));
        }
        offset += line.len();
        if is_marker(line, "...") {
            starts.push((number + 1, offset));
        }
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|start| start.1).collect();
    starts
        .into_iter()
        .zip(ends.into_iter().chain([text.len()]))
        .map(|((lines_before, start), end)| (lines_before, &text[start..end]))
        .filter(|(_, document)| !is_blank(document))
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether there is nothing but markers, directives and comments.
fn is_blank(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').lines().all(|line| {
        let marked = is_marker(line, "---") || is_marker(line, "...");
        let content = if marked { &line[3..] } else { line }.trim();
        content.is_empty() || content.starts_with('#') || line.starts_with('%')
    })
}

fn problem(start: Start<'_>, subject: &str, text: &str, error: &Error) -> Problem {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    Problem {
        place: start.place(location),
        message: format!("{subject}: {}", explain(error, text)),
    }
}

/// An error of the YAML reader in our words; `text` is what it read.
fn explain(error: &Error, text: &str) -> String {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => explain(error, text),
        Error::SerdeUnknownField { field, expected, .. } => {
            let name: &str = field;
            match expected.contains(&"source") && has_field::<SourceForm>(name) {
                true => format!("unknown field {name:?}; it belongs below source"),
                false => {
                    format!("unknown field {name:?}{}", suggestion(name, expected.iter().copied()))
                }
            }
        }
        Error::SerdeMissingField { field, .. } => {
            format!("field {field:?} is missing here; write it")
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("field {key:?} is written twice; keep one")
        }
        Error::NullIntoString { location } => unexpected("text", *location, text),
        Error::Unexpected { expected, location } => {
            let expected = match *expected {
                "string scalar" => "text",
                "mapping start" => "a mapping",
                "sequence start" => "a list",
                other => other,
            };
            unexpected(expected, *location, text)
        }
        other => format!(
            "not valid YAML; mend indentation, brackets or quotes here: {}",
            UserMessageFormatter.format_message(other)
        ),
    }
}

/// What was expected at a location and what the text has there. The reader
/// knows no field names, but a field's name stands before its value.
fn unexpected(expected: &str, location: Location, text: &str) -> String {
    let row = usize::try_from(location.line()).unwrap_or(usize::MAX).saturating_sub(1);
    let column = usize::try_from(location.column()).unwrap_or(usize::MAX).saturating_sub(1);
    let line = text.lines().nth(row).unwrap_or_default();
    let split = line.char_indices().nth(column).map_or(line.len(), |(offset, _)| offset);
    let (before, after) = line.split_at(split);
    // The location of a value that is not there is that of its colon.
    let (before, found) = match after.trim() {
        ":" | "" => (before.trim_end_matches(':'), String::from("nothing")),
        found => {
            let found: String = found.chars().take(FOUND_CHARS_MAX).collect();
            (before.trim_end().strip_suffix(':').unwrap_or_default(), format!("{found:?}"))
        }
    };
    match before.rsplit([' ', '{', ',', '-']).next().unwrap_or_default() {
        "" => format!("here is {found}; write {expected}"),
        field => format!("field {field:?} has {found}; write {expected}"),
    }
}
