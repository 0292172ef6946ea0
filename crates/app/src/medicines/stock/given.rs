//! From which place and batch a dose is taken, and what that moves. Must not take what is there less than is
//! taken, unless it was given already: then the gap is a discrepancy that is seen.

use kernel::Timestamp;
use medication::ids::{LocationId, ResidentId};
use medication::stock::{
    Account, Batch, Discrepancy, Line, StockError, Units, Unusable, VarianceReason,
};
use rust_decimal::Decimal;

use super::shelf::Shelf;
use super::{refuse, ruled};
use crate::error::AppError;

/// From where a dose is taken.
#[derive(Debug, Clone, Default)]
pub struct From {
    /// The Location; the resident's own first, then the common stock there.
    pub location: Option<LocationId>,
    /// The batch that was scanned or read.
    pub batch: Option<Batch>,
}

/// What is taken.
pub(super) struct Taken {
    pub lines: Vec<Line>,
    pub discrepancy: Option<Discrepancy>,
}

/// Where a dose for a resident may come from: their own before what is common.
pub(super) fn candidates(shelf: &Shelf, from: &From, resident: &ResidentId) -> Vec<Account> {
    if let Some(location) = &from.location {
        let (resident, place) = (resident.clone(), location.clone());
        let own = Account::Own {
            resident,
            location: place,
        };
        let location = location.clone();
        return vec![own, Account::Location { location }];
    }
    let of = |own: &Account| match own {
        Account::Own { resident: own, .. } => own == resident,
        Account::Location { .. } => true,
        _ => false,
    };
    let mut found: Vec<Account> = shelf
        .book
        .accounts()
        .filter(|own| of(own) && !shelf.book.balance(own).is_zero())
        .cloned()
        .collect();
    found.sort_by_key(|own| !matches!(own, Account::Own { .. }));
    found
}

/// Whether a batch is the one that was read: what was not read does not count.
fn is_read(batch: &Batch, read: &Batch) -> bool {
    let same = |own: &Option<String>, read: &Option<String>| read.is_none() || own == read;
    same(&batch.lot, &read.lot)
        && same(&batch.serial, &read.serial)
        && (read.expiry.is_none() || batch.expiry == read.expiry)
}

/// The parts of an amount on an account, by first expired first out or of the batch that was read.
fn parts(
    shelf: &Shelf,
    account: &Account,
    (units, read): (Units, Option<&Batch>),
    at: Timestamp,
) -> Result<Vec<(Batch, Units)>, AppError> {
    let Some(read) = read else {
        let found = shelf.book.allocate(account, units, at).map_err(ruled)?;
        return Ok(found.parts);
    };
    let own = shelf.book.batches(account);
    let mut own: Vec<_> = own.filter(|(batch, _)| batch.may_be(read)).collect();
    // What says all that was read comes before what leaves some of it open.
    own.sort_by_key(|(batch, _)| !is_read(batch, read));
    let enough = own.into_iter().find(|(_, held)| *held >= units.get());
    let Some((batch, _)) = enough else {
        return Err(ruled(StockError::Short {
            account: Box::new(account.clone()),
            batch: Box::new(read.clone()),
            held: shelf.book.balance_of(account, read),
            wanted: units.get(),
        }));
    };
    if let Some(why) = shelf.book.unusable(account, batch, at) {
        return Err(unusable(batch, why));
    }
    Ok(vec![(batch.clone(), units)])
}

fn unusable(batch: &Batch, why: Unusable) -> AppError {
    ruled(StockError::Unusable {
        batch: Box::new(batch.clone()),
        why,
    })
}

/// Takes an amount for a resident to where it goes. `done` says that it happened: it is never refused then.
pub(super) fn take(
    shelf: &Shelf,
    (candidates, read): (&[Account], Option<&Batch>),
    (units, at): (Units, Timestamp),
    (to, done): (&Account, bool),
) -> Result<Taken, AppError> {
    let mut refused = None;
    let mut enough: Vec<(&Account, Vec<(Batch, Units)>)> = Vec::new();
    for account in candidates {
        match parts(shelf, account, (units, read), at) {
            Ok(parts) => enough.push((account, parts)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let common = |own: &&(&Account, Vec<(Batch, Units)>)| !matches!(own.0, Account::Own { .. });
    let ambiguous = enough.iter().all(|own| common(&own)) && enough.len() > 1;
    if ambiguous && !done {
        let places: Vec<String> = enough
            .iter()
            .filter_map(|(own, _)| own.location().map(|own| format!("Location/{own}")))
            .collect();
        return refuse(format!(
            "it is kept at several places: say from where, one of {}",
            places.join(", ")
        ));
    }
    let line = |batch: Batch, units: Units, from: &Account| Line {
        batch,
        units,
        from: from.clone(),
        to: to.clone(),
    };
    if let Some((account, parts)) = enough.into_iter().next() {
        let parts = parts.into_iter();
        return Ok(Taken {
            lines: parts
                .map(|(batch, units)| line(batch, units, account))
                .collect(),
            discrepancy: None,
        });
    }
    if !done {
        let error = refused.unwrap_or_else(|| none_here(shelf, units.get()));
        return Err(error);
    }
    // It was given: the gap is taken from the difference first, where it is seen.
    let common = candidates.iter().rev();
    let mut accounts = candidates
        .iter()
        .filter(|own| !shelf.book.balance(own).is_zero());
    let Some(account) = accounts.next().or_else(|| common.into_iter().next()) else {
        return refuse("nothing of it is kept at any place: say from which location it was taken");
    };
    let first = shelf.book.batches(account).next().map(|own| own.0.clone());
    let batch = read.cloned().or(first).unwrap_or_default();
    Ok(Taken {
        lines: vec![line(batch, units, account)],
        discrepancy: Some(Discrepancy {
            reason: VarianceReason::Unexplained,
            note: "it was given, and the book had less or nothing that may be used".to_owned(),
        }),
    })
}

fn none_here(shelf: &Shelf, wanted: Decimal) -> AppError {
    AppError::Ruled {
        category: kernel::Category::Conflict,
        text: format!(
            "{wanted} {} is wanted and the house has nothing of {} for this resident: receive or count it, or send done if it was given",
            shelf.item.unit.words(),
            shelf.item.name
        ),
    }
}
