//! What the checks found, as pages show it. Must not leave out an alert, a source or a gap.

use core::fmt::Write as _;

use app::medicines::check::{CheckAnswer, Shown};
use app::medicines::issue::title;
use medication::checks::Finding;
use medication::checks::overrides::Override;
use medication::knowledge::{Kind, Release, Tier};

use crate::components::Tone;
use crate::edge::visit::Visit;
use crate::pages::medicines::alert::{AlertView, Answer, Checks, REASONS};

/// The word of a tier.
pub(super) const fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Low => "Low",
        Tier::Moderate => "Moderate",
        Tier::High => "High",
        Tier::Contraindicated => "Contraindicated",
    }
}

/// Its colour.
pub(super) const fn tone(tier: Tier) -> Tone {
    match tier {
        Tier::Low => Tone::Plain,
        Tier::Moderate => Tone::Info,
        Tier::High => Tone::Warn,
        Tier::Contraindicated => Tone::Bad,
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Interaction => "Interaction",
        Kind::Allergy => "Allergy",
        Kind::Duplicate => "Duplicate",
        Kind::Dose => "Dose",
        Kind::Caution => "Caution",
        Kind::Route => "Route",
        Kind::Clear => "No alert needed",
    }
}

/// The words of a reason.
pub(super) fn reason(code: &str) -> String {
    let known = REASONS.iter().find(|(own, _)| *own == code);
    known.map_or_else(|| code.to_owned(), |(_, words)| (*words).to_owned())
}

/// A coded reason as its code.
pub(super) fn code(reason: medication::checks::overrides::Reason) -> String {
    let code = serde_json::to_value(reason).unwrap_or_default();
    code.as_str().unwrap_or_default().to_owned()
}

fn sourced(finding: &Finding) -> String {
    let rule = &finding.rule;
    let release = &rule.release;
    let evidence = serde_json::to_value(rule.evidence).unwrap_or_default();
    let evidence = evidence.as_str().unwrap_or("unstated").replace('_', " ");
    let mut text = format!("Rule {}", rule.id);
    if !release.source.is_empty() {
        let _ = write!(text, " of {} {}", release.source, release.version);
    }
    let _ = write!(text, "; evidence: {evidence}");
    if !rule.citations.is_empty() {
        let _ = write!(text, "; {}", rule.citations.join("; "));
    }
    if finding.demoted.is_some() {
        text.push_str("; shown more quietly than the rule says, as a listed pair");
    }
    text
}

/// The address of a resource's page.
fn record(visit: &Visit, name: &str) -> String {
    visit.href(&format!("/records/{name}"))
}

/// One alert; `state` says how it stands.
pub(super) fn alert(
    visit: &Visit,
    answer: &CheckAnswer,
    (number, shown): (usize, &Shown),
    overrides: &[Override],
) -> AlertView {
    let own = &shown.alert;
    let mut says = Vec::new();
    for finding in &own.findings {
        let rule = &finding.rule;
        for (label, text) in [
            ("Effect", &rule.effect),
            ("Why", &rule.mechanism),
            ("What to do", &rule.management),
        ] {
            let said = (label, text.clone());
            if !text.is_empty() && !says.contains(&said) {
                says.push(said);
            }
        }
    }
    let medicines = own.medicines.iter().filter_map(|at| {
        let checked = answer.medicines.get(*at)?;
        let name = checked.reference.as_deref();
        let href = name.map(|name| record(visit, name)).unwrap_or_default();
        Some((href, checked.medicine.name.clone()))
    });
    let allergies = own.findings.iter().filter_map(|finding| {
        let (name, address) = answer.allergies.get(finding.allergy?)?;
        Some((record(visit, address), format!("allergy to {name}")))
    });
    let mut data: Vec<(String, String)> = medicines.collect();
    for allergy in allergies {
        if !data.contains(&allergy) {
            data.push(allergy);
        }
    }
    let given = overrides
        .iter()
        .find(|one| one.fingerprint == shown.fingerprint);
    let state = given.map(|given| {
        let text = given.text.as_deref().map(|text| format!(": {text}"));
        let text = text.unwrap_or_default();
        format!("Answered: {}{text}", reason(&code(given.reason)))
    });
    AlertView {
        id: format!("alert-{number}"),
        tier: tier(own.tier),
        tone: tone(own.tier),
        interrupts: own.tier.interrupts(),
        title: title(answer, shown),
        kind: kind(own.kind),
        says,
        sources: own.findings.iter().map(sourced).collect(),
        data,
        state: state.unwrap_or_default(),
        answer: None,
    }
}

/// What the knowledge is.
fn release(release: &Release) -> String {
    let hash = release.sha256.get(..12).unwrap_or(&release.sha256);
    format!(
        "Checked with {} {} ({}), content {hash}.",
        release.source, release.version, release.effective
    )
}

/// Everything the checks say.
pub(super) fn checks(visit: &Visit, answer: &CheckAnswer, overrides: &[Override]) -> Checks {
    let plain: Vec<_> = answer
        .medicines
        .iter()
        .map(|one| one.medicine.clone())
        .collect();
    Checks {
        alerts: answer
            .alerts
            .iter()
            .enumerate()
            .map(|one| alert(visit, answer, one, overrides))
            .collect(),
        not_checked: answer
            .not_checked
            .iter()
            .map(|gap| crate::edge::answer::sentence(&gap.words(&plain)))
            .collect(),
        release: release(&answer.release),
        compared: answer.medicines.len(),
    }
}

/// Gives the alerts that interrupt fields to answer them, with what was chosen already.
pub(super) fn ask(
    checks: &mut Checks,
    answer: &CheckAnswer,
    chosen: &dyn Fn(&str) -> (String, String),
    wrong: &dyn Fn(usize) -> Option<String>,
) {
    for (at, (view, shown)) in checks.alerts.iter_mut().zip(&answer.alerts).enumerate() {
        if !view.interrupts || !view.state.is_empty() {
            continue;
        }
        let (reason, text) = chosen(&shown.fingerprint.0);
        let error = wrong(at).map(|error| crate::edge::answer::sentence(&error));
        let second = shown.alert.tier == Tier::Contraindicated;
        let own = Answer::of(
            at,
            &shown.fingerprint.0,
            second,
            (&reason, &text),
            error.as_deref(),
        );
        view.answer = Some(own);
        view.state = if second {
            "Contraindicated: to go on, give a reason in words. The order then waits for a second person.".to_owned()
        } else {
            "To go on, give a reason.".to_owned()
        };
    }
}

/// The answers that a form holds: fingerprint, reason, text.
pub(super) fn answers(form: &crate::edge::form::Form) -> Vec<(String, String, String)> {
    (0..200)
        .filter_map(|number| {
            let of = |name: &str| form.text(&format!("{name}-{number}")).to_owned();
            let fingerprint = of("alert");
            (!fingerprint.is_empty()).then(|| (fingerprint, of("reason"), of("text")))
        })
        .collect()
}

/// As overrides: those with a reason.
pub(super) fn overrides(answers: &[(String, String, String)]) -> Vec<Override> {
    answers
        .iter()
        .filter_map(|(fingerprint, reason, text)| {
            Some(Override {
                fingerprint: medication::checks::overrides::Fingerprint(fingerprint.clone()),
                reason: serde_json::from_value(reason.clone().into()).ok()?,
                text: (!text.is_empty()).then(|| text.clone()),
                by: String::new(),
                second: None,
            })
        })
        .collect()
}
