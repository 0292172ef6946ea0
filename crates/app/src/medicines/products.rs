//! Products to prescribe, found by what somebody types, with the names that are taken for theirs. Must not
//! pick one: people choose.

use medication::dictionary::alike::{Alike, alike};
use medication::dictionary::{Dictionary, Product, Schedule};

use super::sources;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;

/// Most products of one answer.
pub const MOST: usize = 30;

/// A product as it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Name for people.
    pub name: String,
    /// Form, where stated.
    pub form: Option<String>,
    /// Route, where stated.
    pub route: Option<String>,
    /// Schedule of a controlled drug: 1 to 5.
    pub schedule: Option<u8>,
    /// Names that are taken for one of its ingredients; of a known pair with the differing letters raised.
    pub alike: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The products, best first.
    pub products: Vec<Offered>,
    /// Whether there are more.
    pub more: bool,
}

const fn number(schedule: Schedule) -> u8 {
    match schedule {
        Schedule::One => 1,
        Schedule::Two => 2,
        Schedule::Three => 3,
        Schedule::Four => 4,
        Schedule::Five => 5,
    }
}

/// Names of other ingredients that are taken for one of a product's.
fn confused(dictionary: &Dictionary, product: &Product) -> Vec<String> {
    let own: Vec<&str> = product
        .components
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    let mut names = dictionary.ingredient_names();
    names.retain(|name| !own.contains(name));
    let mut found = Vec::new();
    for (mine, other) in own
        .iter()
        .flat_map(|mine| names.iter().map(move |other| (mine, other)))
    {
        found.extend(alike(mine, other).map(|how| match how {
            Alike::Known(_, raised) => raised.to_owned(),
            Alike::Similar(_) => (*other).to_owned(),
        }));
    }
    found
}

fn offered(dictionary: &Dictionary, product: &Product) -> Offered {
    Offered {
        name: product.name.clone(),
        form: product.form.clone(),
        route: product.route.clone(),
        schedule: product.schedule.map(number),
        alike: confused(dictionary, product),
    }
}

/// Products of which every typed word begins a word of the name or of an ingredient.
pub async fn find(app: &App, _caller: &Caller, typed: &str) -> Result<Found, AppError> {
    let known = sources(app).await?;
    let dictionary = &*known.dictionary;
    let wanted: Vec<String> = typed.split_whitespace().map(str::to_lowercase).collect();
    let begins = |text: &str, word: &str| {
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        words.any(|own| own.starts_with(word))
    };
    let fits = |product: &&Product| {
        let name = product.name.to_lowercase();
        wanted.iter().all(|word| {
            let mut parts = product.components.iter();
            begins(&name, word) || name.contains(word) || parts.any(|own| begins(&own.name, word))
        })
    };
    let first = wanted.first().map(String::as_str).unwrap_or_default();
    let mut found: Vec<&Product> = if wanted.is_empty() {
        Vec::new()
    } else {
        dictionary.all().filter(fits).collect()
    };
    found.sort_by_key(|product| {
        let name = product.name.to_lowercase();
        (!name.starts_with(first), name)
    });
    let more = found.len() > MOST;
    found.truncate(MOST);
    Ok(Found {
        products: found
            .into_iter()
            .map(|own| offered(dictionary, own))
            .collect(),
        more,
    })
}

/// The product of a name; none where no list has it.
pub async fn named(app: &App, _caller: &Caller, name: &str) -> Result<Option<Offered>, AppError> {
    let known = sources(app).await?;
    let dictionary = &*known.dictionary;
    Ok(dictionary.by_name(name).map(|own| offered(dictionary, own)))
}
