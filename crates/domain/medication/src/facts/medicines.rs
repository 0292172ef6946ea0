//! A medicine of a MedicationRequest, -Statement, -Dispense or -Administration as the checks ask for it:
//! resolved by product code, ingredient code or name. Must not guess: what does not resolve is named.

use fhir::json::Value;

use super::{ATC, DMD, RXNORM, SNOMED, codings, names};
use crate::checks::{Medicine, Part, Route};
use crate::content::{self, Article};
use crate::dictionary::{Dictionary, Product, System, ingredient};
use crate::dosage::Dosage;
use crate::knowledge::{DrugKnowledge as _, IngredientId, Knowledge};

/// What a `medicationReference` leads to.
pub trait Reference {
    /// The Medication that a reference of this resource names: contained, or passed in beside it.
    fn medication<'a>(&'a self, reference: &str) -> Option<Value<'a>>;
}

impl Reference for () {
    fn medication<'a>(&'a self, _: &str) -> Option<Value<'a>> {
        None
    }
}

/// The product a resource names, where the dictionary has it.
#[must_use]
pub fn product<'d>(
    dictionary: &'d Dictionary,
    resource: Value<'_>,
    others: &dyn Reference,
) -> Option<&'d Product> {
    let concept = concept(resource, others)?;
    by_dictionary(dictionary, concept)
}

/// The medicine of a resource. One that nothing resolves keeps its name among the unresolved.
#[must_use]
pub fn medicine(
    knowledge: &Knowledge,
    dictionary: &Dictionary,
    resource: Value<'_>,
    others: &dyn Reference,
) -> Medicine {
    let stated = route(resource);
    let Some(concept) = concept(resource, others) else {
        return unresolved("a medicine without a name", stated);
    };
    let dosages = dosages(resource);
    let mut medicine = if let Some(product) = by_dictionary(dictionary, concept) {
        content::medicine(&Article::of(product, knowledge), &dosages)
    } else {
        let found = by_knowledge(
            knowledge,
            concept,
            medication(resource, others),
            stated.clone(),
        );
        measured(knowledge, found, &dosages)
    };
    if let Some(name) = names(concept).into_iter().next() {
        medicine.name = name;
    }
    if stated.is_some() {
        medicine.route = stated;
    }
    medicine
}

/// The dosages of an order or a statement; none where one of them cannot be read, so that no part of a
/// regimen counts as the whole.
fn dosages(resource: Value<'_>) -> Vec<Dosage> {
    ["dosageInstruction", "dosage"]
        .iter()
        .find_map(|member| resource.get(member))
        .and_then(|list| list.items().map(|one| Dosage::read(one).ok()).collect())
        .unwrap_or_default()
}

/// The amounts of a medicine that is one ingredient: a dose in milligrams needs no product.
fn measured(knowledge: &Knowledge, mut medicine: Medicine, dosages: &[Dosage]) -> Medicine {
    if let [part] = medicine.parts.as_mut_slice()
        && medicine.unresolved.is_empty()
        && let Some(name) = knowledge.name(part.ingredient)
    {
        let counted = content::medicine(&Article::of_name(name, knowledge), dosages);
        if let Some(own) = counted
            .parts
            .into_iter()
            .find(|own| own.ingredient == part.ingredient)
        {
            *part = own;
        }
    }
    medicine
}

fn unresolved(name: &str, route: Option<Route>) -> Medicine {
    Medicine {
        name: name.to_owned(),
        parts: Vec::new(),
        unresolved: vec![name.to_owned()],
        route,
    }
}

/// The concept itself, or that of the Medication referred to.
fn concept<'a>(resource: Value<'a>, others: &'a dyn Reference) -> Option<Value<'a>> {
    resource
        .get("medicationCodeableConcept")
        .or_else(|| medication(resource, others)?.get("code"))
}

fn medication<'a>(resource: Value<'a>, others: &'a dyn Reference) -> Option<Value<'a>> {
    let reference = resource.get("medicationReference")?.get_str("reference")?;
    if let Some(id) = reference.strip_prefix('#') {
        let mut contained = resource.get("contained").into_iter().flat_map(Value::items);
        return contained.find(|one| one.get_str("id").as_deref() == Some(id));
    }
    others.medication(&reference)
}

fn by_dictionary<'d>(dictionary: &'d Dictionary, concept: Value<'_>) -> Option<&'d Product> {
    let by_code = codings(concept).into_iter().find_map(|(system, code)| {
        let system = match system.as_str() {
            SNOMED | DMD => System::Dmd,
            RXNORM => System::RxNorm,
            _ => return None,
        };
        dictionary.by_code(system, &code)
    });
    by_code.or_else(|| {
        names(concept)
            .iter()
            .find_map(|name| dictionary.by_name(name))
    })
}

/// Without a product: the ingredients that the Medication lists, the one that a code names, or those that
/// the name is made of.
fn by_knowledge(
    knowledge: &Knowledge,
    concept: Value<'_>,
    medication: Option<Value<'_>>,
    route: Option<Route>,
) -> Medicine {
    let name = names(concept).into_iter().next();
    let name = name.unwrap_or_else(|| {
        codings(concept)
            .into_iter()
            .next()
            .map_or_else(|| "a medicine without a name".to_owned(), |(_, code)| code)
    });
    let mut medicine = Medicine {
        name: name.clone(),
        parts: Vec::new(),
        unresolved: Vec::new(),
        route,
    };
    let listed = medication
        .and_then(|one| one.get("ingredient"))
        .into_iter()
        .flat_map(Value::items)
        .filter_map(|one| one.get("itemCodeableConcept"));
    for item in listed {
        match by_code(knowledge, item).or_else(|| by_words(knowledge, item)) {
            Some(id) => put(&mut medicine, id),
            None => medicine.unresolved.push(
                names(item)
                    .into_iter()
                    .next()
                    .unwrap_or_else(|| name.clone()),
            ),
        }
    }
    if !medicine.parts.is_empty() || !medicine.unresolved.is_empty() {
        return medicine;
    }
    // The name goes first where it says more than one ingredient: a code may name only one of them.
    let made_of = parts_of(&name);
    if made_of.len() < 2
        && let Some(id) = by_code(knowledge, concept)
    {
        put(&mut medicine, id);
        return medicine;
    }
    for part in made_of {
        match ingredient(knowledge, &part) {
            Some(id) => put(&mut medicine, id),
            None => medicine.unresolved.push(part),
        }
    }
    medicine
}

fn put(medicine: &mut Medicine, ingredient: IngredientId) {
    if medicine
        .parts
        .iter()
        .all(|part| part.ingredient != ingredient)
    {
        medicine.parts.push(Part {
            ingredient,
            single: None,
            daily: None,
        });
    }
}

fn by_code(knowledge: &Knowledge, concept: Value<'_>) -> Option<IngredientId> {
    codings(concept).into_iter().find_map(|(system, code)| {
        let system = match system.as_str() {
            SNOMED | DMD => "snomed",
            RXNORM => "rxnorm",
            ATC => "atc",
            _ => return None,
        };
        knowledge.ingredient_by_code(system, &code)
    })
}

fn by_words(knowledge: &Knowledge, concept: Value<'_>) -> Option<IngredientId> {
    names(concept)
        .iter()
        .find_map(|name| ingredient(knowledge, name.split('(').next().unwrap_or(name).trim()))
}

/// `Hydrochlorothiazide 25 MG` and `Paracetamol 500mg / Codeine 8mg tablet` as the words before each
/// strength.
fn parts_of(name: &str) -> Vec<String> {
    let name = name.split('(').next().unwrap_or(name);
    // A `+`, ` / ` or ` and ` between ingredients; a slash inside a strength has no spaces around it.
    let spaced = name.replace(" + ", " / ").replace(" and ", " / ");
    let parts = spaced.split(" / ").map(|part| {
        let words = part.split_whitespace().take_while(|word| {
            let figure = word.starts_with(|c: char| c.is_ascii_digit());
            !figure && !FORMS.contains(&word.to_lowercase().as_str())
        });
        words.collect::<Vec<_>>().join(" ")
    });
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        vec![name.trim().to_owned()]
    } else {
        parts
    }
}

/// Words that end the name of an ingredient.
const FORMS: [&str; 18] = [
    "tablet",
    "tablets",
    "capsule",
    "capsules",
    "oral",
    "solution",
    "suspension",
    "injection",
    "cream",
    "ointment",
    "gel",
    "patch",
    "patches",
    "inhaler",
    "drops",
    "spray",
    "granules",
    "powder",
];

/// The route that the first dosage states.
fn route(resource: Value<'_>) -> Option<Route> {
    let stated = ["dosageInstruction", "dosage"].iter().find_map(|member| {
        let dosage = resource.get(member)?;
        // An administration has one dosage, the others have a list.
        dosage
            .get("route")
            .or_else(|| dosage.items().find_map(|one| one.get("route")))
    })?;
    let by_code = codings(stated).into_iter().find_map(|(system, code)| {
        let known = ROUTES.iter().find(|(own, _)| *own == code);
        known.filter(|_| system == SNOMED).map(|(_, name)| *name)
    });
    let name = by_code.map(str::to_owned).or_else(|| {
        let text = names(stated).into_iter().next()?.to_lowercase();
        Some(
            text.strip_suffix(" route")
                .map_or(text.clone(), str::to_owned),
        )
    })?;
    let plain = SPOKEN.iter().find(|(own, _)| *own == name);
    Some(Route {
        name: plain.map_or(name.clone(), |(_, plain)| (*plain).to_owned()),
    })
}

/// SNOMED CT route codes as the checks name routes.
const ROUTES: [(&str, &str); 14] = [
    ("26643006", "oral"),
    ("37839007", "sublingual"),
    ("47625008", "intravenous"),
    ("78421000", "intramuscular"),
    ("34206005", "subcutaneous"),
    ("6064005", "cutaneous"),
    ("45890007", "transdermal"),
    ("54485002", "ophthalmic"),
    ("10547007", "auricular"),
    ("447694001", "inhalation"),
    ("46713006", "nasal"),
    ("37161004", "rectal"),
    ("16857009", "vaginal"),
    ("72607000", "intrathecal"),
];

/// Routes as people write them.
const SPOKEN: [(&str, &str); 10] = [
    ("by mouth", "oral"),
    ("topical", "cutaneous"),
    ("to the skin", "cutaneous"),
    ("under the tongue", "sublingual"),
    ("into a vein", "intravenous"),
    ("into a muscle", "intramuscular"),
    ("under the skin", "subcutaneous"),
    ("into the eye", "ophthalmic"),
    ("into the ear", "auricular"),
    ("otic", "auricular"),
];
