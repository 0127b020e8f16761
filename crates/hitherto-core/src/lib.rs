//! The pure heart of Hitherto: names, time, keys, rows, definitions, limits
//! and the one rule. Nothing here does I/O, reads a clock or draws a random
//! number, so everything here can be checked by reading it.
//!
//! | module         | what it owns                                             |
//! | -------------- | -------------------------------------------------------- |
//! | [`error`]      | the eight kinds of error and what each tells the caller   |
//! | [`limits`]     | every bound in the product                                |
//! | [`name`]       | resource names, suggestions for misspelt ones             |
//! | [`reference`]  | `view:feature`, under other names, with other join keys   |
//! | [`time`]       | microseconds UTC, durations, and how both are written     |
//! | [`zone`]       | local times of a place, brought to UTC                    |
//! | [`types`]      | the types a feature or a key can have                     |
//! | [`key`]        | entity keys as ordered, self-delimiting bytes             |
//! | [`list`]       | lists of numbers as bytes inside a row                    |
//! | [`row`]        | a fact's values as bytes with columns at known offsets    |
//! | [`column`]     | one feature of many entities, as a packed array           |
//! | [`output`]     | one feature column of an answer                           |
//! | [`rule`]       | which fact answers: the one rule                          |
//! | [`slots`]      | the rule for many moments at once, facts in any order     |
//! | [`aggregate`]  | functions of the events in a window, exact whatever the order |
//! | [`expression`] | why features that are computed of one row have no value    |
//! | [`why`]        | the rule with its reasons: what answers, what does not    |
//! | [`sample`]     | which facts a verification asks about, and when           |
//! | [`definition`] | entities, views and services, from YAML to checked types  |
//! | [`catalog`]    | what is applied and what is online                        |

pub mod aggregate;
pub mod catalog;
pub mod column;
pub mod definition;
pub mod error;
pub mod expression;
pub mod key;
pub mod limits;
pub mod list;
pub mod name;
pub mod output;
pub mod reference;
pub mod row;
pub mod rule;
pub mod sample;
pub mod slots;
pub mod time;
pub mod types;
pub mod why;
pub mod zone;

pub use error::{Error, Kind, Result};
