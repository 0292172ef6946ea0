//! Makes `r4-profiles.pack` from the R4 definitions, and proves the snapshot generator on them: every
//! profile's snapshot, made from its differential, must say what the published one says.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use fhir::json::{Document, Limits, Value};
use profiles::model::{Element, StructureDefinition};
use profiles::pack::{Pack, PackEntry};

/// The release the definitions must be of; the package carries single types of later ones.
const RELEASE: &str = "4.0.1";
const FILES: [&str; 4] = [
    "profiles-types.json",
    "profiles-resources.json",
    "profiles-others.json",
    "extension-definitions.json",
];

type Failure = Box<dyn Error>;

/// What was made.
#[derive(Debug)]
pub struct Report {
    /// Definitions.
    pub definitions: usize,
    /// Their elements.
    pub elements: usize,
    /// Bytes of the pack before compression.
    pub plain: usize,
    /// Bytes of the pack.
    pub bytes: usize,
}

/// Reads the R4 definitions in `source`, writes `r4-profiles.pack` to `target`.
pub fn generate(source: &Path, target: &Path) -> Result<Report, Failure> {
    let published = published(source)?;
    let mut elements = 0;
    let mut bodies = Vec::new();
    for definition in &published {
        let packed = packed(definition);
        elements += packed.snapshot.len() + packed.differential.len();
        bodies.push(postcard::to_stdvec(&packed)?);
    }
    let entries = published
        .iter()
        .zip(&bodies)
        .map(|(definition, body)| PackEntry {
            url: &definition.url,
            kind: definition.kind,
            is_constraint: definition.is_constraint,
            body,
        });
    let pack = Pack {
        entries: entries.collect(),
    };
    let plain = postcard::to_stdvec(&pack)?;
    let bytes = zstd::encode_all(plain.as_slice(), 19)?;
    fs::create_dir_all(target)?;
    fs::write(target.join("r4-profiles.pack"), &bytes)?;
    Ok(Report {
        definitions: published.len(),
        elements,
        plain: plain.len(),
        bytes: bytes.len(),
    })
}

/// The definitions as published, sorted by URL.
pub fn published(source: &Path) -> Result<Vec<StructureDefinition>, Failure> {
    let mut found = Vec::new();
    for name in FILES {
        let document = read(&source.join(name))?;
        for resource in resources(&document).filter(|one| is_wanted(*one)) {
            found.push(StructureDefinition::read(resource)?);
        }
    }
    found.sort_by(|a, b| a.url.cmp(&b.url));
    found.dedup_by(|a, b| a.url == b.url);
    Ok(found)
}

fn is_wanted(resource: Value<'_>) -> bool {
    let is = |member: &str, text: &str| resource.get_str(member).as_deref() == Some(text);
    is("resourceType", "StructureDefinition")
        && is("fhirVersion", RELEASE)
        && !is("kind", "logical")
}

/// What goes into the pack: snapshots of types, differentials of what constrains them.
fn packed(definition: &StructureDefinition) -> StructureDefinition {
    let mut packed = definition.clone();
    packed.version = None;
    if packed.is_constraint {
        packed.snapshot.clear();
    } else {
        packed.differential.clear();
    }
    let elements = packed.snapshot.iter_mut().chain(&mut packed.differential);
    for element in elements {
        if element.id == element.path {
            // Made from the path again when read.
            element.id.clear();
        }
        if element.path.contains('.') {
            // Said once, by the types Element and Extension.
            element
                .constraints
                .retain(|constraint| !matches!(constraint.key.as_str(), "ele-1" | "ext-1"));
        }
        for ty in &mut element.types {
            // The package adds types of its own maker to one element.
            ty.targets
                .retain(|target| !target.starts_with("https://medplum.com/"));
        }
    }
    packed
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

/// Makes the snapshot of every profile from its differential and lists where it says something else than
/// the published one.
pub fn differences(source: &Path) -> Result<Vec<String>, Failure> {
    let base = profiles::pack::BaseDefinitions::r4();
    let mut found = Vec::new();
    for definition in published(source)?.iter().filter(|one| one.is_constraint) {
        match profiles::snapshot::Generator::new(base).snapshot(definition) {
            Ok(made) => compare(definition, &made, &mut found),
            Err(error) => found.push(error.to_string()),
        }
    }
    Ok(found)
}

fn compare(definition: &StructureDefinition, made: &[Element], found: &mut Vec<String>) {
    let made: HashMap<&str, &Element> = made.iter().map(|one| (one.id.as_str(), one)).collect();
    for published in &definition.snapshot {
        let Some(made) = made.get(published.id.as_str()) else {
            found.push(format!("{}: {} is not made", definition.url, published.id));
            continue;
        };
        let published_id = &published.id;
        for (what, published, made) in [
            (
                "min",
                format!("{:?}", published.min),
                format!("{:?}", made.min),
            ),
            (
                "max",
                format!("{:?}", published.max),
                format!("{:?}", made.max),
            ),
            ("types", codes(published), codes(made)),
            (
                "fixed",
                format!("{:?}", published.fixed),
                format!("{:?}", made.fixed),
            ),
            (
                "pattern",
                format!("{:?}", published.pattern),
                format!("{:?}", made.pattern),
            ),
            (
                "binding",
                format!("{:?}", published.binding),
                format!("{:?}", made.binding),
            ),
            ("constraints", keys(published), keys(made)),
        ] {
            if published != made {
                let id = format!("{} {}", definition.url, published_id);
                found.push(format!("{id}: {what}: published {published}, made {made}"));
            }
        }
    }
}

fn codes(element: &Element) -> String {
    let mut codes: Vec<String> = element
        .types
        .iter()
        .map(|ty| format!("{}{:?}{:?}", ty.code, ty.profiles, ty.targets))
        .collect();
    codes.sort();
    codes.join(", ")
}

fn keys(element: &Element) -> String {
    let keys = element.constraints.iter().map(|one| one.key.as_str());
    let mut keys: Vec<_> = keys
        .filter(|key| !matches!(*key, "ele-1" | "ext-1"))
        .collect();
    keys.sort_unstable();
    keys.join(", ")
}
