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

impl RangeOp {
    const ALL: [Self; 9] = [
        Self::Within,
        Self::NotWithin,
        Self::Above,
        Self::Below,
        Self::AboveOrWithin,
        Self::BelowOrWithin,
        Self::After,
        Self::Before,
        Self::Overlaps,
    ];

    /// Its number, for functions of an engine.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
    /// The comparison of a number.
    pub(crate) fn of_number(number: i64) -> Option<Self> {
        let place = usize::try_from(number).ok()?;
        Self::ALL.get(place).copied()
    }
    /// Whether it holds for a stored range `[lo, hi)` and the query's `[from, to)`.
    pub(crate) const fn holds(self, (lo, hi): (i64, i64), (from, to): (i64, i64)) -> bool {
        match self {
            Self::Within => lo >= from && lo <= to && hi <= to,
            Self::NotWithin => lo < from || hi > to,
            Self::Above => hi > to,
            Self::Below => lo < from,
            Self::AboveOrWithin => hi >= from && (hi > to || lo >= from),
            Self::BelowOrWithin => lo <= to && (lo < from || hi <= to),
            Self::After => lo >= to,
            Self::Before => hi <= from,
            Self::Overlaps => lo < to && hi > from,
        }
    }
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
    /// Has a tuple of hashed components and two numbers, each compared by itself.
    Numbers {
        /// Parameter.
        param: ParamId,
        /// The hashed components.
        scope: Option<KeyForm>,
        /// Comparison with the first number: operation, and the query range in key space.
        first: (RangeOp, i64, i64),
        /// Comparison with the second number.
        second: (RangeOp, i64, i64),
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
    /// Has a text that is (folded).
    TextIs {
        /// Parameter.
        param: ParamId,
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
    /// Is of the parameter's type and has (or has not) elements for it.
    Missing {
        /// Parameter; it knows its type.
        param: ParamId,
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
    /// A reference of ours points to a living resource of one of these types that matches all its clauses
    /// (chaining). No clauses: to any living resource of the type.
    Chain {
        /// The reference parameter of the type searched.
        param: ParamId,
        /// What it may point to, with what must hold there.
        targets: Vec<(TypeId, Vec<Clause>)>,
    },
    /// A living resource of a type points to us by a reference parameter of its own and matches all
    /// clauses (`_has`).
    Has {
        /// The type that points to us.
        ty: TypeId,
        /// Its reference parameter.
        param: ParamId,
        /// What must hold there.
        all_of: Vec<Clause>,
    },
    /// All of several clauses hold, for nested expressions (`_filter`).
    All(Vec<Clause>),
    /// Has words (`_text`, `_content`).
    Words {
        /// Where.
        scope: WordScope,
        /// Whole words that all must occur, as [`fhir::search::fold_words`] folds them; none: matches nothing.
        words: Vec<String>,
    },
    /// Has words one right after the other, in one text.
    Phrase {
        /// Where.
        scope: WordScope,
        /// Two words at least, in their order, as [`fhir::search::ordered_words`] folds them.
        words: Vec<String>,
    },
    /// Refers to a resource, or to one below it in a hierarchy of its type, or above it.
    Hierarchy {
        /// The reference parameter.
        param: ParamId,
        /// The parameter by which a resource of the hierarchy names the one above it.
        parent: ParamId,
        /// The resource.
        root: KeyForm,
        /// Below; else above.
        below: bool,
    },
    /// Has a position within a distance.
    Near {
        /// Parameter.
        param: ParamId,
        /// Around what, and how far.
        around: fhir::search::Around,
    },
    /// Matches nothing (an unresolvable value).
    Nothing,
}

/// Which words a store indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FullText {
    /// None: searches by words are refused.
    Off,
    /// Those of narratives (`_text`).
    #[default]
    Narrative,
    /// Those of narratives and of every other text (`_text`, `_content`), and which stand side by side
    /// (phrases).
    All,
}

/// Where words are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WordScope {
    /// In the narrative (`_text`).
    Narrative,
    /// In every text of the resource, the narrative included (`_content`).
    Content,
}

/// Any of several predicates; negated for `:not`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// True: resources that match none of them.
    pub negated: bool,
    /// Alternatives.
    pub any_of: Vec<Predicate>,
}

/// What to sort by. In a search of several types a parameter stands for those of each type with its code
/// and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// Newest creation first when descending: the default order, and the tie-breaker of all others.
    Row,
    /// `_lastUpdated`.
    Updated,
    /// `_id`, by code point.
    Id,
    /// A range parameter: least lower bound ascending, greatest upper bound descending. Resources
    /// without a value come last in both directions, and so do those of other types than the parameter's.
    Range(ParamId),
    /// A text parameter: least folded text ascending, greatest descending. Without a value: last in both
    /// directions.
    Text(ParamId),
    /// A token parameter: its codes, folded and as far as the index keeps them, like `Text`. What has no
    /// code comes last in both directions.
    Code(ParamId),
    /// A reference parameter: resources of this tenant by the number of their type and their id, then URLs,
    /// like `Text`. Logical references, and those to what was never stored here, have no value.
    Reference(ParamId),
}

/// One key of an order.
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
    /// Exactly where that is cheap, otherwise judged by a sample of bounded size.
    Estimate,
    /// Exactly.
    Accurate,
}

/// Where a page ended: everything needed to go on after it, stable under concurrent writes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The last item's value of each sort key, in their order: none for `Row` and where it has no value.
    pub values: Vec<Option<PositionValue>>,
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
    /// The types, each once; none match nothing.
    pub types: Vec<TypeId>,
    /// All must hold. A predicate of a parameter matches resources of that parameter's type alone: a
    /// search of several types lists the parameters of each as alternatives.
    pub all_of: Vec<Clause>,
    /// The order, most significant key first; rows break ties in the direction of the last key. None:
    /// newest creation first.
    pub sort: Vec<Sort>,
    /// Page size; 0 asks for the total alone.
    pub count: u32,
    /// Bytes of bodies after which a page ends early; it has at least one match, where there is one.
    pub bytes: usize,
    /// Index rows that it may walk, by estimate: what would walk more is refused before it is run.
    pub rows: u64,
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

/// How finely an explanation tells how much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// As it is counted.
    Exact,
    /// Rounded up to a power of ten, from 1000; everything else in the explanation follows from these
    /// numbers alone, so that it tells of no single resource.
    Coarse,
}

/// How a search would be run, for operators. Holds no searched value in clear.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// What is walked or listed, in words.
    pub strategy: String,
    /// The clause that drives, by its place among `clauses`; none for a walk of whole types.
    pub driver: Option<usize>,
    /// The clauses, in the order in which they are tested.
    pub clauses: Vec<ExplainedClause>,
    /// Rows that it walks, by estimate; where it is refused, no more than that they pass the limit.
    pub walked: u64,
    /// Why it is refused, where it would walk too much.
    pub refused: Option<String>,
    /// The statement for the page, with places instead of values.
    pub statement: String,
    /// The engine's own plan, line by line.
    pub engine: Vec<String>,
}

/// A clause of an [`Explanation`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ExplainedClause {
    /// What it tests, by parameter, without values.
    pub tests: String,
    /// Index rows that it has, where it was worth counting.
    pub rows: Option<u64>,
    /// Whether counting stopped there: it has more.
    pub more: bool,
}
