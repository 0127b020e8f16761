//! `KEY=VALUE[,VALUE...]`: join keys as typed on a command line.

use std::str::FromStr;

use hitherto_api::{KeyColumn, fields};
use hitherto_core::column::Column;
use hitherto_core::definition::Field;
use hitherto_core::key::OwnedPart;
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

/// One argument: a join key and its values, one for each entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyArgument {
    name: String,
    values: Vec<String>,
}

impl KeyArgument {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for KeyArgument {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((name, values)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), values: split(values) })
            }
            _ => Err(Error::invalid(format!(
                "{text:?} is not KEY=VALUE; write customer_id=1, or customer_id=1,2,3"
            ))),
        }
    }
}

/// The values between commas; `\,` is a comma in a value and `\\` a backslash.
fn split(text: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let Some(value) = values.last_mut() else { break };
        match letter {
            ',' => values.push(String::new()),
            '\\' => value.push(letters.next().unwrap_or('\\')),
            letter => value.push(letter),
        }
    }
    values
}

/// Reads values as what `type_of` says of their key. Arguments of one name are
/// one column. A name of no type is passed on as text: the engine knows what
/// the features need, and says so.
///
/// # Errors
/// `Invalid` when a value is none of its key's type.
pub fn columns(
    arguments: &[KeyArgument],
    type_of: impl Fn(&str) -> Option<DataType>,
) -> Result<Vec<KeyColumn>> {
    let mut columns: Vec<KeyColumn> = Vec::new();
    for KeyArgument { name, values } in arguments {
        let data_type = type_of(name).unwrap_or(DataType::String);
        let parts = values.iter().map(|text| {
            let part = OwnedPart::parse(text, &data_type);
            part.map(Some)
                .map_err(|error| Error::invalid(format!("join key {name:?}: {}", error.chain())))
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        match columns.iter_mut().find(|column| column.name == *name) {
            Some(column) => column.parts.extend(parts),
            None => columns.push(KeyColumn { name: name.clone(), parts }),
        }
    }
    Ok(columns)
}

/// Columns of fields of the request, of which these arguments are.
///
/// # Errors
/// `Invalid` when a value is none of its field's type.
pub fn brought<'f>(
    arguments: &[KeyArgument],
    fields: impl Iterator<Item = &'f Field> + Clone,
) -> Result<Vec<Column>> {
    let mut texts: Vec<(&Field, Vec<String>)> = Vec::new();
    for KeyArgument { name, values } in arguments {
        let Some(field) = fields.clone().find(|field| field.name == *name) else { continue };
        match texts.iter_mut().find(|(known, _)| known.name == *name) {
            Some((_, texts)) => texts.extend_from_slice(values),
            None => texts.push((field, values.clone())),
        }
    }
    texts.into_iter().map(|(field, texts)| fields::from_text(field, texts)).collect()
}

#[cfg(test)]
mod tests;
