//! Whatever is done in whatever order: balances are the sum of movements, nothing held is below nothing,
//! what is refused changes nothing.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Move {
        kind: u8,
        batch: u8,
        tenths: u32,
        from: u8,
        to: u8,
        noted: bool,
    },
    Count {
        account: u8,
        found: Vec<u32>,
        why: bool,
    },
    Correct {
        of: usize,
        noted: bool,
    },
    Again {
        of: usize,
    },
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0u8..6, 0u8..3, 1u32..400, 0u8..7, 0u8..7, any::<bool>()).prop_map(
            |(kind, batch, tenths, from, to, noted)| Act::Move { kind, batch, tenths, from, to, noted }
        ),
        // Receipts, so that there is something to move.
        3 => (0u8..3, 1u32..400, 0u8..3).prop_map(|(batch, tenths, to)| Act::Move {
            kind: 0, batch, tenths, from: 3, to, noted: false
        }),
        2 => (0u8..3, prop::collection::vec(0u32..300, 3), any::<bool>())
            .prop_map(|(account, found, why)| Act::Count { account, found, why }),
        2 => (0usize..20, any::<bool>()).prop_map(|(of, noted)| Act::Correct { of, noted }),
        1 => (0usize..20).prop_map(|of| Act::Again { of }),
    ]
}

fn accounts() -> [Account; 7] {
    [
        common("shelf"),
        own("ada"),
        own("bob"),
        supplier(),
        taken("ada"),
        Account::Waste,
        Account::Difference,
    ]
}

fn batches() -> [Batch; 3] {
    [
        batch("A", "2027-01-31"),
        batch("B", "2026-03-01"),
        batch("C", ""),
    ]
}

fn kinds(number: u8) -> What {
    match number {
        0 => What::Receipt { order: None },
        1 => What::Given,
        2 => waste(),
        3 => What::Return {
            reason: ReturnReason::Stopped,
        },
        4 => What::Transfer,
        _ => What::Adjust {
            reason: VarianceReason::Lost,
            note: "fell".to_owned(),
        },
    }
}

fn tenths(number: u32) -> Decimal {
    Decimal::new(i64::from(number), 1)
}

fn act(book: &mut Book, number: usize, act: &Act) -> Result<Recorded, StockError> {
    let id = format!("m{number}");
    let head = |is_noted: bool| if is_noted { noted(&id) } else { meta(&id) };
    match act {
        Act::Move {
            kind,
            batch,
            tenths: amount,
            from,
            to,
            noted,
        } => {
            let line = Line {
                batch: batches()[usize::from(*batch)].clone(),
                units: Units::new(tenths(*amount)).unwrap(),
                from: accounts()[usize::from(*from)].clone(),
                to: accounts()[usize::from(*to)].clone(),
            };
            book.record(head(*noted), kinds(*kind), vec![line])
        }
        Act::Count {
            account,
            found,
            why,
        } => {
            let counted = batches().into_iter().zip(found);
            let counted = counted.map(|(batch, found)| Counted {
                batch,
                found: tenths(*found),
            });
            let account = accounts()[usize::from(*account)].clone();
            let why = why.then_some(VarianceReason::Unexplained);
            book.count(head(false), &account, counted.collect(), why)
        }
        Act::Correct { of, noted } => {
            let of: crate::ids::MovementId = format!("m{of}").parse().unwrap();
            book.correct(head(*noted), &of, "wrong".to_owned())
        }
        Act::Again { of } => {
            let Some(earlier) = book.movements().get(*of).cloned() else {
                return Ok(Recorded::Already);
            };
            let lines = match earlier.meta.discrepancy {
                // What the book added is not sent again.
                Some(_) => earlier.lines.last().cloned().into_iter().collect(),
                None => earlier.lines,
            };
            book.record(earlier.meta, earlier.what, lines)
        }
    }
}

/// The balance of an account by the movements alone.
fn sum(book: &Book, account: &Account) -> Decimal {
    let lines = book.movements().iter().flat_map(|one| &one.lines);
    lines
        .map(|line| {
            let into = if line.to == *account {
                line.units.get()
            } else {
                Decimal::ZERO
            };
            let out = if line.from == *account {
                line.units.get()
            } else {
                Decimal::ZERO
            };
            into - out
        })
        .sum()
}

proptest! {
    #[test]
    fn a_balance_is_the_sum_of_its_movements(list in prop::collection::vec(acts(), 1..40)) {
        let mut book = book();
        for (number, one) in list.iter().enumerate() {
            let before = book.clone();
            let came = act(&mut book, number, one);
            let moved = matches!(came, Ok(Recorded::Made(_)));
            prop_assert_eq!(book.movements().len(), before.movements().len() + usize::from(moved));
            prop_assert_eq!(&book.movements()[..before.movements().len()], before.movements());
            if matches!(one, Act::Again { .. }) {
                prop_assert_eq!(came, Ok(Recorded::Already));
            }
            let mut all = Decimal::ZERO;
            for account in accounts() {
                prop_assert_eq!(book.balance(&account), sum(&book, &account));
                prop_assert!(!account.is_held() || book.balance(&account) >= Decimal::ZERO);
                all += book.balance(&account);
            }
            prop_assert_eq!(all, Decimal::ZERO);
            prop_assert!(book.is_sound());
        }
        let stored = book.movements().to_vec();
        let unit = book.unit().clone();
        let restored = Book::restore(book.item().clone(), unit, &zone(), stored).unwrap();
        for account in accounts() {
            prop_assert_eq!(restored.balance(&account), book.balance(&account));
        }
    }

    #[test]
    fn a_folded_book_judges_the_next_movement_as_the_whole_one(list in prop::collection::vec(acts(), 1..25)) {
        let mut book = book();
        for (number, one) in list.iter().enumerate() {
            if matches!(one, Act::Again { .. }) {
                continue;
            }
            let folded = book.fold();
            let mut light = Book::unfold(book.item().clone(), book.unit().clone(), &zone(), folded).unwrap();
            let undone = |id: &crate::ids::MovementId| book.movements().iter().any(
                |other| matches!(&other.what, What::Correction { of, .. } if of == id),
            );
            for movement in book.movements() {
                if !undone(&movement.meta.id) {
                    light.note(movement.clone());
                }
            }
            let (whole, folded) = (act(&mut book, number, one), act(&mut light, number, one));
            if let (Err(StockError::Corrected(a)), Err(StockError::Unknown(b))) = (&whole, &folded)
            {
                prop_assert_eq!(a, b);
            } else {
                prop_assert_eq!(&whole, &folded);
            }
            if whole.is_ok() {
                prop_assert_eq!(book.movements().last(), light.movements().last());
            }
            prop_assert!(light.is_sound());
            prop_assert_eq!(book.fold(), light.fold());
        }
    }

    #[test]
    fn an_allocation_is_whole_usable_and_in_order(
        held in prop::collection::vec((0u32..40, 0i64..60, any::<bool>()), 1..8),
        wanted in 1u32..200,
    ) {
        let mut book = book();
        let now = at("2026-03-10T08:00:00Z");
        let first: jiff::civil::Date = "2026-02-20".parse().unwrap();
        for (number, (amount, days, recalled)) in held.iter().enumerate() {
            let day = first.checked_add(jiff::Span::new().days(*days)).unwrap();
            let lot = batch(&format!("L{number}"), &day.to_string());
            if *recalled && number % 3 == 0 {
                let recall = Recall { at: at("2026-03-01T00:00:00Z"), notice: "n".to_owned() };
                book.recall(lot.lot.clone(), recall);
            }
            if let Ok(units) = Units::new(Decimal::from(*amount)) {
                let line = Line { batch: lot, units, from: supplier(), to: own("ada") };
                let receipt = What::Receipt { order: None };
                book.record(meta(&format!("r{number}")), receipt, vec![line]).unwrap();
            }
        }
        let units = Units::new(Decimal::from(wanted)).unwrap();
        let usable = book.usable(&own("ada"), now);
        match book.allocate(&own("ada"), units, now) {
            Err(refused) => prop_assert!(usable < units.get() && refused.usable == usable),
            Ok(found) => {
                let total: Decimal = found.parts.iter().map(|(_, part)| part.get()).sum();
                prop_assert_eq!(total, units.get());
                let mut latest = None;
                for (batch, part) in &found.parts {
                    prop_assert!(book.unusable(&own("ada"), batch, now).is_none());
                    prop_assert!(part.get() <= book.balance_of(&own("ada"), batch));
                    latest = latest.max(batch.expiry);
                }
                // Nothing that ends earlier is left while something later is taken.
                for (batch, held) in book.batches(&own("ada")) {
                    let part = found.parts.iter().find(|(own, _)| own == batch);
                    let left = held - part.map_or(Decimal::ZERO, |(_, part)| part.get());
                    let usable = book.unusable(&own("ada"), batch, now).is_none();
                    prop_assert!(!usable || left.is_zero() || batch.expiry >= latest);
                }
            }
        }
    }

    #[test]
    fn lines_are_crossed_once_between_two_fillings(moves in prop::collection::vec(-30i64..30, 1..60)) {
        let mut held = Decimal::from(40);
        let mut low = false;
        for by in moves {
            let after = (held + Decimal::from(by)).max(Decimal::ZERO);
            let said = crossing(held, after, 10.into());
            if said == Some(Crossing::Low) {
                prop_assert!(!low, "said twice");
            }
            low = match said {
                Some(Crossing::Low | Crossing::Out) => true,
                Some(Crossing::Filled) => false,
                None => low,
            };
            prop_assert_eq!(low, after <= Decimal::from(10));
            held = after;
        }
    }
}
