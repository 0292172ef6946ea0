//! A search as data: engine-neutral clauses that both adapters render. Values are still readable here;
//! the adapter hashes them under the tenant's key.

use fhir::TypeId;
use fhir::search::ParamId;
use kernel::{LogicalId, RowId};

use super::resource::StoredVersion;

/// What a hashed key stands for. Both the index side and the query side build these, in `crate::index`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyForm {
    /// A code in whatever system, or none.
    Code(String),
    /// A code in a system.
    SystemCode(String, String),
    /// Any code of a system.
    System(String),
    /// A code that has no system.
    NoSystem(String),
    /// A string, exactly as written.
    Exact(String),
    /// A local resource.
    Local(TypeId, LogicalId),
    /// A URL or canonical.
    Url(String),
    /// A logical reference's identifier.
    Identifier(Option<String>, String),
    /// A composite of two hashed components.
    Pair(Box<KeyForm>, Box<KeyForm>),
}

/// How a stored range `[lo, hi)` is compared with a query range `[lo, hi)` (FHIR R4 search, section
/// 3.1.1.4.6); open ends are `i64::MIN` and `i64::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RangeOp {
    /// `eq`: stored within query.
    Within,
    /// `ne`: not `eq`.
    NotWithin,
    /// `gt`: stored reaches above the query.
    Above,
    /// `lt`: stored reaches below the query.
    Below,
    /// `ge`: `gt` or `eq`.
    AboveOrWithin,
    /// `le`: `lt` or `eq`.
    BelowOrWithin,
    /// `sa`: stored begins after the query.
    After,
    /// `eb`: stored ends before the query.
    Before,
    /// `ap`: they overlap (the query range already widened).
    Overlaps,
}

/// One test of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// Has a key.
    Key {
        /// Parameter.
        param: ParamId,
        /// Value.
        form: KeyForm,
    },
    /// Has a range value.
    Range {
        /// Parameter.
        param: ParamId,
        /// Unit of a quantity, or the hashed components of a composite (with the unit, as a pair); `None`
        /// for dates, numbers and quantities asked without a unit.
        unit: Option<KeyForm>,
        /// Comparison.
        op: RangeOp,
        /// First value of the query range.
        lo: i64,
        /// First value above the query range.
        hi: i64,
    },
    /// Has a text that begins with (folded).
    TextPrefix {
        /// Parameter.
        param: ParamId,
        /// The other components of a composite; `None` for a plain string parameter.
        scope: Option<KeyForm>,
        /// Folded text.
        folded: String,
    },
    /// Has a text that contains (folded).
    TextContains {
        /// Parameter.
        param: ParamId,
        /// Folded text.
        folded: String,
    },
    /// Has (or has not) any value for the parameter with this bit of its type.
    Missing {
        /// Bit in the type's presence bitmap.
        bit: u16,
        /// True: must have none.
        missing: bool,
    },
    /// Is one resource.
    Id(LogicalId),
    /// `_lastUpdated`, in Unix milliseconds, inclusive.
    Updated {
        /// Comparison.
        op: RangeOp,
        /// Query range.
        lo_ms: i64,
        /// Query range.
        hi_ms: i64,
    },
    /// Lies in a patient's compartment.
    Compartment(LogicalId),
    /// Is a patient, or lies in the compartment of a patient, whose managing organisation is this one
    /// (narrowing a role to its branches); resources of no patient match too when `or_none` is set.
    PatientOrganization {
        /// The branch's Organization resource.
        organization: LogicalId,
        /// Whether resources that belong to no patient match.
        or_none: bool,
    },
    /// Matches nothing (an unresolvable value).
    Nothing,
}

/// Any of several predicates; negated for `:not`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// True: resources that match none of them.
    pub negated: bool,
    /// Alternatives.
    pub any_of: Vec<Predicate>,
}

/// What to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// Newest creation first when descending: the default order, and the tie-breaker of all others.
    Row,
    /// `_lastUpdated`.
    Updated,
    /// `_id`, by code point.
    Id,
    /// A range parameter: least lower bound ascending, greatest upper bound descending. Resources
    /// without a value come last.
    Range(ParamId),
    /// A text parameter: least folded text ascending, greatest descending. Without a value: last.
    Text(ParamId),
}

/// A sort order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// Descending.
    pub descending: bool,
}

/// Whether to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// No.
    None,
    /// Exactly.
    Accurate,
}

/// Where a page ended: everything needed to go on after it, stable under concurrent writes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The last item's sort value: none for `Row` and for items without a value.
    pub value: Option<PositionValue>,
    /// The last item's row.
    pub row: RowId,
}

/// A sort value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PositionValue {
    /// Of `Updated` and `Range`.
    Number(i64),
    /// Of `Id` and `Text`.
    Text(String),
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPlan {
    /// The type.
    pub ty: TypeId,
    /// All must hold.
    pub all_of: Vec<Clause>,
    /// The order; rows break ties in the same direction.
    pub sort: Sort,
    /// Page size; 0 asks for the total alone.
    pub count: u32,
    /// Bytes of bodies after which a page ends early; it has at least one match, where there is one.
    pub bytes: usize,
    /// Where the page before ended.
    pub after: Option<Position>,
    /// Whether to count.
    pub total: Total,
}

/// A page of matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// In order.
    pub matches: Vec<StoredVersion>,
    /// Where to go on, if more follow.
    pub next: Option<Position>,
    /// How many match in all, if asked.
    pub total: Option<u64>,
}
