//! A request for a prescription, and an order of goods: two things that only their constructors make, so
//! that a medicine on prescription is never bought. Must not hold lines that its kind may not have.

use kernel::{Categorised, Category};

use super::packs::Packs;
use super::product::{Control, Legal, Product};
use super::state::{Kind, Track};
use crate::ids::{ItemId, LocationId, OrderId, PartyId, ResidentId};
use crate::quantity::Unit;
use crate::register::Class;
use crate::stock::Units;

/// One medicine that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// The medicine.
    pub item: ItemId,
    /// Its code in dm+d.
    pub code: String,
    /// Its name.
    pub name: String,
    /// How much.
    pub quantity: Units,
    /// Of which unit.
    pub unit: Unit,
    /// In which packs, where it was rounded to packs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub packs: Option<Packs>,
}

impl Line {
    /// So much of a product.
    #[must_use]
    pub fn of(product: &Product, quantity: Units, packs: Option<Packs>) -> Self {
        Self {
            item: product.item.clone(),
            code: product.code.clone(),
            name: product.name.clone(),
            quantity,
            unit: product.unit.clone(),
            packs,
        }
    }
}

/// Why it cannot be asked for in this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Nothing is asked for.
    #[error("nothing is asked for: add a line")]
    Empty,
    /// The same medicine twice.
    #[error("{0} is there twice: make one line of it")]
    Twice(String),
    /// Goods that need a prescription.
    #[error("{0} needs a prescription: request it from the prescriber")]
    PrescriptionOnly(String),
    /// Goods of which nobody knows whether they need one.
    #[error("whether {0} needs a prescription is not known: request it from the prescriber")]
    LegalUnknown(String),
    /// A controlled drug that is not sold without a prescription.
    #[error("{0} is a controlled drug: request it from the prescriber")]
    Controlled(String),
}

impl Categorised for OrderError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// What is asked of whom. Made by [`request_repeat`] and [`order_supply`], and read back by
/// [`Verb::kept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verb {
    kind: Kind,
    of_whom: PartyId,
    resident: Option<ResidentId>,
    location: LocationId,
    lines: Vec<Line>,
}

impl Verb {
    /// A request or an order.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }
    /// The prescriber's practice, or the supplier.
    #[must_use]
    pub const fn of_whom(&self) -> &PartyId {
        &self.of_whom
    }
    /// For which resident; none for common stock.
    #[must_use]
    pub const fn resident(&self) -> Option<&ResidentId> {
        self.resident.as_ref()
    }
    /// Where it goes.
    #[must_use]
    pub const fn location(&self) -> &LocationId {
        &self.location
    }
    /// What is asked for.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

fn lines<'a>(
    wanted: &[(&'a Product, Units, Option<Packs>)],
    may: impl Fn(&'a Product) -> Result<(), OrderError>,
) -> Result<Vec<Line>, OrderError> {
    if wanted.is_empty() {
        return Err(OrderError::Empty);
    }
    let mut made: Vec<Line> = Vec::with_capacity(wanted.len());
    for (product, quantity, packs) in wanted {
        may(product)?;
        if made.iter().any(|own| own.item == product.item) {
            return Err(OrderError::Twice(product.name.clone()));
        }
        made.push(Line::of(product, *quantity, *packs));
    }
    Ok(made)
}

/// Asks a prescriber to prescribe for a resident: any medicine may be asked for.
///
/// # Errors
/// Nothing, or the same twice.
pub fn request_repeat(
    prescriber: PartyId,
    resident: ResidentId,
    location: LocationId,
    wanted: &[(&Product, Units, Option<Packs>)],
) -> Result<Verb, OrderError> {
    Ok(Verb {
        kind: Kind::Repeat,
        of_whom: prescriber,
        resident: Some(resident),
        location,
        lines: lines(wanted, |_| Ok(()))?,
    })
}

/// Orders goods of a supplier: pharmacy and general-sale medicines alone, and of controlled drugs those
/// of schedule 5.
///
/// # Errors
/// Nothing, the same twice, a medicine on prescription or one of which that is not known.
pub fn order_supply(
    supplier: PartyId,
    resident: Option<ResidentId>,
    location: LocationId,
    wanted: &[(&Product, Units, Option<Packs>)],
) -> Result<Verb, OrderError> {
    let may = |product: &Product| match (product.legal, product.control) {
        (Some(Legal::PrescriptionOnly), _) => {
            Err(OrderError::PrescriptionOnly(product.name.clone()))
        }
        (None, _) | (_, None) => Err(OrderError::LegalUnknown(product.name.clone())),
        (_, Some(Control::Yes(class))) if class != Class::Five => {
            Err(OrderError::Controlled(product.name.clone()))
        }
        _ => Ok(()),
    };
    Ok(Verb {
        kind: Kind::Direct,
        of_whom: supplier,
        resident,
        location,
        lines: lines(wanted, may)?,
    })
}

/// A request or an order with its states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// What is asked of whom.
    pub verb: Verb,
    /// Where it stands.
    pub track: Track,
}

impl Verb {
    /// As it was kept: what may be bought was asked when it was made.
    #[must_use]
    pub const fn kept(
        kind: Kind,
        of_whom: PartyId,
        resident: Option<ResidentId>,
        location: LocationId,
        lines: Vec<Line>,
    ) -> Self {
        Self {
            kind,
            of_whom,
            resident,
            location,
            lines,
        }
    }
}

impl Order {
    /// A draft.
    #[must_use]
    pub const fn draft(id: OrderId, verb: Verb) -> Self {
        Self {
            track: Track::new(verb.kind),
            id,
            verb,
        }
    }
}
