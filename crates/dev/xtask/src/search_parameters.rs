//! Makes the search-parameter pack and its append-only id table from the R4 definitions. Compiles each
//! expression once per resource type with `fhir::search::compile`. Must not renumber: an id given once
//! stays with its parameter.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path as FilePath;

use fhir::search::ParamKind;
use fhir::search::compile::{
    Element, LeafName, OwnedStep, Place, Schema, alternatives, compile, compile_component,
    leaf_name,
};
use fhir::search::pack::{Composite, Leaf, Pack, PackComponent, PackParam, PackType, Path, Step};
use serde_json::Value;

/// Parameters of the search protocol that have no SearchParameter: special for every type.
const PROTOCOL: [&str; 3] = ["_filter", "_has", "_list"];
/// Parameters the definitions call string or token, but that search in whole texts or run a query.
const SPECIAL: [&str; 3] = ["_content", "_query", "_text"];
/// R4 4.0.1 names this composite's component parameters in the wrong order (code belongs to `relation`,
/// target to `relatesto`); the expressions are right.
const SWAPPED: &str = "DocumentReference-relationship";

/// What was made.
#[derive(Debug)]
pub struct Report {
    /// Resource types.
    pub types: usize,
    /// Parameters over all types.
    pub params: usize,
    /// Bytes of the pack.
    pub bytes: usize,
}

/// Reads the R4 definitions in `source` (`profiles-types.json`, `profiles-resources.json`,
/// `valuesets.json`, `search-parameters.json`, `compartmentdefinition-patient.json`) and the type
/// numbers in `target`, writes `r4-search.pack` and `search-parameter-ids.tsv` there.
pub fn generate(source: &FilePath, target: &FilePath) -> Result<Report, Box<dyn Error>> {
    let mut definitions = Definitions::read(source)?;
    definitions.keep_types(&fs::read_to_string(target.join("resource-types.tsv"))?);
    let ids_file = target.join("search-parameter-ids.tsv");
    let mut ids = Ids::parse(&fs::read_to_string(&ids_file).unwrap_or_default())?;
    let names: Vec<&'static str> = definitions.types.iter().map(|name| leak(name)).collect();
    let mut types = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let mut params = definitions.params_of(name, &names, &mut ids)?;
        params.sort_by_key(|param| param.id);
        types.push(PackType {
            name: at as u16,
            params,
        });
    }
    let params = types.iter().map(|ty| ty.params.len()).sum();
    let pack = Pack { names, types };
    let plain = postcard::to_stdvec(&pack)?;
    let packed = zstd::encode_all(plain.as_slice(), 19)?;
    fs::create_dir_all(target)?;
    fs::write(target.join("r4-search.pack"), &packed)?;
    fs::write(ids_file, ids.print())?;
    Ok(Report {
        types: pack.types.len(),
        params,
        bytes: packed.len(),
    })
}

/// The task ends soon after, so the pack's strings may live to its end.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// `Type.code` to number.
struct Ids {
    known: BTreeMap<String, u16>,
    next: u16,
}

impl Ids {
    fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut known = BTreeMap::new();
        let mut next = 0;
        for line in text.lines() {
            let (id, name) = line
                .split_once('\t')
                .ok_or_else(|| format!("search parameter id line {line:?} has no tab"))?;
            let id: u16 = id.parse()?;
            next = next.max(id + 1);
            if known.insert(name.to_owned(), id).is_some() {
                return Err(format!("search parameter {name} has two ids").into());
            }
        }
        Ok(Self { known, next })
    }

    fn of(&mut self, ty: &str, code: &str) -> u16 {
        let next = &mut self.next;
        *self.known.entry(format!("{ty}.{code}")).or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }

    fn print(&self) -> String {
        let mut rows: Vec<_> = self.known.iter().map(|(name, id)| (id, name)).collect();
        rows.sort_unstable();
        rows.iter().fold(String::new(), |mut text, (id, name)| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{id}\t{name}");
            text
        })
    }
}

/// The definitions as the compiler needs them.
struct Definitions {
    /// Concrete resource types, by name.
    types: BTreeSet<String>,
    elements: HashMap<String, Value>,
    systems: HashMap<String, String>,
    params: Vec<Value>,
    by_url: HashMap<String, usize>,
    compartment: HashMap<String, BTreeSet<String>>,
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value
        .get(member)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn read(source: &FilePath, file: &str) -> Result<Value, Box<dyn Error>> {
    let path = source.join(file);
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn resources(bundle: &Value) -> impl Iterator<Item = &Value> {
    list(bundle, "entry")
        .iter()
        .filter_map(|entry| entry.get("resource"))
}

impl Definitions {
    fn read(source: &FilePath) -> Result<Self, Box<dyn Error>> {
        let mut types = BTreeSet::new();
        let mut elements = HashMap::new();
        for file in ["profiles-types.json", "profiles-resources.json"] {
            let bundle = read(source, file)?;
            for definition in resources(&bundle) {
                let constraint = text(definition, "derivation") == "constraint";
                if text(definition, "resourceType") != "StructureDefinition" || constraint {
                    continue;
                }
                let concrete = definition.get("abstract") == Some(&Value::Bool(false));
                if text(definition, "kind") == "resource" && concrete {
                    types.insert(text(definition, "name").to_owned());
                }
                for element in definition
                    .get("snapshot")
                    .map_or(&[][..], |snapshot| list(snapshot, "element"))
                {
                    elements.insert(text(element, "path").to_owned(), element.clone());
                }
            }
        }
        let params: Vec<Value> = resources(&read(source, "search-parameters.json")?)
            .cloned()
            .collect();
        let by_url = params
            .iter()
            .enumerate()
            .map(|(at, param)| (text(param, "url").to_owned(), at))
            .collect();
        Ok(Self {
            types,
            elements,
            systems: single_systems(&read(source, "valuesets.json")?),
            params,
            by_url,
            compartment: compartment(&read(source, "compartmentdefinition-patient.json")?),
        })
    }

    /// Keeps the numbered resource types: the package also holds a type of a later release
    /// (SubscriptionStatus).
    fn keep_types(&mut self, numbered: &str) {
        let names: BTreeSet<&str> = numbered
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(_, name)| name)
            .collect();
        self.types.retain(|name| names.contains(name.as_str()));
    }

    fn params_of(
        &self,
        ty: &str,
        names: &[&'static str],
        ids: &mut Ids,
    ) -> Result<Vec<PackParam<'static>>, Box<dyn Error>> {
        let mut made = Vec::new();
        for param in &self.params {
            let mut bases = list(param, "base").iter().filter_map(Value::as_str);
            if bases.any(|base| base == ty || self.is_common_base(base, ty)) {
                made.push(self.param(ty, param, names, ids)?);
            }
        }
        for code in PROTOCOL {
            made.push(PackParam {
                id: ids.of(ty, code),
                code,
                kind: ParamKind::Special,
                targets: Vec::new(),
                expression: "",
                definition: "",
                compartment: false,
                paths: Vec::new(),
                components: Vec::new(),
                composites: Vec::new(),
            });
        }
        Ok(made)
    }

    /// `Resource` is a base of every type, `DomainResource` of all but three.
    fn is_common_base(&self, base: &str, ty: &str) -> bool {
        match base {
            "Resource" => true,
            "DomainResource" => self.elements.contains_key(&format!("{ty}.extension")),
            _ => false,
        }
    }

    fn param(
        &self,
        ty: &str,
        param: &Value,
        names: &[&'static str],
        ids: &mut Ids,
    ) -> Result<PackParam<'static>, Box<dyn Error>> {
        let code = text(param, "code");
        let kind = kind_of(param)?;
        let expression = text(param, "expression");
        let targets = targets(param, names);
        let mut paths = Vec::new();
        let mut composites = Vec::new();
        match kind {
            ParamKind::Special => {}
            ParamKind::Composite => composites = self.composites(ty, param, expression, names)?,
            _ => {
                let places = compile(expression, ty, self)?;
                paths = to_paths(&places, kind, &targets, names);
                if paths.is_empty() {
                    return Err(format!("{ty}.{code}: {expression} gives no values").into());
                }
            }
        }
        let in_compartment = self
            .compartment
            .get(ty)
            .is_some_and(|codes| codes.contains(code));
        Ok(PackParam {
            id: ids.of(ty, code),
            code: leak(code),
            kind,
            targets,
            expression: leak(&alternatives(expression, ty).join(" | ")),
            definition: leak(text(param, "url")),
            compartment: in_compartment,
            paths,
            components: self.components(param, names)?,
            composites,
        })
    }

    /// The components of a composite: the parameter each takes its kind from, and its expression.
    fn component_params<'v>(
        &'v self,
        param: &'v Value,
    ) -> Result<Vec<(&'v Value, &'v str)>, Box<dyn Error>> {
        let components = list(param, "component");
        let mut urls: Vec<&str> = components.iter().map(|c| text(c, "definition")).collect();
        if text(param, "id") == SWAPPED {
            urls.reverse();
        }
        let mut made = Vec::new();
        for (url, component) in urls.into_iter().zip(components) {
            let at = self.by_url.get(url).copied();
            let of = at
                .and_then(|at| self.params.get(at))
                .ok_or_else(|| format!("component {url} is not defined"))?;
            made.push((of, text(component, "expression")));
        }
        Ok(made)
    }

    fn components(
        &self,
        param: &Value,
        names: &[&'static str],
    ) -> Result<Vec<PackComponent<'static>>, Box<dyn Error>> {
        let mut made = Vec::new();
        for (of, _) in self.component_params(param)? {
            made.push(PackComponent {
                code: leak(text(of, "code")),
                kind: kind_of(of)?,
                targets: targets(of, names),
            });
        }
        Ok(made)
    }

    fn composites(
        &self,
        ty: &str,
        param: &Value,
        expression: &str,
        names: &[&'static str],
    ) -> Result<Vec<Composite<'static>>, Box<dyn Error>> {
        let mut made = Vec::new();
        for context in compile(expression, ty, self)? {
            let mut components = Vec::new();
            for (of, part) in self.component_params(param)? {
                let kind = kind_of(of)?;
                let places = compile_component(part, ty, &context.element.path, self)?;
                let paths = to_paths(&places, kind, &[], names);
                if paths.is_empty() {
                    return Err(format!("{ty}: component {part} gives no values").into());
                }
                components.push(paths);
            }
            made.push(Composite {
                context: to_steps(&context.steps),
                components,
            });
        }
        Ok(made)
    }
}

fn kind_of(param: &Value) -> Result<ParamKind, Box<dyn Error>> {
    if SPECIAL.contains(&text(param, "code")) {
        return Ok(ParamKind::Special);
    }
    Ok(match text(param, "type") {
        "token" => ParamKind::Token,
        "string" => ParamKind::String,
        "date" => ParamKind::Date,
        "number" => ParamKind::Number,
        "quantity" => ParamKind::Quantity,
        "reference" => ParamKind::Reference,
        "uri" => ParamKind::Uri,
        "composite" => ParamKind::Composite,
        "special" => ParamKind::Special,
        other => return Err(format!("search parameter type {other} is not known").into()),
    })
}

/// Empty if every type may be meant.
fn targets(param: &Value, names: &[&'static str]) -> Vec<u16> {
    let mut targets: Vec<u16> = list(param, "target")
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|target| name_index(target, names))
        .collect();
    targets.sort_unstable();
    if targets.len() + 5 > names.len() {
        targets.clear();
    }
    targets
}

fn name_index(name: &str, names: &[&'static str]) -> Option<u16> {
    names
        .iter()
        .position(|known| *known == name)
        .map(|at| at as u16)
}

fn to_paths(
    places: &[Place],
    kind: ParamKind,
    targets: &[u16],
    names: &[&'static str],
) -> Vec<Path<'static>> {
    let mut paths: Vec<Path<'static>> = Vec::new();
    for place in places {
        let Some(leaf) = leaf_of(place, kind) else {
            continue;
        };
        let stated = place.only.as_ref().and_then(|only| name_index(only, names));
        let sole = match (leaf, targets) {
            (Leaf::Resource, [target]) => Some(*target),
            _ => None,
        };
        let path = Path {
            from_root: place.from_root,
            steps: to_steps(&place.steps),
            leaf,
            only: stated.or(sole),
        };
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

fn leaf_of(place: &Place, kind: ParamKind) -> Option<Leaf<'static>> {
    if let Some((flag, other)) = &place.exists {
        return Some(Leaf::TokenExists {
            flag: leak(flag),
            other: leak(other),
        });
    }
    Some(match leaf_name(kind, &place.element.type_name)? {
        LeafName::TokenConcept => Leaf::TokenConcept,
        LeafName::TokenCoding => Leaf::TokenCoding,
        LeafName::TokenIdentifier => Leaf::TokenIdentifier,
        LeafName::TokenContact => Leaf::TokenContact,
        LeafName::TokenCode => Leaf::TokenCode(leak(&place.element.system)),
        LeafName::TokenBoolean => Leaf::TokenBoolean,
        LeafName::TokenPlain => Leaf::TokenPlain,
        LeafName::Text => Leaf::Text,
        LeafName::TextName => Leaf::TextName,
        LeafName::TextAddress => Leaf::TextAddress,
        LeafName::Date => Leaf::Date,
        LeafName::Period => Leaf::Period,
        LeafName::Timing => Leaf::Timing,
        LeafName::Number => Leaf::Number,
        LeafName::NumberRange => Leaf::NumberRange,
        LeafName::Quantity => Leaf::Quantity,
        LeafName::Money => Leaf::Money,
        LeafName::QuantityRange => Leaf::QuantityRange,
        LeafName::Sampled => Leaf::Sampled,
        LeafName::Reference => Leaf::Reference,
        LeafName::Canonical => Leaf::Canonical,
        LeafName::Resource => Leaf::Resource,
        LeafName::Uri => Leaf::Uri,
        LeafName::UriCanonical => Leaf::UriCanonical,
    })
}

fn to_steps(steps: &[OwnedStep]) -> Vec<Step<'static>> {
    steps
        .iter()
        .map(|step| match step {
            OwnedStep::Member(name) => Step::Member(leak(name)),
            OwnedStep::Index(index) => Step::Index(*index),
            OwnedStep::Where { member, equals } => Step::Where {
                member: leak(member),
                equals: leak(equals),
            },
        })
        .collect()
}

impl Schema for Definitions {
    fn children(&self, path: &str, name: &str) -> Vec<Element> {
        let plain = format!("{path}.{name}");
        if let Some(element) = self.elements.get(&plain) {
            return self.choices(&plain, name, element, false);
        }
        let choice = format!("{plain}[x]");
        self.elements
            .get(&choice)
            .map(|element| self.choices(&choice, name, element, true))
            .unwrap_or_default()
    }
}

impl Definitions {
    fn choices(&self, path: &str, name: &str, element: &Value, choice: bool) -> Vec<Element> {
        if let Some(elsewhere) = text(element, "contentReference").strip_prefix('#') {
            return vec![Element {
                path: elsewhere.to_owned(),
                member: name.to_owned(),
                type_name: "BackboneElement".to_owned(),
                system: String::new(),
            }];
        }
        let mut made = Vec::new();
        for ty in list(element, "type") {
            let mut type_name = text(ty, "code");
            if type_name.starts_with("http://hl7.org/fhirpath/") {
                type_name = "id";
            }
            let inline = matches!(type_name, "BackboneElement" | "Element");
            let member = if choice {
                format!("{name}{}", capitalised(type_name))
            } else {
                name.to_owned()
            };
            made.push(Element {
                path: if inline { path } else { type_name }.to_owned(),
                member,
                type_name: type_name.to_owned(),
                system: self.bound_system(element),
            });
        }
        made
    }

    fn bound_system(&self, element: &Value) -> String {
        let Some(binding) = element.get("binding") else {
            return String::new();
        };
        let value_set = text(binding, "valueSet");
        let url = value_set.split('|').next().unwrap_or_default();
        let required = text(binding, "strength") == "required";
        let system = required.then(|| self.systems.get(url)).flatten();
        system.cloned().unwrap_or_default()
    }
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Value sets that draw from one code system, by URL.
fn single_systems(bundle: &Value) -> HashMap<String, String> {
    let mut systems = HashMap::new();
    for value_set in resources(bundle) {
        let Some(compose) = value_set.get("compose") else {
            continue;
        };
        if let [include] = list(compose, "include")
            && include.get("valueSet").is_none()
            && include.get("system").is_some()
        {
            systems.insert(
                text(value_set, "url").to_owned(),
                text(include, "system").to_owned(),
            );
        }
    }
    systems
}

/// Parameters that place a resource into a patient's compartment, by type.
fn compartment(definition: &Value) -> HashMap<String, BTreeSet<String>> {
    list(definition, "resource")
        .iter()
        .map(|resource| {
            let params = list(resource, "param").iter().filter_map(Value::as_str);
            (
                text(resource, "code").to_owned(),
                params.map(str::to_owned).collect(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_and_appended() {
        let mut ids = Ids::parse("0\tA.x\n7\tB.y\n").unwrap();
        assert_eq!((ids.of("B", "y"), ids.of("A", "new")), (7, 8));
        assert_eq!(ids.print(), "0\tA.x\n7\tB.y\n8\tA.new\n");
        assert!(Ids::parse("0\tA.x\n1\tA.x\n").is_err());
        assert!(Ids::parse("0 A.x\n").is_err());
    }
}
