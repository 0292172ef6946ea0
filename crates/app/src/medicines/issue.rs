//! Alerts and gaps as FHIR: DetectedIssue resources, and the Parameters that the operations answer. Must
//! not decide what is shown: everything that was found is here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use medication::checks::overrides::Override;
use medication::checks::{Finding, NotChecked};
use medication::knowledge::{Kind, Tier};
use serde_json::{Map, Value, json};

use super::check::{CheckAnswer, Shown};
use super::elsewhere::Consulted;

/// System of the identifiers by which an alert is known again: what an override holds for.
pub const FINGERPRINT: &str = "https://theriac.example.org/fhir/alert-fingerprint";
/// Extension of DetectedIssue: how loudly it speaks (`contraindicated`, `high`, `moderate`, `low`).
pub const TIER: &str = "https://theriac.example.org/fhir/StructureDefinition/alert-tier";
/// Extension of DetectedIssue: a rule behind it, with the extensions `id`, `source`, `version`, `sha256`.
pub const RULE: &str = "https://theriac.example.org/fhir/StructureDefinition/alert-rule";
/// System of the coded reasons of overrides.
pub const REASON: &str = "https://theriac.example.org/fhir/CodeSystem/override-reason";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// Sets a member of an object.
pub(crate) fn set(object: &mut Value, member: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(member.to_owned(), value.into());
    }
}

/// The code of a tier.
#[must_use]
pub const fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Low => "low",
        Tier::Moderate => "moderate",
        Tier::High => "high",
        Tier::Contraindicated => "contraindicated",
    }
}

fn severity(tier: Tier) -> &'static str {
    match tier {
        Tier::Low => "low",
        Tier::Moderate => "moderate",
        Tier::High | Tier::Contraindicated => "high",
    }
}

/// Code and display of HL7 v3 ActCode for a kind of alert; none where it has no fitting one.
fn category(kind: Kind) -> (Option<(&'static str, &'static str)>, &'static str) {
    match kind {
        Kind::Interaction => (Some(("DRG", "Drug Interaction Alert")), "Interaction"),
        Kind::Allergy => (Some(("ALGY", "Allergy Alert")), "Allergy"),
        Kind::Duplicate => (Some(("DUPTHPY", "Duplicate Therapy Alert")), "Duplicate"),
        Kind::Dose => (Some(("DOSE", "Dosage problem")), "Dose"),
        Kind::Caution => (Some(("COND", "Condition Alert")), "Caution"),
        Kind::Route => (None, "Route"),
        Kind::Clear => (None, "No alert needed"),
    }
}

/// The names of the medicines of an alert: `Warfarin 1mg tablet with Ibuprofen 400mg tablet`; of one
/// medicine alone with what it is about.
#[must_use]
pub fn title(answer: &CheckAnswer, shown: &Shown) -> String {
    let names = shown.alert.medicines.iter().filter_map(|at| {
        let checked = answer.medicines.get(*at)?;
        Some(checked.medicine.name.as_str())
    });
    let mut title = names.collect::<Vec<_>>().join(" with ");
    let allergy = shown
        .alert
        .findings
        .iter()
        .find_map(|finding| finding.allergy);
    if let Some((name, _)) = allergy.and_then(|at| answer.allergies.get(at)) {
        title = format!("{title}; allergy: {name}");
    } else if shown.alert.medicines.len() == 1
        && let Some(finding) = shown.alert.findings.first()
    {
        title = format!("{title}: {}", finding.rule.effect.trim_end_matches('.'));
    }
    title
}

/// What it says, with every source: effect, mechanism, what to do.
#[must_use]
pub fn detail(answer: &CheckAnswer, shown: &Shown) -> String {
    let mut text = format!("{}.", title(answer, shown));
    for finding in &shown.alert.findings {
        let rule = &finding.rule;
        // Our own words need no name; those of others are theirs.
        if rule.release.source != answer.release.source {
            let (source, version) = (&rule.release.source, &rule.release.version);
            let _ = write!(text, " {source} ({version}):");
        }
        for part in [&rule.effect, &rule.mechanism, &rule.management] {
            if !part.is_empty() {
                text.push(' ');
                text.push_str(part.trim_end_matches('.'));
                text.push('.');
            }
        }
    }
    text
}

/// How an alert stands when it is written down.
#[derive(Debug, Clone, Copy)]
pub struct Stand<'a> {
    /// The address of the new order, for what it implicates.
    pub order: Option<&'a str>,
    /// The override, with who gave it as a FHIR Reference.
    pub overridden: Option<(&'a Override, &'a Value)>,
    /// When, as a FHIR instant.
    pub at: &'a str,
}

/// The DetectedIssue of an alert.
#[must_use]
pub fn detected_issue(answer: &CheckAnswer, shown: &Shown, stand: &Stand<'_>) -> Value {
    let alert = &shown.alert;
    let (coding, text) = category(alert.kind);
    let mut code = json!({ "text": text });
    if let Some((own, display)) = coding {
        set(
            &mut code,
            "coding",
            json!([{ "system": ACT_CODE, "code": own, "display": display }]),
        );
    }
    let mut extensions = vec![json!({ "url": TIER, "valueCode": tier(alert.tier) })];
    extensions.extend(alert.findings.iter().map(rule));
    let mut issue = json!({
        "resourceType": "DetectedIssue",
        "extension": extensions,
        "identifier": identifiers(shown),
        "status": if stand.overridden.is_some() { "final" } else { "preliminary" },
        "code": code,
        "severity": severity(alert.tier),
        "patient": { "reference": format!("Patient/{}", answer.patient.id.as_str()) },
        "identifiedDateTime": stand.at,
        "implicated": implicated(answer, shown, stand.order),
        "detail": detail(answer, shown),
        "evidence": alert.findings.iter().map(evidence).collect::<Vec<_>>(),
    });
    if let Some((given, by)) = stand.overridden {
        set(
            &mut issue,
            "mitigation",
            json!([mitigation(given, by, stand.at)]),
        );
    }
    issue
}

fn identifiers(shown: &Shown) -> Vec<Value> {
    let all = core::iter::once(&shown.fingerprint).chain(&shown.also);
    all.map(|print| json!({ "system": FINGERPRINT, "value": print.0 }))
        .collect()
}

/// Extension of DetectedIssue: the source that did not tell.
pub const SOURCE: &str = "https://theriac.example.org/fhir/StructureDefinition/not-checked-source";

/// What sources elsewhere did not tell of a list, to be kept with the order: one DetectedIssue for each
/// source, with every reason.
pub(super) fn unchecked(answer: &CheckAnswer, stand: &Stand<'_>) -> Vec<Value> {
    let plain: Vec<_> = answer
        .medicines
        .iter()
        .map(|one| one.medicine.clone())
        .collect();
    let mut sources: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for gap in &answer.not_checked {
        if let NotChecked::Source(source, _) | NotChecked::Elsewhere(_, source, _) = gap {
            let words = sources.entry(source).or_default();
            words.push(gap.words(&plain));
        }
    }
    let issues = sources.into_iter().map(|(source, words)| {
        let mut issue = json!({
            "resourceType": "DetectedIssue",
            "extension": [{ "url": SOURCE, "valueString": source }],
            "status": "final",
            "code": { "text": "Not checked" },
            "patient": { "reference": format!("Patient/{}", answer.patient.id.as_str()) },
            "identifiedDateTime": stand.at,
            "detail": words.join(". "),
        });
        if let Some(order) = stand.order {
            set(&mut issue, "implicated", json!([{ "reference": order }]));
        }
        issue
    });
    issues.collect()
}

fn implicated(answer: &CheckAnswer, shown: &Shown, order: Option<&str>) -> Vec<Value> {
    let medicines = shown.alert.medicines.iter().filter_map(|at| {
        let checked = answer.medicines.get(*at)?;
        let mut reference = Map::new();
        if let Some(address) = checked.reference.as_deref().or(order) {
            reference.insert("reference".to_owned(), address.into());
        }
        reference.insert("display".to_owned(), checked.medicine.name.as_str().into());
        Some(Value::Object(reference))
    });
    let allergies = shown.alert.findings.iter().filter_map(|finding| {
        let (name, address) = answer.allergies.get(finding.allergy?)?;
        Some(json!({ "reference": address, "display": name }))
    });
    let mut all: Vec<Value> = medicines.collect();
    for allergy in allergies {
        if !all.contains(&allergy) {
            all.push(allergy);
        }
    }
    all
}

fn rule(finding: &Finding) -> Value {
    let release = &finding.rule.release;
    let parts = [
        ("id", &finding.rule.id),
        ("source", &release.source),
        ("version", &release.version),
        ("sha256", &release.sha256),
    ];
    // A rule of the checks themselves has no hash of a release.
    let parts: Vec<Value> = parts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(url, value)| json!({ "url": url, "valueString": value }))
        .collect();
    json!({ "url": RULE, "extension": parts })
}

fn evidence(finding: &Finding) -> Value {
    let grade = serde_json::to_value(finding.rule.evidence).unwrap_or_default();
    let grade = grade.as_str().unwrap_or("unstated").to_owned();
    let text = if finding.rule.citations.is_empty() {
        grade
    } else {
        format!("{grade}: {}", finding.rule.citations.join("; "))
    };
    json!({ "code": [{ "text": text }] })
}

fn mitigation(given: &Override, by: &Value, at: &str) -> Value {
    let code = serde_json::to_value(given.reason).unwrap_or_default();
    let mut action = json!({ "coding": [{ "system": REASON, "code": code }] });
    if let Some(text) = &given.text {
        set(&mut action, "text", text.as_str());
    }
    json!({ "action": action, "date": at, "author": by })
}

/// A source elsewhere and its part in a check.
fn source(own: &Consulted) -> Value {
    let mut parts = vec![
        json!({ "name": "name", "valueString": own.name }),
        json!({ "name": "state", "valueCode": own.how.code() }),
    ];
    for (name, value) in [
        ("version", &own.version),
        ("effective", &own.effective),
        ("licence", &own.licence),
    ] {
        if !value.is_empty() {
            parts.push(json!({ "name": name, "valueString": value }));
        }
    }
    if let Some(at) = own.at {
        parts.push(json!({ "name": "answered", "valueInstant": at.to_fhir_instant() }));
    }
    json!({ "name": "source", "part": parts })
}

/// The Parameters that tell what came of a check.
#[must_use]
pub fn parameters(answer: &CheckAnswer, at: &str) -> Value {
    let stand = Stand {
        order: None,
        overridden: None,
        at,
    };
    let mut parts = vec![json!({ "name": "release", "part": [
        { "name": "source", "valueString": answer.release.source },
        { "name": "version", "valueString": answer.release.version },
        { "name": "sha256", "valueString": answer.release.sha256 },
    ]})];
    parts.extend(answer.medicines.iter().map(|checked| {
        let mut part = vec![json!({ "name": "name", "valueString": checked.medicine.name })];
        if let Some(reference) = &checked.reference {
            part.push(json!({ "name": "order", "valueReference": { "reference": reference } }));
        }
        json!({ "name": "medicine", "part": part })
    }));
    parts.extend(answer.alerts.iter().map(|shown| {
        json!({ "name": "alert", "part": [
            { "name": "title", "valueString": title(answer, shown) },
            { "name": "tier", "valueCode": tier(shown.alert.tier) },
            { "name": "interrupts", "valueBoolean": shown.alert.tier.interrupts() },
            { "name": "fingerprint", "valueString": shown.fingerprint.0 },
            { "name": "issue", "resource": detected_issue(answer, shown, &stand) },
        ]})
    }));
    parts.extend(answer.sources.iter().map(source));
    parts.extend(answer.alike.iter().map(|own| {
        json!({ "name": "look-alike", "part": [
            { "name": "ordered", "valueString": own.ordered },
            { "name": "other", "valueString": own.other },
            { "name": "taken", "valueBoolean": own.taken },
        ]})
    }));
    let plain: Vec<_> = answer
        .medicines
        .iter()
        .map(|one| one.medicine.clone())
        .collect();
    parts.extend(
        answer
            .not_checked
            .iter()
            .map(|gap| json!({ "name": "not-checked", "valueString": gap.words(&plain) })),
    );
    json!({ "resourceType": "Parameters", "parameter": parts })
}
