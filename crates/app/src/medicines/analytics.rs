//! What became of the alerts that held up an order, by rule: shown, followed, overridden, for which reasons
//! and by whom, and which rules a clinical safety officer should look at. From the record alone: every alert
//! that held up an order is a DetectedIssue. Must not change a rule.

use std::collections::{BTreeMap, BTreeSet};

use fhir::json::{Document, Limits, Value};
use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use ledger::leaf::Class;
use medication::checks::analytics::{Counts, Outcome, count, to_review};

use super::issue::{FINGERPRINT, RULE, SOURCE, TIER};
use super::prescribe::{given, resource_type};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::cds_hooks::facts::Side;
use crate::cds_hooks::feedback;
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::search::{SearchRequest, search, whole};

/// Most alerts of one report.
const MOST: u32 = 20_000;
/// Decided alerts from which on a rule may be proposed for review.
pub const LEAST: u64 = 10;
/// Overridden of a hundred from which on it is.
pub const PERCENT: u64 = 90;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Its id, with source and version.
    pub name: String,
    /// The loudest tier it was shown with.
    pub tier: String,
    /// What it is about: the words of its last alert.
    pub about: String,
    /// The counts.
    pub counts: Counts,
    /// Overrides by who gave them.
    pub who: BTreeMap<String, u64>,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By rule, the most shown first.
    pub rules: Vec<Rule>,
    /// Orders that were written in the time.
    pub orders: u64,
    /// Names of the rules to look at, the most overridden first.
    pub review: Vec<String>,
    /// Alerts that cannot be read.
    pub unread: usize,
    /// What was not checked when orders were written, by source.
    pub unchecked: BTreeMap<String, Unchecked>,
}

/// A source that did not tell what orders were to be checked with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unchecked {
    /// Orders that were written without it.
    pub orders: u64,
    /// When that happened last, and why, as it was kept with the order.
    pub last: (String, String),
}

impl Rule {
    /// Overrides for 1,000 orders; none where there were no orders.
    #[must_use]
    pub fn per_thousand(&self, orders: u64) -> Option<u64> {
        self.counts
            .overridden
            .saturating_mul(1_000)
            .checked_div(orders)
    }
}

/// One alert of the record.
struct Alert {
    key: (String, String),
    rules: Vec<String>,
    outcome: Outcome,
    tier: String,
    about: String,
    by: Option<String>,
    patient: String,
}

/// Reports on a time.
pub async fn report(
    app: &App,
    caller: &Caller,
    (from, to): (Timestamp, Timestamp),
) -> Result<Report, AppError> {
    if to <= from {
        return Err(AppError::Invalid(
            "the time ends before it begins: correct one of the days".to_owned(),
        ));
    }
    let ty = resource_type(app, "DetectedIssue")?;
    let allowed = authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await?;
    let between = |param: &str| {
        vec![
            (param.to_owned(), format!("ge{}", from.to_fhir_instant())),
            (param.to_owned(), format!("lt{}", to.to_fhir_instant())),
        ]
    };
    let request = SearchRequest {
        ty,
        params: between("identified"),
        lenient: false,
    };
    let (found, _) = whole(app, caller, &request, MOST).await?;
    let mut alerts = Vec::new();
    let mut unread = 0;
    let mut unchecked = BTreeMap::new();
    let mut seen: BTreeSet<LogicalId> = BTreeSet::new();
    for version in found {
        let Some(body) = version.body else { continue };
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let Some(fingerprint) = fingerprint(document.root()) else {
            if unheard(document.root(), &mut unchecked) {
                seen.extend(patient(document.root()).and_then(|own| own.parse().ok()));
            }
            continue; // or of others
        };
        match alert(document.root(), fingerprint) {
            Some(alert) => alerts.push(alert),
            None => unread += 1,
        }
    }
    let named = alerts.iter();
    seen.extend(named.filter_map(|own| own.patient.parse::<LogicalId>().ok()));
    // Whose patients those are is not looked up for somebody who reaches some only.
    if !allowed.is_narrowed() {
        alerts.extend(of_cards(app, caller, (from, to), &mut seen).await?);
    }
    let seen: Vec<LogicalId> = seen.into_iter().collect();
    let look = Look {
        class: Class::Search,
        object: None,
        query: Some("DetectedIssue/$override-report"),
        patients: &seen,
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    let mut report = told(&alerts);
    report.unread = unread;
    report.unchecked = unchecked;
    report.orders = orders(app, caller, between("authoredon")).await?;
    Ok(report)
}

/// What became of cards in other systems.
async fn of_cards(
    app: &App,
    caller: &Caller,
    time: (Timestamp, Timestamp),
    seen: &mut BTreeSet<LogicalId>,
) -> Result<Vec<Alert>, AppError> {
    let told = feedback::between(app, caller, time).await?;
    let ours = told.iter().filter(|own| own.side == Side::Ours);
    seen.extend(ours.filter_map(|own| own.patient.parse::<LogicalId>().ok()));
    Ok(told.into_iter().filter_map(of_card).collect())
}

async fn orders(
    app: &App,
    caller: &Caller,
    mut params: Vec<(String, String)>,
) -> Result<u64, AppError> {
    params.push(("_summary".to_owned(), "count".to_owned()));
    let request = SearchRequest {
        ty: resource_type(app, "MedicationRequest")?,
        params,
        lenient: false,
    };
    Ok(search(app, caller, &request).await?.total.unwrap_or(0))
}

/// What became of a card that showed an alert in another system; none of a card that is no alert. Where it
/// was of another record its patients are told apart from ours.
fn of_card(own: feedback::Outcome) -> Option<Alert> {
    let card = own.card;
    let patient = match own.side {
        Side::Ours => own.patient,
        Side::Theirs => format!("{} {}", own.by, own.patient),
    };
    Some(Alert {
        key: (patient.clone(), card.fingerprint?),
        rules: card.rules,
        outcome: match &own.overridden {
            Some(why) => Outcome::Overridden(why.reason),
            None => Outcome::Accepted,
        },
        tier: card.tier.unwrap_or_default(),
        about: card.summary,
        by: Some(match own.user {
            Some(user) => format!("{user} by {}", own.by),
            None => own.by,
        }),
        patient,
    })
}

/// What an alert of ours holds for; none of a DetectedIssue that others wrote.
fn fingerprint(issue: Value<'_>) -> Option<String> {
    let identifiers = issue.get("identifier").into_iter().flat_map(Value::items);
    let found = identifiers
        .filter(|own| own.get_str("system").as_deref() == Some(FINGERPRINT))
        .find_map(|own| own.get_str("value"))?;
    Some(found.into_owned())
}

/// The id of the patient.
fn patient(issue: Value<'_>) -> Option<String> {
    let name = issue.get("patient")?.get_str("reference")?;
    Some(name.strip_prefix("Patient/").unwrap_or(&name).to_owned())
}

/// Counts what says that a source did not tell; `false` for what is something else.
fn unheard(issue: Value<'_>, by: &mut BTreeMap<String, Unchecked>) -> bool {
    let mut extensions = issue.get("extension").into_iter().flat_map(Value::items);
    let source = extensions
        .find(|own| own.get_str("url").as_deref() == Some(SOURCE))
        .and_then(|own| own.get_str("valueString"));
    let Some(source) = source else { return false };
    let own = by.entry(source.into_owned()).or_default();
    own.orders += 1;
    let text = |name: &str| issue.get_str(name).unwrap_or_default().into_owned();
    let this = (text("identifiedDateTime"), text("detail"));
    if this.0 >= own.last.0 {
        own.last = this;
    }
    true
}

fn alert(issue: Value<'_>, fingerprint: String) -> Option<Alert> {
    let extensions = || issue.get("extension").into_iter().flat_map(Value::items);
    let tier = extensions()
        .find(|own| own.get_str("url").as_deref() == Some(TIER))
        .and_then(|own| own.get_str("valueCode"))?
        .into_owned();
    let rules: Vec<String> = extensions()
        .filter(|own| own.get_str("url").as_deref() == Some(RULE))
        .filter_map(named)
        .collect();
    let patient = patient(issue)?;
    let outcome = match issue.get_str("status").as_deref() {
        Some("final") => Outcome::Overridden(given(issue).first()?.reason),
        Some("preliminary") => Outcome::Accepted,
        _ => return None,
    };
    let mitigation = issue.get("mitigation").and_then(|list| list.items().next());
    let author = mitigation.and_then(|own| own.get("author"));
    let by = author.and_then(|own| own.get_str("display").or_else(|| own.get_str("reference")));
    let about = issue.get_str("detail").unwrap_or_default();
    let about = about.split(". ").next().unwrap_or_default().to_owned();
    (!rules.is_empty()).then(|| Alert {
        key: (patient.clone(), fingerprint),
        rules,
        outcome,
        tier,
        about,
        by: by.map(std::borrow::Cow::into_owned),
        patient,
    })
}

/// The name of a rule: its id, and where it is from.
fn named(rule: Value<'_>) -> Option<String> {
    let part = |name: &str| {
        let parts = rule.get("extension").into_iter().flat_map(Value::items);
        parts
            .filter(|own| own.get_str("url").as_deref() == Some(name))
            .find_map(|own| own.get_str("valueString").map(std::borrow::Cow::into_owned))
    };
    let id = part("id")?;
    let source = part("source").unwrap_or_default();
    Some(if source.is_empty() {
        id
    } else {
        format!("{id} ({source})")
    })
}

/// Counts alerts by rule. One that held up an order and was overridden afterwards is one alert.
fn told(alerts: &[Alert]) -> Report {
    let gone_on: BTreeSet<(String, String)> = alerts
        .iter()
        .filter(|own| matches!(own.outcome, Outcome::Overridden(_)))
        .map(|own| own.key.clone())
        .collect();
    let counted: Vec<&Alert> = alerts
        .iter()
        .filter(|own| own.outcome != Outcome::Accepted || !gone_on.contains(&own.key))
        .collect();
    let events = counted
        .iter()
        .flat_map(|own| own.rules.iter().map(|rule| (rule.as_str(), own.outcome)));
    let counts = count(events);
    let review: Vec<String> = to_review(&counts, LEAST, PERCENT)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
    for own in &counted {
        for name in &own.rules {
            let rule = rules.entry(name).or_default();
            rule.name.clone_from(name);
            rule.about.clone_from(&own.about);
            if rank(&own.tier) >= rank(&rule.tier) {
                rule.tier.clone_from(&own.tier);
            }
            if matches!(own.outcome, Outcome::Overridden(_)) {
                let by = own.by.clone().unwrap_or_else(|| "not named".to_owned());
                *rule.who.entry(by).or_default() += 1;
            }
        }
    }
    let mut rules: Vec<Rule> = rules
        .into_values()
        .map(|rule| Rule {
            counts: counts.get(&rule.name).cloned().unwrap_or_default(),
            ..rule
        })
        .collect();
    rules.sort_by(|a, b| (b.counts.shown, &a.name).cmp(&(a.counts.shown, &b.name)));
    Report {
        rules,
        review,
        ..Report::default()
    }
}

fn rank(tier: &str) -> usize {
    let tiers = ["low", "moderate", "high", "contraindicated"];
    tiers.iter().position(|own| *own == tier).unwrap_or(0)
}
