//! What was booked in, onto the shelf: the movements of the stock, in the commit of the delivery. Must not move
//! a controlled drug, which two people sign for, and says what it left.

use data_encoding::HEXLOWER;
use medication::ids::ItemId;
use medication::stock::{self, Meta, What};
use medication::supply::Delivery;
use sha2::{Digest as _, Sha256};

use super::Kept;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::stock::{Shelf, Staged, With};

/// The shelves of an order's medicines.
pub(super) struct Shelves(Vec<(ItemId, Option<Shelf>)>);

/// What goes onto the shelves, and what does not.
#[derive(Default)]
pub(super) struct Shelved {
    pub staged: Staged,
    pub said: Vec<String>,
}

impl Shelves {
    /// Reads those that there are.
    pub(super) async fn open(app: &App, caller: &Caller, order: &Kept) -> Result<Self, AppError> {
        let mut all = Vec::with_capacity(order.lines.len());
        for line in &order.lines {
            let shelf = match Shelf::open(app, caller, &line.item).await {
                Ok(shelf) => Some(shelf),
                Err(AppError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            all.push((line.item.clone(), shelf));
        }
        Ok(Self(all))
    }

    /// The receipts of a delivery, one for each medicine.
    pub(super) fn put(
        &mut self,
        app: &App,
        caller: &Caller,
        (order, delivery): (&Kept, &Delivery),
        booked: &[(ItemId, stock::Line)],
    ) -> Result<Shelved, AppError> {
        let mut done = Shelved::default();
        for (item, shelf) in &mut self.0 {
            let lines = booked.iter().filter(|own| own.0 == *item);
            let lines: Vec<stock::Line> = lines.map(|own| own.1.clone()).collect();
            let Some(line) = order.lines.iter().find(|own| own.item == *item) else {
                continue;
            };
            if lines.is_empty() {
                continue;
            }
            let name = &line.name;
            let Some(shelf) = shelf else {
                done.said
                    .push(format!("{name} is not kept as stock: nothing moved"));
                continue;
            };
            if shelf.item.control.is_some() {
                let text = "is a controlled drug: book it into the stock with two signatures";
                done.said.push(format!("{name} {text}"));
                continue;
            }
            if shelf.item.unit.measure() != line.unit.measure() {
                let unit = shelf.item.unit.name();
                done.said.push(format!(
                    "{name} is kept in {unit}: book it into the stock by hand"
                ));
                continue;
            }
            let hash = Sha256::digest(format!("{}\n{}\n{item}", order.id, delivery.note));
            let id: String = HEXLOWER.encode(&hash).chars().take(40).collect();
            let meta = Meta {
                id: id
                    .parse()
                    .map_err(|_| AppError::Fault("an id is none".to_owned()))?,
                happened: delivery.at,
                recorded: app.now(),
                by: caller.subject.actor().id,
                witness: None,
                discrepancy: None,
            };
            let what = What::Receipt {
                order: Some(order.id.clone()),
            };
            let with = With {
                asked: HEXLOWER.encode(&hash),
                entered: None,
                order: None,
            };
            let (_, staged) = shelf.record(app, caller, meta, (what, lines), with)?;
            done.staged.and(staged);
        }
        Ok(done)
    }
}
