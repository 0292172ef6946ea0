//! Cards of a call, from what the checks found: one for each alert, one for what was not checked, one for
//! names that are taken for others. Pure: the same findings give the same bytes. Must not leave out an alert
//! that interrupts, nor repeat a text from outside as mark-up.

use std::fmt::Write as _;

use medication::checks::Finding;
use medication::checks::overrides::Reason;
use medication::knowledge::{Kind, Tier};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::services::Voice;
use crate::medicines::check::{CheckAnswer, Shown};
use crate::medicines::issue::{self, REASON, title};

/// System of the topics of cards.
pub const TOPIC: &str = "https://theriac.example.org/fhir/CodeSystem/card-topic";
/// Name of the extension of a card that says which rules are behind it.
pub const EXTENSION: &str = "org.example.theriac.alert";
/// A summary has fewer characters than this.
const SUMMARY: usize = 140;

/// A suggestion of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSuggestion {
    /// Its id.
    pub id: Uuid,
    /// What it says.
    pub label: String,
}

/// A card as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCard {
    /// Its id.
    pub id: Uuid,
    /// What it says.
    pub summary: String,
    /// How loudly: `info`, `warning`, `critical`.
    pub indicator: String,
    /// What an override of it holds for; none of a card that is no alert.
    pub fingerprint: Option<String>,
    /// The tier of the alert.
    pub tier: Option<String>,
    /// The rules behind it, as reports name them.
    pub rules: Vec<String>,
    /// Its suggestions.
    pub suggestions: Vec<KeptSuggestion>,
}

/// What cards are made from.
pub(super) struct Making<'a> {
    pub answer: &'a CheckAnswer,
    /// The proposed orders by the caller's names, in order.
    pub drafts: Vec<Option<&'a str>>,
    /// What could not be had.
    pub gaps: &'a [String],
    pub voice: Voice,
    /// The call: the ids of cards come from it.
    pub call: Uuid,
    /// A page about the medicines of the patient; none where the patient is not of this record.
    pub page: Option<&'a str>,
    /// The page of the log that says what the cards rest on.
    pub log: &'a str,
}

/// The coded reasons of overrides with their words.
pub const REASONS: [(Reason, &str, &str); 9] = [
    (
        Reason::BenefitOutweighsRisk,
        "benefit-outweighs-risk",
        "The benefit outweighs the risk",
    ),
    (
        Reason::Monitored,
        "monitored",
        "It is watched by tests or observation",
    ),
    (
        Reason::ToleratedBefore,
        "tolerated-before",
        "Taken before without harm",
    ),
    (
        Reason::Adjusted,
        "adjusted",
        "Dose or time was changed to lower the risk",
    ),
    (
        Reason::SpecialistAdvice,
        "specialist-advice",
        "A specialist's plan",
    ),
    (Reason::ShortCourse, "short-course", "Short course"),
    (Reason::EndOfLife, "end-of-life", "End of life"),
    (
        Reason::NotApplicable,
        "not-applicable",
        "The alert does not fit this patient (say why)",
    ),
    (Reason::Other, "other", "Another reason (say which)"),
];

/// The body of the answer, and the cards as the log keeps them.
pub(super) fn make(making: &Making<'_>) -> (String, Vec<KeptCard>) {
    let mut cards = Vec::new();
    let mut kept = Vec::new();
    let mut put = |(card, own): (Value, KeptCard)| {
        cards.push(card);
        kept.push(own);
    };
    let alerts = making.answer.alerts.iter();
    let said = alerts.filter(|own| match making.voice {
        Voice::All => true,
        Voice::Loud => own.alert.tier.interrupts(),
    });
    for shown in said {
        put(alert(making, shown));
    }
    if let Some(card) = unchecked(making) {
        put(card);
    }
    if let Some(card) = alike(making) {
        put(card);
    }
    (json!({ "cards": cards }).to_string(), kept)
}

/// An id that the same call gives to the same thing again.
fn id(making: &Making<'_>, what: &str) -> Uuid {
    let hash = Sha256::new()
        .chain_update(b"theriac/card/v1")
        .chain_update(making.call.as_bytes())
        .chain_update(what.as_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(own, of)| *own = of);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

const fn indicator(tier: Tier) -> &'static str {
    match tier {
        Tier::Contraindicated | Tier::High => "critical",
        Tier::Moderate => "warning",
        Tier::Low => "info",
    }
}

/// The code and words of a topic.
const fn topic(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Interaction => ("interaction", "Drug interaction"),
        Kind::Allergy => ("allergy", "Allergy"),
        Kind::Duplicate => ("duplicate", "Duplicate therapy"),
        Kind::Dose => ("dose", "Dose"),
        Kind::Caution => ("caution", "Caution for this patient"),
        Kind::Route => ("route", "Route"),
        Kind::Clear => ("clear", "No alert needed"),
    }
}

fn source(making: &Making<'_>, name: &str, version: &str, topic: (&str, &str)) -> Value {
    let label = if version.is_empty() {
        name.to_owned()
    } else {
        format!("{name} ({version})")
    };
    json!({
        "label": label, "url": making.log,
        "topic": { "system": TOPIC, "code": topic.0, "display": topic.1 },
    })
}

/// A sentence as a summary: one line of fewer than 140 characters.
fn summary(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() < SUMMARY {
        return line;
    }
    let mut cut: String = line.chars().take(SUMMARY - 2).collect();
    cut.push('\u{2026}');
    cut
}

/// A text as Markdown that shows it as it is: names come from other people's records.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' => {
                out.push('\\');
                out.push(letter);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

fn alert(making: &Making<'_>, shown: &Shown) -> (Value, KeptCard) {
    let (answer, alert) = (making.answer, &shown.alert);
    let first = alert.findings.first();
    let release = first.map_or(&answer.release, |own| &own.rule.release);
    let name = title(answer, shown);
    let effect = first.map_or("", |own| own.rule.effect.as_str());
    let head = if name.contains(effect.trim_end_matches('.')) {
        name
    } else {
        format!("{name}: {}", effect.trim_end_matches('.'))
    };
    let summary = summary(&head);
    let own = id(making, &shown.fingerprint.0);
    let suggestions = suggestions(making, shown);
    let mut card = json!({
        "uuid": own, "summary": summary, "detail": detail(answer, shown),
        "indicator": indicator(alert.tier),
        "source": source(making, &release.source, &release.version, topic(alert.kind)),
    });
    let mut set = |member: &str, value: Value| {
        if let Some(object) = card.as_object_mut() {
            object.insert(member.to_owned(), value);
        }
    };
    if !suggestions.is_empty() {
        let list: Vec<Value> = suggestions.iter().map(|(value, _)| value.clone()).collect();
        set("suggestions", list.into());
        set("selectionBehavior", "at-most-one".into());
    }
    set("overrideReasons", reasons());
    if let Some(page) = making.page {
        set(
            "links",
            json!([{ "label": "Medicines of the patient", "url": page, "type": "absolute" }]),
        );
    }
    set(
        "extension",
        json!({ EXTENSION: {
            "tier": issue::tier(alert.tier), "fingerprint": shown.fingerprint.0,
            "rules": alert.findings.iter().map(rule).collect::<Vec<_>>(),
        }}),
    );
    let kept = KeptCard {
        id: own,
        summary,
        indicator: indicator(alert.tier).to_owned(),
        fingerprint: Some(shown.fingerprint.0.clone()),
        tier: Some(issue::tier(alert.tier).to_owned()),
        rules: alert.findings.iter().map(named).collect(),
        suggestions: suggestions.into_iter().map(|(_, own)| own).collect(),
    };
    (card, kept)
}

/// A rule as reports of overrides name it.
fn named(finding: &Finding) -> String {
    let rule = &finding.rule;
    if rule.release.source.is_empty() {
        return rule.id.clone();
    }
    format!("{} ({})", rule.id, rule.release.source)
}

fn rule(finding: &Finding) -> Value {
    let release = &finding.rule.release;
    let parts = [
        ("id", &finding.rule.id),
        ("source", &release.source),
        ("version", &release.version),
        ("sha256", &release.sha256),
    ];
    let parts: Map<String, Value> = parts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.as_str().into()))
        .collect();
    parts.into()
}

/// What the alert says, with every source, as Markdown.
fn detail(answer: &CheckAnswer, shown: &Shown) -> String {
    let mut text = format!("**{}**\n", plain(&title(answer, shown)));
    for finding in &shown.alert.findings {
        let rule = &finding.rule;
        let parts = [
            ("What may happen", &rule.effect),
            ("Why", &rule.mechanism),
            ("What to do", &rule.management),
        ];
        for (name, part) in parts {
            if !part.is_empty() {
                let _ = write!(text, "\n- {name}: {}", plain(part));
            }
        }
        let release = &rule.release;
        let _ = write!(
            text,
            "\n- Rule: {} of {}",
            plain(&rule.id),
            plain(&release.source)
        );
        if !release.version.is_empty() {
            let _ = write!(text, " {}", plain(&release.version));
        }
        if !rule.citations.is_empty() {
            let _ = write!(text, "\n- Sources: {}", plain(&rule.citations.join("; ")));
        }
        text.push('\n');
    }
    if shown.alert.tier == Tier::Contraindicated {
        text.push_str("\nGoing on needs a second person.\n");
    }
    text
}

fn reasons() -> Value {
    let all = REASONS.iter();
    all.map(|(_, code, display)| json!({ "system": REASON, "code": code, "display": display }))
        .collect()
}

/// Leaving out each draft that the alert is about.
fn suggestions(making: &Making<'_>, shown: &Shown) -> Vec<(Value, KeptSuggestion)> {
    let all = making.answer.medicines.len();
    let first_new = all - making.drafts.len().min(all);
    let about = shown.alert.medicines.iter().filter(|at| **at >= first_new);
    let found = about.filter_map(|at| {
        let name = (*making.drafts.get(at - first_new)?)?;
        let medicine = &making.answer.medicines.get(*at)?.medicine.name;
        let label = summary(&format!("Do not order {medicine}"));
        let own = id(making, &format!("{} {name}", shown.fingerprint.0));
        let value = json!({
            "label": label, "uuid": own,
            "actions": [{
                "type": "delete", "description": format!("Removes the draft order of {medicine}"),
                "resourceId": name,
            }],
        });
        Some((value, KeptSuggestion { id: own, label }))
    });
    found.collect()
}

/// The card of what was not checked: unknown is never safe.
fn unchecked(making: &Making<'_>) -> Option<(Value, KeptCard)> {
    let answer = making.answer;
    let plain_list: Vec<_> = answer
        .medicines
        .iter()
        .map(|one| one.medicine.clone())
        .collect();
    let gaps = answer.not_checked.iter().map(|gap| gap.words(&plain_list));
    let all: Vec<String> = making.gaps.iter().cloned().chain(gaps).collect();
    let (first, more) = (all.first()?, all.len() - 1);
    let head = if more == 0 {
        format!("Not checked: {first}")
    } else {
        format!("Not checked, {} things: {first}", more + 1)
    };
    let mut text = "Not everything could be checked. No alert about it means nothing:\n".to_owned();
    for gap in &all {
        let _ = write!(text, "\n- {}", plain(gap));
    }
    Some(quiet(
        making,
        "not-checked",
        "warning",
        &head,
        &text,
        "Not checked",
    ))
}

/// The card of names that are taken for others.
fn alike(making: &Making<'_>) -> Option<(Value, KeptCard)> {
    let pairs = &making.answer.alike;
    if making.voice == Voice::Loud || making.drafts.is_empty() {
        return None;
    }
    let first = pairs.first()?;
    let head = format!(
        "Names that are easily confused: {} and {}",
        first.ordered, first.other
    );
    let mut text = "Make sure that the one is meant that was ordered:\n".to_owned();
    for own in pairs {
        let taken = if own.taken {
            ", which is taken too"
        } else {
            ""
        };
        let _ = write!(
            text,
            "\n- {} is confused with {}{taken}",
            plain(&own.ordered),
            plain(&own.other)
        );
    }
    Some(quiet(
        making,
        "look-alike",
        "info",
        &head,
        &text,
        "Names that look alike",
    ))
}

/// A card that is no alert.
fn quiet(
    making: &Making<'_>,
    code: &str,
    indicator: &str,
    head: &str,
    detail: &str,
    display: &str,
) -> (Value, KeptCard) {
    let release = &making.answer.release;
    let (own, summary) = (id(making, code), summary(head));
    let card = json!({
        "uuid": own, "summary": summary, "detail": detail, "indicator": indicator,
        "source": source(making, &release.source, &release.version, (code, display)),
    });
    let kept = KeptCard {
        id: own,
        summary,
        indicator: indicator.to_owned(),
        fingerprint: None,
        tier: None,
        rules: Vec::new(),
        suggestions: Vec::new(),
    };
    (card, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_one_short_line() {
        assert_eq!(
            summary("Warfarin  with\nibuprofen"),
            "Warfarin with ibuprofen"
        );
        for length in [138, 139, 140, 141, 500] {
            let cut = summary(&"\u{e4}".repeat(length));
            assert!(cut.chars().count() < 140, "{length}");
            assert_eq!(cut.ends_with('\u{2026}'), length > 139);
        }
    }

    #[test]
    fn names_are_no_mark_up() {
        let text = plain("<img src=x onerror=alert(1)> [a](javascript:b) *c* `d`");
        assert_eq!(
            text,
            r"&lt;img src=x onerror=alert(1)&gt; \[a\](javascript:b) \*c\* \`d\`"
        );
    }

    #[test]
    fn reasons_have_the_codes_of_overrides() {
        for (reason, code, display) in REASONS {
            assert_eq!(serde_json::to_value(reason).unwrap(), code);
            assert!(!display.is_empty());
        }
    }
}
