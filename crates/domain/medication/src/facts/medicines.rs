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
    medicine.route = settled(
        stated,
        by_dictionary(dictionary, concept).and_then(|own| own.route.as_deref()),
        resource,
    );
    medicine
}

/// The route that counts: the stated one where all dosages agree, else the product's. One by which little
/// is absorbed counts only where the product itself is made for it: "to the skin" is also said of patches.
fn settled(stated: Option<Route>, product: Option<&str>, resource: Value<'_>) -> Option<Route> {
    let of_product = || {
        product.map(|name| Route {
            name: name.to_owned(),
        })
    };
    let Some(stated) = stated else {
        return of_product().filter(|_| !states_a_route(resource));
    };
    if stated.is_local() && product != Some(stated.name.as_str()) {
        return of_product().filter(|own| !own.is_local());
    }
    Some(stated)
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
/// strength. Where more is said than strengths, units and forms, the whole name stands beside them: it may
/// hold a further ingredient.
fn parts_of(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let (mut named, mut rest) = (true, false);
    for word in name.split_whitespace() {
        let lower = word.to_lowercase();
        if ["/", "+", "and", "with"].contains(&lower.as_str()) {
            parts.push(core::mem::take(&mut open).join(" "));
            named = true;
            continue;
        }
        let figure = word.starts_with(|c: char| c.is_ascii_digit());
        if figure || is_filler(&lower) {
            named = false;
        }
        if named {
            open.push(word);
        } else {
            rest |= !is_filler(&lower);
        }
    }
    parts.push(open.join(" "));
    parts.retain(|part| !part.is_empty());
    if rest || parts.is_empty() {
        parts.push(name.trim().to_owned());
    }
    parts
}

/// Whether a word is a strength, a unit or a form: `500mg`, `25mg/5ml`, `(oral)`, `modified-release`.
fn is_filler(lower: &str) -> bool {
    lower
        .split(['/', '-', '(', ')', ',', ';'])
        .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit() || ".%,".contains(c)))
        .all(|part| part.is_empty() || FORMS.contains(&part) || UNITS.contains(&part))
}

/// Units of strengths.
const UNITS: [&str; 22] = [
    "mg",
    "g",
    "mcg",
    "ug",
    "microgram",
    "micrograms",
    "milligram",
    "milligrams",
    "gram",
    "grams",
    "ml",
    "l",
    "litre",
    "unit",
    "units",
    "iu",
    "mmol",
    "meq",
    "dose",
    "hour",
    "hr",
    "actuat",
];

/// Words that end the name of an ingredient.
const FORMS: [&str; 40] = [
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
    "inhalation",
    "modified",
    "prolonged",
    "extended",
    "delayed",
    "release",
    "gastro",
    "resistant",
    "effervescent",
    "dispersible",
    "soluble",
    "chewable",
    "orodispersible",
    "coated",
    "film",
    "sachet",
    "sachets",
    "suppository",
    "suppositories",
    "metered",
    "topical",
    "transdermal",
];

/// The route of an order, where every dosage that states one states the same.
fn route(resource: Value<'_>) -> Option<Route> {
    let mut all = stated_routes(resource).map(named);
    let first = all.next()??;
    all.all(|other| other.as_ref() == Some(&first))
        .then_some(Route { name: first })
}

fn states_a_route(resource: Value<'_>) -> bool {
    stated_routes(resource).next().is_some()
}

fn stated_routes(resource: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    ["dosageInstruction", "dosage"]
        .into_iter()
        .filter_map(move |member| resource.get(member))
        // An administration has one dosage, the others have a list.
        .flat_map(|dosage| {
            dosage
                .get("route")
                .into_iter()
                .chain(dosage.items().filter_map(|one| one.get("route")))
        })
}

/// The name of a route as the checks know it, else as it is written.
fn named(stated: Value<'_>) -> Option<String> {
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
    Some(plain.map_or(name.clone(), |(_, plain)| (*plain).to_owned()))
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
