//! Definitions on the wire.
//!
//! A message is a list of its fields' names: how a value goes over the wire follows from its
//! type. Both directions are written from one list and name every field, so that one that is
//! new in a definition or in the contract and not in the other does not compile.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use hitherto_core::aggregate::{CurrentTime, Nulls, SumType, Window};
use hitherto_core::definition::aggregate::{self, Parameters};
use hitherto_core::definition::{
    Aggregate, Aggregates, DefaultValue, Entity, Feature, FeatureService, Field, MaxChange,
    Metadata, OnDemandFeature, OnDemandView, Origin, Period, Share, Source,
};
use hitherto_core::reference::FeatureRef;
use hitherto_core::types::DataType;
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};

use crate::v1;

/// What goes over the wire as an `F`.
pub(super) trait Wire<F>: Sized {
    fn to_wire(&self) -> F;

    /// # Errors
    /// `Internal` when it cannot be what a server has.
    fn from_wire(wire: F) -> Result<Self>;
}

/// Messages by the names of their fields: those that are the same on both sides, then those
/// of which the contract's is another.
macro_rules! messages {
    ($($ours:ident = $wire:ident, $noun:literal,
       { $($same:ident),* } { $($field:ident: $other:ident),* };)*) => {$(
        impl Wire<v1::$wire> for $ours {
            fn to_wire(&self) -> v1::$wire {
                v1::$wire { $($same: self.$same.to_wire(),)* $($other: self.$field.to_wire()),* }
            }

            fn from_wire(wire: v1::$wire) -> Result<Self> {
                Ok(Self {
                    $($same: Wire::from_wire(wire.$same)?,)*
                    $($field: Wire::from_wire(wire.$other)?),*
                })
            }
        }

        /// Always there, though every message can be left out.
        impl Wire<Option<v1::$wire>> for $ours {
            fn to_wire(&self) -> Option<v1::$wire> {
                Some(self.to_wire())
            }

            fn from_wire(wire: Option<v1::$wire>) -> Result<Self> {
                let left_out = || Error::internal(concat!("there is no ", $noun));
                Self::from_wire(wire.ok_or_else(left_out)?)
            }
        }
    )*};
}

messages! {
    Metadata = Metadata, "metadata", { name, description, owner, tags } {};
    Entity = Entity, "entity", { metadata, keys } {};
    FeatureService = Service, "service", { metadata, features } {};
    Aggregates = Aggregates, "aggregates", { id, features } {};
    OnDemandView = OnDemandView, "on-demand view",
        { metadata, entities, request, inputs, features } {};
    OnDemandFeature = OnDemandFeature, "on-demand feature",
        { name, expr, description, default } { data_type: r#type };
    Feature = Field, "feature", { name, description, default } { data_type: r#type };
    MaxChange = MaxChange, "greatest change", { entities, nulls, range } {};
    Source = Source, "source", {
        partitioned_by, partitions, sql, event_time, known_time, delay_micros, timezone, deleted,
        columns
    } { origin: parquet };
}

/// A join key is a feature that has no more than a name, a type and a description.
impl Wire<v1::Field> for Field {
    fn to_wire(&self) -> v1::Field {
        v1::Field {
            name: self.name.clone(),
            r#type: self.data_type.to_wire(),
            description: self.description.clone(),
            default: None,
        }
    }

    fn from_wire(wire: v1::Field) -> Result<Self> {
        let v1::Field { name, r#type, description, .. } = wire;
        Ok(Self { name, data_type: Wire::from_wire(r#type)?, description })
    }
}

/// A function is its name, its parameters and the type of its column.
impl Wire<v1::Aggregate> for Aggregate {
    fn to_wire(&self) -> v1::Aggregate {
        let Self { function, column, by, window, filter } = self;
        let Window { length, offset, current_time, ttl: _ } = *window;
        let (function, parameters) = aggregate::written(function);
        let Parameters { n, k, limit, bits, precision, millionths, nulls, sum_type } = parameters;
        v1::Aggregate {
            function: function.to_owned(),
            column: column.as_ref().map(Wire::to_wire),
            by: by.as_ref().map(Wire::to_wire),
            window_micros: length,
            offset_micros: offset,
            exclude_current_time: current_time == CurrentTime::Excluded,
            r#where: filter.clone(),
            n,
            limit,
            millionths,
            bits: bits.into(),
            precision: precision.into(),
            keep_nulls: nulls == Nulls::Keep,
            sum_type: sum_type.map(|sum_type| sum_type.name().to_owned()).unwrap_or_default(),
            k,
        }
    }

    fn from_wire(wire: v1::Aggregate) -> Result<Self> {
        let column: Option<Field> = wire.column.map(Wire::from_wire).transpose()?;
        let of = column.as_ref().map_or(&DataType::Int64, |column| &column.data_type);
        let parameters = Parameters {
            n: wire.n,
            k: wire.k,
            limit: wire.limit,
            bits: wire.bits as u8,
            precision: wire.precision as u8,
            millionths: wire.millionths,
            nulls: if wire.keep_nulls { Nulls::Keep } else { Nulls::Skip },
            sum_type: SumType::named(&wire.sum_type),
        };
        let function = aggregate::named(&wire.function, of, parameters).ok_or_else(|| {
            Error::internal(format!("there is no function {:?} of {of}", wire.function))
        })?;
        let current_time = match wire.exclude_current_time {
            true => CurrentTime::Excluded,
            false => CurrentTime::Counts,
        };
        Ok(Self {
            function,
            column,
            by: wire.by.map(Wire::from_wire).transpose()?,
            window: Window {
                length: wire.window_micros,
                offset: wire.offset_micros,
                current_time,
                ttl: None,
            },
            filter: wire.r#where,
        })
    }
}

impl Wire<String> for Origin {
    fn to_wire(&self) -> String {
        let Origin::Parquet(parquet) = self;
        parquet.clone()
    }

    fn from_wire(wire: String) -> Result<Self> {
        Ok(Origin::Parquet(wire))
    }
}

impl Wire<String> for DefaultValue {
    fn to_wire(&self) -> String {
        self.to_string()
    }

    fn from_wire(wire: String) -> Result<Self> {
        Ok(wire.into())
    }
}

macro_rules! as_it_is {
    ($($value:ty),*) => {$(
        impl Wire<$value> for $value {
            fn to_wire(&self) -> $value {
                self.clone()
            }

            fn from_wire(wire: $value) -> Result<Self> {
                Ok(wire)
            }
        }
    )*};
}

as_it_is!(String, i64, BTreeMap<String, String>);

/// Values that are read as they are written.
macro_rules! as_text {
    ($($value:ty),*) => {$(
        impl Wire<String> for $value {
            fn to_wire(&self) -> String {
                self.to_string()
            }

            fn from_wire(wire: String) -> Result<Self> {
                parse(&wire)
            }
        }
    )*};
}

as_text!(DataType, FeatureRef, Period, Share, Zone);

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T> {
    text.parse().map_err(|error| Error::internal(format!("{text:?}: {error}")))
}

impl<F, T: Wire<F>> Wire<Vec<F>> for Vec<T> {
    fn to_wire(&self) -> Vec<F> {
        self.iter().map(Wire::to_wire).collect()
    }

    fn from_wire(wire: Vec<F>) -> Result<Self> {
        wire.into_iter().map(Wire::from_wire).collect()
    }
}

impl<F, T: Wire<F>> Wire<Option<F>> for Option<T> {
    fn to_wire(&self) -> Option<F> {
        self.as_ref().map(Wire::to_wire)
    }

    fn from_wire(wire: Option<F>) -> Result<Self> {
        wire.map(Wire::from_wire).transpose()
    }
}

/// Text of which none is the empty one.
impl<T: Wire<String>> Wire<String> for Option<T> {
    fn to_wire(&self) -> String {
        self.as_ref().map(Wire::to_wire).unwrap_or_default()
    }

    fn from_wire(wire: String) -> Result<Self> {
        Some(wire).filter(|text| !text.is_empty()).map(Wire::from_wire).transpose()
    }
}
