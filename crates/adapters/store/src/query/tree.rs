//! A search with its values hashed: a tree of conjunctions, held as a list in which what is inside comes
//! before what it is in. Must not know SQL.

use fhir::TypeId;
use fhir::search::Around;
use kernel::RowId;

use crate::port::search::{PositionValue, RangeOp, Sort};

/// One test, ready for an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A row of `ix_key` (parameter [`crate::index::COMPARTMENT`]: of `ix_pat`).
    Key {
        /// Parameter.
        p: i64,
        /// Hash.
        v: i64,
    },
    /// A row of `ix_rng`.
    Range {
        /// Parameter.
        p: i64,
        /// Unit or scope.
        u: i64,
        /// Comparison of half-open ranges.
        op: RangeOp,
        /// Query range.
        lo: i64,
        /// Query range.
        hi: i64,
        /// Parameter and hash of a key that every resource with such a row has, too: the first component of
        /// a composite.
        within: Option<(i64, i64)>,
    },
    /// A row of `ix_rng` that holds two numbers, `lo` and `hi`.
    Numbers {
        /// Parameter.
        p: i64,
        /// Scope.
        u: i64,
        /// Where the first must lie.
        first: Span,
        /// Where the second must lie.
        second: Span,
    },
    /// Rows of `ix_rng` for words that follow each other: each holds a word, its place, and the next word.
    Phrase {
        /// Parameter.
        p: i64,
        /// Each word but the last, with the one after it; never none.
        pairs: Vec<(i64, i64)>,
    },
    /// A row of `ix_key` with a resource, or one below or above it in a hierarchy; circles end.
    Hierarchy {
        /// Parameter.
        p: i64,
        /// The parameter by which a resource names the one above it.
        parent: i64,
        /// The resource.
        v: i64,
        /// Below; else above.
        below: bool,
    },
    /// A row of `ix_rng` with a point no farther from another than a chord.
    Near {
        /// Parameter.
        p: i64,
        /// Around what, and how far.
        around: Around,
    },
    /// A row of `ix_txt` from `from` up to, not including, `to`.
    TextPrefix {
        /// Parameter.
        p: i64,
        /// The prefix.
        from: String,
        /// The first text after all that begin with it; `None` where there is none.
        to: Option<String>,
    },
    /// A row of `ix_txt` that contains a text.
    TextContains {
        /// Parameter.
        p: i64,
        /// The text.
        text: String,
    },
    /// A resource of a type with or without a bit in its head's presence bitmap.
    Present {
        /// The type.
        ty: TypeId,
        /// The bit's number, below 64.
        bit: u16,
        /// Whether it must be set.
        present: bool,
    },
    /// A resource of a type.
    Type(TypeId),
    /// One id, as a resource of each type searched.
    Head {
        /// Hashes of its names.
        rhs: Vec<i64>,
        /// The id.
        id: String,
    },
    /// The current version's row from `from` up to, not including, `to`; or outside of that.
    Version {
        /// First row.
        from: i64,
        /// First row after.
        to: i64,
        /// Whether it must lie outside.
        outside: bool,
    },
    /// A patient of an organisation, or something in the compartment of one.
    PatientOrganization {
        /// Parameter `organization` of Patient.
        p: i64,
        /// Hash of the organisation.
        v: i64,
        /// Whether what belongs to no patient matches too.
        or_none: bool,
    },
    /// A reference of ours leads to a resource of a group.
    Chain {
        /// Our reference parameter.
        p: i64,
        /// How it leads there.
        link: Link,
        /// The group, by its place.
        group: usize,
    },
    /// A reference of a resource of a group leads to us.
    Has {
        /// Its reference parameter.
        p: i64,
        /// How it leads to us.
        link: Link,
        /// The group, by its place.
        group: usize,
    },
    /// All clauses of a group hold for us.
    All(usize),
    /// Nothing matches.
    Nothing,
}

/// Where a number must lie: from `from` up to, not including, `to`; or outside of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First number.
    pub from: i64,
    /// First number after.
    pub to: i64,
    /// Whether it must lie outside.
    pub outside: bool,
}

impl Span {
    /// Of a comparison of a single number with a query range `[lo, hi)`.
    #[must_use]
    pub const fn of((op, lo, hi): (RangeOp, i64, i64)) -> Self {
        let (from, to, outside) = match op {
            RangeOp::Within | RangeOp::Overlaps => (lo, hi, false),
            RangeOp::NotWithin => (lo, hi, true),
            RangeOp::Above | RangeOp::After => (hi, i64::MAX, false),
            RangeOp::Below | RangeOp::Before => (i64::MIN, lo, false),
            RangeOp::AboveOrWithin => (lo, i64::MAX, false),
            RangeOp::BelowOrWithin => (i64::MIN, hi, false),
        };
        Self { from, to, outside }
    }
}

/// How a reference leads to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// By its name, `Type/id`.
    Name,
    /// By its canonical URL.
    Canonical {
        /// Parameter `url` of the resource that is pointed to.
        url: i64,
    },
}

impl Test {
    /// Whether its rows can be listed from an index by itself, without looking at heads or other tests.
    #[must_use]
    pub const fn is_listed(&self) -> bool {
        matches!(
            self,
            Self::Key { .. }
                | Self::Range { .. }
                | Self::Numbers { .. }
                | Self::Phrase { .. }
                | Self::Near { .. }
                | Self::Hierarchy { .. }
                | Self::TextPrefix { .. }
                | Self::TextContains { .. }
                | Self::Head { .. }
                | Self::Nothing
        )
    }

    /// The group it leads into.
    #[must_use]
    pub const fn group(&self) -> Option<usize> {
        match self {
            Self::Chain { group, .. } | Self::Has { group, .. } | Self::All(group) => Some(*group),
            _ => None,
        }
    }
}

/// Any of several tests; negated for `:not`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestClause {
    /// True: none of them may hold.
    pub negated: bool,
    /// Alternatives; never none.
    pub any_of: Vec<Test>,
}

impl TestClause {
    /// Whether its rows can be listed from indexes alone.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        !self.negated && self.any_of.iter().all(Test::is_listed)
    }
    /// Whether its rows are found by looking through all texts of a parameter.
    #[must_use]
    pub fn looks_through_texts(&self) -> bool {
        let mut tests = self.any_of.iter();
        tests.any(|test| matches!(test, Test::TextContains { .. }))
    }
    /// Whether it is one key, whose rows lie in row order.
    #[must_use]
    pub fn is_one_key(&self) -> bool {
        !self.negated && matches!(self.any_of.as_slice(), [Test::Key { .. }])
    }
    /// Parameter and hash of a key that whatever matches has.
    #[must_use]
    pub fn key_within(&self) -> Option<(i64, i64)> {
        let of = |test: &Test| match test {
            Test::Key { p, v } => Some((*p, *v)),
            Test::Range { within, .. } => *within,
            _ => None,
        };
        let (first, rest) = self.any_of.split_first()?;
        let key = of(first)?;
        let same = rest.iter().all(|test| of(test) == Some(key));
        (!self.negated && same).then_some(key)
    }
    /// At most so many rows match, where that is known without counting.
    #[must_use]
    pub fn known_rows(&self) -> Option<u64> {
        match self.any_of.as_slice() {
            _ if self.negated => None,
            [Test::Head { rhs, .. }] => Some(rhs.len() as u64),
            [Test::Nothing] => Some(0),
            _ => None,
        }
    }
}

/// Clauses that all hold for one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its types; none where the tests it is reached by say so already.
    pub types: Vec<TypeId>,
    /// All must hold.
    pub clauses: Vec<TestClause>,
}

/// The last item of the page before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// Its value of each sort key.
    pub values: Vec<Option<PositionValue>>,
    /// Its row.
    pub row: RowId,
}

/// A search, ready for an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What chains, `_has` and nested expressions lead into, inner before outer; the last is the search.
    pub groups: Vec<Group>,
    /// The order; never none.
    pub sort: Vec<Sort>,
    /// Where the page before ended.
    pub after: Option<After>,
}

impl Query {
    /// The place of the search's own group.
    #[must_use]
    pub fn root(&self) -> usize {
        self.groups.len().saturating_sub(1)
    }
    /// The types searched.
    #[must_use]
    pub fn types(&self) -> &[TypeId] {
        self.groups.last().map_or(&[], |group| &group.types)
    }
    /// The search's own clauses.
    #[must_use]
    pub fn clauses(&self) -> &[TestClause] {
        self.groups.last().map_or(&[], |group| &group.clauses)
    }
    /// A group's clauses.
    #[must_use]
    pub fn clauses_of(&self, group: usize) -> &[TestClause] {
        self.groups.get(group).map_or(&[], |group| &group.clauses)
    }
    /// Whether what matches may depend on other resources than the one that matches.
    #[must_use]
    pub fn looks_elsewhere(&self) -> bool {
        self.groups
            .iter()
            .flat_map(|group| &group.clauses)
            .flat_map(|clause| &clause.any_of)
            .any(|test| {
                matches!(
                    test,
                    Test::PatientOrganization { .. } | Test::Chain { .. } | Test::Has { .. }
                )
            })
    }
    /// The same search from its beginning in another order.
    #[must_use]
    pub fn ordered(&self, sort: Sort) -> Self {
        Self {
            groups: self.groups.clone(),
            sort: vec![sort],
            after: None,
        }
    }
}
