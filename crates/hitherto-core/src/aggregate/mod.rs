//! Aggregates: functions of the events in a window, the same bits from any order, any split
//! into parts, and any path to them.
//!
//! Facts with one identity are versions of one *event*. At a moment `t` an event counts by the
//! version of it that is current then; each version does so at one range of moments
//! ([`window`]), and that range is all that a reader has to know about late, corrected and
//! deleted facts. What counts goes into a *state*; states are exact or canonical, so equal
//! events leave equal bytes in them, and [`State::finish`] reads the answer.
//!
//! ```text
//! facts --> identity --> versions ----> window -----> state --------> finish
//!           (e, id)      n .. n'        [from, to)    add, remove,    value, list,
//!                                                     merge           or a reason
//! ```
//!
//! **Training sets** go from the left: every version's range falls on the sorted slots of its
//! entity. Where a form can be taken back ([`Form::is_invertible`]), the event is added at the
//! range's first slot and removed beyond its last, and one walk along the slots merges them.
//! A form that cannot takes an event twice as once, so the range is covered by two overlapping
//! blocks of a power of two, each of which is merged down once. Sums may lie in cells of their
//! own while that goes on, and come back as `magnitude * 2^exponent` ([`exact::ExactSum::add`]).
//!
//! **Lookups** have one moment, and events in their order: of each event the first version that
//! is known is current ([`Instant`]). [`Window::events`] says which event times are asked for;
//! where an entity has many events, they are covered by tiles, whose states are remembered and
//! merged, and at both ends by events.
//!
//! **`why`** needs neither: it looks at each event by itself ([`EventInquiry`]), and is a third
//! computation of the same.
//!
//! The order inside a window is that of places, `(e, n, id)`, `n` that of the current version.
//! Nulls are passed over. Nothing in an answer depends on events outside the window.
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`identity`] | which facts are one event |
//! | [`versions`] | which version of it is current, and when |
//! | [`window`] | when an event is in a window |
//! | [`function`] | the functions, and which state each is read from |
//! | [`state`] | one state of each form: add, remove, merge, finish, bytes |
//! | [`finish`] | answers, and reasons for none |
//! | [`value`] | one value as ordered bytes |
//! | [`exact`] | sums without rounding, and the one rounding |
//! | `plan` | how a view's features are computed of its facts |
//! | `entity` | the events of one entity, and the answers at its moments |
//! | `instant` | the same at one moment, as a store shows them |
//! | `inquiry` | which events count at one moment, and why others do not |
//! | `tile` | stretches of event times whose states are remembered |
//! | `answer` | answers on their way into columns |
//! | `sums` | count, sum, mean, variance |
//! | `ordered` | least, greatest, first, last, and so many of each |
//! | `distinct` | values with counts: how many differ, which are frequent |
//! | `histogram` | quantiles from the leading bits of numbers |
//! | `registers` | HyperLogLog |
//! | `bytes` | the shapes that bytes of states are made of |

mod answer;
mod bytes;
mod distinct;
mod entity;
pub mod exact;
pub mod finish;
pub mod function;
mod histogram;
pub mod identity;
mod inquiry;
mod instant;
mod ordered;
mod plan;
mod registers;
pub mod state;
mod sums;
mod tile;
pub mod value;
pub mod versions;
pub mod window;

pub use entity::{Evaluation, Found};
pub use finish::{Lost, Outcome, Reason};
pub use function::{Basis, Form, Function, Nulls, SumType};
pub use identity::EventIds;
pub use inquiry::{EventCounts, EventFinding, EventInquiry};
pub use instant::Instant;
pub use ordered::Place;
pub use plan::{AggregatePlan, InstantPlan};
pub use state::{Input, Removal, State};
pub use tile::{EventSource, TileId, VersionVisitor};
pub use value::Value;
pub use versions::{Terms, Version};
pub use window::{CurrentTime, Moments, Window};

#[cfg(test)]
mod tests;
