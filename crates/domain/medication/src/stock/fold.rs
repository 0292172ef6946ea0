//! What a book comes to, without its movements: what is kept at the head of a medicine's movements, so that
//! the next one is judged without reading all of them. Must not lose what a later movement is judged by.

use std::collections::{BTreeMap, BTreeSet};

use kernel::ZoneName;
use rust_decimal::Decimal;

use super::{Account, Batch, Book, Movement, Opened, Recall, StockError};
use crate::ids::{ItemId, MovementId};
use crate::quantity::Unit;

/// What is held of a batch on an account.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// Where, and whose.
    pub account: Account,
    /// Which batch.
    pub batch: Batch,
    /// How much.
    pub units: Decimal,
}

/// A pack that was opened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Open {
    /// Where it is.
    pub account: Account,
    /// Which batch.
    pub batch: Batch,
    /// Since when, and for how long.
    pub opened: Opened,
}

/// What a book comes to: everything held, what was opened, what was called back.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Folded {
    /// What is held; nothing that is used up.
    pub held: Vec<Held>,
    /// Opened packs.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub opened: Vec<Open>,
    /// Lots that were called back; no lot stands for packs whose lot nobody read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub recalled: Vec<(Option<String>, Recall)>,
    /// The numbers (GTIN) that were read from the packs of what is held.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub numbers: Vec<(Batch, BTreeSet<String>)>,
}

impl Book {
    /// What it comes to. Accounts outside the house are left out: they are the same amount the other way.
    #[must_use]
    pub fn fold(&self) -> Folded {
        let accounts = self.accounts().filter(|account| account.is_held());
        let held = accounts.flat_map(|account| {
            self.batches(account).map(|(batch, units)| Held {
                account: account.clone(),
                batch: batch.clone(),
                units,
            })
        });
        let opened = self.opened.iter();
        let opened = opened.map(|((account, batch), opened)| Open {
            account: account.clone(),
            batch: batch.clone(),
            opened: *opened,
        });
        let recalled = self.recalled.iter();
        let held: Vec<Held> = held.collect();
        // What is used up is asked for no more.
        let numbers = self.numbers.iter();
        let numbers = numbers.filter(|(batch, _)| held.iter().any(|own| own.batch == **batch));
        Folded {
            numbers: numbers
                .map(|(batch, own)| (batch.clone(), own.clone()))
                .collect(),
            held,
            opened: opened.collect(),
            recalled: recalled
                .map(|(lot, own)| (lot.clone(), own.clone()))
                .collect(),
        }
    }

    /// A book that goes on from what an earlier one came to.
    ///
    /// # Errors
    /// Less than nothing is held, or something on an account that nobody holds.
    pub fn unfold(
        item: ItemId,
        unit: Unit,
        zone: &ZoneName,
        folded: Folded,
    ) -> Result<Self, StockError> {
        let mut book = Self::new(item, unit, zone);
        let mut base: BTreeMap<Account, BTreeMap<Batch, Decimal>> = BTreeMap::new();
        for own in folded.held {
            if !own.account.is_held() || own.units < Decimal::ZERO {
                return Err(StockError::Count("what was folded is below nothing"));
            }
            *base
                .entry(own.account)
                .or_default()
                .entry(own.batch)
                .or_default() += own.units;
        }
        book.balances.clone_from(&base);
        book.base = base;
        for own in folded.opened {
            book.open(own.account, own.batch, own.opened);
        }
        for (lot, recall) in folded.recalled {
            book.recall(lot, recall);
        }
        book.numbers = folded.numbers.into_iter().collect();
        Ok(book)
    }

    /// That a pack of a batch on an account was opened.
    #[must_use]
    pub fn opening(&self, account: &Account, batch: &Batch) -> Option<Opened> {
        self.opened(account, batch).copied()
    }

    /// Takes note of a movement that was folded away and was not corrected since, so that it can be.
    pub fn note(&mut self, movement: Movement) {
        let id: MovementId = movement.meta.id.clone();
        self.earlier.insert(id, movement);
    }
}
