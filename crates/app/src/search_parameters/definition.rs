//! What a SearchParameter resource defines, and why it may not be offered. Pure.

use fhir::definitions::{Definitions, TypeId};
use fhir::json::Value;
use fhir::search::ParamKind;

/// Longest expression, in bytes.
const MOST_EXPRESSION: usize = 4096;
/// Most resource types of one parameter.
const MOST_BASES: usize = 64;

/// One parameter of one resource type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Defined {
    /// The SearchParameter's canonical URL, or `SearchParameter/id` where it has none.
    pub url: String,
    /// Its name in queries.
    pub code: String,
    /// The type it searches.
    pub ty: TypeId,
    /// Its kind; never composite or special.
    pub kind: ParamKind,
    /// Types a reference may point to; empty for any.
    pub targets: Vec<TypeId>,
    /// FHIRPath.
    pub expression: String,
    /// Why it is not offered, with the remedy.
    pub refused: Option<String>,
}

/// The parameters that a SearchParameter resource defines: one per base; none unless it is active.
pub(super) fn read(definitions: &Definitions, resource: Value<'_>) -> Vec<Defined> {
    if resource.get_str("status").as_deref() != Some("active") {
        return Vec::new();
    }
    let id = resource.get_str("id").unwrap_or_default();
    let url = resource.get_str("url").map_or_else(
        || format!("SearchParameter/{id}"),
        std::borrow::Cow::into_owned,
    );
    let code = resource.get_str("code").unwrap_or_default().into_owned();
    let expression = resource.get_str("expression").unwrap_or_default();
    let kind = kind(resource);
    let names: Vec<String> = strings(resource, "base");
    let targets: Vec<TypeId> = strings(resource, "target")
        .iter()
        .filter_map(|name| definitions.resource(name))
        .collect();
    let refused = common_refusal(&code, &expression, kind, names.len());
    names
        .iter()
        .take(MOST_BASES)
        .filter_map(|name| Some((name, definitions.resource(name)?)))
        .map(|(name, ty)| Defined {
            url: url.clone(),
            code: code.clone(),
            ty,
            kind: kind.unwrap_or(ParamKind::Special),
            targets: targets.clone(),
            expression: expression.clone().into_owned(),
            refused: refused.clone().or_else(|| {
                definitions
                    .search_param(ty, &code)
                    .map(|_| format!("{name} has a parameter {code} of R4: choose another code"))
            }),
        })
        .collect()
}

fn strings(resource: Value<'_>, member: &str) -> Vec<String> {
    let found = resource.get(member).into_iter().flat_map(Value::items);
    found
        .filter_map(|item| item.as_str().map(std::borrow::Cow::into_owned))
        .collect()
}

fn kind(resource: Value<'_>) -> Option<ParamKind> {
    Some(match resource.get_str("type")?.as_ref() {
        "token" => ParamKind::Token,
        "string" => ParamKind::String,
        "date" => ParamKind::Date,
        "number" => ParamKind::Number,
        "quantity" => ParamKind::Quantity,
        "reference" => ParamKind::Reference,
        "uri" => ParamKind::Uri,
        _ => return None,
    })
}

fn common_refusal(
    code: &str,
    expression: &str,
    kind: Option<ParamKind>,
    bases: usize,
) -> Option<String> {
    let first = code
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic());
    let rest = code
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !first || !rest || code.len() > 64 {
        return Some(
            "the code is not a letter followed by at most 63 letters, digits, - or _: rename it"
                .to_owned(),
        );
    }
    if kind.is_none() {
        return Some(
            "composite and special parameters are not offered: define one of another type"
                .to_owned(),
        );
    }
    if expression.trim().is_empty() {
        return Some("there is no expression: add the FHIRPath of its values".to_owned());
    }
    if expression.len() > MOST_EXPRESSION {
        return Some(format!(
            "the expression is longer than {MOST_EXPRESSION} bytes: shorten it"
        ));
    }
    (bases > MOST_BASES)
        .then(|| format!("it names more than {MOST_BASES} resource types: split it"))
}

#[cfg(test)]
mod tests {
    use fhir::json::{Document, Limits};

    use super::*;

    fn defined(json: &str) -> Vec<Defined> {
        let document = Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap();
        read(Definitions::r4(), document.root())
    }

    fn with(change: &str) -> String {
        let base = r#"{"resourceType":"SearchParameter","id":"x","url":"urn:x","status":"active","code":"nickname","base":["Patient","Person"],"type":"string","expression":"Patient.name.given"}"#;
        let (from, to) = change.split_once("=>").unwrap_or(("", ""));
        base.replacen(from, to, usize::from(!from.is_empty()))
    }

    #[test]
    fn each_base_has_its_parameter() {
        let found = defined(&with(""));
        let names: Vec<_> = found
            .iter()
            .map(|one| Definitions::r4().resource_name(one.ty))
            .collect();
        assert_eq!(names, ["Patient", "Person"]);
        assert!(found.iter().all(|one| one.refused.is_none()));
        assert!(defined(&with("active=>draft")).is_empty());
    }

    #[test]
    fn what_cannot_be_offered_says_why() {
        let cases = [
            ("nickname=>9lives", "a letter"),
            ("nickname=>_id", "a letter"),
            ("nickname=>family", "of R4"),
            (r#""type":"string"=>"type":"composite""#, "composite"),
            ("Patient.name.given=> ", "no expression"),
        ];
        for (change, says) in cases {
            let found = defined(&with(change));
            let refused = found[0].refused.clone().unwrap_or_default();
            assert!(refused.contains(says), "{change}: {refused}");
        }
    }
}
