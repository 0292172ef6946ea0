//! The input of an operation (FHIR R4, section 3.2.0.3): the query of a GET, or the Parameters resource of
//! a POST, or one resource posted by itself. Must not know which parameters an operation has.

use std::borrow::Cow;

use app::operations::input::{Given, GivenCoding, Input};
use fhir::json::{Document, Kind, Limits, Value};
use kernel::Category;

use crate::edge::{Arrival, EdgeError};
use crate::fhir_routes::query;

/// The name that a resource posted by itself goes by.
pub const RESOURCE: &str = "resource";

/// What an operation was given, from query and body together.
#[derive(Debug)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
    body: Option<Document>,
}

impl Parameters {
    /// Reads query and, for a POST, body.
    ///
    /// # Errors
    /// Whatever is wrong with the address, the body's length or its JSON.
    pub async fn read(arrival: &mut Arrival, limit: usize) -> Result<Self, EdgeError> {
        let pairs = query(arrival.raw_query())?;
        let bytes = arrival.body(limit).await?;
        Self::new(pairs, bytes.to_vec())
    }

    /// From a decoded query and the body's bytes; empty: none.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub fn new(pairs: Vec<(String, String)>, bytes: Vec<u8>) -> Result<Self, EdgeError> {
        let body = if bytes.iter().all(u8::is_ascii_whitespace) {
            None
        } else {
            let document = Document::parse(bytes, &Limits::default())
                .map_err(|error| EdgeError::Address(Category::Invalid, error.to_string()))?;
            Some(document)
        };
        Ok(Self { pairs, body })
    }

    fn root(&self) -> Option<Value<'_>> {
        self.body.as_ref().map(Document::root)
    }

    fn is_parameters(&self) -> bool {
        self.root()
            .and_then(|root| root.get("resourceType"))
            .and_then(Value::as_str)
            .is_some_and(|name| name == "Parameters")
    }

    /// The parts of the Parameters resource, with their names, in order.
    pub fn parts(&self) -> impl Iterator<Item = (Cow<'_, str>, Value<'_>)> {
        self.root()
            .filter(|_| self.is_parameters())
            .and_then(|root| root.get("parameter"))
            .into_iter()
            .flat_map(Value::items)
            .filter_map(|part| Some((part.get("name")?.as_str()?, part)))
    }

    /// Every value of a parameter, as text: of the query first, then of the body. Complex values are left
    /// out; see [`Self::values`].
    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        let queried = self
            .pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| Cow::Borrowed(value.as_str()));
        queried.chain(self.values(name).filter_map(text))
    }

    /// The first value of a parameter, as text.
    #[must_use]
    pub fn text<'a>(&'a self, name: &'a str) -> Option<Cow<'a, str>> {
        self.texts(name).next()
    }

    /// The `value[x]` of each part of this name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Value<'a>> {
        self.parts()
            .filter(move |(key, _)| key == name)
            .filter_map(|(_, part)| {
                part.members()
                    .find(|(key, _)| key.starts_with("value"))
                    .map(|(_, value)| value)
            })
    }

    /// The resources given under a name; a body that is no Parameters resource goes by [`RESOURCE`].
    pub fn resources<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Value<'a>> {
        let whole = self
            .root()
            .filter(|_| name == RESOURCE && !self.is_parameters());
        whole.into_iter().chain(
            self.parts()
                .filter(move |(key, _)| key == name)
                .filter_map(|(_, part)| part.get("resource")),
        )
    }

    /// Everything as the use-cases take it: of the query first, then of the body. A resource posted by
    /// itself goes by [`RESOURCE`].
    #[must_use]
    pub fn input(&self) -> Input {
        let queried = self
            .pairs
            .iter()
            .map(|(name, text)| (name.clone(), Given::Text(text.clone())));
        let mut parameters: Vec<(String, Given)> = queried.collect();
        if let Some(root) = self.root().filter(|_| !self.is_parameters()) {
            parameters.push((RESOURCE.to_owned(), Given::Resource(root.raw().to_vec())));
        }
        for (name, part) in self.parts() {
            if let Some(given) = given(part, DEEPEST) {
                parameters.push((name.into_owned(), given));
            }
        }
        Input { parameters }
    }

    /// The query's pairs, in order.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The query's pairs, then every simple value of the body under its name, in order.
    #[must_use]
    pub fn flat(&self) -> Vec<(String, String)> {
        let mut pairs = self.pairs.clone();
        for (name, part) in self.parts() {
            let value = part.members().find(|(key, _)| key.starts_with("value"));
            if let Some(value) = value.and_then(|(_, value)| text(value)) {
                pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        pairs
    }

    /// A yes or no.
    ///
    /// # Errors
    /// Any other text.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, EdgeError> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(EdgeError::Address(
                Category::Invalid,
                format!("parameter {name} is neither true nor false: give one of them"),
            )),
        }
    }
}

/// How deep parts of parameters are read.
const DEEPEST: u32 = 8;

fn given(part: Value<'_>, depth: u32) -> Option<Given> {
    if let Some(resource) = part.get("resource") {
        return Some(Given::Resource(resource.raw().to_vec()));
    }
    if let Some(parts) = part.get("part") {
        let parts = parts.items().filter(|_| depth > 0);
        return Some(Given::Parts(
            parts
                .filter_map(|part| {
                    Some((part.get_str("name")?.into_owned(), given(part, depth - 1)?))
                })
                .collect(),
        ));
    }
    let (name, value) = part.members().find(|(key, _)| key.starts_with("value"))?;
    Some(match &*name {
        "valueCoding" => Given::Coding(coding(value)),
        "valueCodeableConcept" => {
            let codings = value.get("coding").into_iter().flat_map(Value::items);
            Given::Concept(codings.map(coding).collect())
        }
        _ => Given::Text(text(value)?.into_owned()),
    })
}

fn coding(value: Value<'_>) -> GivenCoding {
    let part = |name: &str| value.get_str(name).map(Cow::into_owned);
    GivenCoding {
        system: part("system"),
        version: part("version"),
        code: part("code"),
        display: part("display"),
    }
}

fn text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value.kind() {
        Kind::String => value.as_str(),
        Kind::Number => value.number_text().map(Cow::Borrowed),
        Kind::Bool => value
            .as_bool()
            .map(|flag| Cow::Borrowed(if flag { "true" } else { "false" })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(query: &[(&str, &str)], body: &str) -> Parameters {
        let pairs = query
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        Parameters::new(pairs, body.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn query_and_body_answer_together() {
        let body = r#"{"resourceType":"Parameters","parameter":[
            {"name":"code","valueCode":"a"},{"name":"n","valueInteger":3},
            {"name":"flag","valueBoolean":true},{"name":"thing","resource":{"resourceType":"Patient"}},
            {"name":"coding","valueCoding":{"code":"x"}}]}"#;
        let parameters = given(&[("code", "q")], body);
        let codes: Vec<_> = parameters.texts("code").collect();
        assert_eq!(codes, ["q", "a"]);
        assert_eq!(parameters.text("n").as_deref(), Some("3"));
        assert_eq!(parameters.flag("flag").unwrap(), Some(true));
        assert!(parameters.flag("n").is_err());
        assert_eq!(parameters.text("coding"), None);
        assert_eq!(parameters.values("coding").count(), 1);
        assert_eq!(parameters.resources("thing").count(), 1);
        assert_eq!(parameters.resources(RESOURCE).count(), 0);
        let input = parameters.input();
        let names: Vec<&str> = input
            .parameters
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["code", "code", "n", "flag", "thing", "coding"]);
        assert_eq!(input.text("n"), Some("3"));
        assert_eq!(input.coding("coding").unwrap().code.as_deref(), Some("x"));
        assert_eq!(
            input.resource("thing"),
            Some(br#"{"resourceType":"Patient"}"#.as_slice())
        );
    }

    #[test]
    fn a_resource_posted_by_itself_is_the_resource() {
        let parameters = given(&[], r#"{"resourceType":"Patient"}"#);
        assert_eq!(parameters.resources(RESOURCE).count(), 1);
        assert_eq!(parameters.parts().count(), 0);
        assert_eq!(given(&[], " ").resources(RESOURCE).count(), 0);
    }
}
