//! What the online store keeps of a view, and by how much it may change at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::Share;
use super::describe::{Aspects, Effect, aspect, optional};
use super::schema::{DURATION_PATTERN, SHARE_PATTERN};
use super::subject::{Length, Subject};
use crate::time::format_duration;

/// What the online store keeps beyond the latest fact.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Online")]
pub struct OnlineForm {
    /// How far back an online lookup can ask, such as 7d; not at all without it.
    #[schemars(with = "Option<String>", extend("pattern" = DURATION_PATTERN))]
    pub history: Option<Spanned<String>>,
    /// By how much a new generation may differ from the one that it replaces; if it
    /// differs by more, readers go on seeing the old one.
    pub max_change: Option<MaxChangeForm>,
}

/// By how much a new generation may differ from the one that it replaces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "MaxChange")]
pub struct MaxChangeForm {
    /// The number of entities with values may grow or shrink by this share of it.
    #[schemars(with = "Option<String>", extend("pattern" = SHARE_PATTERN))]
    pub entities: Option<Spanned<String>>,
    /// The share of nulls among a feature's values may rise or fall by this.
    #[schemars(with = "Option<String>", extend("pattern" = SHARE_PATTERN))]
    pub nulls: Option<Spanned<String>>,
    /// A feature's numbers may reach beyond the old range by this share of it.
    #[schemars(with = "Option<String>", extend("pattern" = SHARE_PATTERN))]
    pub range: Option<Spanned<String>>,
}

/// What the online store keeps of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Online {
    /// How far back `as_of` can ask, in microseconds; `None` is not at all.
    pub history_micros: Option<i64>,
    /// By how much a new generation may differ from the one that it replaces; `None` is
    /// by anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_change: Option<MaxChange>,
}

/// By how much a new generation may differ from the one that it replaces; what is `None`
/// may differ by anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxChange {
    /// The number of entities with values: of the old number.
    pub entities: Option<Share>,
    /// How many values of a feature are null: of all, up or down.
    pub nulls: Option<Share>,
    /// How far a feature's numbers reach beyond the old range: of that range.
    pub range: Option<Share>,
}

impl Online {
    pub(super) fn check(subject: &mut Subject<'_>, form: Option<&OnlineForm>) -> Self {
        let Some(form) = form else { return Self::default() };
        let mut share = |name: &str, found: Option<&Spanned<String>>| {
            subject.parsed(&format!("online.maxChange.{name}"), found)
        };
        let max_change = form.max_change.as_ref().map(|form| MaxChange {
            entities: share("entities", form.entities.as_ref()),
            nulls: share("nulls", form.nulls.as_ref()),
            range: share("range", form.range.as_ref()),
        });
        let history = subject.duration("online.history", form.history.as_ref(), Length::Positive);
        Self { history_micros: history, max_change }
    }

    pub(super) fn describe(&self, to: &mut Aspects) {
        let Self { history_micros, max_change } = self;
        let history = history_micros.map(format_duration).unwrap_or_default();
        to.push(aspect("online.history", history, Effect::Rematerialize));
        let MaxChange { entities, nulls, range } = max_change.unwrap_or_default();
        to.push(optional("online.maxChange.entities", entities.as_ref(), Effect::None));
        to.push(optional("online.maxChange.nulls", nulls.as_ref(), Effect::None));
        to.push(optional("online.maxChange.range", range.as_ref(), Effect::None));
    }
}
