//! Referential integrity, where a tenant asks for it: what a write refers to exists, and what is deleted
//! is referred to by nothing. Where the tenant enforces it, what was found is put into the commit as
//! conditions, which the writer checks in the same transaction: nothing can be deleted, or come to refer,
//! between the check and the commit. Where it only warns, the findings go to the request's advice. References that no search parameter covers, to other servers, by `urn:` and into `contained`
//! are not looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits, Value};
use fhir::search::ParamKind;
use fhir::validate::{Issue, Severity};
use identity::{Interaction, ReferenceMode};
use kernel::VersionId;
use ledger::leaf::Class;
use store::{
    Change, Clause, Guard, KeyForm, Predicate, ResourceKey, SearchPlan, StoredVersion, Total,
};

use crate::App;
use crate::authorise::{Ask, authorise, would_allow};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::operations::everything::local;
use crate::record::{name_of, narrow};

/// Referrers looked up, and named in a refusal.
const REFERRERS: u32 = 1_000;
const NAMED: usize = 10;
/// References named in a refusal.
const MISSING: usize = 5;
/// Resources that one condition names.
const AT_A_TIME: usize = 200;

/// The conditions under which changes keep the record whole; none where the tenant does not ask, or asks
/// for warnings only: those go to the request's advice.
///
/// # Errors
/// A reference to what is not there, and a deletion of what is referred to, where they are refused.
pub(crate) async fn guards(
    app: &App,
    caller: &Caller,
    changes: &[Change],
) -> Result<Vec<Guard>, AppError> {
    let mode = caller.tenant.references.unwrap_or(ReferenceMode::Off);
    if mode == ReferenceMode::Off {
        return Ok(Vec::new());
    }
    let (guards, mut found) = checked(app, caller, changes).await?;
    if mode == ReferenceMode::Warn {
        let issues = found.into_iter().map(Finding::warning).collect();
        caller.context.advice.add(issues);
        return Ok(Vec::new());
    }
    match found.len() {
        0 => Ok(guards),
        _ => Err(found.swap_remove(0).error),
    }
}

/// Something that does not hold, with the refusal it leads to where it is refused.
struct Finding {
    expression: String,
    error: AppError,
}

impl Finding {
    fn warning(self) -> Issue {
        let code = match self.error {
            AppError::Conflict(_) => "conflict",
            _ => "not-found",
        };
        Issue {
            severity: Severity::Warning,
            code,
            expression: self.expression,
            diagnostics: self.error.to_string(),
        }
    }
}

/// The conditions, and everything that does not hold already.
async fn checked(
    app: &App,
    caller: &Caller,
    changes: &[Change],
) -> Result<(Vec<Guard>, Vec<Finding>), AppError> {
    let (gone, made): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| change.body.is_empty());
    let gone: HashSet<&ResourceKey> = gone.into_iter().map(|change| &change.key).collect();
    let known: HashSet<&ResourceKey> = made.iter().map(|change| &change.key).collect();
    let mut wanted = Wanted::default();
    for change in &made {
        let document = Document::parse(change.body.clone(), &Limits::default())?;
        wanted.collect(app, caller, document.root(), &gone, &known);
    }
    let mut guards = wanted.guards(app, caller).await?;
    for key in &gone {
        match unreferred(app, caller, key, &gone, &known).await? {
            Ok(guard) => guards.push(guard),
            Err(error) => wanted.found.push(Finding {
                expression: app.definitions().resource_name(key.ty).to_owned(),
                error,
            }),
        }
    }
    Ok((guards, wanted.found))
}

/// Whether a resource could be stored as far as its references go, under `name` where it has one already.
///
/// # Errors
/// As [`guards`]; where the tenant only warns, this does.
pub(crate) async fn could_refer(
    app: &App,
    caller: &Caller,
    name: Option<&ResourceKey>,
    resource: Value<'_>,
) -> Result<(), AppError> {
    let mode = caller.tenant.references.unwrap_or(ReferenceMode::Off);
    if mode == ReferenceMode::Off {
        return Ok(());
    }
    let known: HashSet<&ResourceKey> = name.into_iter().collect();
    let mut wanted = Wanted::default();
    wanted.collect(app, caller, resource, &HashSet::new(), &known);
    wanted.guards(app, caller).await?;
    let mut found = wanted.found;
    if mode == ReferenceMode::Warn {
        let issues = found.into_iter().map(Finding::warning).collect();
        caller.context.advice.add(issues);
        return Ok(());
    }
    match found.len() {
        0 => Ok(()),
        _ => Err(found.swap_remove(0).error),
    }
}

/// What changes refer to outside of themselves.
#[derive(Default)]
struct Wanted {
    /// Where each is referred to first, for the refusal.
    places: BTreeMap<ResourceKey, String>,
    versions: BTreeSet<(ResourceKey, VersionId)>,
    /// What does not hold.
    found: Vec<Finding>,
}

impl Wanted {
    fn collect(
        &mut self,
        app: &App,
        caller: &Caller,
        resource: Value<'_>,
        gone: &HashSet<&ResourceKey>,
        known: &HashSet<&ResourceKey>,
    ) {
        for (path, reference) in fhir::print::references(resource) {
            let Some(key) = local(app, caller, &reference) else {
                continue;
            };
            let version = reference
                .rsplit_once("/_history/")
                .map(|(_, version)| version);
            if let Some(version) = version.and_then(|version| version.parse().ok()) {
                self.versions.insert((key, version));
                continue;
            }
            if gone.contains(&key) {
                let text = format!(
                    "{path} refers to {}, which the same bundle deletes: leave one of them out",
                    name_of(&key)
                );
                self.found.push(Finding {
                    expression: path,
                    error: AppError::Conflict(text),
                });
            } else if !known.contains(&key) {
                self.places.entry(key).or_insert(path);
            }
        }
    }

    /// The conditions of what is there; what is not becomes a finding.
    async fn guards(&mut self, app: &App, caller: &Caller) -> Result<Vec<Guard>, AppError> {
        let keys: Vec<ResourceKey> = self.places.keys().cloned().collect();
        let mut missing: Vec<String> = Vec::new();
        let mut found: HashMap<TypeId, Vec<(ResourceKey, kernel::RowId)>> = HashMap::new();
        if !keys.is_empty() {
            let heads = app.store().heads(&caller.scope, &keys).await?;
            for (key, head) in keys.iter().zip(heads) {
                let alive = head.filter(|head| !head.is_deleted());
                match alive {
                    // What is out of reach answers like what is not there.
                    Some(head) if is_visible(app, caller, key).await? => {
                        let of_type = found.entry(key.ty).or_default();
                        of_type.push((key.clone(), head.row));
                    }
                    _ => missing.extend(self.places.get(key).map(|path| told(path, key, None))),
                }
            }
        }
        for (key, version) in &self.versions {
            let there = app.store().vread(&caller.scope, key, *version).await?;
            if there.is_none() || !is_visible(app, caller, key).await? {
                missing.push(told("a versioned reference", key, Some(*version)));
            }
        }
        if !missing.is_empty() {
            missing.truncate(MISSING);
            let text = format!(
                "{}: store it first, or correct the reference",
                missing.join("; ")
            );
            let first = missing.first().and_then(|text| text.split(' ').next());
            let expression = first.filter(|path| path.contains('.')).unwrap_or_default();
            self.found.push(Finding {
                expression: expression.to_owned(),
                error: AppError::Unprocessable(text),
            });
        }
        Ok(found
            .into_iter()
            .flat_map(|(ty, found)| alive(ty, &found))
            .collect())
    }
}

fn told(path: &str, key: &ResourceKey, version: Option<VersionId>) -> String {
    match version {
        None => format!("{path} refers to {}, which does not exist", name_of(key)),
        Some(version) => format!(
            "{path} to {}/_history/{version} points to nothing",
            name_of(key)
        ),
    }
}

/// The resources are alive still, when the writer looks.
fn alive(ty: TypeId, found: &[(ResourceKey, kernel::RowId)]) -> Vec<Guard> {
    let guards = found.chunks(AT_A_TIME).map(|found| {
        let ids = found.iter().map(|(key, _)| Predicate::Id(key.id.clone()));
        Guard {
            plan: plan(vec![ty], ids.collect()),
            seen: found.iter().map(|(_, row)| *row).collect(),
        }
    });
    guards.collect()
}

fn plan(types: Vec<TypeId>, any_of: Vec<Predicate>) -> SearchPlan {
    SearchPlan {
        types,
        all_of: vec![Clause {
            negated: false,
            any_of,
        }],
        sort: Vec::new(),
        count: REFERRERS,
        bytes: usize::MAX,
        rows: u64::MAX,
        after: None,
        total: Total::None,
    }
}

/// The search for everything that refers to a resource, whoever may see it.
pub(crate) fn referring(app: &App, key: &ResourceKey) -> SearchPlan {
    let definitions = app.definitions();
    let mut types = Vec::new();
    let mut any_of = Vec::new();
    for ty in definitions.resource_types() {
        let params = definitions.search_params(ty).iter().filter(|param| {
            param.kind == ParamKind::Reference
                && (param.targets.is_empty() || param.targets.contains(&key.ty))
        });
        let before = any_of.len();
        any_of.extend(params.map(|param| Predicate::Key {
            param: param.id,
            form: KeyForm::Local(key.ty, key.id.clone()),
        }));
        if any_of.len() > before {
            types.push(ty);
        }
    }
    plan(types, any_of)
}

/// Whether the caller may know of a resource; costs a read only for roles that are narrowed.
async fn is_visible(app: &App, caller: &Caller, key: &ResourceKey) -> Result<bool, AppError> {
    if !narrow::is_narrowed(app, caller, Interaction::Read, key.ty) {
        return Ok(true);
    }
    let Some(version) = app.store().read(&caller.scope, key).await? else {
        return Ok(false);
    };
    let patients = app.patients_of(caller, &version)?;
    would_allow(app, caller, &Ask::record(Interaction::Read, key, &patients)).await
}

/// Nothing but what the same commit changes or deletes refers to a resource.
async fn unreferred(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    gone: &HashSet<&ResourceKey>,
    made: &HashSet<&ResourceKey>,
) -> Result<Result<Guard, AppError>, AppError> {
    let plan = referring(app, key);
    let page = app.store().search(&caller.scope, &plan).await?;
    let handled = |one: &StoredVersion| gone.contains(&one.key) || made.contains(&one.key);
    let left: Vec<&StoredVersion> = page.matches.iter().filter(|one| !handled(one)).collect();
    if !left.is_empty() || page.next.is_some() {
        return Ok(Err(refused(app, caller, key, &left).await?));
    }
    Ok(Ok(Guard {
        seen: page.matches.iter().map(|one| one.row).collect(),
        plan,
    }))
}

/// The refusal names what the caller may see, which is a look.
async fn refused(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    left: &[&StoredVersion],
) -> Result<AppError, AppError> {
    let mut names = Vec::new();
    let mut patients = BTreeSet::new();
    for version in left {
        if names.len() >= NAMED {
            break;
        }
        let about = app.patients_of(caller, version)?;
        let ask = Ask::record(Interaction::Read, &version.key, &about);
        if would_allow(app, caller, &ask).await? {
            names.push(name_of(&version.key));
            patients.extend(about.iter().cloned());
        }
    }
    if !names.is_empty() {
        let allowed = authorise(app, caller, &Ask::of_type(Interaction::Delete, key.ty)).await?;
        let patients: Vec<_> = patients.into_iter().collect();
        let query = format!("references to {}", name_of(key));
        let look = Look {
            class: Class::Search,
            object: None,
            query: Some(&query),
            patients: &patients,
            allowed: &allowed,
        };
        let entries = look_entries(app, caller, &look);
        app.store().record_access(&caller.scope, entries).await?;
    }
    if left.len() > names.len() {
        names.push("others".to_owned());
    }
    Ok(AppError::Conflict(format!(
        "{} is referred to by {}: change or delete them first",
        name_of(key),
        names.join(", ")
    )))
}
