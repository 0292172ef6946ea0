//! The small list that ships with the house, enough for a demonstration. Its numbers are of the range for
//! use inside a company, so that none is on a real pack. Must not stand in for the national dictionary.

use super::{Component, Dictionary, DictionaryError, Product, Schedule, Strength};
use crate::gs1::Gtin;
use crate::knowledge::DrugKnowledge;

/// The built-in products.
///
/// # Errors
/// A line that cannot be read.
pub fn built_in(knowledge: &dyn DrugKnowledge) -> Result<Dictionary, DictionaryError> {
    let mut products = Vec::new();
    let lines = include_str!("data/products.txt").lines();
    for (line, content) in (1..)
        .zip(lines)
        .filter(|(_, content)| !content.starts_with('#'))
    {
        let product = product(knowledge, content).ok_or_else(|| DictionaryError::Line {
            file: "products".to_owned(),
            line,
            what: "expected number | name | ingredients | form | route | schedule".to_owned(),
        })?;
        products.push(product);
    }
    Ok(Dictionary::of(products))
}

fn product(knowledge: &dyn DrugKnowledge, line: &str) -> Option<Product> {
    let parts: Vec<&str> = line.split('|').map(str::trim).collect();
    let [gtin, name, components, form, route, schedule] = parts.as_slice() else {
        return None;
    };
    let component = |text: &str| -> Option<Component> {
        let (key, strength) = text.trim().split_once(' ')?;
        Some(Component {
            name: key.replace('-', " "),
            ingredient: knowledge.ingredient(key),
            strength: Some(Strength::read(strength)?),
        })
    };
    Some(Product {
        name: (*name).to_owned(),
        components: components
            .split(';')
            .map(component)
            .collect::<Option<_>>()?,
        form: Some((*form).to_owned()),
        route: Some((*route).to_owned()),
        schedule: match *schedule {
            "-" => None,
            "2" => Some(Schedule::Two),
            "3" => Some(Schedule::Three),
            "4" => Some(Schedule::Four),
            "5" => Some(Schedule::Five),
            _ => return None,
        },
        codes: Vec::new(),
        gtins: vec![Gtin::read(gtin).ok()?],
    })
}
