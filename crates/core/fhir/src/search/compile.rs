//! Compiles the FHIRPath expressions of search parameters into paths. Used when the pack is made, not
//! when resources are read. Understands just what the R4 search parameters use: member paths, `|`,
//! parentheses, `as` and `is` in both forms, `where(member='text')`, `where(resolve() is Type)`,
//! `[index]`, `%resource`, and the one `x.exists() and x != false`. Anything else is an error.

use kernel::{Categorised, Category};

use crate::search::params::ParamKind;

/// What the compiler must know of the element definitions.
pub trait Schema {
    /// The elements that `name` of the element `path` (`Observation.component`) may be: for a choice
    /// type one per type. Empty if there is no such element.
    fn children(&self, path: &str, name: &str) -> Vec<Element>;
}

/// An element as its definition describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Where its own children are defined (`Observation.component`, or its type: `Period`).
    pub path: String,
    /// Its member name in JSON (`valueQuantity`).
    pub member: String,
    /// Its FHIR type (`Quantity`, `code`, `BackboneElement`).
    pub type_name: String,
    /// The code system of a `code` with a required binding to one system; else empty.
    pub system: String,
}

/// A step, owning its names; see [`crate::search::pack::Step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedStep {
    /// To a member.
    Member(String),
    /// To one item.
    Index(u32),
    /// Stay if a member has this value.
    Where {
        /// The member.
        member: String,
        /// Its value.
        equals: String,
    },
}

/// A place an expression leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whether it starts at the resource in spite of a context.
    pub from_root: bool,
    /// The steps.
    pub steps: Vec<OwnedStep>,
    /// The element there; `TokenExists` is told by [`Self::exists`].
    pub element: Element,
    /// `where(resolve() is Type)`.
    pub only: Option<String>,
    /// The members of `x.exists() and x != false`: the flag and the other.
    pub exists: Option<(String, String)>,
}

/// An expression the compiler does not understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "search expression {expression:?} cannot be compiled for {base}: {reason}, extend search::compile"
)]
pub struct CompileError {
    /// The expression.
    pub expression: String,
    /// The resource type or context element.
    pub base: String,
    /// What was not understood.
    pub reason: String,
}

impl Categorised for CompileError {
    fn category(&self) -> Category {
        Category::Fault
    }
}

/// The leaf that an element of a FHIR type has in a parameter of a kind, with the code system kept
/// apart; `None` if elements of that type give no such values (a `string` choice in a date parameter).
#[must_use]
pub fn leaf_name(kind: ParamKind, type_name: &str) -> Option<LeafName> {
    use LeafName as L;
    Some(match (kind, type_name) {
        (ParamKind::Token, "CodeableConcept") => L::TokenConcept,
        (ParamKind::Token, "Coding") => L::TokenCoding,
        (ParamKind::Token, "Identifier") => L::TokenIdentifier,
        (ParamKind::Token, "ContactPoint") => L::TokenContact,
        (ParamKind::Token, "code") => L::TokenCode,
        (ParamKind::Token, "boolean") => L::TokenBoolean,
        (ParamKind::Token, "string" | "id" | "uri" | "oid" | "uuid" | "canonical") => L::TokenPlain,
        (ParamKind::String, "string" | "markdown") => L::Text,
        (ParamKind::String, "HumanName") => L::TextName,
        (ParamKind::String, "Address") => L::TextAddress,
        (ParamKind::Date, "date" | "dateTime" | "instant") => L::Date,
        (ParamKind::Date, "Period") => L::Period,
        (ParamKind::Date, "Timing") => L::Timing,
        (ParamKind::Number, "decimal" | "integer" | "positiveInt" | "unsignedInt") => L::Number,
        (ParamKind::Number, "Range") => L::NumberRange,
        (
            ParamKind::Quantity,
            "Quantity" | "SimpleQuantity" | "Age" | "Duration" | "Count" | "Distance",
        ) => L::Quantity,
        (ParamKind::Quantity, "Money") => L::Money,
        (ParamKind::Quantity, "Range") => L::QuantityRange,
        (ParamKind::Quantity, "SampledData") => L::Sampled,
        (ParamKind::Reference, "Reference") => L::Reference,
        (ParamKind::Reference, "canonical" | "uri") => L::Canonical,
        (ParamKind::Reference, "Resource") => L::Resource,
        (ParamKind::Uri, "uri" | "url" | "oid" | "uuid") => L::Uri,
        (ParamKind::Uri, "canonical") => L::UriCanonical,
        _ => return None,
    })
}

/// [`crate::search::pack::Leaf`] without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is described at the leaf of the same name"
)]
pub enum LeafName {
    TokenConcept,
    TokenCoding,
    TokenIdentifier,
    TokenContact,
    TokenCode,
    TokenBoolean,
    TokenPlain,
    Text,
    TextName,
    TextAddress,
    Date,
    Period,
    Timing,
    Number,
    NumberRange,
    Quantity,
    Money,
    QuantityRange,
    Sampled,
    Reference,
    Canonical,
    Resource,
    Uri,
    UriCanonical,
}

/// The alternatives of an expression that concern a resource type: those that begin with its name, with
/// `Resource` or `DomainResource`, or with no type name at all.
#[must_use]
pub fn alternatives<'e>(expression: &'e str, base: &str) -> Vec<&'e str> {
    split_top(expression, '|')
        .into_iter()
        .map(str::trim)
        .filter(|part| {
            let head = part
                .trim_start_matches('(')
                .split(['.', ' ', '[', ')'])
                .next()
                .unwrap_or_default();
            head == base
                || matches!(head, "Resource" | "DomainResource")
                || head.starts_with(|c: char| c.is_ascii_lowercase())
        })
        .collect()
}

/// Compiles the alternatives of an expression that concern `base`, a resource type.
pub fn compile(
    expression: &str,
    base: &str,
    schema: &dyn Schema,
) -> Result<Vec<Place>, CompileError> {
    let mut places = Vec::new();
    for part in alternatives(expression, base) {
        places.extend(compile_from(part, base, base, schema)?);
    }
    Ok(places)
}

/// Compiles an expression relative to a context element (a component of a composite).
pub fn compile_component(
    expression: &str,
    base: &str,
    context: &str,
    schema: &dyn Schema,
) -> Result<Vec<Place>, CompileError> {
    let mut places = Vec::new();
    for part in split_top(expression, '|') {
        places.extend(compile_from(part.trim(), base, context, schema)?);
    }
    Ok(places)
}

fn compile_from(
    part: &str,
    base: &str,
    context: &str,
    schema: &dyn Schema,
) -> Result<Vec<Place>, CompileError> {
    let mut compiler = Compiler {
        expression: part,
        base,
        schema,
        places: vec![start(context)],
    };
    if let Some((exists, unequal)) = part.split_once(" and ") {
        return compiler.exists_and_not_false(exists, unequal);
    }
    compiler.run(part)?;
    Ok(compiler.places)
}

fn start(context: &str) -> Place {
    Place {
        from_root: false,
        steps: Vec::new(),
        element: Element {
            path: context.to_owned(),
            member: String::new(),
            type_name: context.to_owned(),
            system: String::new(),
        },
        only: None,
        exists: None,
    }
}

struct Compiler<'c> {
    expression: &'c str,
    base: &'c str,
    schema: &'c dyn Schema,
    places: Vec<Place>,
}

impl Compiler<'_> {
    fn error(&self, reason: impl Into<String>) -> CompileError {
        CompileError {
            expression: self.expression.to_owned(),
            base: self.base.to_owned(),
            reason: reason.into(),
        }
    }

    /// Runs a chain: `(inner) rest`, `x as T`, or segments joined by dots.
    fn run(&mut self, text: &str) -> Result<(), CompileError> {
        let text = text.trim();
        if text.starts_with('(') {
            let (inner, rest) = matching_parenthesis(text)
                .ok_or_else(|| self.error("a parenthesis is not closed"))?;
            self.run(inner)?;
            return match rest.strip_prefix('.') {
                Some(rest) => self.segments(rest),
                None if rest.is_empty() => Ok(()),
                None => Err(self.error(format!("{rest:?} after a parenthesis"))),
            };
        }
        if let Some((path, type_name)) = text.split_once(" as ") {
            self.run(path)?;
            return self.only_type(type_name.trim());
        }
        self.segments(text)
    }

    fn segments(&mut self, text: &str) -> Result<(), CompileError> {
        for segment in split_top(text, '.') {
            self.segment(segment)?;
        }
        Ok(())
    }

    fn segment(&mut self, segment: &str) -> Result<(), CompileError> {
        if segment == "%resource" {
            let base = self.base;
            self.places = vec![Place {
                from_root: true,
                ..start(base)
            }];
            return Ok(());
        }
        if let Some((name, index)) = segment.strip_suffix(']').and_then(|s| s.split_once('[')) {
            let index = index
                .parse()
                .map_err(|_| self.error(format!("index {index:?}")))?;
            self.member(name)?;
            for place in &mut self.places {
                place.steps.push(OwnedStep::Index(index));
            }
            return Ok(());
        }
        if let Some((name, argument)) = segment.strip_suffix(')').and_then(|s| s.split_once('(')) {
            return self.function(name, argument.trim());
        }
        // The first segment may name the type the expression is about.
        let at_start = self.places.iter().all(|place| place.steps.is_empty());
        if at_start && segment.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Ok(());
        }
        self.member(segment)
    }

    fn function(&mut self, name: &str, argument: &str) -> Result<(), CompileError> {
        if matches!(name, "as" | "ofType") {
            return self.only_type(argument);
        }
        if name != "where" {
            return Err(self.error(format!("function {name}")));
        }
        if let Some(type_name) = argument.strip_prefix("resolve() is ") {
            for place in &mut self.places {
                place.only = Some(type_name.trim().to_owned());
            }
            return Ok(());
        }
        let (member, literal) = argument
            .split_once('=')
            .ok_or_else(|| self.error(format!("where({argument})")))?;
        let equals = literal
            .trim()
            .strip_prefix('\'')
            .and_then(|text| text.strip_suffix('\''))
            .ok_or_else(|| self.error(format!("where({argument})")))?;
        for place in &mut self.places {
            place.steps.push(OwnedStep::Where {
                member: member.trim().to_owned(),
                equals: equals.to_owned(),
            });
        }
        Ok(())
    }

    /// Keeps the choices of a type; the definitions write `DateTime` in one place, so case is ignored.
    fn only_type(&mut self, type_name: &str) -> Result<(), CompileError> {
        self.places
            .retain(|place| place.element.type_name.eq_ignore_ascii_case(type_name));
        if self.places.is_empty() {
            return Err(self.error(format!("no choice of type {type_name}")));
        }
        Ok(())
    }

    fn member(&mut self, name: &str) -> Result<(), CompileError> {
        let mut next = Vec::new();
        for place in &self.places {
            for element in self.schema.children(&place.element.path, name) {
                let mut place = place.clone();
                place.steps.push(OwnedStep::Member(element.member.clone()));
                place.element = element;
                next.push(place);
            }
        }
        if next.is_empty() {
            return Err(self.error(format!("no element {name}")));
        }
        self.places = next;
        Ok(())
    }

    /// `X.exists() and X != false`, where `X` is a choice of a boolean and one other type.
    fn exists_and_not_false(
        &mut self,
        exists: &str,
        unequal: &str,
    ) -> Result<Vec<Place>, CompileError> {
        let path = exists.trim().strip_suffix(".exists()");
        let same = unequal.trim().strip_suffix("!= false").map(str::trim);
        let Some(path) = path.filter(|path| Some(*path) == same) else {
            return Err(self.error("another 'and' than x.exists() and x != false"));
        };
        self.segments(path)?;
        let member = |boolean: bool| {
            let mut choices = self.places.iter().map(|place| &place.element);
            choices
                .find(|element| (element.type_name == "boolean") == boolean)
                .map(|element| element.member.clone())
        };
        let (Some(flag), Some(other)) = (member(true), member(false)) else {
            return Err(self.error("a choice of a boolean and one other type was expected"));
        };
        Ok(vec![Place {
            exists: Some((flag, other)),
            ..start(self.base)
        }])
    }
}

/// Splits at a separator outside parentheses and quotes.
fn split_top(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut from) = (0i32, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ if c == separator && depth == 0 && !quoted => {
                parts.push(text.get(from..at).unwrap_or_default());
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

/// `(inner)rest` taken apart.
fn matching_parenthesis(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((text.get(1..at)?, text.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few elements of Observation and Patient.
    struct Few;

    impl Schema for Few {
        fn children(&self, path: &str, name: &str) -> Vec<Element> {
            let types: &[&str] = match (path, name) {
                ("Observation", "value") => &["Quantity", "string"],
                ("Patient", "deceased") => &["boolean", "dateTime"],
                ("Patient", "telecom") => &["ContactPoint"],
                ("Bundle", "entry") => &["BackboneElement"],
                _ => return Vec::new(),
            };
            let element = |ty: &&str| Element {
                path: (*ty).to_owned(),
                member: format!("{name}{}", if types.len() > 1 { *ty } else { "" }),
                type_name: (*ty).to_owned(),
                system: String::new(),
            };
            types.iter().map(element).collect()
        }
    }

    fn members(places: &[Place]) -> Vec<String> {
        let names = places.iter().flat_map(|place| &place.steps);
        names.map(|step| format!("{step:?}")).collect()
    }

    #[test]
    fn both_forms_of_as_pick_the_choice() {
        for expression in [
            "(Observation.value as Quantity)",
            "Observation.value.as(quantity)",
            "Observation.value as Quantity",
            "Patient.value | (Observation.value as Quantity)",
        ] {
            let places = compile(expression, "Observation", &Few).unwrap();
            assert_eq!(
                members(&places),
                [r#"Member("valueQuantity")"#],
                "{expression}"
            );
        }
        let all = compile("Observation.value", "Observation", &Few).unwrap();
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn filters_places_and_existence_are_steps_of_their_own() {
        let places = compile("Patient.telecom.where(system='a.b|c')", "Patient", &Few).unwrap();
        assert_eq!(
            members(&places),
            [
                r#"Member("telecom")"#,
                r#"Where { member: "system", equals: "a.b|c" }"#
            ]
        );
        let places = compile("Bundle.entry[2]", "Bundle", &Few).unwrap();
        assert_eq!(members(&places), [r#"Member("entry")"#, "Index(2)"]);
        let exists = "Patient.deceased.exists() and Patient.deceased != false";
        let places = compile(exists, "Patient", &Few).unwrap();
        let found = places.first().and_then(|place| place.exists.clone());
        assert_eq!(
            found,
            Some(("deceasedboolean".to_owned(), "deceaseddateTime".to_owned()))
        );
    }

    #[test]
    fn other_constructs_are_errors() {
        for expression in [
            "Patient.telecom.first()",
            "Patient.nothing",
            "Patient.telecom.where(rank > 1)",
            "(Patient.telecom",
            "(Patient.telecom) + 1",
            "Patient.deceased as Period",
            "Patient.telecom[x]",
            "Patient.telecom.exists() and true",
        ] {
            let error = compile(expression, "Patient", &Few).expect_err(expression);
            assert!(error.to_string().contains("Patient"), "{error}");
        }
        assert_eq!(
            compile("Observation.value", "Patient", &Few),
            Ok(Vec::new())
        );
    }
}
