//! From the written form of aggregates to the features that they are.

use std::collections::BTreeMap;

use serde_saphyr::{Location, Spanned};

use super::super::subject::{Length, Subject};
use super::super::{Feature, Field};
use super::form::{AggregateForm, BucketsForm, EventIdForm};
use super::function::{NAMES, Parameters, Signature, Takes};
use super::variant::{bucket_filter, variants};
use super::{Aggregate, Aggregates, EVENT_TIME};
use crate::aggregate::{CurrentTime, Nulls, SumType, Window};
use crate::limits::{
    AGGREGATE_BUCKETS_MAX, AGGREGATE_WINDOW_MICROS, AGGREGATE_WINDOWS_MAX, SQL_BYTES_MAX,
    VIEW_FEATURES_MAX,
};
use crate::name::{self, suggestion};
use crate::time::{format_duration, parse_duration};
use crate::types::DataType;

/// The window of all events there are.
const LIFETIME: &str = "lifetime";
const NULLS: [(&str, Nulls); 2] = [("skip", Nulls::Skip), ("keep", Nulls::Keep)];
const SUM_TYPES: [(&str, SumType); 3] =
    [("int64", SumType::Int64), ("decimal", SumType::Decimal), ("float64", SumType::Float64)];

/// The features of a view's aggregates and how each is computed, with what was refused
/// reported.
pub(in super::super) fn check(
    subject: &mut Subject<'_>,
    form: &Spanned<Vec<AggregateForm>>,
    id: Option<&EventIdForm>,
) -> (Vec<Feature>, Aggregates) {
    subject.note("aggregates", form.referenced);
    let mut checked = Checked { subject, first: BTreeMap::new(), made: Vec::new() };
    for aggregate in &form.value {
        checked.aggregate(aggregate);
    }
    let Checked { made, .. } = checked;
    let count = made.len();
    if count == 0 && form.value.is_empty() {
        subject.refuse(form.referenced, "there is no aggregate; write at least one");
    }
    if count > VIEW_FEATURES_MAX {
        let message = format_args!(
            "the aggregates are {count} features, and {VIEW_FEATURES_MAX} is the limit; write \
             fewer windows, or a second view"
        );
        subject.refuse(form.referenced, message);
    }
    let id = event_id(subject, form.referenced, id);
    let (features, aggregates) = made.into_iter().unzip();
    (features, Aggregates { id, features: aggregates })
}

/// What tells events apart.
fn event_id(subject: &mut Subject<'_>, at: Location, form: Option<&EventIdForm>) -> Vec<String> {
    match form {
        None => {
            subject.refuse(
                at,
                "source.id is missing: name the columns that tell two events of an entity at one \
                 time apart, such as a transaction's number, or write id: eventTime if there is \
                 never more than one",
            );
            Vec::new()
        }
        Some(EventIdForm::One(one)) if one.value.trim() == EVENT_TIME => {
            subject.note("source.id", one.referenced);
            Vec::new()
        }
        Some(EventIdForm::One(one)) => vec![subject.text("source.id", one)],
        Some(EventIdForm::Several(several)) => {
            subject.note("source.id", several.referenced);
            if several.value.is_empty() {
                let message = "source.id names no column; write one, or the word eventTime";
                subject.refuse(several.referenced, message);
            }
            several.value.iter().map(|column| subject.text("source.id", column)).collect()
        }
    }
}

/// The aggregates of one view under check.
struct Checked<'c, 'a> {
    subject: &'c mut Subject<'a>,
    /// Where each name was written first.
    first: BTreeMap<String, Location>,
    made: Vec<(Feature, Aggregate)>,
}

impl Checked<'_, '_> {
    fn aggregate(&mut self, form: &AggregateForm) {
        let at = form.function.referenced;
        let found = form.function.value.trim();
        let Some(signature) = Signature::find(found) else {
            let there = suggestion(found, NAMES);
            self.subject.refuse(at, format_args!("there is no function {found:?}{there}"));
            return;
        };
        let function = signature.name;
        let before = self.made.len();
        let Some(column) = self.column(signature, form) else { return };
        let by = self.by(signature, form);
        let parameters = self.parameters(signature, form);
        let filter = self.filter(form.filter.as_ref());
        let offset = self.offset(form);
        let current_time = self.current_time(form.exclude_current_time.as_ref());
        self.buckets(form);
        let windows = &form.windows;
        if windows.value.is_empty() || windows.value.len() > AGGREGATE_WINDOWS_MAX {
            let count = windows.value.len();
            let message = format_args!(
                "{function} has {count} windows; write 1 to {AGGREGATE_WINDOWS_MAX}, such as \
                 windows: [1h, 7d]"
            );
            self.subject.refuse(windows.referenced, message);
        }
        let mut variants = variants(form);
        if let Some(name) = form.name.as_ref().filter(|_| variants.len() > 1) {
            let message = format_args!(
                "name {:?} is one feature's, and this aggregate is {}; leave the name out, or \
                 write them one by one",
                name.value,
                variants.len()
            );
            self.subject.refuse(name.referenced, message);
            variants.truncate(1);
        }
        for variant in variants {
            let length = self.window(function, variant.window, form.offset.as_ref());
            let millionths = variant.quantile.map(|p| self.millionths(p));
            let parameters = Parameters {
                millionths: millionths.unwrap_or(parameters.millionths),
                ..parameters
            };
            let bucket = bucket_filter(form.buckets.as_ref(), variant.bucket);
            let filter = match (filter.clone(), bucket) {
                (Some(filter), Some(bucket)) => Some(format!("({filter}) AND ({bucket})")),
                (filter, bucket) => filter.or(bucket),
            };
            let (name, at) = match &form.name {
                Some(name) => (name.value.clone(), name.referenced),
                None => (variant.name, variant.window.referenced),
            };
            self.name(&name, at);
            let of = column.as_ref().map_or(&DataType::Int64, |column| &column.data_type);
            let Some((function, data_type)) = (signature.make)(of, parameters) else {
                self.refuse_sum_type(form, of);
                break;
            };
            if let Err(error) = function.check() {
                self.subject.refuse(form.function.referenced, error);
                break;
            }
            let default =
                Feature::default_of(self.subject, &name, form.default.as_ref(), &data_type);
            let description = form.description.clone().unwrap_or_default();
            let window = Window { length, offset, current_time, ttl: None };
            self.made.push((
                Feature { name, data_type, description, default },
                Aggregate { function, column: column.clone(), by: by.clone(), window, filter },
            ));
        }
        let made = self.made[before..].iter();
        let names: Vec<String> = made.map(|(feature, _)| feature.name.clone()).collect();
        for name in names {
            self.subject.note(&format!("aggregates.{name}"), at);
            self.subject.note(&format!("features.{name}"), at);
        }
    }

    /// The column that a function is of, if any; `None` when that is wrong.
    fn column(&mut self, signature: &Signature, form: &AggregateForm) -> Option<Option<Field>> {
        let Signature { name: function, column: takes, of, .. } = signature;
        let at = form.function.referenced;
        let Some(column) = &form.column else {
            if *takes == Takes::Required {
                let message = format_args!("{function} is of a column; name it, as column: amount");
                self.subject.refuse(at, message);
                return None;
            }
            if let Some(found) = &form.data_type {
                let message = "a type is of a column, and there is none; remove it";
                self.subject.refuse(found.referenced, message);
            }
            return Some(None);
        };
        if *takes == Takes::No {
            let message = format_args!("{function} is of events and no column; remove the column");
            self.subject.refuse(column.referenced, message);
            return None;
        }
        let column = self.typed("column", column, form.data_type.as_ref())?;
        if of.has(&column.data_type) {
            return Some(Some(column));
        }
        let message = format_args!(
            "{function} is of {}, and column {:?} is {}; take another function or column, or cast \
             it in source.sql",
            of.words(),
            column.name,
            column.data_type
        );
        self.subject.refuse(at, message);
        None
    }

    /// The column that orders events.
    fn by(&mut self, signature: &Signature, form: &AggregateForm) -> Option<Field> {
        if !signature.parameters.contains(&"by") {
            return None;
        }
        let function = signature.name;
        let Some(by) = &form.by else {
            let message =
                format_args!("{function} needs a column that decides; name it, as by: price");
            self.subject.refuse(form.function.referenced, message);
            return None;
        };
        let by = self.typed("by", by, form.by_type.as_ref())?;
        if matches!(by.data_type, DataType::List { .. }) {
            let message =
                format_args!("{function} is by what sorts, and lists do not; name another column");
            self.subject.refuse(form.function.referenced, message);
        }
        Some(by)
    }

    /// A column of the source with its type.
    fn typed(
        &mut self,
        path: &str,
        column: &Spanned<String>,
        data_type: Option<&Spanned<String>>,
    ) -> Option<Field> {
        let name = column.value.trim().to_owned();
        if name.is_empty() {
            self.subject.refuse(column.referenced, format_args!("{path} is empty; name a column"));
            return None;
        }
        let data_type = match data_type {
            None => DataType::Float64,
            Some(found) => match found.value.parse() {
                Ok(data_type) => data_type,
                Err(error) => {
                    let error: crate::Error = error;
                    self.subject.refuse(found.referenced, format_args!("column {name:?}: {error}"));
                    return None;
                }
            },
        };
        Some(Field { name, data_type, description: String::new() })
    }

    /// The numbers and words that a function takes; others are refused.
    fn parameters(&mut self, signature: &Signature, form: &AggregateForm) -> Parameters {
        let function = signature.name;
        let p = form.p.as_ref().map(|p| p.referenced);
        let at = |found: &Option<Spanned<String>>| found.as_ref().map(|found| found.referenced);
        let written = [
            ("by", at(&form.by)),
            ("byType", at(&form.by_type)),
            ("n", at(&form.n)),
            ("k", at(&form.k)),
            ("limit", at(&form.limit)),
            ("p", p),
            ("bits", at(&form.bits)),
            ("precision", at(&form.precision)),
            ("nulls", at(&form.nulls)),
            ("sumType", at(&form.sum_type)),
        ];
        for (name, at) in written {
            if let Some(at) = at.filter(|_| !signature.parameters.contains(&name)) {
                self.subject.refuse(at, format_args!("{function} takes no {name}; remove it"));
            }
        }
        for name in ["n", "k", "p"].into_iter().filter(|name| signature.parameters.contains(name)) {
            if written.iter().any(|(written, at)| *written == name && at.is_none()) {
                let such = if name == "p" { "p: [0.5, 0.95]" } else { "5" };
                let such = if name == "p" { such.to_owned() } else { format!("{name}: {such}") };
                let message = format_args!("{function} needs {name}; write {such}, for example");
                self.subject.refuse(form.function.referenced, message);
            }
        }
        let otherwise = Parameters::default();
        Parameters {
            n: self.number(form.n.as_ref(), otherwise.n),
            k: self.number(form.k.as_ref(), otherwise.k),
            limit: self.number(form.limit.as_ref(), otherwise.limit),
            bits: self.number(form.bits.as_ref(), otherwise.bits),
            precision: self.number(form.precision.as_ref(), otherwise.precision),
            nulls: self.word(form.nulls.as_ref(), &NULLS).unwrap_or(otherwise.nulls),
            sum_type: self.word(form.sum_type.as_ref(), &SUM_TYPES),
            ..otherwise
        }
    }

    fn number<N: std::str::FromStr>(&mut self, found: Option<&Spanned<String>>, none: N) -> N {
        let Some(found) = found else { return none };
        found.value.trim().parse().unwrap_or_else(|_| {
            let message = format_args!("{:?} is no number that fits here; write one", found.value);
            self.subject.refuse(found.referenced, message);
            none
        })
    }

    fn word<T: Copy>(&mut self, found: Option<&Spanned<String>>, words: &[(&str, T)]) -> Option<T> {
        let found = found?;
        let word = found.value.trim();
        let known = words.iter().find(|(name, _)| *name == word);
        if known.is_none() {
            let there = suggestion(word, words.iter().map(|(name, _)| *name));
            self.subject.refuse(found.referenced, format_args!("{word:?} is not a choice{there}"));
        }
        known.map(|(_, value)| *value)
    }

    fn filter(&mut self, found: Option<&Spanned<String>>) -> Option<String> {
        let found = found?;
        let text = self.subject.text("aggregates.where", found);
        if text.len() > SQL_BYTES_MAX {
            let message = format_args!(
                "where has {} bytes, and {SQL_BYTES_MAX} is the limit; compute it in source.sql",
                text.len()
            );
            self.subject.refuse(found.referenced, message);
        }
        Some(text)
    }

    fn offset(&mut self, form: &AggregateForm) -> i64 {
        let offset = form.offset.as_ref();
        let micros = self.subject.duration("offset", offset, Length::Positive).unwrap_or(0);
        if let Some(found) = offset.filter(|_| micros > *AGGREGATE_WINDOW_MICROS.end()) {
            let most = format_duration(*AGGREGATE_WINDOW_MICROS.end());
            let message = format_args!("offset is {}; {most} is the limit", found.value);
            self.subject.refuse(found.referenced, message);
        }
        micros
    }

    fn current_time(&mut self, found: Option<&Spanned<String>>) -> CurrentTime {
        match self.word(found, &[("true", true), ("false", false)]) {
            Some(true) => CurrentTime::Excluded,
            _ => CurrentTime::Counts,
        }
    }

    fn buckets(&mut self, form: &AggregateForm) {
        let Some(BucketsForm { column, values, other }) = &form.buckets else { return };
        self.subject.text("buckets.column", column);
        self.word(other.as_ref(), &[("true", true), ("false", false)]);
        let count = values.value.len();
        if count == 0 || count > AGGREGATE_BUCKETS_MAX {
            let message = format_args!(
                "there are {count} buckets; write 1 to {AGGREGATE_BUCKETS_MAX} values of the \
                 column"
            );
            self.subject.refuse(values.referenced, message);
        }
    }

    /// The length of a window; none of a lifetime.
    fn window(
        &mut self,
        function: &str,
        found: &Spanned<String>,
        offset: Option<&Spanned<String>>,
    ) -> Option<i64> {
        if found.value.trim() == LIFETIME {
            if let Some(offset) = offset {
                let message = "a lifetime has no offset: it is all events there are; remove one";
                self.subject.refuse(offset.referenced, message);
            }
            return None;
        }
        let (least, most) = (*AGGREGATE_WINDOW_MICROS.start(), *AGGREGATE_WINDOW_MICROS.end());
        let micros = match parse_duration(&found.value) {
            Ok(micros) if (least..=most).contains(&micros) => return Some(micros),
            Ok(_) => format!(
                "is {}; choose one from {} to {}, or lifetime",
                found.value,
                format_duration(least),
                format_duration(most)
            ),
            Err(error) => error.to_string(),
        };
        self.subject.refuse(found.referenced, format_args!("a window of {function} {micros}"));
        Some(least)
    }

    /// A quantile in millionths.
    fn millionths(&mut self, found: &Spanned<String>) -> u32 {
        let wanted = found.value.trim().parse::<f64>().ok().filter(|p| (0.0..=1.0).contains(p));
        let Some(p) = wanted else {
            let message =
                format_args!("p is {:?}; write numbers from 0 to 1, such as 0.95", found.value);
            self.subject.refuse(found.referenced, message);
            return 0;
        };
        (p * 1e6).round() as u32
    }

    fn name(&mut self, name: &str, at: Location) {
        if let Err(error) = name::check(name) {
            let message = format_args!("a feature's {error}; give it one, as name: amount_7d");
            self.subject.refuse(at, message);
        }
        if let Some(first) = self.first.get(name) {
            let first = self.subject.place(*first);
            let message =
                format_args!("feature {name:?} is already at {first}; give one of them a name");
            self.subject.refuse(at, message);
        }
        self.first.entry(name.to_owned()).or_insert(at);
    }

    fn refuse_sum_type(&mut self, form: &AggregateForm, column: &DataType) {
        let at = form.sum_type.as_ref().map_or(form.function.referenced, |found| found.referenced);
        let message = format_args!(
            "a sum of {column} is not of that type; leave sumType out, or write float64"
        );
        self.subject.refuse(at, message);
    }
}
