//! Whether two records are about the same person: each field compared on a few levels, each level worth
//! declared weights (Fellegi and Sunter, "A theory for record linkage", JASA 64, 1969), their sum turned
//! into a probability. The same two records always get the same score, and every part of it can be shown.
//! Must not search, decide who may see whom, or learn from what it is shown.

mod compare;
mod date;
mod distance;
mod number;
mod person;
mod score;
mod weights;

pub use date::PartialDate;
pub use distance::jaro_winkler;
pub use number::{NumberKind, number_kind, plain_number};
pub use person::{Name, Person};
pub use score::{Grade, Score, score};
pub use weights::{Field, Level, PRIOR_BITS, WEIGHTS, Weight};
