//! Reads the text form of knowledge and compiles it: names to ids, sets to bits, rules to tables. Must
//! not skip what it cannot read: every fault names its file and line.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kernel::{Categorised, Category};

use super::condition::{Condition, Hepatic};
use super::{
    Body, Class, Evidence, Ingredient, IngredientId, Kind, Knowledge, Maximum, Measured,
    RULE_WORDS, Release, Rule, RuleBits, Set, Tier,
};

/// Why knowledge is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnowledgeError {
    /// Not the content that was released.
    #[error("the knowledge file {0:?} is not what was released: install the release again")]
    Altered(String),
    /// A line that cannot be read.
    #[error("{file} line {line}: {what}")]
    Line {
        /// Part of the release.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// More than the tables hold.
    #[error("too many {0}: split the release")]
    TooMany(&'static str),
}

impl Categorised for KnowledgeError {
    fn category(&self) -> Category {
        match self {
            Self::Altered(_) => Category::Altered,
            Self::Line { .. } | Self::TooMany(_) => Category::Unprocessable,
        }
    }
}

struct Names {
    ingredients: HashMap<String, IngredientId>,
    classes: BTreeMap<String, usize>,
    sets: Vec<Class>,
}

impl Names {
    fn set(&self, text: &str) -> Result<Set, String> {
        let mut set = Set::default();
        for word in text.split_whitespace() {
            if let Some(class) = word.strip_prefix('@') {
                let at = self.classes.get(class);
                let class = at
                    .and_then(|at| self.sets.get(*at))
                    .ok_or_else(|| format!("no set {word}"))?;
                for id in class.members.iter() {
                    set.insert(id);
                }
                continue;
            }
            let (key, out) = word
                .strip_prefix('-')
                .map_or((word, false), |key| (key, true));
            if key.is_empty() {
                continue;
            }
            let id = self
                .ingredients
                .get(key)
                .ok_or_else(|| format!("no ingredient {key}"))?;
            if out {
                set.remove(*id);
            } else {
                set.insert(*id);
            }
        }
        Ok(set)
    }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.starts_with('#'))
}

fn at(file: &str, line: usize, what: impl Into<String>) -> KnowledgeError {
    KnowledgeError::Line {
        file: file.to_owned(),
        line,
        what: what.into(),
    }
}

fn ingredients(text: &str) -> Result<Vec<Ingredient>, KnowledgeError> {
    let list = |part: &str, by: char| -> Vec<String> {
        part.split(by)
            .map(str::trim)
            .filter(|one| !one.is_empty() && *one != "-")
            .map(str::to_owned)
            .collect()
    };
    let mut all = Vec::new();
    for (line, content) in lines(text).filter(|(_, content)| !content.is_empty()) {
        let parts: Vec<&str> = content.split('|').map(str::trim).collect();
        let [key, names, atc, rxnorm, snomed] = parts.as_slice() else {
            return Err(at("ingredients", line, "expected five fields"));
        };
        let mut own = vec![key.replace('-', " ")];
        own.extend(list(names, ';'));
        all.push(Ingredient {
            key: (*key).to_owned(),
            names: own,
            atc: list(atc, ','),
            rxnorm: list(rxnorm, ',').pop(),
            snomed: list(snomed, ',').pop(),
        });
    }
    if all.len() >= usize::from(u16::MAX) {
        return Err(KnowledgeError::TooMany("ingredients"));
    }
    Ok(all)
}

/// Sets may name sets that stand further down: each is settled once those it names are.
fn classes(text: &str, names: &mut Names) -> Result<(), KnowledgeError> {
    let mut open: Vec<(usize, &str, &str)> = Vec::new();
    for (line, content) in lines(text).filter(|(_, content)| !content.is_empty()) {
        let (key, members) = content
            .split_once(':')
            .ok_or_else(|| at("classes", line, "expected name: members"))?;
        open.push((line, key, members));
    }
    while !open.is_empty() {
        let before = open.len();
        let mut fault = None;
        let mut left = Vec::new();
        for (line, key, members) in open {
            match names.set(members) {
                Ok(set) => {
                    let plain = key.strip_prefix("duplicate ").unwrap_or(key);
                    if names
                        .classes
                        .insert(plain.to_owned(), names.sets.len())
                        .is_some()
                    {
                        return Err(at("classes", line, format!("{plain} is there twice")));
                    }
                    names.sets.push(Class {
                        key: plain.to_owned(),
                        duplicate: plain != key,
                        members: set,
                    });
                }
                Err(what) => {
                    fault = Some(at("classes", line, what));
                    left.push((line, key, members));
                }
            }
        }
        if let (Some(fault), true) = (fault, left.len() == before) {
            return Err(fault);
        }
        open = left;
    }
    Ok(())
}

fn months(text: &str) -> Option<u16> {
    match text.strip_suffix('y') {
        Some(years) => years.parse::<u16>().ok()?.checked_mul(12),
        None => text.strip_suffix("mo")?.parse().ok(),
    }
}

fn condition(text: &str, names: &Names) -> Result<Condition, String> {
    let fault = || format!("cannot read the condition {text:?}");
    if let Some(rest) = text.strip_prefix("with ") {
        return Ok(Condition::With(names.set(rest)?));
    }
    let read = || -> Option<Condition> {
        if let Some(rest) = text.strip_prefix("age>=") {
            return Some(Condition::AtLeast(months(rest)?));
        }
        if let Some(rest) = text.strip_prefix("hepatic>=") {
            return Some(Condition::HepaticAtLeast(match rest {
                "mild" => Hepatic::Mild,
                "moderate" => Hepatic::Moderate,
                "severe" => Hepatic::Severe,
                _ => return None,
            }));
        }
        match text.split_once('<') {
            Some(("age", rest)) => Some(Condition::Younger(months(rest)?)),
            Some(("weight", rest)) => {
                let grams = rest
                    .strip_suffix("kg")?
                    .parse::<u32>()
                    .ok()?
                    .checked_mul(1000)?;
                Some(Condition::Lighter(grams))
            }
            Some(("egfr", rest)) => Some(Condition::EgfrBelow(rest.parse().ok()?)),
            Some(("crcl", rest)) => Some(Condition::ClearanceBelow(rest.parse().ok()?)),
            None if text == "pregnant" => Some(Condition::Pregnant),
            None if text == "breastfeeding" => Some(Condition::Breastfeeding),
            _ => None,
        }
    };
    read().ok_or_else(fault)
}

fn maximum(text: &str) -> Option<Maximum> {
    let (value, unit) = text.split_once(' ')?;
    let per_kilogram = match unit {
        "mg" | "[iU]" => false,
        "mg/kg" | "[iU]/kg" => true,
        _ => return None,
    };
    let value = value.parse().ok()?;
    Some(Maximum {
        most: if unit.starts_with("mg") {
            Measured::Milligrams(value)
        } else {
            Measured::Units(value)
        },
        per_kilogram,
    })
}

/// `4 h`, `6 d` in minutes.
fn apart(text: &str) -> Option<u32> {
    let (value, unit) = text.split_once(' ')?;
    let value: u32 = value.parse().ok().filter(|value| *value > 0)?;
    value.checked_mul(match unit {
        "min" => 1,
        "h" => 60,
        "d" => 1_440,
        _ => return None,
    })
}

fn kind(text: &str) -> Option<Kind> {
    Some(match text {
        "interaction" => Kind::Interaction,
        "allergy" => Kind::Allergy,
        "clear" => Kind::Clear,
        "duplicate" => Kind::Duplicate,
        "dose" => Kind::Dose,
        "caution" => Kind::Caution,
        "route" => Kind::Route,
        _ => return None,
    })
}

fn tier(text: &str) -> Option<Tier> {
    Some(match text {
        "low" => Tier::Low,
        "moderate" => Tier::Moderate,
        "high" => Tier::High,
        "contraindicated" => Tier::Contraindicated,
        _ => return None,
    })
}

fn evidence(text: &str) -> Option<Evidence> {
    Some(match text {
        "label" => Evidence::Label,
        "observational" => Evidence::Observational,
        "case-reports" => Evidence::CaseReports,
        "mechanism" => Evidence::Mechanism,
        _ => return None,
    })
}

fn blank(id: &str, release: &Arc<Release>) -> (Rule, Body) {
    let rule = Rule {
        id: id.to_owned(),
        kind: Kind::Interaction,
        tier: Tier::Contraindicated,
        effect: String::new(),
        mechanism: String::new(),
        management: String::new(),
        evidence: Evidence::Unstated,
        citations: Vec::new(),
        high_priority: None,
        separate_minutes: None,
        any_route: false,
        release: Arc::clone(release),
    };
    let body = Body {
        rule: Arc::new(rule.clone()),
        first: Set::default(),
        second: Set::default(),
        third: None,
        conditions: Vec::new(),
        routes: Vec::new(),
        single: None,
        daily: None,
        apart_minutes: None,
    };
    (rule, body)
}

fn field(
    rule: &mut Rule,
    body: &mut Body,
    word: &str,
    rest: &str,
    names: &Names,
) -> Result<(), String> {
    let fault = || format!("cannot read {word} {rest:?}");
    match word {
        "kind" => rule.kind = kind(rest).ok_or_else(fault)?,
        "tier" => rule.tier = tier(rest).ok_or_else(fault)?,
        "between" | "from" | "of" => body.first = names.set(rest)?,
        "and" | "to" => body.second = names.set(rest)?,
        "also" => body.third = Some(names.set(rest)?),
        "onc" => rule.high_priority = Some(rest.parse().map_err(|_| fault())?),
        "separate" => rule.separate_minutes = Some(rest.parse().map_err(|_| fault())?),
        "routes" if rest == "any" => rule.any_route = true,
        "route" => body.routes = rest.split_whitespace().map(str::to_owned).collect(),
        "when" => body.conditions.push(condition(rest, names)?),
        "single" => body.single = Some(maximum(rest).ok_or_else(fault)?),
        "daily" => body.daily = Some(maximum(rest).ok_or_else(fault)?),
        "apart" => body.apart_minutes = Some(apart(rest).ok_or_else(fault)?),
        "effect" => rest.clone_into(&mut rule.effect),
        "mechanism" => rest.clone_into(&mut rule.mechanism),
        "manage" => rest.clone_into(&mut rule.management),
        "evidence" => rule.evidence = evidence(rest).ok_or_else(fault)?,
        "cite" => rule.citations.push(rest.to_owned()),
        _ => return Err(format!("no field {word}")),
    }
    Ok(())
}

fn rules(
    file: &str,
    text: &str,
    names: &Names,
    release: &Arc<Release>,
) -> Result<Vec<Body>, KnowledgeError> {
    let mut all = Vec::new();
    let mut open: Option<(Rule, Body)> = None;
    for (line, content) in lines(text).chain([(0, "")]) {
        let Some((word, rest)) = content.split_once(' ') else {
            if !content.is_empty() {
                return Err(at(file, line, "expected a word and its value"));
            }
            if let Some((rule, mut body)) = open.take() {
                if rule.effect.is_empty() || rule.management.is_empty() || rule.citations.is_empty()
                {
                    return Err(at(
                        file,
                        line,
                        format!("{} has no effect, manage or cite", rule.id),
                    ));
                }
                body.rule = Arc::new(rule);
                all.push(body);
            }
            continue;
        };
        match (&mut open, word) {
            (None, "rule") => open = Some(blank(rest, release)),
            (Some((rule, body)), _) => {
                field(rule, body, word, rest, names).map_err(|what| at(file, line, what))?;
            }
            (None, _) => return Err(at(file, line, "expected a rule")),
        }
    }
    Ok(all)
}

fn demotions(
    text: &str,
    names: &Names,
    first: &mut [u64],
    second: &mut [u64],
) -> Result<(), KnowledgeError> {
    for (line, content) in lines(text).filter(|(_, content)| !content.is_empty()) {
        let fault = || {
            at(
                "demotions",
                line,
                "expected number: set | set, the number below 64",
            )
        };
        let (number, sets) = content.split_once(':').ok_or_else(fault)?;
        let bit: u32 = number
            .trim()
            .parse()
            .ok()
            .filter(|bit| *bit < 64)
            .ok_or_else(fault)?;
        let (left, right) = sets.split_once('|').ok_or_else(fault)?;
        for (set, table) in [(left, &mut *first), (right, &mut *second)] {
            for id in names
                .set(set)
                .map_err(|what| at("demotions", line, what))?
                .iter()
            {
                if let Some(bits) = table.get_mut(usize::from(id.0)) {
                    *bits |= 1 << bit;
                }
            }
        }
    }
    Ok(())
}

fn mark(set: &Set, number: usize, table: &mut [RuleBits]) {
    for id in set.iter() {
        let words = table.get_mut(usize::from(id.0));
        if let Some(bits) = words.and_then(|words| words.get_mut(number / 64)) {
            *bits |= 1 << (number % 64);
        }
    }
}

/// Compiles the parts of a release.
pub(super) fn compile(
    release: Release,
    parts: &[(&str, &str)],
) -> Result<Knowledge, KnowledgeError> {
    let part = |name: &str| {
        parts
            .iter()
            .find(|(own, _)| *own == name)
            .map_or("", |(_, text)| *text)
    };
    let release = Arc::new(release);
    let ingredients = ingredients(part("ingredients"))?;
    let mut names = Names {
        ingredients: (0..)
            .map(IngredientId)
            .zip(&ingredients)
            .map(|(id, one)| (one.key.clone(), id))
            .collect(),
        classes: BTreeMap::new(),
        sets: Vec::new(),
    };
    classes(part("classes"), &mut names)?;
    let mut bodies = rules("interactions", part("interactions"), &names, &release)?;
    bodies.extend(rules("patient", part("patient"), &names, &release)?);
    let count = ingredients.len();
    let mut knowledge = empty(release, ingredients, count);
    demotions(
        part("demotions"),
        &names,
        &mut knowledge.demoted_first,
        &mut knowledge.demoted_second,
    )?;
    sort(&mut knowledge, bodies)?;
    duplicates(&mut knowledge, &names)?;
    knowledge.classes = names.sets;
    knowledge.keys = names.classes;
    Ok(knowledge)
}

fn empty(release: Arc<Release>, ingredients: Vec<Ingredient>, count: usize) -> Knowledge {
    let mut names = HashMap::new();
    for (id, one) in (0..).map(IngredientId).zip(&ingredients) {
        for name in &one.names {
            names.insert(name.to_lowercase().replace('-', " "), id);
        }
    }
    Knowledge {
        release,
        ingredients,
        names,
        classes: Vec::new(),
        keys: BTreeMap::new(),
        interactions: Vec::new(),
        triples: Vec::new(),
        first_bits: vec![[0; RULE_WORDS]; count],
        second_bits: vec![[0; RULE_WORDS]; count],
        demoted_first: vec![0; count],
        demoted_second: vec![0; count],
        allergies: Vec::new(),
        clears: Vec::new(),
        by_ingredient: vec![Vec::new(); count],
        patient: Vec::new(),
        duplicate_ingredient: None,
        duplicate_class: None,
        duplicate_bits: vec![0; count],
    }
}

fn sort(knowledge: &mut Knowledge, bodies: Vec<Body>) -> Result<(), KnowledgeError> {
    for body in bodies {
        match body.rule.kind {
            Kind::Interaction if body.third.is_some() => knowledge.triples.push(body),
            Kind::Interaction => {
                let number = knowledge.interactions.len();
                if number >= RULE_WORDS * 64 {
                    return Err(KnowledgeError::TooMany("interaction rules"));
                }
                mark(&body.first, number, &mut knowledge.first_bits);
                mark(&body.second, number, &mut knowledge.second_bits);
                knowledge.interactions.push(body);
            }
            Kind::Allergy => knowledge.allergies.push(body),
            Kind::Clear => knowledge.clears.push(body),
            Kind::Duplicate if body.rule.id == "duplicate-ingredient" => {
                knowledge.duplicate_ingredient = Some(body.rule);
            }
            Kind::Duplicate => knowledge.duplicate_class = Some(body.rule),
            Kind::Dose | Kind::Caution | Kind::Route => {
                let number = knowledge.patient.len() as u16;
                for id in body.first.iter() {
                    if let Some(list) = knowledge.by_ingredient.get_mut(usize::from(id.0)) {
                        list.push(number);
                    }
                }
                knowledge.patient.push(body);
            }
        }
    }
    Ok(())
}

fn duplicates(knowledge: &mut Knowledge, names: &Names) -> Result<(), KnowledgeError> {
    for (bit, class) in names
        .sets
        .iter()
        .filter(|class| class.duplicate)
        .enumerate()
    {
        if bit >= 128 {
            return Err(KnowledgeError::TooMany("duplicate classes"));
        }
        for id in class.members.iter() {
            if let Some(bits) = knowledge.duplicate_bits.get_mut(usize::from(id.0)) {
                *bits |= 1 << bit;
            }
        }
    }
    Ok(())
}
