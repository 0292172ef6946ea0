//! Packs: how many of which size cover an amount. Must not cover less than is needed.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::product::Pack;
use crate::stock::Units;

/// The most packs of one line.
const MOST_PACKS: u32 = 9_999;

/// So many packs of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Packs {
    /// How many.
    pub count: u32,
    /// How much each holds.
    pub holds: Units,
}

/// An amount rounded up to packs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rounded {
    /// The packs.
    pub packs: Packs,
    /// What they hold together.
    pub total: Units,
    /// More than was needed.
    pub surplus: Decimal,
    /// The pack chosen.
    pub pack: Pack,
}

/// The packs of one size that cover an amount with the least left over, and of those the fewest; none
/// where there is no pack, or more than 9,999 are needed.
#[must_use]
pub fn round(needed: Units, packs: &[Pack]) -> Option<Rounded> {
    let rounded = packs.iter().filter_map(|pack| {
        let holds = pack.holds.get();
        let mut count = needed
            .get()
            .checked_div(holds)?
            .ceil()
            .to_u32()
            .filter(|count| *count <= MOST_PACKS)?;
        // A quotient of 28 digits may have lost what one more pack is for.
        if holds.checked_mul(count.into())? < needed.get() {
            count += 1;
        }
        let total = Units::new(holds.checked_mul(count.into())?).ok()?;
        Some(Rounded {
            packs: Packs {
                count,
                holds: pack.holds,
            },
            total,
            surplus: total.get() - needed.get(),
            pack: pack.clone(),
        })
    });
    rounded.min_by_key(|own| (own.surplus, own.packs.count))
}
