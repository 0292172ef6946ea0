//! Answers of sources elsewhere, kept on the instance by source, ingredient and partner, with version and
//! time. They hold nothing of a patient or a tenant. Must not keep a failure, nor that nothing is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use connect::knowledge::{Claim, Concept, Said, SourceSetting, Unit};
use identity::{SystemTask, system_scope};
use kernel::TenantId;
use medication::knowledge::IngredientId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{DocExpected, DocKind, DocWrite};

use super::Shelf;
use crate::App;

/// When something was answered, and from what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub at_ms: i64,
    pub version: String,
    pub effective: String,
    pub licence: String,
}

impl Stamp {
    /// The version; of a source that names none, the day of the answer.
    pub fn version(&self) -> String {
        if self.version.is_empty() {
            let day = kernel::Timestamp::from_millis(self.at_ms).to_string();
            return format!("answered {}", day.get(..10).unwrap_or(&day));
        }
        self.version.clone()
    }
}

/// Something a source said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptClaim {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub severity: Option<String>,
    pub effect: String,
    pub mechanism: String,
    pub management: String,
    pub citations: Vec<String>,
}

/// Another ingredient beside this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Partner {
    /// When the pair was answered; none where the whole ingredient is answered at a time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stamp: Option<Stamp>,
    pub claims: Vec<KeptClaim>,
}

/// What a source answered of an ingredient.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The source's id of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub own: Option<String>,
    /// When everything about it was answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub whole: Option<Stamp>,
    /// When the source did not know it. Said at the bedside; no reason not to ask again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_known_ms: Option<i64>,
    pub partners: BTreeMap<String, Partner>,
    /// The version of the document; 0 for one that is not there.
    #[serde(skip)]
    pub document: u32,
}

/// How long a document is believed before it is read again, in milliseconds.
const BELIEVED_MS: i64 = 30_000;

/// Documents that were read lately.
pub(super) struct Cache(moka::sync::Cache<String, (i64, Arc<Kept>)>);

impl Default for Cache {
    fn default() -> Self {
        Self(moka::sync::Cache::new(5_000))
    }
}

/// The start of the ids of a source's answers: another address or region is another source.
pub(super) fn place(setting: &SourceSetting) -> String {
    let text = format!("{}|{}|{}", setting.kind.word(), setting.url, setting.region);
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
    format!("{}/{}", setting.name, hash.get(..16).unwrap_or(&hash))
}

/// The answer on a pair, in whichever order it stands.
pub(super) fn pair<'s>(shelf: &'s Shelf, one: &str, other: &str) -> Option<&'s Stamp> {
    let (first, second) = if one < other {
        (one, other)
    } else {
        (other, one)
    };
    shelf.get(first)?.partners.get(second)?.stamp.as_ref()
}

/// What is kept of the ingredients of a list. What cannot be read is not there: it is asked for again, or
/// said to be missing.
pub(super) async fn load(app: &App, place: &str, about: &[(IngredientId, Concept)]) -> Shelf {
    let now = app.now().as_millis();
    let cache = &app.caches().elsewhere.kept.0;
    let mut shelf = Shelf::new();
    for (_, one) in about {
        let id = format!("{place}/{}", one.key);
        let known = cache.get(&id);
        let known = known.filter(|(at, _)| (0..BELIEVED_MS).contains(&now.saturating_sub(*at)));
        let kept = if let Some((_, kept)) = known {
            kept
        } else {
            let kept = Arc::new(read(app, &id).await);
            cache.insert(id, (now, Arc::clone(&kept)));
            kept
        };
        shelf.insert(one.key.clone(), Kept::clone(&kept));
    }
    shelf
}

async fn read(app: &App, id: &str) -> Kept {
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Jobs);
    match app.store().doc(&scope, DocKind::KnowledgeAnswer, id).await {
        Ok(Some(doc)) => Kept {
            document: doc.version,
            ..serde_json::from_slice(&doc.body).unwrap_or_default()
        },
        Ok(None) => Kept::default(),
        Err(error) => {
            tracing::warn!(%error, "a kept answer cannot be read; it is not used");
            Kept::default()
        }
    }
}

fn kept(claim: Claim) -> KeptClaim {
    KeptClaim {
        id: claim.id,
        severity: claim.severity,
        effect: claim.effect,
        mechanism: claim.mechanism,
        management: claim.management,
        citations: claim.citations,
    }
}

/// Takes what was said in; returns the keys of what changed.
pub(super) fn take(
    shelf: &mut Shelf,
    unit: Unit,
    said: Said,
    stamp: Option<Stamp>,
    at_ms: i64,
) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    for (key, id) in said.own {
        let own = shelf.entry(key.clone()).or_default();
        if own.own.as_ref() != Some(&id) {
            own.own = Some(id);
            changed.insert(key);
        }
    }
    for key in said.unknown {
        shelf.entry(key.clone()).or_default().not_known_ms = Some(at_ms);
        changed.insert(key);
    }
    let Some(stamp) = stamp else { return changed };
    for key in &said.answered {
        let own = shelf.entry(key.clone()).or_default();
        own.not_known_ms = None;
        if unit == Unit::Ingredient {
            own.partners.clear();
            own.whole = Some(stamp.clone());
        }
        changed.insert(key.clone());
    }
    if unit == Unit::Pair {
        // Every pair of those that were answered is answered, with claims or without.
        for one in &said.answered {
            for other in said.answered.iter().filter(|other| one < *other) {
                let partner = Partner {
                    stamp: Some(stamp.clone()),
                    claims: Vec::new(),
                };
                let own = shelf.entry(one.clone()).or_default();
                own.partners.insert(other.clone(), partner);
            }
        }
    }
    for claim in said.claims {
        let (one, other) = claim.between.clone();
        let turned = unit == Unit::Pair && one > other;
        let (first, second) = if turned { (other, one) } else { (one, other) };
        let own = shelf.entry(first).or_default();
        own.partners
            .entry(second)
            .or_default()
            .claims
            .push(kept(claim));
    }
    changed
}

/// Keeps what changed. Who was quicker wins: what is lost is asked for again.
pub(super) async fn save(
    app: &App,
    place: &str,
    shelf: &Shelf,
    changed: &BTreeSet<String>,
    keep_s: i64,
) {
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Jobs);
    let now = app.now();
    for key in changed {
        let Some(own) = shelf.get(key) else { continue };
        let Ok(body) = serde_json::to_vec(own) else {
            continue;
        };
        let id = format!("{place}/{key}");
        let write = DocWrite {
            kind: DocKind::KnowledgeAnswer,
            id: id.clone(),
            expected: match own.document {
                0 => DocExpected::Absent,
                version => DocExpected::Version(version),
            },
            body: Some(body),
            time: now,
            expires: Some(now.plus_seconds(keep_s)),
            lookups: Vec::new(),
        };
        if let Err(error) = app.store().operate(&scope, vec![write]).await {
            tracing::debug!(%error, "an answer was not kept");
        }
        app.caches().elsewhere.kept.0.invalidate(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            at_ms: 1,
            version: "1".to_owned(),
            effective: String::new(),
            licence: String::new(),
        }
    }

    fn claim(a: &str, b: &str) -> Claim {
        Claim {
            id: format!("{a}-{b}"),
            between: (a.to_owned(), b.to_owned()),
            severity: None,
            effect: "x".to_owned(),
            mechanism: String::new(),
            management: String::new(),
            citations: Vec::new(),
        }
    }

    fn said(answered: &[&str], claims: Vec<Claim>) -> Said {
        Said {
            answered: answered.iter().map(|key| (*key).to_owned()).collect(),
            claims,
            ..Said::default()
        }
    }

    #[test]
    fn pairs_are_kept_once_and_found_in_both_orders() {
        let mut shelf = Shelf::new();
        let answer = said(&["b", "a", "c"], vec![claim("b", "a")]);
        take(&mut shelf, Unit::Pair, answer, Some(stamp()), 1);
        for (one, other) in [("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")] {
            assert_eq!(pair(&shelf, one, other), Some(&stamp()), "{one} {other}");
        }
        assert_eq!(pair(&shelf, "a", "d"), None);
        assert_eq!(shelf["a"].partners["b"].claims.len(), 1);
        assert!(shelf["a"].partners["c"].claims.is_empty());
        // Asked again, an answer takes the place of the one before.
        let answer = said(&["a", "b"], vec![claim("a", "b")]);
        take(&mut shelf, Unit::Pair, answer, Some(stamp()), 2);
        assert_eq!(shelf["a"].partners["b"].claims.len(), 1);
    }

    #[test]
    fn a_label_is_kept_for_its_own_ingredient_and_replaced_as_a_whole() {
        let mut shelf = Shelf::new();
        let answer = said(&["b"], vec![claim("b", "a"), claim("b", "z")]);
        take(&mut shelf, Unit::Ingredient, answer, Some(stamp()), 1);
        assert_eq!(shelf["b"].partners.len(), 2);
        assert_eq!(shelf["b"].whole, Some(stamp()));
        let answer = said(&["b"], vec![claim("b", "a")]);
        take(&mut shelf, Unit::Ingredient, answer, Some(stamp()), 1);
        assert_eq!(shelf["b"].partners.len(), 1);
    }

    #[test]
    fn what_failed_or_is_not_known_is_no_answer() {
        let mut shelf = Shelf::new();
        let answer = Said {
            unknown: vec!["a".to_owned()],
            ..Said::default()
        };
        let changed = take(&mut shelf, Unit::Ingredient, answer, None, 7);
        assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(
            (&shelf["a"].whole, shelf["a"].not_known_ms),
            (&None, Some(7))
        );
        assert!(
            take(
                &mut shelf,
                Unit::Pair,
                said(&["a", "b"], Vec::new()),
                None,
                8
            )
            .is_empty()
        );
        assert_eq!(pair(&shelf, "a", "b"), None);
    }
}
