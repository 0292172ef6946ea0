//! The schema that queries follow, as GraphQL's introspection tells it: made once, from the definitions that
//! execution walks. Pure; must not know a caller: what is shown of it is decided where it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use fhir::definitions::navigate::{Element, Holds, ShapeId};
use fhir::definitions::pack::Primitive;
use fhir::definitions::{Definitions, TypeId};
use fhir::search::ParamKind;

use super::resources::REFUSED;

/// What a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    Object,
    Interface,
}

/// A type, perhaps in a list, perhaps always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ref {
    Named(String),
    List(Box<Ref>),
    Always(Box<Ref>),
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    pub name: String,
    pub ty: Ref,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldOf {
    pub name: String,
    pub arguments: Vec<Argument>,
    pub ty: Ref,
    /// The resource type it leads to: who may not search that has no such field.
    pub about: Option<TypeId>,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Type {
    pub name: String,
    pub kind: Kind,
    pub fields: Vec<FieldOf>,
    /// The resource type that it is, or is part of.
    pub of: Option<TypeId>,
    /// Whether it is a resource type itself.
    pub is_resource: bool,
}

/// The schema with everything in it.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub types: BTreeMap<String, Type>,
}

/// What any resource is.
pub(super) const RESOURCE: &str = "Resource";
/// The root of a query of the system.
pub(super) const QUERY: &str = "Query";

/// The directives.
pub(super) const DIRECTIVES: [&str; 6] =
    ["include", "skip", "first", "flatten", "singleton", "slice"];

/// The arguments of a directive.
pub(super) fn arguments_of(directive: &str) -> &'static [Argument] {
    static CONDITION: LazyLock<[Argument; 1]> =
        LazyLock::new(|| [argument("if", always(named("Boolean")))]);
    static PATHS: LazyLock<[Argument; 2]> =
        LazyLock::new(|| ["path", "fhirpath"].map(|name| argument(name, named("String"))));
    match directive {
        "include" | "skip" => &*CONDITION,
        "slice" => &*PATHS,
        _ => &[],
    }
}

/// The schema.
pub(super) fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::new);
    &SCHEMA
}

/// The name of a shape as GraphQL can have it: `PatientContact` for `Patient.contact`.
pub(super) fn type_name(shape: &str) -> String {
    let mut name = String::with_capacity(shape.len());
    for part in shape.split('.') {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

fn named(name: &str) -> Ref {
    Ref::Named(name.to_owned())
}

fn list(of: Ref) -> Ref {
    Ref::List(Box::new(of))
}

fn always(of: Ref) -> Ref {
    Ref::Always(Box::new(of))
}

fn plain(name: &str, ty: Ref) -> FieldOf {
    FieldOf {
        name: name.to_owned(),
        arguments: Vec::new(),
        ty,
        about: None,
    }
}

fn argument(name: &str, ty: Ref) -> Argument {
    Argument {
        name: name.to_owned(),
        ty,
    }
}

const fn scalar(primitive: Primitive) -> &'static str {
    match primitive {
        Primitive::Boolean => "Boolean",
        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => "Int",
        Primitive::Decimal => "Float",
        Primitive::Id | Primitive::ElementId => "ID",
        _ => "String",
    }
}

impl Schema {
    fn new() -> Self {
        let definitions = Definitions::r4();
        let mut schema = Self::default();
        for name in ["Boolean", "Float", "ID", "Int", "String"] {
            schema.put(name, Kind::Scalar, Vec::new(), None);
        }
        let common = ["id", "implicitRules", "language", "resourceType"];
        let mut fields: Vec<FieldOf> = common
            .iter()
            .map(|name| plain(name, named(if *name == "id" { "ID" } else { "String" })))
            .collect();
        fields.push(plain("meta", named("Meta")));
        schema.put(RESOURCE, Kind::Interface, fields, None);
        let referring = referring();
        let mut open = Vec::new();
        let mut query = Vec::new();
        for ty in definitions.resource_types() {
            let Some(shape) = definitions.resource_shape(ty) else {
                continue;
            };
            schema.resource(ty, shape, &referring, &mut open);
            schema.lists(ty, &mut query);
        }
        schema.put(QUERY, Kind::Object, query, None);
        while let Some(shape) = open.pop() {
            schema.shape(shape, &mut open);
        }
        schema
    }

    fn put(&mut self, name: &str, kind: Kind, fields: Vec<FieldOf>, of: Option<TypeId>) {
        let made = Type {
            name: name.to_owned(),
            kind,
            fields,
            of,
            is_resource: false,
        };
        self.types.insert(name.to_owned(), made);
    }

    fn resource(
        &mut self,
        ty: TypeId,
        shape: ShapeId,
        referring: &BTreeMap<TypeId, BTreeSet<TypeId>>,
        open: &mut Vec<ShapeId>,
    ) {
        let definitions = Definitions::r4();
        let name = definitions.resource_name(ty);
        let mut fields = vec![plain("resourceType", always(named("String")))];
        fields.extend(elements(shape, open));
        for other in referring.get(&ty).into_iter().flatten() {
            let of = definitions.resource_name(*other);
            fields.push(FieldOf {
                name: format!("{of}List"),
                arguments: vec![
                    argument("_reference", always(named("String"))),
                    argument("_count", named("Int")),
                    argument("_offset", named("Int")),
                ],
                ty: list(named(of)),
                about: Some(*other),
            });
        }
        self.put(name, Kind::Object, fields, Some(ty));
        if let Some(made) = self.types.get_mut(name) {
            made.is_resource = true;
        }
    }

    /// The fields of the system for a type, and the types of its connection.
    fn lists(&mut self, ty: TypeId, query: &mut Vec<FieldOf>) {
        let definitions = Definitions::r4();
        let name = definitions.resource_name(ty);
        let mut found = BTreeSet::new();
        let own = definitions.search_params(ty).iter();
        let own = own.filter(|param| {
            !REFUSED.contains(&param.code)
                && (param.kind != ParamKind::Special || param.code == "_text")
        });
        found.extend(own.map(|param| param.code.replace('-', "_")));
        found.extend(["_sort".to_owned(), "_filter".to_owned()]);
        let mut arguments = vec![argument("_count", named("Int"))];
        let is_name = |name: &&String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let texts = found.iter().filter(is_name);
        arguments.extend(texts.map(|name| argument(name, list(named("String")))));
        let field = |name: String, arguments: Vec<Argument>, to: Ref| FieldOf {
            name,
            arguments,
            ty: to,
            about: Some(ty),
        };
        let id = vec![argument("id", always(named("ID")))];
        query.push(field(name.to_owned(), id, named(name)));
        let mut of_list = arguments.clone();
        of_list.push(argument("_offset", named("Int")));
        query.push(field(format!("{name}List"), of_list, list(named(name))));
        let (connection, edge) = (format!("{name}Connection"), format!("{name}Edge"));
        arguments.push(argument("_cursor", named("String")));
        query.push(field(connection.clone(), arguments, named(&connection)));
        let int = |name: &str| plain(name, named("Int"));
        let text = |name: &str| plain(name, named("String"));
        let fields = vec![
            int("count"),
            int("offset"),
            int("pagesize"),
            text("first"),
            text("previous"),
            text("next"),
            text("last"),
            plain("edges", list(named(&edge))),
        ];
        self.put(&connection, Kind::Object, fields, Some(ty));
        let fields = vec![
            text("mode"),
            plain("score", named("Float")),
            plain("resource", named(name)),
        ];
        self.put(&edge, Kind::Object, fields, Some(ty));
    }

    /// A data type, or a part of a resource.
    fn shape(&mut self, shape: ShapeId, open: &mut Vec<ShapeId>) {
        let definitions = Definitions::r4();
        let path = definitions.shape_name(shape);
        let name = type_name(path);
        if self.types.contains_key(&name) {
            return;
        }
        let mut fields = elements(shape, open);
        if path == "Reference" {
            fields.push(FieldOf {
                name: "resource".to_owned(),
                arguments: vec![
                    argument("optional", named("Boolean")),
                    argument("type", named("String")),
                ],
                ty: named(RESOURCE),
                about: None,
            });
        }
        let of = path.split('.').next();
        let of = of.and_then(|name| definitions.resource(name));
        self.put(&name, Kind::Object, fields, of);
    }
}

/// The resource types that point to each type by a parameter that says so.
fn referring() -> BTreeMap<TypeId, BTreeSet<TypeId>> {
    let definitions = Definitions::r4();
    let mut found: BTreeMap<TypeId, BTreeSet<TypeId>> = BTreeMap::new();
    for source in definitions.resource_types() {
        let params = definitions.search_params(source).iter();
        for param in params.filter(|param| param.kind == ParamKind::Reference) {
            for target in param.targets {
                found.entry(*target).or_default().insert(source);
            }
        }
    }
    found
}

/// A field for every member that an element may stand as.
fn elements(of: ShapeId, open: &mut Vec<ShapeId>) -> Vec<FieldOf> {
    let mut fields = Vec::new();
    for element in Definitions::r4().elements(of) {
        if element.is_prohibited() {
            continue;
        }
        for (member, holds) in element.forms() {
            fields.push(field(element, member, holds, open));
        }
    }
    fields
}

fn field(element: Element, member: &str, holds: Holds, open: &mut Vec<ShapeId>) -> FieldOf {
    let definitions = Definitions::r4();
    let (one, inner) = match holds {
        Holds::Primitive(primitive) => (named(scalar(primitive)), None),
        Holds::Shape(shape) => {
            open.push(shape);
            let name = type_name(definitions.shape_name(shape));
            (named(&name), Some(shape))
        }
        Holds::Resource => (named(RESOURCE), None),
    };
    let mut arguments = Vec::new();
    if element.repeats() {
        arguments = vec![
            argument("_offset", named("Int")),
            argument("_count", named("Int")),
            argument("fhirpath", named("String")),
        ];
        // The values of its own elements, by which one of them is found.
        for own in inner
            .into_iter()
            .flat_map(|shape| definitions.elements(shape))
        {
            if let Some(Holds::Primitive(primitive)) = own.only() {
                arguments.push(argument(own.name(), named(scalar(primitive))));
            }
        }
    }
    FieldOf {
        name: member.to_owned(),
        arguments,
        ty: if element.repeats() { list(one) } else { one },
        about: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_named_is_there() {
        fn base(ty: &Ref) -> &str {
            match ty {
                Ref::Named(name) => name,
                Ref::List(of) | Ref::Always(of) => base(of),
            }
        }
        let schema = schema();
        let is_name = |name: &str| {
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.starts_with("__")
        };
        for (name, ty) in &schema.types {
            assert!(is_name(name), "{name}");
            assert!(ty.kind == Kind::Scalar || !ty.fields.is_empty(), "{name}");
            let mut known = BTreeSet::new();
            for field in &ty.fields {
                assert!(known.insert(&field.name), "{name}.{} twice", field.name);
                assert!(is_name(&field.name), "{name}.{}", field.name);
                let to = base(&field.ty);
                assert!(schema.types.contains_key(to), "{name}.{} {to}", field.name);
                let mut arguments = BTreeSet::new();
                for argument in &field.arguments {
                    assert!(
                        arguments.insert(&argument.name),
                        "{name}.{}({}) twice",
                        field.name,
                        argument.name
                    );
                    assert!(is_name(&argument.name), "{}", argument.name);
                    assert!(schema.types.contains_key(base(&argument.ty)));
                }
            }
        }
        // Every shape has a name of its own.
        let contact = &schema.types["PatientContact"];
        assert_eq!(contact.of, Definitions::r4().resource("Patient"));
        assert!(schema.types["HumanName"].of.is_none());
        let fields: usize = schema.types.values().map(|ty| ty.fields.len()).sum();
        assert!(fields > 8_000 && fields < 40_000, "{fields}");
    }
}
