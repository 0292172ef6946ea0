//! Answers of terminology operations as JSON.

use serde_json::{Map, Number, Value, json};
use terminology::system::{PropertyKind, Usage};
use terminology::value_set::Name;

/// A Parameters resource in the making.
#[derive(Default)]
pub(super) struct Answer(Vec<Value>);

impl Answer {
    /// Adds a parameter.
    pub(super) fn add(&mut self, name: &str, kind: &str, value: impl Into<Value>) {
        self.0.push(part(name, kind, value));
    }

    /// Adds a parameter where there is a value.
    pub(super) fn maybe(&mut self, name: &str, kind: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add(name, kind, value);
        }
    }

    /// Adds a parameter with parts.
    pub(super) fn parts(&mut self, name: &str, parts: Vec<Value>) {
        let mut one = Map::new();
        one.insert("name".to_owned(), name.into());
        one.insert("part".to_owned(), Value::Array(parts));
        self.0.push(Value::Object(one));
    }

    /// Adds a resource.
    pub(super) fn resource(&mut self, name: &str, resource: Value) {
        let mut one = Map::new();
        one.insert("name".to_owned(), name.into());
        one.insert("resource".to_owned(), resource);
        self.0.push(Value::Object(one));
    }

    /// The resource's bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        json!({ "resourceType": "Parameters", "parameter": self.0 })
            .to_string()
            .into_bytes()
    }
}

/// A parameter, or a part of one: `kind` is the data type's name as `value[x]` has it.
pub(super) fn part(name: &str, kind: &str, value: impl Into<Value>) -> Value {
    let mut one = Map::new();
    one.insert("name".to_owned(), name.into());
    one.insert(format!("value{kind}"), value.into());
    Value::Object(one)
}

/// A coding, without what is not there.
pub(super) fn coding(
    system: Option<&str>,
    version: Option<&str>,
    code: Option<&str>,
    display: Option<&str>,
) -> Value {
    let mut one = Map::new();
    let parts = [
        ("system", system),
        ("version", version),
        ("code", code),
        ("display", display),
    ];
    for (name, value) in parts {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            one.insert(name.to_owned(), value.into());
        }
    }
    Value::Object(one)
}

/// The use of a designation, if it has one.
pub(super) fn usage(usage: &Usage) -> Option<Value> {
    (!usage.code.is_empty()).then(|| {
        coding(
            Some(&usage.system),
            None,
            Some(&usage.code),
            Some(&usage.display),
        )
    })
}

/// A name as ValueSet.expansion.contains.designation.
pub(super) fn designation(name: &Name) -> Value {
    let mut one = Map::new();
    if !name.language.is_empty() {
        one.insert("language".to_owned(), name.language.as_str().into());
    }
    if let Some(usage) = usage(&name.usage) {
        one.insert("use".to_owned(), usage);
    }
    one.insert("value".to_owned(), name.value.as_str().into());
    Value::Object(one)
}

/// A property's value with the name of its type; one that is not of its type is shown as a string.
pub(super) fn typed(kind: PropertyKind, text: &str) -> (&'static str, Value) {
    let string = || ("String", Value::from(text));
    match kind {
        PropertyKind::Code => ("Code", text.into()),
        PropertyKind::DateTime => ("DateTime", text.into()),
        PropertyKind::String => string(),
        PropertyKind::Boolean => match text {
            "true" => ("Boolean", true.into()),
            "false" => ("Boolean", false.into()),
            _ => string(),
        },
        PropertyKind::Integer => text
            .parse::<i32>()
            .map_or_else(|_| string(), |number| ("Integer", number.into())),
        // Written as it was: digits behind the point are kept.
        PropertyKind::Decimal => match text.parse::<Number>() {
            Ok(number) => ("Decimal", Value::Number(number)),
            Err(_) => string(),
        },
        PropertyKind::Coding => {
            let mut parts = text.splitn(3, '|');
            let (system, code, display) = (parts.next(), parts.next(), parts.next());
            ("Coding", coding(system, None, code, display))
        }
    }
}
