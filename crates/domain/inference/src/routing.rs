//! Which model a case goes to, by declared rules: the first rule whose conditions all hold. A rule that may
//! hold, because something is not known, stops the search: choosing a later one could give an adult's model
//! to a child whose age nobody recorded. Must not choose by default.

use kernel::{Categorised, Category};
use serde::{Deserialize, Serialize};

use crate::package::ModelName;

/// What is known of a case; what is absent is not known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// DICOM modality of the study, where there is one.
    pub modality: Option<String>,
    /// Age in whole years.
    pub age: Option<u32>,
    /// Administrative sex, as FHIR's `administrative-gender`; `unknown` is not known.
    pub sex: Option<String>,
    /// The organisation's site.
    pub site: Option<String>,
    /// The device that made the data.
    pub device: Option<String>,
    /// Names of inputs that were found; always known.
    pub inputs: Vec<String>,
}

/// A condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Condition {
    /// The modality is one of these.
    Modality(Vec<String>),
    /// The age lies between these, both included.
    Age {
        /// Least age in years.
        from: u32,
        /// Largest age in years.
        to: u32,
    },
    /// The sex is one of these.
    Sex(Vec<String>),
    /// The site is one of these.
    Site(Vec<String>),
    /// The device is one of these.
    Device(Vec<String>),
    /// All of these inputs were found.
    Inputs(Vec<String>),
}

/// A rule: all conditions, then this model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, shown with the answer.
    pub name: String,
    /// The model.
    pub model: ModelName,
    /// What must hold.
    #[serde(default)]
    pub when: Vec<Condition>,
}

/// Rules in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// Why rules were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Two of one name, or one without.
    #[error("routing rule '{0}' has no name of its own; give each another one")]
    Name(String),
    /// A condition nothing can meet.
    #[error(
        "routing rule '{0}' asks for something of an empty list or range; fill it or take it out"
    )]
    Empty(String),
    /// A rule behind one that always holds.
    #[error("routing rule '{0}' is never reached: the rule before it always holds")]
    Unreached(String),
}

impl Categorised for RulesError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// Where a case goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To this model, by this rule.
    To {
        /// The model.
        model: ModelName,
        /// The rule.
        rule: String,
    },
    /// Nowhere: this rule may hold, but something is not known.
    NotKnown {
        /// The rule.
        rule: String,
        /// What is not known.
        facts: Vec<&'static str>,
    },
    /// Nowhere: no rule is about such a case.
    NoModel,
}

enum Holds {
    Yes,
    No,
    NotKnown(&'static str),
}

impl Condition {
    fn holds(&self, facts: &Facts) -> Holds {
        let among = |name: &'static str, fact: &Option<String>, list: &[String]| match fact {
            None => Holds::NotKnown(name),
            Some(fact) if list.contains(fact) => Holds::Yes,
            Some(_) => Holds::No,
        };
        match self {
            Self::Modality(list) => among("modality", &facts.modality, list),
            Self::Site(list) => among("site", &facts.site, list),
            Self::Device(list) => among("device", &facts.device, list),
            Self::Sex(list) => {
                let sex = facts.sex.clone().filter(|sex| sex != "unknown");
                among("sex", &sex, list)
            }
            Self::Age { from, to } => match facts.age {
                None => Holds::NotKnown("age"),
                Some(age) if (*from..=*to).contains(&age) => Holds::Yes,
                Some(_) => Holds::No,
            },
            Self::Inputs(list) => {
                if list.iter().all(|input| facts.inputs.contains(input)) {
                    Holds::Yes
                } else {
                    Holds::No
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Modality(list)
            | Self::Sex(list)
            | Self::Site(list)
            | Self::Device(list)
            | Self::Inputs(list) => list.is_empty(),
            Self::Age { from, to } => from > to,
        }
    }
}

impl Rules {
    /// Rules in their order.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn new(rules: Vec<Rule>) -> Result<Self, RulesError> {
        for (place, rule) in rules.iter().enumerate() {
            let name = || rule.name.clone();
            let earlier = || rules.iter().take(place);
            if rule.name.trim().is_empty() || earlier().any(|other| other.name == rule.name) {
                return Err(RulesError::Name(name()));
            }
            if rule.when.iter().any(Condition::is_empty) {
                return Err(RulesError::Empty(name()));
            }
            if earlier().any(|other| other.when.is_empty()) {
                return Err(RulesError::Unreached(name()));
            }
        }
        Ok(Self(rules))
    }

    /// The rules.
    #[must_use]
    pub fn all(&self) -> &[Rule] {
        &self.0
    }

    /// Where a case goes.
    #[must_use]
    pub fn route(&self, facts: &Facts) -> Route {
        for rule in &self.0 {
            let mut unknown = Vec::new();
            let mut fails = false;
            for condition in &rule.when {
                match condition.holds(facts) {
                    Holds::Yes => {}
                    Holds::No => fails = true,
                    Holds::NotKnown(fact) => unknown.push(fact),
                }
            }
            if fails {
                continue;
            }
            let name = rule.name.clone();
            if unknown.is_empty() {
                let model = rule.model.clone();
                return Route::To { model, rule: name };
            }
            unknown.dedup();
            return Route::NotKnown {
                rule: name,
                facts: unknown,
            };
        }
        Route::NoModel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    fn rule(name: &str, when: Vec<Condition>) -> Rule {
        Rule {
            name: name.to_owned(),
            model: ModelName::new(&format!("model-{name}")).unwrap(),
            when,
        }
    }

    fn rules() -> Rules {
        Rules::new(vec![
            rule("child", vec![Condition::Age { from: 0, to: 17 }]),
            rule(
                "chest",
                vec![
                    Condition::Modality(words(&["CR", "DX"])),
                    Condition::Inputs(words(&["image"])),
                ],
            ),
            rule("women", vec![Condition::Sex(words(&["female"]))]),
        ])
        .unwrap()
    }

    #[test]
    fn the_first_rule_that_holds_wins_and_the_unknown_stops() {
        let facts = |age, sex: Option<&str>, modality: Option<&str>| Facts {
            age,
            sex: sex.map(str::to_owned),
            modality: modality.map(str::to_owned),
            inputs: words(&["image"]),
            ..Facts::default()
        };
        let to = |name: &str| Route::To {
            model: ModelName::new(&format!("model-{name}")).unwrap(),
            rule: name.to_owned(),
        };
        let stopped = |rule: &str, fact: &'static str| Route::NotKnown {
            rule: rule.to_owned(),
            facts: vec![fact],
        };
        let cases = [
            (facts(Some(7), None, None), to("child")),
            (
                facts(None, Some("female"), Some("CR")),
                stopped("child", "age"),
            ),
            (facts(Some(40), None, Some("CR")), to("chest")),
            (
                facts(Some(40), Some("female"), None),
                stopped("chest", "modality"),
            ),
            (facts(Some(40), Some("female"), Some("CT")), to("women")),
            (facts(Some(40), Some("male"), Some("CT")), Route::NoModel),
            (
                facts(Some(40), Some("unknown"), Some("CT")),
                stopped("women", "sex"),
            ),
        ];
        for (facts, expected) in cases {
            assert_eq!(rules().route(&facts), expected, "{facts:?}");
        }
        let mut without = facts(Some(40), Some("female"), Some("CR"));
        without.inputs.clear();
        assert_eq!(rules().route(&without), to("women"));
    }

    #[test]
    fn rules_that_cannot_be_meant_are_refused() {
        let always = rule("always", vec![]);
        let wrong = [
            vec![always.clone(), rule("late", vec![])],
            vec![rule("a", vec![Condition::Age { from: 9, to: 8 }])],
            vec![rule("a", vec![Condition::Site(vec![])])],
            vec![rules().all()[0].clone(), rules().all()[0].clone()],
        ];
        for rules in wrong {
            assert!(Rules::new(rules.clone()).is_err(), "{rules:?}");
        }
        assert!(Rules::new(vec![always]).is_ok());
        let text = r#"{"name": "x", "model": "m1", "when": [{"age": {"from": 1, "to": 2}}]}"#;
        let read: Rule = serde_json::from_str(text).unwrap();
        assert_eq!(read.when, [Condition::Age { from: 1, to: 2 }]);
        assert!(serde_json::from_str::<Rule>(&text.replace("from", "since")).is_err());
    }
}
