//! Types by name: the two namespaces, the hierarchy of R4 (datatypes, section 2.24), and what a type
//! specifier in an expression means. Must not look into values.

use fhir::Definitions;
use fhir::definitions::navigate::ShapeId;
use fhir::definitions::pack::Primitive;

/// The FHIR type of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FhirType {
    /// A primitive type.
    Primitive(Primitive),
    /// A data type, a resource type or a backbone element.
    Shape(ShapeId),
    /// Not defined by R4: its members are reached by their JSON names.
    Unknown,
}

impl FhirType {
    /// The type of this name: `string`, `HumanName`, `Patient`, `Patient.contact`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let primitive = Primitive::ALL.into_iter().find(|one| one.name() == name);
        primitive
            .map(Self::Primitive)
            .or_else(|| Definitions::r4().shape_named(name).map(Self::Shape))
    }

    /// Its name; empty where unknown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Primitive(primitive) => primitive.name(),
            Self::Shape(shape) => Definitions::r4().shape_name(shape),
            Self::Unknown => "",
        }
    }
}

/// What `type()` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeInfo {
    /// `System` or `FHIR`.
    pub namespace: &'static str,
    /// The name in its namespace.
    pub name: &'static str,
}

/// The type R4 derives a type from; none for the roots.
pub(crate) fn base_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "" | "Element" | "Resource" => return None,
        "code" | "id" | "markdown" => "string",
        "canonical" | "oid" | "url" | "uuid" => "uri",
        "positiveInt" | "unsignedInt" => "integer",
        "Age" | "Count" | "Distance" | "Duration" | "MoneyQuantity" | "SimpleQuantity" => {
            "Quantity"
        }
        "Timing" | "Dosage" | "ElementDefinition" | "Population" | "ProdCharacteristic"
        | "ProductShelfLife" | "MarketingStatus" | "SubstanceAmount" => "BackboneElement",
        "Bundle" | "Binary" | "Parameters" | "DomainResource" => "Resource",
        _ => {
            let owner = name.split('.').next().unwrap_or(name);
            let resource = Definitions::r4().resource(owner).is_some();
            match (resource, owner.len() == name.len()) {
                (true, true) => "DomainResource",
                (true, false) => "BackboneElement",
                _ => "Element",
            }
        }
    })
}

/// Whether a type is another or derives from it.
pub(crate) fn derives(name: &str, from: &str) -> bool {
    let mut at = Some(name);
    while let Some(name) = at {
        if name == from {
            return true;
        }
        at = base_of(name);
    }
    false
}

const SYSTEM: [&str; 9] = [
    "Any", "Boolean", "Date", "DateTime", "Decimal", "Integer", "Quantity", "String", "Time",
];

/// A type as written in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName {
    /// May mean a System type of this name.
    system: Option<&'static str>,
    /// May mean a FHIR type of this name.
    fhir: Option<Box<str>>,
}

impl TypeName {
    /// What the parts of a qualified name mean; none where nothing has the name.
    pub(crate) fn resolve(namespace: Option<&str>, name: &str) -> Option<Self> {
        let system = SYSTEM.into_iter().find(|known| *known == name);
        let fhir = is_fhir(name).then(|| name.into());
        match namespace {
            // A System type nobody knows is a type nothing has.
            Some("System") => Some(Self { system, fhir: None }),
            Some("FHIR") => fhir.is_some().then_some(Self { system: None, fhir }),
            Some(_) => None,
            None => (system.is_some() || fhir.is_some()).then_some(Self { system, fhir }),
        }
    }

    /// Whether a System value of this type is one.
    pub(crate) fn is_system(&self, name: &str) -> bool {
        self.system
            .is_some_and(|known| known == name || known == "Any")
    }

    /// Whether a node of this FHIR type is one (`is`).
    pub(crate) fn is_fhir(&self, name: &str) -> bool {
        self.fhir
            .as_deref()
            .is_some_and(|known| derives(name, known))
    }

    /// Whether a node is of the type for `as` and `ofType`, which take primitives by their own type only.
    pub(crate) fn is_of(&self, ty: FhirType) -> bool {
        match ty {
            FhirType::Primitive(primitive) => self.fhir.as_deref() == Some(primitive.name()),
            _ => self.is_fhir(ty.name()),
        }
    }
}

fn is_fhir(name: &str) -> bool {
    matches!(
        name,
        "Resource"
            | "DomainResource"
            | "Element"
            | "BackboneElement"
            | "SimpleQuantity"
            | "MoneyQuantity"
    ) || FhirType::named(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_that_of_r4() {
        for (name, from, expected) in [
            ("Patient", "DomainResource", true),
            ("Patient", "Resource", true),
            ("Bundle", "DomainResource", false),
            ("Age", "Quantity", true),
            ("Quantity", "Age", false),
            ("code", "string", true),
            ("uuid", "uri", true),
            ("Patient.contact", "BackboneElement", true),
            ("Timing.repeat", "BackboneElement", false),
            ("Timing.repeat", "Element", true),
            ("Patient", "Element", false),
        ] {
            assert_eq!(derives(name, from), expected, "{name} from {from}");
        }
    }
}
