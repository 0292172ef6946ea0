//! Rounds: who gets what now, taking a round along where there is no network and bringing it back, what
//! doses given when needed brought about, and what a shift hands over. Must not leave a patient out whose
//! medicines cannot be told: they stand there and say so.

mod back;
mod effects;
mod findings;
mod load;
mod pack;
pub(crate) mod questions;
mod report;
mod today;

pub use back::{Brought, State, TakenIn, bring_back};
pub use effects::{EffectDue, NewEffect, effect, effects_due, record_effect};
pub(super) use findings::doubles as point_out_doubles;
pub use pack::{AlertWords, Carried, Offer, Stands, Taken, Taking, person, take};
pub use report::{Handed, handover};
pub use today::{AllergyWords, Choice, Line, Round, RoundRequest, Stop, round, stop};
