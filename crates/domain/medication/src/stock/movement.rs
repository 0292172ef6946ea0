//! A movement: what happened, from which account to which, by whom, when it happened and when it was
//! written down. The table says which accounts a kind joins. Must not know balances: those are the book's.

use kernel::{ActorId, Timestamp};
use rust_decimal::Decimal;

use super::{Account, Batch, Class, Units};
use crate::ids::{MovementId, OrderId};

/// Why something is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WasteReason {
    /// Its last day is over, or it was opened too long ago.
    Expired,
    /// Dropped, broken, contaminated.
    Damaged,
    /// Refused, spat out or vomited after it was taken from the pack.
    NotTaken,
    /// What was left of an ampoule.
    PartUsed,
    /// No longer prescribed.
    Stopped,
    /// The resident died or left.
    ResidentGone,
    /// Called back by its maker.
    Recalled,
}

/// Why something goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnReason {
    /// No longer prescribed.
    Stopped,
    /// The resident died or left.
    ResidentGone,
    /// Its last day is over.
    Expired,
    /// Called back by its maker.
    Recalled,
    /// Not what was ordered.
    WrongItem,
    /// Arrived damaged.
    Damaged,
}

/// Why a count and the book differ, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VarianceReason {
    /// An earlier count was wrong.
    Miscounted,
    /// A dose was given and not written down.
    GivenNotRecorded,
    /// A dose was written down and not given.
    RecordedNotGiven,
    /// Lost, spilt or broken unnoticed.
    Lost,
    /// The pack held more or less than it says.
    PackWrong,
    /// The first count of what was there before the book.
    Opening,
    /// Not known: it is being looked into.
    Unexplained,
}

/// A batch as it was counted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counted {
    /// Which.
    pub batch: Batch,
    /// How much is there; none is a count too.
    pub found: Decimal,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// It arrived.
    Receipt {
        /// For which order.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        order: Option<OrderId>,
    },
    /// It was given.
    Given,
    /// It was destroyed.
    Waste {
        /// Why.
        reason: WasteReason,
        /// How: the container, the consignee.
        method: String,
    },
    /// It went back.
    Return {
        /// Why.
        reason: ReturnReason,
    },
    /// It changed its place.
    Transfer,
    /// It was counted.
    Count {
        /// Which account.
        of: Account,
        /// What was found.
        counted: Vec<Counted>,
        /// Why the book differs, where it does.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<VarianceReason>,
    },
    /// The book is put right without a count.
    Adjust {
        /// Why.
        reason: VarianceReason,
        /// In words.
        note: String,
    },
    /// An earlier movement is undone.
    Correction {
        /// Which.
        of: MovementId,
        /// Why.
        note: String,
    },
}

/// The kinds of movements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is documented at `What`")]
pub enum Kind {
    Receipt,
    Given,
    Waste,
    Return,
    Transfer,
    Count,
    Adjust,
    Correction,
}

impl What {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Receipt { .. } => Kind::Receipt,
            Self::Given => Kind::Given,
            Self::Waste { .. } => Kind::Waste,
            Self::Return { .. } => Kind::Return,
            Self::Transfer => Kind::Transfer,
            Self::Count { .. } => Kind::Count,
            Self::Adjust { .. } => Kind::Adjust,
            Self::Correction { .. } => Kind::Correction,
        }
    }
}

/// Which classes of accounts a kind joins. A correction joins whatever it undoes.
const JOINS: [(Kind, Class, Class); 14] = [
    (Kind::Receipt, Class::Supplier, Class::Common),
    (Kind::Receipt, Class::Supplier, Class::Own),
    (Kind::Given, Class::Common, Class::Administered),
    (Kind::Given, Class::Own, Class::Administered),
    (Kind::Waste, Class::Common, Class::Waste),
    (Kind::Waste, Class::Own, Class::Waste),
    (Kind::Return, Class::Common, Class::Supplier),
    (Kind::Return, Class::Own, Class::Supplier),
    (Kind::Transfer, Class::Common, Class::Common),
    (Kind::Transfer, Class::Own, Class::Own),
    (Kind::Adjust, Class::Common, Class::Difference),
    (Kind::Adjust, Class::Own, Class::Difference),
    (Kind::Adjust, Class::Difference, Class::Common),
    (Kind::Adjust, Class::Difference, Class::Own),
];

impl Kind {
    /// Whether it joins these two.
    #[must_use]
    pub fn joins(self, from: Class, to: Class) -> bool {
        let of = match self {
            Self::Count => Self::Adjust,
            own => own,
        };
        JOINS.contains(&(of, from, to))
    }
}

/// So much of a batch from one account to another.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// Which batch.
    pub batch: Batch,
    /// How much.
    pub units: Units,
    /// From here.
    pub from: Account,
    /// To there.
    pub to: Account,
}

impl Line {
    /// The same the other way.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            batch: self.batch.clone(),
            units: self.units,
            from: self.to.clone(),
            to: self.from.clone(),
        }
    }
}

/// That the book and the shelf are known to differ, and why the movement is written down all the same.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Discrepancy {
    /// As far as is known.
    pub reason: VarianceReason,
    /// In words.
    pub note: String,
}

/// Who moved it and when.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Meta {
    /// Made by the sender: the same id twice is the same movement.
    pub id: MovementId,
    /// When it happened.
    pub happened: Timestamp,
    /// When it was written down.
    pub recorded: Timestamp,
    /// Who.
    pub by: ActorId,
    /// Who saw it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub witness: Option<ActorId>,
    /// That book and shelf are known to differ.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub discrepancy: Option<Discrepancy>,
}

/// A movement.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Movement {
    /// Who and when.
    pub meta: Meta,
    /// What happened.
    pub what: What,
    /// What moved; a count that finds what the book says moves nothing.
    pub lines: Vec<Line>,
}
