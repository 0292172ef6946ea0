//! From a search as the port states it to a tree of hashed tests. Refuses what engines would not take.

use fhir::search::{ParamId, ParamKind, SearchParam};
use fhir::{Definitions, TypeId};
use kernel::{LogicalId, RowId};

use super::tree::{After, Group, Link, Query, Span, Test, TestClause};
use crate::index::{COMPARTMENT, CONTENT, KeyHasher, NARRATIVE, PRESENCE, cut_text, scoped_text};
use crate::port::error::StoreError;
use crate::port::search::{
    Clause, FullText, KeyForm, Predicate, RangeOp, SearchPlan, Sort, SortKey, WordScope,
};

/// How deep chains, `_has` and nested expressions may go.
const MAX_DEPTH: usize = 8;
/// Groups of a search at most: a chain without a type leads to every type the parameter may point to.
const MAX_GROUPS: usize = 400;
/// Clauses of a search at most.
const MAX_CLAUSES: usize = 600;
/// Keys of a search at most: a reference by bare id is one per type.
const MAX_KEYS: usize = 20_000;
/// Other tests of a search at most.
const MAX_OTHERS: usize = 480;
/// Sort keys of a search at most.
const MAX_SORTS: usize = 8;

/// Newest creation first.
const NEWEST: Sort = Sort {
    key: SortKey::Row,
    descending: true,
};

impl Query {
    /// Hashes a search's values.
    ///
    /// # Errors
    /// [`StoreError::TooCostly`] for more alternatives, or deeper nesting, than engines take in a
    /// statement. Words that are not indexed match nothing: see [`check_words`].
    pub fn new(hasher: &KeyHasher, plan: &SearchPlan) -> Result<Self, StoreError> {
        let mut sort = plan.sort.clone();
        if sort.is_empty() {
            sort.push(NEWEST);
        }
        if sort.len() > MAX_SORTS {
            return Err(StoreError::TooCostly);
        }
        let mut types = plan.types.clone();
        types.sort_unstable_by_key(|ty| ty.0);
        types.dedup();
        let mut hashing = Hashing::new(hasher);
        hashing.group(&types, &plan.all_of, 0)?;
        let keys = sort.len();
        let after = plan.after.as_ref().map(|after| {
            let mut values = after.values.clone();
            values.resize(keys, None);
            After {
                values,
                row: after.row,
            }
        });
        Ok(Self {
            groups: hashing.finish()?,
            sort,
            after,
        })
    }

    /// One clause about resources of a type, for the restriction of a history.
    ///
    /// # Errors
    /// See [`Query::new`].
    pub fn restriction(
        hasher: &KeyHasher,
        ty: TypeId,
        clause: &Clause,
    ) -> Result<Self, StoreError> {
        let mut hashing = Hashing::new(hasher);
        hashing.group(&[ty], core::slice::from_ref(clause), 0)?;
        Ok(Self {
            groups: hashing.finish()?,
            sort: vec![NEWEST],
            after: None,
        })
    }
}

/// Refuses a search for words that a store does not index.
///
/// # Errors
/// [`StoreError::Unsupported`] names the setting.
pub fn check_words(full_text: FullText, clauses: &[Clause]) -> Result<(), StoreError> {
    if full_text == FullText::All {
        return Ok(());
    }
    for predicate in clauses.iter().flat_map(|clause| &clause.any_of) {
        match predicate {
            Predicate::Words {
                scope: WordScope::Content,
                ..
            } => {
                return Err(StoreError::Unsupported(
                    "_content unless search.full_text is all: set it, and reindex",
                ));
            }
            Predicate::Phrase { .. } => {
                return Err(StoreError::Unsupported(
                    "phrases unless search.full_text is all: set it, and reindex",
                ));
            }
            Predicate::Words { .. } if full_text == FullText::Off => {
                return Err(StoreError::Unsupported(
                    "_text while search.full_text is off: set it to narrative, and reindex",
                ));
            }
            Predicate::Chain { targets, .. } => {
                for (_, all_of) in targets {
                    check_words(full_text, all_of)?;
                }
            }
            Predicate::Has { all_of, .. } | Predicate::All(all_of) => {
                check_words(full_text, all_of)?;
            }
            _ => {}
        }
    }
    Ok(())
}

struct Hashing<'h> {
    hasher: &'h KeyHasher,
    groups: Vec<Group>,
    clauses: usize,
    keys: usize,
    others: usize,
}

impl<'h> Hashing<'h> {
    const fn new(hasher: &'h KeyHasher) -> Self {
        Self {
            hasher,
            groups: Vec::new(),
            clauses: 0,
            keys: 0,
            others: 0,
        }
    }

    /// Engines take 32766 values, conditions nested 1000 deep, 500 selects joined; keys of one parameter
    /// are one list.
    fn check(&self) -> Result<(), StoreError> {
        let much = self.groups.len() > MAX_GROUPS
            || self.clauses > MAX_CLAUSES
            || self.keys > MAX_KEYS
            || self.others > MAX_OTHERS;
        if much {
            return Err(StoreError::TooCostly);
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Group>, StoreError> {
        self.check()?;
        Ok(self.groups)
    }

    /// Adds a group after all that it leads into; answers its place.
    fn group(
        &mut self,
        types: &[TypeId],
        all_of: &[Clause],
        depth: usize,
    ) -> Result<usize, StoreError> {
        let clauses = self.conjunction(types, all_of, depth)?;
        self.groups.push(Group {
            types: types.to_vec(),
            clauses,
        });
        Ok(self.groups.len() - 1)
    }

    fn conjunction(
        &mut self,
        types: &[TypeId],
        all_of: &[Clause],
        depth: usize,
    ) -> Result<Vec<TestClause>, StoreError> {
        if depth > MAX_DEPTH {
            return Err(StoreError::TooCostly);
        }
        let mut clauses = Vec::with_capacity(all_of.len());
        for clause in all_of {
            let mut any_of = Vec::with_capacity(clause.any_of.len());
            for predicate in &clause.any_of {
                let before = any_of.len();
                self.predicate(types, predicate, depth, &mut any_of)?;
                for test in any_of.get(before..).unwrap_or_default() {
                    match test {
                        Test::Key { .. } => self.keys += 1,
                        _ => self.others += 1,
                    }
                }
            }
            if any_of.is_empty() {
                any_of.push(Test::Nothing);
            }
            self.clauses += 1;
            self.check()?;
            within_one(&mut any_of);
            clauses.push(TestClause {
                negated: clause.negated,
                any_of,
            });
        }
        // What is cheap to test, and likely to fail, is tested first.
        clauses.sort_by_key(weight);
        Ok(clauses)
    }

    fn predicate(
        &mut self,
        types: &[TypeId],
        predicate: &Predicate,
        depth: usize,
        into: &mut Vec<Test>,
    ) -> Result<(), StoreError> {
        match predicate {
            Predicate::Chain { param, targets } => {
                for (ty, all_of) in targets {
                    let group = self.group(&[*ty], all_of, depth + 1)?;
                    let p = number(*param);
                    let mut lead = |link| into.push(Test::Chain { p, link, group });
                    lead(Link::Name);
                    if let Some(url) = url_of(*ty) {
                        lead(Link::Canonical { url });
                    }
                }
            }
            Predicate::Has { ty, param, all_of } => {
                let group = self.group(&[*ty], all_of, depth + 1)?;
                let p = number(*param);
                let mut lead = |link| into.push(Test::Has { p, link, group });
                lead(Link::Name);
                for url in types.iter().filter_map(|ty| url_of(*ty)) {
                    lead(Link::Canonical { url });
                }
            }
            Predicate::All(clauses) => {
                let clauses = self.conjunction(types, clauses, depth + 1)?;
                into.push(self.all(clauses));
            }
            Predicate::Words { scope, words } => {
                let test = self.words(*scope, words);
                into.push(test);
            }
            Predicate::Phrase { scope, words } => {
                let hashes: Vec<i64> = words.iter().map(|word| self.hasher.word(word)).collect();
                let pairs: Vec<(i64, i64)> = hashes
                    .windows(2)
                    .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
                    .collect();
                self.others += pairs.len();
                let phrase = |p: &u16| Test::Phrase {
                    p: i64::from(*p),
                    pairs: pairs.clone(),
                };
                if pairs.is_empty() {
                    into.push(Test::Nothing);
                } else {
                    into.extend(places(*scope).iter().map(phrase));
                }
            }
            Predicate::Missing { param, missing } => {
                let test = self.missing(*param, *missing)?;
                into.push(test);
            }
            other => into.push(leaf(self.hasher, types, other)?),
        }
        Ok(())
    }

    fn all(&mut self, clauses: Vec<TestClause>) -> Test {
        self.groups.push(Group {
            types: Vec::new(),
            clauses,
        });
        Test::All(self.groups.len() - 1)
    }

    /// Each word is a key; what the narrative says is not repeated among the content's.
    fn words(&mut self, scope: WordScope, words: &[String]) -> Test {
        let places = places(scope);
        let clause = |word: &String| TestClause {
            negated: false,
            any_of: places
                .iter()
                .map(|place| Test::Key {
                    p: i64::from(*place),
                    v: self.hasher.word(word),
                })
                .collect(),
        };
        let clauses: Vec<TestClause> = words.iter().map(clause).collect();
        self.keys += clauses.len() * places.len();
        self.clauses += clauses.len();
        if clauses.is_empty() {
            return Test::Nothing;
        }
        self.all(clauses)
    }

    fn missing(&mut self, param: ParamId, missing: bool) -> Result<Test, StoreError> {
        let param = known(param)?;
        if param.bit < 64 {
            return Ok(Test::Present {
                ty: param.ty,
                bit: param.bit,
                present: !missing,
            });
        }
        let clause = |negated, test| TestClause {
            negated,
            any_of: vec![test],
        };
        let mark = Test::Key {
            p: i64::from(PRESENCE),
            v: number(param.id),
        };
        self.clauses += 2;
        self.keys += 1;
        let clauses = vec![clause(missing, mark), clause(false, Test::Type(param.ty))];
        Ok(self.all(clauses))
    }
}

/// Where words of a scope are.
const fn places(scope: WordScope) -> &'static [u16] {
    match scope {
        WordScope::Narrative => &[NARRATIVE],
        WordScope::Content => &[NARRATIVE, CONTENT],
    }
}

/// What a clause costs per resource, roughly.
fn weight(clause: &TestClause) -> u8 {
    let of = |test: &Test| match test {
        Test::Nothing | Test::Present { .. } | Test::Type(_) | Test::Head { .. } => 0,
        Test::Version { .. } => 1,
        Test::Key { .. } => 2,
        Test::Range { .. } | Test::Numbers { .. } | Test::TextPrefix { .. } => 3,
        Test::Phrase { .. }
        | Test::Near { .. }
        | Test::Hierarchy { .. }
        | Test::TextContains { .. } => 4,
        Test::PatientOrganization { .. } | Test::All(_) => 5,
        Test::Chain { .. } => 6,
        Test::Has { .. } => 7,
    };
    clause.any_of.iter().map(of).max().unwrap_or_default()
}

fn known(param: ParamId) -> Result<&'static SearchParam, StoreError> {
    Definitions::r4()
        .search_param_by_id(param)
        .ok_or(StoreError::Unsupported("this search parameter"))
}

/// Parameter `url` of a type that has canonical URLs.
fn url_of(ty: TypeId) -> Option<i64> {
    let param = Definitions::r4().search_param(ty, "url")?;
    (param.kind == ParamKind::Uri).then(|| number(param.id))
}

fn leaf(hasher: &KeyHasher, types: &[TypeId], predicate: &Predicate) -> Result<Test, StoreError> {
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
            within: unit.as_ref().and_then(|unit| within(hasher, *param, unit)),
        },
        Predicate::Numbers {
            param,
            scope,
            first,
            second,
        } => Test::Numbers {
            p: number(*param),
            u: scope.as_ref().map_or(0, |scope| hasher.form(scope)),
            first: Span::of(*first),
            second: Span::of(*second),
        },
        Predicate::TextPrefix {
            param,
            scope,
            folded,
        } => text_prefix(hasher, *param, scope.as_ref(), folded),
        Predicate::TextIs { param, folded } => text_is(*param, folded)?,
        Predicate::TextContains { param, folded } => Test::TextContains {
            p: number(*param),
            text: cut_text(folded).to_owned(),
        },
        Predicate::Id(id) => Test::Head {
            rhs: types
                .iter()
                .map(|ty| hasher.local(*ty, id.as_str()))
                .collect(),
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
        other => apart(hasher, other),
    })
}

/// Places on the earth and in hierarchies.
fn apart(hasher: &KeyHasher, predicate: &Predicate) -> Test {
    match predicate {
        Predicate::Hierarchy {
            param,
            parent,
            root,
            below,
        } => Test::Hierarchy {
            p: number(*param),
            parent: number(*parent),
            v: hasher.form(root),
            below: *below,
        },
        Predicate::Near { param, around } => Test::Near {
            p: number(*param),
            around: *around,
        },
        // The others lead into groups and never come here.
        _ => Test::Nothing,
    }
}

/// The key that says of a resource what the scope of a composite says of one of its tuples.
fn within(hasher: &KeyHasher, param: ParamId, unit: &KeyForm) -> Option<(i64, i64)> {
    let param = known(param).ok()?;
    let first = param.components.first()?;
    let token = Definitions::r4().search_param(param.ty, first.code)?;
    // Two tokens and a range would be a scope within a scope.
    let [_, _] = param.components else {
        return None;
    };
    let scope = match unit {
        KeyForm::Pair(scope, _) => scope,
        scope => scope,
    };
    (token.kind == ParamKind::Token && first.kind == ParamKind::Token)
        .then(|| (number(token.id), hasher.form(scope)))
}

/// A union's parts lie within keys of two parameters, `code` and `component-code`: both within those of a
/// third, `combo-code`, where there is one.
fn within_one(any_of: &mut [Test]) {
    let mut keys = any_of.iter().filter_map(|test| match test {
        Test::Range { within, .. } => *within,
        _ => None,
    });
    let (Some(first), Some(other)) = (
        keys.next(),
        keys.find(|(p, _)| {
            any_of.first().is_some_and(
                |test| !matches!(test, Test::Range { within: Some((of, _)), .. } if of == p),
            )
        }),
    ) else {
        return;
    };
    let params = [first.0, other.0].map(|p| {
        let id = u16::try_from(p).ok()?;
        Definitions::r4().search_param_by_id(ParamId(id))
    });
    let [Some(own), Some(part)] = params else {
        return;
    };
    if part.code.strip_prefix("component-") != Some(own.code) {
        return;
    }
    let Some(both) = Definitions::r4().search_param(own.ty, &format!("combo-{}", own.code)) else {
        return;
    };
    let of = [number(own.id), number(part.id)];
    for test in any_of {
        if let Test::Range {
            within: Some((p, _)),
            ..
        } = test
            && of.contains(p)
        {
            *p = number(both.id);
        }
    }
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

/// A text is the only one that begins with it and comes before it followed by the least character.
fn text_is(param: ParamId, folded: &str) -> Result<Test, StoreError> {
    if cut_text(folded).len() < folded.len() {
        return Err(StoreError::Unsupported(
            "texts that are longer than the index keeps",
        ));
    }
    Ok(Test::TextPrefix {
        p: number(param),
        from: folded.to_owned(),
        to: Some(format!("{folded}\u{1}")),
    })
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
pub(super) fn patient_type() -> Result<TypeId, StoreError> {
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

    fn plan(all_of: Vec<Clause>) -> SearchPlan {
        SearchPlan {
            types: vec![TypeId(1)],
            all_of,
            sort: Vec::new(),
            count: 10,
            bytes: usize::MAX,
            rows: u64::MAX,
            after: None,
            total: crate::port::search::Total::None,
        }
    }

    #[test]
    fn composites_with_a_range_lie_within_the_keys_of_their_code() {
        use fhir::search::{Modifier, parse_query_value};
        let definitions = Definitions::r4();
        let hasher = KeyHasher::new([7; 192]);
        let mut found = std::collections::BTreeSet::new();
        for param in definitions
            .resource_types()
            .flat_map(|ty| definitions.search_params(ty))
        {
            let quantity = |kind| matches!(kind, ParamKind::Quantity | ParamKind::Date);
            let [_, second] = param.components else {
                continue;
            };
            if param.kind != ParamKind::Composite || !quantity(second.kind) {
                continue;
            }
            let value = match second.kind {
                ParamKind::Quantity => "urn:x|c$gt5||mg",
                _ => "urn:x|c$ge2026",
            };
            let now = kernel::Timestamp::from_millis(0);
            let value = parse_query_value(param, Modifier::None, value, now).unwrap();
            let any_of = crate::index::predicate(param, &value).unwrap();
            let mut plan = plan(vec![Clause {
                negated: false,
                any_of,
            }]);
            plan.types = vec![param.ty];
            let query = Query::new(&hasher, &plan).unwrap();
            let Some((p, v)) = query.clauses()[0].key_within() else {
                found.insert(format!("{} within none", param.code));
                continue;
            };
            let form = KeyForm::SystemCode("urn:x".to_owned(), "c".to_owned());
            assert_eq!(v, hasher.form(&form), "{}", param.code);
            let key = definitions.search_param_by_id(ParamId(p as u16)).unwrap();
            assert_eq!(key.ty, param.ty);
            found.insert(format!("{} within {}", param.code, key.code));
        }
        let found: Vec<String> = found.into_iter().collect();
        insta::assert_snapshot!(found.join("\n"), @r"
        code-value-date within code
        code-value-quantity within code
        combo-code-value-quantity within combo-code
        component-code-value-quantity within component-code
        context-type-quantity within context-type
        ");
    }

    #[test]
    fn nesting_and_breadth_have_bounds() {
        let hasher = KeyHasher::new([7; 192]);
        let clause = |predicate| Clause {
            negated: false,
            any_of: vec![predicate],
        };
        let nested = |depth: usize| {
            let mut inner = clause(Predicate::Nothing);
            for _ in 0..depth {
                inner = clause(Predicate::All(vec![inner]));
            }
            Query::new(&hasher, &plan(vec![inner]))
        };
        assert!(nested(MAX_DEPTH).is_ok());
        assert!(matches!(nested(MAX_DEPTH + 1), Err(StoreError::TooCostly)));
        let broad = |count: usize| {
            let targets = (0..count)
                .map(|_| (TypeId(1), vec![clause(Predicate::Nothing)]))
                .collect();
            let chain = Predicate::Chain {
                param: ParamId(1),
                targets,
            };
            Query::new(&hasher, &plan(vec![clause(chain)]))
        };
        assert!(broad(100).is_ok());
        assert!(matches!(broad(MAX_GROUPS), Err(StoreError::TooCostly)));
    }
}
