//! `Patient/[id]/$medication-check`: the medicines on the record, with those that somebody thinks of
//! adding, against each other, the allergies and the facts of the patient. Stores nothing.

use fhir::json::Value;
use kernel::{Timestamp, ZoneName};
use medication::checks::merge::{Alert, Merged, merge};
use medication::checks::overrides::{Fingerprint, Override, fingerprints};
use medication::checks::{Medicine, NotChecked, check as list};
use medication::dictionary::alike::{self, Alike};
use medication::facts::{Recorded, allergies, medicine, patient as facts};
use medication::knowledge::{DrugKnowledge as _, Facts, Knowledge, Release};
use store::ResourceKey;

use super::countersign::signed;
use super::elsewhere::{Consulted, Heard, When, consult};
use super::prescribe::{For, standing};
use super::regimen::{self, Held, Regimen};
use super::{Sources, sources};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;

/// A medicine that was checked.
#[derive(Debug, Clone)]
pub struct Checked {
    /// As the checks saw it.
    pub medicine: Medicine,
    /// Its address on the record; none for one that is proposed.
    pub reference: Option<String>,
}

/// Something to show, with what an override of it would hold for.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The alert.
    pub alert: Alert,
    /// What an override holds for.
    pub fingerprint: Fingerprint,
    /// What it holds for where a source is away.
    pub also: Vec<Fingerprint>,
}

/// Two names that are taken for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookAlike {
    /// The name that is ordered, with differing letters raised where the pair is known.
    pub ordered: String,
    /// What it is taken for.
    pub other: String,
    /// Whether the patient takes that too.
    pub taken: bool,
}

/// What came of a check.
#[derive(Debug, Clone)]
pub struct CheckAnswer {
    /// Whom it is about.
    pub patient: ResourceKey,
    /// Every medicine, those of the record first; alerts name places in it.
    pub medicines: Vec<Checked>,
    /// Known allergies: the name, and the address of the resource.
    pub allergies: Vec<(String, String)>,
    /// The loudest first.
    pub alerts: Vec<Shown>,
    /// What could not be checked.
    pub not_checked: Vec<NotChecked>,
    /// Names of proposed medicines that are easily taken for others.
    pub alike: Vec<LookAlike>,
    /// What it rests on.
    pub release: Release,
    /// The sources elsewhere that took part, or should have.
    pub sources: Vec<Consulted>,
}

/// Checks the list of a patient. With `proposed` orders, answers what concerns any of them.
pub async fn check(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    proposed: &[Value<'_>],
) -> Result<CheckAnswer, AppError> {
    let mut regimen = regimen::load(app, caller, patient, "$medication-check").await?;
    regimen::extend(app, caller, &mut regimen, proposed).await?;
    let sources = sources(app).await?;
    Ok(judge(app, caller, &sources, &regimen, (proposed, When::Now)).await)
}

/// Checks one order of the record as if it were new, with the overrides that were given for it and still fit.
pub async fn of_order(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    order: Value<'_>,
) -> Result<(CheckAnswer, Vec<Override>), AppError> {
    let regimen = without(app, caller, patient, order).await?;
    let sources = sources(app).await?;
    let checked = judge(app, caller, &sources, &regimen, (&[order], When::Now)).await;
    let mut overrides = standing(app, caller, &checked, &regimen, For::Order).await?;
    let signed = signed(app, caller, order).await?;
    overrides.extend(signed.into_iter().flat_map(|one| one.given));
    Ok((checked, overrides))
}

/// The medicines of a patient beside an order: it is not compared with itself.
pub(super) async fn without(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    order: Value<'_>,
) -> Result<Regimen, AppError> {
    let mut regimen = regimen::load(app, caller, patient, "$medication-check").await?;
    regimen::extend(app, caller, &mut regimen, &[order]).await?;
    let own = order.get_str("id").unwrap_or_default();
    let own = format!("MedicationRequest/{own}");
    regimen.medicines.retain(|held| held.name() != own);
    Ok(regimen)
}

/// The decision, from what was loaded, with what sources elsewhere say.
pub(super) async fn judge(
    app: &App,
    caller: &Caller,
    sources: &Sources,
    regimen: &Regimen,
    (proposed, when): (&[Value<'_>], When),
) -> CheckAnswer {
    let facts = about(app, caller, regimen);
    let heard = hear(app, caller, sources, regimen, (proposed, when)).await;
    settle(sources, regimen, proposed, &facts, heard)
}

/// What sources elsewhere say of a list, and what products are not there: all of a check that another moment
/// may answer in another way.
pub(crate) async fn hear(
    app: &App,
    caller: &Caller,
    sources: &Sources,
    regimen: &Regimen,
    (proposed, when): (&[Value<'_>], When),
) -> Heard {
    let medicines = medicines(sources, regimen, proposed);
    let plain: Vec<Medicine> = medicines.into_iter().map(|one| one.medicine).collect();
    let mut heard = consult(app, caller, sources.knowledge, &plain, when).await;
    heard.gaps.splice(0..0, sources.gaps());
    heard
}

/// The decision alone: the same list, facts, releases and answers give the same findings.
pub(crate) fn settle(
    sources: &Sources,
    regimen: &Regimen,
    proposed: &[Value<'_>],
    facts: &Facts,
    heard: Heard,
) -> CheckAnswer {
    let knowledge = sources.knowledge;
    let Recorded {
        allergies: known,
        names,
    } = allergies(knowledge, &roots(&regimen.allergies));
    let medicines = medicines(sources, regimen, proposed);
    let plain: Vec<Medicine> = medicines.iter().map(|one| one.medicine.clone()).collect();
    let mut report = list(knowledge, facts, &known, &plain);
    report.not_checked.extend(heard.gaps);
    let Merged {
        alerts,
        not_checked,
    } = merge(knowledge, report, heard.answers);
    let first_new = plain.len() - proposed.len();
    let concerns =
        |places: &[usize]| proposed.is_empty() || places.iter().any(|at| *at >= first_new);
    let shown = alerts
        .into_iter()
        .filter(|alert| concerns(&alert.medicines))
        .filter_map(|alert| {
            let mut prints = fingerprints(knowledge, &alert, &plain, &known).into_iter();
            Some(Shown {
                fingerprint: prints.next()?,
                also: prints.collect(),
                alert,
            })
        });
    let named = names
        .into_iter()
        .filter_map(|(name, at)| Some((name, regimen.allergies.get(at)?.name())));
    CheckAnswer {
        patient: regimen.patient.key.clone(),
        allergies: named.collect(),
        alerts: shown.collect(),
        not_checked: not_checked
            .into_iter()
            .filter(|gap| gap.medicine().is_none_or(|at| concerns(&[at])))
            .collect(),
        alike: look_alikes(knowledge, &plain, first_new),
        release: Release::clone(knowledge.release()),
        sources: heard.sources,
        medicines,
    }
}

/// Names of new medicines' ingredients against the names of those that are taken, and against the pairs that
/// are known to be confused.
fn look_alikes(knowledge: &Knowledge, all: &[Medicine], first_new: usize) -> Vec<LookAlike> {
    let names = |list: &[Medicine]| -> Vec<String> {
        let parts = list.iter().flat_map(|own| &own.parts);
        let known = parts.filter_map(|part| knowledge.name(part.ingredient));
        let unknown = list.iter().flat_map(|own| own.unresolved.iter().cloned());
        known.map(str::to_owned).chain(unknown).collect()
    };
    let (held, new) = all.split_at_checked(first_new).unwrap_or((all, &[]));
    let held = names(held);
    let mut found: Vec<LookAlike> = Vec::new();
    let mut put = |one: LookAlike| {
        let known = |own: &LookAlike| own.other.eq_ignore_ascii_case(&one.other);
        if !found.iter().any(known) {
            found.push(one);
        }
    };
    for name in names(new) {
        for other in &held {
            let (ordered, other) = match alike::alike(&name, other) {
                Some(Alike::Known(one, other)) => (one.to_owned(), other.to_owned()),
                Some(Alike::Similar(_)) => (name.clone(), other.clone()),
                None => continue,
            };
            put(LookAlike {
                ordered,
                other,
                taken: true,
            });
        }
        for (ordered, other) in alike::known(&name) {
            put(LookAlike {
                ordered: ordered.to_owned(),
                other: other.to_owned(),
                taken: false,
            });
        }
    }
    found
}

/// The facts of the patient.
pub(super) fn about(app: &App, caller: &Caller, regimen: &Regimen) -> Facts {
    let zone = caller.tenant.time_zone.as_ref();
    facts_at(
        regimen,
        app.now(),
        zone.unwrap_or(&app.settings().time_zone),
    )
}

/// The facts of the patient at a moment.
pub(crate) fn facts_at(regimen: &Regimen, at: Timestamp, zone: &ZoneName) -> Facts {
    let observations = roots(&regimen.observations);
    let person = Some(regimen.patient.document.root());
    facts(person, &observations, at, &zone.zone())
}

/// The medicines on the record that stay, then the new ones.
fn medicines(sources: &Sources, regimen: &Regimen, proposed: &[Value<'_>]) -> Vec<Checked> {
    let replaced: Vec<String> = proposed
        .iter()
        .filter_map(|order| replaces(*order))
        .collect();
    let read = |resource: Value<'_>, reference: Option<String>| Checked {
        medicine: medicine(
            sources.knowledge,
            &sources.dictionary,
            resource,
            &regimen.medications,
        ),
        reference,
    };
    let held = regimen
        .medicines
        .iter()
        .filter(|held| !replaced.contains(&held.name()))
        .map(|held| read(held.document.root(), Some(held.name())));
    let new = proposed.iter().map(|order| read(*order, None));
    held.chain(new).collect()
}

/// The order on the record that a new one takes the place of, and that ends with it.
pub(super) fn replaces(order: Value<'_>) -> Option<String> {
    let reference = order.get("priorPrescription")?.get_str("reference")?;
    Some(reference.into_owned()).filter(|name| name.starts_with("MedicationRequest/"))
}

fn roots(list: &[Held]) -> Vec<Value<'_>> {
    list.iter().map(|held| held.document.root()).collect()
}
