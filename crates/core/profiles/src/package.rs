//! Packages as npm carries them: their manifest, StructureDefinitions, and the terminology they bring.
//! Entries come in as names and bytes; unpacking an archive is not done here. Examples and pages are left
//! out.

use std::collections::{BTreeMap, HashMap};

use fhir::json::{self, Document, Value};
use serde::{Deserialize, Serialize};

use crate::error::ProfileError;
use crate::model::StructureDefinition;

/// What a package may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageLimits {
    /// Entries of the archive.
    pub entries: usize,
    /// Bytes of one entry.
    pub entry_bytes: usize,
    /// Bytes of all entries.
    pub bytes: usize,
}

impl Default for PackageLimits {
    fn default() -> Self {
        Self {
            entries: 50_000,
            entry_bytes: 64 << 20,
            bytes: 512 << 20,
        }
    }
}

/// What a package says about itself (`package.json`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `hl7.fhir.us.core`.
    pub name: String,
    /// `5.0.1`.
    pub version: String,
    /// The releases of FHIR it is for; none said where empty.
    pub fhir_versions: Vec<String>,
    /// Packages it needs, with versions.
    pub dependencies: BTreeMap<String, String>,
    /// What it is, for people.
    pub title: Option<String>,
}

/// A value set or code system of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// `ValueSet` or `CodeSystem`.
    pub ty: String,
    /// Its canonical URL.
    pub url: String,
    /// Its business version.
    pub version: Option<String>,
    /// Its JSON, compact and without narrative.
    pub json: String,
}

/// A package that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// What it says about itself.
    pub manifest: Manifest,
    /// Its definitions.
    pub definitions: Vec<StructureDefinition>,
    /// Its value sets and code systems.
    pub terms: Vec<Terms>,
    /// Entries that could not be used, and why.
    pub left_out: Vec<(String, String)>,
}

/// The release these packages must be for.
const RELEASE: &str = "4.0";

/// Takes the entries of a package one by one.
#[derive(Debug, Default)]
pub struct PackageReader {
    limits: PackageLimits,
    entries: usize,
    bytes: usize,
    manifest: Option<Manifest>,
    package: Package,
}

impl PackageReader {
    /// With limits.
    #[must_use]
    pub fn new(limits: PackageLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Whether an entry of this name and size is wanted; counts it against the limits before it is read.
    ///
    /// # Errors
    /// A name that leads out of the archive, and anything beyond the limits.
    pub fn wants(&mut self, name: &str, size: u64) -> Result<bool, ProfileError> {
        let too_large = |detail: String| ProfileError::TooLarge {
            what: "the package".to_owned(),
            detail,
        };
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(too_large(format!(
                "at most {} entries",
                self.limits.entries
            )));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.bytes = self.bytes.saturating_add(size);
        if size > self.limits.entry_bytes || self.bytes > self.limits.bytes {
            return Err(too_large(format!(
                "at most {} bytes in all and {} in one entry",
                self.limits.bytes, self.limits.entry_bytes
            )));
        }
        let is_outside = name.starts_with('/')
            || name.contains(['\\', '\0'])
            || name.split('/').any(|part| part == "..")
            || name.split('/').count() > 8;
        if is_outside {
            let shown: String = name.chars().take(120).collect();
            return Err(ProfileError::Package(format!(
                "entry {shown:?} leads out of it: get it from where it was published"
            )));
        }
        let mut parts = name.trim_start_matches("./").split('/');
        let is_top = parts.next() == Some("package");
        let file = parts.next().unwrap_or_default();
        let is_json = std::path::Path::new(file)
            .extension()
            .is_some_and(|kind| kind == "json");
        Ok(is_top && parts.next().is_none() && is_json && file != ".index.json")
    }

    /// Takes an entry that is wanted.
    ///
    /// # Errors
    /// A manifest that is none, or that is for another release of FHIR.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), ProfileError> {
        let file = name.rsplit('/').next().unwrap_or(name).to_owned();
        let limits = json::Limits {
            max_bytes: self.limits.entry_bytes,
            ..json::Limits::default()
        };
        let parsed = Document::parse(strip_mark(bytes), &limits);
        if file == "package.json" {
            let document = parsed.map_err(|error| {
                ProfileError::Package(format!("package.json cannot be read: {error}"))
            })?;
            self.manifest = Some(manifest(document.root())?);
            return Ok(());
        }
        let left_out = match parsed {
            Ok(document) => self.resource(document.root()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = left_out {
            self.package.left_out.push((file, why));
        }
        Ok(())
    }

    fn resource(&mut self, resource: Value<'_>) -> Result<(), String> {
        let ty = resource.get_str("resourceType").unwrap_or_default();
        match &*ty {
            "StructureDefinition" => {
                let definition =
                    StructureDefinition::read(resource).map_err(|error| error.to_string())?;
                self.package.definitions.push(definition);
                Ok(())
            }
            "ValueSet" | "CodeSystem" => {
                let url = resource.get_str("url").ok_or("it has no url")?;
                self.package.terms.push(Terms {
                    ty: ty.into_owned(),
                    url: url.into_owned(),
                    version: resource
                        .get_str("version")
                        .map(std::borrow::Cow::into_owned),
                    json: without_narrative(resource),
                });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The package.
    ///
    /// # Errors
    /// An archive without manifest.
    pub fn finish(self) -> Result<Package, ProfileError> {
        let manifest = self.manifest.ok_or_else(|| {
            ProfileError::Package(
                "it has no package/package.json: give the .tgz as a FHIR registry serves it"
                    .to_owned(),
            )
        })?;
        Ok(Package {
            manifest,
            ..self.package
        })
    }
}

/// A byte order mark has no place in JSON; some publishers write one.
fn strip_mark(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    bytes
}

fn manifest(value: Value<'_>) -> Result<Manifest, ProfileError> {
    let text = |name: &str| value.get_str(name).map(std::borrow::Cow::into_owned);
    let wrong = |detail: &str| ProfileError::Package(format!("package.json {detail}"));
    let name = text("name").filter(|name| is_name(name));
    let version = text("version").filter(|version| is_name(version));
    let releases = ["fhirVersions", "fhir-version-list"]
        .into_iter()
        .filter_map(|member| value.get(member))
        .flat_map(Value::items)
        .filter_map(|one| one.as_str().map(std::borrow::Cow::into_owned));
    let dependencies = value
        .get("dependencies")
        .into_iter()
        .flat_map(Value::members);
    let manifest = Manifest {
        name: name.ok_or_else(|| wrong("has no usable name"))?,
        version: version.ok_or_else(|| wrong("has no usable version"))?,
        fhir_versions: releases.collect(),
        dependencies: dependencies
            .filter_map(|(name, version)| Some((name.into_owned(), version.as_str()?.into_owned())))
            .collect(),
        title: text("title").or_else(|| text("description")),
    };
    let is_ours = |release: &String| release.starts_with(RELEASE);
    if !manifest.fhir_versions.is_empty() && !manifest.fhir_versions.iter().any(is_ours) {
        return Err(ProfileError::Package(format!(
            "it is for FHIR {}, not R4: get the R4 edition",
            manifest.fhir_versions.join(", ")
        )));
    }
    Ok(manifest)
}

/// Letters, digits and a few signs; package names and versions are both.
fn is_name(text: &str) -> bool {
    (1..=120).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+'))
}

/// The resource without its text, which is most of its bytes.
fn without_narrative(resource: Value<'_>) -> String {
    let mut bytes = vec![b'{'];
    for (key, value) in resource.members().filter(|(key, _)| key != "text") {
        if bytes.len() > 1 {
            bytes.push(b',');
        }
        fhir::print::write_string(&key, &mut bytes);
        bytes.push(b':');
        fhir::print::compact(value, &mut bytes);
    }
    bytes.push(b'}');
    String::from_utf8(bytes).unwrap_or_default()
}

impl Package {
    /// `name#version`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}#{}", self.manifest.name, self.manifest.version)
    }

    /// The compact form that is stored.
    ///
    /// # Errors
    /// [`ProfileError::Package`] when it cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, ProfileError> {
        let plain = postcard::to_stdvec(self)
            .map_err(|error| ProfileError::Package(format!("it cannot be packed: {error}")))?;
        zstd::encode_all(plain.as_slice(), 9)
            .map_err(|error| ProfileError::Package(format!("it cannot be packed: {error}")))
    }

    /// Reads the compact form, up to `limit` bytes unpacked.
    ///
    /// # Errors
    /// [`ProfileError::Package`] for anything else.
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, ProfileError> {
        let damaged = |what: String| ProfileError::Package(format!("its stored form {what}"));
        let plain = zstd::bulk::decompress(bytes, limit)
            .map_err(|error| damaged(format!("cannot be unpacked: {error}")))?;
        postcard::from_bytes(&plain).map_err(|error| damaged(format!("cannot be read: {error}")))
    }
}

/// Checks that packages do not need one another in a circle.
///
/// # Errors
/// [`ProfileError::Circle`] with the packages in it.
pub fn check_dependencies<'m>(
    manifests: impl IntoIterator<Item = &'m Manifest>,
) -> Result<(), ProfileError> {
    let known: HashMap<&str, &Manifest> = manifests
        .into_iter()
        .map(|one| (one.name.as_str(), one))
        .collect();
    let mut done: Vec<&str> = Vec::new();
    for name in known.keys() {
        let mut chain = Vec::new();
        visit(name, &known, &mut chain, &mut done)?;
    }
    Ok(())
}

fn visit<'m>(
    name: &'m str,
    known: &HashMap<&'m str, &'m Manifest>,
    chain: &mut Vec<&'m str>,
    done: &mut Vec<&'m str>,
) -> Result<(), ProfileError> {
    if done.contains(&name) {
        return Ok(());
    }
    chain.push(name);
    if chain.iter().filter(|one| **one == name).count() > 1 {
        let mut chain: Vec<&str> = chain.clone();
        chain.dedup();
        return Err(ProfileError::Circle {
            chain: chain.join(" -> "),
        });
    }
    if let Some(manifest) = known.get(name) {
        for needed in manifest.dependencies.keys() {
            visit(needed, known, chain, done)?;
        }
    }
    chain.pop();
    done.push(name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bytes(json: &serde_json::Value) -> Vec<u8> {
        serde_json::to_vec(json).unwrap()
    }

    fn manifest_of(version: &str) -> Vec<u8> {
        bytes(
            &json!({"name": "t.core", "version": "1.0.0", "fhirVersions": [version],
            "dependencies": {"hl7.fhir.r4.core": "4.0.1"}, "title": "Test"}),
        )
    }

    fn structure() -> Vec<u8> {
        bytes(
            &json!({"resourceType": "StructureDefinition", "url": "http://t/p", "name": "P", "kind": "resource",
            "type": "Patient", "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
            "derivation": "constraint", "differential": {"element": [{"path": "Patient"}]}}),
        )
    }

    fn read(entries: Vec<(&str, Vec<u8>)>) -> Result<Package, ProfileError> {
        let mut reader = PackageReader::new(PackageLimits::default());
        for (name, bytes) in entries {
            if reader.wants(name, bytes.len() as u64)? {
                reader.add(name, bytes)?;
            }
        }
        reader.finish()
    }

    #[test]
    fn takes_definitions_and_terms_and_leaves_the_rest() {
        let set = json!({"resourceType": "ValueSet", "url": "http://t/vs", "version": "1", "text": {"div": "long"},
            "compose": {"include": [{"system": "s"}]}});
        let mut marked = b"\xEF\xBB\xBF".to_vec();
        marked.extend(structure());
        let package = read(vec![
            ("package/package.json", manifest_of("4.0.1")),
            ("package/StructureDefinition-p.json", marked),
            ("package/ValueSet-vs.json", bytes(&set)),
            ("package/.index.json", b"{}".to_vec()),
            ("package/broken.json", b"{".to_vec()),
            ("package/example/Patient-x.json", structure()),
            ("package/other/page.md", b"# x".to_vec()),
        ])
        .unwrap();
        assert_eq!(package.id(), "t.core#1.0.0");
        assert_eq!(package.definitions.len(), 1);
        assert_eq!(package.terms.len(), 1);
        assert!(!package.terms[0].json.contains("long"));
        assert!(package.terms[0].json.contains("compose"));
        assert_eq!(package.left_out.len(), 1);
        assert_eq!(package.left_out[0].0, "broken.json");
        let packed = package.encode().unwrap();
        assert_eq!(Package::decode(&packed, 1 << 20).unwrap(), package);
        assert!(Package::decode(&packed, 10).is_err());
        assert!(Package::decode(b"nonsense", 1 << 20).is_err());
    }

    #[test]
    fn refuses_what_is_no_r4_package() {
        for (entries, expected) in [
            (
                vec![("package/p.json", structure())],
                "no package/package.json",
            ),
            (
                vec![("package/package.json", manifest_of("5.0.0"))],
                "is for FHIR 5.0.0, not R4",
            ),
            (
                vec![("package/package.json", b"[]".to_vec())],
                "no usable name",
            ),
            (
                vec![("package/package.json", b"{".to_vec())],
                "package.json cannot be read",
            ),
            (
                vec![("package/../../etc/passwd", Vec::new())],
                "leads out of it",
            ),
            (
                vec![("/package/package.json", Vec::new())],
                "leads out of it",
            ),
            (
                vec![("package\\package.json", Vec::new())],
                "leads out of it",
            ),
            (
                vec![("package/a/b/c/d/e/f/g/h.json", Vec::new())],
                "leads out of it",
            ),
        ] {
            let error = read(entries).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn limits_hold_before_anything_is_read() {
        let limits = PackageLimits {
            entries: 2,
            entry_bytes: 100,
            bytes: 150,
        };
        let mut reader = PackageReader::new(limits);
        assert_eq!(reader.wants("package/a.json", 100), Ok(true));
        assert!(matches!(
            reader.wants("package/b.json", 60),
            Err(ProfileError::TooLarge { .. })
        ));
        let mut reader = PackageReader::new(limits);
        assert!(reader.wants("package/a.json", u64::MAX).is_err());
        let mut reader = PackageReader::new(limits);
        assert_eq!(reader.wants("package/x/a.json", 1), Ok(false));
        assert_eq!(reader.wants("other/a.json", 1), Ok(false));
        assert!(reader.wants("package/c.json", 1).is_err());
    }

    #[test]
    fn packages_in_a_circle_are_named() {
        let needs = |name: &str, needed: &str| Manifest {
            name: name.to_owned(),
            version: "1".to_owned(),
            dependencies: BTreeMap::from([(needed.to_owned(), "1".to_owned())]),
            ..Manifest::default()
        };
        assert_eq!(
            check_dependencies(&[needs("a", "b"), needs("b", "c")]),
            Ok(())
        );
        let circle = [needs("a", "b"), needs("b", "c"), needs("c", "a")];
        let error = check_dependencies(&circle).unwrap_err().to_string();
        for name in ["a", "b", "c"] {
            assert!(error.contains(name), "{error}");
        }
        assert!(check_dependencies(&[needs("a", "a")]).is_err());
    }
}
