//! A search with its values hashed, and the choice of what drives it: the rarest clause where one is rare,
//! an ordered walk otherwise. Must not know SQL.

use fhir::search::ParamId;
use fhir::{Definitions, TypeId};
use kernel::{LogicalId, RowId};

use crate::index::{COMPARTMENT, KeyHasher, cut_text, scoped_text};
use crate::port::error::StoreError;
use crate::port::search::{
    Clause, KeyForm, PositionValue, Predicate, RangeOp, SearchPlan, Sort, SortKey,
};

/// One test, ready for an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A row of `ix_key` (parameter [`COMPARTMENT`]: of `ix_pat`).
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
    /// A bit of the head's presence bitmap.
    Present {
        /// Its number, below 64.
        bit: u16,
        /// Whether it must be set.
        present: bool,
    },
    /// One resource.
    Head {
        /// Hash of its name.
        rh: i64,
        /// Its id.
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
    /// Nothing matches.
    Nothing,
}

impl Test {
    /// Whether its rows can be listed from an index, without looking at heads.
    #[must_use]
    pub const fn can_drive(&self) -> bool {
        matches!(
            self,
            Self::Key { .. }
                | Self::Range { .. }
                | Self::TextPrefix { .. }
                | Self::TextContains { .. }
                | Self::Head { .. }
                | Self::Nothing
        )
    }
}

/// Any of several tests; negated for `:not`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestClause {
    /// True: none of them may hold.
    pub negated: bool,
    /// Alternatives.
    pub any_of: Vec<Test>,
}

impl TestClause {
    /// Whether the clause can drive a search.
    #[must_use]
    pub fn can_drive(&self) -> bool {
        !self.negated && self.any_of.iter().all(Test::can_drive)
    }
    fn is_one_key(&self) -> bool {
        !self.negated && matches!(self.any_of.as_slice(), [Test::Key { .. }])
    }
    /// Whether at most one row matches, so that it need not be estimated.
    #[must_use]
    pub fn is_one_row(&self) -> bool {
        !self.negated && matches!(self.any_of.as_slice(), [Test::Head { .. } | Test::Nothing])
    }
}

/// A search, ready for an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The type.
    pub ty: TypeId,
    /// All must hold.
    pub clauses: Vec<TestClause>,
    /// The order.
    pub sort: Sort,
    /// Where the page before ended.
    pub after: Option<After>,
}

/// The last item of the page before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// Its sort value.
    pub value: Option<PositionValue>,
    /// Its row.
    pub row: RowId,
}

/// Newest creation first.
const NEWEST: Sort = Sort {
    key: SortKey::Row,
    descending: true,
};

/// What drives a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// List the rows of this clause (by index), test the rest, then sort.
    Driven(usize),
    /// Walk the rows of this clause, a single key, in row order, and stop when the page is full.
    WalkKey(usize),
    /// Walk in the order of the sort key, and stop when the page is full.
    Walk,
}

/// Below this many rows a clause is listed and sorted; above, an ordered walk fills a page sooner.
pub const RARE: u64 = 2000;
/// So few rows that looking for a rarer clause costs more than it saves.
pub const FEW: u64 = 16;
/// Clauses of a search at most.
const MAX_CLAUSES: usize = 300;
/// Keys of a search at most: a reference by bare id is one per type.
const MAX_KEYS: usize = 20_000;
/// Other tests of a search at most.
const MAX_OTHERS: usize = 480;

impl Query {
    /// Hashes a search's values.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] for a presence bit beyond the stored bitmap; [`StoreError::TooCostly`]
    /// for more alternatives than engines take in a statement.
    pub fn new(hasher: &KeyHasher, plan: &SearchPlan) -> Result<Self, StoreError> {
        let [ty] = *plan.types.as_slice() else {
            return Err(StoreError::Unsupported("a search of several types"));
        };
        let sort = match plan.sort.as_slice() {
            [] => NEWEST,
            [sort] => *sort,
            _ => return Err(StoreError::Unsupported("an order by several keys")),
        };
        let clauses: Vec<TestClause> = plan
            .all_of
            .iter()
            .map(|clause| clause_of(hasher, ty, clause))
            .collect::<Result<_, _>>()?;
        check_size(&clauses)?;
        let after = plan.after.as_ref().map(|after| After {
            value: after.values.first().cloned().flatten(),
            row: after.row,
        });
        Ok(Self {
            ty,
            clauses,
            sort,
            after,
        })
    }

    /// The clauses worth estimating, by index.
    pub fn candidates(&self) -> impl Iterator<Item = (usize, &TestClause)> {
        self.clauses
            .iter()
            .enumerate()
            .filter(|(_, clause)| clause.can_drive())
    }

    /// Chooses, given how many rows each candidate has (counted up to [`RARE`]).
    #[must_use]
    pub fn strategy(&self, estimates: &[(usize, u64)]) -> Strategy {
        let rarest = estimates.iter().min_by_key(|(_, rows)| *rows);
        let is_one_key = |at: usize| self.clauses.get(at).is_some_and(TestClause::is_one_key);
        match rarest {
            // Its rows lie in the order asked for: the walk ends with the page, at the latest with them.
            Some((clause, rows))
                if *rows < RARE && self.sort.key == SortKey::Row && is_one_key(*clause) =>
            {
                Strategy::WalkKey(*clause)
            }
            Some((clause, rows)) if *rows < RARE => Strategy::Driven(*clause),
            _ if self.sort.key == SortKey::Row => self
                .clauses
                .iter()
                .position(TestClause::is_one_key)
                .map_or(Strategy::Walk, Strategy::WalkKey),
            _ => Strategy::Walk,
        }
    }
}

/// Refuses what would exceed the engines' limits: 32766 values, conditions nested 1000 deep, 500 selects
/// joined. Keys of one parameter are one list.
fn check_size(clauses: &[TestClause]) -> Result<(), StoreError> {
    let mut keys = 0;
    let mut others = 0;
    for clause in clauses {
        let of = |test: &&Test| matches!(test, Test::Key { .. });
        let lists = clause.any_of.iter().filter(of).count();
        keys += lists;
        others += clause.any_of.len() - lists;
    }
    if clauses.len() > MAX_CLAUSES || keys > MAX_KEYS || others > MAX_OTHERS {
        return Err(StoreError::TooCostly);
    }
    Ok(())
}

/// Hashes one clause; also for the restriction of a history.
pub fn clause_of(
    hasher: &KeyHasher,
    ty: TypeId,
    clause: &Clause,
) -> Result<TestClause, StoreError> {
    let any_of = clause
        .any_of
        .iter()
        .map(|predicate| test_of(hasher, ty, predicate))
        .collect::<Result<_, _>>()?;
    Ok(TestClause {
        negated: clause.negated,
        any_of,
    })
}

fn test_of(hasher: &KeyHasher, ty: TypeId, predicate: &Predicate) -> Result<Test, StoreError> {
    Ok(match predicate {
        Predicate::Key { param, form } => Test::Key {
            p: number(*param),
            v: hasher.form(form),
        },
        Predicate::Range {
            param,
            unit,
            op,
            lo,
            hi,
        } => Test::Range {
            p: number(*param),
            u: unit.as_ref().map_or(0, |unit| hasher.form(unit)),
            op: *op,
            lo: *lo,
            hi: *hi,
        },
        Predicate::TextPrefix {
            param,
            scope,
            folded,
        } => text_prefix(hasher, *param, scope.as_ref(), folded),
        Predicate::TextContains { param, folded } => Test::TextContains {
            p: number(*param),
            text: cut_text(folded).to_owned(),
        },
        Predicate::Missing { param, missing } => {
            let unknown = || StoreError::Unsupported(":missing for this parameter");
            let param = Definitions::r4().search_param_by_id(*param);
            let param = param.ok_or_else(unknown)?;
            if param.bit >= 64 || param.ty != ty {
                return Err(unknown());
            }
            Test::Present {
                bit: param.bit,
                present: !missing,
            }
        }
        Predicate::Id(id) => Test::Head {
            rh: hasher.local(ty, id.as_str()),
            id: id.as_str().to_owned(),
        },
        Predicate::Updated { op, lo_ms, hi_ms } => updated(*op, *lo_ms, *hi_ms),
        Predicate::Compartment(patient) => Test::Key {
            p: i64::from(COMPARTMENT),
            v: hasher.local(patient_type()?, patient.as_str()),
        },
        Predicate::PatientOrganization {
            organization,
            or_none,
        } => patient_organization(hasher, organization, *or_none)?,
        Predicate::Nothing => Test::Nothing,
        Predicate::Chain { .. } => return Err(StoreError::Unsupported("chained parameters")),
        Predicate::Has { .. } => return Err(StoreError::Unsupported("_has")),
        Predicate::All(_) => return Err(StoreError::Unsupported("nested conditions")),
        Predicate::Words { .. } => return Err(StoreError::Unsupported("full text")),
    })
}

fn text_prefix(hasher: &KeyHasher, param: ParamId, scope: Option<&KeyForm>, folded: &str) -> Test {
    let text = cut_text(folded);
    let from = scope.map_or_else(
        || text.to_owned(),
        |scope| scoped_text(hasher.form(scope), text),
    );
    Test::TextPrefix {
        p: number(param),
        to: after_prefix(&from),
        from,
    }
}

fn patient_organization(
    hasher: &KeyHasher,
    organization: &LogicalId,
    or_none: bool,
) -> Result<Test, StoreError> {
    let definitions = Definitions::r4();
    let missing = || StoreError::Unsupported("narrowing to an organisation");
    let param = definitions
        .search_param(patient_type()?, "organization")
        .ok_or_else(missing)?;
    let kind = definitions.resource("Organization").ok_or_else(missing)?;
    Ok(Test::PatientOrganization {
        p: number(param.id),
        v: hasher.local(kind, organization.as_str()),
        or_none,
    })
}

/// The number of the type Patient.
pub fn patient_type() -> Result<TypeId, StoreError> {
    Definitions::r4()
        .resource("Patient")
        .ok_or(StoreError::Unsupported("patients"))
}

fn number(param: ParamId) -> i64 {
    i64::from(param.0)
}

/// A version's time is its row's millisecond; `lo` and `hi` are inclusive.
fn updated(op: RangeOp, lo: i64, hi: i64) -> Test {
    let first = RowId::floor_of_ms(lo).0;
    let after = RowId::floor_of_ms(hi.saturating_add(1)).0;
    let (from, to, outside) = match op {
        RangeOp::Within | RangeOp::Overlaps => (first, after, false),
        RangeOp::NotWithin => (first, after, true),
        RangeOp::Above | RangeOp::After => (after, i64::MAX, false),
        RangeOp::Below | RangeOp::Before => (i64::MIN, first, false),
        RangeOp::AboveOrWithin => (first, i64::MAX, false),
        RangeOp::BelowOrWithin => (i64::MIN, after, false),
    };
    Test::Version { from, to, outside }
}

/// The least text greater than all that begin with `prefix`, by code point.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut rest = prefix;
    while let Some(last) = rest.chars().next_back() {
        rest = rest.get(..rest.len() - last.len_utf8())?;
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            return Some(format!("{rest}{next}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_text() {
        let cases = [
            ("ab", Some("ac")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
            ("\u{d7ff}", Some("\u{e000}")),
            ("", None),
        ];
        for (prefix, end) in cases {
            assert_eq!(after_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
    }

    #[test]
    fn the_rarest_clause_drives_and_common_ones_are_walked() {
        let key = TestClause {
            negated: false,
            any_of: vec![Test::Key { p: 1, v: 2 }],
        };
        let range = TestClause {
            negated: false,
            any_of: vec![Test::Range {
                p: 2,
                u: 0,
                op: RangeOp::Within,
                lo: 0,
                hi: 1,
            }],
        };
        let negated = TestClause {
            negated: true,
            ..key.clone()
        };
        let mut query = Query {
            ty: TypeId(1),
            clauses: vec![negated, range, key],
            sort: Sort {
                key: SortKey::Row,
                descending: true,
            },
            after: None,
        };
        assert_eq!(
            query.candidates().map(|(at, _)| at).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(query.strategy(&[(1, 900), (2, 5)]), Strategy::WalkKey(2));
        assert_eq!(query.strategy(&[(1, 7), (2, 5000)]), Strategy::Driven(1));
        assert_eq!(
            query.strategy(&[(1, RARE), (2, RARE)]),
            Strategy::WalkKey(2)
        );
        query.sort.key = SortKey::Updated;
        assert_eq!(query.strategy(&[(1, 900), (2, 5)]), Strategy::Driven(2));
        assert_eq!(query.strategy(&[(1, RARE), (2, RARE)]), Strategy::Walk);
        query.clauses.clear();
        assert_eq!(query.strategy(&[]), Strategy::Walk);
    }
}
