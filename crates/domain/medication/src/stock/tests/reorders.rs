//! The steps of a reorder: those of the table and no other, each once.

use proptest::prelude::*;

use super::*;

fn step(id: &str, step: Step) -> Taken {
    Taken {
        id: id.to_owned(),
        step,
        at: at("2026-03-10T08:00:00Z"),
        by: person(1),
    }
}

/// A reorder that stands at a status, by the shortest way.
fn standing(status: Status) -> Reorder {
    use Step as S;
    let steps: &[Step] = match status {
        Status::None => &[],
        Status::Needed => &[S::Need],
        Status::Requested => &[S::Request],
        Status::Approved => &[S::Request, S::Approve],
        Status::Ordered => &[S::Request, S::Approve, S::Order],
        Status::PartReceived => &[S::Request, S::Approve, S::Order, S::ReceivePart],
        Status::Received => &[S::Request, S::Approve, S::Order, S::Receive],
        Status::Cancelled => &[S::Request, S::Cancel],
    };
    let trail = steps.iter().enumerate();
    Reorder::restore(trail.map(|(n, own)| step(&format!("s{n}"), *own)).collect()).unwrap()
}

#[test]
fn every_pair_of_status_and_step_is_in_the_table_or_refused() {
    let mut taken = 0;
    for from in Status::ALL {
        for own in Step::ALL {
            let mut reorder = standing(from);
            assert_eq!(reorder.status(), from);
            let row = TRANSITIONS.iter().find(|row| row.0 == from && row.1 == own);
            let got = reorder.take(step("new", own), reorder.version());
            if let Some((_, _, to)) = row {
                assert_eq!(got, Ok(*to));
                taken += 1;
            } else {
                assert!(got.is_err(), "{from:?} {own:?}");
                assert_eq!(reorder.status(), from);
            }
        }
    }
    assert_eq!(taken, TRANSITIONS.len(), "no row is there twice");
}

#[test]
fn nothing_is_ordered_that_nobody_approved() {
    for (from, own, to) in TRANSITIONS {
        assert!(to != Status::Ordered || (from, own) == (Status::Approved, Step::Order));
    }
}

#[test]
fn a_step_counts_once() {
    let mut reorder = standing(Status::Approved);
    let order = step("o", Step::Order);
    let seen = reorder.version();
    assert_eq!(reorder.take(order.clone(), seen), Ok(Status::Ordered));
    // The same again, as a lost answer is asked for again.
    assert_eq!(reorder.take(order, seen), Ok(Status::Ordered));
    // Another person who saw the same state.
    let other = reorder.take(step("p", Step::Order), seen);
    assert_eq!(other, Err(ReorderError::Already(Status::Ordered)));
    let stale = reorder.take(step("q", Step::Cancel), seen);
    let now = reorder.version();
    assert_eq!(stale, Err(ReorderError::Stale { seen, now }));
    let reused = reorder.take(step("o", Step::Receive), now);
    assert_eq!(reused, Err(ReorderError::Taken("o".to_owned())));
    // Two people book the same part in.
    let seen = reorder.version();
    reorder.take(step("a", Step::ReceivePart), seen).unwrap();
    let twice = reorder.take(step("b", Step::ReceivePart), seen);
    assert_eq!(twice, Err(ReorderError::Already(Status::PartReceived)));
    assert_eq!(reorder.trail().len(), 4);
}

proptest! {
    #[test]
    fn a_trail_leads_where_it_stands(steps in prop::collection::vec((0usize..8, 0usize..3), 0..30)) {
        let mut reorder = Reorder::default();
        for (number, (which, behind)) in steps.into_iter().enumerate() {
            let seen = reorder.version().saturating_sub(behind);
            let before = reorder.clone();
            let fresh = seen == before.version();
            let got = reorder.take(step(&format!("s{number}"), Step::ALL[which]), seen);
            if got.is_ok() {
                prop_assert!(fresh && reorder.version() == before.version() + 1);
            } else {
                prop_assert_eq!(&reorder, &before);
            }
        }
        let again = Reorder::restore(reorder.trail().to_vec()).unwrap();
        prop_assert_eq!(again, reorder);
    }
}
