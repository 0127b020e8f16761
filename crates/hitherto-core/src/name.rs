//! Resource names, and suggestions for misspelt ones.
//!
//! A name is `[a-z][a-z0-9_]*`: it becomes a column, a metric label, a file
//! name and part of `view:feature`, and must need no quoting in any of them.

use crate::limits::{NAME_BYTES_MAX, NAMES_SHOWN_MAX};
use crate::{Error, Result};

/// Checks that `name` can name a resource, a feature or a key.
///
/// # Errors
/// `Invalid` with the reason; the caller adds what the name was for.
pub fn check(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !first || !rest {
        return Err(Error::invalid(format!(
            "name {name:?} is not allowed; begin with a letter a-z, and write only a-z, 0-9 and \
             _"
        )));
    }
    check_length(name)
}

fn check_length(name: &str) -> Result<()> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(format!(
            "name {name:?} has {} bytes, and {NAME_BYTES_MAX} is the limit; write a shorter one",
            name.len()
        )));
    }
    Ok(())
}

/// Checks that `name` can name a column that paths name, as `Region=EU/`: writers have names
/// of their own for those.
///
/// # Errors
/// `Invalid` with the reason; the caller adds what the name was for.
pub fn check_partition(name: &str) -> Result<()> {
    let is_outside = |c: char| c == '/' || c == '=' || c.is_control();
    if name.is_empty() || name.trim() != name || name.contains(is_outside) {
        return Err(Error::invalid(format!(
            "name {name:?} is none that a path can have; write what stands before the = in it"
        )));
    }
    check_length(name)
}

/// The candidate most like `found`, if one is like it at all.
pub fn closest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(found, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(found.len()) / 4)
        .min_by_key(|(distance, candidate)| (*distance, candidate.len()))
        .map(|(_, candidate)| candidate)
}

/// The end of a "not there" message: `; did you mean "x"?`, or what there is: all of it,
/// and of a long list the names most like `found`.
pub fn suggestion<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(candidate) = closest(found, candidates.iter().copied()) {
        return format!("; did you mean {candidate:?}?");
    }
    match candidates.len() {
        0 => String::from("; there is none"),
        1..=NAMES_SHOWN_MAX => format!("; there is {}", candidates.join(", ")),
        n => {
            let alike = most_alike(found, candidates);
            format!("; there are {n}, those most alike are {}", alike.join(", "))
        }
    }
}

/// As many names as a message shows, those most like `found` first.
fn most_alike<'a>(found: &str, candidates: Vec<&'a str>) -> Vec<&'a str> {
    let mut ranked: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(found, candidate), candidate))
        .collect();
    // A stable sort: names that are as like keep their order.
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(NAMES_SHOWN_MAX).map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests;
