//! What of a decision a device cannot work out: what the checks, the papers and the order say of a dose,
//! whatever its amount and however the form is filled. Taken from the very decision that is made where there
//! is a network, for every stretch of the round in which it is another one. Must not leave out a reason that
//! the device does not decide itself.

use kernel::Timestamp;

use crate::administration::{Covert, Giving, Outcome, Record, SelfCare, Why, decide_giving};
use crate::limits::{self, Reason, Verdict};

/// What papers say of a dose at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The papers of covert administration, where the order asks for them.
    pub covert: Option<Covert>,
    /// The assessment of taking it alone.
    pub alone: Option<SelfCare>,
    /// What cannot be told.
    pub missing: Vec<Reason>,
}

/// A reason that stands from a moment until another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it weighs.
    pub verdict: Verdict,
    /// The reason.
    pub why: Why,
    /// Of which outcomes.
    pub outcomes: Vec<Outcome>,
    /// From when.
    pub from: Timestamp,
    /// Until when; that moment is not in it.
    pub until: Timestamp,
}

/// Whether a reason is taken along. The others follow from the time, the amount, the form and the doses,
/// which a device holds against its limits itself.
#[must_use]
pub const fn stands(why: &Why) -> bool {
    match why {
        Why::Limit { reason } => matches!(reason, limits::Why::FactMissing { .. }),
        Why::NotActive { .. }
        | Why::OutsideOrder
        | Why::Paused { .. }
        | Why::ClocksChanged
        | Why::DoseUnknown
        | Why::NoWitness
        | Why::ScheduleUnknown
        | Why::NoSecondPerson
        | Why::NotOverridden { .. }
        | Why::NotChecked { .. }
        | Why::AllergiesNotAsked
        | Why::NeedGap { .. }
        | Why::Covert { .. }
        | Why::NotAssessed { .. } => true,
        Why::Record { .. }
        | Why::Recorded { .. }
        | Why::PossibleDouble { .. }
        | Why::Early { .. }
        | Why::Late { .. }
        | Why::OffSchedule
        | Why::LateEntry { .. }
        | Why::MoreThanOrdered { .. }
        | Why::LessThanOrdered { .. }
        | Why::RightMissing { .. }
        | Why::RightWrong { .. }
        | Why::NoNeed
        | Why::Pack { .. } => false,
    }
}

/// The moments of `[from, until)` at which the decision may become another one.
fn turns(
    giving: &Giving<'_>,
    (from, until): (Timestamp, Timestamp),
    papers: &[Timestamp],
) -> Vec<Timestamp> {
    let order = giving.order;
    let pauses = order
        .pauses
        .iter()
        .flat_map(|own| [Some(own.from), own.to])
        .flatten();
    let own = pauses.chain([order.start]).chain(order.stop);
    let own = own.chain(papers.iter().copied());
    let inside = own.filter(|at| from < *at && *at < until);
    let mut all: Vec<Timestamp> = core::iter::once(from).chain(inside).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What stands of a dose in `[from, until)`. `giving` holds a dose as it would be recorded; `papers` says what
/// rests on papers, and `turning` when they turn.
#[must_use]
pub fn standing(
    giving: Giving<'_>,
    (from, until): (Timestamp, Timestamp),
    turning: &[Timestamp],
    papers: impl Fn(Outcome, Timestamp) -> Said,
) -> Vec<Standing> {
    let turns = turns(&giving, (from, until), turning);
    let mut found: Vec<Standing> = Vec::new();
    for (at, end) in turns
        .iter()
        .zip(turns.iter().skip(1).chain(core::iter::once(&until)))
    {
        let mut here: Vec<Standing> = Vec::new();
        for outcome in Outcome::ALL {
            for (verdict, why) in decided(&giving, outcome, *at, &papers) {
                let known = here
                    .iter_mut()
                    .find(|own| own.verdict == verdict && own.why == why);
                match known {
                    Some(own) if own.outcomes.contains(&outcome) => {}
                    Some(own) => own.outcomes.push(outcome),
                    None => here.push(Standing {
                        verdict,
                        why,
                        outcomes: vec![outcome],
                        from: *at,
                        until: *end,
                    }),
                }
            }
        }
        for own in here {
            let before = found.iter_mut().find(|known| {
                known.until == own.from
                    && known.verdict == own.verdict
                    && known.why == own.why
                    && known.outcomes == own.outcomes
            });
            match before {
                Some(known) => known.until = own.until,
                None => found.push(own),
            }
        }
    }
    found
}

fn decided(
    giving: &Giving<'_>,
    outcome: Outcome,
    at: Timestamp,
    papers: &impl Fn(Outcome, Timestamp) -> Said,
) -> Vec<(Verdict, Why)> {
    let said = papers(outcome, at);
    let missing: Vec<Reason> = giving
        .missing
        .iter()
        .chain(&said.missing)
        .cloned()
        .collect();
    let record = Record {
        outcome,
        happened: at,
        entered: at,
        ..giving.record.clone()
    };
    let own = Giving {
        record: &record,
        missing: &missing,
        covert: said.covert.as_ref(),
        self_care: said.alone.as_ref(),
        limits: &[],
        now: at,
        ..*giving
    };
    let reasons = decide_giving(own).reasons;
    reasons.into_iter().filter(|(_, why)| stands(why)).collect()
}
