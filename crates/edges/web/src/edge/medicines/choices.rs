//! What the forms of stock and of the register share: places and suppliers to choose from, the fields by
//! which two people prove to be there. Must not keep a password.

use app::AppError;
use app::medicines::register::Signing;
use app::record::search::{SearchRequest, search};
use app::sign_in::Proof;
use rust_decimal::Decimal;
use zeroize::Zeroizing;

use crate::clinical::name::PatientName;
use crate::components::{Choice, Field};
use crate::edge::form::Form;
use crate::edge::found::find;
use crate::edge::visit::Visit;

/// What may be chosen: value and words.
pub(super) type Choices<'a> = &'a [(String, String)];

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

/// The residents whom the caller reaches, by name: id, name.
pub(super) async fn residents(visit: &Visit) -> Result<Vec<(String, String)>, AppError> {
    let params = [
        ("_count", "200"),
        ("_sort", "family"),
        ("active:not", "false"),
    ];
    let found = find(visit, &visit.caller, "Patient", &params).await?;
    let each = found.found.iter().map(|own| {
        let name = PatientName::of(own.document.root()).display();
        (own.id.to_string(), name)
    });
    Ok(each.collect())
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
