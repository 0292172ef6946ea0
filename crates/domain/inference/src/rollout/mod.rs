//! Which version of a model answers whom, and how that may change. The routing table of one model is a
//! value: every change makes a new one with the next revision, which the store puts in the old one's place
//! only if nobody else did, so that calls in flight end on the table they began with. Promotion needs
//! signatures that name the very step; taking a version back needs none. Must not read the clock or keep
//! anything itself.

mod assign;
mod sequential;
mod sign;
mod stage;
mod table;

pub use assign::{Arm, Assignment};
pub use sequential::{Counts, Design, DesignError, Sequence, Verdict, Way};
pub use sign::{Meaning, Signature, Statement};
pub use stage::{Plan, Stage, StageKind};
pub use table::{Change, Entry, Facts, Policy, RollbackPlan, RolloutError, Table};

#[cfg(test)]
mod tests;
