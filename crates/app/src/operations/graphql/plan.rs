//! A query made ready: its operation chosen, its variables bound, its fragments known to end, and its size
//! known before anything is read. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::syntax::{Directive, Field, Literal, Operation, Query, Selection};
use crate::error::AppError;

/// Fields that a query may select, with its fragments written out.
const FIELDS: u64 = 2_000;
/// Nesting with its fragments written out.
const DEPTH: u64 = 40;

/// What a query is asked with.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The document.
    pub query: String,
    /// Values of its variables.
    pub variables: Map<String, Json>,
    /// Which of its operations; needed where it has several.
    pub operation: Option<String>,
}

/// A query that may be executed.
pub(super) struct Planned {
    pub query: Query,
    pub operation: usize,
    pub variables: HashMap<String, Json>,
}

fn invalid(text: impl Into<String>) -> AppError {
    AppError::Invalid(text.into())
}

impl Planned {
    pub(super) fn new(request: &Request) -> Result<Self, AppError> {
        let query =
            super::syntax::parse(&request.query).map_err(|error| invalid(error.to_string()))?;
        let operation = choose(&query, request.operation.as_deref())?;
        let chosen = query
            .operations
            .get(operation)
            .ok_or_else(|| invalid("the query has no operation"))?;
        let variables = bind(chosen, &request.variables)?;
        let mut sizes = Sizes {
            query: &query,
            variables: &variables,
            known: HashMap::new(),
            open: Vec::new(),
        };
        let size = sizes.of(&chosen.selections)?;
        if size.fields > FIELDS || size.depth > DEPTH {
            return Err(AppError::TooLarge(format!(
                "the query selects more than {FIELDS} fields, or deeper than {DEPTH} levels, once its fragments are written out: split it"
            )));
        }
        Ok(Self {
            query,
            operation,
            variables,
        })
    }

    /// The operation's selections.
    pub(super) fn selections(&self) -> &[Selection] {
        self.query
            .operations
            .get(self.operation)
            .map_or(&[], |operation| operation.selections.as_slice())
    }

    /// A literal with its variables put in. A variable that was declared and not given is null; one that was
    /// not declared is refused beforehand.
    pub(super) fn value(&self, literal: &Literal) -> Json {
        match literal {
            Literal::Variable(name) => self.variables.get(name).cloned().unwrap_or(Json::Null),
            Literal::Number(number) => serde_json::from_str(number).unwrap_or(Json::Null),
            Literal::Text(text) | Literal::Word(text) => Json::String(text.clone()),
            Literal::Flag(flag) => Json::Bool(*flag),
            Literal::Null => Json::Null,
            Literal::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Literal::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.value(value)))
                .collect(),
        }
    }

    /// A literal as text; `None` for null and what is no single value.
    pub(super) fn text(&self, literal: &Literal) -> Option<String> {
        match self.value(literal) {
            Json::String(text) => Some(text),
            Json::Number(number) => Some(number.to_string()),
            Json::Bool(flag) => Some(flag.to_string()),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// An argument of a directive or field, as text.
    pub(super) fn argument(&self, arguments: &[(String, Literal)], name: &str) -> Option<String> {
        let found = arguments.iter().find(|(known, _)| known == name);
        found.and_then(|(_, literal)| self.text(literal))
    }

    /// Whether `@include` and `@skip` leave it in.
    pub(super) fn is_included(&self, directives: &[Directive]) -> Result<bool, AppError> {
        for directive in directives {
            let wanted = match directive.name.as_str() {
                "include" => "true",
                "skip" => "false",
                _ => continue,
            };
            match self.argument(&directive.arguments, "if").as_deref() {
                Some(given @ ("true" | "false")) => {
                    if given != wanted {
                        return Ok(false);
                    }
                }
                _ => {
                    return Err(invalid(format!(
                        "@{} needs the argument if, true or false",
                        directive.name
                    )));
                }
            }
        }
        Ok(true)
    }
}

fn choose(query: &Query, name: Option<&str>) -> Result<usize, AppError> {
    match (name, query.operations.as_slice()) {
        (None, [_]) => Ok(0),
        (None, _) => Err(invalid(
            "the query has several operations: name one with operationName",
        )),
        (Some(name), operations) => operations
            .iter()
            .position(|operation| operation.name.as_deref() == Some(name))
            .ok_or_else(|| invalid("the query has no operation of the name given")),
    }
}

fn bind(
    operation: &Operation,
    given: &Map<String, Json>,
) -> Result<HashMap<String, Json>, AppError> {
    let mut bound = HashMap::new();
    for variable in &operation.variables {
        let value = match (given.get(&variable.name), &variable.default) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => constant(default)?,
            (None, None) => Json::Null,
        };
        if variable.required && value.is_null() {
            return Err(invalid(format!(
                "variable ${} needs a value",
                variable.name
            )));
        }
        bound.insert(variable.name.clone(), value);
    }
    Ok(bound)
}

fn constant(literal: &Literal) -> Result<Json, AppError> {
    Ok(match literal {
        Literal::Variable(_) => {
            return Err(invalid("a variable's default may not name a variable"));
        }
        Literal::Number(number) => serde_json::from_str(number).unwrap_or(Json::Null),
        Literal::Text(text) | Literal::Word(text) => Json::String(text.clone()),
        Literal::Flag(flag) => Json::Bool(*flag),
        Literal::Null => Json::Null,
        Literal::List(items) => items.iter().map(constant).collect::<Result<_, _>>()?,
        Literal::Object(members) => members
            .iter()
            .map(|(name, value)| Ok((name.clone(), constant(value)?)))
            .collect::<Result<_, AppError>>()?,
    })
}

/// Fields and depth of selections.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    fields: u64,
    depth: u64,
}

impl Size {
    fn beside(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.depth = self.depth.max(other.depth);
    }
}

/// Sizes of fragments, each worked out once, so that fragments of fragments cost nothing to refuse.
struct Sizes<'q> {
    query: &'q Query,
    /// Those declared.
    variables: &'q HashMap<String, Json>,
    known: HashMap<&'q str, Size>,
    open: Vec<&'q str>,
}

impl<'q> Sizes<'q> {
    fn of(&mut self, selections: &'q [Selection]) -> Result<Size, AppError> {
        let mut size = Size::default();
        for selection in selections {
            match selection {
                Selection::Field(field) => size.beside(self.field(field)?),
                Selection::Inline {
                    selections,
                    directives,
                    ..
                } => {
                    self.directives(directives)?;
                    size.beside(self.of(selections)?);
                }
                Selection::Spread { name, directives } => {
                    self.directives(directives)?;
                    size.beside(self.fragment(name)?);
                }
            }
        }
        Ok(size)
    }

    fn field(&mut self, field: &'q Field) -> Result<Size, AppError> {
        self.directives(&field.directives)?;
        self.arguments(&field.arguments)?;
        let is_known = matches!(field.name.as_str(), "__typename" | "__schema" | "__type");
        if field.name.starts_with("__") && !is_known {
            return Err(invalid(
                "names with __ are GraphQL's own: __schema, __type and __typename",
            ));
        }
        let mut size = self.of(&field.selections)?;
        size.fields = size.fields.saturating_add(1);
        size.depth = size.depth.saturating_add(1);
        Ok(size)
    }

    fn directives(&self, directives: &[Directive]) -> Result<(), AppError> {
        check_directives(directives)?;
        directives
            .iter()
            .try_for_each(|directive| self.arguments(&directive.arguments))
    }

    /// A variable that nobody declared would be null, and what it was to narrow would be left out.
    fn arguments(&self, arguments: &[(String, Literal)]) -> Result<(), AppError> {
        arguments
            .iter()
            .try_for_each(|(_, literal)| self.declared(literal))
    }

    fn declared(&self, literal: &Literal) -> Result<(), AppError> {
        match literal {
            Literal::Variable(name) if !self.variables.contains_key(name) => Err(invalid(format!(
                "variable ${name} is not declared: name it behind the word query"
            ))),
            Literal::List(items) => items.iter().try_for_each(|item| self.declared(item)),
            Literal::Object(members) => self.arguments(members),
            _ => Ok(()),
        }
    }

    fn fragment(&mut self, name: &'q str) -> Result<Size, AppError> {
        if let Some(size) = self.known.get(name) {
            return Ok(*size);
        }
        if self.open.contains(&name) {
            return Err(invalid(format!(
                "fragment {name} contains itself: break the circle"
            )));
        }
        let query = self.query;
        let fragment = query
            .fragments
            .get(name)
            .ok_or_else(|| invalid(format!("there is no fragment {name}")))?;
        // The chain of fragments is bounded, too: it is walked on the stack.
        if self.open.len() as u64 > DEPTH {
            return Err(AppError::TooLarge(format!(
                "fragments contain each other deeper than {DEPTH} levels: write some of them out"
            )));
        }
        self.open.push(name);
        let size = self.of(&fragment.selections)?;
        self.open.pop();
        self.known.insert(name, size);
        Ok(size)
    }
}

const DIRECTIVES: [&str; 6] = ["include", "skip", "first", "flatten", "singleton", "slice"];

fn check_directives(directives: &[Directive]) -> Result<(), AppError> {
    match directives
        .iter()
        .find(|directive| !DIRECTIVES.contains(&directive.name.as_str()))
    {
        None => Ok(()),
        Some(unknown) => Err(invalid(format!(
            "there is no directive @{}: use {}",
            unknown.name,
            DIRECTIVES.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use kernel::Categorised as _;
    use serde_json::json;

    use super::*;

    fn planned(query: &str, variables: &Json) -> Result<Planned, AppError> {
        Planned::new(&Request {
            query: query.to_owned(),
            variables: variables.as_object().cloned().unwrap_or_default(),
            operation: None,
        })
    }

    #[test]
    fn variables_are_bound_and_missed() {
        let text = "query($a: ID!, $b: Int = 2, $c: String) { x(a: $a, b: $b, c: [$c, 1]) }";
        let planned_query = planned(text, &json!({ "a": "p" })).unwrap();
        let Selection::Field(field) = &planned_query.selections()[0] else {
            panic!()
        };
        let values: Vec<Json> = field
            .arguments
            .iter()
            .map(|(_, literal)| planned_query.value(literal))
            .collect();
        assert_eq!(values, [json!("p"), json!(2), json!([null, 1])]);
        assert!(planned(text, &json!({})).is_err());
        assert!(planned("query A { a } query B { b }", &json!({})).is_err());
    }

    #[test]
    fn variables_that_nobody_declared_are_refused() {
        for text in [
            "query($id: ID) { PatientList(identifier: $idd) { id } }",
            "{ PatientList(identifier: [\"a\", $id]) { id } }",
            "{ id @skip(if: $x) }",
            "{ ... @include(if: $x) { id } }",
            "{ ...f } fragment f on Patient { name(use: $x) { text } }",
        ] {
            let refused = planned(text, &json!({ "idd": "a", "id": "b", "x": true }));
            let refused = refused.err().unwrap();
            assert!(refused.to_string().contains("is not declared"), "{refused}");
        }
    }

    #[test]
    fn bombs_of_fragments_are_refused_before_anything_is_read() {
        use std::fmt::Write as _;
        let mut doubling = String::from("{ ...f0 }");
        for number in 0..30 {
            let _ = write!(
                doubling,
                " fragment f{number} on Patient {{ ...f{0} ...f{0} }}",
                number + 1
            );
        }
        doubling.push_str(" fragment f30 on Patient { id }");
        let aliases: Vec<String> = (0..2_100).map(|number| format!("a{number}: id")).collect();
        let aliases = aliases.join(" ");
        let mut chain = String::from("{ ...c0 }");
        for number in 0..60 {
            let _ = write!(
                chain,
                " fragment c{number} on Patient {{ link {{ ...c{} }} }}",
                number + 1
            );
        }
        chain.push_str(" fragment c60 on Patient { id }");
        for (bomb, category) in [
            (doubling, kernel::Category::TooLarge),
            (format!("{{ {aliases} }}"), kernel::Category::TooLarge),
            (chain, kernel::Category::TooLarge),
            (
                "{ ...a } fragment a on Patient { ...b } fragment b on Patient { ...a }".to_owned(),
                kernel::Category::Invalid,
            ),
            (
                "{ ...a } fragment a on Patient { link { ...a } }".to_owned(),
                kernel::Category::Invalid,
            ),
            ("{ ...none }".to_owned(), kernel::Category::Invalid),
            (
                "{ __fields { name } }".to_owned(),
                kernel::Category::Invalid,
            ),
            ("{ id @live }".to_owned(), kernel::Category::Invalid),
        ] {
            let refused = planned(&bomb, &json!({})).err().unwrap();
            assert_eq!(refused.category(), category, "{refused}");
        }
    }
}
