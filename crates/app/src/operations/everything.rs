//! `$everything` of a Patient or an Encounter (FHIR R4, patient-operation-everything): the resource, all of
//! its compartment that the caller may see, and what that refers to. Paged; nothing of it is held between
//! pages. A patient who replaced others answers for their compartments too.

use std::collections::{BTreeSet, HashSet};

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits, Value};
use fhir::search::ParamKind;
use fhir::validate::{Issue, Severity};
use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use ledger::leaf::Class;
use store::{
    Clause, KeyForm, Position, Predicate, RangeOp, ResourceKey, SearchPlan, StoredVersion, Total,
};

use super::answer::{Found, Mode};
use crate::App;
use crate::authorise::{Ask, authorise, would_allow};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::{AppError, QueryError};
use crate::record::cursor::{self, Binding};
use crate::record::plan::parse_count;
use crate::record::search::CURSOR;
use crate::record::{name_of, narrow, query_string, read};

/// Most resources that a page holds because others refer to them.
const INCLUDES: usize = 500;
/// Most patients whose records a patient took over.
const REPLACED: usize = 20;
/// The parameters that say when care happened, by type (FHIR R4, `start` and `end` are care dates).
const CARE_DATES: [&str; 6] = [
    "date",
    "onset-date",
    "authoredon",
    "period",
    "effective-time",
    "created",
];

/// Answers a page of everything about a patient or an encounter.
pub async fn everything(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    params: &[(String, String)],
) -> Result<Found, AppError> {
    let root = read::read(app, caller, key).await?;
    let patients = app.patients_of(caller, &root)?;
    let asked = Asked::parse(app, caller, key, params)?;
    let subject = Subject::of(app, caller, root, &patients).await?;
    let groups = asked.groups(app, caller, &subject).await?;
    let mut page = Page {
        app,
        caller,
        asked: &asked,
        left: asked.count as usize,
        bytes: app.settings().limits.answer_bytes,
        entries: Vec::new(),
        cut: false,
    };
    let next = page.fill(&groups, &subject).await?;
    page.supporting(&subject).await?;
    let issues = incomplete(page.cut, subject.more_replaced);
    let entries = page.entries;
    record(app, caller, &asked, &subject, &entries).await?;
    let next = next
        .map(|state| {
            let tenant = caller.scope.tenant();
            cursor::seal(app.settings(), tenant, &asked.binding, &state)
        })
        .transpose()?;
    Ok(Found {
        named: asked.named,
        entries,
        total: None,
        params: asked.applied,
        next,
        issues,
    })
}

/// What is not in the answer, nor on another page of it.
fn incomplete(cut: bool, more_replaced: bool) -> Vec<Issue> {
    let page = format!(
        "not everything that this page refers to is in it: it ends at {INCLUDES} such resources or its size; ask for smaller pages (_count), or read the rest by reference"
    );
    let replaced = format!(
        "this patient replaced more than {REPLACED} others: ask for $everything of the rest of Patient.link one by one"
    );
    let said = [(cut, page), (more_replaced, replaced)];
    let said = said.into_iter().filter(|(is_so, _)| *is_so);
    said.map(|(_, diagnostics)| Issue {
        severity: Severity::Warning,
        code: "incomplete",
        expression: String::new(),
        diagnostics,
    })
    .collect()
}

/// Where a page goes on: a group of types, and the position in it.
type State = (usize, Option<Position>);

/// What was asked for.
struct Asked {
    named: String,
    types: Option<Vec<TypeId>>,
    since: Option<Timestamp>,
    /// Care dates, in microseconds, half open.
    start: Option<i64>,
    end: Option<i64>,
    count: u32,
    from: Option<State>,
    applied: Vec<(String, String)>,
    binding: Binding,
}

fn malformed(name: &str, detail: &str) -> QueryError {
    QueryError::Malformed {
        name: name.to_owned(),
        detail: detail.to_owned(),
    }
}

impl Asked {
    fn parse(
        app: &App,
        caller: &Caller,
        key: &ResourceKey,
        params: &[(String, String)],
    ) -> Result<Self, QueryError> {
        let named = format!("{}/$everything", name_of(key));
        let mut asked = Self {
            binding: Binding::new("everything", &named, []),
            named,
            types: None,
            since: None,
            start: None,
            end: None,
            count: app.settings().limits.page_default,
            from: None,
            applied: Vec::new(),
        };
        let mut cursor = None;
        for (name, value) in params {
            match name.as_str() {
                CURSOR => cursor = Some(value),
                "_format" | "_pretty" => {}
                _ => {
                    asked.parameter(app, name, value)?;
                    asked.applied.push((name.clone(), value.clone()));
                }
            }
        }
        let pairs = asked.applied.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        asked.binding = Binding::new("everything", &asked.named, pairs);
        if let Some(text) = cursor {
            let tenant = caller.scope.tenant();
            asked.from = Some(cursor::open(app.settings(), tenant, &asked.binding, text)?);
        }
        Ok(asked)
    }

    fn parameter(&mut self, app: &App, name: &str, value: &str) -> Result<(), QueryError> {
        match name {
            "_count" => {
                self.count = parse_count(value, app.settings().limits.page_max)?.max(1);
            }
            "_since" => {
                let time = Timestamp::from_rfc3339(value);
                self.since = Some(time.ok_or_else(|| {
                    malformed(name, "give an instant such as 2026-03-05T08:09:10Z")
                })?);
            }
            "start" | "end" => {
                let period = fhir::search::implied_period(value)
                    .ok_or_else(|| malformed(name, "give a date such as 2026-03-05"))?;
                if name == "start" {
                    self.start = Some(period.lo);
                } else {
                    self.end = Some(period.hi);
                }
            }
            "_type" => {
                let types = self.types.get_or_insert_default();
                for part in value.split(',') {
                    let ty = app.definitions().resource(part.trim());
                    types.push(ty.ok_or_else(|| {
                        malformed(name, "give names of R4 resource types with commas between")
                    })?);
                }
            }
            _ => {
                return Err(QueryError::Unknown {
                    resource: self.named.clone(),
                    name: name.chars().take(80).collect(),
                });
            }
        }
        Ok(())
    }

    fn takes(&self, ty: TypeId) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&ty))
    }

    /// Types that are narrowed alike are searched together.
    async fn groups(
        &self,
        app: &App,
        caller: &Caller,
        subject: &Subject,
    ) -> Result<Vec<SearchPlan>, AppError> {
        let mut groups: Vec<(Option<Clause>, bool, SearchPlan)> = Vec::new();
        for (ty, keys) in &subject.types {
            if !self.takes(*ty) {
                continue;
            }
            let ask = Ask::of_type(Interaction::Search, *ty);
            if !would_allow(app, caller, &ask).await? {
                continue;
            }
            let narrowing = narrow::clause(app, caller, *ty);
            let dates = self.dates(app, *ty);
            let known = groups
                .iter_mut()
                .find(|(known, dated, _)| *known == narrowing && *dated == dates.is_some());
            let plan = if let Some((_, _, plan)) = known {
                plan
            } else {
                let plan = self.empty_plan(subject, narrowing.clone(), dates.is_some());
                groups.push((narrowing, dates.is_some(), plan));
                let Some((_, _, plan)) = groups.last_mut() else {
                    continue;
                };
                plan
            };
            plan.types.push(*ty);
            if let Some(clause) = plan.all_of.first_mut() {
                clause.any_of.extend(keys.iter().cloned());
            }
            if let (Some(dates), Some(clause)) = (dates, plan.all_of.last_mut()) {
                clause.any_of.extend(dates);
            }
        }
        Ok(groups.into_iter().map(|(_, _, plan)| plan).collect())
    }

    /// The first clause says whose, the last one when, where that was asked.
    fn empty_plan(&self, subject: &Subject, narrowing: Option<Clause>, dated: bool) -> SearchPlan {
        let any = |any_of: Vec<Predicate>| Clause {
            negated: false,
            any_of,
        };
        let mut all_of = vec![any(subject.compartments.clone())];
        all_of.extend(narrowing);
        if let Some(since) = self.since {
            let ms = since.as_millis();
            all_of.push(any(vec![Predicate::Updated {
                op: RangeOp::AboveOrWithin,
                lo_ms: ms,
                hi_ms: ms,
            }]));
        }
        if dated {
            all_of.push(any(Vec::new()));
        }
        SearchPlan {
            types: Vec::new(),
            all_of,
            sort: Vec::new(),
            count: 0,
            bytes: 0,
            rows: u64::MAX,
            after: None,
            total: Total::None,
        }
    }

    /// A resource is within `start` and `end` when one of its care dates is, or when it says none.
    fn dates(&self, app: &App, ty: TypeId) -> Option<Vec<Predicate>> {
        if self.start.is_none() && self.end.is_none() {
            return None;
        }
        let definitions = app.definitions();
        let param = CARE_DATES.iter().find_map(|code| {
            let param = definitions.search_param(ty, code)?;
            (param.kind == ParamKind::Date).then_some(param)
        })?;
        Some(vec![
            Predicate::Range {
                param: param.id,
                unit: None,
                op: RangeOp::Overlaps,
                lo: self.start.unwrap_or(i64::MIN),
                hi: self.end.unwrap_or(i64::MAX),
            },
            Predicate::Missing {
                param: param.id,
                missing: true,
            },
        ])
    }
}

/// Whose everything it is.
struct Subject {
    /// The resource itself, and the patients it replaced.
    first: Vec<StoredVersion>,
    /// The patients that the answer may be about.
    patients: HashSet<LogicalId>,
    /// What puts a resource of any type into the answer.
    compartments: Vec<Predicate>,
    /// The types looked through, with what puts their resources into the answer.
    types: Vec<(TypeId, Vec<Predicate>)>,
    /// Whether the patient replaced more than are looked at.
    more_replaced: bool,
}

impl Subject {
    async fn of(
        app: &App,
        caller: &Caller,
        root: StoredVersion,
        patients: &[LogicalId],
    ) -> Result<Self, AppError> {
        let definitions = app.definitions();
        let mut subject = Self {
            patients: patients.iter().cloned().collect(),
            compartments: Vec::new(),
            types: Vec::new(),
            first: Vec::new(),
            more_replaced: false,
        };
        if app.is_patient(root.key.ty) {
            (subject.first, subject.more_replaced) = replaced(app, caller, &root).await?;
            subject.first.insert(0, root);
            for version in &subject.first {
                let id = version.key.id.clone();
                subject
                    .compartments
                    .push(Predicate::Compartment(id.clone()));
                subject.patients.insert(id);
            }
            let in_compartment = |ty: &TypeId| {
                let mut params = definitions.search_params(*ty).iter();
                !app.is_patient(*ty) && params.any(|param| param.compartment)
            };
            let types = definitions.resource_types().filter(in_compartment);
            subject.types = types.map(|ty| (ty, Vec::new())).collect();
            return Ok(subject);
        }
        let (to, id) = (root.key.ty, root.key.id.clone());
        for ty in definitions.resource_types() {
            let points = definitions
                .search_params(ty)
                .iter()
                .filter(|param| param.kind == ParamKind::Reference && param.targets.contains(&to));
            let keys: Vec<Predicate> = points
                .map(|param| Predicate::Key {
                    param: param.id,
                    form: KeyForm::Local(to, id.clone()),
                })
                .collect();
            if !keys.is_empty() {
                subject.types.push((ty, keys));
            }
        }
        subject.first.push(root);
        Ok(subject)
    }
}

/// The patients that a patient says it replaces, as far as the caller reaches them, and whether it says
/// so of more than are looked at.
async fn replaced(
    app: &App,
    caller: &Caller,
    patient: &StoredVersion,
) -> Result<(Vec<StoredVersion>, bool), AppError> {
    let Some(body) = &patient.body else {
        return Ok((Vec::new(), false));
    };
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    let mut keys: Vec<ResourceKey> = document
        .root()
        .get("link")
        .into_iter()
        .flat_map(Value::items)
        .filter(|link| link.get_str("type").as_deref() == Some("replaces"))
        .filter_map(|link| {
            let reference = link.get("other")?.get_str("reference")?;
            local(app, caller, &reference)
        })
        .filter(|key| app.is_patient(key.ty) && *key != patient.key)
        .take(REPLACED + 1)
        .collect();
    let is_more = keys.len() > REPLACED;
    keys.truncate(REPLACED);
    let mut found = Vec::new();
    for key in keys {
        let Some(version) = app.store().read(&caller.scope, &key).await? else {
            continue;
        };
        let patients = [key.id.clone()];
        let ask = Ask::record(Interaction::Read, &key, &patients);
        if version.body.is_some() && would_allow(app, caller, &ask).await? {
            found.push(version);
        }
    }
    Ok((found, is_more))
}

/// The resource of this tenant that a reference names, whatever version.
pub(crate) fn local(app: &App, caller: &Caller, reference: &str) -> Option<ResourceKey> {
    let rest = reference
        .strip_prefix(&*caller.context.base)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(reference);
    let mut parts = rest.split('/');
    let ty = app.definitions().resource(parts.next()?)?;
    let id = parts.next()?.parse().ok()?;
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) | (Some("_history"), Some(_), None) => Some(ResourceKey { ty, id }),
        _ => None,
    }
}

struct Page<'a> {
    app: &'a App,
    caller: &'a Caller,
    asked: &'a Asked,
    left: usize,
    bytes: usize,
    entries: Vec<(StoredVersion, Mode)>,
    /// Whether something that the page refers to was left out for want of room.
    cut: bool,
}

impl Page<'_> {
    fn push(&mut self, version: StoredVersion, mode: Mode) {
        let bytes = version.body.as_ref().map_or(0, bytes::Bytes::len);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.entries.push((version, mode));
    }

    async fn fill(
        &mut self,
        groups: &[SearchPlan],
        subject: &Subject,
    ) -> Result<Option<State>, AppError> {
        let is_first = self.asked.from.is_none();
        if is_first {
            for version in &subject.first {
                let is_new = self
                    .asked
                    .since
                    .is_none_or(|since| version.last_updated() >= since);
                if is_new && self.asked.takes(version.key.ty) {
                    self.left = self.left.saturating_sub(1);
                    self.push(version.clone(), Mode::Match);
                }
            }
        }
        let (from, mut after) = self.asked.from.clone().unwrap_or((0, None));
        let known: HashSet<ResourceKey> = subject.first.iter().map(|one| one.key.clone()).collect();
        for (place, group) in groups.iter().enumerate().skip(from) {
            if self.left == 0 || self.bytes == 0 {
                return Ok(Some((place, after)));
            }
            let plan = SearchPlan {
                count: u32::try_from(self.left).unwrap_or(u32::MAX),
                bytes: self.bytes,
                rows: u64::MAX,
                after: after.take(),
                ..group.clone()
            };
            let page = self.app.store().search(&self.caller.scope, &plan).await?;
            for version in page.matches {
                self.left = self.left.saturating_sub(1);
                if !known.contains(&version.key) {
                    self.push(version, Mode::Match);
                }
            }
            if let Some(position) = page.next {
                return Ok(Some((place, Some(position))));
            }
        }
        Ok(None)
    }

    /// What the page's resources refer to, beside the patient's own: of nobody else, and only what the
    /// caller may read.
    async fn supporting(&mut self, subject: &Subject) -> Result<(), AppError> {
        let (app, caller) = (self.app, self.caller);
        let mut known: HashSet<ResourceKey> =
            subject.first.iter().map(|one| one.key.clone()).collect();
        known.extend(self.entries.iter().map(|(version, _)| version.key.clone()));
        let own: HashSet<TypeId> = subject.types.iter().map(|(ty, _)| *ty).collect();
        let mut wanted = Vec::new();
        for (version, _) in &self.entries {
            for key in references(app, caller, version)? {
                // A patient's own resources come as matches, on this page or another.
                let is_own = !subject.compartments.is_empty() && own.contains(&key.ty);
                if !is_own && self.asked.takes(key.ty) && known.insert(key.clone()) {
                    wanted.push(key);
                }
            }
        }
        self.cut = wanted.len() > INCLUDES;
        wanted.truncate(INCLUDES);
        for key in wanted {
            if self.bytes == 0 {
                self.cut = true;
                break;
            }
            if let Some(version) = reachable(app, caller, &key, &subject.patients).await? {
                self.push(version, Mode::Include);
            }
        }
        Ok(())
    }
}

/// The local resources that a version refers to, each once.
pub(crate) fn references(
    app: &App,
    caller: &Caller,
    version: &StoredVersion,
) -> Result<Vec<ResourceKey>, AppError> {
    let Some(body) = &version.body else {
        return Ok(Vec::new());
    };
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    let mut seen = HashSet::new();
    let references = fhir::print::references(document.root());
    Ok(references
        .iter()
        .filter_map(|(_, reference)| local(app, caller, reference))
        .filter(|key| seen.insert(key.clone()))
        .collect())
}

/// A resource that is there, about none but these patients, and that the caller may read.
pub(crate) async fn reachable(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    patients: &HashSet<LogicalId>,
) -> Result<Option<StoredVersion>, AppError> {
    let Some(version) = app.store().read(&caller.scope, key).await? else {
        return Ok(None);
    };
    if version.body.is_none() {
        return Ok(None);
    }
    let about = app.patients_of(caller, &version)?;
    if !about.iter().all(|patient| patients.contains(patient)) {
        return Ok(None);
    }
    let ask = Ask::record(Interaction::Read, key, &about);
    Ok(would_allow(app, caller, &ask).await?.then_some(version))
}

/// One entry for each patient whose resources the page shows.
async fn record(
    app: &App,
    caller: &Caller,
    asked: &Asked,
    subject: &Subject,
    entries: &[(StoredVersion, Mode)],
) -> Result<(), AppError> {
    let mut shown: BTreeSet<LogicalId> = BTreeSet::new();
    let root = subject.first.first();
    let versions = entries.iter().map(|(version, _)| version);
    for version in versions.chain(root) {
        shown.extend(app.patients_of(caller, version)?.iter().cloned());
    }
    let patients: Vec<LogicalId> = shown.into_iter().collect();
    let Some(root) = root else {
        return Ok(());
    };
    let ask = Ask::of_type(Interaction::Read, root.key.ty);
    let allowed = authorise(app, caller, &ask).await?;
    let pairs = asked.applied.iter().map(|(a, b)| (a.as_str(), b.as_str()));
    let query = format!("{}?{}", asked.named, query_string::print(pairs));
    let look = Look {
        class: Class::Search,
        object: None,
        query: Some(&query),
        patients: &patients,
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    Ok(())
}
