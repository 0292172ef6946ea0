//! Patient `$match` (FHIR R4, patient-operation-match): candidates by search, compared by `matching`, best
//! first. Only patients the caller reaches are candidates; those that are answered are looks.

use std::collections::HashMap;

use fhir::json::Value;
use fhir::search::{Modifier, parse_query_value};
use fhir::validate::{Issue, Severity};
use identity::Interaction;
use kernel::LogicalId;
use ledger::leaf::Class;
use matching::{Grade, PartialDate, Person, score};
use store::{Clause, ResourceKey, SearchPlan, StoredVersion, Total};

use super::answer::{Found, Mode};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::narrow;

/// Most candidates of one search.
const CANDIDATES: u32 = 200;
/// Most values of one kind that are searched by.
const VALUES: usize = 8;
/// Most patients answered, and how many where nothing is said.
const MOST: usize = 100;
const USUAL: usize = 10;

/// What is asked for.
#[derive(Debug)]
pub struct MatchRequest<'a> {
    /// The Patient to compare, as far as it is known.
    pub patient: Value<'a>,
    /// Answer one patient who is certain, or nobody.
    pub only_certain: bool,
    /// Answer at most so many.
    pub count: Option<usize>,
}

/// Answers the patients that may be the one described, best first.
pub async fn matches(
    app: &App,
    caller: &Caller,
    request: &MatchRequest<'_>,
) -> Result<Found, AppError> {
    let ty = app.patient_type();
    let allowed = authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await?;
    if request.patient.get_str("resourceType").as_deref() != Some("Patient") {
        return Err(AppError::Invalid(
            "the parameter resource is no Patient: send what is known of one".to_owned(),
        ));
    }
    let person = Person::of(request.patient);
    let mut found = Candidates::default();
    for block in blocks(app, request.patient) {
        found.search(app, caller, block).await?;
    }
    let mut scored: Vec<(StoredVersion, f64, Grade)> = Vec::new();
    for version in found.by_key.into_values() {
        let Some(body) = &version.body else { continue };
        let document = fhir::json::Document::parse(body.to_vec(), &fhir::json::Limits::default())?;
        let score = score(&person, &Person::of(document.root()));
        if score.grade < Grade::CertainlyNot {
            scored.push((version, score.probability, score.grade));
        }
    }
    scored.sort_by(|a, b| {
        let by_score = b.1.total_cmp(&a.1);
        by_score.then_with(|| a.0.key.id.as_str().cmp(b.0.key.id.as_str()))
    });
    if request.only_certain {
        scored.retain(|(_, _, grade)| *grade == Grade::Certain);
        if scored.len() > 1 {
            scored.clear();
        }
    }
    scored.truncate(request.count.unwrap_or(USUAL).min(MOST));
    let patients: Vec<LogicalId> = scored.iter().map(|(one, ..)| one.key.id.clone()).collect();
    let look = Look {
        class: Class::Search,
        object: None,
        query: Some("Patient/$match"),
        patients: &patients,
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    Ok(Found {
        named: "Patient/$match".to_owned(),
        total: Some(scored.len() as u64),
        entries: scored
            .into_iter()
            .map(|(version, score, grade)| (version, Mode::Score(score, grade.code())))
            .collect(),
        params: Vec::new(),
        next: None,
        issues: found.issues,
    })
}

/// A search for candidates: criteria that all must hold, and what it is called.
struct Block {
    name: &'static str,
    all_of: Vec<Clause>,
}

fn blocks(app: &App, patient: Value<'_>) -> Vec<Block> {
    let texts = |list: &str, of: &str| -> Vec<String> {
        let list = patient.get(list).into_iter().flat_map(Value::items);
        let texts = list.filter_map(|one| one.get_str(of)).take(VALUES);
        texts.map(|text| escaped(&text)).collect()
    };
    let names = || {
        patient
            .get("name")
            .into_iter()
            .flat_map(Value::items)
            .take(VALUES)
    };
    let given: Vec<String> = names()
        .filter_map(|name| name.get("given")?.items().next()?.as_str())
        .map(|text| escaped(&text))
        .collect();
    let family = || one_of(app, "family", &texts("name", "family"));
    let mut blocks = Vec::new();
    let mut add = |name: &'static str, all_of: Vec<Option<Clause>>| {
        // A criterion without a value would find everybody.
        if let Some(all_of) = all_of.into_iter().collect::<Option<Vec<_>>>() {
            blocks.push(Block { name, all_of });
        }
    };
    add(
        "identifier",
        vec![one_of(app, "identifier", &numbers(patient))],
    );
    add(
        "date of birth",
        vec![one_of(app, "birthdate", &dates(patient))],
    );
    add("name", vec![family(), one_of(app, "given", &given)]);
    // Names may stand in each other's fields.
    add(
        "swapped name",
        vec![
            one_of(app, "family", &given),
            one_of(app, "given", &texts("name", "family")),
        ],
    );
    let postcodes = texts("address", "postalCode");
    add(
        "address",
        vec![family(), one_of(app, "address-postalcode", &postcodes)],
    );
    add(
        "contact",
        vec![one_of(app, "telecom", &texts("telecom", "value"))],
    );
    blocks
}

/// Identifiers as they were written, and as they are written without gaps.
fn numbers(patient: Value<'_>) -> Vec<String> {
    let list = patient.get("identifier").into_iter().flat_map(Value::items);
    let mut found = Vec::new();
    for identifier in list.take(VALUES) {
        let (Some(system), Some(value)) =
            (identifier.get_str("system"), identifier.get_str("value"))
        else {
            continue;
        };
        let kind = matching::number_kind(&system);
        let Some(plain) = matching::plain_number(kind, &value) else {
            continue;
        };
        found.push(format!("{}|{}", escaped(&system), escaped(&value)));
        if *plain != *value {
            found.push(format!("{}|{}", escaped(&system), escaped(&plain)));
        }
    }
    found
}

/// The date of birth, and the same with day and month swapped.
fn dates(patient: Value<'_>) -> Vec<String> {
    let date = patient.get_str("birthDate");
    let date = date.and_then(|text| PartialDate::parse(&text));
    let Some(PartialDate {
        year,
        month: Some(month),
        day: Some(day),
    }) = date
    else {
        return Vec::new();
    };
    let mut found = vec![format!("{year:04}-{month:02}-{day:02}")];
    if day <= 12 && day != month {
        found.push(format!("{year:04}-{day:02}-{month:02}"));
    }
    found
}

/// A value as a search takes it: what separates values there is escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '|' | '$' | ',') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Any of several values of a parameter of Patient; `None` where there is none that can be searched by.
fn one_of(app: &App, code: &str, values: &[String]) -> Option<Clause> {
    let param = app.definitions().search_param(app.patient_type(), code)?;
    let mut any_of = Vec::new();
    for value in values {
        let parsed = parse_query_value(param, Modifier::None, value, app.now());
        let Ok(parsed) = parsed else { continue };
        any_of.extend(store::index::predicate(param, &parsed).unwrap_or_default());
    }
    (!any_of.is_empty()).then_some(Clause {
        negated: false,
        any_of,
    })
}

#[derive(Default)]
struct Candidates {
    by_key: HashMap<ResourceKey, StoredVersion>,
    issues: Vec<Issue>,
}

impl Candidates {
    async fn search(&mut self, app: &App, caller: &Caller, block: Block) -> Result<(), AppError> {
        let ty = app.patient_type();
        let mut all_of = block.all_of;
        all_of.extend(narrow::clause(app, caller, ty));
        let plan = SearchPlan {
            types: vec![ty],
            all_of,
            sort: Vec::new(),
            count: CANDIDATES,
            bytes: app.settings().limits.answer_bytes,
            rows: u64::MAX,
            after: None,
            total: Total::None,
        };
        let page = app.store().search(&caller.scope, &plan).await?;
        if page.next.is_some() {
            self.issues.push(Issue {
                severity: Severity::Warning,
                code: "incomplete",
                expression: String::new(),
                diagnostics: format!(
                    "more than {CANDIDATES} patients have this {}: only the newest were compared, give more details",
                    block.name
                ),
            });
        }
        let found = page.matches.into_iter();
        self.by_key.extend(found.map(|one| (one.key.clone(), one)));
        Ok(())
    }
}
