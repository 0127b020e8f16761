//! ON DEMAND: features that are computed when they are asked for.
//!
//! ```text
//! apply     every expression is compiled over the types of its inputs, or refused
//! plan      of a selection: columns of views first, those that are asked for and those that
//!           only expressions read; then a step for each feature, after what it reads
//! lookup    the answer's columns -> arrays -> steps -> columns with statuses
//! training  the join's batches -> the same steps -> batches, before their hash
//! ```
//!
//! Both sides take the same steps by the same [`Expressions`], so they differ in nothing but
//! statuses, which training rows do not have.
//!
//! | module     | what it owns                                              |
//! | ---------- | --------------------------------------------------------- |
//! | `compiled` | the expressions of all on-demand views, compiled          |
//! | `layout`   | the columns and steps of one selection                    |
//! | `answer`   | the steps of a lookup                                     |
//! | `rows`     | the steps of a training set                               |

mod answer;
mod compiled;
mod layout;
mod rows;

pub(crate) use answer::ask;
pub(crate) use compiled::{Compiled, check};
pub(crate) use layout::{Layout, Operand, Step};
pub(crate) use rows::Rows;
