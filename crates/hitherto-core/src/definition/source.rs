//! Where a view's facts come from: how it is written, what it is once checked, and what there
//! is to say of it.

use std::collections::BTreeMap;
use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::aggregate::EventIdForm;
use super::describe::{self, Aspects, Effect, aspect};
use super::form::FieldForm;
use super::schema::DURATION_PATTERN;
use super::subject::{Length, Siblings, Subject};
use super::view::FeatureViewForm;
use super::{Field, Period};
use crate::limits::ENTITY_KEYS_MAX;
use crate::name::{self, suggestion};
use crate::time::format_duration;
use crate::zone::Zone;

const PARTITIONS: Siblings = Siblings {
    path: "source.partitions",
    noun: "partition",
    count_max: ENTITY_KEYS_MAX,
    check_name: name::check_partition,
};

/// Where facts come from: with `eventTime`, or `timeless`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Source")]
#[schemars(extend("oneOf" = [{ "required": ["eventTime"] }, { "required": ["timeless"] }]))]
pub struct SourceForm {
    /// A file, folder or glob relative to the repository's root, or an
    /// object-store URL.
    #[schemars(with = "String", extend("minLength" = 1))]
    pub parquet: Spanned<String>,
    /// The period, in UTC or the declared timezone, whose facts a file holds, by event time,
    /// if its path names it, as `day=2026-01-05/` does. Files of later periods than are asked
    /// for are then not opened.
    #[schemars(with = "Option<String>", extend("enum" = ["year", "month", "day", "hour"]))]
    pub partitioned_by: Option<Spanned<String>>,
    /// Columns that no file has because the paths of files name them, as `region=EU/`:
    /// the name as it is there, capitals and all, and the type of its values.
    #[schemars(with = "Option<Vec<Partition>>", extend("minItems" = 1))]
    pub partitions: Option<Spanned<Vec<FieldForm>>>,
    /// DataFusion SQL over the table `source`.
    #[schemars(with = "Option<String>")]
    pub sql: Option<Spanned<String>>,
    /// The column that says when a thing happened.
    #[schemars(with = "Option<String>", extend("minLength" = 1))]
    pub event_time: Option<Spanned<String>>,
    /// In the place of eventTime: true for attributes that have no time, such as a
    /// patient's sex. They always were: every moment sees them, they have no age, and
    /// neither a ttl nor online.history. What can change has a knownTime.
    #[schemars(with = "Option<bool>", extend("const" = true))]
    pub timeless: Option<Spanned<String>>,
    /// The column that says when it could first be known.
    #[schemars(with = "Option<String>")]
    pub known_time: Option<Spanned<String>>,
    /// How long after its event a fact is known, where no column says so.
    #[schemars(with = "Option<String>", extend("pattern" = DURATION_PATTERN))]
    pub delay: Option<Spanned<String>>,
    /// Whose clock event and known times were read from, where they have no zone of their
    /// own, as the IANA database names it: Europe/Berlin, or UTC, as which they are read
    /// without this.
    #[schemars(with = "Option<String>", extend("minLength" = 1))]
    pub timezone: Option<Spanned<String>>,
    /// The boolean column that marks deletions: from such a fact on the entity
    /// has no values, until a later fact gives it new ones.
    #[schemars(with = "Option<String>")]
    pub deleted: Option<Spanned<String>>,
    /// For aggregates: what tells two events of an entity at one time apart, a column or
    /// several; the word eventTime if there is never more than one. Facts of one event are
    /// versions of it, of which the last that is known counts.
    pub id: Option<EventIdForm>,
    /// The columns of join keys and features that are called otherwise in the
    /// source, such as `heart_rate: HR`.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub columns: Option<BTreeMap<String, Spanned<String>>>,
}

/// A column that paths name, for the schema: what it is called is its writer's choice.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read as any field")]
struct Partition {
    #[schemars(extend("pattern" = "^[^/=]+$"))]
    name: String,
    r#type: String,
    description: Option<String>,
}

/// Where facts lie. Stored as a field of the source that is called as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// In Parquet files: a file, a folder or a glob, relative to the repository's root, or
    /// an object-store URL.
    Parquet(String),
}

/// Where a view's facts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Where they lie.
    #[serde(flatten)]
    pub origin: Origin,
    /// The period whose facts a file holds, by event time, if its path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitioned_by: Option<Period>,
    /// Columns that no file has because the paths of files name them, as `region=EU/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<Field>,
    /// DataFusion SQL over the table `source`.
    pub sql: Option<String>,
    /// The column of event times; `None` is a timeless source, whose facts always were.
    // Stored as the empty name: an older release then opens the store and finds no such
    // column in the source, instead of taking the catalog for damaged.
    #[serde(with = "empty_if_none")]
    pub event_time: Option<String>,
    /// The column of known times; without it a fact is known `delay_micros`
    /// after its event.
    pub known_time: Option<String>,
    /// Microseconds from event to knowledge where no column says so.
    pub delay_micros: i64,
    /// Whose local times the event and known times are that have no zone; `None` is UTC's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Zone>,
    /// The boolean column that marks deletions: such a fact says that the
    /// entity's values are gone. Without one no fact does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
    /// The column of a join key or feature that is called otherwise here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
}

impl Source {
    /// The column that holds a join key or feature.
    pub fn column<'s>(&'s self, field: &'s str) -> &'s str {
        self.columns.get(field).map_or(field, String::as_str)
    }

    /// Whether its facts have no event time: they always were.
    pub fn is_timeless(&self) -> bool {
        self.event_time.is_none()
    }

    /// Whether every moment sees every fact, so that the latest of an entity answers them
    /// all.
    pub fn is_always_visible(&self) -> bool {
        self.is_timeless() && self.known_time.is_none()
    }

    pub(super) fn check(subject: &mut Subject<'_>, view: &FeatureViewForm, keys: &[&str]) -> Self {
        let form = &view.source;
        subject.note("source", form.parquet.referenced);
        let delay = form.delay.as_ref();
        if let (Some(delay), Some(_)) = (delay, &form.known_time) {
            subject.refuse(
                delay.referenced,
                "source.delay and source.knownTime exclude each other; a column says when each \
                 fact was known, so remove the delay",
            );
        }
        let partitioned_by = form.partitioned_by.as_ref();
        if let (Some(period), Some(_)) = (partitioned_by, &form.sql) {
            subject.refuse(
                period.referenced,
                "source.partitionedBy and source.sql exclude each other; event times are what the \
                 SQL makes of them, so name the period there in a WHERE",
            );
        }
        Self {
            origin: Origin::Parquet(subject.text("source.parquet", &form.parquet)),
            partitioned_by: subject.parsed("source.partitionedBy", partitioned_by),
            partitions: partitions(subject, form),
            sql: subject.optional_text("source.sql", form.sql.as_ref()),
            event_time: event_time(subject, view),
            known_time: subject.optional_text("source.knownTime", form.known_time.as_ref()),
            delay_micros: subject.duration("source.delay", delay, Length::Any).unwrap_or(0),
            timezone: timezone(subject, form),
            deleted: subject.optional_text("source.deleted", form.deleted.as_ref()),
            columns: columns(subject, view, keys),
        }
    }

    pub(super) fn describe(&self, to: &mut Aspects) {
        let Self {
            origin: Origin::Parquet(parquet),
            partitioned_by,
            partitions,
            sql,
            event_time,
            known_time,
            delay_micros,
            timezone,
            deleted,
            columns,
        } = self;
        let mut say = |field: &str, value: &dyn Display| {
            to.push(aspect(format!("source.{field}"), value, Effect::Rematerialize));
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        say("parquet", parquet);
        say("partitionedBy", &partitioned_by.map(Period::name).unwrap_or_default());
        say("partitions", &describe::columns(partitions));
        say("sql", &text(sql));
        say("eventTime", &text(event_time));
        say("timeless", &if self.is_timeless() { "true" } else { "" });
        say("knownTime", &text(known_time));
        say("delay", &format_duration(*delay_micros));
        say("timezone", &timezone.as_ref().map(Zone::name).unwrap_or_default());
        say("deleted", &text(deleted));
        for (field, column) in columns {
            say(&format!("columns.{field}"), column);
        }
    }
}

/// Columns that paths name.
fn partitions(subject: &mut Subject<'_>, form: &SourceForm) -> Vec<Field> {
    let Some(partitions) = &form.partitions else { return Vec::new() };
    for default in partitions.value.iter().filter_map(|column| column.default.as_ref()) {
        let message = "a partition has no default: every path names its value; remove it";
        subject.refuse(default.referenced, message);
    }
    let mut columns = subject.fields(&PARTITIONS, partitions, Field::check);
    // What is said of it for people decides no fact.
    columns.iter_mut().for_each(|column| column.description.clear());
    columns
}

/// The column of event times, or none and with it nothing that counts from one.
fn event_time(subject: &mut Subject<'_>, view: &FeatureViewForm) -> Option<String> {
    let form = &view.source;
    let timeless = form.timeless.as_ref().filter(|timeless| match timeless.value.as_str() {
        "true" => true,
        "false" => false,
        other => {
            let message = format_args!("source.timeless is {other:?}; write true, or leave it out");
            subject.refuse(timeless.referenced, message);
            true
        }
    });
    let Some(timeless) = timeless else {
        if form.event_time.is_none() {
            subject.refuse(
                form.parquet.referenced,
                "the source says nothing of time; name the column that says when a thing \
                 happened, as eventTime, or write timeless: true for attributes that have none",
            );
        }
        return subject.optional_text("source.eventTime", form.event_time.as_ref());
    };
    subject.note("source.timeless", timeless.referenced);
    let online = view.online.as_ref().and_then(|online| online.history.as_ref());
    let online = online.filter(|_| form.known_time.is_none());
    let refusals = [
        (&form.event_time, "source.eventTime and source.timeless exclude each other; remove one"),
        (&view.ttl, "a timeless view has no ttl: what always was does not age; remove the ttl"),
        (
            &form.delay,
            "a timeless source has no delay: there is no event to count from; name a knownTime",
        ),
        (
            &form.partitioned_by,
            "a timeless source is not partitioned by time; remove partitionedBy",
        ),
        (
            &online.cloned(),
            "a timeless view without knownTime needs no online.history: it answers every moment; \
             remove it",
        ),
    ];
    for (found, message) in refusals {
        if let Some(found) = found {
            subject.refuse(found.referenced, message);
        }
    }
    None
}

/// The zone of times that have none.
fn timezone(subject: &mut Subject<'_>, form: &SourceForm) -> Option<Zone> {
    let is_without_times = form.event_time.is_none() && form.known_time.is_none();
    if let Some(zone) = form.timezone.as_ref().filter(|_| is_without_times) {
        let message = "source.timezone is of event and known times, of which the source has \
                       neither; remove it";
        subject.refuse(zone.referenced, message);
    }
    subject.parsed("source.timezone", form.timezone.as_ref())
}

/// Columns by the name of their join key or feature.
fn columns(
    subject: &mut Subject<'_>,
    form: &FeatureViewForm,
    keys: &[&str],
) -> BTreeMap<String, String> {
    let features = form.features.iter().flat_map(|features| &features.value);
    let features = features.map(|feature| feature.name.value.as_str());
    let fields: Vec<&str> = keys.iter().copied().chain(features).collect();
    let mut columns = BTreeMap::new();
    for (field, column) in form.source.columns.iter().flatten() {
        if !fields.contains(&field.as_str()) {
            let there = suggestion(field, fields.iter().copied());
            let message = format_args!(
                "source.columns names {field:?}, which is neither a join key nor a feature{there}"
            );
            subject.refuse(column.referenced, message);
        }
        let path = format!("source.columns.{field}");
        columns.insert(field.clone(), subject.text(&path, column));
    }
    columns
}

/// A name that is not there, stored as the empty one.
mod empty_if_none {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(name: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
        name.as_deref().unwrap_or_default().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
        let name = String::deserialize(from)?;
        Ok((!name.is_empty()).then_some(name))
    }
}
