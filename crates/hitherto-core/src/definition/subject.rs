//! One resource under check: its document, and where findings about it go.
//!
//! Owns what the checks of all kinds share: naming the resource in messages,
//! noting places, and the checks of text, durations and lists of fields. Every
//! check returns a value even after a refusal, so that one pass finds every
//! problem; the caller drops all values if there is one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_saphyr::{Location, Spanned};

use super::form::{FieldForm, TypedForm};
use super::place::{Places, Problem};
use super::yaml::Document;
use super::{Field, Metadata};
use crate::types::DataType;
use crate::{Result, name, time};

/// A list of sibling fields: what one is called and how many there may be.
pub(super) struct Siblings {
    /// The path of the list.
    pub path: &'static str,
    /// One of them in a message.
    pub noun: &'static str,
    /// How many are allowed.
    pub count_max: usize,
    /// What one can be called.
    pub check_name: fn(&str) -> Result<()>,
}

/// How long a duration must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// Zero is a value.
    Any,
    /// Zero is refused.
    Positive,
}

/// A resource under check.
pub(super) struct Subject<'a> {
    document: &'a Document<'a>,
    places: &'a mut Places,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Subject<'a> {
    /// Begins the check of a document.
    pub fn new(
        document: &'a Document<'a>,
        places: &'a mut Places,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        Self { document, places, problems }
    }

    /// Reports a problem with the resource.
    pub fn refuse(&mut self, at: Location, message: impl fmt::Display) {
        let Document { start, kind, metadata, .. } = self.document;
        let message = format!("{kind} {:?}: {message}", metadata.name.value);
        self.problems.push(Problem { place: start.place(at), message });
    }

    /// Reports a problem with the resource as a whole.
    pub fn refuse_all(&mut self, message: impl fmt::Display) {
        self.refuse(self.document.metadata.name.referenced, message);
    }

    /// Notes the place of a field.
    pub fn note(&mut self, field: &str, at: Location) {
        let Document { start, kind, metadata, .. } = self.document;
        self.places.note(*kind, &metadata.name.value, field, start.place(at));
    }

    /// A location of this document in a message.
    pub fn place(&self, at: Location) -> impl fmt::Display + use<> {
        self.document.start.place(at)
    }

    /// Checks name and uniqueness.
    pub fn metadata(&mut self) -> Metadata {
        let Document { kind, metadata, .. } = self.document;
        let name = &metadata.name;
        if let Err(error) = name::check(&name.value) {
            self.refuse(name.referenced, error);
        }
        match self.places.of(*kind, &name.value, "").map(ToString::to_string) {
            Some(first) => self.refuse(
                name.referenced,
                format_args!("already defined at {first}; rename or remove one of the two"),
            ),
            None => self.note("", name.referenced),
        }
        Metadata {
            name: name.value.clone(),
            description: metadata.description.clone().unwrap_or_default(),
            owner: metadata.owner.clone().unwrap_or_default(),
            tags: metadata.tags.clone().unwrap_or_default(),
        }
    }

    /// Checks text that must say something.
    pub fn text(&mut self, path: &str, found: &Spanned<String>) -> String {
        self.note(path, found.referenced);
        let text = found.value.trim();
        if text.is_empty() {
            self.refuse(found.referenced, format_args!("{path} is empty; write a value"));
        }
        text.to_owned()
    }

    /// [`Subject::text`], if it was written.
    pub fn optional_text(&mut self, path: &str, found: Option<&Spanned<String>>) -> Option<String> {
        found.map(|found| self.text(path, found))
    }

    /// Checks a duration; in microseconds.
    pub fn duration(
        &mut self,
        path: &str,
        found: Option<&Spanned<String>>,
        length: Length,
    ) -> Option<i64> {
        let found = found?;
        self.note(path, found.referenced);
        match time::parse_duration(&found.value) {
            Ok(0) if length == Length::Positive => {
                let message = format_args!("{path} is zero; write more, or leave it out");
                self.refuse(found.referenced, message);
                None
            }
            Ok(micros) => Some(micros),
            Err(error) => {
                self.refuse(found.referenced, format_args!("{path} {error}"));
                None
            }
        }
    }

    /// Checks text that is written in a form of its own, such as a share or a period.
    pub fn parsed<T: FromStr<Err = &'static str>>(
        &mut self,
        path: &str,
        found: Option<&Spanned<String>>,
    ) -> Option<T> {
        let found = found?;
        self.note(path, found.referenced);
        let parsed = found.value.trim().parse();
        parsed
            .map_err(|error| {
                self.refuse(found.referenced, format_args!("{path}: {:?} {error}", found.value))
            })
            .ok()
    }

    /// Checks a list of what has names and types: count, names, uniqueness, types. What has
    /// a legal type is checked further by `check`.
    pub fn fields<F: TypedForm, T>(
        &mut self,
        siblings: &Siblings,
        found: &Spanned<Vec<F>>,
        check: fn(&mut Self, &F, DataType) -> T,
    ) -> Vec<T> {
        let Siblings { path, noun, check_name, .. } = siblings;
        self.note(path, found.referenced);
        self.count(siblings, found.referenced, found.value.len());
        let mut first: BTreeMap<&str, Location> = BTreeMap::new();
        let mut fields = Vec::with_capacity(found.value.len());
        for form in &found.value {
            let name = form.name();
            if let Err(error) = check_name(&name.value) {
                self.refuse(name.referenced, format_args!("{noun} {error}"));
            }
            if let Some(first) = first.get(name.value.as_str()) {
                let first = self.place(*first);
                let message = format_args!(
                    "{noun} {:?} is already at {first}; rename or remove one",
                    name.value
                );
                self.refuse(name.referenced, message);
            }
            first.entry(&name.value).or_insert(name.referenced);
            self.note(&format!("{path}.{}", name.value), name.referenced);
            if let Some(data_type) = self.data_type(noun, form) {
                fields.push(check(self, form, data_type));
            }
        }
        fields
    }

    /// Checks how many siblings there are.
    pub fn count(&mut self, siblings: &Siblings, at: Location, count: usize) {
        let Siblings { noun, count_max, .. } = siblings;
        if count == 0 {
            self.refuse(at, format_args!("there is no {noun}; write at least one"));
        }
        if count > *count_max {
            self.refuse(
                at,
                format_args!(
                    "there are {count} {noun}s, and {count_max} is the limit; write fewer"
                ),
            );
        }
    }

    fn data_type(&mut self, noun: &str, form: &impl TypedForm) -> Option<DataType> {
        let found = form.data_type();
        let parsed = found.value.parse();
        if let Err(error) = &parsed {
            self.refuse(found.referenced, format_args!("{noun} {:?}: {error}", form.name().value));
        }
        parsed.ok()
    }
}

impl Field {
    /// What is written and has a legal type.
    pub(super) fn check(_: &mut Subject<'_>, form: &FieldForm, data_type: DataType) -> Self {
        let description = form.description.clone().unwrap_or_default();
        Self { name: form.name.value.clone(), data_type, description }
    }
}
