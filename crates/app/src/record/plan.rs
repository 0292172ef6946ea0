//! From query parameters to a plan. Repeats are AND, commas are OR. What is unknown, malformed or not
//! offered is an error; only under lenient handling it is left out, and named in the answer. Nothing that
//! is refused to the caller, or too much, is ever left out silently.

use std::sync::Arc;

use fhir::definitions::TypeId;
use fhir::search::{ParamKind, SearchParam};
use fhir::terminology::{NoTerminology, Terminology};
use store::{Clause, Position, Predicate, SearchPlan, Sort, SortKey, Total};

use crate::App;
use crate::context::Caller;
use crate::error::{AppError, QueryError};
use crate::record::clauses::{Clauses, any_of, cut, malformed, not_offered, too_many};
use crate::record::cursor::{self, Binding};
use crate::record::include::Include;
use crate::record::narrow::{self, Reach};
use crate::record::place::{self, Place};
use crate::record::project::{Projection, Summary};

/// The parameter that carries a page's cursor.
pub const CURSOR: &str = "_cursor";

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
    /// What goes with the matches.
    pub includes: Vec<Include>,
    /// Parameters left out under lenient handling.
    pub ignored: Vec<String>,
    /// What was understood, for the self link; without cursor and `_format`.
    pub applied: Vec<(String, String)>,
    pub binding: Binding,
    /// Parameters of the tenant's own that it asks for.
    pub own: Vec<&'static SearchParam>,
}

/// Plans a search of one type, without what the caller's role adds to it. Value sets and hierarchies of
/// codes are not resolved here: conditions compare with codes.
pub(crate) fn plan(
    app: &App,
    caller: &Caller,
    request: &Request<'_>,
) -> Result<Planned, QueryError> {
    let asked = Asked {
        place: &Place::Type(request.ty),
        types: &[request.ty],
        params: request.params,
        lenient: request.lenient,
    };
    plan_in(Clauses::new(app, caller, Arc::new(NoTerminology)), &asked)
}

/// Plans a search of one type with nothing closed off: to be explained, never to be run.
pub(crate) async fn plan_open(
    app: &App,
    caller: &Caller,
    ty: TypeId,
    params: &[(String, String)],
) -> Result<Planned, AppError> {
    let mut clauses = Clauses::new(app, caller, terminology(app, caller, params).await?);
    clauses.open = true;
    let asked = Asked {
        place: &Place::Type(ty),
        types: &[ty],
        params,
        lenient: false,
    };
    Ok(plan_in(clauses, &asked)?)
}

/// A search as it is planned.
struct Asked<'a> {
    place: &'a Place,
    types: &'a [TypeId],
    params: &'a [(String, String)],
    lenient: bool,
}

/// Plans a search of a place: the types it looks at (those of `_type`, or all that the caller may search)
/// and what the caller's role leaves of them.
pub(crate) async fn plan_narrowed(
    app: &App,
    caller: &Caller,
    place: &Place,
    params: &[(String, String)],
    lenient: bool,
) -> Result<Planned, AppError> {
    let terminology = terminology(app, caller, params).await?;
    let types = types_of(app, caller, place, params)?;
    let asked = Asked {
        place,
        types: &types,
        params,
        lenient,
    };
    let own = Clauses::new(app, caller, terminology.clone());
    let mut planned = plan_in(own, &asked)?;
    let clauses = Clauses::new(app, caller, terminology);
    if let Place::Compartment { of, .. } = place {
        planned
            .plan
            .all_of
            .push(place::clause(&clauses, of, &types)?);
    }
    planned.plan.all_of.extend(narrowing(&clauses, &types)?);
    Ok(planned)
}

/// What knows the codes of value sets and hierarchies for a tenant; only where something asks for them.
async fn terminology(
    app: &App,
    caller: &Caller,
    params: &[(String, String)],
) -> Result<Arc<dyn Terminology>, AppError> {
    let asks = |name: &str| {
        let last = name.rsplit(':').next().unwrap_or_default();
        name.ends_with("_filter") || matches!(last, "in" | "not-in" | "above" | "below")
    };
    if params.iter().any(|(name, _)| asks(name)) {
        return Ok(app.terminology(&caller.scope).await?);
    }
    Ok(Arc::new(NoTerminology))
}

fn plan_in(clauses: Clauses<'_>, asked: &Asked<'_>) -> Result<Planned, QueryError> {
    let (app, caller) = (clauses.app, clauses.caller);
    let Asked { types, params, .. } = *asked;
    let limits = &app.settings().limits;
    if params.len() > limits.clauses {
        return Err(too_many(format!(
            "the search has {} parameters, the limit is {}: split it",
            params.len(),
            limits.clauses
        )));
    }
    let mut planner = Planner {
        app,
        clauses,
        place: asked.place,
        types,
        plan: SearchPlan {
            types: types.to_vec(),
            all_of: Vec::new(),
            sort: Vec::new(),
            count: limits.page_default,
            bytes: limits.answer_bytes,
            rows: limits.search_rows,
            after: None,
            total: Total::None,
        },
        projection: Projection::default(),
        includes: Vec::new(),
        cursor: None,
    };
    let mut ignored = Vec::new();
    let mut applied = Vec::new();
    for (name, value) in params {
        match planner.parameter(name, value) {
            Ok(Kind::Applied) => applied.push((name.clone(), value.clone())),
            Ok(Kind::Transport) => {}
            Err(error) if asked.lenient && error.may_be_ignored() => ignored.push(cut(name)),
            Err(error) => return Err(error),
        }
    }
    planner.finish(caller, ignored, applied)
}

/// The types a search looks at.
fn types_of(
    app: &App,
    caller: &Caller,
    place: &Place,
    params: &[(String, String)],
) -> Result<Vec<TypeId>, QueryError> {
    let may_search = |ty: &TypeId| narrow::reach(app, caller, *ty) != Reach::Nothing;
    let refused = |ty: TypeId| QueryError::Denied {
        resource: app.definitions().resource_name(ty).to_owned(),
    };
    let named = named_types(app, params)?;
    let all = match place {
        Place::Type(ty) => return Ok(vec![*ty]),
        Place::Compartment { of, ty } => {
            let types = place::types_of(of, *ty)?;
            if ty.is_some() {
                return Ok(types);
            }
            types
        }
        Place::System => app.definitions().resource_types().collect(),
    };
    let Some(named) = named else {
        // Without names: what may be searched.
        let types: Vec<TypeId> = all.iter().copied().filter(may_search).collect();
        return match (types.is_empty(), all.first()) {
            (true, Some(first)) => Err(refused(*first)),
            _ => Ok(types),
        };
    };
    for ty in &named {
        if !all.contains(ty) {
            return Err(malformed(
                "_type",
                format!(
                    "{} lies in no such compartment",
                    app.definitions().resource_name(*ty)
                ),
            ));
        }
        if !may_search(ty) {
            return Err(refused(*ty));
        }
    }
    Ok(named)
}

/// The types of `_type`, each once; `None` where it is not given.
fn named_types(app: &App, params: &[(String, String)]) -> Result<Option<Vec<TypeId>>, QueryError> {
    let mut found: Option<Vec<TypeId>> = None;
    for (_, value) in params.iter().filter(|(name, _)| name == "_type") {
        let mut types = Vec::new();
        for name in value.split(',') {
            let ty = app
                .definitions()
                .resource(name)
                .ok_or_else(|| malformed("_type", format!("there is no type {:?}", cut(name))))?;
            if !types.contains(&ty) {
                types.push(ty);
            }
        }
        found = Some(match found {
            None => types,
            Some(known) => known.into_iter().filter(|ty| types.contains(ty)).collect(),
        });
    }
    Ok(found)
}

/// What the caller's role leaves of the types: nothing to add where it leaves everything.
fn narrowing(clauses: &Clauses<'_>, types: &[TypeId]) -> Result<Option<Clause>, QueryError> {
    let (app, caller) = (clauses.app, clauses.caller);
    let mut groups: Vec<(Option<Clause>, Vec<TypeId>)> = Vec::new();
    for ty in types {
        let clause = match narrow::reach(app, caller, *ty) {
            Reach::All => None,
            Reach::Within(clause) => Some(clause),
            Reach::Nothing => Some(any_of(vec![Predicate::Nothing])),
        };
        match groups.iter_mut().find(|(known, _)| *known == clause) {
            Some((_, types)) => types.push(*ty),
            None => groups.push((clause, vec![*ty])),
        }
    }
    if let [(clause, _)] = groups.as_slice() {
        return Ok(clause.clone());
    }
    let mut each = Vec::new();
    for (clause, types) in groups {
        let own: Result<Vec<Predicate>, QueryError> =
            types.iter().map(|ty| clauses.is_of(*ty)).collect();
        match clause {
            None => each.extend(own?),
            Some(clause) => each.push(Predicate::All(vec![any_of(own?), clause])),
        }
    }
    Ok(Some(any_of(each)))
}

enum Kind {
    Applied,
    Transport,
}

struct Planner<'a> {
    app: &'a App,
    clauses: Clauses<'a>,
    place: &'a Place,
    types: &'a [TypeId],
    plan: SearchPlan,
    projection: Projection,
    includes: Vec<Include>,
    cursor: Option<String>,
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
            self.includes.clear();
        }
        if self.projection.summary == Summary::Text && !self.includes.is_empty() {
            return Err(malformed(
                "_summary",
                "text cannot be asked for together with _include or _revinclude",
            ));
        }
        if self.plan.sort.is_empty() {
            self.plan.sort.push(Sort {
                key: SortKey::Row,
                descending: true,
            });
        }
        let pairs = applied.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        let binding = Binding::new("search", &self.place.path(), pairs);
        if let Some(cursor) = &self.cursor {
            let position: Position =
                cursor::open(self.app.settings(), caller.scope.tenant(), &binding, cursor)?;
            self.plan.after = Some(position);
        }
        Ok(Planned {
            plan: self.plan,
            projection: self.projection,
            includes: self.includes,
            ignored,
            applied,
            binding,
            own: self.clauses.own(),
        })
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<Kind, QueryError> {
        match name {
            "_format" | "_pretty" => return Ok(Kind::Transport),
            CURSOR => {
                self.cursor = Some(value.to_owned());
                return Ok(Kind::Transport);
            }
            "_type" if !matches!(self.place, Place::Type(_)) => {}
            "_count" => self.plan.count = parse_count(value, self.app.settings().limits.page_max)?,
            "_sort" => self.sort(value)?,
            "_total" => {
                self.plan.total = match value {
                    "none" => Total::None,
                    "accurate" => Total::Accurate,
                    "estimate" => Total::Estimate,
                    _ => return Err(malformed(name, "give none, estimate or accurate")),
                }
            }
            // What fhirpy, a client in wide use, asks its counts with.
            "_totalMethod" if value == "count" => self.plan.total = Total::Accurate,
            "_summary" => self.projection.summary = Summary::parse(value)?,
            "_elements" => self.projection.set_elements(value)?,
            "_contained" => match value {
                "false" => {}
                "true" | "both" => {
                    return Err(not_offered(
                        "_contained (contained resources are found with the resource that holds them)",
                    ));
                }
                _ => return Err(malformed(name, "give false")),
            },
            "_containedType" => return Err(not_offered(name)),
            _ if Include::is_one(name) => {
                let most = self.app.settings().limits.include_directives;
                if self.includes.len() >= most {
                    return Err(too_many(format!(
                        "the search has more than {most} _include and _revinclude: split it"
                    )));
                }
                let include = Include::parse(&self.clauses, self.types, name, value)?;
                self.includes.push(include);
            }
            _ => {
                let clause = match self.types {
                    [ty] => self.clauses.clause(*ty, name, value, 0)?,
                    types => self.clauses.clause_of_all(types, name, value)?,
                };
                self.plan.all_of.push(clause);
            }
        }
        Ok(Kind::Applied)
    }

    fn sort(&mut self, value: &str) -> Result<(), QueryError> {
        let most = self.app.settings().limits.sort_keys;
        let mut sort = Vec::new();
        for key in value.split(',') {
            if sort.len() >= most {
                return Err(too_many(format!(
                    "_sort has more than {most} keys: leave some out"
                )));
            }
            let (descending, code) = match key.strip_prefix('-') {
                Some(code) => (true, code),
                None => (false, key),
            };
            let key = self.sort_key(code)?;
            // A key that is there already cannot change the order any more.
            if !sort.iter().any(|known: &Sort| known.key == key) {
                sort.push(Sort { key, descending });
            }
        }
        self.plan.sort = sort;
        Ok(())
    }

    /// Whether the caller sees all of some types: whether a resource is there decides how references to it
    /// sort.
    fn sees_all(&self, types: &[TypeId]) -> bool {
        let (app, caller) = (self.app, self.clauses.caller);
        types
            .iter()
            .all(|ty| narrow::reach(app, caller, *ty) == Reach::All)
    }

    fn sort_key(&self, code: &str) -> Result<SortKey, QueryError> {
        Ok(match (code, self.types) {
            ("_lastUpdated", _) => SortKey::Updated,
            ("_id", _) => SortKey::Id,
            (code, types) => return self.sort_by_value(types, code),
        })
    }

    /// By a parameter that every type has, of one kind.
    fn sort_by_value(&self, types: &[TypeId], code: &str) -> Result<SortKey, QueryError> {
        let mut params = Vec::with_capacity(types.len());
        for ty in types {
            params.push(self.clauses.param(*ty, code)?);
        }
        let Some((param, others)) = params.split_first() else {
            return Err(not_offered(&format!("_sort by {}", cut(code))));
        };
        let is_own = |param: &SearchParam| param.id.0 >= store::index::FIRST_OWN;
        for other in others {
            if other.kind != param.kind || is_own(other) || is_own(param) {
                return Err(not_offered(&format!(
                    "_sort by {code}, which is not the same kind of parameter of R4 in every type,"
                )));
            }
        }
        let early = matches!(
            param.kind,
            ParamKind::Date | ParamKind::Number | ParamKind::Quantity
        ) || (param.kind == ParamKind::String && !is_own(param));
        if !early {
            self.clauses.index_is_whole(&format!("_sort by {code}"))?;
        }
        Ok(match param.kind {
            ParamKind::Date | ParamKind::Number | ParamKind::Quantity => SortKey::Range(param.id),
            ParamKind::String | ParamKind::Uri => SortKey::Text(param.id),
            ParamKind::Token => SortKey::Code(param.id),
            ParamKind::Reference if params.iter().all(|param| self.sees_all(param.targets)) => {
                SortKey::Reference(param.id)
            }
            ParamKind::Reference => {
                return Err(not_offered(&format!(
                    "_sort by {code}, which depends on resources that you may not see,"
                )));
            }
            kind => {
                return Err(not_offered(&format!(
                    "_sort by the {} parameter {code}",
                    kind.code()
                )));
            }
        })
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
