//! The 31 source attributes that certified health IT must be able to show for a predictive decision-support
//! intervention (45 CFR 170.315(b)(11)(iv)(B), the HTI-1 final rule, 89 FR 1192), in the rule's order. Must
//! not judge what a developer wrote: an attribute that was left out is shown as left out.

use std::collections::BTreeMap;

/// One attribute: its key in a manifest, its number in the rule and what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// The key in a manifest.
    pub key: &'static str,
    /// Its number below 170.315(b)(11)(iv)(B).
    pub number: &'static str,
    /// What is asked.
    pub asked: &'static str,
}

const fn ask(key: &'static str, number: &'static str, asked: &'static str) -> Attribute {
    Attribute { key, number, asked }
}

impl Attribute {
    /// Every attribute in the rule's order.
    pub const ALL: [Self; 31] = [
        ask("developer", "(1)(i)", "Name and contact of the developer"),
        ask(
            "funding",
            "(1)(ii)",
            "Funding of the technical implementation",
        ),
        ask("output", "(1)(iii)", "Value that is produced as output"),
        ask(
            "output_kind",
            "(1)(iv)",
            "Whether the output is a prediction, classification, recommendation, evaluation, analysis or other",
        ),
        ask("intended_use", "(2)(i)", "Intended use"),
        ask(
            "intended_population",
            "(2)(ii)",
            "Intended patient population",
        ),
        ask("intended_users", "(2)(iii)", "Intended users"),
        ask(
            "decision_role",
            "(2)(iv)",
            "Intended role in decisions (informs, augments, replaces)",
        ),
        ask(
            "cautioned_use",
            "(3)(i)",
            "Tasks, situations or populations where use is cautioned against",
        ),
        ask(
            "known_risks",
            "(3)(ii)",
            "Known risks, inappropriate settings and uses, limitations",
        ),
        ask(
            "training_criteria",
            "(4)(i)",
            "Criteria of inclusion in and exclusion from the training data",
        ),
        ask(
            "equity_variables",
            "(4)(ii)",
            "Race, ethnicity, language, sexual orientation, gender identity, sex, age, social determinants and health status as inputs",
        ),
        ask(
            "training_demographics",
            "(4)(iii)",
            "Demographic representativeness of the training data",
        ),
        ask(
            "training_relevance",
            "(4)(iv)",
            "Relevance of the training data to the setting of use",
        ),
        ask("fairness_approach", "(5)(i)", "Approach to a fair output"),
        ask(
            "bias_approach",
            "(5)(ii)",
            "Approaches to manage, reduce or eliminate bias",
        ),
        ask(
            "external_source",
            "(6)(i)",
            "Source, setting or environment of external validation",
        ),
        ask("external_party", "(6)(ii)", "Who did the external testing"),
        ask(
            "external_demographics",
            "(6)(iii)",
            "Demographic representativeness of the external data",
        ),
        ask(
            "external_process",
            "(6)(iv)",
            "Process of external validation",
        ),
        ask(
            "validity_internal",
            "(7)(i)",
            "Validity in test data from the training source",
        ),
        ask(
            "fairness_internal",
            "(7)(ii)",
            "Fairness in test data from the training source",
        ),
        ask(
            "validity_external",
            "(7)(iii)",
            "Validity in data from another source",
        ),
        ask(
            "fairness_external",
            "(7)(iv)",
            "Fairness in data from another source",
        ),
        ask(
            "outcome_evaluations",
            "(7)(v)",
            "Evaluations of use on outcomes, with references",
        ),
        ask(
            "validity_monitoring",
            "(8)(i)",
            "How and how often validity is monitored",
        ),
        ask("validity_local", "(8)(ii)", "Validity in local data"),
        ask(
            "fairness_monitoring",
            "(8)(iii)",
            "How and how often fairness is monitored",
        ),
        ask("fairness_local", "(8)(iv)", "Fairness in local data"),
        ask(
            "update_process",
            "(9)(i)",
            "How and how often it is updated",
        ),
        ask(
            "correction_frequency",
            "(9)(ii)",
            "How often performance is corrected when risks are found",
        ),
    ];
}

/// What a developer wrote for the attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceAttributes(BTreeMap<&'static str, String>);

impl SourceAttributes {
    /// Keeps what was written; the first key that is no attribute is given back.
    ///
    /// # Errors
    /// The unknown key.
    pub(super) fn new(written: BTreeMap<String, String>) -> Result<Self, String> {
        let mut kept = BTreeMap::new();
        for (key, text) in written {
            let known = Attribute::ALL.iter().find(|a| a.key == key);
            kept.insert(known.ok_or(key)?.key, text);
        }
        Ok(Self(kept))
    }

    /// Every attribute with its text, nothing where it was left out.
    pub fn iter(&self) -> impl Iterator<Item = (Attribute, Option<&str>)> {
        Attribute::ALL.into_iter().map(|attribute| {
            let text = self.0.get(attribute.key);
            (attribute, text.map(String::as_str))
        })
    }

    /// One attribute by its key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Keys that were left out.
    pub fn absent(&self) -> impl Iterator<Item = &'static str> {
        self.iter()
            .filter(|(_, text)| text.is_none())
            .map(|(attribute, _)| attribute.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_31_and_each_key_is_one() {
        let keys: std::collections::BTreeSet<_> = Attribute::ALL.iter().map(|a| a.key).collect();
        let numbers: std::collections::BTreeSet<_> =
            Attribute::ALL.iter().map(|a| a.number).collect();
        assert_eq!((keys.len(), numbers.len()), (31, 31));
        let written = BTreeMap::from([("funding".to_owned(), "none".to_owned())]);
        let attributes = SourceAttributes::new(written).unwrap();
        assert_eq!(attributes.get("funding"), Some("none"));
        assert_eq!(attributes.absent().count(), 30);
        let wrong = BTreeMap::from([("price".to_owned(), String::new())]);
        assert_eq!(SourceAttributes::new(wrong), Err("price".to_owned()));
    }
}
