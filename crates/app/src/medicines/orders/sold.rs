//! Under which product of a catalogue a medicine that is kept is ordered. Must not take a product that is only
//! like it.

use identity::Interaction;
use medication::dictionary::{Dictionary, System};
use medication::ids::ItemId;
use medication::supply::Product;

use super::partners::{self, Partner};
use crate::App;
use crate::admin::allow;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::sources;
use crate::medicines::stock::{Item, look};

/// A product that a partner sells.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Who sells it.
    pub partner: Partner,
    /// The product.
    pub product: Product,
}

/// A name without what two lists write differently: "500 mg tablets" is "500mg tablet".
fn plain(name: &str) -> String {
    let mut plain = String::new();
    let mut number = true;
    for word in name.split_whitespace() {
        let word = word.to_lowercase();
        let one = word.strip_suffix('s').filter(|own| own.len() > 3);
        // A unit belongs to its number, and nothing else to anything.
        if !(number && word.starts_with(char::is_alphabetic)) {
            plain.push(' ');
        }
        plain.push_str(one.unwrap_or(&word));
        number = word.bytes().all(|own| own.is_ascii_digit() || own == b'.');
    }
    plain
}

/// Whether a product is the medicine: by its code, else by its name.
pub(super) fn is_of(product: &Product, item: &Item, dictionary: &Dictionary) -> bool {
    let mut codes: Vec<&str> = item.code.as_deref().into_iter().collect();
    let listed = item.product.as_deref();
    if let Some(listed) = listed.and_then(|own| dictionary.by_name(own)) {
        let own = listed.codes.iter().filter(|own| own.0 == System::Dmd);
        codes.extend(own.map(|own| own.1.as_str()));
    }
    if codes.is_empty() {
        return plain(&product.name) == plain(&item.name);
    }
    codes.contains(&product.code.as_str())
}

/// Who sells a medicine that is kept, and as what.
pub async fn offers(app: &App, caller: &Caller, id: &ItemId) -> Result<Vec<Offer>, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    let item = look::read(app, caller, id).await?.item;
    let known = sources(app).await?;
    let mut found = Vec::new();
    for partner in partners::known(app, caller).await? {
        if !partner.active {
            continue;
        }
        let sold = partners::catalogue_of(app, caller, &partner.id).await?;
        for product in sold.map(|own| own.1).unwrap_or_default() {
            if is_of(&product, &item, &known.dictionary) {
                found.push(Offer {
                    partner: partner.clone(),
                    product,
                });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_are_the_same_where_only_spaces_letters_and_plurals_differ() {
        for (one, other, same) in [
            (
                "Paracetamol 500mg tablet",
                "Paracetamol 500 mg Tablets",
                true,
            ),
            (
                "Paracetamol 500mg tablet",
                "Paracetamol 50 mg tablets",
                false,
            ),
            (
                "Paracetamol 500mg tablet",
                "Paracetamol 500mg capsules",
                false,
            ),
            (
                "Morphine 10mg/5mL oral solution",
                "Morphine 10mg/5mL oral solution",
                true,
            ),
            ("Iron tablets", "Iron tablet", true),
            ("Vitamin B1 2mg tablet", "Vitamin B 12mg tablet", false),
        ] {
            assert_eq!(plain(one) == plain(other), same, "{one} and {other}");
        }
    }
}
