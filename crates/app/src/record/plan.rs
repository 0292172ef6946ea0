//! From query parameters to a plan. Repeats are AND, commas are OR. What is unknown, malformed or not
//! offered is an error; only under lenient handling it is left out, and named in the answer.

use fhir::definitions::TypeId;
use fhir::search::{
    Modifier, ParamKind, QueryValue, SearchError, SearchParam, parse_query_value,
    split_alternatives,
};
use kernel::{LogicalId, Timestamp};
use store::{Clause, Position, Predicate, RangeOp, SearchPlan, Sort, SortKey, Total};

use crate::App;
use crate::context::Caller;
use crate::error::QueryError;
use crate::record::cursor::{self, Binding};
use crate::record::project::{Projection, Summary};

/// The parameter that carries a page's cursor.
pub const CURSOR: &str = "_cursor";

/// Parameters of the search itself that R4 has and this server does not offer.
const NOT_OFFERED: &[&str] = &[
    "_include",
    "_revinclude",
    "_has",
    "_contained",
    "_containedType",
    "_list",
    "_filter",
    "_text",
    "_content",
    "_query",
    "_type",
    "_score",
    "near",
];

/// What is asked for.
pub(crate) struct Request<'a> {
    pub ty: TypeId,
    pub params: &'a [(String, String)],
    pub lenient: bool,
}

/// A plan and how to present its matches.
#[derive(Debug)]
pub(crate) struct Planned {
    pub plan: SearchPlan,
    pub projection: Projection,
    /// Parameters left out under lenient handling.
    pub ignored: Vec<String>,
    /// What was understood, for the self link; without cursor and `_format`.
    pub applied: Vec<(String, String)>,
    pub binding: Binding,
}

/// Plans a search.
pub(crate) fn plan(
    app: &App,
    caller: &Caller,
    request: &Request<'_>,
) -> Result<Planned, QueryError> {
    let limits = &app.settings().limits;
    if request.params.len() > limits.clauses {
        return Err(QueryError::TooMany {
            detail: format!(
                "the search has {} parameters, the limit is {}: split it",
                request.params.len(),
                limits.clauses
            ),
        });
    }
    let mut planner = Planner {
        app,
        base: &caller.context.base,
        ty: request.ty,
        now: caller.context.received,
        plan: SearchPlan {
            types: vec![request.ty],
            all_of: Vec::new(),
            sort: vec![Sort {
                key: SortKey::Row,
                descending: true,
            }],
            count: limits.page_default,
            bytes: limits.answer_bytes,
            after: None,
            total: Total::None,
        },
        projection: Projection::default(),
        cursor: None,
    };
    let mut ignored = Vec::new();
    let mut applied = Vec::new();
    for (name, value) in request.params {
        match planner.parameter(name, value) {
            Ok(Kind::Applied) => applied.push((name.clone(), value.clone())),
            Ok(Kind::Transport) => {}
            Err(QueryError::TooMany { detail }) => return Err(QueryError::TooMany { detail }),
            Err(_) if request.lenient => ignored.push(name.clone()),
            Err(error) => return Err(error),
        }
    }
    planner.finish(caller, ignored, applied)
}

enum Kind {
    Applied,
    Transport,
}

struct Planner<'a> {
    app: &'a App,
    base: &'a str,
    ty: TypeId,
    now: Timestamp,
    plan: SearchPlan,
    projection: Projection,
    cursor: Option<String>,
}

fn malformed(name: &str, detail: impl Into<String>) -> QueryError {
    QueryError::Malformed {
        name: name.to_owned(),
        detail: detail.into(),
    }
}

fn not_offered(name: &str) -> QueryError {
    QueryError::NotOffered {
        name: name.to_owned(),
    }
}

impl Planner<'_> {
    fn finish(
        mut self,
        caller: &Caller,
        ignored: Vec<String>,
        applied: Vec<(String, String)>,
    ) -> Result<Planned, QueryError> {
        if self.projection.summary == Summary::Count {
            self.plan.count = 0;
        }
        if self.plan.count == 0 {
            self.plan.total = Total::Accurate;
        }
        let pairs = applied.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        let binding = Binding::new(
            "search",
            self.app.definitions().resource_name(self.ty),
            pairs,
        );
        if let Some(cursor) = &self.cursor {
            let position: Position =
                cursor::open(self.app.settings(), caller.scope.tenant(), &binding, cursor)?;
            self.plan.after = Some(position);
        }
        Ok(Planned {
            plan: self.plan,
            projection: self.projection,
            ignored,
            applied,
            binding,
        })
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<Kind, QueryError> {
        match name {
            "_format" | "_pretty" => return Ok(Kind::Transport),
            CURSOR => {
                self.cursor = Some(value.to_owned());
                return Ok(Kind::Transport);
            }
            "_count" => self.count(value)?,
            "_sort" => self.sort(value)?,
            "_total" => {
                self.plan.total = match value {
                    "none" => Total::None,
                    "accurate" | "estimate" => Total::Accurate,
                    _ => return Err(malformed(name, "give none, estimate or accurate")),
                }
            }
            "_summary" => self.projection.summary = Summary::parse(value)?,
            "_elements" => self.projection.set_elements(value)?,
            _ => {
                let clause = self.clause(name, value)?;
                self.plan.all_of.push(clause);
            }
        }
        Ok(Kind::Applied)
    }

    fn count(&mut self, value: &str) -> Result<(), QueryError> {
        let most = self.app.settings().limits.page_max;
        self.plan.count = parse_count(value, most)?;
        Ok(())
    }

    fn sort(&mut self, value: &str) -> Result<(), QueryError> {
        if value.contains(',') {
            return Err(not_offered("_sort by more than one key"));
        }
        let (descending, code) = match value.strip_prefix('-') {
            Some(code) => (true, code),
            None => (false, value),
        };
        let key = match code {
            "_lastUpdated" => SortKey::Updated,
            "_id" => SortKey::Id,
            code => {
                let param = self.param(code)?;
                match param.kind {
                    ParamKind::Date | ParamKind::Number | ParamKind::Quantity => {
                        SortKey::Range(param.id)
                    }
                    ParamKind::String => SortKey::Text(param.id),
                    kind => {
                        return Err(not_offered(&format!(
                            "_sort by the {} parameter {code}",
                            kind.code()
                        )));
                    }
                }
            }
        };
        self.plan.sort = vec![Sort { key, descending }];
        Ok(())
    }

    fn param(&self, code: &str) -> Result<&'static SearchParam, QueryError> {
        let definitions = self.app.definitions();
        definitions
            .search_param(self.ty, code)
            .ok_or_else(|| QueryError::Unknown {
                resource: definitions.resource_name(self.ty).to_owned(),
                name: code.chars().take(80).collect(),
            })
    }

    fn clause(&self, name: &str, value: &str) -> Result<Clause, QueryError> {
        let (code, suffix) = name.split_once(':').unwrap_or((name, ""));
        if NOT_OFFERED.contains(&code) {
            return Err(not_offered(code));
        }
        if name.contains('.') {
            // A chain; one on an unknown parameter is reported as unknown.
            self.param(code.split('.').next().unwrap_or(code))?;
            return Err(not_offered(&format!("chaining ({name})")));
        }
        let param = self.param(code)?;
        let modifier = Modifier::parse(self.app.definitions(), suffix)
            .ok_or_else(|| malformed(name, format!("there is no modifier :{suffix}")))?;
        let parts = split_alternatives(value);
        if parts.len() > self.app.settings().limits.alternatives {
            return Err(QueryError::TooMany {
                detail: format!(
                    "{code} has {} values, the limit is {}: split the search",
                    parts.len(),
                    self.app.settings().limits.alternatives
                ),
            });
        }
        match code {
            "_id" => ids(name, modifier, &parts),
            "_lastUpdated" => self.updated(param, modifier, &parts),
            _ => self.values(param, modifier, &parts),
        }
    }

    fn values(
        &self,
        param: &SearchParam,
        modifier: Modifier,
        parts: &[&str],
    ) -> Result<Clause, QueryError> {
        let mut clause = Clause {
            negated: false,
            any_of: Vec::with_capacity(parts.len()),
        };
        for part in parts {
            let value = self.value(param, modifier, part)?;
            if let QueryValue::Token { negated: true, .. } = value {
                clause.negated = true;
            }
            let predicates = store::index::predicate(param, &value)
                .map_err(|error| not_offered(&format!("{} ({error})", param.code)))?;
            clause.any_of.extend(predicates);
        }
        Ok(clause)
    }

    fn value(
        &self,
        param: &SearchParam,
        modifier: Modifier,
        part: &str,
    ) -> Result<QueryValue, QueryError> {
        // References may be written with this server's own address.
        let part = match part.strip_prefix(self.base) {
            Some(rest) if param.kind == ParamKind::Reference => {
                rest.strip_prefix('/').unwrap_or(part)
            }
            _ => part,
        };
        parse_query_value(param, modifier, part, self.now).map_err(|error| match error {
            SearchError::NotOffered { code } => not_offered(code),
            SearchError::Modifier { .. } | SearchError::Malformed { .. } => {
                malformed(param.code, error.to_string())
            }
        })
    }

    fn updated(
        &self,
        param: &SearchParam,
        modifier: Modifier,
        parts: &[&str],
    ) -> Result<Clause, QueryError> {
        if modifier != Modifier::None {
            return Err(not_offered(&format!("_lastUpdated:{}", modifier.as_str())));
        }
        let mut any_of = Vec::new();
        for part in parts {
            let QueryValue::Range { prefix, lo, hi } = self.value(param, modifier, part)? else {
                return Err(malformed("_lastUpdated", "give a date"));
            };
            any_of.push(Predicate::Updated {
                op: range_op(prefix),
                // Half-open microseconds to inclusive milliseconds.
                lo_ms: lo.saturating_add(999).div_euclid(1000),
                hi_ms: hi.saturating_sub(1).div_euclid(1000),
            });
        }
        Ok(Clause {
            negated: false,
            any_of,
        })
    }
}

fn ids(name: &str, modifier: Modifier, parts: &[&str]) -> Result<Clause, QueryError> {
    let negated = match modifier {
        Modifier::None => false,
        Modifier::Not => true,
        _ => return Err(not_offered(name)),
    };
    let any_of: Result<Vec<Predicate>, QueryError> = parts
        .iter()
        .map(|part| {
            part.parse::<LogicalId>()
                .map(Predicate::Id)
                .map_err(|error| malformed("_id", error.to_string()))
        })
        .collect();
    Ok(Clause {
        negated,
        any_of: any_of?,
    })
}

fn range_op(prefix: fhir::search::Prefix) -> RangeOp {
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

/// Reads `_count`: a whole number; a greater one than `most` is cut to it.
pub(crate) fn parse_count(value: &str, most: u32) -> Result<u32, QueryError> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || value.len() > 12 {
        return Err(malformed(
            "_count",
            "give a whole number from 0, of at most 12 digits",
        ));
    }
    let number: u64 = value.parse().unwrap_or(u64::MAX);
    Ok(u32::try_from(number).unwrap_or(u32::MAX).min(most))
}
