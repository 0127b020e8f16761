//! A feature view: how it is written, what it is once checked, and what there is to say of
//! it. Its source, its features and what the online store keeps of it have modules of their
//! own, made in the same way.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_saphyr::{Location, Spanned};

use super::aggregate::{self, AggregateForm, Aggregates, EventIdForm};
use super::describe::{Aspects, Effect, ORDER, aspect, columns, optional};
use super::feature::{self, Feature, FeatureForm};
use super::index::Index;
use super::online::{Online, OnlineForm};
use super::schema::{DURATION_PATTERN, KNOWN};
use super::source::{Source, SourceForm};
use super::subject::{Length, Siblings, Subject};
use super::{Field, Metadata};
use crate::limits::VIEW_FEATURES_MAX;
use crate::name::{self, suggestion};
use crate::time::format_duration;
use crate::types::DataType;

const FEATURES: Siblings = Siblings {
    path: "features",
    noun: "feature",
    count_max: VIEW_FEATURES_MAX,
    check_name: name::check,
};

/// What a feature view is: features of one entity from one source.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "FeatureViewSpec")]
#[schemars(extend("oneOf" = [{ "required": ["features"] }, { "required": ["aggregates"] }]))]
pub struct FeatureViewForm {
    /// The entity's name; without it the features are about everything there
    /// is, and are looked up and joined without keys.
    #[schemars(with = "Option<String>")]
    #[serde(default, deserialize_with = "written")]
    pub entity: Option<Spanned<String>>,
    /// Where facts come from.
    pub source: SourceForm,
    /// How long a fact answers, such as 24h or 10y (a year is 365 days); for ever without
    /// it.
    #[schemars(with = "Option<String>", extend("pattern" = DURATION_PATTERN))]
    pub ttl: Option<Spanned<String>>,
    /// Whether known time counts: honor (the default), or ignore to reproduce
    /// an older system.
    #[schemars(with = "Option<String>", extend("enum" = KNOWN))]
    pub known: Option<Spanned<String>>,
    /// Features that are columns of the source, in the order of the answer; at least one. The
    /// newest fact answers.
    #[schemars(with = "Option<Vec<FeatureForm>>", extend("minItems" = 1))]
    pub features: Option<Spanned<Vec<FeatureForm>>>,
    /// In the place of features: functions of the events in windows, such as a sum over 7d.
    #[schemars(with = "Option<Vec<AggregateForm>>", extend("minItems" = 1))]
    pub aggregates: Option<Spanned<Vec<AggregateForm>>>,
    /// What the online store keeps beyond the latest fact.
    pub online: Option<OnlineForm>,
}

/// Text that is not there, or there: a field without a value is neither.
fn written<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Spanned<String>>, D::Error> {
    Spanned::deserialize(reader).map(Some)
}

/// Whether the known-time condition of the rule holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// No fact answers before it was known.
    #[default]
    Honor,
    /// Event time alone decides: only for reproducing an older system.
    Ignore,
}

/// A named, versioned set of features computed from one source for one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureView {
    /// Name, description, owner, tags.
    pub metadata: Metadata,
    /// The entity's name; `None` is a view without join keys, whose facts are
    /// about everything there is.
    pub entity: Option<String>,
    /// Where facts come from.
    pub source: Source,
    /// How long a fact answers, in microseconds; `None` is for ever.
    pub ttl_micros: Option<i64>,
    /// Whether known time counts.
    pub known: Known,
    /// Features, in declared order; at least one.
    #[serde(flatten, with = "feature::stored")]
    pub features: Vec<Feature>,
    /// How the features are computed from events; `None` where they are columns of facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregates: Option<Aggregates>,
    /// What the online store keeps.
    pub online: Online,
}

impl FeatureView {
    /// The type of one of its features.
    pub fn type_of(&self, name: &str) -> Option<&DataType> {
        let feature = self.features.iter().find(|feature| feature.name == name)?;
        Some(&feature.data_type)
    }

    pub(super) fn check(
        subject: &mut Subject<'_>,
        index: &Index<'_>,
        metadata: Metadata,
        form: &FeatureViewForm,
    ) -> Self {
        let entity = form.entity.as_ref();
        let entity = entity.map(|entity| index.known_entity(subject, "entity", entity));
        let keys = entity.as_deref().and_then(|entity| index.entities.get(entity));
        let keys = keys.map_or(&[][..], Vec::as_slice);
        let (features, aggregates) = features(subject, form, keys);
        Self {
            metadata,
            source: Source::check(subject, form, keys),
            ttl_micros: subject.duration("ttl", form.ttl.as_ref(), Length::Positive),
            known: known(subject, form.known.as_ref()),
            features,
            aggregates,
            online: Online::check(subject, form.online.as_ref()),
            entity,
        }
    }

    /// What there is to say of it; `keys` are those of its entity.
    pub fn describe(&self, keys: &[Field]) -> Aspects {
        let Self { metadata, entity, source, ttl_micros, known, features, aggregates, online } =
            self;
        let mut to = Aspects::new();
        metadata.describe(&mut to);
        to.push(optional("entity", entity.as_ref(), Effect::Serving));
        to.push(aspect("entity.keys", columns(keys), Effect::Rematerialize));
        source.describe(&mut to);
        let ttl = ttl_micros.map(format_duration).unwrap_or_default();
        // Of events only those are kept that a window and the ttl reach.
        let is_stored = aggregates.is_some();
        let effect = if is_stored { Effect::Rematerialize } else { Effect::Serving };
        to.push(aspect("ttl", ttl, effect));
        let known = match known {
            Known::Honor => "honor",
            Known::Ignore => "ignore",
        };
        to.push(aspect("known", known, Effect::Serving));
        let order: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
        to.push(aspect(ORDER, order.join(", "), Effect::Rematerialize));
        features.iter().for_each(|feature| feature.describe(&mut to));
        aggregates.iter().for_each(|aggregates| aggregates.describe(features, &mut to));
        online.describe(&mut to);
        to
    }
}

fn known(subject: &mut Subject<'_>, found: Option<&Spanned<String>>) -> Known {
    let Some(found) = found else { return Known::default() };
    subject.note("known", found.referenced);
    match found.value.as_str() {
        "honor" => Known::Honor,
        "ignore" => Known::Ignore,
        other => {
            let there = suggestion(other, KNOWN);
            let message = format_args!("known: {other:?} is not a choice{there}");
            subject.refuse(found.referenced, message);
            Known::default()
        }
    }
}

/// The features, and how they are computed if they are no columns.
fn features(
    subject: &mut Subject<'_>,
    form: &FeatureViewForm,
    keys: &[&str],
) -> (Vec<Feature>, Option<Aggregates>) {
    let (features, aggregates) = match (&form.features, &form.aggregates) {
        (Some(features), None) => (features, None),
        (None, Some(aggregates)) => return aggregated(subject, form, aggregates, keys),
        (Some(_), Some(aggregates)) => {
            subject.refuse(
                aggregates.referenced,
                "features and aggregates exclude each other: the newest fact answers for the \
                 ones, the events of a window for the others; make them two views of one source",
            );
            return (Vec::new(), None);
        }
        (None, None) => {
            subject.refuse(
                form.source.parquet.referenced,
                "there are no features; list the source's columns as features, or what to compute \
                 of its events as aggregates",
            );
            return (Vec::new(), None);
        }
    };
    if let Some(EventIdForm::One(id)) = &form.source.id {
        let message = "source.id is for aggregates; remove it";
        subject.refuse(id.referenced, message);
    }
    for field in &features.value {
        refuse_key(subject, keys, &field.name.value, field.name.referenced);
    }
    (subject.fields(&FEATURES, features, Feature::check), aggregates)
}

/// Features that are computed.
fn aggregated(
    subject: &mut Subject<'_>,
    form: &FeatureViewForm,
    aggregates: &Spanned<Vec<AggregateForm>>,
    keys: &[&str],
) -> (Vec<Feature>, Option<Aggregates>) {
    if let Some(timeless) = &form.source.timeless {
        let message = "aggregates are of events, which have a time; name it as source.eventTime";
        subject.refuse(timeless.referenced, message);
    }
    let (features, checked) = aggregate::check(subject, aggregates, form.source.id.as_ref());
    for feature in &features {
        refuse_key(subject, keys, &feature.name, aggregates.referenced);
    }
    (features, Some(checked))
}

/// Refuses a feature that every answer has already.
fn refuse_key(subject: &mut Subject<'_>, keys: &[&str], name: &str, at: Location) {
    if keys.contains(&name) {
        let message = format_args!(
            "feature {name:?} is a join key of the view's entity, which every answer has already; \
             remove it, or give it another name in source.columns"
        );
        subject.refuse(at, message);
    }
}
