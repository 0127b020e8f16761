//! References to features, as requests and services write them.
//!
//! ```text
//! heart_rate:bpm                                  one feature of a view
//! heart_rate:*                                    all of them
//! home=airport[airport_id=home_id]:temperature    the view under another name,
//!                                                 its join key airport_id taken
//!                                                 from the column home_id
//! ```
//!
//! With the last form one view is joined more than once, for different roles of
//! its entity. Both parts are optional; brackets repeat for further join keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{self, suggestion};
use crate::{Error, Result};

/// A feature view as one request uses it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewRef {
    /// The feature view's name.
    pub view: String,
    /// What the request calls it, if otherwise.
    pub alias: Option<String>,
    /// Join keys that are taken from a column of another name: key and column.
    pub keys: Vec<(String, String)>,
}

impl ViewRef {
    /// A view under its own name, with its own join keys.
    pub fn new(view: impl Into<String>) -> Self {
        Self { view: view.into(), alias: None, keys: Vec::new() }
    }

    /// What the answer calls the view.
    pub fn name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.view)
    }

    /// The column from which a join key is taken.
    pub fn column<'s>(&'s self, key: &'s str) -> &'s str {
        let renamed = self.keys.iter().find(|(renamed, _)| renamed == key);
        renamed.map_or(key, |(_, column)| column)
    }

    /// Checks that every key named in brackets is one of the view's join keys.
    ///
    /// # Errors
    /// `Invalid` with a suggestion.
    pub fn check_keys<'k>(&self, keys: impl Iterator<Item = &'k str> + Clone) -> Result<()> {
        match self.keys.iter().find(|(key, _)| !keys.clone().any(|known| known == key)) {
            None => Ok(()),
            Some((key, _)) => Err(Error::invalid(format!(
                "{key:?} in \"{self}\" is not a join key of feature view {:?}{}",
                self.view,
                suggestion(key, keys)
            ))),
        }
    }

    /// Checks that a view without join keys of its own is not asked for in a role.
    ///
    /// # Errors
    /// `Invalid` when it is.
    pub fn check_whole(&self) -> Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "\"{self}\" names a column for a join key of an on-demand view, which has none of its \
             own; write the column where it names its inputs, such as \
             inputs: [\"payer=account[account_id=payer_id]:*\"]"
        )))
    }

    /// Checks that one request does not call two things by one name.
    ///
    /// # Errors
    /// `Invalid` when `other` has the name of this view and is another.
    pub fn check_beside(&self, other: &ViewRef) -> Result<()> {
        if self.name() != other.name() || self == other {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "\"{self}\" and \"{other}\" have one name in the answer; give one of them another, \
             such as \"other={}:*\"",
            ViewRef { alias: None, ..self.clone() }
        )))
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, brackets) = match text.find('[') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let (alias, view) = match head.split_once('=') {
            Some((alias, view)) => (Some(alias.to_owned()), view),
            None => (None, head),
        };
        let is_named = |name: &str| name::check(name).is_ok();
        if !is_named(view) || !alias.as_deref().is_none_or(is_named) {
            return None;
        }
        let mut keys: Vec<(String, String)> = Vec::new();
        let mut rest = brackets;
        while !rest.is_empty() {
            let (pair, tail) = rest.strip_prefix('[')?.split_once(']')?;
            let (key, column) = pair.split_once('=')?;
            let is_new = !keys.iter().any(|(known, _)| known == key);
            if !is_named(key) || column.is_empty() || column.contains(['[', '=']) || !is_new {
                return None;
            }
            keys.push((key.to_owned(), column.to_owned()));
            rest = tail;
        }
        Some(Self { view: view.to_owned(), alias, keys })
    }
}

impl fmt::Display for ViewRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(alias) = &self.alias {
            write!(f, "{alias}=")?;
        }
        f.write_str(&self.view)?;
        self.keys.iter().try_for_each(|(key, column)| write!(f, "[{key}={column}]"))
    }
}

/// A reference to one feature, or to all of a view.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct FeatureRef {
    /// The feature view.
    pub view: ViewRef,
    /// The feature's name in that view, or `*` for all of them.
    pub feature: String,
}

impl FeatureRef {
    /// Whether the reference stands for every feature of its view.
    pub fn is_wildcard(&self) -> bool {
        self.feature == "*"
    }

    /// What the answer calls the feature, `view:feature`.
    pub fn column(&self) -> String {
        format!("{}:{}", self.view.name(), self.feature)
    }
}

impl FromStr for FeatureRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let reference = text.rsplit_once(':').and_then(|(view, feature)| {
            let is_feature = feature == "*" || name::check(feature).is_ok();
            is_feature.then(|| ViewRef::parse(view).map(|view| (view, feature)))?
        });
        match reference {
            Some((view, feature)) => Ok(Self { view, feature: feature.to_owned() }),
            None => Err(Error::invalid(format!(
                "{text:?} is no feature reference; write view:feature, view:* or \
                 alias=view[key=column]:feature"
            ))),
        }
    }
}

impl fmt::Display for FeatureRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.view, self.feature)
    }
}

impl From<FeatureRef> for String {
    fn from(reference: FeatureRef) -> String {
        reference.to_string()
    }
}

impl TryFrom<String> for FeatureRef {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> FeatureRef {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_comes_back_as_it_was_written() {
        for text in ["a:b", "a:*", "x=a:b", "a[k=C d]:b", "x=route[from_id=home][to_id=Away]:*"] {
            assert_eq!(read(text).to_string(), text);
        }
        let home = read("home=airport[airport_id=home_id]:temperature");
        assert_eq!(home.column(), "home:temperature");
        assert_eq!(home.view.column("airport_id"), "home_id");
        assert_eq!(home.view.column("season"), "season");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "a",
            "a:",
            ":b",
            "A:b",
            "a:b:c",
            "=a:b",
            "x=:b",
            "a[:b",
            "a[]:b",
            "a[k]:b",
            "a[k=]:b",
            "a[k=c:b",
            "a[k=c]x:b",
            "a[k=c][k=d]:b",
            "a[k=c=d]:b",
            "x=y=a:b",
        ] {
            assert!(text.parse::<FeatureRef>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn one_name_is_one_view() {
        let view = |text: &str| read(&format!("{text}:*")).view;
        assert!(view("a").check_beside(&view("a")).is_ok());
        assert!(view("x=a").check_beside(&view("a")).is_ok());
        assert!(view("a[k=c]").check_beside(&view("a")).is_err());
        assert!(view("a=b").check_beside(&view("a")).is_err());
        assert!(view("a[k=c]").check_keys(["k", "l"].into_iter()).is_ok());
        assert!(view("a[k=c]").check_keys(["l"].into_iter()).is_err());
    }
}
