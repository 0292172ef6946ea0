//! From one search parameter to one clause: plain parameters with their modifiers, chains, `_has`,
//! `_list`, full text. What a caller may not search is closed off at every level, so that no chain tells
//! what a search of its own would not. Must not know of paging, sorting or presentation.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use fhir::definitions::{Definitions, TypeId};
use fhir::search::{
    ConceptQuery, Modifier, ParamKind, QueryValue, SearchError, SearchParam, TokenQuery,
    parse_query_value, split_alternatives, unescape,
};
use fhir::terminology::{Codes, Terminology};
use kernel::{LogicalId, Timestamp};
use store::{Clause, KeyForm, Predicate, RangeOp, WordScope};

use crate::App;
use crate::context::Caller;
use crate::error::QueryError;
use crate::record::narrow::{self, Reach};
use crate::record::words::{self, Bounds};
use crate::search_parameters::{self, Found};

/// Parameters of R4 that this server does not offer as clauses.
const NOT_OFFERED: &[&str] = &["_query", "_score"];

pub(crate) fn malformed(name: &str, detail: impl Into<String>) -> QueryError {
    QueryError::Malformed {
        name: cut(name),
        detail: detail.into(),
    }
}

pub(crate) fn not_offered(name: &str) -> QueryError {
    QueryError::NotOffered { name: cut(name) }
}

pub(crate) fn too_many(detail: String) -> QueryError {
    QueryError::TooMany { detail }
}

/// A name as errors show it.
pub(crate) fn cut(name: &str) -> String {
    name.chars().take(80).collect()
}

/// One clause that is not negated.
pub(crate) fn any_of(any_of: Vec<Predicate>) -> Clause {
    Clause {
        negated: false,
        any_of,
    }
}

/// What clauses are made with.
pub(crate) struct Clauses<'a> {
    pub app: &'a App,
    pub caller: &'a Caller,
    pub terminology: Arc<dyn Terminology>,
    /// Whether nothing is closed off: for a plan that is explained, not run.
    pub open: bool,
    /// Types that chains lead to so far.
    steps: Cell<usize>,
    /// Types tried for it.
    tried: Cell<usize>,
    /// Parameters of the tenant's own that were asked for.
    own: RefCell<Vec<&'static SearchParam>>,
}

/// Types that may be tried for each that a chain may lead to.
const TRIES: usize = 50;

impl<'a> Clauses<'a> {
    pub(crate) fn new(app: &'a App, caller: &'a Caller, terminology: Arc<dyn Terminology>) -> Self {
        Self {
            app,
            caller,
            terminology,
            open: false,
            steps: Cell::new(0),
            tried: Cell::new(0),
            own: RefCell::default(),
        }
    }

    /// The parameters of the tenant's own that were asked for, each once.
    pub(crate) fn own(&self) -> Vec<&'static SearchParam> {
        self.own.take()
    }

    fn now(&self) -> Timestamp {
        self.caller.context.received
    }

    /// The parameter of a type.
    pub(crate) fn param(&self, ty: TypeId, code: &str) -> Result<&'static SearchParam, QueryError> {
        let definitions = self.app.definitions();
        if let Some(param) = definitions.search_param(ty, code) {
            return Ok(param);
        }
        // Those of the tenant's own; one that is being built would miss what it has not come to.
        match search_parameters::last_known(self.app, self.caller.scope.tenant()).find(ty, code) {
            Some(Found::Ready(param)) => {
                let mut own = self.own.borrow_mut();
                if own.iter().all(|known| known.id != param.id) {
                    own.push(param);
                }
                Ok(param)
            }
            Some(Found::Building) => Err(not_offered(&format!("{code}, which is being built,"))),
            None => Err(QueryError::Unknown {
                resource: definitions.resource_name(ty).to_owned(),
                name: cut(code),
            }),
        }
    }

    /// Refuses what depends on rows that the index may lack, as long as it is not built by this release.
    pub(crate) fn index_is_whole(&self, name: &str) -> Result<(), QueryError> {
        let known = search_parameters::last_known(self.app, self.caller.scope.tenant());
        if known.is_whole() {
            return Ok(());
        }
        Err(QueryError::NotReady { name: cut(name) })
    }

    /// The clauses that close off what the caller may not search of a type.
    ///
    /// # Errors
    /// [`QueryError::Denied`] where the caller may search nothing of it.
    pub(crate) fn policy(&self, ty: TypeId) -> Result<Option<Clause>, QueryError> {
        if self.open {
            return Ok(None);
        }
        match narrow::reach(self.app, self.caller, ty) {
            Reach::All => Ok(None),
            Reach::Within(clause) => Ok(Some(clause)),
            Reach::Nothing => Err(QueryError::Denied {
                resource: self.app.definitions().resource_name(ty).to_owned(),
            }),
        }
    }

    /// The clause of a parameter of a search of one type, or at one level of a chain (`depth` from 0).
    pub(crate) fn clause(
        &self,
        ty: TypeId,
        name: &str,
        value: &str,
        depth: usize,
    ) -> Result<Clause, QueryError> {
        self.check_depth(name, depth)?;
        if let Some(rest) = name.strip_prefix("_has:") {
            return self.has(ty, rest, value, depth);
        }
        if let Some((head, rest)) = name.split_once('.') {
            return self.chain(ty, head, name, &mut |target| {
                self.clause(target, rest, value, depth + 1)
                    .map(|clause| vec![clause])
            });
        }
        let (code, suffix) = name.split_once(':').unwrap_or((name, ""));
        if NOT_OFFERED.contains(&code) {
            return Err(not_offered(code));
        }
        match name {
            "_list" => return self.list(value),
            "_text" | "_content" => {
                self.index_is_whole(name)?;
                let narrative = name == "_text";
                let scope = if narrative {
                    WordScope::Narrative
                } else {
                    WordScope::Content
                };
                return self.words(name, scope, value);
            }
            "_filter" => return super::filter::clause(self, ty, value, depth),
            _ => {}
        }
        let param = self.param(ty, code)?;
        let modifier = Modifier::parse(self.app.definitions(), suffix)
            .ok_or_else(|| malformed(name, format!("there is no modifier :{}", cut(suffix))))?;
        let parts = split_alternatives(value);
        self.check_alternatives(code, parts.len())?;
        match code {
            "_id" => ids(name, param, modifier, &parts),
            "_lastUpdated" => self.updated(param, modifier, &parts),
            _ => self.values(param, modifier, &parts),
        }
    }

    /// The clause of a parameter of a search of several types: each must have it.
    pub(crate) fn clause_of_all(
        &self,
        types: &[TypeId],
        name: &str,
        value: &str,
    ) -> Result<Clause, QueryError> {
        let [first, others @ ..] = types else {
            return Ok(any_of(vec![Predicate::Nothing]));
        };
        let mut whole = self.clause(*first, name, value, 0)?;
        let code = name.split_once(':').map_or(name, |(code, _)| code);
        if code == "_filter" {
            // A condition that something is not so holds for every other type: each type by itself.
            let mut each = vec![self.of_type(*first, whole)?];
            for ty in others {
                each.push(self.of_type(*ty, self.clause(*ty, name, value, 0)?)?);
            }
            return Ok(any_of(each));
        }
        let is_missing = name.ends_with(":missing");
        // These name no parameter of a type.
        if !is_missing
            && matches!(
                code,
                "_list" | "_text" | "_content" | "_lastUpdated" | "_id"
            )
        {
            return Ok(whole);
        }
        for ty in others {
            let clause = self.clause(*ty, name, value, 0)?;
            whole.any_of.extend(clause.any_of);
        }
        Ok(whole)
    }

    /// Is of a type, and a clause holds.
    pub(crate) fn of_type(&self, ty: TypeId, clause: Clause) -> Result<Predicate, QueryError> {
        Ok(Predicate::All(vec![any_of(vec![self.is_of(ty)?]), clause]))
    }

    /// Is of a type: everything has an id.
    pub(crate) fn is_of(&self, ty: TypeId) -> Result<Predicate, QueryError> {
        Ok(Predicate::Missing {
            param: self.param(ty, "_id")?.id,
            missing: false,
        })
    }

    fn check_depth(&self, name: &str, depth: usize) -> Result<(), QueryError> {
        let most = self.app.settings().limits.chain_depth;
        if depth > most {
            return Err(too_many(format!(
                "{} follows more than {most} references: search in several steps",
                cut(name)
            )));
        }
        Ok(())
    }

    fn check_alternatives(&self, code: &str, count: usize) -> Result<(), QueryError> {
        let most = self.app.settings().limits.alternatives;
        if count > most {
            return Err(too_many(format!(
                "{code} has {count} values, the limit is {most}: split the search"
            )));
        }
        Ok(())
    }

    /// Counts one more type, led to or only tried.
    fn step(&self, name: &str, count: &Cell<usize>, most: usize) -> Result<(), QueryError> {
        let steps = count.get() + 1;
        count.set(steps);
        if steps > most {
            return Err(too_many(format!(
                "{} may point to too many types (the limit is {} in one search): name the types, as in subject:Patient",
                cut(name),
                self.app.settings().limits.chain_steps
            )));
        }
        Ok(())
    }

    /// A chain over a reference parameter; `head` is `code` or `code:Type`, `inner` makes what must hold
    /// at a target, or fails with [`QueryError::Unknown`] where that type has no such parameter.
    pub(crate) fn chain(
        &self,
        ty: TypeId,
        head: &str,
        name: &str,
        inner: &mut dyn FnMut(TypeId) -> Result<Vec<Clause>, QueryError>,
    ) -> Result<Clause, QueryError> {
        let (code, typed) = match head.split_once(':') {
            Some((code, typed)) => (code, Some(typed)),
            None => (head, None),
        };
        let param = self.param(ty, code)?;
        if param.kind != ParamKind::Reference {
            return Err(malformed(
                name,
                format!(
                    "{code} is a {} parameter, and only references can be followed",
                    param.kind.code()
                ),
            ));
        }
        let mut targets = Vec::new();
        let mut missed = None;
        let most = self.app.settings().limits.chain_steps;
        for target in self.chained_types(param, name, typed)? {
            self.step(name, &self.tried, most.saturating_mul(TRIES))?;
            let found = self.policy(target).and_then(|policy| {
                let mut clauses = inner(target)?;
                clauses.extend(policy);
                Ok(clauses)
            });
            match found {
                Ok(clauses) => {
                    self.step(name, &self.steps, most)?;
                    targets.push((target, clauses));
                }
                Err(error @ QueryError::TooMany { .. }) => return Err(error),
                Err(error) if typed.is_some() => return Err(error),
                // Another target may have the parameter, take the value, or be one the caller may search.
                Err(error) => {
                    if missed
                        .as_ref()
                        .is_none_or(|known| weight(known) < weight(&error))
                    {
                        missed = Some(error);
                    }
                }
            }
        }
        if targets.is_empty() {
            return Err(missed.unwrap_or_else(|| malformed(name, "it points to nothing")));
        }
        Ok(any_of(vec![Predicate::Chain {
            param: param.id,
            targets,
        }]))
    }

    fn chained_types(
        &self,
        param: &SearchParam,
        name: &str,
        typed: Option<&str>,
    ) -> Result<Vec<TypeId>, QueryError> {
        let definitions = self.app.definitions();
        let Some(typed) = typed else {
            return Ok(if param.targets.is_empty() {
                definitions.resource_types().collect()
            } else {
                param.targets.to_vec()
            });
        };
        let target = definitions
            .resource(typed)
            .ok_or_else(|| malformed(name, format!("there is no type {}", cut(typed))))?;
        if !points_to(param, target) {
            return Err(malformed(
                name,
                format!("{} does not point to {typed}", param.code),
            ));
        }
        Ok(vec![target])
    }

    fn has(&self, ty: TypeId, rest: &str, value: &str, depth: usize) -> Result<Clause, QueryError> {
        const FORM: &str =
            "write _has:Type:reference:parameter, as in _has:Observation:patient:code";
        let definitions = self.app.definitions();
        let name = format!("_has:{rest}");
        let mut parts = rest.splitn(3, ':');
        let (Some(source), Some(code), Some(inner)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed(&name, FORM));
        };
        let source = definitions
            .resource(source)
            .ok_or_else(|| malformed(&name, FORM))?;
        let param = self.param(source, code)?;
        if param.kind != ParamKind::Reference || !points_to(param, ty) {
            return Err(malformed(
                &name,
                format!(
                    "{code} of {} does not point to {}",
                    definitions.resource_name(source),
                    definitions.resource_name(ty)
                ),
            ));
        }
        self.step(&name, &self.steps, self.app.settings().limits.chain_steps)?;
        let policy = self.policy(source)?;
        let mut all_of = vec![self.clause(source, inner, value, depth + 1)?];
        all_of.extend(policy);
        Ok(any_of(vec![Predicate::Has {
            ty: source,
            param: param.id,
            all_of,
        }]))
    }

    fn list(&self, value: &str) -> Result<Clause, QueryError> {
        let definitions = self.app.definitions();
        let parts = split_alternatives(value);
        self.check_alternatives("_list", parts.len())?;
        if parts.iter().any(|part| part.starts_with('$')) {
            return Err(not_offered(
                "_list by a functional list (it names none of this server's)",
            ));
        }
        let list = definitions
            .resource("List")
            .ok_or_else(|| not_offered("_list"))?;
        let item = self.param(list, "item")?;
        let ids: Result<Vec<Predicate>, QueryError> = parts
            .iter()
            .map(|part| part.strip_prefix("List/").unwrap_or(part))
            .map(|id| id_of("_list", id))
            .collect();
        let mut all_of = vec![any_of(ids?)];
        all_of.extend(self.policy(list)?);
        Ok(any_of(vec![Predicate::Has {
            ty: list,
            param: item.id,
            all_of,
        }]))
    }

    fn words(&self, name: &str, scope: WordScope, value: &str) -> Result<Clause, QueryError> {
        let limits = &self.app.settings().limits;
        let bounds = Bounds {
            depth: limits.filter_depth,
            tests: limits.filter_tests,
        };
        let parts = split_alternatives(value);
        self.check_alternatives(name, parts.len())?;
        let mut found = Vec::with_capacity(parts.len());
        for part in parts {
            let text = unescape(part).ok_or_else(|| {
                malformed(name, "a backslash escapes only ',', '$', '|' and itself")
            })?;
            found.push(words::predicate(name, scope, &text, bounds)?);
        }
        Ok(any_of(found))
    }

    /// The clause of values of one parameter.
    pub(crate) fn values(
        &self,
        param: &SearchParam,
        modifier: Modifier,
        parts: &[&str],
    ) -> Result<Clause, QueryError> {
        if param.kind == ParamKind::Reference
            && matches!(modifier, Modifier::Above | Modifier::Below)
        {
            return self.hierarchy(param, modifier, parts);
        }
        let mut clause = Clause {
            negated: modifier.negates(),
            any_of: Vec::with_capacity(parts.len()),
        };
        for part in parts {
            let value = self.value(param, modifier, part)?;
            clause.any_of.extend(self.predicates(param, value)?);
        }
        Ok(clause)
    }

    /// What refers to a resource or to what is above or below it: its type says by a reference to itself
    /// what a resource is part of.
    fn hierarchy(
        &self,
        param: &SearchParam,
        modifier: Modifier,
        parts: &[&str],
    ) -> Result<Clause, QueryError> {
        let name = format!("{}:{}", param.code, modifier.as_str());
        let mut found = Vec::new();
        for part in parts {
            let QueryValue::Hierarchy { types, id, below } = self.value(param, modifier, part)?
            else {
                return Err(malformed(
                    &name,
                    "give Type/id of a resource of this server",
                ));
            };
            let id: LogicalId = id
                .parse()
                .map_err(|_| malformed(&name, "give Type/id of a resource of this server"))?;
            let mut layered = 0;
            for ty in types {
                let Some(parent) = parent_of(self.app.definitions(), ty) else {
                    continue;
                };
                layered += 1;
                // What is in between would tell of what the caller may not see.
                if self.policy(ty)?.is_some() {
                    return Err(not_offered(&format!(
                        "{name}, which depends on resources that you may not see,"
                    )));
                }
                found.push(Predicate::Hierarchy {
                    param: param.id,
                    parent: parent.id,
                    root: KeyForm::Local(ty, id.clone()),
                    below,
                });
            }
            if layered == 0 {
                return Err(not_offered(&format!(
                    "{name} of what is part of nothing of its own type"
                )));
            }
        }
        Ok(any_of(found))
    }

    /// The predicates of one value: any of them is a match.
    pub(crate) fn predicates(
        &self,
        param: &SearchParam,
        value: QueryValue,
    ) -> Result<Vec<Predicate>, QueryError> {
        let values = match value {
            QueryValue::Concepts(concepts) => self.resolved(param, &concepts)?,
            value => vec![value],
        };
        let mut predicates = Vec::with_capacity(values.len());
        for value in values {
            predicates.extend(
                store::index::predicate(param, &value)
                    .map_err(|error| not_offered(&format!("{} ({error})", param.code)))?,
            );
        }
        Ok(predicates)
    }

    /// The codes that a set or a branch of a hierarchy stands for. What terminology does not know is an
    /// error: nobody may take it for a set without codes.
    fn resolved(
        &self,
        param: &SearchParam,
        concepts: &ConceptQuery,
    ) -> Result<Vec<QueryValue>, QueryError> {
        let most = self.app.settings().limits.concepts;
        let (found, what) = match concepts {
            ConceptQuery::ValueSet(url) => (
                self.terminology.codes_of(url, most),
                format!("value set {}", cut(url)),
            ),
            ConceptQuery::Below { system, code } => (
                self.terminology.descendants(system, code, most),
                format!("{}|{}", cut(system), cut(code)),
            ),
            ConceptQuery::Above { system, code } => (
                self.terminology.ancestors(system, code, most),
                format!("{}|{}", cut(system), cut(code)),
            ),
        };
        match found {
            Codes::Known(codes) => Ok(codes
                .into_iter()
                .map(|known| QueryValue::Token {
                    token: TokenQuery::SystemCode {
                        system: known.system.as_ref().to_owned(),
                        code: known.code.into_string(),
                    },
                    negated: false,
                })
                .collect()),
            Codes::TooMany => Err(too_many(format!(
                "{what} has more than {most} codes: narrow it"
            ))),
            Codes::Unknown => Err(QueryError::Terminology {
                name: param.code.to_owned(),
                what,
            }),
        }
    }

    /// Reads one value.
    pub(crate) fn value(
        &self,
        param: &SearchParam,
        modifier: Modifier,
        part: &str,
    ) -> Result<QueryValue, QueryError> {
        let late = match modifier {
            Modifier::Text | Modifier::CodeText | Modifier::OfType => true,
            Modifier::Above | Modifier::Below => param.kind == ParamKind::Uri,
            _ => false,
        };
        if param.code == "near" {
            self.index_is_whole("near")?;
        }
        if late {
            self.index_is_whole(&format!("{}:{}", param.code, modifier.as_str()))?;
        }
        // References may be written with this server's own address.
        let part = match part.strip_prefix(&*self.caller.context.base) {
            Some(rest) if param.kind == ParamKind::Reference => {
                rest.strip_prefix('/').unwrap_or(part)
            }
            _ => part,
        };
        parse_query_value(param, modifier, part, self.now()).map_err(|error| match error {
            SearchError::NotOffered { code } => not_offered(code),
            SearchError::Modifier { .. } | SearchError::Malformed { .. } => {
                malformed(param.code, error.to_string())
            }
        })
    }

    /// The clause of `_lastUpdated`.
    pub(crate) fn updated(
        &self,
        param: &SearchParam,
        modifier: Modifier,
        parts: &[&str],
    ) -> Result<Clause, QueryError> {
        if modifier == Modifier::Missing {
            return self.values(param, modifier, parts);
        }
        if modifier != Modifier::None {
            return Err(not_offered(&format!("_lastUpdated:{}", modifier.as_str())));
        }
        let mut found = Vec::new();
        for part in parts {
            let QueryValue::Range { prefix, lo, hi } = self.value(param, modifier, part)? else {
                return Err(malformed("_lastUpdated", "give a date"));
            };
            found.push(updated(range_op(prefix), lo, hi));
        }
        Ok(any_of(found))
    }
}

/// Which of several errors says most about what was asked.
const fn weight(error: &QueryError) -> u8 {
    match error {
        QueryError::Unknown { .. } => 0,
        QueryError::Malformed { .. } | QueryError::NotOffered { .. } => 1,
        _ => 2,
    }
}

/// The parameter by which resources of a type say which one of their own they are part of.
fn parent_of(definitions: &Definitions, ty: TypeId) -> Option<&'static SearchParam> {
    let codes = ["partof", "part-of"].into_iter();
    codes
        .filter_map(|code| definitions.search_param(ty, code))
        .find(|param| param.kind == ParamKind::Reference && param.targets.contains(&ty))
}

/// Whether a reference parameter may point to a type.
pub(crate) fn points_to(param: &SearchParam, ty: TypeId) -> bool {
    param.targets.is_empty() || param.targets.contains(&ty)
}

/// `_lastUpdated` against half-open microseconds.
pub(crate) fn updated(op: RangeOp, lo: i64, hi: i64) -> Predicate {
    Predicate::Updated {
        op,
        // Half-open microseconds to inclusive milliseconds.
        lo_ms: lo.saturating_add(999).div_euclid(1000),
        hi_ms: hi.saturating_sub(1).div_euclid(1000),
    }
}

fn id_of(name: &str, id: &str) -> Result<Predicate, QueryError> {
    id.parse::<LogicalId>()
        .map(Predicate::Id)
        .map_err(|error| malformed(name, error.to_string()))
}

fn ids(
    name: &str,
    param: &SearchParam,
    modifier: Modifier,
    parts: &[&str],
) -> Result<Clause, QueryError> {
    let negated = match modifier {
        Modifier::None => false,
        Modifier::Not => true,
        Modifier::Missing => {
            return match parts {
                ["true"] => Ok(any_of(vec![Predicate::Nothing])),
                ["false"] => Ok(any_of(vec![Predicate::Missing {
                    param: param.id,
                    missing: false,
                }])),
                _ => Err(malformed(name, "give true or false")),
            };
        }
        _ => return Err(not_offered(name)),
    };
    let found: Result<Vec<Predicate>, QueryError> =
        parts.iter().map(|part| id_of("_id", part)).collect();
    Ok(Clause {
        negated,
        any_of: found?,
    })
}

/// The comparison of a prefix.
pub(crate) fn range_op(prefix: fhir::search::Prefix) -> RangeOp {
    use fhir::search::Prefix;
    match prefix {
        Prefix::Eq => RangeOp::Within,
        Prefix::Ne => RangeOp::NotWithin,
        Prefix::Gt => RangeOp::Above,
        Prefix::Lt => RangeOp::Below,
        Prefix::Ge => RangeOp::AboveOrWithin,
        Prefix::Le => RangeOp::BelowOrWithin,
        Prefix::Sa => RangeOp::After,
        Prefix::Eb => RangeOp::Before,
        Prefix::Ap => RangeOp::Overlaps,
    }
}
