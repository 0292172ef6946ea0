//! `__schema`, `__type` and `__typename`: the schema as its caller may see it. Resource types that they may
//! not search, with all their parts and the fields that lead to them, are not in it. Counted like any answer.

use std::collections::HashSet;

use fhir::definitions::TypeId;
use serde_json::{Map, Value as Json};

use super::execute::Execution;
use super::schema::{
    Argument, DIRECTIVES, FieldOf, Kind, QUERY, RESOURCE, Ref, Schema, Type, arguments_of, schema,
};
use super::syntax::{Field, Selection};
use crate::error::AppError;
use crate::record::narrow::{self, Reach};

/// The schema for one caller.
pub(super) struct View {
    schema: &'static Schema,
    seen: HashSet<TypeId>,
    /// The type that queries begin at.
    root: String,
}

/// Something of the schema that fields are selected of.
#[derive(Clone, Copy)]
enum Meta<'s> {
    Schema,
    Type(&'s Type),
    /// A list, or what is always there.
    Around(&'s Ref),
    Field(&'s FieldOf),
    Argument(&'s str, &'s Ref),
    Directive(&'static str),
}

/// What a field of the schema comes to.
enum Made<'s> {
    Plain(Json),
    One(Option<Meta<'s>>),
    Many(Vec<Meta<'s>>),
}

fn invalid(text: impl Into<String>) -> AppError {
    AppError::Invalid(text.into())
}

fn text(text: &str) -> Made<'static> {
    Made::Plain(Json::from(text))
}

const NOTHING: Made<'static> = Made::Plain(Json::Null);
const PLACES: [&str; 3] = ["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"];

impl View {
    pub(super) fn new(execution: &Execution<'_>, root: &str) -> Self {
        let definitions = fhir::Definitions::r4();
        let (app, caller) = (execution.app, execution.caller);
        let types = definitions.resource_types();
        let seen = types.filter(|ty| narrow::reach(app, caller, *ty) != Reach::Nothing);
        Self {
            schema: schema(),
            seen: seen.collect(),
            root: root.to_owned(),
        }
    }

    fn shows(&self, of: Option<TypeId>) -> bool {
        of.is_none_or(|ty| self.seen.contains(&ty))
    }

    fn types(&self) -> impl Iterator<Item = &'static Type> {
        let types = self.schema.types.values();
        // A query of one resource begins at its type.
        let has_query = self.root == QUERY;
        types.filter(move |ty| self.shows(ty.of) && (has_query || ty.name != QUERY))
    }

    fn named(&self, name: &str) -> Option<&'static Type> {
        let found = self.schema.types.get(name)?;
        self.shows(found.of).then_some(found)
    }

    fn to<'s>(&self, of: &'s Ref) -> Option<Meta<'s>> {
        match of {
            Ref::Named(name) => self.named(name).map(Meta::Type),
            around => Some(Meta::Around(around)),
        }
    }

    fn of_schema(&self, name: &str) -> Option<Made<'static>> {
        Some(match name {
            "types" => Made::Many(self.types().map(Meta::Type).collect()),
            "queryType" => Made::One(self.named(&self.root).map(Meta::Type)),
            "directives" => Made::Many(DIRECTIVES.into_iter().map(Meta::Directive).collect()),
            "mutationType" | "subscriptionType" | "description" => NOTHING,
            _ => return None,
        })
    }

    fn of_type(&self, ty: &'static Type, name: &str) -> Option<Made<'static>> {
        let is_object = ty.kind != Kind::Scalar;
        Some(match name {
            "kind" => text(match ty.kind {
                Kind::Scalar => "SCALAR",
                Kind::Object => "OBJECT",
                Kind::Interface => "INTERFACE",
            }),
            "name" => text(&ty.name),
            "fields" if is_object => {
                let shown = ty.fields.iter().filter(|field| self.shows(field.about));
                Made::Many(shown.map(Meta::Field).collect())
            }
            "interfaces" if ty.is_resource => {
                let of = self.named(RESOURCE).map(Meta::Type);
                Made::Many(of.into_iter().collect())
            }
            "interfaces" if is_object => Made::Many(Vec::new()),
            "possibleTypes" if ty.kind == Kind::Interface => {
                let resources = self.types().filter(|ty| ty.is_resource);
                Made::Many(resources.map(Meta::Type).collect())
            }
            "fields" | "interfaces" | "possibleTypes" | "description" | "enumValues"
            | "inputFields" | "ofType" | "specifiedByURL" | "isOneOf" => NOTHING,
            _ => return None,
        })
    }

    fn of<'s>(&self, meta: Meta<'s>, name: &str) -> Option<Made<'s>> {
        let flag = |value: bool| Made::Plain(Json::Bool(value));
        let arguments = |all: &'s [Argument]| {
            let all = all.iter();
            Made::Many(all.map(|one| Meta::Argument(&one.name, &one.ty)).collect())
        };
        Some(match (meta, name) {
            (Meta::Schema, name) => return self.of_schema(name),
            (Meta::Type(ty), name) => {
                // Types live as long as the process.
                let ty = self.schema.types.get(&ty.name)?;
                return self.of_type(ty, name);
            }
            (Meta::Around(Ref::List(_)), "kind") => text("LIST"),
            (Meta::Around(_), "kind") => text("NON_NULL"),
            (Meta::Around(Ref::List(of) | Ref::Always(of)), "ofType") => Made::One(self.to(of)),
            (Meta::Field(field), "name") => text(&field.name),
            (Meta::Field(field), "args") => arguments(&field.arguments),
            (Meta::Field(field), "type") => Made::One(self.to(&field.ty)),
            (Meta::Argument(name, _), "name") => text(name),
            (Meta::Argument(_, ty), "type") => Made::One(self.to(ty)),
            (Meta::Directive(directive), "name") => text(directive),
            (Meta::Directive(_), "locations") => Made::Plain(Json::from(PLACES.to_vec())),
            (Meta::Directive(directive), "args") => arguments(arguments_of(directive)),
            (Meta::Directive(_), "isRepeatable")
            | (Meta::Field(_) | Meta::Argument(..), "isDeprecated") => flag(false),
            (
                Meta::Around(_),
                "name" | "fields" | "interfaces" | "possibleTypes" | "enumValues" | "inputFields"
                | "ofType" | "specifiedByURL" | "isOneOf",
            )
            | (
                Meta::Around(_) | Meta::Field(_) | Meta::Argument(..) | Meta::Directive(_),
                "description",
            )
            | (Meta::Field(_) | Meta::Argument(..), "deprecationReason")
            | (Meta::Argument(..), "defaultValue") => NOTHING,
            _ => return None,
        })
    }
}

impl Meta<'_> {
    const fn type_name(self) -> &'static str {
        match self {
            Self::Schema => "__Schema",
            Self::Type(_) | Self::Around(_) => "__Type",
            Self::Field(_) => "__Field",
            Self::Argument(..) => "__InputValue",
            Self::Directive(_) => "__Directive",
        }
    }
}

impl Execution<'_> {
    /// `__schema` or `__type` of a query that begins at the type `root`.
    pub(super) fn introspected<'t>(
        &'t self,
        root: &str,
        field: &'t Field,
        selections: &[&'t Selection],
    ) -> Result<Json, AppError> {
        let view = self.view.get_or_init(|| View::new(self, root));
        let meta = if field.name == "__schema" {
            Some(Meta::Schema)
        } else {
            let name = self.planned.argument(&field.arguments, "name");
            let name = name.ok_or_else(|| invalid("__type needs the argument name"))?;
            view.named(&name).map(Meta::Type)
        };
        match meta {
            None => Ok(Json::Null),
            Some(meta) => self.of_meta(view, meta, selections),
        }
    }

    fn of_meta<'t>(
        &'t self,
        view: &View,
        meta: Meta<'_>,
        selections: &[&'t Selection],
    ) -> Result<Json, AppError> {
        let name = meta.type_name();
        if selections.is_empty() {
            return Err(invalid(format!("{name} has fields: say which")));
        }
        self.charge(1)?;
        let mut made = Map::new();
        for (field, chosen) in self.fields_of(name, selections)? {
            self.room(field.key().len() + 8)?;
            let value = if field.name == "__typename" {
                Json::from(name)
            } else {
                let found = view.of(meta, &field.name).ok_or_else(|| {
                    let shown: String = field.name.chars().take(64).collect();
                    invalid(format!("{name} has no field {shown}"))
                })?;
                self.made(view, found, field, &chosen)?
            };
            made.insert(field.key().to_owned(), value);
        }
        Ok(Json::Object(made))
    }

    fn made<'t>(
        &'t self,
        view: &View,
        found: Made<'_>,
        field: &Field,
        chosen: &[&'t Selection],
    ) -> Result<Json, AppError> {
        match found {
            Made::Plain(Json::Null) | Made::One(None) => Ok(Json::Null),
            Made::Plain(value) => {
                if !chosen.is_empty() {
                    let name = &field.name;
                    return Err(invalid(format!(
                        "{name} has no fields: select nothing of it"
                    )));
                }
                self.room(value.as_str().map_or(8, str::len))?;
                Ok(value)
            }
            Made::One(Some(meta)) => self.of_meta(view, meta, chosen),
            Made::Many(all) => {
                let all = all.into_iter();
                all.map(|meta| self.of_meta(view, meta, chosen)).collect()
            }
        }
    }
}
