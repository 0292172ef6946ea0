//! What sources elsewhere say of pairs of ingredients, as findings about a list. How loud a word of a source
//! is shown is data. Must not drop what is said: a word that no line maps is shown and named as not mapped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use kernel::{Categorised, Category};
use sha2::{Digest as _, Sha256};

use super::{Finding, Medicine, NotChecked};
use crate::knowledge::builtin::digits;
use crate::knowledge::{Evidence, IngredientId, Kind, Release, Rule, Tier};

/// Why a map of severities is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {0} of the severity map is not kind | word | low, moderate, high or contraindicated")]
pub struct SeverityError(pub usize);

impl Categorised for SeverityError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

/// How loud the words of sources are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Severities(BTreeMap<(String, String), Tier>);

static BUILT_IN: LazyLock<Result<Severities, SeverityError>> =
    LazyLock::new(|| Severities::read(include_str!("../knowledge/data/severities.txt")));

impl Severities {
    /// The map that ships with the house.
    ///
    /// # Errors
    /// A line that cannot be read.
    pub fn built_in() -> Result<&'static Self, &'static SeverityError> {
        BUILT_IN.as_ref()
    }

    /// Reads a map.
    ///
    /// # Errors
    /// The first line that cannot be read, or that maps a word again.
    pub fn read(text: &str) -> Result<Self, SeverityError> {
        let mut own = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            let [kind, word, tier] = parts.as_slice() else {
                return Err(SeverityError(number));
            };
            let tier = match *tier {
                "low" => Tier::Low,
                "moderate" => Tier::Moderate,
                "high" => Tier::High,
                "contraindicated" => Tier::Contraindicated,
                _ => return Err(SeverityError(number)),
            };
            let key = ((*kind).to_owned(), word.to_lowercase());
            if own.insert(key, tier).is_some() {
                return Err(SeverityError(number));
            }
        }
        Ok(Self(own))
    }

    fn tier(&self, kind: &str, word: Option<&str>) -> Option<Tier> {
        let word = word.unwrap_or("-").trim().to_lowercase();
        self.0.get(&(kind.to_owned(), word)).copied()
    }
}

/// What a source says of two ingredients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Stable id within the source.
    pub id: String,
    /// The two.
    pub between: (IngredientId, IngredientId),
    /// How bad, in the source's word.
    pub severity: Option<String>,
    /// What may happen.
    pub effect: String,
    /// Why.
    pub mechanism: String,
    /// What to do.
    pub management: String,
    /// Where the fact stands.
    pub citations: Vec<String>,
    /// The source, its version and terms; the hash is of the statement and is filled in here.
    pub release: Release,
}

/// What a source's statements come to for a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stated {
    /// Findings.
    pub findings: Vec<Finding>,
    /// Words that no line of the map has.
    pub unmapped: BTreeSet<String>,
}

/// A severity that nobody mapped is shown like this.
const UNMAPPED: Tier = Tier::Moderate;

/// The findings of statements of a kind of source about a list.
#[must_use]
pub fn findings(
    severities: &Severities,
    kind: &str,
    statements: &[Statement],
    medicines: &[Medicine],
) -> Stated {
    let mut stated = Stated::default();
    let parts: Vec<(usize, &Medicine, IngredientId)> = medicines
        .iter()
        .enumerate()
        .flat_map(|(at, one)| one.parts.iter().map(move |part| (at, one, part.ingredient)))
        .collect();
    for statement in statements {
        let mapped = severities.tier(kind, statement.severity.as_deref());
        let tier = mapped.unwrap_or_else(|| {
            let word = statement.severity.clone().unwrap_or_default();
            stated.unmapped.insert(word);
            UNMAPPED
        });
        let rule = Arc::new(rule(statement, tier));
        for (number, (at, one, a)) in parts.iter().enumerate() {
            for (other_at, other, b) in parts.iter().skip(number + 1) {
                let pair = (*a, *b) == statement.between || (*b, *a) == statement.between;
                if !pair || at == other_at || a == b {
                    continue;
                }
                // Little of a cream is absorbed; a source that knows no routes says so of tablets.
                let local = [one, other]
                    .iter()
                    .any(|own| own.route.as_ref().is_some_and(super::Route::is_local));
                stated.findings.push(Finding {
                    rule: Arc::clone(&rule),
                    tier: if local {
                        tier.min(Tier::Moderate)
                    } else {
                        tier
                    },
                    demoted: None,
                    medicines: vec![*at, *other_at],
                    ingredients: vec![*a, *b],
                    allergy: None,
                });
            }
        }
    }
    stated
}

fn rule(statement: &Statement, tier: Tier) -> Rule {
    let mut hash = Sha256::new();
    let severity = statement.severity.as_deref().unwrap_or_default();
    for text in [
        &statement.id,
        severity,
        &statement.effect,
        &statement.mechanism,
        &statement.management,
    ] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    Rule {
        id: statement.id.clone(),
        kind: Kind::Interaction,
        tier,
        effect: statement.effect.clone(),
        mechanism: statement.mechanism.clone(),
        management: statement.management.clone(),
        evidence: if statement.severity.is_none() {
            Evidence::Label
        } else {
            Evidence::Unstated
        },
        citations: statement.citations.clone(),
        high_priority: None,
        separate_minutes: None,
        any_route: false,
        release: Arc::new(Release {
            sha256: digits(&hash.finalize()),
            ..statement.release.clone()
        }),
    }
}

/// The gaps of a list where a source told nothing of ingredients: one for each medicine.
#[must_use]
pub fn gaps(
    source: &str,
    why: &str,
    missing: &BTreeSet<IngredientId>,
    medicines: &[Medicine],
) -> Vec<NotChecked> {
    let own = medicines.iter().enumerate().filter(|(_, one)| {
        let mut parts = one.parts.iter();
        parts.any(|part| missing.contains(&part.ingredient))
    });
    own.map(|(at, _)| NotChecked::Elsewhere(at, source.to_owned(), why.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Part, Route};
    use crate::knowledge::{DrugKnowledge as _, Knowledge, builtin};

    fn known() -> &'static Knowledge {
        builtin::built_in().unwrap()
    }

    fn medicine(name: &str, route: &str) -> Medicine {
        Medicine {
            name: name.to_owned(),
            parts: vec![Part {
                ingredient: known().ingredient(name).unwrap(),
                single: None,
                daily: None,
            }],
            unresolved: Vec::new(),
            route: Some(Route {
                name: route.to_owned(),
            }),
        }
    }

    fn said(a: &str, b: &str, severity: Option<&str>) -> Statement {
        Statement {
            id: format!("{a}-{b}"),
            between: (
                known().ingredient(a).unwrap(),
                known().ingredient(b).unwrap(),
            ),
            severity: severity.map(str::to_owned),
            effect: "Bleeding.".to_owned(),
            mechanism: String::new(),
            management: String::new(),
            citations: Vec::new(),
            release: Release {
                source: "other".to_owned(),
                version: "1".to_owned(),
                effective: String::new(),
                licence: String::new(),
                sha256: String::new(),
            },
        }
    }

    #[test]
    fn words_of_sources_are_shown_as_the_map_says() {
        let severities = Severities::built_in().unwrap();
        let list = [
            medicine("ibuprofen", "oral"),
            medicine("paracetamol", "oral"),
            medicine("warfarin", "oral"),
        ];
        for (kind, word, tier, unmapped) in [
            ("openfda", None, Tier::Low, false),
            ("drugbank", Some("Major"), Tier::High, false),
            ("drugbank", Some("minor"), Tier::Low, false),
            (
                "formulary",
                Some("contraindicated"),
                Tier::Contraindicated,
                false,
            ),
            // A word from nowhere is seen, and named.
            ("drugbank", Some("dreadful"), Tier::Moderate, true),
            ("formulary", Some(""), Tier::Moderate, true),
            ("formulary", None, Tier::Moderate, true),
        ] {
            let found = findings(
                severities,
                kind,
                &[said("warfarin", "ibuprofen", word)],
                &list,
            );
            assert_eq!(found.findings.len(), 1, "{kind} {word:?}");
            assert_eq!(found.findings[0].tier, tier, "{kind} {word:?}");
            assert_eq!(found.findings[0].medicines, [0, 2]);
            assert_eq!(!found.unmapped.is_empty(), unmapped, "{kind} {word:?}");
        }
    }

    #[test]
    fn creams_and_products_put_together_on_purpose() {
        let severities = Severities::built_in().unwrap();
        let gel = [
            medicine("warfarin", "oral"),
            medicine("ibuprofen", "cutaneous"),
        ];
        let statements = [said("warfarin", "ibuprofen", Some("major"))];
        let found = findings(severities, "drugbank", &statements, &gel);
        assert_eq!(found.findings[0].tier, Tier::Moderate);
        let mut one = medicine("warfarin", "oral");
        one.parts.extend(medicine("ibuprofen", "oral").parts);
        let found = findings(severities, "drugbank", &statements, &[one]);
        assert!(found.findings.is_empty());
    }

    #[test]
    fn a_statement_that_changes_has_another_hash() {
        let severities = Severities::built_in().unwrap();
        let list = [medicine("warfarin", "oral"), medicine("ibuprofen", "oral")];
        let hash = |statement: Statement| {
            let found = findings(severities, "drugbank", &[statement], &list);
            found.findings[0].rule.release.sha256.clone()
        };
        let first = hash(said("warfarin", "ibuprofen", Some("major")));
        assert_eq!(first, hash(said("warfarin", "ibuprofen", Some("major"))));
        assert_ne!(first, hash(said("warfarin", "ibuprofen", Some("minor"))));
        let mut other = said("warfarin", "ibuprofen", Some("major"));
        other.management = "Watch.".to_owned();
        assert_ne!(first, hash(other));
    }

    #[test]
    fn maps_are_read_or_refused_by_line() {
        for (text, line) in [
            ("drugbank | major", 1),
            ("# so\ndrugbank | major | loud", 2),
            ("a | b | low\na | B | high", 2),
        ] {
            assert_eq!(Severities::read(text), Err(SeverityError(line)), "{text}");
        }
    }
}
