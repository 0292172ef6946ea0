//! What the forms of stock and of the register share: places and suppliers to choose from, the fields by
//! which two people prove to be there. Must not keep a password.

use std::collections::{BTreeSet, HashMap};

use app::AppError;
use app::medicines::register::Signing;
use app::record::search::{SearchRequest, search};
use app::sign_in::Proof;
use medication::ids::{LocationId, ResidentId};
use medication::stock::Account;
use rust_decimal::Decimal;
use zeroize::Zeroizing;

use crate::clinical::date::FhirDate;
use crate::clinical::name;
use crate::components::{Choice, Field};
use crate::edge::form::Form;
use crate::edge::found::find;
use crate::edge::visit::Visit;

/// The resources of a type by name: id, name.
pub(super) async fn named(visit: &Visit, ty: &str) -> Result<Vec<(String, String)>, AppError> {
    let Some(known) = visit.app().definitions().resource(ty) else {
        return Ok(Vec::new());
    };
    let request = SearchRequest {
        ty: known,
        params: vec![("_count".to_owned(), "200".to_owned())],
        lenient: false,
    };
    let found = search(visit.app(), &visit.caller, &request).await?;
    let mut list = Vec::new();
    for version in found.matches {
        let body = version.body.clone().unwrap_or_default();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let id = version.key.id.as_str().to_owned();
        let name = body.get("name").and_then(|own| own.as_str());
        list.push((id.clone(), name.map_or(id, str::to_owned)));
    }
    list.sort_by_key(|(_, name)| name.to_lowercase());
    Ok(list)
}

/// Most residents to choose from.
const RESIDENTS: &str = "500";

/// The residents in reach to choose from, each with the date of birth: id, name. Nobody comes first.
pub(super) async fn residents(visit: &Visit) -> Result<Vec<(String, String)>, AppError> {
    let params = [
        ("_count", RESIDENTS),
        ("_sort", "family,given"),
        ("_elements", "name,birthDate"),
    ];
    let matches = find(visit, &visit.caller, "Patient", &params).await?;
    let mut list = vec![(String::new(), "Nobody: common stock".to_owned())];
    for found in &matches.found {
        let root = found.document.root();
        let name = name::plain(root).unwrap_or_else(|| "No name recorded".to_owned());
        let birth = root.get_str("birthDate");
        let birth = birth.and_then(|own| FhirDate::parse(&own));
        let label = birth.map_or_else(
            || name.clone(),
            |own| format!("{name}, born {}", own.short()),
        );
        list.push((found.id.as_str().to_owned(), label));
    }
    Ok(list)
}

/// The names of the places, suppliers and residents that a page speaks of.
#[derive(Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// Looks up everybody of some accounts.
    pub(super) async fn of<'a>(
        visit: &Visit,
        accounts: impl Iterator<Item = &'a Account>,
    ) -> Result<Self, AppError> {
        let (mut places, mut people) = (BTreeSet::new(), BTreeSet::new());
        for own in accounts {
            places.extend(own.location().map(|own| format!("Location/{own}")));
            people.extend(own.resident().map(ToString::to_string));
            if let Account::Supplier { party } = own {
                places.insert(format!("Organization/{party}"));
            }
        }
        let mut names = Self::places(visit, places).await;
        if !people.is_empty() {
            let ids = people.into_iter().collect::<Vec<String>>().join(",");
            let params = [
                ("_id", ids.as_str()),
                ("_count", RESIDENTS),
                ("_elements", "name"),
            ];
            let matches = find(visit, &visit.caller, "Patient", &params).await?;
            for found in &matches.found {
                let name = name::plain(found.document.root());
                let name = name.unwrap_or_else(|| "a resident without a name".to_owned());
                names.0.insert(format!("Patient/{}", found.id), name);
            }
        }
        Ok(names)
    }

    /// Looks up places and Organizations, by bare references.
    pub(super) async fn places(visit: &Visit, references: BTreeSet<String>) -> Self {
        let mut texts: Vec<String> = references.iter().cloned().collect();
        let all = texts.iter_mut().collect();
        crate::edge::names::of_texts(visit, &visit.caller, all).await;
        Self(references.into_iter().zip(texts).collect())
    }

    /// The name of what a reference names.
    pub(super) fn name(&self, reference: &str) -> String {
        let named = self.0.get(reference).cloned();
        named.unwrap_or_else(|| match reference.split_once('/') {
            Some(("Patient", _)) => "a resident".to_owned(),
            _ => "a place without a name".to_owned(),
        })
    }

    /// An account in words.
    pub(super) fn account(&self, account: &Account) -> String {
        let place = |own: &LocationId| self.name(&format!("Location/{own}"));
        let person = |own: &ResidentId| self.name(&format!("Patient/{own}"));
        match account {
            Account::Location { location } => place(location),
            Account::Own { resident, location } => {
                format!("{}, of {}", place(location), person(resident))
            }
            Account::Supplier { party } => self.name(&format!("Organization/{party}")),
            Account::Administered { resident } => person(resident),
            Account::Waste => "Destroyed".to_owned(),
            Account::Difference => "Difference".to_owned(),
        }
    }
}

/// A choice of resources.
pub(super) fn select(name: &str, label: &str, of: &[(String, String)], chosen: &str) -> Field {
    let choices = of
        .iter()
        .map(|(id, name)| Choice::new(id, name, id == chosen));
    Field::select(name, label, choices.collect())
}

/// The fields of the two people.
pub(super) fn signatures(form: &Form) -> Vec<Field> {
    let person = |key: &str, who: &str, hint: &str| {
        let name = format!("{key}-name");
        vec![
            Field::text(&name, &format!("{who}: sign-in name"))
                .value(form.text(&name))
                .autocomplete("off")
                .hint(hint),
            Field::password(
                &format!("{key}-password"),
                &format!("{who}: password"),
                "off",
            ),
            Field::code(&format!("{key}-code"), &format!("{who}: code"))
                .optional()
                .hint("Only with a second step"),
        ]
    };
    let mut fields = person("by", "You", "You prove again that it is you who signs");
    let other = "Somebody else, who saw it and types here";
    fields.extend(person("witness", "Witness", other));
    fields
}

/// The proofs of a form.
pub(super) fn signing(form: &Form) -> Signing {
    let proof = |key: &str| {
        let name = form.text(&format!("{key}-name"));
        let code = form.text(&format!("{key}-code"));
        (!name.is_empty()).then(|| Proof {
            name: name.to_owned(),
            password: Zeroizing::new(form.exact(&format!("{key}-password")).to_owned()),
            code: (!code.is_empty()).then(|| code.to_owned()),
        })
    };
    Signing {
        by: proof("by"),
        witness: proof("witness"),
    }
}

fn wrong(text: impl Into<String>) -> AppError {
    AppError::Unprocessable(text.into())
}

/// A number of a form.
pub(super) fn number(form: &Form, name: &str, label: &str) -> Result<Decimal, AppError> {
    form.text(name)
        .parse()
        .map_err(|_| wrong(format!("{label} is no number: write one such as 28 or 2.5")))
}

/// An id of a form.
pub(super) fn id<T: std::str::FromStr>(
    form: &Form,
    name: &str,
    label: &str,
) -> Result<T, AppError> {
    form.text(name)
        .parse()
        .map_err(|_| wrong(format!("{label} is missing: choose one")))
}

/// A day of a form, as people write it; none where nothing is written.
pub(super) fn day(
    form: &Form,
    name: &str,
    label: &str,
) -> Result<Option<jiff::civil::Date>, AppError> {
    let text = form.text(name);
    if text.is_empty() {
        return Ok(None);
    }
    let read = crate::clinical::date::typed(text);
    let none = || wrong(format!("{label} is no date: write one such as 31-Mar-2027"));
    read.map(Some).ok_or_else(none)
}

/// A word of a list as its type.
pub(super) fn word<T: serde::de::DeserializeOwned>(
    form: &Form,
    name: &str,
    label: &str,
) -> Result<T, AppError> {
    let value = serde_json::Value::String(form.text(name).to_owned());
    serde_json::from_value(value).map_err(|_| wrong(format!("{label} is missing: choose one")))
}

/// A choice of words.
pub(super) fn words(name: &str, label: &str, of: &[(&str, &str)], chosen: &str) -> Field {
    let choices = of
        .iter()
        .map(|(word, words)| Choice::new(word, words, *word == chosen));
    Field::select(name, label, choices.collect())
}

/// Errors that are said above the form; others have a page of their own.
pub(super) fn is_of_form(error: &AppError) -> bool {
    matches!(
        error,
        AppError::Unprocessable(_)
            | AppError::Conflict(_)
            | AppError::Ruled { .. }
            | AppError::SignIn(app::SignInError::Proof | app::SignInError::Locked(_))
    )
}

/// Whether something else was written since the form was shown.
pub(super) const fn is_outdated(problem: Option<&AppError>) -> bool {
    matches!(
        problem,
        Some(AppError::Ruled {
            category: kernel::Category::Conflict,
            ..
        })
    )
}
