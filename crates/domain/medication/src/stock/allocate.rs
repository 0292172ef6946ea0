//! From which batches an amount is taken: the one that must be used first goes first; what is expired,
//! recalled or opened too long is never taken. Must not move anything: the book records it.

use kernel::{Categorised, Category, Timestamp};
use rust_decimal::Decimal;

use super::{Account, Batch, Book, Units, Unusable};

/// From which batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// How much of each, the first to be used first.
    pub parts: Vec<(Batch, Units)>,
    /// Whether some of it has no known last day: to be read from the pack by whoever gives it.
    pub expiry_unknown: bool,
}

/// There is too little that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} is wanted and {usable} may be used ({expired} expired, {recalled} recalled, {open_too_long} open too long): order, or take it from elsewhere"
)]
pub struct AllocationError {
    /// Wanted.
    pub wanted: Decimal,
    /// There and usable.
    pub usable: Decimal,
    /// There and expired.
    pub expired: Decimal,
    /// There and recalled.
    pub recalled: Decimal,
    /// There and open too long.
    pub open_too_long: Decimal,
}

impl Categorised for AllocationError {
    fn category(&self) -> Category {
        Category::Conflict
    }
}

impl Book {
    /// The first moment at which a batch on an account may not be used: its last day or its life after
    /// opening, whichever ends first; none where neither is known.
    #[must_use]
    pub fn usable_until(&self, account: &Account, batch: &Batch) -> Option<Timestamp> {
        let expiry = batch.expires(self.zone());
        let opened = self
            .opened(account, batch)
            .map(|opened| opened.ends(self.zone()));
        match (expiry, opened) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// What may be used of an account at a moment.
    #[must_use]
    pub fn usable(&self, account: &Account, now: Timestamp) -> Decimal {
        self.batches(account)
            .filter(|(batch, _)| self.unusable(account, batch, now).is_none())
            .map(|(_, held)| held)
            .sum()
    }

    /// Chooses batches for an amount: first that which must be used first; packs without a known last
    /// day after those that have one.
    ///
    /// # Errors
    /// Too little that may be used.
    pub fn allocate(
        &self,
        account: &Account,
        units: Units,
        now: Timestamp,
    ) -> Result<Allocation, AllocationError> {
        let mut refused = AllocationError {
            wanted: units.get(),
            usable: Decimal::ZERO,
            expired: Decimal::ZERO,
            recalled: Decimal::ZERO,
            open_too_long: Decimal::ZERO,
        };
        let mut usable = Vec::new();
        for (batch, held) in self.batches(account) {
            match self.unusable(account, batch, now) {
                None => {
                    refused.usable += held;
                    let until = self.usable_until(account, batch);
                    // `None` sorts before `Some`: what is known goes first.
                    usable.push((until.is_none(), until, batch, held));
                }
                Some(Unusable::Expired) => refused.expired += held,
                Some(Unusable::Recalled) => refused.recalled += held,
                Some(Unusable::OpenTooLong) => refused.open_too_long += held,
            }
        }
        if refused.usable < units.get() {
            return Err(refused);
        }
        usable.sort();
        let mut left = units.get();
        let mut parts = Vec::new();
        let mut expiry_unknown = false;
        for (_, _, batch, held) in usable {
            let Ok(part) = Units::new(left.min(held)) else {
                break;
            };
            left -= part.get();
            expiry_unknown |= batch.expiry.is_none();
            parts.push((batch.clone(), part));
        }
        Ok(Allocation {
            parts,
            expiry_unknown,
        })
    }
}
