//! Makes `r4.pack` from the R4 definitions: shapes of resources, data types and backbone elements, and
//! the value sets of required bindings, their codes enumerated. Must not renumber resource types: the
//! committed table is append-only.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use fhir::definitions::pack::{
    ATTRIBUTE, CHOICE, Content, MANY, PROHIBITED, Pack, PackBinding, PackForm, PackShape, PackSlot,
    Primitive, REQUIRED, Rule, SUMMARY,
};
use fhir::json::{Document, Limits, Value};

/// The release the definitions must be of; the package carries single types of later ones.
const RELEASE: &str = "4.0.1";
const CANONICAL: &str = "http://hl7.org/fhir/StructureDefinition/";

/// What was made.
#[derive(Debug)]
pub struct Report {
    /// Resource types.
    pub types: usize,
    /// Shapes.
    pub shapes: usize,
    /// Required value sets.
    pub bindings: usize,
    /// Codes in them.
    pub codes: usize,
    /// Required value sets the package does not hold; elements bound to them take any code.
    pub missing: Vec<String>,
    /// Bytes of the pack.
    pub bytes: usize,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "r4.pack: {} types, {} shapes, {} required value sets with {} codes, {} bytes",
            self.types, self.shapes, self.bindings, self.codes, self.bytes
        )?;
        self.missing
            .iter()
            .try_for_each(|url| write!(f, "\nnot in the package: {url}"))
    }
}

type Failure = Box<dyn Error>;

/// Reads the R4 definitions in `source`, writes `r4.pack` and `resource-types.tsv` to `target`.
pub fn generate(source: &Path, target: &Path) -> Result<Report, Failure> {
    let files: Vec<Document> = ["profiles-types.json", "profiles-resources.json"]
        .iter()
        .map(|name| read(&source.join(name)))
        .collect::<Result<_, _>>()?;
    let sets: Vec<Document> = ["valuesets.json", "v3-codesystems.json", "v2-tables.json"]
        .iter()
        .map(|name| read(&source.join(name)))
        .collect::<Result<_, _>>()?;
    let structures: Vec<Value<'_>> = files
        .iter()
        .flat_map(resources)
        .filter(|resource| {
            is(*resource, "resourceType", "StructureDefinition")
                && is(*resource, "fhirVersion", RELEASE)
        })
        .collect();
    let table = target.join("resource-types.tsv");
    let types = number_types(&fs::read_to_string(&table).unwrap_or_default(), &structures)?;
    let mut maker = Maker::new(&types, &sets);
    maker.make(&structures)?;
    let pack = maker.pack;
    let bytes = zstd::encode_all(postcard::to_stdvec(&pack)?.as_slice(), 19)?;
    fs::write(target.join("r4.pack"), &bytes)?;
    let mut lines = String::new();
    for (number, name) in types.iter().enumerate() {
        writeln!(lines, "{number}\t{name}")?;
    }
    fs::write(table, lines)?;
    Ok(Report {
        types: pack.types.len(),
        shapes: pack.shapes.len(),
        bindings: pack.bindings.len(),
        codes: pack
            .bindings
            .iter()
            .map(|binding| codes_in(&binding.rule))
            .sum(),
        missing: maker.missing,
        bytes: bytes.len(),
    })
}

fn codes_in(rule: &Rule<'_>) -> usize {
    if let Rule::Codes(codes) = rule {
        codes.len()
    } else {
        0
    }
}

fn read(path: &Path) -> Result<Document, Failure> {
    let limits = Limits {
        max_bytes: 256 << 20,
        max_nodes: 16_000_000,
        ..Limits::default()
    };
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Document::parse(bytes, &limits).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn resources(bundle: &Document) -> impl Iterator<Item = Value<'_>> {
    let entries = bundle.root().get("entry");
    entries
        .into_iter()
        .flat_map(Value::items)
        .filter_map(|entry| entry.get("resource"))
}

fn is(value: Value<'_>, member: &str, text: &str) -> bool {
    value.get_str(member).as_deref() == Some(text)
}

/// A string that lives as long as the task, which ends soon after.
fn text(value: Value<'_>, member: &str) -> &'static str {
    leak(&value.get_str(member).unwrap_or_default())
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// Keeps the numbers given before, appends new types in alphabetical order.
fn number_types(table: &str, structures: &[Value<'_>]) -> Result<Vec<&'static str>, Failure> {
    let mut types = Vec::new();
    for line in table.lines() {
        let (number, name) = line
            .split_once('\t')
            .ok_or(format!("{line:?} has no tab"))?;
        if number.parse() != Ok(types.len()) {
            return Err(format!("{line:?} is not number {}", types.len()).into());
        }
        types.push(leak(name));
    }
    let mut found: Vec<&'static str> = structures
        .iter()
        .filter(|one| {
            is(**one, "kind", "resource")
                && one.get("abstract").and_then(Value::as_bool) == Some(false)
        })
        .map(|one| text(*one, "name"))
        .collect();
    found.sort_unstable();
    for known in &types {
        if !found.contains(known) {
            return Err(
                format!("resource type {known} is in the table, but not in the package").into(),
            );
        }
    }
    found.retain(|name| !types.contains(name));
    types.extend(found);
    Ok(types)
}

/// An element that has children of its own in the snapshot, or a whole type.
struct Maker<'d> {
    types: &'d [&'static str],
    /// Place of a shape by its path (`Patient.contact`) or type name.
    places: HashMap<&'static str, u16>,
    value_sets: HashMap<String, Value<'d>>,
    code_systems: HashMap<String, Value<'d>>,
    bindings: BTreeMap<String, Option<u16>>,
    missing: Vec<String>,
    pack: Pack<'static>,
}

impl<'d> Maker<'d> {
    fn new(types: &'d [&'static str], sets: &'d [Document]) -> Self {
        let of = |kind: &str| {
            sets.iter()
                .flat_map(resources)
                .filter(|one| is(*one, "resourceType", kind))
                .map(|one| (text(one, "url").to_owned(), one))
                .collect()
        };
        Self {
            types,
            places: HashMap::new(),
            value_sets: of("ValueSet"),
            code_systems: of("CodeSystem"),
            bindings: BTreeMap::new(),
            missing: Vec::new(),
            pack: Pack::default(),
        }
    }

    fn make(&mut self, structures: &[Value<'_>]) -> Result<(), Failure> {
        let mut bodies = Vec::new();
        for structure in structures.iter().filter(|one| has_shape(**one)) {
            for (path, elements) in objects(*structure)? {
                let place = bodies.len() as u16;
                if self.places.insert(path, place).is_some() {
                    return Err(format!("{path} is defined twice").into());
                }
                // `SimpleQuantity` is written as `Quantity`.
                let ty = text(*structure, "type");
                let name = if path == text(*structure, "name") {
                    ty
                } else {
                    path
                };
                bodies.push((name, path, elements));
            }
        }
        for (name, path, elements) in bodies {
            let slots = elements
                .into_iter()
                .map(|element| self.slot(path, element))
                .collect::<Result<Vec<_>, _>>()?;
            if slots.len() > 64 {
                return Err(format!("{path} has more than 64 elements").into());
            }
            self.pack.shapes.push(PackShape { name, slots });
        }
        for name in self.types {
            let place = *self
                .places
                .get(name)
                .ok_or(format!("{name} has no shape"))?;
            self.pack.types.push((name, place));
        }
        Ok(())
    }

    fn slot(&mut self, owner: &str, element: Value<'_>) -> Result<PackSlot<'static>, Failure> {
        let path = text(element, "path");
        let last = path.rsplit_once('.').map_or(path, |(_, last)| last);
        let name: &'static str = last.strip_suffix("[x]").unwrap_or(last);
        let mut flags = 0;
        let mut set = |flag: u8, on: bool| flags |= if on { flag } else { 0 };
        let min = element.get("min").and_then(Value::number_text);
        set(REQUIRED, min != Some("0"));
        // `max` of a constrained type may be lower than in JSON's view of the base type.
        let base = element.get("base").unwrap_or(element);
        set(MANY, text(base, "max") != "1");
        set(PROHIBITED, is(element, "max", "0"));
        set(CHOICE, last.ends_with("[x]"));
        set(
            SUMMARY,
            element.get("isSummary").and_then(Value::as_bool) == Some(true),
        );
        let attribute = element.get("representation").is_some_and(|kinds| {
            kinds
                .items()
                .any(|kind| kind.as_str().as_deref() == Some("xmlAttr"))
        });
        set(ATTRIBUTE, attribute);
        let forms = self.forms(owner, path, name, last.ends_with("[x]"), element)?;
        let binding = match element.get("binding") {
            Some(binding) if is(binding, "strength", "required") => {
                self.binding(text(binding, "valueSet"))
            }
            _ => None,
        };
        Ok(PackSlot {
            name,
            flags,
            binding,
            forms,
        })
    }

    fn forms(
        &mut self,
        owner: &str,
        path: &'static str,
        name: &'static str,
        choice: bool,
        element: Value<'_>,
    ) -> Result<Vec<PackForm<'static>>, Failure> {
        if let Some(reference) = element.get_str("contentReference") {
            let content = self.shape(reference.trim_start_matches('#'))?;
            return Ok(vec![PackForm {
                name,
                content,
                targets: None,
            }]);
        }
        let types = element.get("type").ok_or(format!("{path} has no type"))?;
        let mut forms = Vec::new();
        for ty in types.items() {
            let code = text(ty, "code");
            let content = self.content(owner, path, code, ty)?;
            let name = if choice {
                leak(&format!("{name}{}", capital(code)))
            } else {
                name
            };
            let targets = if code == "Reference" {
                self.targets(ty)?
            } else {
                None
            };
            forms.push(PackForm {
                name,
                content,
                targets,
            });
        }
        Ok(forms)
    }

    fn content(
        &self,
        owner: &str,
        path: &'static str,
        code: &str,
        ty: Value<'_>,
    ) -> Result<Content, Failure> {
        if let Some(primitive) = Primitive::ALL.iter().find(|one| one.name() == code) {
            return Ok(Content::Primitive(*primitive));
        }
        if code.starts_with("http://hl7.org/fhirpath/System.") {
            // R4 calls the ids of resources strings.
            let primitive = match path.rsplit_once('.') {
                Some((_, "url")) => Primitive::Uri,
                Some(_) if self.types.contains(&owner) => Primitive::Id,
                _ => Primitive::ElementId,
            };
            return Ok(Content::Primitive(primitive));
        }
        match code {
            "Resource" => Ok(Content::Resource),
            "BackboneElement" | "Element" => self.shape(path),
            _ => {
                let profile = ty.get("profile").and_then(|list| list.items().next());
                let name = profile.and_then(Value::as_str);
                let name = name.as_deref().and_then(|url| url.strip_prefix(CANONICAL));
                self.shape(name.unwrap_or(code))
            }
        }
    }

    fn shape(&self, name: &str) -> Result<Content, Failure> {
        // `Bundle.entry.resource` and the like name one type.
        if self.types.contains(&name) {
            return Ok(Content::Resource);
        }
        let place = self
            .places
            .get(name)
            .ok_or(format!("{name} has no shape"))?;
        Ok(Content::Shape(*place))
    }

    /// The types a reference may point to; none for any.
    fn targets(&mut self, ty: Value<'_>) -> Result<Option<u16>, Failure> {
        let mut types = Vec::new();
        for profile in ty.get("targetProfile").into_iter().flat_map(Value::items) {
            let url = profile.as_str().unwrap_or_default();
            // The package adds types of its own maker to one element.
            if url.starts_with("https://medplum.com/") {
                continue;
            }
            let name = url.strip_prefix(CANONICAL).unwrap_or(&url);
            if name == "Resource" {
                return Ok(None);
            }
            let number = self.types.iter().position(|known| *known == name);
            types.push(number.ok_or(format!("{url} is no resource type"))? as u16);
        }
        if types.is_empty() {
            return Ok(None);
        }
        types.sort_unstable();
        let known = self.pack.targets.iter().position(|one| *one == types);
        let place = known.unwrap_or(self.pack.targets.len());
        if known.is_none() {
            self.pack.targets.push(types);
        }
        Ok(Some(place as u16))
    }

    fn binding(&mut self, url: &str) -> Option<u16> {
        let url = url.split('|').next().unwrap_or_default();
        if let Some(known) = self.bindings.get(url) {
            return *known;
        }
        let place = self.rule(url).map(|rule| {
            self.pack.bindings.push(PackBinding {
                url: leak(url),
                rule,
            });
            self.pack.bindings.len() as u16 - 1
        });
        if place.is_none() {
            self.missing.push(url.to_owned());
        }
        self.bindings.insert(url.to_owned(), place);
        place
    }

    fn rule(&mut self, url: &str) -> Option<Rule<'static>> {
        let set = *self.value_sets.get(url)?;
        let mut codes = Vec::new();
        for include in set.get("compose")?.get("include")?.items() {
            let name = text(include, "system");
            let system = self.system(name);
            if let Some(listed) = include.get("concept") {
                codes.extend(
                    listed
                        .items()
                        .map(|concept| (text(concept, "code"), system)),
                );
                continue;
            }
            match name {
                "urn:ietf:bcp:13" => return Some(Rule::MediaType),
                "urn:iso:std:iso:4217" => return Some(Rule::Currency),
                _ => {}
            }
            match self.code_systems.get(name) {
                Some(known)
                    if is(*known, "content", "complete") && include.get("filter").is_none() =>
                {
                    concepts(*known, system, &mut codes);
                }
                _ => return Some(Rule::System(system)),
            }
        }
        codes.sort_unstable();
        codes.dedup();
        Some(Rule::Codes(codes))
    }

    fn system(&mut self, name: &'static str) -> u16 {
        let known = self.pack.systems.iter().position(|one| *one == name);
        known.unwrap_or_else(|| {
            self.pack.systems.push(name);
            self.pack.systems.len() - 1
        }) as u16
    }
}

fn concepts(of: Value<'_>, system: u16, codes: &mut Vec<(&'static str, u16)>) {
    for concept in of.get("concept").into_iter().flat_map(Value::items) {
        codes.push((text(concept, "code"), system));
        concepts(concept, system, codes);
    }
}

fn capital(code: &str) -> String {
    let mut letters = code.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Concrete resources and complex types; `Element` is what `_member` objects are.
fn has_shape(structure: Value<'_>) -> bool {
    let name = text(structure, "name");
    let known = matches!(name, "Resource" | "DomainResource" | "BackboneElement");
    !known && !is(structure, "kind", "primitive-type")
}

type Object<'v> = (&'static str, Vec<Value<'v>>);

/// The objects of a snapshot with their elements: the type itself, and each backbone element in it.
fn objects(structure: Value<'_>) -> Result<Vec<Object<'_>>, Failure> {
    let name = text(structure, "name");
    let snapshot = structure
        .get("snapshot")
        .ok_or(format!("{name} has no snapshot"))?;
    let root = text(structure, "type");
    let mut objects: Vec<Object<'_>> = Vec::new();
    for element in snapshot.get("element").into_iter().flat_map(Value::items) {
        let path = text(element, "path");
        let Some((parent, _)) = path.rsplit_once('.') else {
            continue;
        };
        let owner = if parent == root { name } else { parent };
        match objects.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, elements)) => elements.push(element),
            None => objects.push((owner, vec![element])),
        }
    }
    Ok(objects)
}
